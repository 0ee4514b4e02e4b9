"""The notebooks' tests with a card in sight, without nbdev: every code cell of every notebook, one process a notebook.

    python benchmarks/gpu_tests.py                          # all; writes results/gpu_tests.json
    python benchmarks/gpu_tests.py learner 04_resnet        # notebooks whose path holds one of these words

Cells that `nbdev_test` skips are skipped here too, but for those marked `gpu`. `--jobs` notebooks run at a time, each
for at most `--seconds` and in a home of its own; one that fails says in which cell, and with what. Needs IPython for
`display`, and nothing else that the package and its extra `imagenet` do not need.
"""
import argparse, configparser, json, linecache, os, signal, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import ModuleType
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

def skipped(source, flags):
    "Is this cell left out?"
    first = [line[2:].strip() for line in source.splitlines() if line.startswith('#|')]
    words = {d.split(':')[0].strip() for d in first}
    return bool(words & flags) or any(d.replace(' ', '').lower() == 'eval:false'
                                      for d in first) or 'nbdev_export(' in source

def flags():
    "What marks a skipped cell: `tst_flags` of settings.ini; with a card, without `gpu`."
    import torch
    settings = configparser.ConfigParser()
    settings.read(ROOT/'settings.ini')
    return set(settings['DEFAULT']['tst_flags'].split())-({'gpu'} if torch.cuda.is_available() else set())

def execute(path):
    "Run the cells of one notebook in this process, in its own folder."
    import matplotlib
    matplotlib.use('agg')
    import matplotlib.pyplot
    from IPython.display import display
    # notebooks take one thing from nbdev: what shows a definition
    sys.modules |= {'nbdev': ModuleType('nbdev'), 'nbdev.showdoc': ModuleType('nbdev.showdoc')}
    sys.modules['nbdev.showdoc'].show_doc = lambda what, **kwargs: what
    cells = [''.join(c['source']) for c in json.loads(Path(path).read_text())['cells'] if c['cell_type'] == 'code']
    # worker processes look their functions up in this module
    sys.modules['__main__'] = ModuleType('__main__')
    space, left_out = vars(sys.modules['__main__']), flags()
    space['display'] = display
    for i, source in enumerate(cells):
        if skipped(source, left_out): continue
        print(f'cell {i}: {next((s for s in source.splitlines() if not s.startswith("#|")), "")[:80]}', flush=True)
        name = f'{Path(path).stem}, cell {i}'
        # docments read a function's source
        linecache.cache[name] = len(source), None, source.splitlines(True), name
        exec(compile(source, name, 'exec'), space)
        matplotlib.pyplot.close('all')      # as notebooks do after each cell

def outcome(path, seconds, logs):
    "How a notebook fared: passed, seconds, and the last lines of what went wrong; all that it said goes into a log."
    known = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])
    env = os.environ | {'IN_TEST': '1', 'GALAXY_PROFILE': 'test', 'PYTHONPATH': known, 'MPLBACKEND': 'agg',
                        'OMP_NUM_THREADS': '2'}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        env['GALAXY_HOME'] = home
        call = [sys.executable, str(Path(__file__).resolve()), '--one', str(path)]
        # a session of its own: what the notebook has started ends with it
        with subprocess.Popen(call, cwd=path.parent, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors='replace', start_new_session=True) as p:
            try: told = p.communicate(timeout=seconds)[0]
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                told = p.communicate()[0]+f'not done after {seconds:.0f} s'
    passed, lines = p.returncode == 0, told.splitlines()
    if logs: (logs/f'{path.stem}.log').write_text(told[-30_000:])
    at = [line for line in lines if line.startswith('cell ')][-1:]
    return {'passed': passed, 'seconds': round(time.monotonic()-began, 1),
            'error': None if passed else ' | '.join(at+lines[-3:])[:500]}

def main(words, seconds, jobs, logs, out):
    import torch
    from galaxy_nbdev import results
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'
    if logs: logs.mkdir(parents=True, exist_ok=True)
    # the numbered ones train, so they begin first; then the long ones
    found = [p for folder in ('nbs', 'nbs/foundations') for p in
             sorted((ROOT/folder).glob('*.ipynb'), key=lambda p: -p.stat().st_size)]
    found = [p for p in found if not words or any(w in str(p.relative_to(ROOT)) for w in words)]
    failed, began = 0, time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        asked = {pool.submit(outcome, p, seconds, logs): str(p.relative_to(ROOT/'nbs').with_suffix('')) for p in found}
        for done in as_completed(asked):
            row = results.keep({'notebook': asked[done], 'device': device} | done.result(), out, ('notebook', 'device'))
            failed += not row['passed']
            print(f'{"ok  " if row["passed"] else "FAIL"} {row["notebook"]:28} {row["seconds"]:7.1f} s  '
                  f'{row["error"] or ""}', flush=True)
    print(f'{len(found)-failed} of {len(found)} passed on {device} in {time.monotonic()-began:.0f} s')
    sys.exit(failed > 0)

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('words', nargs='*')
    ap.add_argument('--seconds', type=float, default=150, help='for one notebook')
    ap.add_argument('--jobs', type=int, default=max(1, os.cpu_count()//2), help='notebooks at a time')
    ap.add_argument('--logs', type=Path, help='folder for what each notebook said')
    ap.add_argument('--one', help='used by itself')
    ap.add_argument('--out', type=Path, default='gpu_tests')
    a = ap.parse_args()
    if a.one: execute(a.one)
    else: main(a.words, a.seconds, a.jobs, a.logs and a.logs.resolve(), a.out)
