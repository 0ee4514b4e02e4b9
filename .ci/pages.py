"""Makes the site's inputs in _proc/ and proves of them what can be proved without Quarto: settings, figures, references, links, and that pandoc reads every page."""
import os, re, runpy, shutil, subprocess, sys, tempfile
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
import nbformat, pypandoc, yaml
from fastcore.docments import docments, empty
from nbdev import showdoc
from nbdev.process import Processor
from nbdev.processors import FilterDefaults, exec_show_docs, mv_exports
from nbdev.serve_drv import exec_nb
from notebooks import NBS, ROOT, directives, ordered, read

PROC = ROOT/'_proc'

# --- settings, against Quarto's reference (https://quarto.org/docs/reference)

TEXT, FLAG, NUMBER, TEXTS = str, bool, (int, float), [str]
def one(*values): return set(values)
ITEM = {'href': TEXT, 'text': TEXT, 'icon': TEXT, 'aria-label': TEXT, 'rel': TEXT, 'target': TEXT}
COLOURS = one('primary', 'secondary', 'success', 'danger', 'warning', 'info', 'light', 'dark')
CONTENTS = [TEXT, ITEM, {'section': TEXT, 'contents': [TEXT, ITEM]}]
SOCIAL = {'title': TEXT, 'description': TEXT, 'image': TEXT, 'image-alt': TEXT, 'image-width': NUMBER, 'image-height': NUMBER}
WEBSITE = {'title': TEXT, 'description': TEXT, 'favicon': TEXT, 'site-url': TEXT, 'site-path': TEXT, 'repo-url': TEXT, 'repo-subdir': TEXT, 'repo-branch': TEXT, 'issue-url': TEXT,
           'repo-actions': [one('edit', 'source', 'issue'), one('none')], 'reader-mode': FLAG, 'image': TEXT, 'image-alt': TEXT, 'page-navigation': FLAG, 'back-to-top-navigation': FLAG, 'bread-crumbs': FLAG,
           'page-footer': (TEXT, {'left': (TEXT, [ITEM]), 'center': (TEXT, [ITEM]), 'right': (TEXT, [ITEM]), 'border': FLAG, 'background': TEXT}),
           'open-graph': (FLAG, SOCIAL | {'locale': TEXT, 'site-name': TEXT}), 'twitter-card': (FLAG, SOCIAL | {'card-style': one('summary', 'summary_large_image'), 'creator': TEXT, 'site': TEXT}),
           'search': (FLAG, {'location': one('navbar', 'sidebar'), 'type': one('overlay', 'textbox'), 'limit': NUMBER, 'collapse-after': NUMBER, 'copy-button': FLAG}),
           'navbar': (FLAG, {'title': (TEXT, FLAG), 'logo': TEXT, 'logo-alt': TEXT, 'logo-href': TEXT, 'background': (COLOURS, TEXT), 'foreground': (COLOURS, TEXT), 'search': FLAG, 'pinned': FLAG, 'collapse': FLAG,
                             'collapse-below': one('sm', 'md', 'lg', 'xl', 'xxl'), 'left': [TEXT, ITEM], 'right': [TEXT, ITEM], 'toggle-position': one('left', 'right')}),
           'sidebar': {'id': TEXT, 'title': (TEXT, FLAG), 'logo': TEXT, 'search': FLAG, 'tools': [ITEM], 'contents': CONTENTS, 'style': one('docked', 'floating'), 'background': (COLOURS, TEXT),
                       'foreground': (COLOURS, TEXT), 'border': FLAG, 'alignment': one('left', 'right', 'center'), 'collapse-level': NUMBER, 'pinned': FLAG}}
THEMES = one(*'default cerulean cosmo cyborg darkly flatly journal litera lumen lux materia minty morph pulse quartz sandstone simplex sketchy slate solar spacelab superhero united vapor yeti zephyr'.split())
HTML = {'theme': (THEMES, {'light': (THEMES, [THEMES, TEXT]), 'dark': (THEMES, [THEMES, TEXT])}), 'css': (TEXT, TEXTS), 'toc': FLAG, 'toc-depth': NUMBER, 'toc-expand': (FLAG, NUMBER), 'toc-location': one('body', 'left', 'right'),
        'toc-title': TEXT, 'code-fold': (FLAG, one('show')), 'code-summary': TEXT, 'code-tools': FLAG, 'code-copy': (FLAG, one('hover')), 'code-overflow': one('scroll', 'wrap'), 'code-line-numbers': FLAG,
        'fig-align': one('default', 'left', 'center', 'right'), 'fig-cap-location': one('top', 'bottom', 'margin'), 'tbl-cap-location': one('top', 'bottom', 'margin'), 'link-external-newwindow': FLAG, 'link-external-icon': FLAG,
        'smooth-scroll': FLAG, 'anchor-sections': FLAG, 'number-sections': FLAG, 'html-math-method': one('plain', 'webtex', 'gladtex', 'mathml', 'mathjax', 'katex'), 'lightbox': (FLAG, one('auto')),
        'citations-hover': FLAG, 'crossrefs-hover': FLAG, 'footnotes-hover': FLAG, 'page-layout': one('article', 'full', 'custom'), 'embed-resources': FLAG, 'max-width': TEXT}
CROSSREF = {'chapters': FLAG, 'fig-title': TEXT, 'fig-prefix': (TEXT, FLAG), 'fig-labels': TEXT, 'tbl-title': TEXT, 'tbl-prefix': (TEXT, FLAG), 'title-delim': TEXT, 'ref-hyperlink': FLAG}
SETTINGS = {'project': {'type': one('default', 'website', 'book', 'manuscript'), 'output-dir': TEXT, 'render': TEXTS, 'resources': (TEXT, TEXTS), 'title': TEXT,
                        'preview': {'port': NUMBER, 'host': TEXT, 'browser': FLAG, 'navigate': FLAG, 'timeout': NUMBER, 'watch-inputs': FLAG}},
            'website': WEBSITE, 'format': {'html': HTML}, 'bibliography': (TEXT, TEXTS), 'csl': TEXT, 'link-citations': FLAG, 'crossref': CROSSREF, 'lang': TEXT, 'metadata-files': TEXTS, 'toc': FLAG,
            'execute': {'enabled': FLAG, 'freeze': (FLAG, one('auto')), 'cache': (FLAG, one('refresh')), 'echo': (FLAG, one('fenced')), 'warning': FLAG, 'error': FLAG}}
CELL = {'label': TEXT, 'fig-cap': (TEXT, TEXTS), 'fig-subcap': TEXTS, 'fig-alt': (TEXT, TEXTS), 'fig-width': NUMBER, 'fig-height': NUMBER, 'fig-align': HTML['fig-align'], 'tbl-cap': TEXT, 'echo': (FLAG, one('fenced')), 'eval': FLAG,
        'output': (FLAG, one('asis')), 'warning': FLAG, 'error': FLAG, 'include': FLAG, 'code-fold': HTML['code-fold'], 'code-summary': TEXT, 'column': TEXT, 'classes': (TEXT, TEXTS), 'layout-ncol': NUMBER}
NBDEV = {'default_exp', 'export', 'exports', 'exporti', 'hide', 'notest', 'slow', 'gpu', 'real'}

def fits(value, kind):
    "Is a value of this kind: a type, one of a set, a list of kinds, a table of keys, or any of a tuple of kinds?"
    if isinstance(kind, tuple): return any(fits(value, k) for k in kind)
    if isinstance(kind, set): return isinstance(value, str) and value in kind
    if isinstance(kind, list): return isinstance(value, list) and all(any(fits(v, k) for k in kind) for v in value)
    if isinstance(kind, dict): return isinstance(value, dict) and all(k in kind and fits(v, kind[k]) for k, v in value.items())
    return isinstance(value, kind) and (kind is FLAG or not isinstance(value, bool))

def misfits(value, kind, at=''):
    "Where a value is not of its kind, as 'website.search: ...'."
    tables = [k for k in (kind if isinstance(kind, tuple) else (kind,)) if isinstance(k, dict)]
    if fits(value, kind): return []
    if not (isinstance(value, dict) and tables): return [f'{at}: {value!r} is not what Quarto knows there']
    unknown = [f'{at}.{k}'.lstrip('.') + ': Quarto knows no such key' for k in value if k not in tables[0]]
    return unknown + [m for k, v in value.items() if k in tables[0] for m in misfits(v, tables[0][k], f'{at}.{k}'.lstrip('.'))]

def merged(a, b):
    "Two tables of settings as Quarto joins them."
    return {k: merged(a[k], b[k]) if isinstance(a.get(k), dict) and isinstance(b.get(k), dict) else b.get(k, a.get(k)) for k in a | b}

def settings():
    "_quarto.yml with the files it names."
    res = yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))
    for f in res.get('metadata-files', []): res = merged(res, yaml.safe_load((NBS/f).read_text(encoding='utf-8')))
    return res

NEEDED = ['website.title', 'website.sidebar.contents', 'website.repo-url', 'website.repo-actions', 'website.site-url', 'website.search', 'website.open-graph', 'website.image', 'website.image-alt', 'format.html.theme.light',
          'format.html.theme.dark', 'format.html.code-fold', 'format.html.toc', 'bibliography', 'crossref.fig-prefix']

def check_settings():
    "What is wrong with _quarto.yml and the sidebar: unknown keys, wrong types, what is missing, files that are not there, notebooks left out."
    s = settings()
    wrong = misfits(s, SETTINGS)
    for path in NEEDED:
        at = s
        for k in path.split('.'): at = at.get(k) if isinstance(at, dict) else None
        if not at: wrong.append(f'{path} is missing')
    contents = s['website']['sidebar']['contents']
    listed = [c for c in contents if isinstance(c, str)] + [n for c in contents if isinstance(c, dict) for n in c['contents']]
    sections = [c['section'] for c in contents if isinstance(c, dict)]
    if sections != ['Story', 'Foundations']: wrong.append(f'the sidebar has the sections {sections}, not Story and Foundations')
    wrong += [f'the sidebar leaves out {n}' for n in map(str, ordered()) if n not in listed] + [f'the sidebar names {n} twice' for n in {n for n in listed if listed.count(n) > 1}]
    files = [*listed, s['bibliography'], s['format']['html'].get('css'), s['website'].get('image')]
    return wrong + [f'there is no nbs/{f}' for f in files if f and not (NBS/f).is_file()]

# --- what notebooks say of their figures and sources

PAPER = r'https://(?:doi\.org|arxiv\.org/abs)/([^\s)\]]+)'

def papers():
    "Keys of references.bib, by DOI or number on arXiv, in lower case."
    entries = re.split(r'^@\w+\{', (NBS/'references.bib').read_text(encoding='utf-8'), flags=re.M)[1:]
    return {number.lower(): e.partition(',')[0].strip() for e in entries for number in re.findall(r'\b(?:doi|eprint)\s*=\s*\{([^}]+)\}', e)}

def options(cell):
    "A code cell's options to Quarto."
    lines = [m[1] for line in cell.source.splitlines() if (m := re.match(r'#\|\s*([\w-]+:.*)', line))]
    return yaml.safe_load('\n'.join(lines)) or {}

def prose(nb): return '\n\n'.join(c.source for c in nb.cells if c.cell_type == 'markdown')

def referred(text): return re.findall(r'(?<![\w`])@((?:fig|tbl)-[\w-]+)', text)

def figures(nb):
    "Options of the cells that draw a figure with a label, by label."
    return {o['label']: o for c in nb.cells if c.cell_type == 'code' and 'hide' not in directives(c) and (o := options(c)).get('label', '').startswith('fig-')}


def check_notebooks():
    "What is wrong with the notebooks' options, figures, citations and links to one another."
    wrong, known = [], papers()
    for name in ordered():
        nb, say = read(NBS/name), lambda what: wrong.append(f'nbs/{name} {what}')
        for i, c in enumerate(nb.cells, 1):
            if c.cell_type != 'code': continue
            for m in misfits(options(c), CELL): say(f'cell {i}: option {m}')
            for d in directives(c):
                if not d.endswith(':') and d not in NBDEV: say(f'cell {i}: nbdev knows no directive {d}')
            label = options(c).get('label', '')
            if 'hide' not in directives(c) and not label.startswith('fig-') and any(map(drawn, c.outputs)): say(f'cell {i}: a picture without label and caption')
        labels = [options(c)['label'] for c in nb.cells if c.cell_type == 'code' and 'label' in options(c)]
        for l in {l for l in labels if labels.count(l) > 1}: say(f': two cells are labelled {l}')
        figs, refs = figures(nb), set(referred(prose(nb)))
        for l, o in figs.items():
            for k in ('fig-cap', 'fig-alt'):
                if not o.get(k): say(f': {l} has no {k}')
            if l not in refs: say(f': the text never refers to @{l}')
        for l in refs-figs.keys(): say(f': @{l} is no figure of this notebook')
        for paper in re.findall(PAPER, prose(nb)):
            if paper.lower() not in known: say(f': references.bib has no {paper}')
        for link in re.findall(r'\]\(([^)\s]+)\)', prose(nb)):
            file = link.partition('#')[0]
            if file and not re.match(r'\w+:', file) and not (NBS/name.parent/file).is_file(): say(f': its link {link} leads nowhere')
    return wrong

# --- pages from notebooks

class Table(showdoc.BasicMarkdownRenderer):
    "A function's entry: its name, what it does, a row for each parameter."
    def _repr_markdown_(self):
        row = lambda *cells: '| ' + ' | '.join(str(c).replace('|', '\\|').replace('\n', ' ') for c in cells) + ' |'
        name = lambda a: '' if a in (empty, None) else getattr(a, '__name__', str(a))
        said = {k: d for k, d in docments(self.sym, full=True, returns=True).items() if d.docment or k not in ('self', 'return')}
        rows = [row('**returns**' if k == 'return' else f'`{k}`', name(d.anno) and f'`{name(d.anno)}`', '' if d.default is empty else f'`{d.default!r}`', d.docment or '') for k, d in said.items()]
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
        exported = trees and cell.directives_.keys() & {'export', 'exports', 'exporti'}
        if trees and (exported or re.search('^show_doc', cell.source, re.M) or all(type(t).__name__ in ('Import', 'ImportFrom') for t in trees)): super().__call__(cell)
    def end(self): pass     # no state of widgets: a picture of each stands after it

def no_widgets(cell):
    "A widget needs a kernel: the page keeps the picture after it."
    if cell.get('outputs'): cell['outputs'] = [o for o in cell.outputs if 'application/vnd.jupyter.widget-view+json' not in (o.get('data') or {})]

def anchors(cell):
    "Jupyter's anchors keep capitals, the site's have none."
    if cell.cell_type == 'markdown': cell.source = re.sub(r'(\]\([^)\s]*#)([^)\s]+)\)', lambda m: f'{m[1]}{m[2].lower()})', cell.source)

class cites(Processor):
    "A page lists the papers that its text links."
    def end(self):
        known = papers()
        keys = sorted({known[p.lower()] for c in self.nb.cells if c.cell_type == 'markdown' for p in re.findall(PAPER, c.source) if p.lower() in known})
        head = next((c for c in self.nb.cells if c.cell_type == 'raw'), None)
        if keys and head:
            front = yaml.safe_load(head.source.strip().strip('-')) | {'nocite': ', '.join(f'@{k}' for k in keys)}
            head.source = f'---\n{yaml.safe_dump(front, allow_unicode=True)}---\n'

class Pages(FilterDefaults):
    "nbdev's processors, with ours among them; a table follows its source, which `mv_exports` misplaces where a cell has two functions."
    def base_procs(self): return [show_docs if p is exec_show_docs else p for p in super().base_procs() if p is not mv_exports] + [no_widgets, anchors, cites]

class Quickly(Pages):
    "The same without executing anything, so without tables of functions."
    def base_procs(self): return [p for p in super().base_procs() if p is not show_docs and p.__name__ != 'add_show_docs']

def make(proc=PROC, how=Pages):
    "Write the folder `proc`: every notebook processed, everything else under nbs/ copied."
    shutil.rmtree(proc, ignore_errors=True)
    for f in sorted(p.relative_to(NBS) for p in NBS.rglob('*') if p.is_file()):
        if any(part[0] in '._' for part in f.parts) and f.name != '_quarto.yml': continue
        (proc/f).parent.mkdir(parents=True, exist_ok=True)
        if f.suffix != '.ipynb': shutil.copy(NBS/f, proc/f)
    os.environ['IN_TEST'] = '1'
    for name in ordered(): exec_nb(NBS/name, proc/name, how)

# --- pages, read by pandoc

PICTURES = ('image/png', 'image/jpeg')

def drawn(o):
    "A stored picture as an address that holds it, or None."
    return next((f'data:{k};base64,{"".join(o.data[k]).strip()}' for k in PICTURES if k in o.get('data', {})), None)

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

def markdown(nb, pictures=False):
    "A page as Markdown: figures with their captions and numbers, references to them as links; `pictures`: with what they show."
    parts, numbers = [], {label: i for i, label in enumerate(figures(nb), 1)}
    for c in nb.cells:
        if c.cell_type != 'code':
            parts.append(re.sub(r'(?<![\w`])@(fig-[\w-]+)', lambda m: f'[Figure {numbers[m[1]]}](#{m[1]})' if m[1] in numbers else m[0], c.source))
            continue
        o = options(c)
        code = '\n'.join(line for line in c.source.splitlines() if not line.startswith('#|')).strip()
        shown = [f'```python\n{code}\n```'] if o.get('echo', True) and code else []
        images = [d for out in c.outputs if (d := drawn(out))] if pictures else ['figure.png']
        figure = []
        if o.get('label', '') in numbers:
            alt = str(o.get('fig-alt', '')).replace('"', "'")
            figure = [f'![Figure {numbers[o["label"]]}. {o["fig-cap"]}]({images[0]}){{#{o["label"]} alt="{alt}"}}'] if images else [f'[]{{#{o["label"]}}}']     # a cell may say in words why it draws nothing
        inner = [*shown, *map(output, c.outputs), *figure]
        parts.append('\n\n'.join([':::: {.cell}', *filter(None, inner), '::::']) if any(inner) else '')
    return '\n\n'.join(parts)

class Read(HTMLParser):
    "The ids and the links of a page."
    def __init__(self, text):
        super().__init__(); self.ids, self.links = set(), []
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if a.get('id'): self.ids.add(a['id'])
        if tag == 'a' and 'href' in a: self.links.append(a['href'] or '')

def as_html(nb, folder, *more, pictures=False):
    "A page converted by pandoc, and what it warned of."
    command = [pypandoc.get_pandoc_path(), '-f', 'markdown', '-t', 'html', '--mathml', '--citeproc', '--bibliography', str(folder/'references.bib'), '--standalone', '--metadata', 'pagetitle=page', *more]
    r = subprocess.run(command, input=markdown(nb, pictures), text=True, capture_output=True)
    return r.stdout, r.stderr.strip() or ('it failed' if r.returncode else '')

def front_matter(nb): return next((yaml.safe_load(c.source.strip().strip('-')) for c in nb.cells if c.cell_type == 'raw'), {})

@lru_cache
def documented():
    "Addresses that nbdev gives the package's own names; their tables are on a page only where it was executed."
    index = runpy.run_path(str(ROOT/'galaxy_nbdev/_modidx.py'))['d']['syms']
    return {page for names in index.values() for page, _ in names.values()}

def check_links(name, links, pages, where, site):
    "Links of a page that lead nowhere; `pages` are the pages by name, `where` their names by address, `site` the site's own."
    wrong = []
    for link in links:
        here = link.startswith(site)
        file, _, anchor = link.removeprefix(site).partition('#')
        if re.match(r'\w+:', file):
            if not re.match(r'https?://[\w.-]+\.\w+(/|$)|mailto:\S+@\S+', file): wrong.append(f'{name}: {link} is no address')
            continue
        target = where.get(file) if here else os.path.normpath(Path(name).parent/file) if file else name
        if target not in pages: wrong.append(f'{name}: its link {link} leads nowhere')
        elif anchor and anchor not in pages[target].ids and not (here and link.removeprefix(site) in documented()): wrong.append(f'{name}: there is no {link}')
    return wrong

def check_pages(proc=PROC):
    "Convert every page of `proc` by pandoc: what it warns of, links that lead nowhere; and the number of links."
    wrong, pages, where = [], {}, {}
    for name in ordered():
        nb = read(proc/name)
        text, warned = as_html(nb, proc)
        if warned: wrong.append(f'{name}: pandoc warns: {warned}')
        pages[str(name)] = Read(text)
        where[str(name.with_name(front_matter(nb).get('output-file', f'{name.stem}.html')))] = str(name)
    site = settings()['website']['site-url'].rstrip('/')+'/'
    for name, page in pages.items(): wrong += check_links(name, page.links, pages, where, site)
    return wrong, sum(len(p.links) for p in pages.values())

def check(proc=PROC, how=Pages):
    "Everything above on the notebooks and on pages made in `proc`: a list of what is wrong, and a line of what was looked at."
    wrong = check_settings() + check_notebooks()
    make(proc, how)
    more, links = check_pages(proc)
    return wrong+more, f'{len(ordered())} pages, {links} links'

# --- the report of make run

STYLE = """<style>
body {font: 16px/1.55 system-ui, sans-serif; color: #222; max-width: 54rem; margin: 0 auto; padding: 1rem; overflow-wrap: break-word}
nav {font-size: .9rem; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; border-bottom: 1px solid #ddd; padding-bottom: .5rem}
h1, h2, h3 {line-height: 1.25} header h1 {margin: 1.2rem 0 .2rem} a {color: #0b5394} blockquote {margin-left: 0; color: #555; font-style: italic}
img {max-width: 100%; height: auto} figure {margin: 1.2rem 0} figcaption {font-size: .9rem; color: #555}
pre {overflow-x: auto; font-size: .82rem; line-height: 1.4; padding: .6rem .8rem; background: #fff; border-left: 3px solid #e3e3e3} div.sourceCode pre, pre.sourceCode {background: #f6f6f6; border: 0; border-radius: 4px}
.cell {overflow-x: auto} table {border-collapse: collapse; border: 0; font-size: .85rem} td, th {padding: .2rem .7rem .2rem 0; text-align: left; border: 0; border-bottom: 1px solid #eee} math {overflow-x: auto}
</style>"""

class Executed(Quickly):
    "For the report: nothing leads to the site on the net."
    def base_procs(self): return [p for p in super().base_procs() if p.__name__ not in ('add_links', 'insert_warning')]

def report_page(name, nb, names, folder):
    "An executed notebook as a page that is read without a network; `folder` is that of the report's notebooks."
    up, at = '../'*(len(name.parts)-1), names.index(name)
    link = lambda to, text: f'<a href="{up}{to.with_suffix(".html").as_posix()}">{text}</a>'
    near = [link(n, text.format(n.stem)) for i, text in ((at-1, '← {}'), (at+1, '{} →')) if 0 <= i < len(names) for n in [names[i]]]
    nav = [f'<a href="../{up}index.html">all notebooks</a>', *near]
    nav += [f'<a href="{name.name}">this one, executed (.ipynb)</a>']
    with tempfile.TemporaryDirectory() as t:
        t = Path(t)
        nbformat.write(nb, t/'in.ipynb'); exec_nb(t/'in.ipynb', t/'out.ipynb', Executed)
        page = read(t/'out.ipynb')
        for c in page.cells:
            if c.cell_type == 'markdown': c.source = re.sub(r'(\]\((?!\w+:)[^)\s#]+)\.ipynb', r'\1.html', c.source)
        (t/'head.html').write_text(STYLE, encoding='utf-8')
        (t/'nav.html').write_text(f'<nav>{"".join(nav)}</nav>' , encoding='utf-8')
        front = front_matter(page)
        if 'description' in front: page.cells.insert(1, nbformat.v4.new_markdown_cell(f'> {front["description"]}'))
        text, warned = as_html(page, NBS, '-H', str(t/'head.html'), '-B', str(t/'nav.html'), '-V', 'document-css=false', '-M', f'pagetitle={front.get("title", name.stem)}', '-M', 'lang=en', pictures=True)
    if warned: print(f'\n{name}: pandoc warns: {warned}', file=sys.stderr)
    (folder/name).with_suffix('.html').write_text(text, encoding='utf-8')

if __name__ == '__main__':
    wrong, said = check()
    sys.exit('\n'.join(wrong) or print(f'site: {said}, _proc/ is ready for Quarto'))
