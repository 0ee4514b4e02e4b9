"""The rules of the house that a program can see. Each rule gives a list of (file, what is wrong).
Called as a program: the number of breaches per file; with a word: those of the files that hold it, one a line."""
import ast, io, re, sys, tokenize
from collections import Counter
from badges import is_badge
from notebooks import NBS, PACKAGE, ROOT, directives, is_exported, ordered, read
from outputs import faults

WIDTH, LONGEST, HIDDEN, IN_A_ROW = 120, 40, 2000, 6
VISIBLE = {'00_exploration': 60, '06_evaluation': 60} | {f'0{i}_{n}': 45 for i, n in enumerate(
    ['cleaning', 'dataloaders', 'cnn', 'resnet', 'vit'], 1)}
SHORT = 80      # a line of two statements has at most so many characters

def semicolons(source):
    "How many `;` each line has outside of texts and comments, by its number."
    source = re.sub(r'^(\s*)[%!].*', r'\1pass', source, flags=re.M)
    tokens = tokenize.generate_tokens(io.StringIO(source+'\n').readline)
    return Counter(t.start[0] for t in tokens if t.type == tokenize.OP and t.string == ';')

def compound(line):
    "Does a line open a block: if, for, while, with, def, class, try?"
    return re.match(r'\s*(if|elif|else|for|while|with|def|class|try|except|finally|async|match|case)\b', line)

def crowded(source):
    """Lines with more than one statement. Fine are a block of one statement on its own line, `if a: b`, and two short
    statements, `a; b`, where neither opens a block."""
    lines = source.splitlines()
    many = lambda i, n: n > 1 or len(lines[i-1]) > SHORT or compound(lines[i-1])
    return [i for i, n in sorted(semicolons(source).items()) if many(i, n)]

def code_lines(source):
    "Lines too long and lines too full of one piece of code."
    lines = enumerate(source.splitlines(), 1)
    long = [(i, len(line)) for i, line in lines if len(line) > WIDTH and not line.startswith('#|')]
    too_long = [f'line {i} has {n} characters, more than {WIDTH}' for i, n in long]
    return too_long + [f'line {i} holds several statements' for i in crowded(source)]

def scripts():
    "Benchmarks and the scripts of .ci."
    return [p for folder in ('.ci', 'benchmarks') for p in sorted((ROOT/folder).glob('*.py'))]

def narrow(notebooks):
    "lines of at most 120 characters, one statement each, in exported cells, benchmarks and .ci"
    cells = [(name, i, c) for name, nb in notebooks.items() for i, c in enumerate(nb.cells, 1) if is_exported(c)]
    found = [(f'nbs/{name}', f'cell {i}: {w}') for name, i, c in cells for w in code_lines(c.source)]
    return found + [(str(p.relative_to(ROOT)), w) for p in scripts() for w in code_lines(p.read_text(encoding='utf-8'))]

def cells(notebooks):
    "exported cells of at most 40 lines, without a wildcard import; hidden cells of at most 2,000 characters"
    res = []
    for name, nb in notebooks.items():
        say = lambda i, what: res.append((f'nbs/{name}', f'cell {i}: {what}'))
        for i, c in enumerate(nb.cells, 1):
            if 'hide' in directives(c) and len(c.source) > HIDDEN: say(i,
                                                                       f'a hidden cell of {len(c.source):,} characters')
            if not is_exported(c): continue
            n = sum(not re.match(r'\s*#\s*\|', line) for line in c.source.splitlines())
            if n > LONGEST: say(i, f'an exported cell of {n} lines, more than {LONGEST}')
            froms = [t for t in ast.walk(ast.parse(c.source)) if isinstance(t, ast.ImportFrom)]
            if stars := [t.module for t in froms if t.names[0].name == '*']: say(i,
                                                                                 f'a wildcard import from {stars[0]}')
    return res

def walls(notebooks):
    "no six exported cells in a row without a word or an example"
    res = []
    for name, nb in notebooks.items():
        row = 0
        for i, c in enumerate(nb.cells, 1):
            row = row+1 if is_exported(c) else 0
            if row == IN_A_ROW: res.append((f'nbs/{name}',
                                            f'cells {i-row+1} to {i} are exported, without a word between'))
    return res

def lengths(notebooks):
    "at most 60 visible cells in 00 and 06, 45 in 01 to 05"
    visible = lambda c: 'hide' not in directives(c) and not is_badge(c)
    seen = {name: sum(map(visible, nb.cells)) for name, nb in notebooks.items()}
    over = {name: n for name, n in seen.items() if n > VISIBLE.get(name.stem, n)}
    return [(f'nbs/{name}', f'{n} visible cells, more than {VISIBLE[name.stem]}') for name, n in over.items()]

def public(file):
    "The names that a module's `__all__` lists."
    tree = ast.parse(file.read_text(encoding='utf-8'))
    assigned = [n for n in tree.body if isinstance(n, ast.Assign)]
    lists = [n.value for n in assigned if getattr(n.targets[0], 'id', '') == '__all__']
    return [name for v in lists if isinstance(v, (ast.List, ast.Tuple)) for name in ast.literal_eval(v)]

def unique(notebooks):
    "public names unique over the package, and none that a module has for its name"
    modules = [p for p in sorted(PACKAGE.glob('*.py')) if p.stem not in ('all', '__init__', '_modidx')]
    of = {}
    for p in modules:
        for name in public(p): of.setdefault(name, []).append(p.stem)
    twice = {name: places for name, places in sorted(of.items()) if len(places) > 1}
    res = [(f'galaxy_nbdev/{at[-1]}.py', f'{name} is public in {" and ".join(at)}') for name, at in twice.items()]
    modules = [(p.stem, of[p.stem][0]) for p in modules if p.stem in of]
    return res + [(f'galaxy_nbdev/{at}.py', f'{name} is public, and the name of a module') for name, at in modules]

def stored(notebooks):
    "stored outputs without errors, warnings, bars and paths of a machine; notebooks under 2 MB, kernel python3"
    res = [(f'nbs/{name}', f'cell {i}: stores {what}') for name, nb in notebooks.items() for i, what in faults(nb)]
    res += [(f'nbs/{name}', 'its kernel is not python3') for name, nb in notebooks.items()
            if nb.metadata.get('kernelspec', {}).get('name') != 'python3']
    return res + [(f'nbs/{name}', 'larger than 2 MB') for name in notebooks if (NBS/name).stat().st_size > 2e6]

RULES = [narrow, cells, walls, lengths, unique, stored]

def breaches():
    "Every breach of every rule: rule -> list of (file, what is wrong)."
    notebooks = {name: read(NBS/name) for name in ordered()}
    return {rule: rule(notebooks) for rule in RULES}

def test():
    "The rules see what they are there to see."
    assert crowded('a = 1; b = 2') == []
    assert crowded('a = 1; b = 2; c = 3') == crowded('if a: b = 1; c = 2') == [1]
    assert crowded('if a: b = 1') == crowded('x = "a;b;c"   # d; e; f') == crowded('a'*60+' = 1; b = 2') == []
    assert crowded('a'*75+' = 1; b = 2') == [1]
    assert code_lines('#| '+'x'*130) == [] and len(code_lines('x'*121)) == 1

if __name__ == '__main__':
    found = breaches()
    if len(sys.argv) < 2: print(*(f'{rule.__doc__}: {len(wrong)} breaches' for rule, wrong in found.items()), sep='\n')
    for rule, broken in found.items():
        for file, what in broken:
            if len(sys.argv) > 1 and sys.argv[1] in file: print(f'{file} {what}')
