"""What needs no network: all zeros, mean predictor, colour of the central pixels, boosted trees on 18 measures, on
five folds.

    python benchmarks/baselines.py ../shared/data/gz2_800

Adds its rows to results/baselines.json; a fold that is measured already is left out.
"""
import argparse, sys, time
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1]))
from galaxy_nbdev import results, sources
from galaxy_nbdev.dataloaders import data_hash
from galaxy_nbdev.measures import baselines
from galaxy_nbdev.metrics import rmse
from galaxy_nbdev.schema import CLASSES
from galaxy_nbdev.splits import kfold_ids

def scores(train, test):
    "RMSE of each baseline on the held-out galaxies, each class and galaxy weighing the same."
    truth = test.set_index('galaxy_id')[CLASSES]
    return {name: float(rmse(p.set_index('galaxy_id').reindex(truth.index, columns=CLASSES).to_numpy(),
                             truth.to_numpy()))
            for name, p in baselines(train, test).items()}

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0])
    ap.add_argument('data')
    ap.add_argument('--folds', type=int, default=5)
    a = ap.parse_args()
    df = sources.catalogue(a.data)
    folds = kfold_ids(df.galaxy_id, a.folds)
    same = {'data': data_hash(df), 'labels': df.attrs['kind'], 'kind': 'reference', 'builds_on': None}
    for k in range(a.folds):
        about = same | {'split': f'k{a.folds}f{k}-s0', 'fold': k, 'seed': 0}
        if results.done(about | {'recipe': 'boosted measures'}, 'baselines'): continue
        began, held = time.monotonic(), df.galaxy_id.map(folds) == k
        found = scores(df[~held], df[held])
        minutes = (time.monotonic()-began)/60
        for name, value in found.items():
            row = about | {'recipe': name, 'rmse_1': value, 'mean_predictor': found['mean predictor'],
                           'minutes': minutes}
            print(results.keep(row, 'baselines', key=('data', 'split', 'recipe')), flush=True)
