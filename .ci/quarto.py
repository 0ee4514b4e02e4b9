"The site's settings, against Quarto's reference (https://quarto.org/docs/reference)."
import yaml
from notebooks import NBS, ROOT, ordered

TEXT, FLAG, NUMBER, TEXTS = str, bool, (int, float), [str]
def one(values): return set(values.split())

ITEM = {'href': TEXT, 'text': TEXT, 'icon': TEXT, 'aria-label': TEXT, 'rel': TEXT, 'target': TEXT}
COLOURS = one('primary secondary success danger warning info light dark')
CONTENTS = [TEXT, ITEM, {'section': TEXT, 'contents': [TEXT, ITEM]}]
SOCIAL = {'title': TEXT, 'description': TEXT, 'image': TEXT, 'image-alt': TEXT, 'image-width': NUMBER,
          'image-height': NUMBER}
CARD = SOCIAL | {'card-style': one('summary summary_large_image'), 'creator': TEXT, 'site': TEXT}
FOOTER = {'left': (TEXT, [ITEM]), 'center': (TEXT, [ITEM]), 'right': (TEXT, [ITEM]), 'border': FLAG, 'background': TEXT}
SEARCH = {'location': one('navbar sidebar'), 'type': one('overlay textbox'), 'limit': NUMBER, 'collapse-after': NUMBER,
          'copy-button': FLAG}
LOGO = {'title': (TEXT, FLAG), 'logo': TEXT, 'logo-alt': TEXT, 'logo-href': TEXT, 'search': FLAG, 'pinned': FLAG,
        'background': (COLOURS, TEXT), 'foreground': (COLOURS, TEXT)}
NAVBAR = LOGO | {'collapse': FLAG, 'collapse-below': one('sm md lg xl xxl'), 'left': [TEXT, ITEM],
                 'right': [TEXT, ITEM],
                 'toggle-position': one('left right')}
SIDEBAR = LOGO | {'id': TEXT, 'tools': [ITEM], 'contents': CONTENTS, 'style': one('docked floating'), 'border': FLAG,
                  'alignment': one('left right center'), 'collapse-level': NUMBER}
WEBSITE = {'title': TEXT, 'description': TEXT, 'favicon': TEXT, 'site-url': TEXT, 'site-path': TEXT, 'repo-url': TEXT,
           'repo-subdir': TEXT, 'repo-branch': TEXT, 'issue-url': TEXT,
           'repo-actions': [one('edit source issue'), one('none')],
           'reader-mode': FLAG, 'image': TEXT, 'image-alt': TEXT, 'page-navigation': FLAG,
           'back-to-top-navigation': FLAG,
           'bread-crumbs': FLAG, 'page-footer': (TEXT, FOOTER), 'twitter-card': (FLAG, CARD), 'search': (FLAG, SEARCH),
           'open-graph': (FLAG, SOCIAL | {'locale': TEXT, 'site-name': TEXT}), 'navbar': (FLAG, NAVBAR),
           'sidebar': SIDEBAR}
THEMES = one('default cerulean cosmo cyborg darkly flatly journal litera lumen lux materia minty morph pulse quartz '
             'sandstone simplex sketchy slate solar spacelab superhero united vapor yeti zephyr')
PLACES = one('top bottom margin')
HTML = {'theme': (THEMES, {'light': (THEMES, [THEMES, TEXT]), 'dark': (THEMES, [THEMES, TEXT])}), 'css': (TEXT, TEXTS),
        'toc': FLAG, 'toc-depth': NUMBER, 'toc-expand': (FLAG, NUMBER), 'toc-location': one('body left right'),
        'toc-title': TEXT, 'code-fold': (FLAG, one('show')), 'code-summary': TEXT, 'code-tools': FLAG,
        'code-copy': (FLAG, one('hover')), 'code-overflow': one('scroll wrap'), 'code-line-numbers': FLAG,
        'fig-align': one('default left center right'), 'fig-cap-location': PLACES, 'tbl-cap-location': PLACES,
        'link-external-newwindow': FLAG, 'link-external-icon': FLAG, 'smooth-scroll': FLAG, 'anchor-sections': FLAG,
        'number-sections': FLAG, 'html-math-method': one('plain webtex gladtex mathml mathjax katex'),
        'lightbox': (FLAG, one('auto')), 'citations-hover': FLAG, 'crossrefs-hover': FLAG, 'footnotes-hover': FLAG,
        'page-layout': one('article full custom'), 'embed-resources': FLAG, 'max-width': TEXT}
CROSSREF = {'chapters': FLAG, 'fig-title': TEXT, 'fig-prefix': (TEXT, FLAG), 'fig-labels': TEXT, 'tbl-title': TEXT,
            'tbl-prefix': (TEXT, FLAG), 'title-delim': TEXT, 'ref-hyperlink': FLAG}
PREVIEW = {'port': NUMBER, 'host': TEXT, 'browser': FLAG, 'navigate': FLAG, 'timeout': NUMBER, 'watch-inputs': FLAG}
PROJECT = {'type': one('default website book manuscript'), 'output-dir': TEXT, 'render': TEXTS,
           'resources': (TEXT, TEXTS),
           'title': TEXT, 'preview': PREVIEW}
EXECUTE = {'enabled': FLAG, 'freeze': (FLAG, one('auto')), 'cache': (FLAG, one('refresh')),
           'echo': (FLAG, one('fenced')),
           'warning': FLAG, 'error': FLAG}
CITATION = {'type': one('article book chapter dataset post-weblog software webpage'), 'title': TEXT,
            'author': (TEXT, TEXTS),
            'issued': TEXT, 'version': TEXT, 'url': TEXT, 'container-title': TEXT, 'doi': TEXT}
SETTINGS = {'project': PROJECT, 'website': WEBSITE, 'format': {'html': HTML}, 'bibliography': (TEXT, TEXTS),
            'csl': TEXT,
            'link-citations': FLAG, 'crossref': CROSSREF, 'lang': TEXT, 'metadata-files': TEXTS, 'toc': FLAG,
            'execute': EXECUTE, 'citation': (FLAG, CITATION), 'author': (TEXT, TEXTS)}
CELL = {'label': TEXT, 'fig-cap': (TEXT, TEXTS), 'fig-subcap': TEXTS, 'fig-alt': (TEXT, TEXTS), 'fig-width': NUMBER,
        'fig-height': NUMBER, 'fig-align': HTML['fig-align'], 'tbl-cap': TEXT, 'echo': (FLAG, one('fenced')),
        'eval': FLAG,
        'output': (FLAG, one('asis')), 'warning': FLAG, 'error': FLAG, 'include': FLAG, 'code-fold': HTML['code-fold'],
        'code-summary': TEXT, 'column': TEXT, 'classes': (TEXT, TEXTS), 'layout-ncol': NUMBER}
NBDEV = {'default_exp', 'export', 'exports', 'exporti', 'hide', 'notest', 'slow', 'gpu', 'real'}
NEEDED = [*(f'website.{k}' for k in ('title', 'sidebar.contents', 'repo-url', 'repo-actions', 'site-url', 'search',
                                     'open-graph', 'image', 'image-alt')),
          *(f'format.html.{k}' for k in ('theme.light', 'theme.dark', 'code-fold', 'toc')),
          'bibliography', 'citation.type', 'crossref.fig-prefix']

def fits(value, kind):
    "Is a value of this kind: a type, one of a set, a list of kinds, a table of keys, or any of a tuple of kinds?"
    if isinstance(kind, tuple): return any(fits(value, k) for k in kind)
    if isinstance(kind, set): return isinstance(value, str) and value in kind
    if isinstance(kind, list): return isinstance(value, list) and all(any(fits(v, k) for k in kind) for v in value)
    if isinstance(kind, dict): return isinstance(value, dict) and all(k in kind and fits(v, kind[k]) for k,
                                                                      v in value.items())
    return isinstance(value, kind) and (kind is FLAG or not isinstance(value, bool))

def misfits(value, kind, at=''):
    "Where a value is not of its kind, as 'website.search: ...'."
    tables = [k for k in (kind if isinstance(kind, tuple) else (kind,)) if isinstance(k, dict)]
    if fits(value, kind): return []
    if not (isinstance(value, dict) and tables): return [f'{at}: {value!r} is not what Quarto knows there']
    below = lambda k: f'{at}.{k}'.lstrip('.')
    unknown = [f'{below(k)}: Quarto knows no such key' for k in value if k not in tables[0]]
    return unknown + [m for k, v in value.items() if k in tables[0] for m in misfits(v, tables[0][k], below(k))]

def merged(a, b):
    "Two tables of settings as Quarto joins them."
    both = lambda k: isinstance(a.get(k), dict) and isinstance(b.get(k), dict)
    return {k: merged(a[k], b[k]) if both(k) else b.get(k, a.get(k)) for k in a | b}

def settings():
    "_quarto.yml with the files it names."
    res = yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))
    for f in res.get('metadata-files', []):
        res = merged(res, yaml.safe_load((NBS/f).read_text(encoding='utf-8')))
    return res

def held(table, path):
    "The value at 'a.b.c', or None."
    for k in path.split('.'): table = table.get(k) if isinstance(table, dict) else None
    return table

def check_settings():
    """What is wrong with _quarto.yml and the sidebar: unknown keys, wrong types, what is missing, files that are not
    there, notebooks left out."""
    s = settings()
    wrong = misfits(s, SETTINGS) + [f'{path} is missing' for path in NEEDED if not held(s, path)]
    contents = s['website']['sidebar']['contents']
    listed = [c for c in contents if isinstance(c, str)] + [n for c in contents if isinstance(c, dict)
                                                            for n in c['contents']]
    sections = [c['section'] for c in contents if isinstance(c, dict)]
    if sections[:2] != ['Story',
        'Foundations']: wrong.append(f'the sidebar begins with {sections[:2]}, not with Story and Foundations')
    pages = [*map(str, ordered()), *(p.name for p in NBS.glob('*.md'))]
    wrong += [f'the sidebar leaves out {n}' for n in pages if n not in listed]
    wrong += [f'the sidebar names {n} twice' for n in {n for n in listed if listed.count(n) > 1}]
    files = [*listed, s['bibliography'], s['format']['html'].get('css'), s['website'].get('image')]
    return wrong + [f'there is no nbs/{f}' for f in files if f and not (NBS/f).is_file()]
