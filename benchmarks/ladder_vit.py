"""Transformers measured: why the diary's failed and what cures it, what they reach on real galaxies, and how they stand beside other networks.

    python benchmarks/ladder_vit.py folds ../shared/data/gz2_800       five folds, from nothing and after training on the simulated survey
    python benchmarks/ladder_vit.py networks                           CNN, ResNet-18, ViT, CCT and CvT by one recipe
    python benchmarks/ladder_vit.py lesson                             the diary's networks and recipe in small, and each cure by itself

The recipes of `folds` were fixed before a held-out score of any transformer had been seen. The CCT was meant to stand for them; the CvT was run in its place, before any score
was seen, because a fold of it costs less than half. What the others would reach is not known. `--inside K` compares recipes (`--try name=cct epochs=300`) on folds of fold K's training part alone: a choice
made there is clean for fold K and for no other. `networks` and `lesson` use the simulated survey of the profile, fold 0, as many seeds as `--seeds`
names. Each row goes into results/ladder_vit.json as soon as it is there, with the load of the machine, the threads and the minutes of one core; what is there already is not
trained again, and an interrupted training on vote fractions goes on after its last whole epoch. Rows of another recipe of the same name are replaced.

Minutes of one core (AMD EPYC with avx512_bf16, one thread), from the steps of a few batches: `folds`, a fold of CCT 19, CvT 8, ViT 17, ViT with stem 25;
of pretrained CCT 10 and CvT 4, their pretraining, once for all folds, 25 and 12. `networks`: CNN 1, ResNet-18 5, ViT 6, CCT 7, CvT 3. `lesson`: about 60.
Two of these at once each need an `--out` of their own: one file has one writer.
"""
import argparse, os, sys, time
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
import ladder_cnn
from ladder_cnn import parts, short_hash, value
from safetensors.torch import load_file
from galaxy_nbdev import metrics, profile, sources
from galaxy_nbdev.dataloaders import GalaxyAugment, GalaxyDataLoaders, data_hash, kfold_ids, split_ids
from galaxy_nbdev.prediction import predict
from galaxy_nbdev.learner import galaxy_learner, predict_part, seed_everything, train_run
from galaxy_nbdev.runs import read_history, run_folder
from galaxy_nbdev.schema import CLASSES, make_labels
from galaxy_nbdev.simulate import VERSION, simulate_survey

RESULTS = Path(__file__).parents[1]/'results'/'ladder_vit.json'
VIT = 'galaxy_nbdev.vit:galaxy_transformer'

# --- pretraining

def simulated_start(n, size, arch, network, s, seed):
    "Weights of the network after training on n simulated galaxies and their vote fractions, once for all folds; minutes it took."
    root = simulate_survey(n, 77, Path(os.environ['GALAXY_HOME'])/f'pretraining-v{VERSION}-n{n}', layout='simulated')
    df = sources.catalogue(root)
    dls = GalaxyDataLoaders.from_catalogue(df, split_ids(df.galaxy_id, test=0, valid=.02), size=size, bs=s['bs'], augment=augmentation(s))
    learn = galaxy_learner(dls, arch, head='tree', wd=.05, seed=seed, bf16=s['bf16'], **network)
    name = f'pretraining-{short_hash([arch, network, size, s["bs"], s["zoom"], s["pretrain_epochs"], s["bf16"]])}'
    folder = run_folder(learn, name, seed)
    if not folder.exists(): train_run(learn, name, s['pretrain_epochs'], lr=1e-3, seed=seed)
    return load_file(folder/'weights.safetensors'), read_history(folder).seconds.sum()/60

def start_from(model, weights):
    "Take over all weights of the same shape: all but the outputs, where their number differs."
    own = model.state_dict()
    model.load_state_dict(own | {k: w for k, w in weights.items() if k in own and own[k].shape == w.shape})

def augmentation(s): return [GalaxyAugment(zoom=s['zoom'], brightness=[.8, 1.2])] if s['zoom'] else False

def fitted(learn, name, s, seed):
    "Train; minutes. What is no vote fraction leaves no run, whose scores are those of fractions."
    if set(learn.dls.vocab) <= set(CLASSES):
        train_run(learn, name, s['epochs'], lr=s['lr'], seed=seed, fit=s['fit'])
        return read_history(run_folder(learn, name, seed)).seconds.sum()/60
    seed_everything(seed, learn.dls)
    began = time.time()
    with learn.no_bar(), learn.no_logging(): getattr(learn, s['fit'])(s['epochs'], s['lr'])
    return (time.time()-began)/60

def trained(dls, arch, network, s, seed):
    "A learner after its training, and the minutes before and of it."
    learn, before = galaxy_learner(dls, arch, head=s['head'], loss=s['loss'], wd=s['wd'], seed=seed, bf16=s['bf16'], **network), 0.
    if s['pretrain']:
        weights, before = simulated_start(s['pretrain'], dls.size, arch, network, s, seed)
        start_from(learn.model, weights)
    name = f'vit-{short_hash([arch, network, s])}'
    whole, work = not run_folder(learn, name, seed).with_suffix('.part').exists(), time.process_time()
    minutes = fitted(learn, name, s, seed)
    return learn, {'minutes': minutes, 'minutes_before': before, 'core_minutes': (time.process_time()-work)/60 if whole else None,      # of all threads together; None where an interrupted training went on
                   'parameters': sum(w.numel() for w in learn.model.parameters()), 'device': str(dls.device)}

# --- the lesson: eight labels, by the diary's recipe and with each cure

SIZE, GALAXIES = 32, 1000      # in small: the diary's images were of 128 and 256 pixels
DIARY = dict(epochs=30, lr=1e-3, bs=64, fit='fit', wd=0., head='sigmoid', loss='bce', zoom=None, pretrain=0, pretrain_epochs=10, bf16=False, labels='reduced')
CURES = {'as the diary': {}, 'warm-up': dict(fit='fit_one_cycle'), 'vote fractions': dict(labels='fractions', head='tree', loss='mse'),
         'convolutional stem': dict(network=dict(conv_stem=True)), 'stochastic depth': dict(network=dict(drop_path=.2)), 'paths around the layers': dict(network=dict(skip=True)),
         'pretraining': dict(pretrain=4000), 'warm-up, fractions and pretraining': dict(fit='fit_one_cycle', labels='fractions', head='tree', loss='mse', pretrain=4000)}
NETWORKS = {'diary_vit': dict(patch=8), 'diary_cct': {}, 'diary_cvt': {}}
CANNOT = {('diary_cct', 'convolutional stem'), ('diary_cvt', 'convolutional stem'), ('diary_vit', 'paths around the layers'), ('diary_cct', 'paths around the layers'), ('diary_cvt', 'stochastic depth')}

def recipe_of(network, change, epochs):
    "Settings of the network, and of its training."
    return NETWORKS[network] | {'name': network} | change.get('network', {}), DIARY | {k: v for k, v in change.items() if k != 'network'} | ({'epochs': epochs} if epochs else {})

def taught(df, network, s, seed):
    "Accuracy, F1 and spread of the eight labels on fold 0; beside them what 'smooth and nothing else' scores there."
    labels = make_labels(df, 'reduced', 'diary')
    told, vocab = (df, None) if s['labels'] == 'fractions' else (df.assign(**{c: labels[c].to_numpy() for c in labels}), list(labels))
    dls = GalaxyDataLoaders.from_catalogue(told, kfold_ids(df.galaxy_id) == 0, size=SIZE, bs=s['bs'], vocab=vocab, augment=augmentation(s))
    learn, about = trained(dls, VIT, network, s, seed)
    pred = predict_part(learn)
    said = metrics.label_scores(pred, labels) if s['labels'] == 'fractions' else pred.set_index('galaxy_id')
    score = metrics.binary_scores(said, labels.loc[said.index])
    constant = metrics.binary_scores(said*0+(said.columns == 'smooth'), labels.loc[said.index])
    return {'accuracy': score.accuracy['macro'], 'f1': score.f1['macro'], 'spread': float(said.std().mean()), 'answers': len((said > .5).drop_duplicates()),
               'accuracy_smooth_only': constant.accuracy['macro'], 'f1_smooth_only': constant.f1['macro'], **about}

def lesson(a):
    df = sources.catalogue().head(GALAXIES)
    for seed in a.seeds:
        for network in a.networks or NETWORKS:
            for rung, (recipe, change) in enumerate(CURES.items(), 1):
                if (network, recipe) in CANNOT or a.rungs and rung not in a.rungs: continue
                settings, s = recipe_of(network, change, a.epochs)
                about = place(df, 'lesson', rung, f'{network}: {recipe}', seed, 0) | {'network': network, 'epochs': s['epochs'], 'settings': s | {'network': settings}}
                if not done(about): tell(about | taught(df, settings, s, seed), 'accuracy', 'f1', 'spread')

# --- on real galaxies

START = dict(name='cct', epochs=200, lr=1e-3, bs=64, fit='fit_one_cycle', wd=.05, head='tree', loss='mse', zoom=[.8, 1.2], pretrain=0, pretrain_epochs=30, bf16=True)
CVT = dict(name='cvt', bf16=False)      # its small convolutions are slower in bfloat16
PRETRAINED = dict(pretrain=6000, epochs=100)
RUNGS = {'CCT': {}, 'CCT, pretrained': PRETRAINED, 'CvT': CVT, 'CvT, pretrained': CVT | PRETRAINED, 'ViT': dict(name='vit'), 'ViT, convolutional stem': dict(name='vit_stem', epochs=150)}

def climb(df, settings, held, seed):
    "Train one recipe on one fold and score it with one view and with eight; settings that are not of the training go to the network."
    s = {k: v for k, v in settings.items() if k in START and k != 'name'}
    network = {k: v for k, v in settings.items() if k not in s}
    dls = GalaxyDataLoaders.from_catalogue(df, held, size=64, bs=s['bs'], augment=augmentation(s), counts=s['loss'] == 'votes')
    learn, about = trained(dls, VIT, network, s, seed)
    test = df[held.to_numpy()]
    rmse = lambda tta: metrics.rmse(*metrics.paired(predict(learn, test, tta=tta), test))
    return {'rmse': rmse(None), 'rmse_tta8': rmse('dihedral8'), 'mean_predictor': ladder_cnn.mean_predictor(df, held.to_numpy()), **about}

def folds(a):
    own = {k: value(v) for k, v in (o.split('=', 1) for o in a.own)}
    chosen = [(i, name, START | change) for i, (name, change) in enumerate(RUNGS.items(), 1) if not a.rungs or i in a.rungs]
    if own: chosen = chosen*bool(a.rungs) + [(10, 'tried: '+' '.join(f'{k}={v}' for k, v in own.items()), START | own)]
    df, fold_of = parts(sources.catalogue(a.data), a.inside)
    for seed in a.seeds:
        for fold in a.folds:
            for rung, recipe, settings in chosen:
                if a.epochs: settings = settings | {'epochs': a.epochs}
                about = place(df, 'folds', rung, recipe, seed, fold) | {'network': settings['name'], 'epochs': settings['epochs'], 'settings': settings, 'inside': a.inside}
                if not done(about): tell(about | climb(df, settings, fold_of == fold, seed), 'rmse', 'rmse_tta8', 'minutes')

# --- beside other networks

BESIDE = {'CNN': ('galaxy_nbdev.cnn:galaxy_cnn', {}, dict(lr=3e-3, bf16=False)), 'ResNet-18': ('galaxy_nbdev.resnet:galaxy_resnet', {}, {}),
          'ViT': (VIT, dict(name='vit'), {}), 'CCT': (VIT, dict(name='cct'), {}), 'CvT': (VIT, dict(name='cvt'), dict(bf16=False))}      # each in the precision in which it is faster

def exact_floor(df, truth):
    "RMSE of one who knows each galaxy's true probabilities, from the probabilities themselves."
    return float(metrics.exact_variance(truth, df).stack().mean()**.5)

def networks(a):
    df, truth, s = sources.catalogue(), sources.catalogue(kind='truth'), START | dict(epochs=a.epochs or 30)
    held = kfold_ids(df.galaxy_id) == 0
    floor = exact_floor(df[held.to_numpy()], truth)
    for seed in a.seeds:
        for rung, (network, (arch, settings, change)) in enumerate(BESIDE.items(), 1):
            if a.networks and network not in a.networks: continue
            about = place(df, 'networks', rung, f'{network}, one cycle, tree head', seed, 0) | {'network': network, 'epochs': s['epochs'], 'settings': s | change | {'network': settings}}
            if done(about): continue
            dls = GalaxyDataLoaders.from_catalogue(df, held, size=64, bs=s['bs'], augment=augmentation(s))
            learn, score = trained(dls, arch, settings, s | change, seed)
            rmse = metrics.rmse(*metrics.paired(predict_part(learn), df))
            tell(about | score | {'rmse': rmse, 'floor': floor, 'over_floor': rmse/floor, 'images_per_second': len(dls.train_ds)*s['epochs']/(60*score['minutes'])}, 'rmse', 'over_floor', 'images_per_second')

# --- rows

def place(df, part, rung, recipe, seed, fold):
    "What a row is of; a part's rungs follow those of the part before it."
    return {'data': data_hash(df), 'name': df.attrs['name'], 'labels': df.attrs['kind'], 'part': part, 'rung': {'lesson': 0, 'folds': 20, 'networks': 40}[part]+rung, 'recipe': recipe, 'inside': None, 'seed': seed, 'fold': fold}

def done(about): return any(all(r.get(k) == v for k, v in about.items()) for r in ladder_cnn.rows(RESULTS))

def tell(row, *shown):
    where = profile.provenance()
    ladder_cnn.keep(row | {k: where[k] for k in ('version', 'git', 'threads', 'load', 'date', 'profile')}, RESULTS)
    print(f'{row["recipe"]:44} fold {row["fold"]} seed {row["seed"]}  '+'  '.join(f'{k} {row[k]:.4f}' for k in shown), flush=True)

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('part', choices=['lesson', 'folds', 'networks']); ap.add_argument('data', nargs='?', help='folder of a data set, for folds')
    ap.add_argument('--seeds', type=int, nargs='+'); ap.add_argument('--folds', type=int, nargs='+', default=range(5)); ap.add_argument('--inside', type=int, metavar='FOLD', help='compare recipes inside the training part of this fold')
    ap.add_argument('--rungs', type=int, nargs='+', help='only these, counted from 1'); ap.add_argument('--networks', nargs='+', help='only these'); ap.add_argument('--epochs', type=int, help='in place of those of the recipe')
    ap.add_argument('--try', dest='own', nargs='+', default=[], metavar='KEY=VALUE', help='a recipe of one\'s own, for folds'); ap.add_argument('--out', type=Path, help='another file of results')
    a = ap.parse_args()
    a.seeds = a.seeds or range(1)
    if a.part == 'folds' and not a.data: sys.exit('folds needs the folder of a data set')
    if a.out: RESULTS = a.out
    {'lesson': lesson, 'folds': folds, 'networks': networks}[a.part](a)
