"""Several small networks trained side by side, one for each fold: what few_labels.py does its trainings with.

A small network on few pictures leaves a card waiting for the next instruction. So the folds of a recipe are trained
in step: pictures and targets lie on the device, a step of all folds is recorded once as a CUDA graph, each fold on a
stream of its own, and then replayed. On a CPU, or where the card does not take the recording, the same step is called.
"""
import gc, math
from contextlib import nullcontext
from functools import partial
import numpy as np, torch
import torch.nn.functional as F
from galaxy_nbdev.augment import sampling_grid
from galaxy_nbdev.cnn import galaxy_cnn
from galaxy_nbdev.encoders import galaxy_encoder
from galaxy_nbdev.losses import known_mean
from galaxy_nbdev.resnet import galaxy_resnet
from galaxy_nbdev.schema import CLASSES
from galaxy_nbdev.vit import galaxy_cct, galaxy_cvt, galaxy_vit

AGREED = ('completely round smooth', 'in-between smooth', 'cigar-shaped smooth', 'edge-on disk', 'spiral')
VOTED = 2*len(CLASSES)          # outputs for the two kinds of vote fractions; after them one for each agreed class
OUTPUTS = VOTED+len(AGREED)
ARCHS = {
    'cnn': lambda pretrained, size: galaxy_cnn(OUTPUTS, size),
    'resnet18': lambda pretrained, size: galaxy_resnet(18, OUTPUTS),
    'lite2': lambda pretrained, size: galaxy_encoder('EfficientNetLite2', OUTPUTS, pretrained=pretrained),
    'vit': lambda pretrained, size: galaxy_vit(OUTPUTS, size=size),
    'cct': lambda pretrained, size: galaxy_cct(OUTPUTS, size=size),
    'cvt': lambda pretrained, size: galaxy_cvt(OUTPUTS)}
WEIGHT_DECAY = .05

def network(arch, size, start, seed):
    "A network with its first weights: None (drawn), 'imagenet', or a state dict."
    torch.manual_seed(seed)
    net = ARCHS[arch](start == 'imagenet', size)
    if isinstance(start, dict): net.load_state_dict(start)
    return net

class Stream:
    """Where a share of each batch comes from: pictures (n, 3, side, side) uint8, targets (n, outputs) with NaN where
    unknown, weights of the entries, lowest fractions that are believed; `rows` of each network to draw from."""
    def __init__(self, x, y, rows, bs, weight=None, low=None):
        self.x, self.bs, self.rows = x, bs, rows
        each = lambda t: t if isinstance(t, (list, tuple)) else [t]*len(rows)
        self.y, self.weight, self.low = each(y), each(weight), each(low)

    def draw(self, steps, seed, device):
        "The rows of every step: whole passes, each in an order of its own."
        self.order = []
        for k, rows in enumerate(self.rows):
            g = torch.Generator().manual_seed(1000*seed+k)
            passes = math.ceil(steps*self.bs/len(rows))
            every = torch.cat([torch.as_tensor(rows)[torch.randperm(len(rows), generator=g)] for _ in range(passes)])
            self.order.append(every[:steps*self.bs].view(steps, self.bs).to(device))

def one_cycle(steps, lr, warm=.25):
    "The rate of every step: up from a 25th, down to nothing, each along a cosine."
    up = int(steps*warm)
    rise = lr*(1/25+(1-1/25)*(1-np.cos(np.pi*np.arange(up)/max(1, up)))/2)
    fall = lr*(1+np.cos(np.pi*np.arange(steps-up)/max(1, steps-up)))/2
    return torch.tensor(np.concatenate([rise, fall]), dtype=torch.float32)

def augment(x, size, margin=1.):
    """Turned, mirrored, zoomed, shifted and brightened like `GalaxyAugment`, drawn on the device; `margin`: how many
    times wider the picture is than the part that is wanted."""
    n, u = len(x), lambda *shape, low, high: torch.rand(*shape, device=x.device)*(high-low)+low
    angle, mirror = u(n, low=0, high=2*math.pi), torch.where(u(n, low=0, high=1) < .5, 1., -1.)
    scale = 1/u(n, low=.8, high=1.2)
    rows = [torch.stack([mirror*angle.cos(), -angle.sin()], 1), torch.stack([mirror*angle.sin(), angle.cos()], 1)]
    maps = torch.cat([scale[:, None, None]*torch.stack(rows, 1), u(n, 2, 1, low=-.04, high=.04)], 2)/margin
    x = F.grid_sample(x, sampling_grid(maps, size, size), padding_mode='reflection', align_corners=False)
    return x*u(n, 1, 1, 1, low=.8, high=1.2)

def seen(x):
    "Pictures in [0, 1] as the networks take them."
    return ((x-.5)/.5).contiguous(memory_format=torch.channels_last)

def coral(source, target):
    "Distance of two sets of features by their covariances, relative to the target's (Sun & Saenko 2016)."
    centred = [f.float()-f.float().mean(0) for f in (source, target)]
    both = [f.T@f/(len(f)-1) for f in centred]
    return (both[0]-both[1]).square().sum()/both[1].detach().square().sum().clamp(min=1e-9)

def loss_of(out, y, weight, low):
    "Squared errors of fractions, cross-entropy of agreed classes, and what falls below the lowest believed fraction."
    known, y = ~y.isnan(), y.nan_to_num()
    p = out.sigmoid()
    votes = known_mean((p-y)[:, :VOTED].square(), (known*weight)[:, :VOTED])
    classes = F.binary_cross_entropy_with_logits(out[:, VOTED:], y[:, VOTED:], reduction='none')
    return (votes+.05*known_mean(classes, known[:, VOTED:].float())
            + (low-p).clamp(min=0).square().sum()/(low > 0).sum().clamp(min=1))

class Gang:
    "Networks that are trained in step, each on its own rows."
    def __init__(self, nets, streams, steps, lr, size, device, seed=0, margin=1., pull=0.):
        self.nets = [n.to(device, memory_format=torch.channels_last).train() for n in nets]
        self.streams, self.steps, self.size, self.margin, self.pull = streams, steps, size, margin, pull
        self.device, self.card = device, device.type == 'cuda'
        for s in streams: s.draw(steps, seed, device)
        self.rates, self.lr = one_cycle(steps, lr).to(device), torch.tensor(lr, device=device)
        self.step = torch.zeros(1, dtype=torch.long, device=device)
        self.losses = torch.zeros(len(nets), device=device)
        how = dict(fused=True, capturable=True) if self.card else {}
        self.opts = [torch.optim.AdamW(n.parameters(), self.lr, weight_decay=WEIGHT_DECAY, **how) for n in self.nets]
        for group in (g for o in self.opts for g in o.param_groups): group['lr'] = self.lr     # the one that is changed

    def _batch(self, k):
        "Pictures, targets, weights and lowest fractions of the next batch of network `k`."
        parts = []
        for s in self.streams:
            rows = s.order[k].index_select(0, self.step)[0]
            take = lambda t, empty: torch.full((len(rows), OUTPUTS), empty, device=self.device) if t is None \
                else t.index_select(0, rows)
            parts.append((s.x.index_select(0, rows), take(s.y[k], math.nan), take(s.weight[k], 1.),
                          take(s.low[k], 0.)))
        return [torch.cat(p) for p in zip(*parts)]

    def _train(self, k):
        "A step of network `k`."
        x, y, weight, low = self._batch(k)
        net = self.nets[k]
        x = seen(augment(x.float()/255, self.size, self.margin))
        self.opts[k].zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16):
            if self.pull:
                features = net.forward_head(net.forward_features(x), pre_logits=True)
                out = net.get_classifier()(features)
            else: out = net(x)
        loss = loss_of(out.float(), y, weight, low)
        if self.pull:
            n = self.streams[0].bs
            loss = loss+self.pull*coral(features[:n], features[n:])
        loss.backward()
        self.opts[k].step()
        self.losses[k] += loss.detach()

    def _all(self, streams=None):
        "A step of all networks."
        self.lr.copy_(self.rates.index_select(0, self.step)[0])
        here = torch.cuda.current_stream() if streams else None
        for k in range(len(self.nets)):
            if streams: streams[k].wait_stream(here)
            with torch.cuda.stream(streams[k]) if streams else nullcontext(): self._train(k)
        for s in streams or (): here.wait_stream(s)
        self.step += 1

    def _recorded(self, several):
        "The step as a graph, with everything as it was before."
        before = [{k: v.clone() for k, v in n.state_dict().items()} for n in self.nets]
        streams = [torch.cuda.Stream() for _ in self.nets] if several else None
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3): self._all(streams)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        for opt in self.opts: opt.zero_grad(set_to_none=True)       # gradients are laid out anew, in the graph's memory
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side, capture_error_mode='thread_local'): self._all(streams)
        for net, state, opt in zip(self.nets, before, self.opts):
            net.load_state_dict(state)          # copies in place
            for v in (v for s in opt.state.values() for v in s.values() if torch.is_tensor(v)): v.zero_()
        self.step.zero_()
        self.losses.zero_()
        return graph

    def fit(self, graph='none'):
        "Train to the end; `graph`: 'none', 'one stream' or 'a stream each'. The mean loss of each network."
        if self.card and graph != 'none':
            recorded = self._recorded(graph == 'a stream each')
            for _ in range(self.steps): recorded.replay()
            torch.cuda.synchronize()
            del recorded
        else:
            for _ in range(self.steps): self._all()
        losses = (self.losses/self.steps).tolist()
        if not np.isfinite(losses).all(): raise FloatingPointError(f'losses {losses}')
        return losses

def train(nets, streams, steps, lr, size, device, graph='none', together=5, **how):
    "Networks trained, `together` at a time, and their mean losses."
    losses = []
    for i in range(0, len(nets), together):
        part = [Stream(s.x, s.y[i:i+together], s.rows[i:i+together], s.bs, s.weight[i:i+together],
                       s.low[i:i+together]) for s in streams]
        gang = Gang(nets[i:i+together], part, steps, lr, size, device, **how)
        losses += gang.fit(graph)
        del gang, part
        gc.collect()
        if device.type == 'cuda': torch.cuda.empty_cache()
    return losses

VIEWS = [partial(lambda x, k, flip: torch.rot90(x.flip(3) if flip else x, k, (2, 3)), k=k, flip=flip)
         for flip in (False, True) for k in range(4)]

@torch.no_grad()
def answers(net, x, views=8, bs=256, fast=False):
    "Fractions by each view, (views, n, outputs) float32; `fast`: in bfloat16."
    net.eval()
    device = next(net.parameters()).device
    def one(batch):
        batch = batch.float()/255
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            return torch.stack([net(seen(v(batch))).float().sigmoid() for v in VIEWS[:views]])
    return torch.cat([one(b) for b in x.split(bs)], 1)

@torch.no_grad()
def target_statistics(net, x, bs=256):
    "Batch statistics of other pictures in place of those of the training (Li et al. 2016); the same network."
    norms = [m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None           # a plain mean over the batches
    net.train()
    for b in x.split(bs):
        if len(b) > 1: net(seen(b.float()/255))
    for m, before in zip(norms, momenta): m.momentum = before
    return net.eval()
