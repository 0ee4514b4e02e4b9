"""Badges below each notebook's title that open it in Colab or Binder, and the cell that installs the package there.
Called as a program: writes them; with --check it only says where they are not as they should be."""
import json, sys
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import quote
from galaxy_nbdev.files import write_text
from notebooks import NBS, ROOT, ordered

MARKS = '[![Open in Colab]', '#| hide\n#| eval: false\n# on Colab only'

def address():
    "Where the repository lies, and its branch."
    cfg = ConfigParser(delimiters=['='], interpolation=None)
    cfg.read(ROOT/'settings.ini', encoding='utf-8')
    return cfg['DEFAULT']['git_url'], cfg['DEFAULT']['branch']

def badges(name):
    "The two badges of a notebook as Markdown."
    url, branch = address()
    repo, path = url.removeprefix('https://github.com/'), f'nbs/{name.as_posix()}'
    colab = f'https://colab.research.google.com/github/{repo}/blob/{branch}/{path}'
    binder = f'https://mybinder.org/v2/gh/{repo}/{branch}?labpath={quote(path, safe="")}'
    return (f'[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})\n'
            f'[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})')

def install():
    "The cell that installs the package where there is no checkout."
    return f'{MARKS[1]}: the package from its repository\n![ -d /content ] && pip install -q "git+{address()[0]}"'

def source(cell): return ''.join(cell['source'])

def is_badge(cell): return source(cell).startswith(MARKS)

def with_badges(name, nb):
    "The notebook, as JSON, with both cells below its title."
    made = [('markdown', 'badges', badges(name)), ('code', 'install', install())]
    cells = [dict(cell_type=kind, id=id, metadata={}, source=text.splitlines(keepends=True),
                  **({'outputs': [], 'execution_count': None} if kind == 'code' else {})) for kind, id, text in made]
    kept = [c for c in nb['cells'] if not is_badge(c)]
    return nb | {'cells': [kept[0], *cells, *kept[1:]]}

def main(check):
    for name in ordered():
        text = (NBS/name).read_text(encoding='utf-8')
        nb = json.loads(text)
        made = with_badges(name, nb)
        if made == nb: continue
        if check: sys.exit(f'run make badges: nbs/{name} has not the badges that .ci/badges.py writes')
        write_text(NBS/name, json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True)+'\n')

if __name__ == '__main__': main('--check' in sys.argv)
