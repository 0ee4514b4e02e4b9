"""Few voted galaxies, many pictures: what each ingredient brings, on five folds of two data sets.

    python benchmarks/few_labels.py ../shared/data --jobs 4 --minutes 8     # on a machine with a card
    python benchmarks/few_labels.py ../shared/data --small --out /tmp/few   # tiny sizes, to see it run on a CPU

The folder holds gz2_800 (weighted fractions), kaggle_597 (Kaggle's labels) and kaggle_20k (no votes; one of five
classes of which volunteers agreed, used as weak labels where a recipe says so; it shares no sky with the other two).
Fold k is held out of every stage: of both data sets, of teachers and of students. Every recipe was fixed beforehand,
from trainings on other galaxies and from what others had measured: the held-out part chooses nothing. The last epoch
counts, with one view and with eight.

    weak first      the network learns the five agreed classes before, once for all folds
    all votes       one network learns both data sets at once, each kind of label by outputs of its own
    ImageNet        EfficientNet-Lite2 with its ImageNet weights, of the extra `imagenet`
    self-training   two networks of the same fold, with two views each, give votes to galaxies that have none; entries
                    on which the four disagree weigh less; a student learns from these and from the true votes
    margin          pictures with sky around the part that is shown, so that turning reads sky and mirrors nothing
    voted           so many voted galaxies of the training part, chosen by a hash of their ids
    simulated       trained on simulated galaxies alone, tested on real ones

Workers train side by side, a recipe each; recipes stand in the order of their importance, and what was not begun when
the minutes are over is left out. A row a data set and fold goes into results/few_labels.json as soon as it is there;
the predictions of every network on its held-out fold, mean of eight views, go into few_predictions.parquet beside it
(few_ensembles.py joins them). What is there is not trained again.
"""
import argparse, multiprocessing, multiprocessing.connection, os, sys, tempfile, time, traceback
from functools import lru_cache
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
os.environ.setdefault('GALAXY_HOME', str(Path(tempfile.gettempdir())/'galaxy_few_labels'))
import numpy as np, pandas as pd
from galaxy_nbdev import images, metrics, profile, results, sources
from galaxy_nbdev.files import replacing
from galaxy_nbdev.schema import CLASSES
from galaxy_nbdev.simulate import simulate_survey
from galaxy_nbdev.splits import id_hash, kfold_ids

GZ2, KAGGLE, WEAK, SKY = 'gz2_800', 'kaggle_597', 'kaggle_20k', 'simulated'
FOLDS, CROP, MARGIN = 5, 212, 232       # pixels of 424
SIMULATED, SKY_SEED = 4000, 41
AT = {GZ2: 0, KAGGLE: len(CLASSES), SKY: 0}     # where the outputs of a data set begin
KEY = ('name', 'recipe', 'voted', 'fold', 'seed')
R18 = dict(arch='resnet18', size=64, lr=2e-3, epochs=60)
LITE2 = dict(arch='lite2', size=128, lr=1e-3, epochs=60)
# Willett et al. 2013: the least fractions of galaxies that show a feature, as products down the tree
BELIEVED = {'completely round smooth': {'Class1.1': .469, 'Class7.1': .469*.5},
            'in-between smooth': {'Class1.1': .469, 'Class7.2': .469*.5},
            'cigar-shaped smooth': {'Class1.1': .469, 'Class7.3': .469*.5},
            'edge-on disk': {'Class1.2': .43, 'Class2.1': .43*.602},
            'spiral': {'Class1.2': .43, 'Class2.2': .43*.715, 'Class4.1': .43*.715*.619}}

# --- the recipes

def recipe(key, words, how, data=(), **more):
    "One recipe: `key` its short name, `words` what a reader sees, `data` the voted galaxies that it learns from."
    plain = dict(kind='votes', start=None, needs=[], voted=None, seed=0, bs=64, builds_on=None, role='rung', rung=None,
                 heavy=1)
    return plain | how | more | {'key': key, 'recipe': words, 'data': list(data)}

def singles(key, words, how, **more):
    "A recipe on each data set alone."
    return [recipe(f'{key}-{d}', words, how, [d], **more) for d in (GZ2, KAGGLE)]

NOTHING = 'ResNet-18 64 px, from nothing'
WEAK_R18 = 'ResNet-18 64 px, weak first'
ALL_R18 = 'ResNet-18 64 px, weak first, all votes'
LITE_128, LITE_224 = ('Lite2 128 px, ImageNet', 'Lite2 224 px, ImageNet')
WEAK_LITE = 'Lite2 128 px, ImageNet, weak first'
ALL_LITE = 'Lite2 128 px, ImageNet, weak first, all votes'
ALL_224 = 'Lite2 128 then 224 px, ImageNet, weak first, all votes'
SELF_LITE = 'Lite2 128 px, self-training'
SELF_224 = 'Lite2 128 px, self-training, then votes at 224 px'
SELF_R18 = 'ResNet-18 64 px, distilled by self-training'
FROM_SKY = 'ResNet-18 64 px, simulated galaxies'

def basics():
    "The ladder, up to the students."
    both = (GZ2, KAGGLE)
    return [
        recipe('weak-lite2', 'weak labels, Lite2', LITE2, kind='weak', start='imagenet', bs=128, epochs=3),
        recipe('weak-r18', 'weak labels, ResNet-18', R18, kind='weak', bs=128, epochs=5),
        recipe('rival', 'plain PyTorch resnet18', dict(size=64, epochs=120, lr=2e-3, arch='resnet18'), [KAGGLE],
               kind='rival', role='reference'),
        *singles('r18', NOTHING, R18, rung=1),
        *singles('r18-weak', WEAK_R18, R18, rung=2, builds_on=NOTHING, start='weak-r18'),
        recipe('r18-all', ALL_R18, R18, both, rung=3, builds_on=WEAK_R18, start='weak-r18'),
        *singles('lite2', LITE_128, LITE2, rung=4, builds_on=NOTHING, start='imagenet'),
        recipe('lite2-all', ALL_LITE, LITE2, both, rung=6, builds_on=LITE_128, start='weak-lite2'),
        recipe('teach', 'teachers', LITE2, kind='teach', needs=['r18-all', 'lite2-all']),
        recipe('self-r18', SELF_R18, R18, both, rung=9, builds_on=ALL_R18, start='weak-r18', teacher='teach')]

def domains():
    "From simulated to real galaxies, without a real vote."
    sky = dict(kind='sky', epochs=15, role='adaptation')
    return [
        recipe('sky-r18', FROM_SKY, R18 | sky, [SKY]),
        recipe('sky-weak', FROM_SKY+', weak classes beside', R18 | sky, [SKY], weak_beside=True, start='weak-r18',
               builds_on=FROM_SKY),
        recipe('sky-self', FROM_SKY+', self-training on the target', R18 | sky, [SKY], own_teacher='sky-r18',
               lr=1e-3, epochs=8, builds_on=FROM_SKY),
        recipe('sky-coral', FROM_SKY+', CORAL', R18 | sky, [SKY], pull=.01, builds_on=FROM_SKY),
        recipe('sky-weak-self', FROM_SKY+', weak classes beside, self-training', R18 | sky, [SKY], weak_beside=True,
               own_teacher='sky-weak', lr=1e-3, epochs=8, builds_on=FROM_SKY),
        recipe('sky-lite2', 'Lite2 128 px, ImageNet, simulated galaxies, weak classes beside', LITE2 | sky, [SKY],
               weak_beside=True, start='weak-lite2', epochs=8)]

def worth():
    "The same network from 50, 100, 200, 400 voted galaxies."
    out = []
    for n in (100, 400, 200, 50):
        few = dict(voted=n, role='worth')
        out += [recipe(f'r18-{n}', NOTHING, R18, [GZ2], **few),
                recipe(f'r18-weak-{n}', WEAK_R18, R18, [GZ2], start='weak-r18', **few),
                recipe(f'lite2-{n}', LITE_128, LITE2, [GZ2], start='imagenet', **few),
                recipe(f'lite2-weak-{n}', WEAK_LITE, LITE2, [GZ2], start='weak-lite2', **few),
                recipe(f'teach-{n}', 'teachers', LITE2, kind='teach', few=True,
                       needs=[f'r18-weak-{n}', f'lite2-weak-{n}']),
                recipe(f'self-{n}', SELF_R18, R18, [GZ2], start='weak-r18', teacher=f'teach-{n}', **few)]
    return out

def choices():
    "Which galaxies to vote on: those of which the network is least sure, no two of a kind, against random ones."
    return [recipe(f'choice-{d}', 'ResNet-18 64 px, weak first', R18, [d], kind='choice', start='weak-r18',
                   role='choice') for d in (SKY, KAGGLE)] + [
            recipe('choice-cnn', 'course CNN 32 px, from nothing', R18, [SKY], kind='choice', role='choice', arch='cnn',
                   size=32, lr=3e-3, epochs=40)]    # small enough for a CPU

def rest():
    "What else is of use, where there is time."
    more = dict(role='trial')
    large = dict(size=224, lr=5e-4, epochs=15, together=3, heavy=2)
    both = (GZ2, KAGGLE)
    return [
        recipe('lite2-all-224', ALL_224, LITE2 | large, both, rung=7, builds_on=ALL_LITE, own_start='lite2-all'),
        recipe('self-lite2', SELF_LITE, LITE2, both, rung=8, builds_on=ALL_LITE, start='weak-lite2', teacher='teach'),
        recipe('self-lite2-224', SELF_224, LITE2 | large, both, rung=10, builds_on=ALL_224, own_start='self-lite2'),
        *singles('lite2-224', LITE_224, LITE2, rung=5, builds_on=LITE_128, start='imagenet', size=224, together=3,
                 heavy=2),
        *singles('r18-margin', NOTHING+', margin', R18, builds_on=NOTHING, margin=True, **more),
        *singles('lite2-margin', LITE_128+', margin', LITE2, builds_on=LITE_128, start='imagenet', margin=True, **more),
        *singles('lite2-weak', WEAK_LITE, LITE2, builds_on=LITE_128, start='weak-lite2', **more),
        recipe('lite2-all-s1', ALL_LITE, LITE2, both, rung=6, builds_on=LITE_128, start='weak-lite2', seed=1),
        recipe('self-lite2-s1', SELF_LITE, LITE2, both, rung=8, builds_on=ALL_LITE, start='weak-lite2',
               teacher='teach', seed=1),
        recipe('r18-all-s1', ALL_R18, R18, both, rung=3, builds_on=WEAK_R18, start='weak-r18', seed=1),
        *[r for a, name in (('vit', 'ViT'), ('cct', 'CCT'), ('cvt', 'CvT'))
          for r in singles(a, f'{name} 64 px, from nothing', R18, arch=a, lr=1e-3, epochs=120, **more)]]

def recipes():
    "All of them, the important ones first."
    few, late, sky = worth(), rest(), domains()
    return [*basics(), late[0], *sky[:3], sky[-1], *few[:12], *late[1:5], *sky[3:-1], *choices(), *few[12:], *late[5:]]

def needed(r):
    "Keys of the recipes whose networks or answers this one begins with."
    start = [r['start']] if r['start'] and r['start'] != 'imagenet' else []
    return [*start, *r['needs'], *(r[k] for k in ('teacher', 'own_teacher', 'own_start') if r.get(k))]

SHRUNK = dict(epochs=1, bs=8)

def small(r):
    "The same recipe at a tiny size."
    return r | SHRUNK | {'size': {32: 32, 64: 32, 128: 40, 224: 48}[r['size']], 'voted': r['voted'] and r['voted']//5}

# --- galaxies

def catalogue(root, name, few=None):
    "The galaxies of a data set, or the first `few` of them."
    if name == SKY:
        n = few or SIMULATED
        dest = profile.home()/f'sky-{n}'
        if not (dest/'truth.parquet').exists():     # written last
            simulate_survey(n, SKY_SEED, dest, layout='hart16', workers=os.cpu_count(), progress=False)
        return sources.catalogue(dest)
    df = sources.catalogue(Path(root)/name)
    attrs = df.attrs
    df = df if few is None else df.head(few).copy()
    df.attrs = attrs
    return df

def pictures(df, name, size, margin=False):
    "The store of a data set's central part."
    crop = MARGIN if margin else CROP
    side = round(size*crop/CROP)
    return images.build_store(df, crop=85 if name == WEAK else crop, size=side)    # 85 of 96 pixels: 212 of 424

def stores_of(r):
    "What a recipe's pictures are: (data set, size, margin)."
    votes = [(d, r['size'], False) for d in r['data']] + [(d, r['size'], True) for d in r['data'] if r.get('margin')]
    unvoted = r['kind'] in ('weak', 'teach') or r.get('teacher') or r.get('weak_beside') or r.get('own_teacher')
    return votes + [(WEAK, r['size'], False)]*bool(unvoted) + [(GZ2, r['size'], False)]*(r['kind'] == 'sky') \
        + [(WEAK, max(32, r['size']//2), False)]*(r['kind'] == 'teach')

class Data:
    "Galaxies, pictures and targets on a device, each made once."
    def __init__(self, root, few, device):
        self.root, self.few, self.device, self.kept, self.tables = root, few, device, {}, {}

    def table(self, name):
        if name not in self.tables: self.tables[name] = catalogue(self.root, name, self.few)
        return self.tables[name]

    def fold(self, name): return kfold_ids(self.table(name).galaxy_id, FOLDS).to_numpy()

    def x(self, name, size, margin=False):
        "Pictures, (n, 3, side, side) uint8."
        import torch
        if (name, size, margin) not in self.kept:
            store = pictures(self.table(name), name, size, margin)
            x = torch.from_numpy(np.array(store.images)).to(self.device).permute(0, 3, 1, 2).contiguous()
            self.kept[name, size, margin] = x
        return self.kept[name, size, margin]

    def y(self, name, outputs, voted):
        "Targets, (n, outputs): fractions at the place of their kind, or agreed classes; NaN elsewhere."
        import torch
        from few_training import AGREED
        df = self.table(name)
        y = np.full((len(df), outputs), np.nan, 'float32')
        if name == WEAK: y[:, voted:] = df.clean_class.to_numpy()[:, None] == np.array(AGREED)
        else: y[:, AT[name]:AT[name]+len(CLASSES)] = df[CLASSES].to_numpy('float32')
        return torch.from_numpy(y).to(self.device)

    def low(self, outputs):
        "Lowest believed fractions of the galaxies with weak labels; 0: nothing is said."
        import torch
        names = self.table(WEAK).clean_class.to_numpy()
        low = np.zeros((len(names), outputs), 'float32')
        for name, least in BELIEVED.items():
            for c, v in least.items(): low[names == name, CLASSES.index(c)] = v
        return torch.from_numpy(low).to(self.device)

    def rows(self, name, fold, voted=None):
        "Training rows of a fold: all, or the `voted` of them with the lowest hash of their ids."
        rows = np.flatnonzero(self.fold(name) != fold)
        if voted is None: return rows
        at = np.argsort(id_hash([self.table(name).galaxy_id[i] for i in rows], 'voted'))
        return np.sort(rows[at[:voted]])

# --- one recipe, in a worker

class Worker:
    "Trains recipes with the data that it keeps on the device."
    def __init__(self, root, few, work):
        import torch, few_training
        self.t, self.torch, self.work, self.few = few_training, torch, Path(work), few
        self.device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        torch.backends.cudnn.allow_tf32 = False
        if self.device.type == 'cuda': torch.set_num_threads(2)     # the card computes
        self.data = Data(root, few, self.device)

    def saved(self, key): return self.torch.load(self.work/f'{key}.pt', map_location='cpu', weights_only=True)

    def save(self, key, what):
        with replacing(self.work/f'{key}.pt') as new: self.torch.save(what, new)

    def steps(self, r, n):
        "Steps of a recipe for `n` galaxies; fewer voted ones are seen more often, by the root of their number."
        if r['voted']: return max(2, round(r['epochs']*640/r['bs']*(n/640)**.5))
        return max(2, round(r['epochs']*n/r['bs']))

    def stream(self, name, r, rows, bs, **more):
        return self.t.Stream(self.data.x(name, r['size'], bool(r.get('margin'))),
                             self.data.y(name, self.t.OUTPUTS, self.t.VOTED), rows, bs, **more)

    def nets(self, r, n):
        "Networks with their first weights."
        if key := r.get('own_start') or r.get('own_teacher'):
            starts = self.saved(key)
        else: starts = [r['start'] if r['start'] in (None, 'imagenet') else self.saved(r['start'])[0]]*n
        return [self.t.network(r['arch'], r['size'], s, 100*r['seed']+k) for k, s in enumerate(starts)]

    def fit(self, r, nets, streams, steps):
        margin = MARGIN/CROP if r.get('margin') else 1.
        return self.t.train(nets, streams, steps, r['lr'], r['size'], self.device, r['graph'],
                            r.get('together', 5), seed=r['seed'], margin=margin, pull=r.get('pull', 0.))

    def weak(self, r):
        "One network for all folds, of the agreed classes."
        n = len(self.data.table(WEAK))
        held = np.arange(n) % 50 == 0
        nets = self.nets(r, 1)
        self.fit(r, nets, [self.stream(WEAK, r, [np.flatnonzero(~held)], r['bs'])], self.steps(r, n))
        x, y = (t[self.torch.from_numpy(held).to(self.device)] for t in (
            self.data.x(WEAK, r['size']), self.data.y(WEAK, self.t.OUTPUTS, self.t.VOTED)))
        p = self.t.answers(nets[0], x, 1)[0, :, self.t.VOTED:]
        self.save(r['key'], [n.state_dict() for n in nets])
        return {'right': float((p.argmax(1) == y[:, self.t.VOTED:].argmax(1)).float().mean())}

    def teach(self, r):
        "Answers of the teachers of each fold to galaxies without votes: mean, and weight by their spread."
        first = 6000 if r.get('few') else None
        sizes, out = {'r18': ('resnet18', max(32, r['size']//2)), 'lit': ('lite2', r['size'])}, []
        starts = {k: self.saved(k) for k in r['needs']}
        for fold in range(FOLDS):
            views = []
            for k, states in starts.items():
                arch, size = sizes[k[:3]]
                net = self.t.network(arch, size, states[fold], 0)
                net.to(self.device, memory_format=self.torch.channels_last)
                views.append(self.t.answers(net, self.data.x(WEAK, size)[:first], 2, 512, fast=True))
            out.append(self.trusted(self.torch.cat(views)))
        self.save(r['key'], out)
        return {}

    def trusted(self, views):
        "Mean answers, and how much each entry is trusted: half where views differ as much as they do on average."
        mean, spread = views.mean(0), views.std(0)
        weight = 1/(1+(spread/spread.mean(0).clamp(min=1e-4))**2)
        mean[:, self.t.VOTED:] = float('nan')
        return [t.cpu() for t in (mean, weight)]

    def votes(self, r):
        "Five networks of voted galaxies, of one data set or of both, with a teacher's answers where there are any."
        nets = self.nets(r, FOLDS)
        rows = {d: [self.data.rows(d, k, r['voted']) for k in range(FOLDS)] for d in r['data']}
        counts = {d: np.mean([len(x) for x in v]) for d, v in rows.items()}
        total = sum(counts.values())
        share = {d: max(1, round(r['bs']*c/total)) for d, c in counts.items()}
        streams = [self.stream(d, r, rows[d], share[d]) for d in r['data']]
        if r.get('teacher'):
            taught = self.saved(r['teacher'])
            y, w = zip(*[[t.to(self.device) for t in pair] for pair in taught])
            if len(r['data']) == 1:         # its teachers have learned no votes of the other kind
                y = [t.clone() for t in y]
                other = AT[KAGGLE] if r['data'] == [GZ2] else 0
                for t in y: t[:, other:other+len(CLASSES)] = float('nan')
            streams.append(self.t.Stream(self.data.x(WEAK, r['size'])[:len(y[0])], list(y),
                                         [np.arange(len(y[0]))]*FOLDS, r['bs'], weight=list(w)))
        losses = self.fit(r, nets, streams, self.steps(r, total))
        self.save(r['key'], [n.state_dict() for n in nets])
        return {'losses': losses, 'scores': {d: self.score(nets, d, r['size']) for d in r['data']},
                'parameters': sum(w.numel() for w in nets[0].parameters())}

    def score(self, nets, name, size):
        "Answers of each network to its held-out fold: rows, the first view, the mean of eight."
        at, out = slice(AT[name], AT[name]+len(CLASSES)), []
        for fold, net in enumerate(nets):
            held = np.flatnonzero(self.data.fold(name) == fold)
            v = self.t.answers(net, self.data.x(name, size)[self.torch.from_numpy(held).to(self.device)])[:, :, at]
            out.append((held, v[0].cpu().numpy(), v.mean(0).cpu().numpy()))
        return out

    def sky(self, r):
        "Five networks of simulated galaxies, each with a seed of its own, scored on a fold of real ones."
        nets = self.nets(r, FOLDS)
        every = [np.arange(len(self.data.table(SKY)))]*FOLDS
        streams = [self.stream(SKY, r, every, r['bs'])]
        plain = {k: v for k, v in r.items() if k != 'margin'}
        target = [self.data.rows(GZ2, k) for k in range(FOLDS)]
        x = self.data.x(GZ2, r['size'])
        of = lambda k: x[self.torch.from_numpy(target[k]).to(self.device)]
        if r.get('pull'): streams.append(self.t.Stream(x, None, target, r['bs']))
        if r.get('weak_beside'):
            n = len(self.data.table(WEAK))
            streams.append(self.stream(WEAK, plain, [np.arange(n)]*FOLDS, r['bs'],
                                       low=self.data.low(self.t.OUTPUTS)))
        if r.get('own_teacher'):        # the target's pictures, without its votes
            pseudo = []
            for k, net in enumerate(nets):
                net.to(self.device, memory_format=self.torch.channels_last)
                self.t.target_statistics(net, of(k))
                mean, weight = self.trusted(self.t.answers(net, x, fast=True))
                mean[:, len(CLASSES):] = float('nan')
                pseudo.append([mean.to(self.device), weight.to(self.device)])
            y, w = zip(*pseudo)
            streams.append(self.t.Stream(x, list(y), target, r['bs'], weight=list(w)))
        losses = self.fit(r, nets, streams, self.steps(r, len(every[0])))
        self.save(r['key'], [n.state_dict() for n in nets])
        found = {GZ2: self.score(nets, GZ2, r['size'])}
        for k, net in enumerate(nets): self.t.target_statistics(net, of(k))
        return {'losses': losses, 'scores': found, 'adapted': {GZ2: self.score(nets, GZ2, r['size'])},
                'parameters': sum(w.numel() for w in nets[0].parameters())}

    def choice(self, r):
        "50, 100, 200, 400 voted galaxies, chosen by the last round's network or by a hash; trained anew each time."
        from galaxy_nbdev.voting import distinct
        name, rounds = r['data'][0], []
        rounds_of = (10, 20) if self.few else (50, 100, 200, 400)
        x, at = self.data.x(name, r['size']), slice(AT[name], AT[name]+len(CLASSES))
        for how in ('random', 'least sure'):
            rows = [self.data.rows(name, k, rounds_of[0]) for k in range(FOLDS)]
            for n in rounds_of:
                if how == 'random': rows = [self.data.rows(name, k, n) for k in range(FOLDS)]
                nets = self.nets(r, FOLDS)
                self.fit(r, nets, [self.stream(name, r, rows, r['bs'])], self.steps(r | {'voted': n}, n))
                rounds.append((f', {how}', n, {name: self.score(nets, name, r['size'])}))
                if how == 'random': continue
                for k, net in enumerate(nets):
                    pool = np.setdiff1d(self.data.rows(name, k), rows[k])
                    v = self.t.answers(net, x[self.torch.from_numpy(pool).to(self.device)], fast=True)[:, :, at]
                    spread = v.var(0).mean(1).sqrt().cpu().numpy()
                    rows[k] = np.sort(np.r_[rows[k], pool[distinct(v.mean(0).cpu().numpy(), spread, n)]])
        return {'rounds': rounds, 'parameters': sum(w.numel() for w in nets[0].parameters())}

    def rival(self, r):
        "The plain PyTorch network on the same folds."
        import rival
        name, found, parameters = r['data'][0], [], None
        x = self.data.x(name, r['size'])
        y = self.torch.tensor(self.data.table(name)[CLASSES].to_numpy('float32')).to(self.device)
        for fold in range(FOLDS):
            held = self.data.fold(name) == fold
            rows = self.torch.from_numpy(np.flatnonzero(~held)).to(self.device)
            net, _ = rival.train(r['arch'], x[rows], y[rows], r['epochs'], r['lr'], r['seed'],
                                 bf16=self.device.type == 'cuda', bs=r['bs'])
            at = np.flatnonzero(held)
            v = rival.predict(net, x[self.torch.from_numpy(at).to(self.device)])
            found.append((at, v[0].cpu().numpy(), v.mean(0).cpu().numpy()))
            parameters = sum(w.numel() for w in net.parameters())
        return {'scores': {name: found}, 'parameters': parameters}

    def run(self, r):
        "What a recipe gives, with its minutes."
        began = time.monotonic()
        if self.device.type == 'cuda': self.torch.cuda.synchronize()
        found = getattr(self, r['kind'])(r)
        return found | {'minutes': (time.monotonic()-began)/60, 'graph': r['graph']}

def probe(graph):
    "Does the card take a recorded step? A short training, with and without, to about the same loss."
    import torch, few_training as t
    device = torch.device('cuda')
    x = torch.randint(0, 255, (64, 3, 32, 32), dtype=torch.uint8, device=device)
    y = torch.full((64, t.OUTPUTS), .3, device=device)
    losses = {}
    for how in ('none', graph):
        nets = [t.network('resnet18', 32, None, k) for k in range(2)]
        losses[how] = t.train(nets, [t.Stream(x, y, [np.arange(64)]*2, 16)], 40, 1e-3, 32, device, how)
    return np.allclose(losses['none'], losses[graph], rtol=.4)

def work(root, few, folder, pipe):
    "A worker: recipes come through the pipe, answers go back."
    try:
        worker = Worker(root, few, folder)
        pipe.send(('ready', str(worker.device)))
        while (r := pipe.recv()) is not None:
            try: pipe.send(('done', worker.run(r)))
            except Exception as e:
                traceback.print_exc()
                return pipe.send(('failed', f'{type(e).__name__}: {e}'.splitlines()[0][:300]))
    except (EOFError, KeyboardInterrupt): pass

def probed(how, pipe):
    "Whether a way of recording works, tried in a process of its own."
    try: pipe.send(bool(probe(how)))
    except Exception:
        traceback.print_exc()
        pipe.send(False)

def build(root, few, stores, pipe):
    "Make the stores one after the other, each said through the pipe."
    for name, size, margin in stores:
        pictures(catalogue(root, name, few), name, size, margin)
        pipe.send((name, size, margin))

def best_way(ctx):
    "A function that says, once asked, which way of recording the card takes."
    tries = {}
    for how in ('a stream each', 'one stream'):
        here, there = ctx.Pipe()
        tries[how] = here, ctx.Process(target=probed, args=(how, there), daemon=True)
        tries[how][1].start()
    def asked(patience=40):
        works = {how: pipe.poll(patience) and pipe.recv() for how, (pipe, _) in tries.items()}
        for _, p in tries.values(): p.terminate()
        return next((how for how, yes in works.items() if yes), 'none')
    return asked

# --- rows and predictions

def parts_of(r, found):
    "What a recipe has to say: words to add, voted galaxies, answers by data set."
    voted = r['voted']
    plain = [(words, voted, found[part]) for words, part in (
        ('', 'scores'), (', batch statistics of the target', 'adapted')) if part in found]
    return plain+found.get('rounds', [])

def about_of(r, words, voted):
    "What a row says of its recipe."
    settings = {k: r.get(k) for k in ('arch', 'size', 'lr', 'epochs', 'bs', 'start', 'teacher', 'margin', 'own_start',
                                      'own_teacher', 'weak_beside', 'pull')}
    return {'seed': r['seed'], 'recipe': r['recipe']+words, 'key': r['key'], 'kind': r['role'], 'rung': r['rung'],
            'builds_on': r['recipe'] if words else r['builds_on'], 'voted': voted, 'inside': None,
            'settings': {k: v for k, v in settings.items() if v is not None} | {'crop': CROP},
            'epochs': r['epochs'], 'trained_on': '+'.join(r['data'])}

def rows_of(r, found, table, device):
    "Rows of a recipe, a data set and fold each, and its predictions as one table."
    out, preds = [], []
    for words, voted, by_name in parts_of(r, found):
        for name, fold, (held, one, eight) in ((n, k, x) for n, folds in by_name.items() for k, x in enumerate(folds)):
            df, y = table(name), table(name)[CLASSES].to_numpy('float64')
            mean = np.nanmean(np.delete(y, held, 0), 0)
            out.append({'name': name, 'labels': df.attrs['kind'], 'data': df.attrs['hash'], 'split': f'k5f{fold}-s0',
                        'fold': fold} | about_of(r, words, voted) | {
                'rmse_1': float(metrics.rmse(one, y[held])), 'rmse_8': float(metrics.rmse(eight, y[held])),
                'mean_predictor': float(metrics.rmse(np.tile(mean, (len(held), 1)), y[held])),
                'galaxies': len(held), 'outputs': len(CLASSES), 'parameters': found['parameters'],
                'minutes': round(found['minutes']/FOLDS, 3), 'device': device, 'graph': found['graph']})
            p = pd.DataFrame(eight.round(5), columns=CLASSES)
            p.insert(0, 'galaxy_id', df.galaxy_id.to_numpy()[held])
            preds.append(p.assign(name=name, recipe=r['recipe']+words, key=r['key'], fold=fold, seed=r['seed'],
                                  voted=voted or 0))
    return out, [p for p in preds if p.name.iloc[0] != SKY]

def keep(rows, preds, out):
    "Rows into the results, predictions into the one file beside them."
    file = results.results_file(out)
    for row in rows: results.keep(row, out, KEY)
    table = file.with_name('few_predictions.parquet')
    before = [pd.read_parquet(table)] if table.exists() else []
    if not preds: return
    every = pd.concat([*before, *preds], ignore_index=True)
    every = every.drop_duplicates(['galaxy_id', 'name', 'recipe', 'fold', 'seed', 'voted'], keep='last')
    with replacing(table) as new: every.to_parquet(new, compression='zstd')

# --- several workers

class Shop:
    "Workers and the recipes that wait for them."
    def __init__(self, todo, jobs, start, until, on_done, builder):
        self.todo, self.done, self.until, self.on_done, self.start = list(todo), set(), until, on_done, start
        self.workers, self.built, self.builder, self.graph = [start() for _ in range(jobs)], set(), builder, 'none'

    def ready(self, r): return self.done.issuperset(needed(r)) and self.built.issuperset(stores_of(r))

    def next(self):
        "The first recipe that can begin, or None."
        heavy = sum(w['busy']['heavy'] > 1 for w in self.workers if w['busy'])
        at = next((i for i, r in enumerate(self.todo) if self.ready(r) and not (heavy and r['heavy'] > 1)), None)
        return None if at is None else self.todo.pop(at)

    def hand_out(self):
        for w in self.workers:
            if w['free'] and time.monotonic() < self.until and (r := self.next()):
                w['busy'], w['free'] = r, False
                w['pipe'].send({'graph': self.graph} | r)

    def listen(self, at):
        w = self.workers[at]
        try: word, said = w['pipe'].recv()
        except EOFError: word, said = 'failed', 'the worker ended'
        r, w['busy'] = w['busy'], None
        w['free'] = word != 'failed'
        if word == 'done':
            self.done.add(r['key'])
            self.on_done(r, said)
        if word == 'failed':
            name = r['key'] if r else 'a worker'
            print(f'{name}: {said}', flush=True)
            self.workers[at] = self.start() if r and time.monotonic() < self.until else w | {'over': True}
            if r and not r.get('graph'): self.todo.insert(0, r | {'graph': 'none'})     # once more, without recording

    def run(self, end):
        "Until everything is done, or the time is over."
        while time.monotonic() < end:
            self.hand_out()
            alive = [i for i, w in enumerate(self.workers) if not w.get('over')]
            waiting = [w for w in self.workers if w['busy'] or not (w['free'] or w.get('over'))]
            if not (waiting or self.builder and alive): break
            pipes = [self.workers[i]['pipe'] for i in alive]+[self.builder]*bool(self.builder)
            heard = multiprocessing.connection.wait(pipes, timeout=.2)
            if self.builder in heard: self.hear_builder()
            for i in alive:
                if self.workers[i]['pipe'] in heard: self.listen(i)
        for w in self.workers: w['process'].terminate()
        for w in self.workers: w['process'].join(5)

    def hear_builder(self):
        "Another store is there, or no more will come."
        try: self.built.add(self.builder.recv())
        except EOFError: self.builder = None

def finished(out, r):
    "Are all of a recipe's rows there?"
    need = {(d, k) for d in ([GZ2] if r['kind'] == 'sky' else r['data']) for k in range(FOLDS)}
    rows = results.load(out)
    rows = rows[(rows.get('key') == r['key'])] if len(rows) and 'key' in rows else rows.iloc[:0]
    settings = all(s.get('epochs') == r['epochs'] and s.get('size') == r['size'] for s in rows.get('settings', []))
    return bool(need) and settings and need <= set(zip(rows.get('name', []), rows.get('fold', [])))

def wanted(every, only, out, folder):
    "What is left to train: recipes without rows, and those that these begin with, where their networks are gone."
    there = lambda r: (folder/f'{r["key"]}.pt').exists()
    by_key, left = {r['key']: r for r in every}, {}
    if lost := set(only or ())-set(by_key): sys.exit(f'--only {lost.pop()}: choose among {", ".join(by_key)}')
    def add(r):
        for k in needed(r):
            if not there(by_key[k]): add(by_key[k])
        left[r['key']] = r
    for r in every:
        if r['data'] and (not only or r['key'] in only) and not finished(out, r): add(r)
    order = [r['key'] for r in every]
    return sorted(left.values(), key=lambda r: order.index(r['key'])), {r['key'] for r in every if there(r)}-set(left)

def main(a):
    began = time.monotonic()
    told = lambda *x: print(f'{time.monotonic()-began:5.0f} s', *x, flush=True)
    every = [small(r) if a.small else r for r in recipes()]
    few = 60 if a.small else None
    folder = profile.home()/('few_small' if a.small else 'few_labels')
    folder.mkdir(parents=True, exist_ok=True)
    out = a.out/'few_labels.json' if a.out else 'few_labels'
    todo, have = wanted(every, a.only, out, folder)
    told(f'{len(todo)} recipes to train, {len(have)} networks are there')
    if not todo: return
    ctx = multiprocessing.get_context('spawn')
    import torch
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'
    way = best_way(ctx) if torch.cuda.is_available() else None
    built, there = ctx.Pipe(duplex=False)
    builder = ctx.Process(target=build, args=(a.data, few, list(dict.fromkeys(s for r in todo for s in stores_of(r))),
                                              there))
    builder.start()
    there.close()
    @lru_cache
    def table(name):
        from galaxy_nbdev.dataloaders import data_hash
        df = catalogue(a.data, name, few)
        df.attrs['hash'] = data_hash(df)
        return df
    def start():
        here, there = ctx.Pipe()
        process = ctx.Process(target=work, args=(a.data, few, folder, there), daemon=True)
        process.start()
        there.close()
        return {'pipe': here, 'process': process, 'free': False, 'busy': None}
    def on_done(r, found):
        rows, preds = rows_of(r, found, table, device)
        if rows: keep(rows, preds, out)
        t = pd.DataFrame(rows)
        for (name, words, n), g in (t.fillna({'voted': 0}).groupby(['name', 'recipe', 'voted'], sort=False)
                                    if rows else ()):
            told(f'{name:11} {words}{f", {n:.0f} voted" if n else ""}: {g.rmse_8.mean():.4f} '
                 f'(one view {g.rmse_1.mean():.4f}), {60*found["minutes"]:.0f} s')
        if not rows: told(r['key'], {k: v for k, v in found.items() if k in ('right', 'losses')},
                          f'{60*found["minutes"]:.0f} s')
    until = began+60*a.minutes
    shop = Shop(todo, a.jobs, start, until-20, on_done, built)
    shop.done |= have
    if way: shop.graph = way()
    told(f'{device}, torch {torch.__version__}, recording: {shop.graph}')
    shop.run(until)
    if builder.is_alive(): builder.terminate()
    told('left out:', ', '.join(r['key'] for r in shop.todo) or 'nothing')

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('data', type=Path, help='folder that holds gz2_800, kaggle_597 and kaggle_20k')
    ap.add_argument('--jobs', type=int, default=1, help='workers side by side')
    ap.add_argument('--minutes', type=float, default=1e4)
    ap.add_argument('--only', nargs='+', metavar='KEY', help='only these recipes, and what they begin with')
    ap.add_argument('--small', action='store_true', help='tiny sizes')
    ap.add_argument('--out', type=Path, help='folder of the results; without it, results/ of the checkout')
    main(ap.parse_args())
