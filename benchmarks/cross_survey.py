"""Does the simulated sky teach what the real one asks, and the other way round? ResNet-18 trained on one, tested on the
other.

    python benchmarks/cross_survey.py ../shared/data/gz2_800

As many simulated galaxies as there are real ones, in the same layout with the same label kind; every galaxy of the
other survey is a test galaxy, and galaxies that stand in both would be dropped from training. Beside each network:
the mean of the tested survey's own labels, and its central pixels' neighbours (five folds of it). The recipe was
fixed beforehand: nothing is chosen by the test. Adds a row a seed and direction to results/cross_survey.json; rows
that are there are not made again.
"""
import argparse, os, sys, tempfile
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault('GALAXY_HOME', str(Path(tempfile.gettempdir())/'galaxy_cross'))
import numpy as np, pandas as pd
from galaxy_nbdev import metrics, results, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders, data_hash
from galaxy_nbdev.measures import baselines
from galaxy_nbdev.prediction import predict
from galaxy_nbdev.learner import galaxy_learner, train_run
from galaxy_nbdev.overlap import drop_same_sky
from galaxy_nbdev.runs import read_history, run_folder
from galaxy_nbdev.schema import CLASSES
from galaxy_nbdev.simulate import VERSION, simulate_survey
from galaxy_nbdev.splits import kfold_ids

KEY = ('trained', 'tested', 'data', 'test_data', 'seed')
SHOWN = ['Class1.1', 'Class2.1', 'Class4.1', 'Class7.3']
RECIPE = dict(epochs=60, lr=2e-3)

def trained(df, held, name, seed, bf16):
    "ResNet-18 of a survey."
    dls = GalaxyDataLoaders.from_catalogue(df, held, size=64)
    learn = galaxy_learner(dls, 'galaxy_nbdev.resnet:galaxy_resnet', depth=18, seed=seed, bf16=bf16)
    train_run(learn, f'resnet18-{name}', seed=seed, **RECIPE)
    return learn, read_history(run_folder(learn, f'resnet18-{name}', seed)).seconds.sum()/60

def own_baselines(df):
    "RMSE of the survey's own mean, and of its central pixels over five folds."
    folds = kfold_ids(df.galaxy_id)
    part = lambda k: baselines(df[(folds != k).to_numpy()], df[(folds == k).to_numpy()],
                               boosted=False)['central pixels']
    pred = pd.concat([part(k) for k in range(5)])
    y = df[CLASSES].to_numpy()
    mean = np.tile(np.nanmean(y, 0), (len(y), 1))
    return {'mean_predictor': metrics.rmse(mean, y), 'central_pixels': metrics.rmse(*metrics.paired_by_id(pred, df))}

def judged(learn, df):
    "RMSE with one view and with eight, and the correlation of some classes."
    p, y = (t.to_numpy() for t in metrics.paired_by_id(predict(learn, df, tta='dihedral8'), df))
    at = [CLASSES.index(c) for c in SHOWN]
    return {'rmse_1': metrics.rmse(*metrics.paired_by_id(predict(learn, df), df)), 'rmse_8': metrics.rmse(p, y),
            'correlation': {c: float(np.corrcoef(p[:, i], y[:, i])[0, 1]) for c, i in zip(SHOWN, at)}}

def cross(name, df, other_name, other, seed, bf16):
    "One network trained on a survey, judged on the other and at home."
    df, pairs = drop_same_sky(df, other)
    held = kfold_ids(df.galaxy_id) == 0
    learn, minutes = trained(df, held, name, seed, bf16)
    home = judged(learn, df[held.to_numpy()]) | {'galaxies': int(held.sum()), 'split': learn.dls.split}
    return {'galaxies': int((~held).sum()), 'tested_galaxies': len(other), 'dropped_same_sky': len(pairs),
            'minutes': round(minutes, 2),
            **judged(learn, other), 'at_home': home}

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('data')
    ap.add_argument('--seeds', type=int, nargs='+', default=range(3))
    ap.add_argument('--sky', type=int, default=31, help='seed of the simulated survey')
    ap.add_argument('--bf16', action='store_true')
    ap.add_argument('--out', type=Path, default='cross_survey')
    a = ap.parse_args()
    real = sources.catalogue(a.data)
    drawn = Path(tempfile.gettempdir())/f'cross-v{VERSION}-n{len(real)}-s{a.sky}'
    simulated = sources.catalogue(simulate_survey(len(real), a.sky, drawn, layout='hart16'))
    kinds = [df.attrs['kind'] for df in (real, simulated)]
    if kinds[0] != kinds[1]: sys.exit(f'labels {kinds[0]} and {kinds[1]}: only the same kind can be compared')
    own = {name: own_baselines(df) for name, df in (('real', real), ('simulated', simulated))}
    print({k: {b: round(v, 4) for b, v in o.items()} for k, o in own.items()}, flush=True)
    for seed in a.seeds:
        for name, df, other_name, other in (('simulated', simulated, 'real', real),
                                            ('real', real, 'simulated', simulated)):
            about = {'trained': name, 'tested': other_name, 'data': data_hash(df), 'test_data': data_hash(other),
                     'labels': df.attrs['kind'],
                     'recipe': f'ResNet-18 trained on {name} galaxies', 'seed': seed, 'epochs': RECIPE['epochs'],
                     'settings': RECIPE | {'bf16': a.bf16}}
            if results.done(about, a.out): continue
            row = about | {'kind': 'rung', 'builds_on': None, 'split': 'all of the other survey'} | own[other_name]
            row = results.keep(row | cross(name, df, other_name, other, seed, a.bf16), a.out, KEY, sky_version=VERSION)
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
