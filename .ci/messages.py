"""Every error that the package raises for what a user gives it: where, and in which words.
Called as a program: writes docs/messages.md; with `--check` it says which words break the rule, and with `--check page`
also that the page is old.

The rule: a message has at least 40 characters (what is filled in counts ten), names a value or a place, and says what
to do. A value or a place is what is filled in (`{...}`), or a name of the program (`n_votes=`, `save_run(`,
`Class1.1`). What to do is one of `REMEDIES`, or filled in as the last word. The classes of errors are those of `KINDS`:
`ValueError`, `OSError`, `ImportError` and what is derived from them. A text put together of others (`{path}: {e}`)
is not looked at."""
import ast, re, sys
from notebooks import PACKAGE, ROOT

KINDS = ('ValueError', 'OSError', 'FileNotFoundError', 'FileExistsError', 'PermissionError', 'ConnectionError',
         'ImportError', 'Diverged')
NAME = r'\w+=|\w\(|\w_\w|\w\.\w|Class\d|\*'      # of the program, in a message
SHORTEST = 40
REMEDIES = """
add ask assume begin build call check choose connect cut divide drop fetch fill fit free get give hand install join keep
leave
load make mend move must name needs normalise pass predict put read remove rename run save see set start take train
try unpack update use wait write
""".split() + ['is needed', 'are needed']
PAGE = ROOT/'docs'/'messages.md'

def words(node, known):
    "The text of an expression, `{...}` for what is filled in."
    if isinstance(node, ast.Constant): return str(node.value)
    if isinstance(node, ast.JoinedStr): return ''.join(words(v, known) for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return words(node.left, known)+words(node.right, known)
    if isinstance(node, ast.IfExp): return f'{words(node.body, known)} / {words(node.orelse, known)}'
    inside = node.value if isinstance(node, ast.FormattedValue) else node
    if isinstance(inside, ast.IfExp): return words(inside, known)
    if isinstance(inside, ast.Name) and inside.id in known: return known[inside.id]
    if isinstance(inside, ast.Call):
        joined = getattr(inside.func, 'attr', '') == 'join'
        return '{'+(ast.unparse(inside.args[0]) if joined else ast.unparse(inside.func)+'(...)')+'}'
    return '{'+ast.unparse(inside)+'}'

def assigned(function):
    "Texts that a function puts together before it raises them, by name."
    found = {}
    for n in ast.walk(function):
        if isinstance(n, ast.Assign) and len(n.targets) == 1 and isinstance(n.targets[0], ast.Name):
            said = words(n.value, {})
            text = isinstance(n.value, (ast.Constant, ast.JoinedStr, ast.IfExp))
            if text and ' ' in said: found[n.targets[0].id] = said
    return found

def raised(file):
    "Each `raise` of a module, and each error that it makes to be raised: (function, line, class, words)."
    tree = ast.parse(file.read_text(encoding='utf-8'))
    res, functions = {}, [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    for f in functions:     # an inner function comes later, and stays
        known = assigned(f)
        for n in ast.walk(f):
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and re.search('Error$|^Diverged$', n.func.id):
                said = words(n.args[-1 if n.func.id == 'OSError' and len(n.args) == 1 else 0], known) if n.args else ''
                if n.func.id == 'OSError' and len(n.args) > 1: said = words(n.args[1], known)
                res[n.lineno, n.col_offset] = f.name, n.lineno, n.func.id, said
    return [v for _, v in sorted(res.items())]

def passed_on(said):
    "Is it another error's text, only handed on with its place?"
    return bool(re.fullmatch(r'(row |column )?(\{[^{}]+\}[:;, ]*(row |column )?)+', said))

def faults(kind, said):
    "What is wrong with a message."
    if kind not in KINDS: return f'is a {kind}'
    if passed_on(said): return ''
    n = len(re.sub(r'\{[^{}]*\}', 'ten places', said))
    if n < SHORTEST: return f'has {n} characters'
    if '{' not in said and not re.search(NAME, said): return 'names no value and no place'
    if said.endswith('{remedy}'): return ''
    plain = re.sub(r'\{[^{}]*\}', '', said).lower()
    return '' if any(re.search(rf'\b{w}\b', plain) for w in REMEDIES) else 'says nothing of what to do'

def everything():
    "(module, function, line, class, words) of the whole package."
    files = [p for p in sorted(PACKAGE.glob('*.py')) if not p.stem.startswith('_') and p.stem != 'all']
    return [(p.stem, *r) for p in files for r in raised(p)]

def page():
    "The text of docs/messages.md."
    rows = everything()
    cell = lambda t: re.sub(r'\s+', ' ', t).replace('|', '\\|').replace('<', '&lt;')
    lines = [f'| `{m}.{f}` | {kind} | {cell(said)} |' for m, f, _, kind, said in rows]
    return '\n'.join(['# Messages', '', f'All {len(rows)} errors that the package makes, by module, from its code '
                      '(`python .ci/messages.py`). `{...}` is filled in.', '', '| where | class | words |',
                      '| --- | --- | --- |', *lines, ''])

def breaches():
    "Messages that break the rule."
    found = [(f'galaxy_nbdev/{m}.py:{line} {f}: {kind}({said!r})', faults(kind, said)) for m, f, line, kind,
             said in everything()]
    return [f'{what} {wrong}' for what, wrong in found if wrong]

def test():
    "The rule sees what it is there to see."
    fine = 'row {i} of {table} has no column path: add it'
    assert not faults('ValueError', fine) and not faults('OSError', '{path}: {e}')
    for kind, said in (('KeyError', fine), ('ValueError', 'short'), ('ValueError', fine.partition(':')[0]),
                       ('ValueError', 'the table of galaxies has no column of paths: add it')):
        assert faults(kind, said)

if __name__ == '__main__':
    test()
    if '--check' not in sys.argv: PAGE.write_text(page(), encoding='utf-8')
    elif wrong := breaches(): sys.exit('\n'.join(wrong))
    elif 'page' in sys.argv and PAGE.read_text(encoding='utf-8') != page(): sys.exit('run python .ci/messages.py')
