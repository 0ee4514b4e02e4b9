"""Everything that one card is asked, in at most six minutes: steps, rates, prediction, a short training, Kaggle's size.

    python benchmarks/gpu.py                    # on a machine with a card; writes results/gpu.json
    python benchmarks/gpu.py --small --out /tmp/gpu.json    # tiny sizes, to see it run to its end on a CPU

The galaxies are simulated. Parts, in this order; any may fail, and its row then says why, while the others go on:

    step     an epoch of training by fit_one_cycle over that of a bare loop: data on the card, the same augmentation,
             bfloat16, channels last, torch's fused AdamW. `ratio` below 1: ours is faster. `captured`: ours with
             compile=True over the same loop. `waiting`: share of the time in which the card runs nothing;
             `loading_share`: time of loading and augmenting alone over that of an epoch
    predict  `load_run` and `predict` from a store with one view and with eight, over bare forward passes of as many
    short    60 epochs of 627 galaxies, ResNet-18, as a run, without and with compile=True; `epochs_s` of the seconds
             are the epochs'
    equal    largest differences of predictions: the card against the CPU (asked: under 1e-4), a reloaded run against
             the run itself, a resumed training against an uninterrupted one, with and without deterministic kernels
    kaggle   61,578 galaxies at 64 px: drawn, stored, trained on for 30 epochs
    rate     images a second of training, at 64, 128 and 224 px

What is not begun when the minutes are over is left out, and says so. Sides of a ratio take turns, medians count.
"""
import argparse, contextlib, math, os, sys, tempfile, time, traceback
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
# its runs and stores are measured, so they begin from nothing
os.environ['CUBLAS_WORKSPACE_CONFIG'] = ':4096:8'      # deterministic products need it
os.environ['GALAXY_HOME'] = tempfile.mkdtemp(prefix='galaxy_gpu_')
import numpy as np, pandas as pd, torch
import torch.nn.functional as F
from fastai.callback.core import Callback
import loaders
from timing import medians, seconds
from galaxy_nbdev import images, results, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders
from galaxy_nbdev.learner import galaxy_learner, load_run, train_run
from galaxy_nbdev.prediction import predict
from galaxy_nbdev.runs import read_history, run_folder
from galaxy_nbdev.simulate import simulate_survey
from galaxy_nbdev.steps import exact_float32

CARD = torch.cuda.is_available()
DEVICE = torch.device('cuda' if CARD else 'cpu')
NAME = torch.cuda.get_device_name() if CARD else 'cpu'
NETWORKS = {
    'course CNN': ('galaxy_nbdev.cnn:galaxy_cnn', {}),
    'ResNet-18': ('galaxy_nbdev.resnet:galaxy_resnet', {'depth': 18}),
    'ResNet-50': ('galaxy_nbdev.resnet:galaxy_resnet', {'depth': 50}),
    'ViT': ('galaxy_nbdev.vit:galaxy_vit', {})}
STEPS = [('course CNN', 64, 64), ('ResNet-18', 64, 64), ('ResNet-18', 64, 512), ('ResNet-50', 128, 128),
         ('ResNet-50', 224, 128)]
RATES = [(network, size, 512 if size == 64 else 128) for size in (64, 128, 224) for network in NETWORKS]
FULL = dict(galaxies=2000, batches=40, rounds=3, predicted=20_000, epochs=60, few=627, kaggle=61_578, kaggle_epochs=30)
SMALL = dict(galaxies=60, batches=2, rounds=1, predicted=80, epochs=2, few=60, kaggle=120, kaggle_epochs=1)
KEY = ('part', 'network', 'size', 'bs', 'views', 'compared', 'device')

def wait():
    "Until the card has done what it was told."
    if CARD: torch.cuda.synchronize()

def many(df, n):
    "The catalogue again and again, under new ids."
    return loaders.many(df, n).head(n).reset_index(drop=True)

def dls_of(df, size, bs, batches):
    "Loaders whose training part has so many batches."
    return GalaxyDataLoaders.from_catalogue(loaders.many(df, bs*batches*5//4+bs), source='store', size=size, bs=bs)

def augment(x):
    "What `GalaxyAugment` does, as anybody writes it for a card: drawn there, torch's own affine grid."
    n, u = len(x), lambda *shape: torch.rand(*shape, device=x.device)
    angle, zoom, mirror = 2*math.pi*u(n), 1/(.8+.4*u(n)), (u(n) < .5)*2.-1
    turn = torch.stack([zoom*mirror*angle.cos(), -zoom*angle.sin(), zoom*mirror*angle.sin(), zoom*angle.cos()], 1)
    maps = torch.cat([turn.view(n, 2, 2), .08*(u(n, 2, 1)-.5)], 2)
    x = F.grid_sample(x, F.affine_grid(maps, x.shape, align_corners=False), padding_mode='reflection',
                      align_corners=False)
    return x*(.8+.4*u(n, 1, 1, 1))

def bare(dls, arch, settings, bf16=True):
    "A loop that anybody writes: everything on the card, bfloat16, channels last, fused AdamW; a function of one epoch."
    net = galaxy_learner(dls, arch, bf16=False, **settings).model.to(DEVICE, memory_format=torch.channels_last)
    x = torch.from_numpy(np.array(dls.train.store.images[dls.train.rows])).permute(0, 3, 1, 2).to(DEVICE)
    y = dls.train.targets[0].to(DEVICE)
    opt = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=.05, fused=True)
    mean, std = (torch.tensor(s, device=DEVICE).view(1, 3, 1, 1) for s in dls.stats)
    def epoch():
        net.train()
        for batch in torch.randperm(len(x), device=DEVICE).split(dls.bs):
            xb = augment(x[batch].float().div_(255)).sub_(mean).div_(std)
            xb = xb.contiguous(memory_format=torch.channels_last)
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=bf16): out = net(xb)
            F.mse_loss(out.float().sigmoid(), y[batch]).backward()
            opt.step()
            opt.zero_grad()
        wait()
    return epoch

def waiting(act):
    "Share of the time of a call in which the card computes nothing; None without one. The profiler is not timed."
    if not CARD: return None
    from torch.profiler import ProfilerActivity, profile
    took = seconds(lambda: (act(), wait()))
    with profile(activities=[ProfilerActivity.CUDA]) as p: act(), wait()
    return 1-sum(e.self_device_time_total for e in p.key_averages())/1e6/took

def fit(learn):
    "An epoch of training, its training part alone, seconds."
    taken = loaders.training_seconds(learn)
    wait()
    return taken

def loading_rate(dls):
    "Galaxies a second of the loaders alone, prepared for the network; the card is waited for at the end."
    def epoch():
        for x, _ in dls.train: pass
        wait()
    return len(dls.train)*dls.bs/medians({'loading': lambda: seconds(epoch)}, 3)['loading']

# --- the parts: each gives its rows one by one

def against_bare(dls, learn, loop, rounds):
    "Ours and the loop in turn."
    m = medians({'ours': lambda: fit(learn), 'bare': lambda: seconds(loop)}, rounds)
    galaxies = len(dls.train)*dls.bs
    return m | dict(ratio=m['ours']/m['bare'], images_per_second=galaxies/m['ours'],
                    bare_images_per_second=galaxies/m['bare'])

def step(df, n):
    for network, size, bs in [STEPS[i] for i in n['rows']] if not n['small'] else [('course CNN', 32, 16)]:
        arch, settings = NETWORKS[network]
        about = dict(network=network, size=size, bs=bs)
        dls, loop = None, None
        try:
            dls = dls_of(df, size, bs, n['batches'])
            learn, loop = galaxy_learner(dls, arch, bf16=True, **settings), bare(dls, arch, settings)
            found = against_bare(dls, learn, loop, n['rounds'])
            yield about | found | dict(loading_share=found['images_per_second']/loading_rate(dls),
                                       waiting=waiting(lambda: fit(learn)), bare_waiting=waiting(loop))
        except Exception as e: yield about | {'error': said(e)}
        if loop is None: continue
        about = about | {'network': f'{network}, captured'}
        try:
            learn = galaxy_learner(dls, arch, bf16=True, compile=True, **settings)
            found = against_bare(dls, learn, loop, n['rounds'])
            yield about | found | dict(waiting=waiting(lambda: fit(learn)))
        except Exception as e: yield about | {'error': said(e)}

def rate(df, n):
    for network, size, bs in RATES if not n['small'] else [('ViT', 32, 16)]:
        arch, settings = NETWORKS[network]
        about = dict(network=network, size=size, bs=bs)
        try:
            dls = dls_of(df, size, bs, max(2, n['batches']//4))
            learn = galaxy_learner(dls, arch, bf16=True, **settings)
            taken = medians({'ours': lambda: fit(learn)}, n['rounds'])['ours']
            yield about | dict(images_per_second=len(dls.train)*bs/taken)
        except Exception as e: yield about | {'error': said(e)}

@torch.no_grad()
@exact_float32()
def forward_rate(learn, n, views, bs):
    "Galaxies a second of bare forward passes, in float32 as `predict` computes it."
    x = torch.rand(bs, 3, learn.dls.size, learn.dls.size, device=DEVICE)
    net, times = learn.model.eval().to(DEVICE), max(1, n//bs)
    def act():
        for _ in range(times*views): net(x).sigmoid()
        wait()
    return times*bs/medians({'forward': lambda: seconds(act)}, 3)['forward']

def predicting(df, n):
    size = 32 if n['small'] else 64
    dls = GalaxyDataLoaders.from_catalogue(df, source='store', size=size, bs=32)
    learn = galaxy_learner(dls, *NETWORKS['ResNet-18'][:1], **NETWORKS['ResNet-18'][1])
    train_run(learn, 'predicting', 1)
    again = load_run(run_folder(learn, 'predicting'))
    test = many(df, n['predicted'])
    store = images.build_store(test, size=size)
    about = dict(network='ResNet-18', size=size, bs=256, ran_on=str(next(again.model.parameters()).device))
    for views, tta in ((1, None), (8, 'dihedral8')):
        taken = medians({'ours': lambda: seconds(lambda: predict(again, test, tta=tta, store=store))},
                        n['rounds'])['ours']
        bare_rate = max(forward_rate(again, n['predicted']//views, views, bs)
                        for bs in ((32,) if n['small'] else (256, 1024)))
        yield about | dict(views=views, images_per_second=len(test)/taken, bare_images_per_second=bare_rate,
                           share_of_bare=len(test)/taken/bare_rate)

def short(df, n):
    few = many(df, n['few']*5//4)
    dls = GalaxyDataLoaders.from_catalogue(few, source='store', size=32 if n['small'] else 64,
                                           bs=64 if not n['small'] else 16)
    for network, recorded in (('ResNet-18', False), ('ResNet-18, captured', True)):
        about = dict(network=network, size=dls.size, bs=dls.bs)
        try:
            learn = galaxy_learner(dls, NETWORKS['ResNet-18'][0], compile=recorded, **NETWORKS['ResNet-18'][1])
            taken = seconds(lambda: train_run(learn, f'short{recorded}', n['epochs']))
            epochs_s = float(read_history(run_folder(learn, f'short{recorded}')).seconds.sum())
            yield about | dict(galaxies=len(dls.train_ds), epochs=n['epochs'], seconds=taken, epochs_s=epochs_s)
        except Exception as e: yield about | {'error': said(e)}

def kaggle(df, n):
    size, bs = (32, 16) if n['small'] else (64, 512)
    about = dict(network='ResNet-18', size=size, bs=bs, galaxies=n['kaggle'])
    root, began = Path(os.environ['GALAXY_HOME'])/'kaggle', time.perf_counter()
    simulate_survey(n['kaggle'], 3, root, layout='simulated', workers=os.cpu_count())
    drawn, survey = time.perf_counter()-began, sources.catalogue(root)
    stored = seconds(lambda: images.build_store(survey, size=size, workers=os.cpu_count()))
    yield about | dict(drawn_s=drawn, stored_s=stored, stored_per_second=len(survey)/stored)
    dls = GalaxyDataLoaders.from_catalogue(survey, source='store', size=size, bs=bs)
    learn = galaxy_learner(dls, NETWORKS['ResNet-18'][0], **NETWORKS['ResNet-18'][1])
    minutes = seconds(lambda: train_run(learn, 'kaggle', n['kaggle_epochs']))/60
    rmse = float(read_history(run_folder(learn, 'kaggle')).rmse.iloc[-1])
    yield about | dict(drawn_s=drawn, stored_s=stored, stored_per_second=len(survey)/stored, epochs=n['kaggle_epochs'],
                       minutes=minutes, rmse_1=rmse)

def apart(a, b):
    "Largest difference of two tables of predictions of the same galaxies."
    columns = [c for c in a if c in b and c not in ('galaxy_id', 'split')]
    return float(np.abs(a[columns].to_numpy('float64')-b[columns].to_numpy('float64')).max())

class Stop(Callback):
    "Ends a training after an epoch, as a killed process would: no more is written than the last checkpoint."
    order = 60
    def __init__(self, after): self.after = after
    def after_epoch(self):
        if self.epoch+1 == self.after: raise KeyboardInterrupt

def trained(dls, recipe, stop=0, recorded=False):
    "Predictions and folder of a short run of four epochs; interrupted after `stop` of them, and then gone on with."
    arch, settings = NETWORKS['ResNet-18']
    new = lambda *cbs: galaxy_learner(dls, arch, cbs=cbs, compile=recorded, **settings)
    if stop:
        with contextlib.suppress(KeyboardInterrupt): train_run(new(Stop(stop)), recipe, 4, save_every=0)
    learn = new()
    train_run(learn, recipe, 4)
    return learn, run_folder(learn, recipe)

def equal(df, n):
    size, bs = (32, 16) if n['small'] else (64, 64)
    dls = GalaxyDataLoaders.from_catalogue(df, source='store', size=size, bs=bs)
    test = df.head(256)
    about = dict(network='ResNet-18', size=size, bs=bs)
    learn, folder = trained(dls, 'equal')
    ours, device = predict(learn, test, tta='dihedral8'), str(dls.device)
    for name, other in (('the CPU', 'cpu'), ('the reloaded run', device)):
        again = load_run(folder, device=torch.device(other))
        theirs = predict(again, test, tta='dihedral8')
        yield about | dict(compared=f'predictions, against {name}', difference=apart(ours, theirs))
    kept = pd.read_parquet(folder/'predictions.parquet').query('split == "valid"')
    yield about | dict(compared='predictions, against those in the run folder',
                       difference=apart(kept, predict(load_run(folder), dls.valid_ds.items)))
    for name, exact, recorded in (('', False, False), (', deterministic', True, False), (', captured', False, True)):
        try:
            if exact: torch.use_deterministic_algorithms(True)
            stops = {'whole': 0, 'again': 0, 'resumed': 2}
            runs = [trained(dls, f'{word}{exact}{recorded}', stop, recorded)[1] for word, stop in stops.items()]
        except Exception as e:
            yield about | dict(compared=f'trainings{name}', error=said(e))
            continue
        finally: torch.use_deterministic_algorithms(False)
        whole, *others = [pd.read_parquet(run/'predictions.parquet') for run in runs]
        for word, other in zip(('trained twice', 'resumed, against uninterrupted'), others):
            yield about | dict(compared=word+name, difference=apart(whole, other))

PARTS = {'step': step, 'predict': predicting, 'short': short, 'equal': equal, 'kaggle': kaggle, 'rate': rate}

# --- one after the other

def said(e):
    "An error in one line, with the line of ours where it arose."
    ours = [f for f in traceback.extract_tb(e.__traceback__) if 'galaxy' in f.filename or 'benchmarks' in f.filename]
    at = f' ({Path(ours[-1].filename).name}:{ours[-1].lineno})' if ours else ''
    return f'{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ""}{at}'[:300]

def rows_of(part, df, n):
    "The rows of a part; where it breaks, one row that says why."
    try: yield from PARTS[part](df, n)
    except Exception as e: yield {'error': said(e)}

def lost():
    "Has an error left the card unusable for this process?"
    try:
        torch.ones(1, device=DEVICE).add_(1)
        wait()
    except RuntimeError: return True
    return False

def main(parts, small, minutes, out, rows):
    n = (SMALL if small else FULL) | {'small': small, 'rows': rows}
    began, left = time.monotonic(), lambda: 60*minutes-(time.monotonic()-began)
    print(f'{NAME}, torch {torch.__version__}, {os.cpu_count()} cores', flush=True)
    df = sources.catalogue(simulate_survey(n['galaxies'], 1, Path(os.environ['GALAXY_HOME'])/'survey',
                                           layout='simulated'))
    for k, part in enumerate(parts):
        for row in rows_of(part, df, n) if left() > 0 else [{'error': f'not begun: {minutes} minutes are over'}]:
            row = {'part': part, 'device': NAME, 'torch': torch.__version__, 'error': None} | row
            results.keep(row, out, KEY, minutes=round((time.monotonic()-began)/60, 2))
            told = {k: round(v, 4) if isinstance(v, float) else v for k,
                    v in row.items() if v is not None and k not in ('device', 'torch')}
            print(f'{time.monotonic()-began:6.0f} s', told, flush=True)
            if left() < 0: break
        if parts[k+1:] and lost():      # the other parts in a process of their own
            more = ['--small']*small + ['--rows', *map(str, rows), '--out', str(out), '--minutes', str(left()/60)]
            os.execv(sys.executable, [sys.executable, __file__, '--parts', *parts[k+1:], *more])

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--parts', nargs='+', default=list(PARTS), choices=list(PARTS))
    ap.add_argument('--rows', type=int, nargs='+', default=range(len(STEPS)), help='which of the steps, in what order')
    ap.add_argument('--small', action='store_true', help='tiny sizes')
    ap.add_argument('--minutes', type=float, default=6)
    ap.add_argument('--out', type=Path, default='gpu')
    a = ap.parse_args()
    main(a.parts, a.small, a.minutes, a.out, a.rows)
