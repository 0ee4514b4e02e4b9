"""The notebooks' tests with a card in sight, without nbdev: every code cell of every notebook, one process a notebook.

    python benchmarks/gpu_tests.py                          # all; writes results/gpu_tests.json
    python benchmarks/gpu_tests.py learner 04_resnet        # notebooks whose path holds one of these words

Cells that `nbdev_test` skips are skipped here too, but for those marked `gpu`. A notebook has `--minutes`; one that
fails says in which cell, and with what. Needs IPython for `display`, and nothing else that the package does not need.
"""
import argparse, configparser, json, os, subprocess, sys, tempfile, time
from pathlib import Path
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

def skipped(source, flags):
    "Is this cell left out?"
    first = [line[2:].strip() for line in source.splitlines() if line.startswith('#|')]
    words = {d.split(':')[0].strip() for d in first}
    return bool(words & flags) or any(d.replace(' ', '').lower() == 'eval:false'
                                      for d in first) or 'nbdev_export(' in source

def flags():
    "What marks a skipped cell: `tst_flags` of settings.ini, without `gpu`."
    settings = configparser.ConfigParser()
    settings.read(ROOT/'settings.ini')
    return set(settings['DEFAULT']['tst_flags'].split())-{'gpu'}

def execute(path):
    "Run the cells of one notebook in this process, in its own folder."
    import matplotlib
    matplotlib.use('agg')
    from IPython.display import display
    cells = [''.join(c['source']) for c in json.loads(Path(path).read_text())['cells'] if c['cell_type'] == 'code']
    space = {'__name__': '__main__', 'display': display}
    for i, source in enumerate(cells):
        if skipped(source, flags()): continue
        print(f'cell {i}: {next((s for s in source.splitlines() if not s.startswith("#|")), "")[:80]}', flush=True)
        exec(compile(source, f'{Path(path).stem}, cell {i}', 'exec'), space)

def outcome(path, minutes):
    "How a notebook fared: passed, seconds, and the last lines of what went wrong."
    env = os.environ | {'IN_TEST': '1', 'GALAXY_PROFILE': 'test', 'PYTHONPATH': str(ROOT), 'MPLBACKEND': 'agg'}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        env.setdefault('GALAXY_HOME', home)
        call = [sys.executable, str(Path(__file__).resolve()), '--one', str(path)]
        try:
            r = subprocess.run(call, cwd=path.parent, env=env, capture_output=True, text=True, timeout=60*minutes)
            error = None if r.returncode == 0 else r.stdout.splitlines()[-1:]+r.stderr.splitlines()[-3:]
        except subprocess.TimeoutExpired: error = [f'not done after {minutes} minutes']
    return {'passed': error is None, 'seconds': round(time.monotonic()-began, 1),
            'error': error and ' | '.join(error)[:500]}

def main(words, minutes, out):
    import torch
    from galaxy_nbdev import results
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'
    found = sorted((ROOT/'nbs').glob('foundations/*.ipynb'))+sorted((ROOT/'nbs').glob('*.ipynb'))
    failed = 0
    for path in [p for p in found if not words or any(w in str(p) for w in words)]:
        name = str(path.relative_to(ROOT/'nbs').with_suffix(''))
        row = results.keep({'notebook': name, 'device': device} | outcome(path, minutes), out, ('notebook', 'device'))
        failed += not row['passed']
        print(f'{"ok  " if row["passed"] else "FAIL"} {name:28} {row["seconds"]:7.1f} s  {row["error"] or ""}',
              flush=True)
    sys.exit(failed > 0)

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('words', nargs='*')
    ap.add_argument('--minutes', type=float, default=5, help='for one notebook')
    ap.add_argument('--one', help='used by itself')
    ap.add_argument('--out', type=Path, default='gpu_tests')
    a = ap.parse_args()
    if a.one: execute(a.one)
    else: main(a.words, a.minutes, a.out)
