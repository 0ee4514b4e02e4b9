"""Loading: galaxies a second from the image store against fastai's plain DataBlock, and what a training step costs
beside a bare loop.

    python benchmarks/loaders.py ../shared/data/gz2_800

Both sides run in turn, five times, over one shuffled epoch after a first one that warms the file cache; what counts
is the normalised float batch that a network receives. Writes results/loaders.json. Run it alone on the machine.
"""
import argparse, statistics, sys, time
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
import fastai.callback.progress, fastai.callback.schedule    # they give Learner no_bar and fit_one_cycle
import numpy as np, pandas as pd, torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from fastai.data.block import DataBlock, RegressionBlock
from fastai.data.transforms import ColReader, IndexSplitter, Normalize
from fastai.vision.augment import CropPad, Resize
from fastai.torch_core import TensorImage
from fastai.vision.data import ImageBlock
import rival
from timing import machine, medians
from galaxy_nbdev import results, sources
from galaxy_nbdev.augment import GalaxyAugment
from galaxy_nbdev.dataloaders import GalaxyDataLoaders
from galaxy_nbdev.learner import galaxy_learner
from galaxy_nbdev.schema import CLASSES

def many(df, n):
    "At least n galaxies: the catalogue again and again, under new ids."
    copies = -(-n//len(df))
    out = pd.concat([df.assign(galaxy_id=df.galaxy_id+f'-{i}') for i in range(copies)], ignore_index=True)
    out.attrs = df.attrs
    return out

def plain_fastai(df, size, bs):
    "fastai's own way: open a JPEG, crop, resize, to a normalised float batch."
    block = DataBlock((ImageBlock, RegressionBlock(n_out=len(CLASSES))), get_x=ColReader('path'),
                      get_y=ColReader(CLASSES), splitter=IndexSplitter([0]),
                      item_tfms=[CropPad(212), Resize(size)],
                      batch_tfms=Normalize.from_stats([.1]*3, [.2]*3, cuda=False))
    return block.dataloaders(df, bs=bs, num_workers=2).train

def rate(dl):
    "Galaxies a second over one epoch."
    began, n = time.perf_counter(), 0
    for x, _ in dl: n += len(x)
    return n/(time.perf_counter()-began)

def loading(df, sizes, bs=64):
    "Rates of both sides and their ratio, by size."
    rows = []
    for size in sizes:
        ours = {a: GalaxyDataLoaders.from_catalogue(many(df, 8000 if size == 64 else 1600), source='store', size=size,
                                                    bs=bs, augment=a).train for a in (False, True)}
        theirs = plain_fastai(df.head(800), size, bs)
        m = medians({'fastai': lambda: rate(theirs), 'store': lambda: rate(ours[False]),
                     'store, augmented': lambda: rate(ours[True])})
        rows.append({'size': size} | m | {'ratio': m['store']/m['fastai'],
                                          'ratio augmented': m['store, augmented']/m['fastai']})
        print(rows[-1], flush=True)
    return rows

def bare_epoch(net, opt, rate_schedule, x, y, augment, stats, bs):
    "Seconds for one epoch of a loop that anybody writes over tensors in memory."
    mean, std = (torch.tensor(s).view(1, 3, 1, 1) for s in stats)
    net.train()
    began = time.perf_counter()
    for batch in torch.randperm(len(x)).split(bs):
        xb = augment(x[batch].float().div_(255)).sub_(mean).div_(std)
        loss = F.mse_loss(net(xb).sigmoid(), y[batch])
        loss.backward()
        opt.step()
        opt.zero_grad()
        rate_schedule.step()
    return time.perf_counter()-began

def ours_in_a_loop(x):
    "Our augmentation without fastai around it."
    return OURS(TensorImage(x), split_idx=0).as_subclass(torch.Tensor)

OURS = GalaxyAugment()

class Clock(Callback):
    "Seconds of an epoch's training part."
    order = 1000
    def before_train(self): self.began = time.perf_counter()
    def after_train(self): self.spent = time.perf_counter()-self.began

def training_seconds(learn):
    "One epoch by fit_one_cycle."
    clock = Clock()
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 2e-3, cbs=clock)
    return clock.spent

def step_cost(df, arch, bs=64, own_parts=True, **settings):
    """Seconds of training for one epoch: ours through fit_one_cycle, a bare loop's with torch's own AdamW and affine
    grid (`bare`), and a bare loop's with our optimiser and augmentation (`bare, our parts`)."""
    dls = GalaxyDataLoaders.from_catalogue(many(df, 100*bs*5//4+bs), source='store', bs=bs)
    ours = galaxy_learner(dls, arch, **settings)
    n = len(dls.train)
    x = torch.from_numpy(np.array(dls.train.store.images[dls.train.rows])).permute(0, 3, 1, 2)
    bare = galaxy_learner(dls, arch, **settings).model
    fit = lambda: training_seconds(ours)
    def loop(augment, **how):
        opt = torch.optim.AdamW(bare.parameters(), 2e-3, weight_decay=.05, **how)
        return bare_epoch(bare, opt, torch.optim.lr_scheduler.OneCycleLR(opt, 2e-3, n), x, dls.train.targets[0],
                          augment, dls.stats, bs)
    m = medians({'ours': fit, 'bare': lambda: loop(rival.augment)}
                | ({'bare, our parts': lambda: loop(ours_in_a_loop, fused=True)} if own_parts else {}))
    row = {'arch': arch, 'batches': n} | m | {'ratio': m['ours']/m['bare'],
                                              'ratio to our parts': m['ours']/m['bare, our parts'] if own_parts
                                              else None, 'loading share': n*bs/loading_rate(dls)/m['ours']}
    print(row, flush=True)
    return row

def loading_rate(dls):
    "Median galaxies a second of these loaders without a network."
    return statistics.median(rate(dls.train) for _ in range(3))

def augmentation_share(step_seconds, batches, size=64, bs=64):
    "Augmentation of a batch against a training step."
    x, aug = TensorImage(torch.rand(bs, size, size, 3).permute(0, 3, 1, 2)), GalaxyAugment()
    def once():
        began = time.perf_counter()
        aug(x, split_idx=0)
        return time.perf_counter()-began
    return statistics.median(once() for _ in range(25))/(step_seconds/batches)

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('data')
    ap.add_argument('--sizes', type=int, nargs='+', default=[64, 128, 224])
    ap.add_argument('--out', type=Path, default='loaders')
    a = ap.parse_args()
    df, before = sources.catalogue(a.data), machine()
    keep = lambda part, row, key, **more: results.keep({'part': part, 'galaxies': len(df)} | before | row, a.out,
                                                       ('part', *key), **more)
    for row in loading(df, a.sizes): keep('loading', row, ['size'])
    keep('step', step_cost(df, 'galaxy_nbdev.cnn:galaxy_cnn'), ['arch'])
    resnet = step_cost(df, 'galaxy_nbdev.resnet:galaxy_resnet', own_parts=False, depth=18)
    share = augmentation_share(resnet['ours'], resnet['batches'])
    keep('step', resnet, ['arch'], **{'augmentation share of a ResNet-18 step': share})
    print('augmentation of a batch over a ResNet-18 step', round(share, 3))
