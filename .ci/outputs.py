"Stores outputs in nbs/: `outputs` of every notebook, `stale` of those alone whose code has changed since."
import base64, io, os, re, shutil, subprocess, sys, tempfile
from pathlib import Path
import nbformat
from PIL import Image, ImageChops
from execute import each, prepare
from freshness import READS, made_from, stale
from galaxy_nbdev.files import replacing
from notebooks import NBS, ROOT, Stopped, directives

WIDGET = 'application/vnd.jupyter.widget-view+json'
ROOTS = 'bin|boot|builds|data|dev|etc|home|lib|lib64|media|mnt|nix|opt|proc|root|run|runner|sbin|scratch|srv|sys|tmp'
ROOTS += '|usr|Users|var|Volumes|work|workspace|workspaces'
DEBRIS = {'a progress bar': r'<progress|progress-bar|\d%\|', 'a warning': r'\w*Warning:',
          'a path of a machine': rf'(?<![\w:/.<+])(?:/(?:{ROOTS})/\w|[A-Z]:\\\w)|{re.escape(str(ROOT))}'}

def texts(output):
    "What an output says in letters; a picture inside a table of HTML says nothing."
    data = output.get('data', {})
    parts = [output.get('text', ''), *(v for k, v in data.items() if k.startswith('text'))]
    return re.sub(r'base64,[\w+/=\s]+', '', '\n'.join(''.join(p) for p in parts))

def faults(nb):
    "What must not be stored among a notebook's outputs: a list of (number of the cell, what is wrong)."
    outputs = [(i, o) for i, c in enumerate(nb.cells, 1) if c.cell_type == 'code' for o in c.outputs]
    res = []
    for (i, o), (_, after) in zip(outputs, outputs[1:]+[(0, {})]):
        if o.output_type == 'error': res.append((i, f'an error: {o.ename}'))
        elif o.get('name') == 'stderr': res.append((i, f'stderr: {"".join(o.text)[:80]!r}'))
        text = texts(o)
        res += [(i, f'{what}: {m.group()!r}') for what, pattern in DEBRIS.items() if (m := re.search(pattern, text))]
        static = {'image/png', 'image/jpeg', 'image/svg+xml'} & after.get('data', {}).keys()
        if WIDGET in o.get('data', {}) and not static: res.append((i, 'a widget without a static picture after it'))
    return res

def smaller(png):
    "A stored picture in 256 colours, where no colour moves by more than 16 of 255, packed as tightly as PNG allows."
    im = Image.open(io.BytesIO(base64.b64decode(png)))
    if im.mode == 'RGBA' and im.getextrema()[3][0] == 255: im = im.convert('RGB')
    few = im.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE) if im.mode == 'RGB' else im
    apart = ImageChops.difference(im.convert('RGB'), few.convert('RGB'))
    if max(high for _, high in apart.getextrema()) <= 16: im = few
    packed = io.BytesIO()
    im.save(packed, 'png', optimize=True)
    return min(png, base64.b64encode(packed.getvalue()).decode(), key=len)

def is_bar(output):
    "Whether an output is a progress bar of tqdm, closed by now: in a notebook it heeds no switch of the environment."
    data = output.get('data', {})
    return WIDGET in data and bool(re.search(r'\d%\|', ''.join(data.get('text/plain', ''))))

def packed(nb):
    "A notebook with what is worth storing: no output of hidden cells, no bars, small pictures."
    for c in (c for c in nb.cells if c.cell_type == 'code'):
        c.outputs = [] if 'hide' in directives(c) else [o for o in c.outputs if not is_bar(o)]
        for o in c.outputs:
            if 'image/png' in o.get('data', {}): o.data['image/png'] = smaller(o.data['image/png'])
    return nb

def store(only=None):
    "Execute in a scratch copy on simulated galaxies; move the notebooks into nbs/ only if every output may be stored."
    asked = os.environ.get('PROFILE', 'demo'), os.environ.get('DATA', 'simulated'), os.environ.get('KIND', '')
    if asked != ('demo', 'simulated', ''):
        sys.exit('outputs are of profile demo on simulated galaxies only: call it without PROFILE, DATA and KIND')
    os.environ.update(GALAXY_PROFILE='demo', GALAXY_DATA='simulated', GALAXY_HOME=str(ROOT))
    os.environ.pop('GALAXY_KIND', None)
    prepare()
    wrong, made = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(ROOT/'settings.ini', scratch)
        folder = Path(shutil.copytree(NBS, Path(scratch)/'nbs', symlinks=True))
        def keep(name, nb, seconds):
            nb = packed(nb)
            nb.metadata['galaxy'] = made_from(name, nb)
            nbformat.write(nb, folder/name)
            wrong.extend(f'nbs/{name} cell {i}: {what}' for i, what in faults(nb))
            made[name] = nb.metadata['galaxy']['code']
        each(folder, keep, only)
        if wrong: raise Stopped('nothing was stored; these outputs must not be:\n  ' + '\n  '.join(wrong))
        subprocess.run([sys.executable, Path(sys.executable).with_name('nbdev_clean')], cwd=scratch, check=True)
        edited = [n for n, was in made.items() if made_from(n)['code'] != was]
        for name in made.keys()-set(edited):
            with replacing(NBS/name) as new: shutil.copy(folder/name, new)
    if edited: raise Stopped(f'not stored, edited meanwhile: {", ".join(map(str, edited))}; call it again')

def again():
    "List what is stale, and execute that alone; with a notebook that shows runs, what made them where they are gone."
    found = stale()
    for name, why in found.items(): print(f'stale: nbs/{name}: {why}', flush=True)
    runs = any((ROOT/'runs'/'demo').glob('*/*/provenance.json'))
    lacking = [m for n in found for m in READS.get(n, []) if not runs]
    if found: store({*found, *lacking})
    else: print('every stored output is of the code as it is')

if __name__ == '__main__':
    try: {'outputs': store, 'stale': again}[sys.argv[1]]()
    except Stopped as e: sys.exit(f'\n{e}')
    except KeyboardInterrupt: sys.exit('\nstopped: nothing was stored')
