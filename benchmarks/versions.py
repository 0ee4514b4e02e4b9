"""This checkout against another one of the project, in turn: loading, training steps, predicting, on this machine.

    git clone . /tmp/older && git -C /tmp/older checkout 53d4e1f
    python benchmarks/versions.py /tmp/older ../shared/data/gz2_800

Each checkout works in a process of its own, which waits while the other one works; `--policy` runs this checkout
against itself instead, once with threads that wait asleep (OMP_WAIT_POLICY=passive) and once with torch's default.
Ratios are this checkout's seconds over the other's. Writes results/versions.json. Run it alone on the machine.
"""
import argparse, os, subprocess, sys, tempfile, time
from importlib import import_module
from pathlib import Path

PARTS = ('loading', 'course CNN, an epoch', 'ResNet-18, an epoch', 'course CNN, predicting')
SLEEP, SPIN = {'OMP_WAIT_POLICY': 'passive', 'GOMP_SPINCOUNT': '0'}, {'OMP_WAIT_POLICY': None, 'GOMP_SPINCOUNT': None}

def worker(data):
    "One side: says 'ready', then for each line with a part's name answers with its seconds."
    import fastai.callback.schedule, fastai.callback.progress
    import pandas as pd
    from galaxy_nbdev import sources
    from galaxy_nbdev.dataloaders import GalaxyDataLoaders
    from galaxy_nbdev.learner import galaxy_learner
    here = import_module('galaxy_nbdev.evaluation')       # where `predict` was before it had a room of its own
    predict = getattr(here, 'predict', None) or import_module('galaxy_nbdev.prediction').predict
    df = sources.catalogue(data)
    many = pd.concat([df.assign(galaxy_id=df.galaxy_id+f'-{i}') for i in range(4)], ignore_index=True)
    many.attrs = df.attrs
    loaders = {n: GalaxyDataLoaders.from_catalogue(d, source='store', bs=64) for n, d in (('many', many), ('few', df))}
    cnn = galaxy_learner(loaders['many'], 'galaxy_nbdev.cnn:galaxy_cnn')
    resnet = galaxy_learner(loaders['few'], 'galaxy_nbdev.resnet:galaxy_resnet', depth=18)
    def fit(learn):
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 2e-3)
    does = dict(zip(PARTS, (lambda: [None for _ in loaders['many'].train], lambda: fit(cnn), lambda: fit(resnet),
                            lambda: predict(cnn, many, store=loaders['many'].train.store))))
    print('ready', flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        does[line.strip()]()
        print(f'seconds {time.perf_counter()-began}', flush=True)

class Side:
    "A checkout at work in a process."
    def __init__(self, root, data, env):
        here = {k: v for k, v in (os.environ | {'PYTHONPATH': str(root)} | env).items() if v is not None}
        here['GALAXY_HOME'] = tempfile.mkdtemp()
        self.process = subprocess.Popen([sys.executable, __file__, '--worker', str(root), data], env=here, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.said('ready')

    def said(self, word):
        "The rest of the next line that begins with this word."
        for line in self.process.stdout:
            if line.startswith(word): return line[len(word):]
        raise OSError(f'{self.process.args} ended before it said {word!r}: see its message above')

    def __call__(self, part):
        self.process.stdin.write(part+'\n')
        self.process.stdin.flush()
        return float(self.said('seconds'))

def compared(sides, part):
    "A row: the medians of both sides in turn, and their ratio."
    from timing import in_turn
    found = in_turn({name: lambda side=side: side(part) for name, side in sides.items()})
    this, other = (found[name]['median'] for name in sides)
    return {'part': part, 'seconds': this, 'seconds_other': other, 'ratio': this/other, 'turns': found}

def main(a):
    here = Path(__file__).parents[1]
    sys.path[:0] = [str(here), str(Path(__file__).parent)]
    from timing import machine
    from galaxy_nbdev import results
    commit = subprocess.run(['git', '-C', a.other, 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True)
    against = 'torch\'s default of waiting threads' if a.policy else commit.stdout.strip() or a.other.name
    about = machine() | {'against': against}
    data = str(Path(a.data).resolve())
    sides = {'this': Side(here, data, SLEEP),
             'other': Side(here if a.policy else a.other.resolve(), data, SPIN if a.policy else SLEEP)}
    for part in PARTS:
        row = results.keep(about | compared(sides, part), a.out, ('against', 'part'))
        print('{part}: {seconds:.2f} s, the other {seconds_other:.2f} s, ratio {ratio:.3f}'.format(**row), flush=True)

if __name__ == '__main__':
    if sys.argv[1:2] == ['--worker']:
        sys.path[:] = [sys.argv[2], *(p for p in sys.path if p != str(Path(__file__).parent))]
        sys.exit(worker(sys.argv[3]))
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('other', type=Path, help='another checkout; this one with --policy')
    ap.add_argument('data', help='folder of a data set')
    ap.add_argument('--policy', action='store_true', help='waiting threads asleep against the default')
    ap.add_argument('--out', default='versions', help='name of the result file, or a path')
    main(ap.parse_args())
