"""What weak labels bring where votes are few, and all votes at once: one network for two data sets, five folds.

    python benchmarks/few_labels.py ../shared/data/gz2_800 ../shared/data/kaggle_597 --weak ../shared/data/kaggle_20k

'weak labels first': a ResNet-18 learns the five agreed classes of galaxies that have no votes, once for all folds.
'all votes at once': it then learns both data sets together, each kind of label by outputs of its own; what a galaxy
has no votes for is masked. Fold k holds out fold k of both sets, from every stage; the galaxies with weak labels
share no sky with either. Nothing is chosen here: the recipe was fixed beforehand, the last epoch counts, and all is
scored with one view and with eight. A row a data set and fold goes into results/few_labels.json as soon as it is
there; what is there is not trained again, and an interrupted training goes on after its last checkpoint.
"""
import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault('GALAXY_HOME', str(Path(tempfile.gettempdir())/'galaxy_few_labels'))
import numpy as np
import torch
from safetensors.torch import save_file
from galaxy_nbdev import metrics, profile, results, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders, data_hash
from galaxy_nbdev.learner import galaxy_learner, train_run
from galaxy_nbdev.prediction import predict
from galaxy_nbdev.runs import read_history, run_folder
from galaxy_nbdev.schema import CLASSES
from galaxy_nbdev.splits import kfold_ids, split_ids
from galaxy_nbdev.votes import class_columns, mixed_catalogue, of_kind

WEAK = dict(epochs=5, lr=2e-3, bs=64, size=64, crop=85)     # 85 of 96 pixels are the 212 of 424 that the others show
VOTES = dict(epochs=60, lr=2e-3, bs=64, size=64, crop=212)
ARCH = 'galaxy_nbdev.resnet:galaxy_resnet'
RECIPES = ('all votes at once', 'weak labels first, all votes at once')

def weak_catalogue(root):
    "Galaxies with one agreed class instead of votes, and the columns of these classes."
    df = sources.catalogue(root)
    classes = class_columns(df, 'clean_class')
    out = df.join(classes)
    out.attrs = df.attrs | {'kind': 'agreed class'}
    return out, list(classes)

def weak_start(root, seed, bf16):
    "Weights that have learned the agreed classes, shared by all folds: their file, and what is known of them."
    df, vocab = weak_catalogue(root)
    words = f'{len(df)} galaxies of {df.attrs["name"]} with one of {len(vocab)} agreed classes'
    about = dict(pretrained_on=words, **WEAK, seed=seed, data=data_hash(df, vocab))
    file = profile.home()/'runs'/'few_labels'/f'weak-resnet18-s{seed}.safetensors'
    note = file.with_suffix('.json')
    if note.exists() and (known := json.loads(note.read_text())).items() >= about.items(): return file, known
    split = split_ids(df.galaxy_id, test=0, valid=.02)
    dls = GalaxyDataLoaders.from_catalogue(df, split, size=WEAK['size'], crop=WEAK['crop'], bs=WEAK['bs'], vocab=vocab)
    learn = galaxy_learner(dls, ARCH, loss='bce', seed=seed, bf16=bf16, depth=18)
    torch.manual_seed(seed)
    began = time.monotonic()
    with learn.no_bar(): learn.fit_one_cycle(WEAK['epochs'], WEAK['lr'])
    p, y = learn.get_preds()
    right = float((p.argmax(1) == y.argmax(1)).float().mean())
    known = about | {'minutes': round((time.monotonic()-began)/60, 2), 'right': right, 'stats': dls.stats}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in learn.model.state_dict().items()}, file)
    note.write_text(json.dumps(known, indent=1))
    return file, known

def scored(pred, df):
    "RMSE over all columns."
    p, y = metrics.paired_by_id(pred, df)
    return float(metrics.rmse(p, y))

def train(catalogues, fold, seed, start, bf16):
    "One network for all catalogues; a row for each."
    df = mixed_catalogue(catalogues)
    vocab = [c for c in df if c.partition('@')[0] in CLASSES]
    held = kfold_ids(df.galaxy_id) == fold
    file, known = start or (None, {})
    split = dict(size=VOTES['size'], crop=VOTES['crop'], bs=VOTES['bs'], vocab=vocab, stats=known.get('stats'))
    dls = GalaxyDataLoaders.from_catalogue(df, held, **split)
    more = dict(weights=str(file), pretrained_on=known['pretrained_on'], seen_votes='yes') if file else {}
    learn = galaxy_learner(dls, ARCH, seed=seed, bf16=bf16, depth=18, **more)
    name = 'resnet18-'+('weak-first-' if file else '')+'all-votes'
    train_run(learn, name, VOTES['epochs'], lr=VOTES['lr'], seed=seed)
    folder = run_folder(learn, name, seed)
    minutes = read_history(folder).seconds.sum()/60
    preds = {tta: predict(learn, df[held.to_numpy()], tta=tta) for tta in (None, 'dihedral8')}
    preds['dihedral8'].to_parquet(folder/'eight_views.parquet')
    parameters = sum(w.numel() for w in learn.model.parameters())
    for d in catalogues:
        test = d[d.galaxy_id.isin(held.index[held])]
        kind = None if d.attrs['kind'] == catalogues[0].attrs['kind'] else d.attrs['kind']
        own = {tta: of_kind(p[p.galaxy_id.isin(test.galaxy_id)], kind) for tta, p in preds.items()}
        mean = d[~d.galaxy_id.isin(test.galaxy_id)][CLASSES].mean()
        yield {'data': data_hash(d), 'name': d.attrs['name'], 'labels': d.attrs['kind'], 'split': f'k5f{fold}-s0',
               'fold': fold, 'seed': seed, 'recipe': RECIPES[bool(file)], 'kind': 'pretrained' if file else 'rung',
               'builds_on': RECIPES[0] if file else None, 'rung': 2 if file else 1, 'inside': None,
               'pretrained_on': known.get('pretrained_on'), 'trained_on': df.attrs['name'],
               'settings': VOTES | {'weak': WEAK if file else None}, 'epochs': VOTES['epochs'],
               'rmse_1': scored(own[None], test), 'rmse_8': scored(own['dihedral8'], test),
               'mean_predictor': float(metrics.rmse(np.tile(mean, (len(test), 1)), test[CLASSES])),
               'galaxies': len(test), 'outputs': len(CLASSES), 'parameters': parameters,
               'minutes': round(float(minutes), 2),
               'minutes_before': known.get('minutes', 0.), 'bf16': bf16, 'device': str(learn.dls.device)}

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('data', nargs='+')
    ap.add_argument('--weak', help='galaxies with agreed classes; without it, from nothing')
    ap.add_argument('--folds', type=int, nargs='+', default=range(5))
    ap.add_argument('--seed', type=int, default=0)
    ap.add_argument('--fp32', action='store_true', help='no bfloat16')
    a = ap.parse_args()
    catalogues = [sources.catalogue(d) for d in a.data]
    start = weak_start(a.weak, a.seed, not a.fp32) if a.weak else None
    if start: print(start[1], flush=True)
    for fold in a.folds:
        about = [dict(data=data_hash(d), recipe=RECIPES[bool(start)], fold=fold, seed=a.seed) for d in catalogues]
        if all(results.done(row, 'few_labels') for row in about): continue
        for row in train(catalogues, fold, a.seed, start, not a.fp32):
            results.keep(row, 'few_labels', ('data', 'labels', 'recipe', 'trained_on', 'fold', 'seed'))
            print(f'{row["name"]} fold {fold} seed {a.seed}  rmse {row["rmse_1"]:.4f}  '
                  f'eight views {row["rmse_8"]:.4f}', flush=True)
