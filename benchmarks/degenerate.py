"""Every public function that takes a catalogue, called with degenerate ones: empty, one row, two rows, all NaN, one
value, inf, wrong types, duplicates, no notes, integer ids, unlabelled. What is not a result must be a `ValueError`,
`OSError` or `ImportError`; anything else is a leak.

    python benchmarks/degenerate.py                 # all: some minutes on one core
    python benchmarks/degenerate.py --quick         # three kinds, the rooms without a network: what make test does
"""
import argparse, inspect, os, signal, sys, tempfile, traceback, warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt, numpy as np, pandas as pd
from galaxy_nbdev import all as everything, simulate, sources
from galaxy_nbdev.schema import CLASSES, QUESTIONS

CATALOGUES = 'df', 'pred', 'train', 'test', 'a', 'b', 'truth'       # parameters that are catalogues, by their names
LIGHT = ('cleaning', 'confidence', 'exploration', 'images', 'metrics', 'overlap', 'schema', 'sources', 'votes')
QUICK = 'empty', 'all NaN', 'integer ids'
FINE, SECONDS = (ValueError, OSError, ImportError), 20

def with_classes(df, make):
    "A catalogue with other values in the columns of the classes that it has."
    return df.assign(**{c: make(df[c]) for c in CLASSES if c in df})

def without_notes(df):
    out = df.copy()
    out.attrs = {}
    return out

KINDS = {'sound': lambda df: df, 'empty': lambda df: df.iloc[:0], 'one row': lambda df: df.iloc[:1],
         'two rows': lambda df: df.iloc[:2], 'all NaN': lambda df: with_classes(df, lambda c: np.nan),
         'one value': lambda df: with_classes(df, lambda c: .5),
         'inf': lambda df: with_classes(df, lambda c: c.where(np.arange(len(c)) > 0, np.inf)),
         'wrong types': lambda df: with_classes(df, lambda c: c.astype(str)+' %'),
         'duplicates': lambda df: pd.concat([df, df]), 'no notes': without_notes,
         'integer ids': lambda df: df.assign(galaxy_id=range(len(df))),
         'unlabelled': lambda df: df[[c for c in ('galaxy_id', 'path') if c in df]]}

@contextmanager
def limit(seconds):
    "Raise `TimeoutError` in what takes longer."
    def late(*_): raise RuntimeError(f'longer than {seconds} s')
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try: yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

def functions(modules=None):
    "Public functions with a catalogue among their parameters: (name, function, names of these parameters)."
    found = []
    for name, module in everything.public_names().items():
        if modules and module not in modules: continue
        f = getattr(everything, name)
        if not inspect.isfunction(f): continue
        tables = [p.name for p in inspect.signature(f).parameters.values()
                  if p.name in CATALOGUES and (p.annotation is pd.DataFrame or p.name == 'df')]
        if tables: found.append((name, f, tables))
    return found

def network(df):
    "A small network, untrained, on these galaxies."
    import torch
    from galaxy_nbdev.dataloaders import GalaxyDataLoaders
    from galaxy_nbdev.learner import galaxy_learner
    from galaxy_nbdev.encoders import galaxy_encoder
    torch.manual_seed(0)
    split = pd.Series(np.arange(len(df)) % 4 == 0, df.galaxy_id)
    dls = GalaxyDataLoaders.from_catalogue(df, split, source='files', size=32, bs=8)
    return galaxy_learner(dls, galaxy_encoder, name='resnet10t', pretrained=False)

def settings(df, folder, light):
    "What else the functions need, by the name of the parameter."
    pred = df[['galaxy_id', *CLASSES]].copy()
    ones = {c: np.ones(len(df)) for c in CLASSES}
    given = {'df': df, 'train': df, 'test': df, 'a': pred, 'b': pred, 'truth': pred, 'pred': pred, 'column': 'Class1.1',
             'number': 1, 'q': QUESTIONS[0], 'scheme': 'hubble', 'what': 'votes', 'columns': CLASSES, 'name': 'spiral',
             'preds': {'first': pred, 'second': pred}, 'crop': 212, 'size': 16, 'levels': (.5, .9),
             'alpha': pd.DataFrame(ones).assign(galaxy_id=df.galaxy_id), 'spread': pd.DataFrame(ones)*.1,
             'properties': df[['galaxy_id']].assign(redshift=.1), 'workers': 0, 'boosted': False, 'draws': 20}
    given['labels'] = pd.DataFrame({'galaxy_id': df.galaxy_id, 'Class1.1': (df['Class1.1'] > .5).astype(float)})
    if not light: given['learn'] = network(df)
    given['store'] = everything.build_store(df, folder/'store', size=16, workers=0)
    return given

def outcome(f, table, kind, given, folder):
    "What a call does: 'result', the class of an error that is fine, or 'leak' and its last line."
    given = given | {'dest': Path(tempfile.mkdtemp(dir=folder)), 'path': Path(tempfile.mkdtemp(dir=folder))/'t.parquet'}
    names = inspect.signature(f).parameters
    needed = [p.name for p in names.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
              and (p.default is p.empty or p.name in ('workers', 'boosted', 'draws'))]
    if lacking := [n for n in needed if n not in given]: return 'not called', f'needs {", ".join(lacking)}'
    words = {n: given[n] for n in [*needed, table]}
    words[table] = KINDS[kind](given[table])
    try:
        with limit(SECONDS): f(**words)
        return 'result', ''
    except FINE as e: return type(e).__name__, str(e)
    except Exception as e:
        at = traceback.extract_tb(e.__traceback__)
        own = [s for s in at if 'galaxy_nbdev' in s.filename]
        where = f'{Path(own[-1].filename).stem}.{own[-1].name}:{own[-1].lineno}' if own else ''
        return 'leak', f'{type(e).__name__}: {str(e)[:120]} ({where})'
    finally: plt.close('all')

def run(kinds=None, modules=None, n=12):
    "A table of (function, parameter, kind, outcome, words) over all functions of these modules."
    warnings.simplefilter('ignore')
    rows = []
    with tempfile.TemporaryDirectory() as t:
        t = Path(t)
        os.environ['GALAXY_HOME'] = str(t)
        simulate.simulate_survey(n, 0, t/'survey', layout='simulated', progress=False)
        df = sources.catalogue(t/'survey')
        given = settings(df, t, bool(modules))
        for name, f, tables in functions(modules):
            for table in tables:
                for kind in kinds or KINDS:
                    rows.append((name, table, kind, *outcome(f, table, kind, given, t)))
                    if sys.stderr.isatty(): print(f'{name} {kind}'.ljust(70), end='\r', file=sys.stderr)
    return pd.DataFrame(rows, columns=['function', 'parameter', 'kind', 'outcome', 'words'])

if __name__ == '__main__':
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument('--quick', action='store_true', help='three kinds, the rooms without a network')
    ask.add_argument('--out', help='a CSV file for the whole table')
    asked = ask.parse_args()
    table = run(QUICK, LIGHT) if asked.quick else run()
    if asked.out: table.to_csv(asked.out, index=False)
    print(pd.crosstab(table.kind, table.outcome).to_string())
    print(f'{table.function.nunique()} functions; {dict(Counter(table.outcome))}')
    left = table[table.outcome == 'not called'].drop_duplicates('function')
    print('not called: ' + ', '.join(f'{r.function} ({r.words})' for r in left.itertuples()))
    leaks = table[table.outcome == 'leak']
    for r in leaks.itertuples(): print(f'LEAK {r.function}({r.parameter}={r.kind}): {r.words}')
    sys.exit(len(leaks) > 0)
