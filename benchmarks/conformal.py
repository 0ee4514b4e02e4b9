"""What the intervals of 90 % hold: the course CNN on five folds of real galaxies, or of a simulated survey.

    python benchmarks/conformal.py ../shared/data/gz2_800
    python benchmarks/conformal.py simulated --n 2000

The held-out galaxies of each fold are parted in five by their ids; on four parts the widths are measured, on the fifth
what they hold, for each part in turn. `hits` are of all galaxies and `hits_asked` of those whose volunteers were asked
the question, both with widths by predicted reach; `hits_asked_one` are with one width for each question. Predictions
are kept under GALAXY_HOME. Adds its rows to results/conformal.json; a fold that is there is left out.
"""
import argparse, os, sys, tempfile, time
from pathlib import Path
os.environ.setdefault('GALAXY_HOME', tempfile.gettempdir()+'/conformal')
sys.path.insert(0, str(Path(__file__).parents[1]))
import pandas as pd
from galaxy_nbdev import files, results, sources
from galaxy_nbdev.confidence import interval_hits, interval_widths, with_intervals
from galaxy_nbdev.dataloaders import GalaxyDataLoaders, data_hash
from galaxy_nbdev.learner import galaxy_learner, predict_part
from galaxy_nbdev.metrics import rmse
from galaxy_nbdev.simulate import simulate_survey
from galaxy_nbdev.splits import kfold_ids

HOME = Path(os.environ['GALAXY_HOME'])

def survey(data, n):
    "The catalogue: of a folder, or of a simulated survey."
    if data != 'simulated': return sources.catalogue(data)
    return sources.read_simulated(simulate_survey(n, 0, HOME/f'sim-{n}', 'simulated'))

def counted(hits):
    "Fractions and those inside, by question and overall."
    return {str(k): [int(r.n), round(r.n*r.covered)] for k, r in hits.iterrows() if r.n}

def measured(pred, df, asked=False, **how):
    "Hits of each fifth of the held-out galaxies with the widths of the other four."
    fifth = kfold_ids(pred.galaxy_id, 5, seed=1).to_numpy()
    told = [with_intervals(pred[fifth == k], interval_widths(pred[fifth != k], df, **how)) for k in range(5)]
    tables = [interval_hits(t, df, asked) for t in told]
    both = pd.concat([t.assign(inside=t.n*t.covered) for t in tables]).groupby(level=0, sort=False).sum()
    return both.assign(covered=both.inside/both.n.where(both.n > 0))

def predicted(df, held, epochs, size, name):
    "Predictions of the held-out galaxies by a network that is trained here, or was before."
    file = HOME/f'{name}.parquet'
    if file.exists(): return pd.read_parquet(file)
    dls = GalaxyDataLoaders.from_catalogue(df, held, source='store', size=size, bs=32)
    learn = galaxy_learner(dls, 'galaxy_cnn')
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, 3e-3)
    pred = predict_part(learn)
    with files.replacing(file) as new: pred.to_parquet(new)
    return pred

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0])
    ap.add_argument('data')
    ap.add_argument('--n', type=int, default=2000)
    ap.add_argument('--size', type=int, default=64)
    ap.add_argument('--epochs', type=int, default=60)
    ap.add_argument('--folds', type=int, default=5)
    a = ap.parse_args()
    df = survey(a.data, a.n)
    folds = kfold_ids(df.galaxy_id)
    for k in range(a.folds):
        about = {'data': data_hash(df), 'name': df.attrs['name'], 'labels': df.attrs['kind'], 'recipe': 'course CNN',
                 'fold': k, 'split': f'k5f{k}-s0', 'seed': 0, 'epochs': a.epochs, 'size': a.size, 'level': .9}
        if results.done(about, 'conformal'): continue
        began = time.monotonic()
        pred = predicted(df, folds == k, a.epochs, a.size, f'{about["data"]}-f{k}-{a.epochs}-{a.size}')
        held = df[df.galaxy_id.isin(pred.galaxy_id)]
        held.attrs = df.attrs
        classes = [c for c in pred if c in df and c != 'galaxy_id']
        truth = held.set_index('galaxy_id').loc[pred.galaxy_id]
        found = measured(pred, held)
        row = about | {'rmse_1': float(rmse(pred[classes].to_numpy(), truth[classes].to_numpy())),
                       'covered': float(found.covered['overall']), 'hits': counted(found),
                       'hits_asked': counted(measured(pred, held, True)),
                       'hits_asked_one': counted(measured(pred, held, True, least=10**6)),
                       'minutes': (time.monotonic()-began)/60}
        print({w: row[w] for w in ('fold', 'rmse_1', 'covered', 'minutes')}, flush=True)
        results.keep(row, 'conformal', key=('data', 'recipe', 'fold', 'epochs', 'size', 'level'))
