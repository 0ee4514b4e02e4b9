"""Every check of the project, one function each: `quick` (make test) or `slow` (make test-slow)."""
import ast, configparser, email, os, re, shutil, subprocess, sys, tempfile, time, traceback, zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
import env
import nbformat.v4 as nbf
import counts, house, pages, rooms
from freshness import code, kept, named, plain
from notebooks import NBS, ROOT, directives, ordered, read

TOOLS = env.VENV/'bin'

class Failed(Exception): "A check failed; says what is wrong and what to do."

def need(ok, message):
    if not ok: raise Failed(message)

def python(*args, cwd=ROOT, executable=sys.executable, **variables):
    "Run Python; return what it printed, or fail with it."
    r = subprocess.run([str(executable), *map(str, args)], cwd=cwd, env=os.environ | variables, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    need(r.returncode == 0, r.stdout)
    return r.stdout

def copy_tree(folder):
    "What git would hold of this checkout, copied to `folder`, which must not exist."
    ignored = [Path(line).name for line in (ROOT/'.gitignore').read_text().splitlines() if line
               and not line.startswith('#')]
    return Path(shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns('.git', *ignored)))

# --- the notebooks and the package made from them

def in_sync():
    "notebooks are clean, and galaxy_nbdev/ is what they export"
    with tempfile.TemporaryDirectory() as t:
        copy = copy_tree(Path(t)/'copy')
        shutil.rmtree(copy/'galaxy_nbdev')
        (copy/'galaxy_nbdev').mkdir()
        shutil.copy(ROOT/'galaxy_nbdev'/'__init__.py', copy/'galaxy_nbdev')
        for tool in ('nbdev_export', 'nbdev_clean'): python(TOOLS/tool, cwd=copy)
        files = {p.relative_to(top) for top in (ROOT, copy) for part, ext in (('nbs', 'ipynb'), ('galaxy_nbdev', 'py'))
                 for p in (top/part).rglob(f'*.{ext}') if '.ipynb_checkpoints' not in p.parts}
        content = lambda p: p.read_bytes() if p.exists() else None
        other = sorted(str(f) for f in files if content(ROOT/f) != content(copy/f))
    need(not other, f'run nbdev_export and nbdev_clean, which change {", ".join(other)}')

def house_rules():
    "notebooks, benchmarks and scripts keep the house rules"
    house.test()
    found = house.breaches()
    broken = [f'{file} {what}' for wrong in found.values() for file, what in wrong]
    said, _, over = counts.summary()
    need(not broken+over, '\n'.join(broken+over))
    print(f'      {said}', flush=True)

def table_of_models():
    "the report's table of models fits its page"
    from report import test
    test()

def imports_run_one_way():
    "no circle of imports in .ci, galaxy_nbdev or benchmarks; modules import only from those above them"
    rooms.test()
    print(re.sub('^', '      ', rooms.table(), flags=re.M), flush=True)
    wrong = rooms.check() + rooms.too_long()
    need(not wrong, '\n'.join(wrong))

def of_code(*sources):
    "Plain code of a notebook with these code cells, and a cell of text beside them."
    cells = [nbf.new_code_cell(s) for s in sources] + [nbf.new_markdown_cell(sources[0])]
    return [plain(t) for t in code(nbf.new_notebook(cells=cells))]

def stored_outputs():
    "no code cell changed and kept its old outputs; the hashes heed code, and neither comments nor prose"
    first = of_code('def f(x): # a number\n    "Twice."\n    return 2*x')
    commented = of_code('#| export\ndef f(\n    x # the half\n):\n    "The double of x."\n    return 2 * x')
    need(first == commented, 'a comment or a docstring changed the hash')
    need(of_code('1', '#| eval: false\n2') == of_code('1'), 'a cell that is never executed changed the hash')
    for one, two in ((first, of_code('def f(x): return 3*x')), (of_code('1'), of_code('1', '2')),
                     (of_code('%time 1'), of_code('%time 2'))):
        need(one != two, 'changed code left the hash as it was')
    for text in ("from galaxy_nbdev import results\nresults.load('ladder_cnn')", "open('results/ladder_cnn.json')",
                 "from galaxy_nbdev.results import load\nfor n in 'ab': load(f'ladder_{n}')"):
        need(any(f.stem == 'ladder_cnn' for f in named(ast.parse(text))), f'the table is not seen in {text!r}')
    need(not {f for f in named(ast.parse("x = 'survey'")) if f.suffix == '.json'}, 'any word is taken for a table')
    need(not (old := kept()), 'run make stale, or clear the outputs: code cells changed and old outputs were kept in '
         + ', '.join(map(str, old)))

def badges_fit():
    "every notebook has its badges and its cell for Colab, and they lead to this repository's own files"
    python('.ci/badges.py', '--check')

def readme():
    "README.md is what index.ipynb says"
    python('.ci/readme.py', '--check')

def dependencies():
    "every dependency has a pin, and a line in docs/dependencies.md that says what it earns"
    cfg = configparser.ConfigParser(delimiters=['='], interpolation=None)
    cfg.read(ROOT/'settings.ini', encoding='utf-8')
    names = [Requirement(r).name for k, v in cfg['DEFAULT'].items() if k.endswith('requirements') for r in v.split()]
    pins = {canonicalize_name(line.partition('==')[0]) for line in (ROOT/'constraints.txt').read_text().splitlines()}
    text = (ROOT/'docs'/'dependencies.md').read_text(encoding='utf-8')
    lacking = [f'{n} has no pin in constraints.txt' for n in names if canonicalize_name(n) not in pins]
    lacking += [f'{n} has no line in docs/dependencies.md' for n in names if f'| `{n}` |' not in text]
    need(not lacking, '\n'.join(lacking))

def messages():
    "every error says what, where and what to do"
    python('.ci/messages.py', '--check')

def page_of_messages():
    "docs/messages.md lists all of them"
    python('.ci/messages.py', '--check', 'page')

def quick_import():
    "galaxy_nbdev imports within 0.5 s"
    took = float(python('-c',
                        'import time; t = time.perf_counter(); import galaxy_nbdev; print(time.perf_counter()-t)'))
    need(took < .5, f'it takes {took:.2f} s: something heavy is imported at the top')

def survey():
    "the survey of profile test is there"
    python('-c', 'from galaxy_nbdev.sources import catalogue; catalogue()')

def environment():
    "the installed packages agree with one another"
    python('-m', 'pip', 'check')

# --- what a user installs

def wheel_requirements(wheel):
    "Declared requirements of a wheel: those always installed, and those of any extra but dev; canonical names."
    with zipfile.ZipFile(wheel) as z:
        meta = next(z.read(n).decode() for n in z.namelist() if n.endswith('.dist-info/METADATA'))
    reqs = [Requirement(r) for r in email.message_from_string(meta).get_all('Requires-Dist', [])]
    names = lambda keep: {canonicalize_name(r.name) for r in reqs if keep(str(r.marker or ''))}
    return names(lambda m: 'extra' not in m), names(lambda m: 'extra' in m and 'dev' not in m)

def imports(path):
    "Top-level names that a module imports: at its top, and inside its functions."
    tree = ast.parse(path.read_text(encoding='utf-8'))
    def found(nodes):
        names = [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
        names += [n.module for n in nodes if isinstance(n, ast.ImportFrom) and not n.level]
        return {n.split('.')[0] for n in names} - sys.stdlib_module_names - {'galaxy_nbdev'}
    top = found(tree.body)
    return top, found(ast.walk(tree)) - top

def wheel():
    "the wheel holds galaxy_nbdev/ and its campaigns alone, and declares everything that it imports"
    with tempfile.TemporaryDirectory() as t:
        python('-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', WHEEL, '.',
               cwd=copy_tree(Path(t)/'copy'))
    file, = WHEEL.glob('*.whl')
    held = {n for n in zipfile.ZipFile(file).namelist() if '.dist-info/' not in n}
    own = {str(p.relative_to(ROOT)) for pattern in ('*.py', 'campaigns/*.json')
           for p in (ROOT/'galaxy_nbdev').rglob(pattern)}
    need(held == own, f'too much in the wheel: {sorted(held-own)}; missing from it: {sorted(own-held)}')
    always, extra = wheel_requirements(file)
    dists, lacking = packages_distributions(), []
    for p in sorted((ROOT/'galaxy_nbdev').rglob('*.py')):
        for names, declared in zip(imports(p), (always, always|extra)):
            lacking += [f'{p.name} imports {n}' for n in sorted(names)
                        if not {canonicalize_name(d) for d in dists.get(n, [])} & declared]
    need(not lacking, f'settings.ini requires none of these: {"; ".join(lacking)}')

def installed():
    "the wheel works in an environment of its own: light modules without torch, every module, one prediction"
    need(list(WHEEL.glob('*.whl')), 'there is no wheel: see the check before this one')
    folder, (file,) = ROOT/'.ci'/'env', WHEEL.glob('*.whl')
    there = folder/'bin'/'python'
    if not env.fresh(folder):
        env.new(folder, '--without-pip')
        env.install(there, file)
        (folder/'made-from').write_text(env.key(folder))
    else: env.install(there, '--no-deps', '--force-reinstall', file)
    with tempfile.TemporaryDirectory() as t:
        python('-I', ROOT/'.ci'/'installed.py', cwd=t, executable=there, OMP_NUM_THREADS='2')

def from_the_repository():
    "pip installs the package from a repository's address, as Colab and Binder do from a clone alone"
    with tempfile.TemporaryDirectory() as t:
        clone, there = copy_tree(Path(t)/'clone'), Path(t)/'there'
        git = ['git', '-C', str(clone), '-c', 'user.name=check', '-c', 'user.email=check@localhost']
        for words in (['init', '-q'], ['add', '-A'], ['commit', '-q', '-m', 'as it is']):
            subprocess.run(git+words, check=True)
        python('-m', 'pip', 'install', '-q', '--no-deps', '--no-build-isolation', '--target', there,
               f'git+{clone.as_uri()}')
        look = 'import galaxy_nbdev; from galaxy_nbdev.all import read_schema; print(galaxy_nbdev.__file__)'
        said = python('-c', look, cwd=t, PYTHONPATH=str(there))
        need(str(there) in said, f'another package was imported: {said}')
        lines = (clone/'binder'/'requirements.txt').read_text().split()
        need('.[dev]' in lines and '../constraints.txt' in lines, 'binder/ does not install this checkout')

# --- the notebooks, executed

def real_data():
    "The folder that holds the real galaxies as data/, or None."
    given = os.environ.get('GALAXY_SHARED')
    folder = (Path(os.environ.get('CALLED_FROM') or ROOT)/given).resolve() if given else ROOT.parent/'shared'
    return folder if (folder/'data').is_dir() else None

def nbdev_test(flags, *options):
    "Execute the notebooks' tests, a line for each as it ends; returns how many there were and which failed."
    command = [sys.executable, TOOLS/'nbdev_test', '--flags', flags, '--do_print', *options]
    started, said = {}, []
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'},
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        for line in p.stdout:
            for what, file in re.findall(r'(Starting|- Completed) (/.+?\.ipynb)', line):    # two may share a line
                now = time.monotonic()
                if what == 'Starting': started[file] = now
                else: print(f'      {Path(file).relative_to(NBS)!s:32}{now-started.get(file, now):6.1f} s', flush=True)
            if not re.match('Starting /|- Completed /', line): said.append(line)
    text = ''.join(said)
    failed = text.partition('nbdev Tests Failed On The Following Notebooks:')[2].split()[1:]
    if p.returncode: print(text)
    if p.returncode and not failed: failed = ['nbdev_test itself']
    return len(ordered()), failed

def report():
    "make run executes every notebook with a real kernel; its report, opened in Chromium in three ways, has no fault"
    with tempfile.TemporaryDirectory() as t:
        copy = copy_tree(Path(t)/'copy')
        said = python(copy/'.ci'/'report.py', cwd=copy)
        asked = {p.with_suffix('.html') for p in [*ordered(), *map(Path, pages.others())]}
        made = {p.relative_to(copy/'_report'/'notebooks') for p in (copy/'_report').rglob('notebooks/**/*.html')}
        need(made == asked and (copy/'_report'/'index.html').exists(),
             f'pages of the report that lack, or are too many: {sorted(asked ^ made)}\n{said}')
        print('      '+python(copy/'.ci'/'look.py', copy/'_report', ROOT/'_report'/'pictures', cwd=copy).strip())

def looked_at(how):
    "What is wrong with the site's settings, figures, references and links, or with its pages as pandoc reads them."
    with tempfile.TemporaryDirectory() as t:
        wrong, said = pages.check(Path(t)/'_proc', how)
    need(not wrong, '\n'.join(wrong))
    print(f'      {said}', flush=True)

def site_quickly():
    "the site's settings, figures, citations and links hold, and pandoc reads every page without a warning"
    looked_at(pages.Quickly)

def site():
    "so do the pages with the tables of all functions"
    looked_at(pages.Pages)

# --- which of them, in which order

def browser():
    "the galaxy browser, filtered, paged and clicked in JupyterLab in headless Chromium"
    python('.ci/browser.py')

def degenerate():
    "no function that takes a catalogue leaks an error that is none of ours, whatever is wrong with the catalogue"
    python('benchmarks/degenerate.py')

QUICK = [in_sync, imports_run_one_way, house_rules, table_of_models, stored_outputs, dependencies, badges_fit, readme,
         messages, site_quickly, quick_import,
         survey, environment, wheel, installed]
SLOW = [survey, page_of_messages, site, from_the_repository, degenerate, report,
        browser]      # what needs a browser, a network or patience joins these

def attempt(check):
    "Run one check, print its line; True if it passed."
    start, problem = time.monotonic(), None
    try: check()
    except Failed as e: problem = str(e).strip() or 'it said nothing'
    except Exception: problem = traceback.format_exc()      # a check that breaks has not passed
    print(f'{"FAIL" if problem else "ok  "}  {check.__doc__}  {time.monotonic()-start:.1f} s', flush=True)
    if problem: print(re.sub('^', '      ', problem, flags=re.M), flush=True)
    return not problem

def main(which):
    for name in ('GALAXY_DATA', 'GALAXY_KIND'): os.environ.pop(name, None)
    os.environ |= {'GALAXY_PROFILE': 'test', 'GALAXY_HOME': str(ROOT)}
    real = real_data()
    if real: os.environ['GALAXY_SHARED'] = str(real)
    shutil.rmtree(ROOT/'runs'/'test', ignore_errors=True)       # what is tested is trained now
    results = [attempt(c) for c in (QUICK if which == 'quick' else SLOW)]
    flags, options = ('', ['--n_workers', '2']) if which == 'quick' else ('slow', ['--n_workers', '1'])
    print('      notebooks', flush=True)
    n, failed = nbdev_test(f'{flags} real' if real else flags, *options)
    results += [True]*(n-len(failed)) + [False]*len(failed)
    if failed: print(f'FAIL  notebooks {", ".join(failed)}')
    cells = sum('real' in directives(c) for name in ordered() for c in read(NBS/name).cells)
    if real: print(f'real data found in {real}: {cells} cells ran')
    else: print(f'real data absent: {cells} cells skipped')
    if os.environ.get('GALAXY_REQUIRE_REAL') == '1' and not real:
        print('FAIL  GALAXY_REQUIRE_REAL=1, but there is no data/ where GALAXY_SHARED points')
        results.append(False)
    print(f'{results.count(True)} passed, {results.count(False)} failed')
    return all(results)

if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as t:
        WHEEL = Path(t)
        sys.exit(not main(sys.argv[1]))
