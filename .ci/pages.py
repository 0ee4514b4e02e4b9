"""Makes the site's inputs in _proc/ and proves of them what can be proved without Quarto: figures, references, links,
and that pandoc reads every page."""
import os, re, runpy, shutil, subprocess, sys, time
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
import pypandoc, yaml
from fastcore.docments import docments, empty
from nbdev import showdoc
from nbdev.process import Processor
from nbdev.processors import FilterDefaults, exec_show_docs, mv_exports
from nbdev.serve_drv import exec_nb
import gallery
from notebooks import EXPORTED, NBS, PICTURES, ROOT, directives, drawn, figures, options, ordered, prose, read
from quarto import CELL, NBDEV, check_settings, misfits, settings

PROC = ROOT/'_proc'
MARK = '.made-by-galaxy_nbdev'      # in a folder that this file made and may make anew

# --- what notebooks say of their figures and sources

PAPER = r'https://(?:doi\.org|arxiv\.org/abs)/([^\s)\]]+)'
KEY = r'(?<![\w`/.@])@((?!fig-|tbl-)[a-z]+\d{4}[a-z]?)\b'       # a citation, as pandoc writes it

@lru_cache
def entries():
    "references.bib as key: text of the entry."
    found = re.split(r'^@\w+\{', (NBS/'references.bib').read_text(encoding='utf-8'), flags=re.M)[1:]
    return {e.partition(',')[0].strip(): e for e in found}

def papers():
    "Keys of references.bib, by DOI or number on arXiv, in lower case."
    number = r'\b(?:doi|eprint)\s*=\s*\{([^}]+)\}'
    return {n.lower(): key for key, e in entries().items() for n in re.findall(number, e)}

def cited(text):
    "Keys of the entries that a text cites, by key or by link."
    known = papers()
    return set(re.findall(KEY, text)) | {known[p.lower()] for p in re.findall(PAPER, text) if p.lower() in known}

def referred(text): return re.findall(r'(?<![\w`])@((?:fig|tbl)-[\w-]+)', text)

def check_cells(nb):
    "What is wrong with the options and directives of a notebook's cells, and pictures without a caption."
    wrong = []
    for i, c in enumerate(nb.cells, 1):
        if c.cell_type != 'code': continue
        wrong += [f'cell {i}: option {m}' for m in misfits(options(c), CELL)]
        unknown = [d for d in directives(c) if not d.endswith(':') and d not in NBDEV]
        wrong += [f'cell {i}: nbdev knows no directive {d}' for d in unknown]
        bare = 'hide' not in directives(c) and not options(c).get('label', '').startswith('fig-')
        if bare and any(map(drawn, c.outputs)): wrong.append(f'cell {i}: a picture without label and caption')
    return wrong

def check_figures(nb):
    "What is wrong with a notebook's figures and the references to them."
    labels = [options(c)['label'] for c in nb.cells if c.cell_type == 'code' and 'label' in options(c)]
    figs, refs = figures(nb), set(referred(prose(nb)))
    wrong = [f': two cells are labelled {l}' for l in {l for l in labels if labels.count(l) > 1}]
    wrong += [f': {l} has no {k}' for l, o in figs.items() for k in ('fig-cap', 'fig-alt') if not o.get(k)]
    wrong += [f': the text never refers to @{l}' for l in figs if l not in refs]
    return wrong + [f': @{l} is no figure of this notebook' for l in refs-figs.keys()]

def check_text(name, nb):
    "Citations and links of a notebook's text that lead nowhere."
    text, known = prose(nb), papers()
    wrong = [f': references.bib has no {p}' for p in re.findall(PAPER, text) if p.lower() not in known]
    wrong += [f': references.bib has no @{k}' for k in re.findall(KEY, text) if k not in entries()]
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        file = link.partition('#')[0]
        if file and not re.match(r'\w+:', file) and not (NBS/name.parent/file).is_file():
            wrong.append(f': its link {link} leads nowhere')
    return wrong

def check_notebooks():
    "What is wrong with the notebooks' options, figures, citations and links to one another; entries that nobody cites."
    notebooks = {name: read(NBS/name) for name in ordered()}
    checked = lambda name, nb: check_cells(nb) + check_figures(nb) + check_text(name, nb)
    wrong = [f'nbs/{name} {w}' for name, nb in notebooks.items() for w in checked(name, nb)]
    unused = entries().keys() - {k for nb in notebooks.values() for k in cited(prose(nb))}
    return wrong + [f'references.bib: no notebook cites {k}' for k in sorted(unused)] + gallery.missing()

# --- pages from notebooks

class Table(showdoc.BasicMarkdownRenderer):
    "A function's entry: its name, what it does, a row for each parameter."
    def _repr_markdown_(self):
        clean = lambda c: str(c).replace('|', '\\|').replace('\n', ' ')
        row = lambda *cells: '| ' + ' | '.join(map(clean, cells)) + ' |'
        kind = lambda a: '' if a in (empty, None) else f'`{getattr(a, "__name__", a)}`'
        found = docments(self.sym, full=True, returns=True).items()
        said = {k: d for k, d in found if d.docment or k not in ('self', 'return')}
        rows = [row('**returns**' if k == 'return' else f'`{k}`', kind(d.anno),
                    '' if d.default is empty else f'`{d.default!r}`', d.docment or '') for k, d in said.items()]
        table = [row('', 'type', 'default', 'what it is'), '|---|---|---|---|', *rows] if rows else []
        return '\n'.join([f'{"#"*self.title_level} {self.nm}', '', self.docs or '', '', *table, ''])

def show_doc(sym, **how): return showdoc.show_doc(sym, renderer=Table, **how)

class show_docs(exec_show_docs):
    "nbdev's, with our tables; executed are exported cells and cells of imports alone, never a demonstration or a test."
    def begin(self):
        super().begin()
        if hasattr(self, 'k'): self.k.run_cell('from pages import show_doc')
    def __call__(self, cell):
        trees = cell.parsed_() if cell.cell_type == 'code' else None
        if not trees: return
        imports = all(type(t).__name__ in ('Import', 'ImportFrom') for t in trees)
        wanted = cell.directives_.keys() & EXPORTED or re.search('^show_doc', cell.source, re.M) or imports
        if wanted: super().__call__(cell)
    def end(self): pass     # no state of widgets: a picture of each stands after it

def no_widgets(cell):
    "A widget needs a kernel: the page keeps the picture after it."
    widget = 'application/vnd.jupyter.widget-view+json'
    if cell.get('outputs'): cell['outputs'] = [o for o in cell.outputs if widget not in (o.get('data') or {})]

def anchors(cell):
    "Jupyter's anchors keep capitals, the site's have none."
    lower = lambda m: f'{m[1]}{m[2].lower()})'
    if cell.cell_type == 'markdown': cell.source = re.sub(r'(\]\([^)\s]*#)([^)\s]+)\)', lower, cell.source)

class cites(Processor):
    "A page lists the papers that its text links."
    def end(self):
        keys = sorted(set().union(*(cited(c.source) for c in self.nb.cells if c.cell_type == 'markdown')))
        head = next((c for c in self.nb.cells if c.cell_type == 'raw'), None)
        if keys and head:
            front = yaml.safe_load(head.source.strip().strip('-')) | {'nocite': ', '.join(f'@{k}' for k in keys)}
            head.source = f'---\n{yaml.safe_dump(front, allow_unicode=True)}---\n'

class Pages(FilterDefaults):
    "nbdev's processors and ours; a table follows its source, which `mv_exports` misplaces after two functions."
    def base_procs(self):
        ours = {exec_show_docs: show_docs}
        return [ours.get(p, p) for p in super().base_procs() if p is not mv_exports] + [no_widgets, anchors, cites]

class Quickly(Pages):
    "The same without executing anything, so without tables of functions."
    def base_procs(self): return [p for p in super().base_procs() if p is not show_docs
                                  and p.__name__ != 'add_show_docs']

def emptied(folder):
    "A folder made anew; one that was not made here is put aside."
    if folder.exists() and not (folder/MARK).exists() and any(folder.iterdir()):
        aside = folder.rename(folder.with_name(f'{folder.name}.{time.strftime("%Y%m%d-%H%M%S")}'))
        print(f'{folder} held other files: they are in {aside} now', flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder/MARK).touch()
    return folder

def make(proc=PROC, how=Pages):
    "Write the folder `proc`: every notebook processed, everything else under nbs/ copied."
    emptied(proc)
    for f in sorted(p.relative_to(NBS) for p in NBS.rglob('*') if p.is_file()):
        if any(part[0] in '._' for part in f.parts) and f.name != '_quarto.yml': continue
        (proc/f).parent.mkdir(parents=True, exist_ok=True)
        if f.suffix != '.ipynb': shutil.copy(NBS/f, proc/f)
    os.environ['IN_TEST'] = '1'
    for name in ordered(): exec_nb(NBS/name, proc/name, how)
    gallery.write(proc)

# --- pages, read by pandoc

def output(o):
    "An output as Quarto hands it to pandoc; a picture stands by itself, see `markdown`."
    data = o.get('data', {})
    text = lambda k: ''.join(data[k])
    if 'text/markdown' in data: return text('text/markdown')
    if 'text/html' in data: return f'```{{=html}}\n{text("text/html")}\n```'
    if any(k in data for k in PICTURES): return ''
    if o.output_type == 'error':
        said = re.sub(r'\x1b\[[\d;]*m', '', '\n'.join(o.traceback))
        return f'```\n{said}\n```'
    said = ''.join(o.get('text') or data.get('text/plain') or '')
    return f'```\n{said.rstrip()}\n```' if said.strip() else ''

def figure(cell, number, pictures):
    "The figure of a labelled cell; a cell may say in words why it draws nothing."
    o, images = options(cell), [d for out in cell.outputs if (d := drawn(out))] if pictures else ['figure.png']
    if not images: return f'[]{{#{o["label"]}}}'
    alt = str(o.get('fig-alt', '')).replace('"', "'")
    return f'![Figure {number}. {o["fig-cap"]}]({images[0]}){{#{o["label"]} alt="{alt}"}}'

def markdown(nb, pictures=False):
    "A page as Markdown: figures with captions and numbers, references to them as links; `pictures`: as they are."
    parts, numbers = [], {label: i for i, label in enumerate(figures(nb), 1)}
    link = lambda m: f'[Figure {numbers[m[1]]}](#{m[1]})' if m[1] in numbers else m[0]
    for c in nb.cells:
        if c.cell_type != 'code':
            parts.append(re.sub(r'(?<![\w`])@(fig-[\w-]+)', link, c.source))
            continue
        o = options(c)
        code = '\n'.join(line for line in c.source.splitlines() if not line.startswith('#|')).strip()
        shown = [f'```python\n{code}\n```'] if o.get('echo', True) and code else []
        label = o.get('label', '')
        drawing = [figure(c, numbers[label], pictures)] if label in numbers else []
        inner = [*shown, *map(output, c.outputs), *drawing]
        parts.append('\n\n'.join([':::: {.cell}', *filter(None, inner), '::::']) if any(inner) else '')
    return '\n\n'.join(parts)

class Read(HTMLParser):
    "The ids and the links of a page."
    def __init__(self, text):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if a.get('id'): self.ids.add(a['id'])
        if tag == 'a' and 'href' in a: self.links.append(a['href'] or '')

def as_html(text, folder, *more):
    "A page's Markdown converted by pandoc, and what it warned of."
    command = [pypandoc.get_pandoc_path(), '-f', 'markdown', '-t', 'html', '--mathml', '--citeproc', '--standalone',
               '--bibliography', str(folder/'references.bib'), '-M', 'link-citations=true', '-M', 'pagetitle=page',
               *more]
    r = subprocess.run(command, input=text, text=True, capture_output=True)
    return r.stdout, r.stderr.strip() or ('it failed' if r.returncode else '')

def front_matter(nb): return next((yaml.safe_load(c.source.strip().strip('-')) for c in nb.cells
                                   if c.cell_type == 'raw'), {})

@lru_cache
def documented():
    "Addresses that nbdev gives the package's own names; their tables are on a page only where it was executed."
    index = runpy.run_path(str(ROOT/'galaxy_nbdev/_modidx.py'))['d']['syms']
    return {page for names in index.values() for page, _ in names.values()}

def check_links(name, links, pages, where, site):
    "Links of a page that lead nowhere; `pages`: the pages by name, `where`: names by address, `site`: the site's own."
    wrong = []
    for link in links:
        here = link.startswith(site)
        file, _, anchor = link.removeprefix(site).partition('#')
        if re.match(r'\w+:', file):
            fine = re.match(r'https?://[\w.-]+\.\w+(/|$)|mailto:\S+@\S+', file)
            if not fine: wrong.append(f'{name}: {link} is no address')
            continue
        target = where.get(file) if here else os.path.normpath(Path(name).parent/file) if file else name
        known = here and link.removeprefix(site) in documented()
        if target not in pages: wrong.append(f'{name}: its link {link} leads nowhere')
        elif anchor and anchor not in pages[target].ids and not known: wrong.append(f'{name}: there is no {link}')
    return wrong

def others(): return [p.name for p in sorted(NBS.glob('*.md'))]

def check_pages(proc=PROC):
    "Convert every page of `proc` by pandoc: what it warns of, links that lead nowhere; and the number of links."
    wrong, pages, where, sources = [], {}, {}, {}
    for name in ordered():
        nb = read(proc/name)
        sources[str(name)] = markdown(nb)
        where[str(name.with_name(front_matter(nb).get('output-file', f'{name.stem}.html')))] = str(name)
    for name in others():
        sources[name] = (proc/name).read_text(encoding='utf-8')
        where[Path(name).with_suffix('.html').as_posix()] = name
    for name, text in sources.items():
        text, warned = as_html(text, proc)
        if warned: wrong.append(f'{name}: pandoc warns: {warned}')
        pages[name] = Read(text)
    site = settings()['website']['site-url'].rstrip('/')+'/'
    for name, page in pages.items(): wrong += check_links(name, page.links, pages, where, site)
    return wrong, sum(len(p.links) for p in pages.values())

def check(proc=PROC, how=Pages):
    "Everything above on the notebooks and on pages made in `proc`: what is wrong, and a line of what was looked at."
    wrong = check_settings() + check_notebooks()
    make(proc, how)
    more, links = check_pages(proc)
    return wrong+more, f'{len(ordered())+len(others())} pages, {links} links'

if __name__ == '__main__':
    wrong, said = check()
    sys.exit('\n'.join(wrong) or print(f'site: {said}, _proc/ is ready for Quarto'))
