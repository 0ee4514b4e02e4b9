"""How long 00_exploration takes on as many galaxies as Kaggle's training set has, and its browser on as many as Galaxy
Zoo 2 has.

    python benchmarks/exploration.py            # both; writes results/exploration.json
    python benchmarks/exploration.py --n 5000 --wide 20000 --out /tmp/exploration.json

The catalogues are simulated, without pictures. Targets: the notebook under 30 s and 2 GB, an interaction of the
browser under 0.3 s.
"""
import argparse, json, os, subprocess, sys, tempfile, time
from pathlib import Path
from timing import peak_gb, seconds

ROOT = Path(__file__).resolve().parents[1]
FLAGS = {'slow', 'gpu', 'real', 'notest'}

def survey(n, dest):
    "A catalogue of `n` simulated galaxies without pictures."
    from galaxy_nbdev.simulate import simulate_survey
    simulate_survey(n, 1, dest, layout='simulated', images=False)

def notebook(root):
    "Execute every cell of the notebook, outputs rendered, on the catalogue in `root`; prints seconds, GB, slowest."
    start = time.perf_counter()
    os.chdir(ROOT/'nbs')
    from execnb.nbio import read_nb
    from execnb.shell import CaptureShell
    from nbdev.process import extract_directives
    from galaxy_nbdev import sources
    galaxies = lambda: sources.read_simulated(root, missing='keep')     # no pictures were drawn
    shell, took = CaptureShell(), []
    for cell in read_nb(ROOT/'nbs'/'00_exploration.ipynb').cells:
        if cell.cell_type != 'code' or FLAGS & extract_directives(cell, remove=False).keys(): continue
        sources.catalogue, began = galaxies, time.perf_counter()
        shell.run(cell.source, stdout=True, stderr=True)
        if shell.exc: raise shell.exc
        took.append((round(time.perf_counter()-began, 2), cell.source.partition('\n')[0]))
    wall, slowest = time.perf_counter()-start, sorted(took, reverse=True)[:5]
    print(json.dumps(dict(seconds=round(wall, 1), cpu_seconds=round(time.process_time(), 1), gb=round(peak_gb(), 2),
                          slowest=slowest)))

def browser(root):
    "Seconds of each kind of interaction with the browser; pictures are missing, so that decoding does not count."
    from galaxy_nbdev import sources
    from galaxy_nbdev.browser import GalaxyBrowser
    df, took = sources.read_simulated(root, missing='keep'), {}
    def timed(name, act, times=5):
        took[name] = round(max(seconds(lambda: act(k)) for k in range(times)), 3)
    timed('open', lambda k: globals().update(b=GalaxyBrowser(df)), 1)
    timed('question', lambda k: setattr(b.question, 'value', 2+k))
    timed('answer', lambda k: setattr(b.answer, 'index', k % 2))
    timed('range', lambda k: setattr(b.range, 'value', (.1*k, .5+.1*k)))
    timed('votes', lambda k: setattr(b.least, 'value', 5*k))
    timed('sort', lambda k: setattr(b.sort, 'index', (k+1) % 4))
    timed('page', lambda k: b.turn(1))
    timed('click', lambda k: b.click(k))
    slowest = max(v for k, v in took.items() if k != 'open')
    print(json.dumps(dict(interactions=took, slowest=slowest, gb=round(peak_gb(), 2))))

def child(what, root):
    "Run one part in a process of its own."
    env = os.environ | {'OMP_NUM_THREADS': '1', 'GALAXY_PROFILE': 'full', 'GALAXY_DATA': str(root)}
    r = subprocess.run([sys.executable, __file__, '--part', what, str(root)], capture_output=True, text=True, env=env)
    if r.returncode: sys.exit(r.stdout+r.stderr)
    return json.loads(r.stdout.splitlines()[-1])

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--n', type=int, default=61_578)
    ap.add_argument('--wide', type=int, default=240_000)
    ap.add_argument('--out', type=Path, default='exploration')
    ap.add_argument('--part', nargs=2)
    a = ap.parse_args()
    if a.part:
        {'notebook': notebook, 'browser': browser}[a.part[0]](Path(a.part[1]))
        sys.exit()
    from galaxy_nbdev import results
    with tempfile.TemporaryDirectory() as t:
        for what, n in (('notebook', a.n), ('browser', a.wide)):
            survey(n, Path(t)/what)
            print(results.keep({'part': what, 'n': n} | child(what, Path(t)/what), a.out, ('part', 'n')), flush=True)
