"""Transformers measured: why the diary's failed and what cures it, what they reach on real galaxies, how they stand
beside other networks.

    python benchmarks/ladder_vit.py folds ../shared/data/gz2_800 five folds, from nothing and after training on the
                        simulated survey
    python benchmarks/ladder_vit.py networks                       CNN, ResNet-18, ViT, CCT and CvT by one recipe
    python benchmarks/ladder_vit.py lesson the diary's networks and recipe in small, and each cure by itself

The recipes of `folds` were fixed before a held-out score of any transformer had been seen. The CCT was meant to stand
for them; the CvT was run in its place, before any score was seen, because a fold of it costs less than half. What the
others would reach is not known. `networks` and `lesson` use the simulated survey of the profile, fold 0, as many
seeds as `--seeds` names. Rows go into results/ladder_vit.json, each with its part; benchmarks/ladder.py says how it
goes on.

Minutes of one core (AMD EPYC with avx512_bf16, one thread), from the steps of a few batches: `folds`, a fold of CCT
19, CvT 8, ViT 17, ViT with stem 25; of pretrained CCT 10 and CvT 4, their pretraining, once for all folds, 25 and 12.
`networks`: CNN 1, ResNet-18 5, ViT 6, CCT 7, CvT 3. `lesson`: about 60.
"""
import sys
import ladder
from galaxy_nbdev import metrics, sources
from galaxy_nbdev.learner import predict_part
from galaxy_nbdev.schema import make_labels
from galaxy_nbdev.splits import kfold_ids

VIT = 'galaxy_nbdev.vit:galaxy_transformer'
PRETRAINING = dict(head='tree', wd=.05, lr=1e-3)        # its epochs are the recipe's pretrain_epochs

# --- on real galaxies

START = dict(name='cct', epochs=200, lr=1e-3, bs=64, fit='fit_one_cycle', wd=.05, head='tree', loss='mse',
             zoom=[.8, 1.2], pretrain=0,
             pretrain_epochs=30, bf16=True)
CVT = dict(name='cvt', bf16=False)      # its small convolutions are slower in bfloat16
PRETRAINED = dict(pretrain=6000, epochs=100)

def on_real(i, recipe, change, builds_on=None):
    "A rung whose settings name its network too."
    settings = START | change
    return ladder.rung(recipe, settings, i, builds_on=builds_on, network=network_of(settings))

def network_of(settings): return {k: v for k, v in settings.items() if k == 'name' or k not in START}

FOLDS = [on_real(1, 'CCT', {}), on_real(2, 'CCT, pretrained', PRETRAINED, 'CCT'), on_real(3, 'CvT', CVT),
         on_real(4, 'CvT, pretrained', CVT | PRETRAINED, 'CvT'), on_real(5, 'ViT', dict(name='vit')),
         on_real(6, 'ViT, convolutional stem', dict(name='vit_stem', epochs=150), 'ViT')]

def folds(a):
    rungs = [r | {'network': network_of(r['settings'])} for r in ladder.chosen(FOLDS, a, START)]
    for r in rungs:
        ladder.on_folds(sources.catalogue(a.data), [r], a.out or 'ladder_vit', VIT, a.folds, a.seeds, a.inside,
                        PRETRAINING,
                        part='folds', network=r['settings']['name'])

# --- the lesson: eight labels, by the diary's recipe and with each cure

SIZE, GALAXIES = 32, 1000      # in small: the diary's images were of 128 and 256 pixels
DIARY = dict(epochs=30, lr=1e-3, bs=64, fit='fit', wd=0., head='sigmoid', loss='bce', zoom=None, pretrain=0,
             pretrain_epochs=10, bf16=False,
             labels='reduced')
FRACTIONS = dict(labels='fractions', head='tree', loss='mse')
CURES = {
    'as the diary': {},
    'warm-up': dict(fit='fit_one_cycle'),
    'vote fractions': FRACTIONS,
    'convolutional stem': dict(network=dict(conv_stem=True)),
    'stochastic depth': dict(network=dict(drop_path=.2)),
    'paths around the layers': dict(network=dict(skip=True)),
    'pretraining': dict(pretrain=4000),
    'warm-up, fractions and pretraining': dict(fit='fit_one_cycle', pretrain=4000) | FRACTIONS}
NETWORKS = {'diary_vit': dict(patch=8), 'diary_cct': {}, 'diary_cvt': {}}
CANNOT = {('diary_cct', 'convolutional stem'), ('diary_cvt', 'convolutional stem'),
          ('diary_vit', 'paths around the layers'),
          ('diary_cct', 'paths around the layers'), ('diary_cvt', 'stochastic depth')}

def lesson_rungs(network):
    "The cures that a network of the diary's can take, each a change of its own recipe."
    first = f'{network}: as the diary'
    for i, (recipe, change) in enumerate(CURES.items(), 1):
        if (network, recipe) in CANNOT: continue
        own = NETWORKS[network] | {'name': network} | change.get('network', {})
        settings = DIARY | {k: v for k, v in change.items() if k != 'network'} | {'network': own}
        yield ladder.rung(f'{network}: {recipe}', settings, i, builds_on=None if i == 1 else first, network=own)

def taught(df, r, seed):
    "Accuracy, F1 and spread of the eight labels on fold 0; beside them what 'smooth and nothing else' scores there."
    s, labels, vocab = r['settings'] | {'size': SIZE}, make_labels(df, 'reduced', 'diary'), None
    if s['labels'] != 'fractions': df, vocab = df.assign(**{c: labels[c].to_numpy() for c in labels}), list(labels)
    s = {k: v for k, v in s.items() if k not in ('labels', 'network')}
    learn, about = ladder.trained(df, kfold_ids(df.galaxy_id) == 0, s, VIT, seed, r['network'], PRETRAINING, vocab)
    pred = predict_part(learn)
    said = pred.set_index('galaxy_id') if vocab else metrics.label_scores(pred, labels)
    score = metrics.binary_scores(said, labels.loc[said.index])
    constant = metrics.binary_scores(said*0+(said.columns == 'smooth'), labels.loc[said.index])
    return {'accuracy': score.accuracy['macro'], 'f1': score.f1['macro'], 'spread': float(said.std().mean()),
            'answers': len((said > .5).drop_duplicates()), 'accuracy_smooth_only': constant.accuracy['macro'],
            'f1_smooth_only': constant.f1['macro'], **about}

def lesson(a):
    df = sources.catalogue().head(GALAXIES)
    for seed in a.seeds:
        for network in a.networks or NETWORKS:
            for r in ladder.chosen(list(lesson_rungs(network)), a, DIARY):
                about = ladder.about_of(df, r, 0, seed, part='lesson', network=network)
                ladder.measure(about, r, a.out or 'ladder_vit', lambda r=r, seed=seed: taught(df, r, seed))

# --- beside other networks

BESIDE = {      # each in the precision in which it is faster
    'CNN': ('galaxy_nbdev.cnn:galaxy_cnn', {}, dict(lr=3e-3, bf16=False)),
    'ResNet-18': ('galaxy_nbdev.resnet:galaxy_resnet', {}, {}),
    'ViT': (VIT, dict(name='vit'), {}),
    'CCT': (VIT, dict(name='cct'), {}),
    'CvT': (VIT, dict(name='cvt'), dict(bf16=False))}

def exact_floor(df, truth):
    "RMSE of one who knows each galaxy's true probabilities, from the probabilities themselves."
    return float(metrics.exact_variance(truth, df).stack().mean()**.5)

def networks(a):
    df, truth, start = sources.catalogue(), sources.catalogue(kind='truth'), START | dict(epochs=a.epochs or 30)
    held = kfold_ids(df.galaxy_id) == 0
    floor = exact_floor(df[held.to_numpy()], truth)

    def score(arch, r, seed):
        s = {k: v for k, v in r['settings'].items() if k not in ('name', 'network')}
        learn, about = ladder.trained(df, held, s, arch, seed, r['network'])
        rmse = metrics.rmse(*metrics.paired_by_id(predict_part(learn), df))
        speed = len(learn.dls.train_ds)*s['epochs']/(60*about['minutes'])
        return about | {'rmse_1': rmse, 'floor': floor, 'over_floor': rmse/floor, 'images_per_second': speed}

    for seed in a.seeds:
        for i, (name, (arch, own, change)) in enumerate(BESIDE.items(), 1):
            if a.networks and name not in a.networks: continue
            r = ladder.rung(f'{name}, one cycle, tree head', start | change | {'network': own}, i, network=own)
            about = ladder.about_of(df, r, 0, seed, part='networks', network=name)
            ladder.measure(about, r, a.out or 'ladder_vit', lambda arch=arch, r=r, seed=seed: score(arch, r, seed))

if __name__ == '__main__':
    ap = ladder.options(__doc__)
    ap.add_argument('part', choices=['lesson', 'folds', 'networks'])
    ap.add_argument('data', nargs='?', help='folder of a data set, for folds')
    ap.add_argument('--networks', nargs='+', help='only these')
    a = ap.parse_args()
    if a.part == 'folds' and not a.data: sys.exit('folds needs the folder of a data set')
    {'lesson': lesson, 'folds': folds, 'networks': networks}[a.part](a)
