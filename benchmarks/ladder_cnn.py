"""What each change is worth: one network of 571,225 parameters, one rung after the other, on five folds with three seeds each.

    python benchmarks/ladder_cnn.py ../shared/data/gz2_800

Every rung keeps what the one below it had, from the course project's recipe upwards; beside them stands the plain
PyTorch recipe of benchmarks/rival.py. RMSE of the last epoch on the held-out fold, with one view and with eight.
Each row goes into results/ladder_cnn.json as soon as it is there; what is there already is not trained again, and an
interrupted training goes on after its last whole epoch. `--try` adds a recipe of one's own: --try epochs=500 bs=32 zoom=0.9,1.1
`--inside 0` compares recipes on folds (of hash seed 1) of fold 0's training part alone. A choice made there is clean for fold 0 and for no other:
the held-out galaxies of the other folds are in that part. For all five folds, choose inside each one's own training part.
"""
import argparse, hashlib, json, os, sys, tempfile
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
os.environ.setdefault('GALAXY_HOME', str(Path(tempfile.gettempdir())/'galaxy_ladder'))      # its runs stay apart from those of the notebooks
import numpy as np, torch
import rival
from fastai.callback.mixup import MixUp
from safetensors.torch import load_model
from galaxy_nbdev import metrics, profile, sources
from galaxy_nbdev.dataloaders import GalaxyAugment, GalaxyDataLoaders, data_hash, kfold_ids, split_ids
from galaxy_nbdev.prediction import predict
from galaxy_nbdev.learner import galaxy_learner, train_run
from galaxy_nbdev.runs import read_history, run_folder
from galaxy_nbdev.schema import CLASSES
from galaxy_nbdev.simulate import VERSION, simulate_survey

RESULTS = Path(__file__).parents[1]/'results'/'ladder_cnn.json'
START = dict(epochs=6, lr=3e-3, bs=64, fit='fit', wd=0., head='sigmoid', loss='mse', zoom=None, brightness=[.8, 1.2], crop=212, mixup=0., pretrain=0)       # zoom None: no augmentation; pretrain: simulated galaxies to train on before
CHANGES = {'course recipe': {}, '+ augmentation': dict(zoom=[.8, 1.2]), '+ one cycle': dict(fit='fit_one_cycle', wd=.05), '+ tree head': dict(head='tree'),
           '+ 200 epochs': dict(epochs=200), '+ simulated pretraining': dict(pretrain=6000)}
SEEDS = 3
REFERENCES = {'plain PyTorch, course recipe': dict(epochs=6, plain=True), 'plain PyTorch, 200 epochs': dict(epochs=200, plain=False)}

def recipes(ladder, own):
    "(rung, name, settings) of every recipe of a ladder, a module like this one; settings of a reference are those of `rival.run`."
    found, settings = [], ladder.START
    for i, (name, change) in enumerate(ladder.CHANGES.items(), 1):
        settings = settings | change
        found.append((i, name, settings))
    if own: found.append((len(found)+1, 'tried: '+' '.join(f'{k}={v}' for k, v in own.items()), settings | own))
    return found + [(20+i, name, s) for i, (name, s) in enumerate(ladder.REFERENCES.items())]

def short_hash(s): return hashlib.sha256(json.dumps(s, sort_keys=True).encode()).hexdigest()[:8]

PRETRAINING = dict(epochs=40, lr=3e-3)

def simulated_start(n, s, seed, network, pretraining, **how):
    "A run of the same network on n simulated galaxies, trained once and shared by all folds; minutes it took."
    root = simulate_survey(n, 77, Path(os.environ['GALAXY_HOME'])/f'pretraining-v{VERSION}-n{n}', layout='simulated')
    df = sources.catalogue(root)
    dls = GalaxyDataLoaders.from_catalogue(df, split_ids(df.galaxy_id, test=0, valid=.02), size=s.get('size', 64), crop=s['crop'], bs=s['bs'], augment=[GalaxyAugment(zoom=s['zoom'], brightness=s['brightness'])])
    learn = galaxy_learner(dls, f'galaxy_nbdev.{network}:galaxy_{network}', head=s['head'], wd=s['wd'], seed=seed, **how)
    name = ('' if network == 'cnn' else f'{network}-')+'pretraining-'+short_hash([s[k] for k in ('crop', 'bs', 'head', 'wd', 'zoom', 'brightness', 'size') if k in s])
    folder = run_folder(learn, name, seed)
    if not folder.exists(): train_run(learn, name, **pretraining, seed=seed)
    return folder, read_history(folder).seconds.sum()/60

def learner_of(df, settings, held, seed, network, **how):
    "A learner for a recipe; `how` goes to `galaxy_learner`."
    s = settings
    augment = [GalaxyAugment(zoom=s['zoom'], brightness=s['brightness'])] if s['zoom'] else False
    dls = GalaxyDataLoaders.from_catalogue(df, held, size=s.get('size', 64), crop=s['crop'], bs=s['bs'], augment=augment, counts=s['loss'] == 'votes')
    return galaxy_learner(dls, f'galaxy_nbdev.{network}:galaxy_{network}', head=s['head'], loss=s['loss'], wd=s['wd'], seed=seed, cbs=[MixUp(s['mixup'])] if s['mixup'] else None, **how)

def scored(learn, test):
    "RMSE of galaxies with one view and with eight."
    rmse = lambda tta: metrics.rmse(*metrics.paired(predict(learn, test, tta=tta), test))
    return {'rmse': rmse(None), 'rmse_tta8': rmse('dihedral8')}

def climb(df, settings, held, seed, network='cnn', pretraining=PRETRAINING, **how):
    "Train one recipe on one fold and score it."
    s = dict(settings)
    learn, before = learner_of(df, s, held, seed, network, **how), 0.
    if s['pretrain']:
        folder, before = simulated_start(s['pretrain'], s, seed, network, pretraining, **how)
        load_model(learn.model, folder/'weights.safetensors')
    name = f'{network}-{short_hash(s)}'
    train_run(learn, name, s['epochs'], lr=s['lr'], seed=seed, fit=s['fit'])
    return scored(learn, df[held.to_numpy()]) | {'minutes': read_history(run_folder(learn, name, seed)).seconds.sum()/60, 'minutes_before': before,
            'parameters': sum(w.numel() for w in learn.model.parameters()), 'device': str(learn.dls.device)}

def parts(df, inside):
    "The galaxies and their folds: all and those of hash seed 0, or the training part of one fold and those of hash seed 1."
    folds = kfold_ids(df.galaxy_id)
    if inside is None: return df, folds
    df = df[(folds != inside).to_numpy()].reset_index(drop=True)
    return df, kfold_ids(df.galaxy_id, seed=1)

def mean_predictor(df, held):
    "RMSE of one who says the mean of the other galaxies' labels of everyone."
    return metrics.rmse(np.tile(df[~held][CLASSES].mean(), (held.sum(), 1)), df[held][CLASSES])

def reference(df, pixels, settings, fold, seed, arch='cnn'):
    row = rival.run(df, *pixels, arch, fold, seed, **settings)
    return {k: row[k] for k in ('rmse', 'rmse_tta8', 'minutes', 'parameters', 'device')}

def rows(results): return json.loads(results.read_text())['runs'] if results.exists() else []

def keep(row, results):
    "Add a row, in place of an earlier one of the same name, fold and seed."
    place = lambda r: (r['data'], r['rung'], r['recipe'], r['seed'], r['fold'])
    runs = sorted([r for r in rows(results) if place(r) != place(row)]+[row], key=place)
    results.parent.mkdir(exist_ok=True)
    new = results.with_suffix('.new')
    new.write_text(json.dumps({'provenance': profile.provenance(torch=torch.__version__), 'runs': runs}, indent=1))
    os.replace(new, results)

def value(text):
    try: return json.loads(f'[{text}]') if ',' in text else json.loads(text)
    except ValueError: return text

def main(ladder):
    "The command line of a ladder: a module with START, CHANGES, REFERENCES, SEEDS, RESULTS, climb and reference."
    ap = argparse.ArgumentParser(description=ladder.__doc__.splitlines()[0])
    ap.add_argument('data'); ap.add_argument('--folds', type=int, nargs='+', default=range(5)); ap.add_argument('--seeds', type=int, nargs='+', default=range(ladder.SEEDS))
    ap.add_argument('--inside', type=int, metavar='FOLD', help='compare recipes inside the training part of this fold')
    ap.add_argument('--rungs', type=int, nargs='+', help='only these; from 20 on they are the references'); ap.add_argument('--try', dest='own', nargs='+', default=[], metavar='KEY=VALUE')
    a = ap.parse_args()
    own = {k: value(v) for k, v in (o.split('=', 1) for o in a.own)}
    if unknown := set(own)-set(ladder.START)-{'size'}: sys.exit(f'{", ".join(unknown)}: choose among {", ".join(ladder.START)}, size')
    df, folds = parts(sources.catalogue(a.data), a.inside)
    chosen, pixels = [r for r in recipes(ladder, own) if not a.rungs or r[0] in a.rungs], None
    for seed in a.seeds:
        for fold in a.folds:
            held = (folds == fold).to_numpy()
            for rung, name, settings in chosen:
                about = {'data': data_hash(df), 'name': df.attrs['name'], 'labels': df.attrs['kind'], 'rung': rung, 'recipe': name, 'settings': settings, 'epochs': settings['epochs'], 'inside': a.inside, 'fold': fold, 'seed': seed}
                if any(all(r.get(k) == v for k, v in about.items()) for r in rows(ladder.RESULTS)): continue
                if rung >= 20: pixels = pixels or rival.load(df)
                score = ladder.reference(df, pixels, settings, fold, seed) if rung >= 20 else ladder.climb(df, settings, folds == fold, seed)
                where = profile.provenance()
                keep(about | score | {'mean_predictor': mean_predictor(df, held)} | {k: where[k] for k in ('version', 'git', 'threads', 'load', 'date')}, ladder.RESULTS)
                print(f'{name:32} fold {fold} seed {seed}  rmse {score["rmse"]:.4f}  eight views {score["rmse_tta8"]:.4f}  {score["minutes"]:.2f} min', flush=True)

if __name__ == '__main__': main(sys.modules[__name__])
