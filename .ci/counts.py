"""Counts of the house: lengths of exported cells, and what every public function has beside it in its notebook."""
import ast, io, re, statistics, tokenize
from notebooks import NBS, directives, ordered, read

EXPORTED = {'export', 'exports', 'exporti'}

def length(source):
    "Lines of a cell that are neither blank nor a directive."
    return sum(bool(line.strip()) and not re.match(r'\s*#\s*\|', line) for line in source.splitlines())

def comments(source):
    "Numbers of the lines that end in a comment."
    return {t.start[0] for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT}

def undocumented(f, said):
    """Parameters of a function without a comment on a line of their own, and 'return' where one is missing;
    `said` are the lines with comments."""
    a = f.args
    args = [x for x in [*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg] if x
            and x.arg not in ('self', 'cls')]
    lines = [x.lineno for x in args]
    missing = [x.arg for x in args if x.lineno not in said or lines.count(x.lineno) > 1]
    own = [n for s in f.body for n in walk_own(s)]
    gives = any(isinstance(n, ast.Return) and n.value is not None for n in own)
    returns = gives and not any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in own)
    after = set(range((lines or [f.lineno])[-1] + bool(lines), f.body[0].lineno)) | ({f.lineno} if not args else set())
    return missing + ['return']*(returns and not after & said)

def walk_own(node):
    "Nodes of a function's body, without the functions inside it."
    yield node
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)): return
    for child in ast.iter_child_nodes(node): yield from walk_own(child)

def names(source):
    "Every name and attribute that a cell uses."
    tree = ast.parse(re.sub(r'^\s*[%!].*', '', source, flags=re.M))
    nodes = list(ast.walk(tree))
    return {n.id for n in nodes if isinstance(n, ast.Name)} | {n.attr for n in nodes if isinstance(n, ast.Attribute)}

def reached(uses, inside):
    "What cells use themselves or through functions of the notebook; `inside` maps each of these to the names in it."
    found, new = set(), set().union(*uses) if uses else set()
    while new:
        found |= new
        new = {u for n in new for u in inside.get(n, ())} - found
    return found

def of(name):
    "A notebook's counts: lengths of its exported cells, and its public functions and classes with what each lacks."
    cells = [c for c in read(NBS/name).cells if c.cell_type == 'code']
    exported = [c for c in cells if directives(c).keys() & EXPORTED]
    others = [(c, names(c.source)) for c in cells if not directives(c).keys() & EXPORTED]
    definitions = [(n, names(ast.unparse(n))) for c in exported for n in ast.parse(c.source).body
                   if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    inside = {n.name: used | {m.name for m in n.body if isinstance(m, ast.FunctionDef)} for n, used in definitions}
    tests = [used for c, used in others if re.search(r'\btest_|\bassert\b|_test\b', c.source)
             or any(u.startswith(('test_', 'assert_')) for u in used)]
    shown = [used for c, used in others if 'hide' not in directives(c)]
    shown, tested, public = reached(shown, inside), reached(tests, inside), {}
    for c in exported:
        if 'exporti' in directives(c): continue
        said = comments(c.source)
        for node in ast.parse(c.source).body:
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name.startswith('_'): continue
            lacks = undocumented(node, said) if isinstance(node, ast.FunctionDef) else []
            public[node.name] = ([f'a comment on {", ".join(lacks)}'] if lacks
                                 else []) + ['a docstring']*(not ast.get_docstring(node)) \
                + ['a demonstration']*(node.name not in shown) + ['a test']*(node.name not in tested)
    return [length(c.source) for c in exported], public

LACKING = {'a comment': 0, 'a docstring': 0, 'a demonstration': 0, 'a test': 0}      # nothing may be lacking

def summary():
    "Medians and maxima over all notebooks as text, what public functions lack, and what is over a limit."
    found = {name: of(name) for name in ordered()}
    code = [n for lengths, _ in found.values() for n in lengths]
    public = [(f'nbs/{name} {f}', lacks) for name, (_, p) in found.items() for f, lacks in p.items()]
    lack = {k: sum(any(x.startswith(k) for x in lacks) for _, lacks in public) for k in LACKING}
    lacking = ', '.join(f'{k} {n}' for k, n in lack.items())
    text = (f'{len(code)} exported cells: median {statistics.median(code):g} lines, longest {max(code)}; '
            f'{len(public)} public functions and classes, without {lacking}')
    much = {k: n for k, n in LACKING.items() if lack[k] > n}
    over = [f'{lack[k]} public functions lack {k}, more than {n}: .ci/counts.py names them' for k, n in much.items()]
    return text, [f'{who} lacks {", ".join(lacks)}' for who, lacks in public if lacks], over

if __name__ == '__main__':
    text, lacking, over = summary()
    print(*lacking, *over, text, sep='\n')
