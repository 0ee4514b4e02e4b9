"Which notebooks there are, in which order, and what their cells say of themselves."
import re
from pathlib import Path
import nbformat, yaml
from nbdev.process import extract_directives

ROOT = Path(__file__).resolve().parent.parent
NBS, REPORT, PACKAGE = ROOT/'nbs', ROOT/'_report', ROOT/'galaxy_nbdev'
EXPORTED = {'export', 'exports', 'exporti'}

class Stopped(Exception): "Work on the notebooks stopped; says where and why."

def ordered():
    "Every notebook under nbs/ in reading order: foundations, then the story, then the rest; paths relative to nbs/."
    contents = yaml.safe_load((NBS/'sidebar.yml').read_text(encoding='utf-8'))['website']['sidebar']['contents']
    sections = {c['section']: c['contents'] for c in contents if isinstance(c, dict)}
    listed = [Path(n) for n in sections['Foundations']+sections['Story'] if n.endswith('.ipynb')]
    found = {p.relative_to(NBS) for p in NBS.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts}
    last = Path('index.ipynb')
    return [n for n in listed if n in found] + sorted(found-{*listed, last}) + [last]*(last in found)

def read(path): return nbformat.read(path, as_version=4)

def directives(cell):
    "The names after `#|` at the top of a code cell, with their arguments."
    return extract_directives(cell, remove=False) if cell.cell_type == 'code' else {}

def is_exported(cell): return bool(directives(cell).keys() & EXPORTED)

def is_skipped(cell, flags):
    "Would `nbdev_test` leave this cell out as well?"
    d = directives(cell)
    no_eval = (d.get('eval:') or [''])[0].lower() == 'false'
    return bool(flags & d.keys()) or no_eval or 'nbdev_export(' in cell.source

def options(cell):
    "A code cell's options to Quarto."
    lines = [m[1] for line in cell.source.splitlines() if (m := re.match(r'#\|\s*([\w-]+:.*)', line))]
    return yaml.safe_load('\n'.join(lines)) or {}

def title(nb):
    "The first line of a notebook, without its mark."
    first = (c.source.splitlines()[0] for c in nb.cells if c.cell_type == 'markdown' and c.source.startswith('# '))
    return next(first, '').lstrip('# ')

def prose(nb): return '\n\n'.join(c.source for c in nb.cells if c.cell_type == 'markdown')

def figures(nb):
    "Options of the cells that draw a figure with a label, by label."
    seen = [options(c) for c in nb.cells if c.cell_type == 'code' and 'hide' not in directives(c)]
    return {o['label']: o for o in seen if o.get('label', '').startswith('fig-')}

PICTURES = ('image/png', 'image/jpeg')

def drawn(output):
    "A stored picture as an address that holds it, or None."
    data = output.get('data', {})
    return next((f'data:{k};base64,{"".join(data[k]).strip()}' for k in PICTURES if k in data), None)
