"""What the intervals of 90 % hold: the course CNN on five folds of real galaxies, or of a simulated survey.

    python benchmarks/conformal.py ../shared/data/gz2_800
    python benchmarks/conformal.py simulated --n 2000

The held-out galaxies of each fold are parted in two by their ids; on one half the widths are measured, on the other
what they hold, and the other way round. Adds its rows to results/conformal.json; a fold that is there is left out.
"""
import argparse, os, sys, tempfile, time
from pathlib import Path
os.environ.setdefault('GALAXY_HOME', tempfile.gettempdir()+'/conformal')
sys.path.insert(0, str(Path(__file__).parents[1]))
import pandas as pd
from galaxy_nbdev import results, sources
from galaxy_nbdev.confidence import interval_hits, interval_widths, with_intervals
from galaxy_nbdev.dataloaders import GalaxyDataLoaders, data_hash
from galaxy_nbdev.learner import galaxy_learner, predict_part
from galaxy_nbdev.metrics import enough_asked, rmse
from galaxy_nbdev.schema import QUESTIONS
from galaxy_nbdev.simulate import simulate_survey
from galaxy_nbdev.splits import kfold_ids

def survey(data, n):
    "The catalogue: of a folder, or of a simulated survey."
    if data != 'simulated': return sources.catalogue(data)
    return sources.read_simulated(simulate_survey(n, 0, Path(os.environ['GALAXY_HOME'])/f'sim-{n}', 'simulated'))

def counted(hits):
    "Fractions and those inside, by question and overall."
    return {str(k): [int(r.n), round(r.n*r.covered)] for k, r in hits.iterrows() if r.n}

def measured(pred, df):
    "Hits of either half of the held-out galaxies with the widths of the other: of all, and of those asked."
    half, asked = kfold_ids(pred.galaxy_id, 2, seed=1) == 0, enough_asked(df)
    seen, of_asked = [], []
    for part in (half.to_numpy(), ~half.to_numpy()):
        told = with_intervals(pred[part], interval_widths(pred[~part], df))
        seen.append(interval_hits(told, df))
        y = df.set_index('galaxy_id')
        known = y.assign(**{c: y[c].where(asked[q.number].set_axis(y.index)) for q in QUESTIONS for c in q.classes})
        of_asked.append(interval_hits(told, known.reset_index()))
    add = lambda tables: pd.concat([t.assign(inside=t.n*t.covered) for t in tables]).groupby(level=0, sort=False).sum()
    whole = lambda t: t.assign(covered=t.inside/t.n.where(t.n > 0))
    return whole(add(seen)), whole(add(of_asked))

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0])
    ap.add_argument('data')
    ap.add_argument('--n', type=int, default=2000)
    ap.add_argument('--size', type=int, default=64)
    ap.add_argument('--epochs', type=int, default=15)
    ap.add_argument('--folds', type=int, default=5)
    a = ap.parse_args()
    df = survey(a.data, a.n)
    folds = kfold_ids(df.galaxy_id)
    for k in range(a.folds):
        about = {'data': data_hash(df), 'name': df.attrs['name'], 'labels': df.attrs['kind'], 'recipe': 'course CNN',
                 'fold': k, 'split': f'k5f{k}-s0', 'seed': 0, 'epochs': a.epochs, 'size': a.size, 'level': .9}
        if results.done(about, 'conformal'): continue
        began = time.monotonic()
        dls = GalaxyDataLoaders.from_catalogue(df, folds == k, size=a.size, bs=32)
        learn = galaxy_learner(dls, 'galaxy_cnn')
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(a.epochs, 3e-3)
        pred = predict_part(learn)
        held = df[df.galaxy_id.isin(pred.galaxy_id)]
        truth = held.set_index('galaxy_id').loc[pred.galaxy_id]
        found, asked = measured(pred, held)
        row = about | {'rmse_1': float(rmse(pred[list(dls.vocab)].to_numpy(), truth[list(dls.vocab)].to_numpy())),
                       'covered': float(found.covered['overall']), 'hits': counted(found), 'hits_asked': counted(asked),
                       'minutes': (time.monotonic()-began)/60, 'device': str(dls.device)}
        print({w: row[w] for w in ('fold', 'rmse_1', 'covered', 'minutes')}, flush=True)
        results.keep(row, 'conformal', key=('data', 'recipe', 'fold', 'epochs', 'size', 'level'))
