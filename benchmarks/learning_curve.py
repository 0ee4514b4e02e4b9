"""How much does another galaxy teach? RMSE against the number of training galaxies, simulated and real.

    python benchmarks/learning_curve.py --real ../shared/data/gz2_800 # both curves, about 25 minutes on one thread
    python benchmarks/learning_curve.py --real ../shared/data/gz2_800 --estimate # times three epochs of every
                        point, trains nothing, writes nothing

Three times: fold k of five is held out, and of the others an eighth, a quarter, a half and all are trained on, with
seed k; the smaller choices are parts of the larger. The network is the course project's CNN with the tree head; every
point takes the same number of steps, so that fewer galaxies are seen more often. The score is of eight views of the
galaxies held out. Nothing is chosen by it: the recipe was fixed beforehand. Every point goes to
results/learning_curve.json as it ends; points that are there are not run again.
"""
import argparse, os, sys, tempfile, time
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault('GALAXY_HOME', str(Path(tempfile.gettempdir())/'galaxy_curve'))
import numpy as np
from fastai.callback.core import Callback, CancelValidException
from galaxy_nbdev import images, metrics, results, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders, data_hash
from galaxy_nbdev.evaluation import score
from galaxy_nbdev.prediction import predict
from galaxy_nbdev.learner import galaxy_learner
from galaxy_nbdev.runs import seed_everything
from galaxy_nbdev.schema import CLASSES
from galaxy_nbdev.simulate import VERSION
from galaxy_nbdev.splits import kfold_ids, split_ids

ARCH, HEAD = 'galaxy_nbdev.cnn:galaxy_cnn', 'tree'
SETTINGS = dict(size=64, bs=64, lr=3e-3, steps=800)
KEY = ('data', 'share', 'fold', 'seed')
SHARES = [1/8, 1/4, 1/2, 1]

class NoValidation(Callback):
    "The galaxies held out are scored once, at the end."
    def before_validate(self): raise CancelValidException

def chosen(df, fold, share):
    "'train', 'valid' (held out) or 'test' (left out) by galaxy_id; a smaller share is a part of a larger."
    split = kfold_ids(df.galaxy_id).eq(fold).map({True: 'valid', False: 'train'})
    if share == 1: return split
    few = split_ids(split.index, test=0, valid=1-share, seed=100+fold) == 'train'
    return split.where((split == 'valid') | few, 'test')

def loaders(df, fold, share, recipe):
    "Loaders of a share of a fold's training part, and that fold's held-out galaxies."
    split = chosen(df, fold, share)
    test = df[(split == 'valid').to_numpy()]
    test.attrs = df.attrs
    return GalaxyDataLoaders.from_catalogue(df, split, size=recipe['size'], bs=recipe['bs']), test

def learner(dls, fold, recipe):
    "An untrained learner."
    learn = galaxy_learner(dls, ARCH, head=HEAD, seed=fold, cbs=NoValidation())
    seed_everything(fold, dls)
    return learn

def point(df, fold, share, recipe):
    "Train on a share; the score of the galaxies held out."
    dls, test = loaders(df, fold, share, recipe)
    n, start, cpu = len(dls.train_ds), time.monotonic(), time.process_time()
    learn, epochs = learner(dls, fold, recipe), max(1, round(recipe['steps']*recipe['bs']/n))
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, recipe['lr'])
    s = score(predict(learn, test, 'dihedral8', store=images.build_store(df, size=recipe['size'])), test)
    mean = df[(chosen(df, fold, share) == 'train').to_numpy()][CLASSES].mean()
    return dict(n_train=n, n_test=len(test), epochs=epochs, rmse_8=s.overall.rmse, low=s.intervals.low.rmse,
                high=s.intervals.high.rmse,
                floor=s.overall.floor, outputs=int(s.overall.outputs),
                mean_predictor=metrics.rmse(np.tile(mean, (len(test), 1)), test[CLASSES]),
                minutes=round((time.monotonic()-start)/60, 2), cpu_minutes=round((time.process_time()-cpu)/60, 2))

def estimate(df, fold, share, recipe):
    "Minutes of processor time that a point will take, from two epochs after a first one."
    dls, _ = loaders(df, fold, share, recipe)
    learn = learner(dls, fold, recipe)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, recipe['lr'])
        cpu = time.process_time()
        learn.fit(2, recipe['lr'])
    return (time.process_time()-cpu)/2*round(recipe['steps']*recipe['bs']/len(dls.train_ds))/60

def surveys(real, galaxies):
    "The catalogues, by name."
    return {'simulated': sources.catalogue('simulated', n=galaxies)} | ({'real': sources.catalogue(real)} if real
                                                                        else {})

def told(row):
    "One row in words."
    form = '{survey}, {labels} labels, fold {fold}: {n_train} galaxies, {epochs} epochs, RMSE {rmse_8:.4f}'
    return form.format(**row)

def main(real, galaxies, folds, shares, steps, ask, out):
    settings = SETTINGS | {'steps': steps}
    for name, df in surveys(real, galaxies).items():
        if ask:
            minutes = [round(estimate(df, 0, s, settings), 2) for s in shares]
            print(f'{name}: {minutes} minutes of processor time for the shares {shares}, times {len(folds)} folds',
                  flush=True)
            continue
        for fold in folds:
            for share in shares:
                about = {'survey': name, 'name': df.attrs['name'], 'labels': df.attrs['kind'], 'data': data_hash(df),
                         'share': share, 'fold': fold,
                         'seed': fold, 'recipe': 'course CNN, tree head', 'arch': ARCH, 'head': HEAD,
                         'settings': settings}
                if results.done(about, out): continue
                row = about | {'kind': 'rung', 'builds_on': None, 'split': f'k5f{fold}-s0'} | point(df, fold, share,
                                                                                                    settings)
                print(told(results.keep(row, out, KEY, sky_version=VERSION)), flush=True)

if __name__ == '__main__':
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--real', help='folder of a real data set')
    a.add_argument('--galaxies', type=int, default=2000, help='simulated galaxies')
    a.add_argument('--folds', type=int, nargs='+', default=[0, 1, 2])
    a.add_argument('--shares', type=float, nargs='+', default=SHARES)
    a.add_argument('--steps', type=int, default=SETTINGS['steps'])
    a.add_argument('--estimate', dest='ask', action='store_true')
    a.add_argument('--out', type=Path, default='learning_curve')
    main(**vars(a.parse_args()))
