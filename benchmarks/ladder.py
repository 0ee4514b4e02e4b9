"""Ladders: recipes trained on the same folds with the same seeds, one row a training. This is the one mechanism;
ladder_cnn, ladder_resnet and ladder_vit declare their rungs.

A rung is a dict: recipe (its name), kind ('rung', 'pretrained', 'trial' or 'reference'), builds_on (the recipe of
which it is a change), rung (its place among its kind), settings (how it is trained), network (keywords of the
architecture). What the settings mean:

    epochs, lr, fit     passes over the training part, highest rate, fastai's way to train
    bs, wd, head, loss  as `galaxy_learner` and its loaders take them; bf16 too, where it is given
    zoom, brightness    of the augmentation; zoom None: none
    size, crop, mixup   side of the input, of the central part that is kept; alpha of mixup, 0: none
    pretrain            simulated galaxies to train on before, 0: none; pretrain_epochs passes over them

Each row goes into results/<name>.json as soon as it is there; what is there already is not trained again, and an
interrupted training on vote fractions goes on after its last whole epoch. `--try` adds a recipe of one's own: --try
epochs=500 bs=32 zoom=0.9,1.1 `--inside 0` compares recipes on folds (of hash seed 1) of fold 0's training part alone.
A choice made there is clean for fold 0 and for no other: the held-out galaxies of the other folds are in that part.
For all five folds, choose inside each one's own training part.
"""
import argparse, json, os, sys, tempfile, time
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
# apart from the notebooks' runs
os.environ.setdefault('GALAXY_HOME', str(Path(tempfile.gettempdir())/'galaxy_ladder'))
import numpy as np
import rival
from fastai.callback.mixup import MixUp
from safetensors.torch import load_file
from galaxy_nbdev import files, metrics, results, sources
from galaxy_nbdev.augment import GalaxyAugment
from galaxy_nbdev.dataloaders import GalaxyDataLoaders, data_hash
from galaxy_nbdev.learner import galaxy_learner, train_run
from galaxy_nbdev.prediction import predict
from galaxy_nbdev.runs import read_history, run_folder, seed_everything
from galaxy_nbdev.schema import CLASSES
from galaxy_nbdev.simulate import VERSION, simulate_survey
from galaxy_nbdev.splits import kfold_ids, split_ids

SETTINGS = dict(epochs=6, lr=3e-3, bs=64, fit='fit', wd=0., head='sigmoid', loss='mse', zoom=None,
                brightness=[.8, 1.2], crop=212, mixup=0.,
                pretrain=0)
KEY = ('data', 'part', 'recipe', 'inside', 'fold', 'seed')      # which row another training of the same replaces
SKY = 77                                                        # seed of the survey that networks are pretrained on

# --- declaring

def rung(recipe, settings, place, kind=None, builds_on=None, network=None):
    "One rung; its kind follows from its settings where none is named."
    kind = kind or ('pretrained' if settings.get('pretrain') else 'rung')
    return dict(recipe=recipe, kind=kind, builds_on=builds_on, rung=place, settings=settings, network=network or {})

def ladder(start, changes):
    "Rungs that each keep what the one below had, down to the last that began from nothing."
    found = []
    for i, (name, change) in enumerate(changes.items(), 1):
        below = next((r for r in found[::-1] if r['kind'] == 'rung'), None)
        found.append(rung(name, (below['settings'] if below else start) | change, i, None, below and below['recipe']))
    return found

def trial(own, start, below):
    "A recipe of one's own: a change of the last rung that began from nothing."
    known = set(start) | {'size', *below['settings']}
    if unknown := sorted(set(own)-known):
        sys.exit(f'--try {", ".join(unknown)}: choose among {", ".join(sorted(known))}')
    name = ' '.join(f'{k}={v}' for k, v in own.items())
    return rung(name, below['settings'] | own, 1, 'trial', below['recipe'], below['network'])

def references(settings):
    "Plain PyTorch, whose settings are those of `rival.run`."
    return [rung(name, s, i, 'reference') for i, (name, s) in enumerate(settings.items(), 1)]

# --- training

def augmentation(s):
    "The batch transform that a recipe names, or False."
    return [GalaxyAugment(zoom=s['zoom'], brightness=s.get('brightness', [.8, 1.2]))] if s['zoom'] else False

def loaders(df, split, s, vocab=None):
    "Loaders for a recipe."
    return GalaxyDataLoaders.from_catalogue(df, split, size=s.get('size', 64), crop=s.get('crop', 212), bs=s['bs'],
                                            augment=augmentation(s),
                                            vocab=vocab, counts=s['loss'] == 'votes')

def learner_of(dls, s, arch, network, seed):
    "An untrained learner for a recipe."
    precision = {'bf16': s['bf16']} if 'bf16' in s else {}
    cbs = [MixUp(s['mixup'])] if s.get('mixup') else None
    return galaxy_learner(dls, arch, head=s['head'], loss=s['loss'], wd=s['wd'], seed=seed, cbs=cbs, **precision,
                          **network)

def simulated_survey(n):
    "The survey that networks are pretrained on, drawn once."
    return sources.catalogue(simulate_survey(n, SKY, Path(os.environ['GALAXY_HOME'])/f'pretraining-v{VERSION}-n{n}',
                                             layout='simulated'))

def simulated_start(s, arch, network, seed, pretraining):
    "Weights of the same network after training on simulated galaxies, once for all folds of a seed; minutes it took."
    df = simulated_survey(s['pretrain'])
    s = s | {'loss': 'mse', 'mixup': 0.} | pretraining | {k: s[f'pretrain_{k}'] for k in ('epochs',)
                                                          if f'pretrain_{k}' in s}
    learn = learner_of(loaders(df, split_ids(df.galaxy_id, test=0, valid=.02), s), s, arch, network, seed)
    kept = {k: s[k] for k in ('crop', 'bs', 'head', 'wd', 'zoom', 'brightness', 'size', 'epochs', 'lr', 'bf16')
            if k in s}
    name = f'pretraining-{files.digest(arch, network, kept)[:8]}'
    folder = run_folder(learn, name, seed)
    if not folder.exists(): train_run(learn, name, s['epochs'], lr=s['lr'], seed=seed)
    return load_file(folder/'weights.safetensors'), read_history(folder).seconds.sum()/60

def start_from(model, weights):
    "Take over all weights of the same shape: all but the outputs, where their number differs."
    own = model.state_dict()
    model.load_state_dict(own | {k: w for k, w in weights.items() if k in own and own[k].shape == w.shape})

def fitted(learn, name, s, seed):
    "Train; minutes. Labels that are no vote fractions leave no run, whose scores are those of fractions."
    if set(learn.dls.vocab) <= set(CLASSES):
        train_run(learn, name, s['epochs'], lr=s['lr'], seed=seed, fit=s['fit'])
        return read_history(run_folder(learn, name, seed)).seconds.sum()/60
    seed_everything(seed, learn.dls)
    began = time.monotonic()
    with learn.no_bar(), learn.no_logging(): getattr(learn, s['fit'])(s['epochs'], s['lr'])
    return (time.monotonic()-began)/60

def trained(df, split, s, arch, seed, network=None, pretraining=None, vocab=None):
    """A learner after its training, and what its row says of that. `core_minutes` are of all threads together; None
    where an interrupted training went on."""
    network, before = network or {}, 0.
    learn = learner_of(loaders(df, split, s, vocab), s, arch, network, seed)
    if s.get('pretrain'):
        weights, before = simulated_start(s, arch, network, seed, pretraining or {})
        start_from(learn.model, weights)
    name = f'{arch.partition(":")[2]}-{files.digest(network, s)[:8]}'
    whole, work = not run_folder(learn, name, seed).with_suffix('.part').exists(), time.process_time()
    minutes = fitted(learn, name, s, seed)
    core = (time.process_time()-work)/60 if whole else None
    return learn, {'minutes': minutes, 'minutes_before': before, 'core_minutes': core,
                   'parameters': sum(w.numel() for w in learn.model.parameters()), 'device': str(learn.dls.device)}

# --- scoring

def scored(learn, test):
    "RMSE of galaxies with one view and with eight."
    rmse = lambda tta: metrics.rmse(*metrics.paired_by_id(predict(learn, test, tta=tta), test))
    return {'rmse_1': rmse(None), 'rmse_8': rmse('dihedral8')}

def mean_predictor(df, held):
    "RMSE of one who says the mean of the other galaxies' labels of everyone."
    return metrics.rmse(np.tile(df[~held][CLASSES].mean(), (held.sum(), 1)), df[held][CLASSES])

def climb(df, r, held, seed, arch, pretraining=None):
    "Train one rung on one fold and score the galaxies held out."
    learn, about = trained(df, held, r['settings'], arch, seed, r['network'], pretraining)
    return scored(learn, df[held.to_numpy()]) | about

def plain_pytorch(df, r, held, seed, arch, pixels, fold):
    "Train a reference on one fold and score the galaxies held out."
    row = rival.run(df, *pixels, arch, fold, seed, **r['settings'])
    return {k: row[k] for k in ('rmse_1', 'rmse_8', 'minutes', 'parameters', 'device')}

# --- rows

def parts(df, inside):
    "The galaxies and their folds: all and those of hash seed 0, or one fold's training part and those of hash seed 1."
    folds = kfold_ids(df.galaxy_id)
    if inside is None: return df, folds
    df = df[(folds != inside).to_numpy()].reset_index(drop=True)
    return df, kfold_ids(df.galaxy_id, seed=1)

def split_name(fold, inside=None):
    "The split of a row: a fold, or a fold inside the training part of another."
    return f'k5f{fold}-s0' if inside is None else f'k5f{inside}-s0/k5f{fold}-s1'

def about_of(df, r, fold, seed, inside=None, **more):
    "What a training is of: a row that has all of this is not trained again."
    return {'data': data_hash(df), 'name': df.attrs['name'], 'labels': df.attrs['kind'], 'recipe': r['recipe'],
            'settings': r['settings'],
            'epochs': r['settings']['epochs'], 'split': split_name(fold, inside), 'inside': inside, 'fold': fold,
            'seed': seed} | more

def measure(about, r, name, score):
    "One row, unless it is there: `score()` trains and gives what was measured."
    if results.done(about, name): return None
    row = about | {k: r[k] for k in ('kind', 'builds_on', 'rung')} | score()
    results.keep(row, name, KEY)
    told = '  '.join(f'{k} {row[k]:.4f}' for k in ('rmse_1', 'rmse_8', 'accuracy', 'f1', 'spread', 'over_floor',
                                                   'minutes') if row.get(k) is not None)
    print(f'{r["recipe"]:44} fold {about["fold"]} seed {about["seed"]}  {told}', flush=True)
    return row

def on_folds(df, rungs, name, arch, folds, seeds, inside=None, pretraining=None, rival_arch=None, **more):
    "Every rung on every fold with every seed, in this order: all rungs of a fold before the next."
    (df, fold_of), pixels = parts(df, inside), []
    for seed in seeds:
        for fold in folds:
            held = fold_of == fold
            for r in rungs:
                def score(r=r, held=held):
                    if r['kind'] == 'reference' and not pixels: pixels.extend(rival.load(df))
                    got = (plain_pytorch(df, r, held, seed, rival_arch, pixels, fold) if r['kind'] == 'reference'
                           else climb(df, r, held, seed, arch, pretraining))
                    return got | {'mean_predictor': mean_predictor(df, held.to_numpy())}
                measure(about_of(df, r, fold, seed, inside, **more), r, name, score)

# --- the command line

def value(text):
    "A word of the command line as JSON, a list where it has commas."
    try: return json.loads(f'[{text}]') if ',' in text else json.loads(text)
    except ValueError: return text

def own_recipe(words): return {k: value(v) for k, v in (w.split('=', 1) for w in words)}

def options(doc, seeds=1):
    "The options that ladders share."
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--folds', type=int, nargs='+', default=range(5))
    ap.add_argument('--seeds', type=int, nargs='+', default=range(seeds))
    ap.add_argument('--inside', type=int, metavar='FOLD', help='compare recipes inside the training part of this fold')
    ap.add_argument('--only', nargs='+', metavar='RECIPE', help='only recipes of these names')
    ap.add_argument('--try', dest='own', nargs='+', default=[], metavar='KEY=VALUE',
                    help="a recipe of one's own, a change of the last rung")
    ap.add_argument('--epochs', type=int, help='in place of those of the recipes')
    ap.add_argument('--out', type=Path, help='another file of results')
    return ap

def chosen(rungs, a, start):
    "The rungs that a command line asks for."
    if a.own:
        below = [r for r in rungs if r['kind'] == 'rung'][-1]
        rungs = [*(rungs if a.only else []), trial(own_recipe(a.own), start, below)]
    names = [r['recipe'] for r in rungs]
    if unknown := set(a.only or [])-set(names):
        sys.exit(f'--only {", ".join(unknown)}: choose among {", ".join(map(repr, names))}')
    rungs = [r for r in rungs if not a.only or r['recipe'] in a.only or r['kind'] == 'trial']
    return [r | {'settings': r['settings'] | {'epochs': a.epochs}} if a.epochs else r for r in rungs]

def main(doc, name, start, rungs, arch, pretraining=None, rival_arch=None, seeds=1):
    "The command line of a ladder on the folds of one data set."
    ap = options(doc, seeds)
    ap.add_argument('data', help='folder of a data set')
    a = ap.parse_args()
    on_folds(sources.catalogue(a.data), chosen(rungs, a, start), a.out or name, arch, a.folds, a.seeds, a.inside,
             pretraining, rival_arch)
