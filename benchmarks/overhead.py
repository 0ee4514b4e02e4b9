"""What a step costs beside its network: operations and microseconds of ours over those of a bare loop.

    python benchmarks/overhead.py               # on any machine; writes results/overhead.json

A card waits for Python to start the operations of a small step. So their number counts, and the time between them.
Both can be measured on a CPU: with a network of one convolution, pictures of 8 px, four in a batch, and one thread,
hardly any time is left for computing. Our loaders act as on a card: pixels and labels are resident, and as many
batches are prepared together. Sides take turns, epoch by epoch, and medians count, of the process's own CPU time:
other work on the machine hardly changes it.

    step        of a training by fit_one_cycle, beside the bare loop of benchmarks/gpu.py; by network, in float32 and
                in bfloat16. `ops`: operations that compute something, by step, all that an epoch does divided by its
                steps. `waits`: operations of an epoch that read a number from the device. `us`: CPU microseconds a step
    predict     of a batch, beside bare forward passes and one stack, with one view and with eight
"""
import argparse, os, sys, time
os.environ['OMP_NUM_THREADS'] = '1'
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
import gpu
import torch
from fastai.callback.core import Callback
from torch import nn
import loaders
from timing import machine, medians
from galaxy_nbdev import images, results, sources
from galaxy_nbdev.learner import galaxy_learner
from galaxy_nbdev.prediction import dihedral8, predict_views
from galaxy_nbdev.simulate import simulate_survey
from galaxy_nbdev.steps import counted

CPU, TOGETHER = torch.device('cpu'), 20     # batches of 64 galaxies at 64 px that fit into 64 MB

def tiny(n_out):
    "A network of next to nothing."
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(4, n_out))

NETWORKS = {'one convolution': (tiny, {}, 8, 4), 'course CNN': (*gpu.NETWORKS['course CNN'], 32, 4),
            'ResNet-18': (*gpu.NETWORKS['ResNet-18'], 32, 4)}

class Count(Callback):
    "The operations of an epoch's training part."
    order = 2000
    def before_train(self):
        self.mode = counted()
        self.mode.__enter__()
    def after_train(self): self.mode.__exit__(None, None, None)

class Clock(Callback):
    "CPU seconds of an epoch's training part."
    order = 2000
    def before_train(self): self.began = time.process_time()
    def after_train(self): self.spent = time.process_time()-self.began

def fit(learn, callback):
    "One epoch by fit_one_cycle, and the callback that watched it."
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 2e-3, cbs=callback)
    return callback

def spent(f):
    "CPU seconds of a call."
    began = time.process_time()
    f()
    return time.process_time()-began

def resident(store):
    "A store's pixels, where a card would have them."
    vars(store).setdefault('on_devices', {})[CPU] = torch.from_numpy(store.images[:].copy())

def step(df, network, bf16, batches, rounds):
    arch, settings, size, bs = NETWORKS[network]
    dls = gpu.dls_of(df, size, bs, batches)
    resident(dls.train.store)
    dls.train.together = TOGETHER
    learn, loop = galaxy_learner(dls, arch, bf16=bf16, **settings), gpu.bare(dls, arch, settings, bf16)
    both = {'ours': lambda: fit(learn, Clock()).spent, 'bare': lambda: spent(loop)}
    took, n, count = medians(both, rounds), len(dls.train), fit(learn, Count())
    with counted() as of_bare: loop()
    ops, bare_ops = count.mode.total/n, of_bare.total/n
    return dict(network=network, bf16=bf16, size=size, bs=bs, ops=ops, bare_ops=bare_ops, ops_ratio=ops/bare_ops,
                waits=sum(count.mode.waits.values()), us=took['ours']/n*1e6, bare_us=took['bare']/n*1e6,
                ratio=took['ours']/took['bare'])

@torch.no_grad()
def forward(learn, dls, x, views, batches):
    "Bare forward passes of as many views."
    make = dihedral8 if views == 8 else lambda x: [x]
    return torch.cat([torch.stack([learn.model(v).sigmoid() for v in make(x)]) for _ in range(batches)], 1)

def predicting(df, views, batches, rounds):
    arch, settings, size, bs = NETWORKS['one convolution']
    dls = gpu.dls_of(df, size, bs, batches)
    learn, many = galaxy_learner(dls, arch, **settings), loaders.many(df, bs*batches).head(bs*batches)
    learn.model.eval()
    store, x = images.build_store(many, size=size), torch.rand(bs, 3, size, size)
    resident(store)
    tta = 'dihedral8' if views == 8 else None
    ours, bare = lambda: predict_views(learn, many, tta, bs, store), lambda: forward(learn, dls, x, views, batches)
    took = medians({'ours': lambda: spent(ours), 'bare': lambda: spent(bare)}, rounds)
    with counted() as count: ours()
    with counted() as of_bare: bare()
    ops, bare_ops = count.total/batches, of_bare.total/batches
    return dict(network='one convolution', views=views, size=size, bs=bs, ops=ops, bare_ops=bare_ops,
                ops_ratio=ops/bare_ops, waits=sum(count.waits.values()), us=took['ours']/batches*1e6,
                bare_us=took['bare']/batches*1e6, ratio=took['ours']/took['bare'])

def main(networks, batches, rounds, out):
    torch.set_num_threads(1)
    home = Path(os.environ['GALAXY_HOME'])
    df = sources.catalogue(simulate_survey(200, 1, home/'survey', layout='simulated'))
    before = machine()
    def keep(part, row):
        results.keep({'part': part} | before | row, out, ('part', 'network', 'bf16', 'views'))
        print(part, {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    for network in networks:
        for bf16 in (False, True): keep('step', step(df, network, bf16, batches, rounds))
    for views in (1, 8): keep('predict', predicting(df, views, batches, rounds))

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--networks', nargs='+', default=list(NETWORKS)[:2], choices=list(NETWORKS))
    ap.add_argument('--batches', type=int, default=100, help='in an epoch')
    ap.add_argument('--rounds', type=int, default=9, help='epochs of each side')
    ap.add_argument('--out', type=Path, default='overhead')
    a = ap.parse_args()
    main(a.networks, a.batches, a.rounds, a.out)
