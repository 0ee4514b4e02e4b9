"""How much does another galaxy teach? RMSE against the number of training galaxies, on one held-out fold, simulated and real.

    python benchmarks/learning_curve.py                     # 4,000 simulated galaxies, course CNN
    python benchmarks/learning_curve.py --data ../shared/data/gz2_800 --kind weighted
    python benchmarks/learning_curve.py --arch galaxy_nbdev.resnet:galaxy_resnet --epochs 30 --seeds 0 1 2

Fold 0 of five is held out; of the others a quarter, a half and all are trained on, each seed with its own choice of galaxies, and always for the same number
of steps, so that fewer galaxies are seen more often. Every point goes to results/learning_curve.json as it ends; points that are there are not run again.
"""
import argparse, json, os, sys, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]; sys.path.insert(0, str(ROOT))
from galaxy_nbdev import profile, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders, data_hash, kfold_ids, split_ids
from galaxy_nbdev.evaluation import predict, score
from galaxy_nbdev.learner import galaxy_learner, seed_everything

FILE = ROOT/'results'/'learning_curve.json'

def point(df, arch, share, seed, epochs, size, lr):
    "Train on a share of the galaxies that are not held out; the score on those that are."
    held_out = kfold_ids(df.galaxy_id) == 0
    rest = held_out.index[~held_out]
    order = split_ids(rest, test=0, valid=1-share, seed=100+seed) if share < 1 else None
    chosen = rest if order is None else order.index[order == 'train']
    part = df[df.galaxy_id.isin(set(chosen) | set(held_out.index[held_out]))].reset_index(drop=True); part.attrs = df.attrs
    dls = GalaxyDataLoaders.from_catalogue(part, held_out[part.galaxy_id], size=size, bs=min(64, len(chosen)))
    learn = galaxy_learner(dls, arch, seed=seed)
    seed_everything(seed, dls)
    start, epochs = time.time(), max(1, round(epochs/share))
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, lr)
    test = df[df.galaxy_id.isin(held_out.index[held_out])]; test.attrs = df.attrs
    s = score(predict(learn, test, 'dihedral8'), test)
    return dict(n_train=len(chosen), n_test=len(test), epochs=epochs, rmse=round(s.overall.rmse, 5), low=round(s.intervals.low.rmse, 5), high=round(s.intervals.high.rmse, 5),
                over_floor=round(float(s.overall.over_floor), 4), outputs=int(s.overall.outputs), seconds=round(time.time()-start, 1))

def save(points):
    "Write beside and rename."
    FILE.parent.mkdir(exist_ok=True); part = FILE.with_suffix('.part')
    part.write_text(json.dumps({'points': points} | profile.provenance(), indent=1)+'\n'); os.replace(part, FILE)

def main(data, kind, galaxies, arch, shares, seeds, epochs, size, lr):
    df = sources.catalogue(data, kind=kind, n=galaxies if data == 'simulated' else None)
    points = json.loads(FILE.read_text())['points'] if FILE.exists() else []
    for seed in seeds:
        for share in shares:
            key = dict(data=df.attrs['name'].rsplit('-', 1)[0] if data == 'simulated' else df.attrs['name'], kind=df.attrs['kind'], hash=data_hash(df), arch=arch, share=share, seed=seed, size=size, lr=lr, full_epochs=epochs)
            if any(key.items() <= p.items() for p in points): continue
            points.append(key | point(df, arch, share, seed, epochs, size, lr)); save(points)
            print('{data}, {kind} labels, seed {seed}: {n_train} galaxies, RMSE {rmse} ({low} to {high}), {seconds} s'.format(**points[-1]), flush=True)

if __name__ == '__main__':
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--data', default='simulated'); a.add_argument('--kind'); a.add_argument('--galaxies', type=int, default=4000)
    a.add_argument('--arch', default='galaxy_nbdev.cnn:galaxy_cnn'); a.add_argument('--shares', type=float, nargs='+', default=[.25, .5, 1.]); a.add_argument('--seeds', type=int, nargs='+', default=[0])
    a.add_argument('--epochs', type=int, default=12); a.add_argument('--size', type=int, default=64); a.add_argument('--lr', type=float, default=3e-3)
    main(**vars(a.parse_args()))
