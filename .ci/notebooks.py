"""Executes the notebooks in order with a real kernel: `run` leaves copies and a report in _report/, `outputs` stores the outputs in nbs/,
`stale` stores them again where the code has changed since, `fresh` only says where it has."""
import ast, base64, hashlib, html, io, os, re, shutil, subprocess, sys, tempfile, time
from functools import cache
from pathlib import Path
import nbformat, yaml
from PIL import Image
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from IPython.core.inputtransformer2 import TransformerManager
from nbdev.config import get_config
from nbdev.process import extract_directives

ROOT = Path(__file__).resolve().parent.parent
NBS, REPORT = ROOT/'nbs', ROOT/'_report'

# --- which notebooks, which cells

def ordered():
    "Every notebook under nbs/ in reading order: foundations, then the story, then the front page; paths relative to nbs/."
    contents = yaml.safe_load((NBS/'sidebar.yml').read_text())['website']['sidebar']['contents']
    sections = {c['section']: c['contents'] for c in contents if isinstance(c, dict)}
    listed = [Path(n) for n in sections['Foundations']+sections['Story']]
    found = {p.relative_to(NBS) for p in NBS.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts}
    last = Path('index.ipynb')
    return [n for n in listed if n in found] + sorted(found-{*listed, last}) + [last]*(last in found)

def read(path): return nbformat.read(path, as_version=4)

def directives(cell):
    "The names after `#|` at the top of a code cell, with their arguments."
    return extract_directives(cell, remove=False) if cell.cell_type == 'code' else {}

def is_skipped(cell, flags):
    "Would `nbdev_test` leave this cell out as well?"
    d = directives(cell)
    return bool(flags & d.keys()) or (d.get('eval:') or [''])[0].lower() == 'false' or 'nbdev_export(' in cell.source

# --- what stored outputs were made from

PACKAGE = ROOT/'galaxy_nbdev'
READS = {Path('06_evaluation.ipynb'): [Path(f'{n}.ipynb') for n in ('03_cnn', '04_resnet', '05_vit')]}     # whose runs it shows

def plain(node):
    "Parsed code as text: no comment, no docstring, no place in the file, the same for every version of Python."
    if isinstance(node, list): return f'[{",".join(map(plain, node))}]'
    if not isinstance(node, ast.AST): return repr(node)
    documented = isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node, clean=False) is not None
    fields = [(k, v[1:] if documented and k == 'body' else v) for k, v in ast.iter_fields(node)]
    return f'{type(node).__name__}({",".join(f"{k}={plain(v)}" for k, v in fields if v not in (None, []))})'

def code(nb):
    "The parsed code of every code cell."
    return [ast.parse(TransformerManager().transform_cell(c.source)) for c in nb.cells if c.cell_type == 'code']

def named(tree):
    "Files of the project that parsed code imports, names as 'galaxy_nbdev.module:function', or reads from results/."
    nodes = list(ast.walk(tree))
    modules = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    for n in (n for n in nodes if isinstance(n, ast.ImportFrom)):
        base = '.'.join(filter(None, ['galaxy_nbdev' if n.level else '', n.module]))
        modules |= {base, *(f'{base}.{a.name}' for a in n.names)}
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    modules |= {t.partition(':')[0] for t in texts}
    files = {PACKAGE/f'{m.split(".")[1]}.py' for m in modules if re.fullmatch(r'galaxy_nbdev(\.\w+)+', m)}
    if any(t == 'results' or t.startswith('results/') for t in texts): files |= {f for f in (ROOT/'results').glob('*.json') if any(t in (f.stem, f.name, f'results/{f.name}') for t in texts)}
    return {f for f in files if f.is_file()}

@cache
def parsed(file):
    "A file as `plain` text, and the files it names; a table of results names none."
    tree = ast.parse(file.read_text(encoding='utf-8') if file.suffix == '.py' else '')
    return plain(tree) if file.suffix == '.py' else file.read_text(encoding='utf-8'), named(tree)

def used(trees):
    "What parsed code names, and what the modules among it name in turn."
    found, new = set(), {f for t in trees for f in named(t)}
    while new:
        found |= new
        new = {f for m in new for f in parsed(m)[1]} - found
    return found

def digest(parts): return hashlib.sha256('\n'.join(parts).encode()).hexdigest()[:16]

def made_from(name, nb=None):
    "What a notebook's outputs are made from, as two hashes: its own code, and what it uses (modules, results, notebooks whose runs it reads)."
    trees = code(nb or read(NBS/name))
    files = [(f.name, parsed(f)[0]) for f in sorted(used(trees))]
    runs = [plain(t) for n in READS.get(name, []) for t in code(read(NBS/n))]
    return {'code': digest(map(plain, trees)), 'uses': digest([*(t for f in files for t in f), *runs])}

def stale():
    "Notebooks whose stored outputs were made from other code than there is now, and what changed."
    res = {}
    for name in ordered():
        nb = read(NBS/name)
        then, now = nb.metadata.get('galaxy', {}), made_from(name, nb)
        changed = [said for k, said in (('code', 'its own code'), ('uses', 'what it uses')) if then.get(k) != now[k]]
        if changed: res[name] = f'{" and ".join(changed)} changed' if then else 'its outputs do not say what made them'
    return res

def kept():
    "Notebooks of which a code cell changed, and that kept outputs all the same."
    notebooks = {name: read(NBS/name) for name in ordered()}
    return [name for name, nb in notebooks.items() if 'galaxy' in nb.metadata and nb.metadata.galaxy.get('code') != made_from(name, nb)['code']
            and any(c.get('outputs') for c in nb.cells)]

def fresh():
    "Stop where outputs are stale."
    if found := stale():
        raise Stopped('stale outputs, which `make stale` makes again:\n' + '\n'.join(f'  nbs/{n}: {why}' for n, why in found.items()))

# --- the environment of a run

def place(name, *variables):
    "A folder named by one of these variables, made absolute; a relative one counts from where make was called."
    given = next((os.environ[v] for v in variables if os.environ.get(v)), None)
    if given in (None, 'simulated'): return given
    tried = [(Path(start)/Path(given).expanduser()).resolve() for start in (os.environ.get('CALLED_FROM') or ROOT, ROOT)]
    here = next((p for p in tried if p.exists()), None)
    if here is None: sys.exit(f'{name}={given}: there is no {tried[0]}; give the folder of a data set, or leave {name} out to simulate one')
    return str(here)

def prepare():
    "Put DATA, PROFILE and KIND where the notebooks look for them, and make the catalogue's survey before the first of them starts."
    for name in ('PROFILE', 'KIND'):
        if os.environ.get(name): os.environ[f'GALAXY_{name}'] = os.environ[name]
    data = place('DATA', 'DATA', 'GALAXY_DATA')
    if data: os.environ['GALAXY_DATA'] = data
    if os.environ.get('GALAXY_HOME'): os.environ['GALAXY_HOME'] = str((Path(os.environ.get('CALLED_FROM') or ROOT)/os.environ['GALAXY_HOME']).resolve())
    from galaxy_nbdev import profile, sources
    try: return profile.current(), sources.catalogue()
    except (ValueError, FileNotFoundError) as e: sys.exit(str(e))

# --- one notebook

class Stopped(Exception): "A notebook stopped; says where and why."

def execute(source, folder):
    "The executed notebook, and what stopped it (None if nothing did)."
    nb, flags = read(source), set(get_config(path=ROOT).tst_flags.split())
    for cell in nb.cells:
        if is_skipped(cell, flags): cell.metadata['tags'] = ['skip-execution']
    client = NotebookClient(nb, timeout=None, kernel_name='python3', resources={'metadata': {'path': str(folder)}},
                            store_widget_state=False,
                            extra_arguments=['--log-level=ERROR'])      # no warning about the local socket with every kernel
    try: client.execute()
    except CellExecutionError as e: return nb, re.sub(r'\x1b\[[\d;]*m', '', str(e))
    except DeadKernelError: return nb, 'the kernel died: it may have run out of memory'
    return nb, None

def short(text, head=25, tail=15):
    "The beginning and the end of a long message."
    lines = text.strip().splitlines()
    return '\n'.join(lines if len(lines) <= head+tail else [*lines[:head], f'... {len(lines)-head-tail} lines ...', *lines[-tail:]])

def each(folder, keep, only=None):
    "Execute every notebook, or `only` these, as if it lay in `folder`, with a line of progress; `keep(name, nb, seconds)` is called even for one that stops."
    for name in [n for n in ordered() if os.environ.get('NB', '') in str(n) and (only is None or n in only)]:
        print(f'{name.with_suffix("")!s:28}', end='', flush=True)
        start = time.monotonic()
        nb, error = execute(NBS/name, folder/name.parent)
        seconds = time.monotonic()-start
        print(f'{"stopped after" if error else ""}{seconds:7.1f} s', flush=True)
        keep(name, nb, seconds)
        if error: raise Stopped(f'nbs/{name} stopped:\n' + short(error))

# --- make run

def title(nb):
    "The first line of a notebook, without its mark."
    return next((c.source.splitlines()[0].lstrip('# ') for c in nb.cells if c.cell_type == 'markdown'), '')

def run():
    "Execute all notebooks; leave copies, their pages and one front page in _report/; print the table of models."
    from pages import report_page
    settings, _ = prepare()
    names, rows = [n for n in ordered() if os.environ.get('NB', '') in str(n)], []
    shutil.rmtree(REPORT, ignore_errors=True)
    def keep(name, nb, seconds):
        to = REPORT/'notebooks'/name
        to.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, to)
        report_page(name, nb, names, REPORT/'notebooks')
        rows.append(f'<tr><td><a href="notebooks/{name.with_suffix(".html")}">{html.escape(title(nb))}</a></td><td>{seconds:.1f} s</td></tr>')
        front_page(settings, rows)
    each(NBS, keep)
    from galaxy_nbdev.evaluation import leaderboard
    table = leaderboard().convert_dtypes()      # whole numbers as such, beside rows that lack them
    table = table.astype(object).where(table.notna(), '')
    front_page(settings, rows, table)
    print(f'\n{table.to_string(index=False, float_format="{:.4f}".format)}\n\nReport: {REPORT/"index.html"}')

def front_page(settings, rows, table=None):
    "Write _report/index.html: what was run, a link to every page, the table of models once it is there."
    models = '' if table is None else f'<h2>Models</h2><div class="cell">{table.to_html(border=0, index=False, float_format="{:.4f}".format)}</div>'
    from pages import STYLE
    (REPORT/'index.html').write_text(f'''<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>galaxy_nbdev</title>{STYLE}</head>
<body><h1>galaxy_nbdev</h1><p>{settings._repr_html_()}</p>
<div class="cell"><table><tr><th>notebook</th><th>executed in</th></tr>{"".join(rows)}</table></div>{models}</body></html>''', encoding='utf-8')

# --- make outputs

DEBRIS = {'a progress bar': r'<progress|progress-bar|\d%\|', 'a warning': r'\w*Warning:',
          'a path of this machine': r'(?<![\w:/.])/(?:home|root|Users|tmp|opt|mnt|srv|private|var)/\w' + f'|{re.escape(str(ROOT))}'}

def faults(nb):
    "What must not be stored among a notebook's outputs: a list of (number of the cell, what is wrong)."
    outputs = [(i, o) for i, c in enumerate(nb.cells, 1) if c.cell_type == 'code' for o in c.outputs]
    res = []
    for (i, o), (_, after) in zip(outputs, outputs[1:]+[(0, {})]):
        data = o.get('data', {})
        if o.output_type == 'error': res.append((i, f'an error: {o.ename}'))
        elif o.get('name') == 'stderr': res.append((i, f'stderr: {"".join(o.text)[:80]!r}'))
        text = '\n'.join(v for k, v in [('text', o.get('text', '')), *data.items()] if k.startswith('text') and isinstance(v, str))
        res += [(i, f'{what}: {m.group()!r}') for what, pattern in DEBRIS.items() if (m := re.search(pattern, text))]
        if 'application/vnd.jupyter.widget-view+json' in data and not {'image/png', 'image/jpeg', 'image/svg+xml'} & after.get('data', {}).keys():
            res.append((i, 'a widget without a static picture after it'))
    return res

def smaller(png):
    "A stored picture, packed as tightly as PNG allows; no pixel changes."
    packed = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(png))).save(packed, 'png', optimize=True)
    return min(png, base64.b64encode(packed.getvalue()).decode(), key=len)

def is_bar(output):
    "Whether an output is a progress bar of tqdm, closed by now: in a notebook it heeds no switch of the environment."
    data = output.get('data', {})
    return 'application/vnd.jupyter.widget-view+json' in data and bool(re.search(r'\d%\|', ''.join(data.get('text/plain', ''))))

def outputs(only=None):
    "Execute in a scratch copy on simulated galaxies; move the notebooks back into nbs/ only if every output may be stored."
    if os.environ.get('PROFILE', 'demo') != 'demo' or os.environ.get('DATA', 'simulated') != 'simulated' or os.environ.get('KIND'):
        sys.exit('make outputs stores results of profile demo on simulated galaxies only: call it without PROFILE, DATA and KIND')
    os.environ.update(GALAXY_PROFILE='demo', GALAXY_DATA='simulated', GALAXY_HOME=str(ROOT))
    os.environ.pop('GALAXY_KIND', None)
    prepare()
    wrong, made = [], []
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(ROOT/'settings.ini', scratch)
        folder = Path(shutil.copytree(NBS, Path(scratch)/'nbs', symlinks=True))
        def keep(name, nb, seconds):
            for c in nb.cells:
                if 'hide' in directives(c): c.outputs = []      # nobody sees them
                elif c.cell_type == 'code': c.outputs = [o for o in c.outputs if not is_bar(o)]
            for o in [o for c in nb.cells if c.cell_type == 'code' for o in c.outputs if 'image/png' in o.get('data', {})]:
                o.data['image/png'] = smaller(o.data['image/png'])
            nb.metadata['galaxy'] = made_from(name, nb)
            nbformat.write(nb, folder/name)
            wrong.extend(f'nbs/{name} cell {i}: {what}' for i, what in faults(nb)); made.append(name)
        each(folder, keep, only)
        if wrong: raise Stopped('nothing was stored; these outputs must not be:\n  ' + '\n  '.join(wrong))
        subprocess.run([sys.executable, Path(sys.executable).with_name('nbdev_clean')], cwd=scratch, check=True)
        for name in made: shutil.copy(folder/name, NBS/name)       # the others may have been edited meanwhile

def again():
    "List what is stale, and execute that alone; with a notebook that shows runs, those that made them where the runs are not there."
    found = stale()
    for name, why in found.items(): print(f'stale: nbs/{name}: {why}', flush=True)
    lacking = [m for n in found for m in READS.get(n, []) if not any((ROOT/'runs'/'demo').glob('*/*/provenance.json'))]
    if found: outputs({*found, *lacking})
    else: print('every stored output is of the code as it is')

if __name__ == '__main__':
    try: {'run': run, 'outputs': outputs, 'stale': again, 'fresh': fresh}[sys.argv[1]]()
    except Stopped as e: sys.exit(f'\n{e}')
    except KeyboardInterrupt: sys.exit('\nstopped')
