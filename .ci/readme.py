"""Writes README.md from nbs/index.ipynb (with --check: only compares), as nbdev would show it; no Quarto needed."""
import re, sys, tempfile
from pathlib import Path
import pypandoc, yaml
from nbdev.processors import FilterDefaults
from nbdev.serve_drv import exec_nb
from notebooks import NBS, ROOT, read

def processed(path):
    "A notebook after nbdev's own filters: hidden cells gone, title and claim as front matter."
    with tempfile.TemporaryDirectory() as t:
        exec_nb(path, Path(t)/'nb.ipynb', FilterDefaults)
        return read(Path(t)/'nb.ipynb')

def output(o):
    "One stored output as Markdown: a table as a table, text as text; a picture stays in the notebook."
    data = o.get('data', {})
    if 'text/markdown' in data: return data['text/markdown']
    if 'text/html' in data: return pypandoc.convert_text(data['text/html'], 'gfm-raw_html', format='html', extra_args=['--columns=500'])
    text = o.get('text') or ('' if any(k.startswith('image') for k in data) else data.get('text/plain', ''))
    return f'```\n{text.rstrip()}\n```' if text.strip() else ''

def markdown(cell):
    "One cell as Markdown; links to notebooks lead into nbs/."
    if cell.cell_type == 'raw':
        front = yaml.safe_load(cell.source.strip().strip('-'))
        return '\n\n'.join(t for t in (f'# {front["title"]}' if 'title' in front else '', f'> {front["description"]}' if 'description' in front else '') if t)
    if cell.cell_type == 'markdown': return re.sub(r'\]\((?!\w+:|#|/)([\w/]+\.ipynb)', r'](nbs/\1', cell.source)
    code = '\n'.join(line for line in cell.source.splitlines() if not re.match(r'\s*#\s*\|', line)).strip()
    shown = [] if re.search(r'^#\|\s*echo:\s*false', cell.source, re.M) else [f'```python\n{code}\n```']
    return '\n\n'.join(filter(None, shown + [output(o).strip() for o in cell.outputs]))

def main(check):
    text = '\n\n'.join(filter(None, (markdown(c).strip() for c in processed(NBS/'index.ipynb').cells)))
    text = f'<!-- written by `make readme` from nbs/index.ipynb -->\n\n{text}\n'
    if not check: (ROOT/'README.md').write_text(text, encoding='utf-8')
    elif (ROOT/'README.md').read_text(encoding='utf-8') != text: sys.exit('run make readme: README.md is not what nbs/index.ipynb says')

if __name__ == '__main__': main('--check' in sys.argv)
