"""What a notebook's stored outputs were made from, and whether that is what lies there now: what makes them stale.
Called as a program: fails where one is."""
import ast, hashlib, re, sys
from functools import cache
from pathlib import Path
from IPython.core.inputtransformer2 import TransformerManager
from notebooks import NBS, PACKAGE, ROOT, Stopped, is_skipped, ordered, read

RESULTS = ROOT/'results'
READS = {Path('06_evaluation.ipynb'): [Path(f'{n}.ipynb')
                                       for n in ('03_cnn', '04_resnet', '05_vit')]}  # whose runs it shows

def documented(node):
    "Does parsed code begin with a docstring?"
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None

def plain(node):
    "Parsed code as text: no comment, no docstring, no place in the file, the same for every version of Python."
    if isinstance(node, list): return f'[{",".join(map(plain, node))}]'
    if not isinstance(node, ast.AST): return repr(node)
    fields = [(k, v[1:] if k == 'body' and documented(node) else v) for k, v in ast.iter_fields(node)]
    return f'{type(node).__name__}({",".join(f"{k}={plain(v)}" for k, v in fields if v not in (None, []))})'

def code(nb):
    "The parsed code of every code cell that is executed somewhere: one with `eval: false` makes no output."
    cells = [c for c in nb.cells if c.cell_type == 'code' and not is_skipped(c, set())]
    return [ast.parse(TransformerManager().transform_cell(c.source)) for c in cells]

def imported(nodes):
    "Dotted names that parsed code imports; those of the package's own modules with the package before them."
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    for n in (n for n in nodes if isinstance(n, ast.ImportFrom)):
        base = '.'.join(filter(None, ['galaxy_nbdev' if n.level else '', n.module]))
        names |= {base, *(f'{base}.{a.name}' for a in n.names)}
    return names

def patterns(nodes):
    "The texts of parsed code as patterns: what an f-string fills in may be anything."
    part = lambda v: re.escape(v.value) if isinstance(v, ast.Constant) else r'[\w-]+'
    texts = {re.escape(n.value) for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return texts | {''.join(map(part, n.values)) for n in nodes if isinstance(n, ast.JoinedStr)}

def tables(nodes, modules, texts):
    "Tables of results/ that parsed code names; none where it knows neither that folder nor the module `results`."
    used = {n.id for n in nodes if isinstance(n, ast.Name)} | modules
    if not (used & {'results', 'galaxy_nbdev.results'}
            or any(t == 'results' or t.startswith('results/') for t in texts)): return set()
    wanted = [p for p in patterns(nodes) if re.search(r'\w{3}', p.replace(r'[\w-]+', ''))]
    of = lambda f: (f.stem, f.name, f'results/{f.name}')
    return {f for f in RESULTS.glob('*.json') if any(re.fullmatch(p, n) for p in wanted for n in of(f))}

def named(tree):
    "Files of the project that parsed code imports, names as 'galaxy_nbdev.module:function', or reads from results/."
    nodes = list(ast.walk(tree))
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    modules = imported(nodes) | {t.partition(':')[0] for t in texts}
    files = {PACKAGE/f'{m.split(".")[1]}.py' for m in modules if re.fullmatch(r'galaxy_nbdev(\.\w+)+', m)}
    return {f for f in files | tables(nodes, modules, texts) if f.is_file()}

@cache
def parsed(file):
    "A file as `plain` text, and the files it names; a table of results names none."
    text = file.read_text(encoding='utf-8')
    if file.suffix != '.py': return text, set()
    tree = ast.parse(text)
    return plain(tree), named(tree)

def used(trees):
    "What parsed code names, and what the modules among it name in turn."
    found, new = set(), {f for t in trees for f in named(t)}
    while new:
        found |= new
        new = {f for m in new for f in parsed(m)[1]} - found
    return found

def digest(parts): return hashlib.sha256('\n'.join(parts).encode()).hexdigest()[:16]

def made_from(name, nb=None):
    """What a notebook's outputs are made from, as two hashes: its own code, and what it uses (modules, results,
    notebooks whose runs it reads)."""
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
    def old(name, nb):
        if not any(c.get('outputs') for c in nb.cells): return False
        return nb.metadata.get('galaxy', {}).get('code') != made_from(name, nb)['code']
    return [name for name in ordered() if old(name, read(NBS/name))]

def fresh():
    "Stop where outputs are stale."
    if found := stale():
        which = '\n'.join(f'  nbs/{n}: {why}' for n, why in found.items())
        raise Stopped(f'stale outputs, which `make stale` makes again:\n{which}')

if __name__ == '__main__':
    try: fresh()
    except Stopped as e: sys.exit(str(e))
