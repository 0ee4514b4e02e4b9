"""The rival: what a researcher writes in an hour with plain PyTorch, written anew on the same galaxies and labels.

    python benchmarks/rival.py ../shared/data/gz2_800 --arch cnn --folds 0

One network, all 37 fractions, the central 212 pixels at 64, AdamW with a one-cycle rate, the same augmentation; RMSE
of the last epoch on the held-out fold with one view and with eight. Adds its rows to results/rival.json, where the
table of models finds them. A catalogue without votes (Kaggle's) has no noise floor; its column is then empty.
"""
import argparse, math, sys, time
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1]))
import numpy as np, torch
import torch.nn.functional as F
from torch import nn
from galaxy_nbdev import images, results, sources
from galaxy_nbdev.dataloaders import data_hash
from galaxy_nbdev.schema import CLASSES, noise_floor
from galaxy_nbdev.splits import kfold_ids

RECIPES = {'cnn': dict(epochs=200, lr=3e-3), 'resnet18': dict(epochs=120, lr=2e-3)}
KEY = ('data', 'split', 'recipe', 'epochs', 'seed', 'labels')

def network(arch):
    "Logits of 37 fractions."
    if arch == 'resnet18':
        from torchvision.models import resnet18
        net = resnet18()
        net.fc = nn.Linear(512, len(CLASSES))
        return net
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, padding=3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, padding=3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(4624, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, len(CLASSES)))

def augment(x):
    "Turn, mirror, zoom 0.8-1.2, shift 4 %, brighten 0.8-1.2."
    n = len(x)
    angle, zoom, mirror = 2*math.pi*torch.rand(n), 1/(.8+.4*torch.rand(n)), torch.where(torch.rand(n) < .5, 1., -1.)
    rows = torch.stack([zoom*mirror*angle.cos(), -zoom*angle.sin(), zoom*mirror*angle.sin(), zoom*angle.cos()],
                       1).view(n, 2, 2)
    maps = torch.cat([rows, .08*(torch.rand(n, 2, 1)-.5)], 2).to(x.device)
    x = F.grid_sample(x, F.affine_grid(maps, x.shape, align_corners=False), padding_mode='reflection',
                      align_corners=False)
    return x*(.8+.4*torch.rand(n, 1, 1, 1)).to(x.device)

def load(df, crop=212, size=64):
    "All images, decoded in full, and all labels."
    x = np.stack([np.asarray(images.crop_resize(images.open_image(p), crop, size)) for p in df.path])
    return torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(df[CLASSES].to_numpy('float32', copy=True))

def train(arch, x, y, epochs, lr, seed=0, plain=False, bf16=False, bs=64):
    "The trained network and the minutes it took, on the device of the pictures."
    torch.manual_seed(seed)
    np.random.seed(seed)
    net = network(arch).to(x.device)
    if bf16: net = net.to(memory_format=torch.channels_last)
    opt = torch.optim.AdamW(net.parameters(), lr, weight_decay=.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(opt, lr, epochs*math.ceil(len(x)/bs))
    began = time.monotonic()
    for _ in range(epochs):
        net.train()
        for batch in torch.randperm(len(x)).to(x.device).split(bs):
            xb = x[batch].float()/255
            xb = xb if plain else augment(xb)
            if bf16: xb = xb.contiguous(memory_format=torch.channels_last)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16): out = net(xb)
            F.mse_loss(out.float().sigmoid(), y[batch]).backward()
            opt.step()
            opt.zero_grad()
            rate.step()
    return net.eval(), (time.monotonic()-began)/60

@torch.no_grad()
def predict(net, x):
    "Eight views of every galaxy; the first is the image as it is."
    x = x.float()/255
    turns = [torch.rot90(x, k, (2, 3)) for k in range(4)]
    return torch.stack([net(v).sigmoid() for v in [*turns, *(t.flip(3) for t in turns)]])

def over_floor(rmse, df):
    "RMSE over the volunteers' noise floor; None where the catalogue has no votes."
    return rmse/noise_floor(df) if 'n_votes' in df or 'Total1' in df else None

def run(df, x, y, arch, fold, seed=0, plain=False, bf16=False, epochs=None):
    "One fold as a row."
    held = torch.tensor((kfold_ids(df.galaxy_id, 5, 0) == fold).to_numpy())
    recipe = RECIPES[arch] | ({'epochs': epochs} if epochs else {})
    net, minutes = train(arch, x[~held], y[~held], **recipe, seed=seed, plain=plain, bf16=bf16)
    views, truth = predict(net, x[held]), y[held]
    rmse = lambda p: float((p-truth).square().mean().sqrt())
    return {'data': data_hash(df), 'labels': df.attrs['kind'],
            'recipe': f'plain PyTorch {arch}{" plain" if plain else ""}', 'kind': 'reference',
            'builds_on': None, 'epochs': recipe['epochs'], 'split': f'k5f{fold}-s0', 'fold': fold, 'seed': seed,
            'rmse_1': rmse(views[0]), 'rmse_8': rmse(views.mean(0)),
            'over_floor': over_floor(rmse(views[0]), df[held.numpy()]),
            'mae': float((views[0]-truth).abs().mean()), 'parameters': sum(w.numel() for w in net.parameters()),
            'outputs': len(CLASSES),
            'galaxies': len(truth), 'minutes': round(minutes, 2), 'device': 'cpu', 'bf16': bf16,
            'mean_predictor': rmse(y[~held].mean(0))}

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('data')
    ap.add_argument('--arch', default='cnn', choices=RECIPES)
    ap.add_argument('--folds', type=int, nargs='+', default=[0])
    ap.add_argument('--seed', type=int, default=0)
    ap.add_argument('--epochs', type=int)
    ap.add_argument('--plain', action='store_true', help='no augmentation')
    ap.add_argument('--bf16', action='store_true')
    ap.add_argument('--out', type=Path, default='rival', help='another file of results')
    a = ap.parse_args()
    df = sources.catalogue(a.data)
    x, y = load(df)
    for fold in a.folds:
        row = results.keep(run(df, x, y, a.arch, fold, a.seed, a.plain, a.bf16, a.epochs), a.out, KEY)
        print(' '.join(f'{k} {v:.4f}' if isinstance(v, float) else f'{k} {v}' for k, v in row.items()))
