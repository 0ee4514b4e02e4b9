"""Who imports whom: the order of the package's modules; that no import runs back up, and that there is no circle.
Called as a program: prints the table of rooms."""
import ast, re, sys
from pathlib import Path
from notebooks import NBS, PACKAGE, ROOT, ordered, read

# each imports only from those before it
STOREYS = ['files', 'schema', 'votes', 'metrics', 'confidence', 'profile', 'results', 'figures', 'labels', 'images',
           'novelty', 'overlap', 'sky', 'simulate', 'cutouts', 'tables', 'fetching', 'hub', 'task_tables', 'sources',
           'exploration', 'cleaning', 'splits', 'augment', 'targets', 'dataloaders', 'measures', 'runs', 'losses',
           'steps', 'learner', 'encoders', 'cnn resnet vit', 'prediction', 'embeddings', 'evaluation', 'sharing',
           'browser', 'voting', 'survey', 'commands', 'all']
LEVEL = {name: i for i, storey in enumerate(STOREYS) for name in storey.split()}
MOST, TIGHTER = 650, {'evaluation': 500}      # lines of a module
GROUPS = [PACKAGE, ROOT/'.ci', ROOT/'benchmarks']

def imports(file, package=''):
    "Modules of the same folder that a file imports, at its top or inside its functions."
    near = {p.stem for p in file.parent.glob('*.py')}
    found = set()
    for n in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(n, ast.Import): names = [a.name for a in n.names]
        elif isinstance(n, ast.ImportFrom):
            base = '.'.join(filter(None, [package if n.level else '', n.module]))
            names = [base, *(f'{base}.{a.name}' for a in n.names)]
        else: continue
        inside = [x.removeprefix(f'{package}.') if package else x for x in names if not package
                  or x.startswith(f'{package}.')]
        found |= {x.split('.')[0] for x in inside}
    return sorted(found & near - {file.stem, '__init__'})

def graph(folder):
    "What each module of a folder imports from that folder."
    package = folder.name if (folder/'__init__.py').exists() else ''
    return {p.stem: imports(p, package) for p in sorted(folder.glob('*.py')) if not p.stem.startswith('_')}

def circle(edges):
    "The modules of one circle, the first of them again at the end; None where there is none."
    done = set()
    def walk(node, path):
        if node in path: return [*path[path.index(node):], node]
        if node in done: return None
        found = next((c for n in edges.get(node, ()) if (c := walk(n, [*path, node]))), None)
        done.add(node)
        return found
    return next((c for n in edges if (c := walk(n, []))), None)

def backwards(edges):
    "Imports of the package that run back up, and modules without a place in the order."
    wrong = [f'galaxy_nbdev/{m}.py has no place in .ci/rooms.py' for m in edges if m not in LEVEL]
    return wrong + [f'galaxy_nbdev/{m}.py imports {n}, which does not stand above it' for m,
                    names in edges.items() for n in names
                    if m in LEVEL and n in LEVEL and LEVEL[n] >= LEVEL[m]]

def own_names(tree):
    "The names that a module defines itself."
    assigned = [x for n in tree.body if isinstance(n, (ast.Assign, ast.AnnAssign))
                for x in ast.walk(n) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)]
    defined = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return {*defined, *(x.id for x in assigned)}

def sources():
    "Every piece of code that imports from the package: its place and its text."
    for folder in GROUPS:
        for p in sorted(folder.glob('*.py')):
            if p.stem not in ('_modidx', 'all'): yield str(p.relative_to(ROOT)), p.read_text(encoding='utf-8')
    for name in ordered():
        for i, c in enumerate(read(NBS/name).cells, 1):
            code = re.sub(r'^(\s*)[%!].*', r'\1pass', c.source, flags=re.M)
            if c.cell_type == 'code': yield f'nbs/{name}, cell {i}', code

def borrowed(pieces, own):
    "Names imported from a module that only imports them itself: each has one place, where it is defined."
    for place, text in pieces:
        for n in ast.walk(ast.parse(text)):
            if not isinstance(n, ast.ImportFrom): continue
            module = (n.module or '').removeprefix('galaxy_nbdev.')
            if n.level == 0 and module == n.module or module not in own: continue
            for a in n.names:
                if a.name not in own[module] and a.name != '*': yield f'{place}: {a.name} is not defined in {module}'

def elsewhere():
    "What `borrowed` finds in the package, the benchmarks, .ci and the notebooks."
    modules = [p for p in PACKAGE.glob('*.py') if not p.stem.startswith('_') and p.stem != 'all']
    return list(borrowed(sources(), {p.stem: own_names(ast.parse(p.read_text(encoding='utf-8'))) for p in modules}))

def lines(file): return len(file.read_text(encoding='utf-8').splitlines())

def too_long():
    "Modules with more lines than a room may have."
    found = [(p, lines(p), TIGHTER.get(p.stem, MOST)) for p in PACKAGE.glob('*.py') if not p.stem.startswith('_')]
    return [f'galaxy_nbdev/{p.name} has {n} lines, more than {most}' for p, n, most in sorted(found) if n > most]

def unmapped():
    "Modules that the map on the front page leaves out, and in CONTRIBUTING.md."
    index, start = (NBS/'index.ipynb').read_text(encoding='utf-8'), (ROOT/'CONTRIBUTING.md').read_text(encoding='utf-8')
    modules = [m for m in LEVEL if (PACKAGE/f'{m}.py').exists()]
    wrong = [f'nbs/index.ipynb: its map leaves out {m}' for m in modules if f'{m}.ipynb)' not in index]
    return wrong + [f'CONTRIBUTING.md: its map leaves out {m}' for m in modules if f'`{m}`' not in start]

def check():
    "Circles in any of the folders, imports that run back up, names from a foreign module, modules on no map."
    found = {folder: circle(graph(folder)) for folder in GROUPS}
    wrong = [f'{f.relative_to(ROOT)}: a circle of imports: {" -> ".join(c)}' for f, c in found.items() if c]
    return wrong + backwards(graph(PACKAGE)) + unmapped() + elsewhere()

def table():
    "The package's modules in their order: lines, and what each imports."
    edges = graph(PACKAGE)
    rows = [(m, lines(PACKAGE/f'{m}.py'), ', '.join(sorted(edges[m], key=lambda n: LEVEL.get(n, 99)))) for m in LEVEL
            if m in edges]
    return '\n'.join(f'{m:12} {n:4}  {names}' for m, n, names in rows)

def test():
    "The checks see what they are there to see."
    assert circle({'a': ['b'], 'b': ['c'], 'c': ['b']}) == ['b', 'c', 'b'] and circle({'a': ['b'], 'b': []}) is None
    assert backwards({'files': ['schema']}) and not backwards({'schema': ['files']}) and backwards({'cnn': ['resnet']})
    assert backwards({'attic': []}) == ['galaxy_nbdev/attic.py has no place in .ci/rooms.py']
    own = {'splits': own_names(ast.parse('A = 1\ndef b(): pass')), 'dataloaders': set()}
    assert own['splits'] == {'A', 'b'}
    pieces = [('x', 'from .splits import b'), ('y', 'def f(): from galaxy_nbdev.dataloaders import b')]
    assert list(borrowed(pieces, own)) == ['y: b is not defined in dataloaders']

if __name__ == '__main__':
    print(table())
    sys.exit('\n'.join(check()+too_long()) or 0)
