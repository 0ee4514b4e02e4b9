"""The diary's own questions, asked of real galaxies: what it trained, by this package's means, on five folds.

    python benchmarks/diary.py ../shared/data/gz2_800                       everything that is not there yet
    python benchmarks/diary.py ../shared/data/gz2_800 --jobs 7 --minutes 8  on a card: side by side, then stop
    python benchmarks/diary.py ../shared/data/gz2_800 --small --out /tmp/x  one epoch of each recipe, to see it run

    tables      its result tables: networks by label schemes
    targets     its founding question: binarised labels or vote fractions, both trained alike
    balance     class weights, rare galaxies more often, common ones less often
    coarse      few labels first, then all
    collapse    networks that answer the same for every galaxy, and what cures them
    scaled      pictures divided by 255 twice before a network pretrained on ImageNet; on a CPU, it needs the weights

All recipes were fixed before a held-out score was seen. The last epoch counts; held-out galaxies are seen once, in one
view. An answer is yes above 0.5; `f1_tuned` takes for each label the threshold with the best F1 of the training part.
Rows go to results/diary_<part>.json as they end; what is there is not trained again. The most important rows come
first, all folds of them. On one core of a quiet CPU a row takes 0.15 (CNN) to 9 minutes (VGG19); `--list` says how long
the rest takes, by the rows of a CPU that are there.
"""
import argparse, os, sys, tempfile, time
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
os.environ.setdefault('GALAXY_HOME', str(Path(tempfile.gettempdir())/'galaxy_diary'))
import numpy as np, pandas as pd, torch
from torch import nn
from torchvision.models import vgg19, vgg19_bn
import side_by_side
from galaxy_nbdev import cnn, encoders, images, metrics, resnet, results, sources, vit
from galaxy_nbdev.dataloaders import GalaxyDataLoaders, data_hash, pixel_stats
from galaxy_nbdev.learner import galaxy_learner
from galaxy_nbdev.prediction import predict
from galaxy_nbdev.runs import seed_everything
from galaxy_nbdev.schema import ANSWERS, CLASSES, class_weights, make_labels
from galaxy_nbdev.splits import kfold_ids
from galaxy_nbdev.targets import rarity_weights
from ladder import start_from
from learning_curve import NoValidation

KEY = ('data', 'part', 'recipe', 'network', 'scheme', 'rule', 'fold', 'seed')
SETTINGS = dict(size=64, epochs=30, lr=1e-3, bs=64, fit='fit_one_cycle', wd=.05, head='sigmoid', loss='bce',
                augment=True, target='labels', weight=None, draw=None, first=None, scale=1.)

# --- the networks: those of the package, and what it does not hold

def dense_400(n_out=37, size=64):
    "The diary's '400xn': one dense layer of 400; its convolutions are not on record, here those of 128x64xn."
    net = cnn.cnn_128x64(n_out, size)
    flat = next(i for i, m in enumerate(net) if isinstance(m, nn.Flatten))+1
    return nn.Sequential(*net[:flat], nn.Linear(net[flat].in_features, 400), nn.ReLU(), nn.Dropout(.5),
                         nn.Linear(400, n_out))

class FourViews(nn.Module):
    "Mean logits of a galaxy as it is, and turned by one, two and three quarters."
    def __init__(self, net):
        super().__init__()
        self.net = net
    def forward(self, x): return sum(self.net(torch.rot90(x, k, (2, 3))) for k in range(4))/4

def densenet_views(n_out=37): return FourViews(cnn.densenet_small(n_out))

def vgg(n_out=37, norm=False):
    "The diary's VGG19, 39.0 million parameters: the convolutions, their maxima, two dense layers of 4096."
    dense = [nn.Linear(512, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, n_out)]
    return nn.Sequential((vgg19_bn if norm else vgg19)().features, nn.AdaptiveMaxPool2d(1), nn.Flatten(), *dense)

def lite0(n_out=37): return encoders.galaxy_encoder('EfficientNetLite0', n_out, pretrained=True)

NETWORKS = {
    'CNN 128x64xn': (cnn.cnn_128x64, {}), 'CNN 400xn': (dense_400, {}), 'ConvNet': (cnn.convnet, {}),
    'AlexNet': (cnn.alexnet, {}), 'ResNet-18': (resnet.galaxy_resnet, {}),
    'ViT': (vit.galaxy_transformer, {'name': 'vit'}), 'CCT': (vit.galaxy_transformer, {'name': 'cct'}),
    'CvT': (vit.galaxy_transformer, {'name': 'cvt'}), 'DenseNet, four views': (densenet_views, {}),
    "diary's ViT": (vit.galaxy_transformer, {'name': 'diary_vit', 'patch': 8}),
    "diary's CCT": (vit.galaxy_transformer, {'name': 'diary_cct'}),
    "diary's CvT": (vit.galaxy_transformer, {'name': 'diary_cvt'}),
    'VGG19': (vgg, {}), 'EfficientNet-lite0': (lite0, {})}

# --- what is trained, the most important first

def task(part, recipe, network, scheme, fold, rule='report', seed=0, builds_on=None, arch=None, **change):
    "One training as plain values."
    return dict(part=part, recipe=recipe, network=network, scheme=scheme, rule=rule, fold=fold, seed=seed,
                builds_on=builds_on, arch=arch or {}, settings=SETTINGS | change)

BESIDE = list(NETWORKS)[:9]             # of the tables
TWO = ['ConvNet', 'ResNet-18']          # of the questions
BOTH = ['reduced', 'all_features']

def tables(schemes, rules=('report',), networks=BESIDE):
    return [task('tables', 'binarised labels', n, s, fold, rule)
            for s, rule, n, fold in product(schemes, rules, networks, range(5))]

TARGETS = {'vote fractions': dict(target='fractions'),
           'binarised labels, squared errors': dict(loss='mse'),
           'vote fractions, squared errors': dict(target='fractions', loss='mse'),
           'all 37 fractions, tree head': dict(target='votes', loss='mse', head='tree')}

def targets(recipes, rule='report', schemes=BOTH):
    return [task('targets', r, n, s, fold, rule, builds_on='binarised labels', **TARGETS[r])
            for r, n, s, fold in product(recipes, TWO, schemes, range(5))]

BALANCE = {'weights, inverse share': dict(weight='inverse'),
           'weights, root of inverse share': dict(weight='inverse_sqrt'),
           'weights, effective number': dict(weight='effective'),
           'rare augmented': dict(draw='rare'), 'undersampling': dict(draw='fewer', epochs=60),
           'no augmentation': dict(augment=False), 'oversampling': dict(draw='rare', augment=False)}

def balance(networks):
    before = {'oversampling': 'no augmentation'}
    return [task('balance', r, n, 'all_features', fold, builds_on=before.get(r, 'binarised labels'), **change)
            for (r, change), n, fold in product(BALANCE.items(), networks, range(5))]

COARSE = {'reduced first': dict(first='reduced'), 'twice the epochs': dict(epochs=60)}

def coarse():
    return [task('coarse', r, n, 'all_features', fold, builds_on='binarised labels', **change)
            for (r, change), n, fold in product(COARSE.items(), TWO, range(5))]

DIARY = dict(size=32, fit='fit', wd=0., augment=False)      # a constant rate, no weight decay
CURES = {'as the diary': {}, 'scaled twice': dict(scale=255.), 'warm-up': dict(fit='fit_one_cycle'),
         'a tenth of the rate': dict(lr=1e-4), 'vote fractions': dict(target='fractions')}
OWN = {"diary's CvT": {'paths around the layers': {'skip': True}}, 'VGG19': {'batch normalisation': {'norm': True}},
       "diary's ViT": {'convolutional stem': {'conv_stem': True}}, "diary's CCT": {}}

def collapse():
    "Three seeds of each; fold 0."
    cures = [(r, n, change, {}) for (r, change), n in product(CURES.items(), OWN)]
    cures += [(r, n, {}, arch) for n, own in OWN.items() for r, arch in own.items()]
    return [task('collapse', r, n, 'reduced', 0, 'diary', seed, 'as the diary', arch, **DIARY | change)
            for (r, n, change, arch), seed in product(cures, range(3))]

def scaled():
    "A network pretrained on ImageNet, in two scales, all its layers trained; none where its weights are not installed."
    if not encoders.packaged_weights('tf_efficientnet_lite0'): return []
    return [task('scaled', r, 'EfficientNet-lite0', 'reduced', fold, 'diary', epochs=10, scale=scale)
            for fold, (r, scale) in product(range(5), {'scaled once': 1., 'scaled twice': 255.}.items())]

def everything():
    "All tasks of a card, the most important first."
    report, diary = partial(tables, rules=['report']), partial(tables, rules=['diary'])
    return [*targets(['vote fractions']), *report(['reduced']), *report(['all_features'], networks=TWO), *report([1]),
            *balance(TWO[:1]), *report(['all_features']), *collapse(), *coarse(), *report(['hubble']),
            *balance(TWO[1:]), *diary(['reduced', 'all_features', 'hubble'], networks=TWO),
            *targets(['vote fractions'], 'diary'), *targets(list(TARGETS)[1:]), *diary(['reduced']),
            *diary(['all_features', 'hubble']), *scaled()]

def once(tasks): return list({str(t): t for t in tasks}.values())

# --- one training

@lru_cache(1)
def galaxies(data, n=None):
    "The catalogue, or its first `n` galaxies."
    df = sources.catalogue(data)
    return df if n is None else df.head(n)

def shares(df, labels, rule):
    "The vote fractions that the labels were made of; NaN, by the diary's rule 0, where nobody was asked."
    asked = make_labels(df, 'conditional')
    out = asked.rename(columns=dict(ANSWERS.answer)).reindex(columns=list(labels))
    if 'bulge' in labels:
        ours = metrics.label_scores(df[['galaxy_id', *CLASSES]], ['bulge']).bulge.where(labels.bulge.notna())
        out['bulge'] = ours if rule == 'report' else 1-(asked['Class5.1']+asked['Class9.3'])/2
    return (out if rule == 'report' else out.fillna(0)).astype('float32')

def trained(df, split, y, s, network, arch, seed, first=None):
    "A learner after its training; `y`: its targets, None: the 37 fractions."
    make, own = NETWORKS[network]
    vocab = None if y is None else list(y)
    if vocab: df = with_columns(df, y)
    train = (split == 'train').to_numpy()
    store = images.build_store(df, size=s['size'])
    mean, spread = own_input(network) or pixel_stats(df[train], store, 212, s['size'])
    stats = [v*s['scale'] for v in mean], [v*s['scale'] for v in spread]       # x/255 in units of 255
    weights = rarity_weights(df, vocab) if s['draw'] == 'rare' else None
    dls = GalaxyDataLoaders.from_catalogue(df, split, size=s['size'], bs=min(s['bs'], train.sum()), vocab=vocab,
                                           augment=s['augment'], weights=weights, stats=stats)
    weight = None if s['weight'] is None else label_weights(y[train], s['weight'])
    learn = galaxy_learner(dls, make, s['head'], s['loss'], weight, bf16=False, wd=s['wd'], seed=seed,
                           cbs=NoValidation(), **own | arch)
    if first is not None: start_from(learn.model, first)
    seed_everything(seed, dls)
    with learn.no_bar(), learn.no_logging(): getattr(learn, s['fit'])(s['epochs'], s['lr'])
    return learn

def with_columns(df, y):
    "The catalogue with these columns."
    out = df.drop(columns=list(y), errors='ignore').join(y.set_axis(df.index))
    out.attrs = df.attrs
    return out

def own_input(network):
    "Mean and deviation that a pretrained network wants; None: those of the training galaxies."
    return ([.5]*3, [.5]*3) if network == 'EfficientNet-lite0' else None

def label_weights(y, how):
    "`class_weights`; a label that no training galaxy has counts 1."
    return class_weights(y[[c for c in y if y[c].sum() > 0]], how).reindex(list(y)).fillna(1.)

def parts(df, fold, s, labels, seed):
    "'train', 'valid' (held out) or 'test' (left out) by galaxy_id; undersampling keeps half, the rare ones rather."
    split = kfold_ids(df.galaxy_id).eq(fold).map({True: 'valid', False: 'train'})
    if s['draw'] != 'fewer': return split
    rare = pd.Series(rarity_weights(labels, list(labels)), split.index).where(split == 'train', 0.)
    half = np.random.default_rng(seed).choice(len(df), int((split == 'train').sum())//2, False, rare/rare.sum())
    return split.where((split == 'valid') | np.isin(np.arange(len(df)), half), 'test')

def measured(df, t):
    "One row of what was found."
    s, labels = t['settings'], make_labels(df, t['scheme'], t['rule'])
    f = shares(df, labels, t['rule'])
    split, start = parts(df, t['fold'], s, labels, t['seed']), time.monotonic()
    goal = {'labels': labels, 'fractions': f, 'votes': None}[s['target']]
    train, first = partial(trained, df, split, s=s, network=t['network'], arch=t['arch'], seed=t['seed']), None
    if s['first']: first = train(make_labels(df, s['first'], t['rule'])).model.state_dict()
    learn = train(goal, first=first)
    minutes = (time.monotonic()-start)/60
    store = images.build_store(df, size=s['size'])
    pred = {p: said(learn, df[(split == p).to_numpy()], labels, store) for p in ('train', 'valid')}
    return judged(pred, labels, f, split) | dict(minutes=round(minutes, 3), device=device(learn),
        parameters=sum(w.numel() for w in learn.model.parameters()))

def said(learn, df, labels, store):
    "What a network says of each label, in one view."
    pred = predict(learn, df, store=store)
    pred.attrs = {}
    return metrics.label_scores(pred, list(labels)) if 'Class1.1' in pred else pred.set_index('galaxy_id')[list(labels)]

def device(learn):
    on = learn.dls.device
    return torch.cuda.get_device_name(on) if on.type == 'cuda' else on.type

def judged(pred, labels, f, split):
    "Scores of the held-out galaxies; of each label its counts, from which all others follow."
    p = pred['valid']
    y, had = labels.loc[p.index], labels[(split == 'train').to_numpy()]
    b = metrics.binary_scores(p, y)
    macro, majority = b.loc['macro'], b.loc['constant majority, macro']
    yes = p > .5
    best = thresholds(pred['train'], labels.loc[pred['train'].index])
    tuned = metrics.binary_scores((p > best).astype(float), y).loc['macro']
    counts = pd.DataFrame({'n': y.notna().sum(), 'yes': y.sum(), 'said': yes[y.notna()].sum(),
                           'hit': (yes & (y == 1)).sum(), 'had': had.sum()}).astype(int)
    per = counts.assign(auc=b.auc.loc[list(y)].astype(float).round(4)).astype(object).where(lambda t: t.notna(), None)
    rmse = lambda e: float(np.sqrt(np.nanmean(e.to_numpy('float64')**2)))
    return {'n_train': int((split == 'train').sum()), 'n_test': len(p), 'outputs': y.shape[1],
            **{k: float(macro[k]) for k in ('accuracy', 'f1', 'auc', 'recall', 'precision')},
            'f1_tuned': float(tuned.f1), 'accuracy_majority': float(majority.accuracy),
            'f1_majority': float(majority.f1), 'rmse_1': rmse(p-f.loc[p.index]),
            'mean_predictor': rmse(f[(split == 'train').to_numpy()].mean()-f.loc[p.index]),
            'spread': float(p.std().mean()), 'answers': len(yes.drop_duplicates()), 'per_label': per.to_dict('index')}

def thresholds(p, y):
    "For each label the threshold with the best F1; 0.5 where no galaxy has the label."
    steps = np.linspace(.02, .98, 49)
    def best(c):
        known = y[c].notna().to_numpy()
        s, t = p[c].to_numpy()[known], y[c].to_numpy()[known]
        if not t.sum(): return .5
        yes = s[:, None] > steps
        f1 = 2*(yes & (t[:, None] == 1)).sum(0)/(yes.sum(0)+t.sum())
        return float(np.median(steps[f1 == f1.max()]))
    return pd.Series({c: best(c) for c in y})

# --- rows

def about_of(df, t):
    "What a training is of."
    return {'data': data_hash(df), 'name': df.attrs['name'], 'labels': df.attrs['kind'], **t,
            'scheme': str(t['scheme']), 'epochs': t['settings']['epochs'], 'split': f'k5f{t["fold"]}-s0',
            'inside': None, 'kind': 'rung', 'rung': 1}

def file_of(out, part): return Path(out)/f'diary_{part}.json'

def work(job):
    "One training of a process: its row in words, after it was kept."
    data, n, out, t = job
    df = galaxies(data, n)
    torch.set_num_threads(max(1, int(os.environ.get('OMP_NUM_THREADS', 1))))
    row = results.keep(about_of(df, t) | measured(df, t), file_of(out, t['part']), KEY)
    return ('{part:9} {recipe:32} {network:20} {scheme:12} {rule:6} fold {fold} seed {seed}  accuracy {accuracy:.3f} '
            'F1 {f1:.3f} RMSE {rmse_1:.3f} {answers:3} answers {minutes:.2f} minutes').format(**row)

def missing(tasks, df, out):
    "Those without a row."
    key = lambda r: tuple(str(r.get(k)) for k in (*KEY, 'settings', 'arch'))
    there = {key(r) for part in {t['part'] for t in tasks} for r in results.load(file_of(out, part)).to_dict('records')}
    return [t for t in tasks if key(about_of(df, t)) not in there]

def minutes_left(left, out):
    "What is to train, and its minutes on one CPU core by the rows of each network; NaN where a network has none."
    work = lambda s: s['epochs']*s['size']**2*(2 if s['first'] else 1)      # time goes with epochs and pixels
    rows = [r for part in {t['part'] for t in everything()} for r in results.load(file_of(out, part)).to_dict('records')
            if r['device'] == 'cpu']
    each = pd.DataFrame([(r['network'], r['minutes']/work(r['settings'])) for r in rows], columns=['network', 'each'])
    todo = pd.DataFrame([(t['network'], work(t['settings'])) for t in left], columns=['network', 'work'])
    todo['minutes'] = todo.work*todo.network.map(each.groupby('network').each.median())
    return todo.groupby('network').agg(trainings=('work', 'size'), minutes=('minutes', lambda m: m.sum(skipna=False)))

def small(t):
    "The same in one epoch, 32 pixels where the network can."
    return t | {'settings': t['settings'] | {'epochs': 1}}

def main(a):
    n = 96 if a.small else None
    df = galaxies(a.data, n)
    tasks = [t for t in once(everything()) if not a.parts or t['part'] in a.parts]
    if a.small: tasks = [small(t) for t in tasks if t['fold'] == 0 and t['seed'] == 0]
    if a.only: tasks = [t for t in tasks if t['network'] in a.only]
    for size in {t['settings']['size'] for t in tasks}: images.build_store(df, size=size)
    left, began = missing(tasks, df, a.out), time.monotonic()
    print(f'{len(left)} of {len(tasks)} trainings to do', flush=True)
    if a.list: return print(minutes_left(left, a.out).round(1))
    for i, told in enumerate(side_by_side.run(work, [(a.data, n, a.out, t) for t in left], a.jobs, a.minutes), 1):
        print(f'{i:3} {time.monotonic()-began:5.0f} s  {told}', flush=True)

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('data', help='folder of a data set')
    ap.add_argument('--parts', nargs='+', help='only these')
    ap.add_argument('--only', nargs='+', metavar='NETWORK', help='only these networks')
    ap.add_argument('--small', action='store_true', help='one epoch of every recipe on few galaxies')
    ap.add_argument('--list', action='store_true', help='only say how much there is to do, and how long it takes')
    ap.add_argument('--out', default=str(Path(__file__).parents[1]/'results'), help='folder of the result files')
    side_by_side.options(ap)
    main(ap.parse_args())
