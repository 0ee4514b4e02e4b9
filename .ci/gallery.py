"The key figures of the story: four of them on the report's front page, all of them on the site's gallery page."
import base64, html, re
from pathlib import Path
from notebooks import NBS, figures, drawn, options, read, title

FRONT = [('00_exploration', 'fig-top-voted'), ('03_cnn', 'fig-cnn-loss'), ('04_resnet', 'fig-grad-cam'),
         ('06_evaluation', 'fig-models')]
SHOWN = [('foundations/sky', 'fig-sheet'), ('00_exploration', 'fig-tree'), ('00_exploration', 'fig-top-voted'),
         ('00_exploration', 'fig-correlation'), ('01_cleaning', 'fig-before-after'), ('02_dataloaders', 'fig-augment'),
         ('03_cnn', 'fig-cnn-loss'), ('03_cnn', 'fig-cnn-filters'), ('04_resnet', 'fig-grad-cam'),
         ('04_resnet', 'fig-similar'), ('05_vit', 'fig-patches'), ('05_vit', 'fig-attention'),
         ('06_evaluation', 'fig-models'), ('06_evaluation', 'fig-questions'), ('06_evaluation', 'fig-worst')]

def picture(nb, label):
    "The last picture of a labelled cell as an address that holds it, or None."
    cells = (c for c in nb.cells if c.cell_type == 'code' and options(c).get('label') == label)
    return next((d for c in cells for o in reversed(c.outputs) if (d := drawn(o))), None)

def plainly(text):
    "A caption without Markdown, links and references."
    text = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', str(text))
    return re.sub(r'[*`]', '', text)

def entry(name, label, nb, page):
    "A figure with its caption and a link to where it comes from, as HTML; nothing where it is not drawn."
    image, o = picture(nb, label), figures(nb).get(label)
    if not (image and o): return ''
    say = lambda k: html.escape(plainly(o.get(k, '')), quote=True)
    return (f'<figure><a href="{page}#{label}"><img src="{image}" alt="{say("fig-alt")}"></a>'
            f'<figcaption>{say("fig-cap")} <a href="{page}#{label}">{html.escape(title(nb))}</a></figcaption></figure>')

def missing():
    "Key figures that no notebook has."
    lacking = [(n, label) for n, label in SHOWN+FRONT if label not in figures(read(NBS/f'{n}.ipynb'))]
    return [f'.ci/gallery.py: nbs/{n}.ipynb has no {label}' for n, label in lacking]

def write(folder):
    "Fill the site's gallery page in `folder` with the stored pictures, each a file of its own."
    page = folder/'gallery.md'
    parts = []
    for name, label in SHOWN:
        nb = read(NBS/f'{name}.ipynb')
        image, o = picture(nb, label), figures(nb).get(label)
        if not (image and o): continue
        file = Path('gallery')/f'{Path(name).stem}-{label}.{image[11:image.index(";")]}'
        (folder/file).parent.mkdir(exist_ok=True)
        (folder/file).write_bytes(base64.b64decode(image.partition(',')[2]))
        alt = plainly(o.get('fig-alt', '')).replace('"', "'")
        image = f'![{plainly(o["fig-cap"])}]({file.as_posix()}){{alt="{alt}"}}'
        parts.append(f'{image}\n\n[{title(nb)}]({name}.ipynb#{label})')
    page.write_text(page.read_text(encoding='utf-8')+'\n'+'\n\n'.join(parts)+'\n', encoding='utf-8')
