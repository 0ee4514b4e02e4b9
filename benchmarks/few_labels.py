"""Few voted galaxies: what weak labels, and all votes at once, bring beside them. One network for two data sets, five folds.

    python benchmarks/few_labels.py ../shared/data/gz2_800 ../shared/data/kaggle_597 --weak ../shared/data/kaggle_20k

'weak labels first': a ResNet-18 learns the five agreed classes of galaxies that have no votes, once for all folds. 'all votes at
once': it then learns both data sets together, each kind of label by outputs of its own; what a galaxy has no votes for is masked.
Fold k holds out fold k of both sets, from every stage; the galaxies with weak labels share no sky with either. Nothing is chosen here:
the recipe was fixed beforehand, the last epoch counts, and all is scored with one view and with eight. A row a data set and fold goes into
results/few_labels.json as soon as it is there; an interrupted training goes on after its last checkpoint.
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
import pandas as pd
import torch
from safetensors.torch import save_file
from galaxy_nbdev import metrics, profile, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders, data_hash, kfold_ids, split_ids
from galaxy_nbdev.evaluation import predict
from galaxy_nbdev.learner import galaxy_learner, read_history, run_folder, train_run
from galaxy_nbdev.schema import CLASSES

RESULTS = Path(__file__).parents[1]/'results'/'few_labels.json'
WEAK = dict(epochs=5, lr=2e-3, bs=64, size=64, crop=85)     # 85 of 96 pixels are the 212 of 424 that the others show
VOTES = dict(epochs=60, lr=2e-3, bs=64, size=64, crop=212)
ARCH = 'galaxy_nbdev.resnet:galaxy_resnet'

def weak_catalogue(root):
    "Galaxies with one agreed class instead of votes: a column for each class, 1 or 0."
    shards = sorted(Path(root).glob('data/*.parquet'))
    found = [pd.read_parquet(f, columns=['id_str', 'clean_class']) for f in shards]
    path = [f'{f.resolve()}#{i}' for f, t in zip(shards, found) for i in range(len(t))]
    t = pd.concat(found, ignore_index=True)
    out = pd.get_dummies(t.clean_class).astype('float32').assign(galaxy_id=t.id_str.astype(str), path=path)
    out.attrs = {'name': Path(root).resolve().name, 'source': 'hf', 'kind': 'agreed class'}
    return out

def weak_start(root, seed, bf16):
    "Weights that have learned the agreed classes, made once and shared by all folds; their file, and what is known of them."
    df = weak_catalogue(root)
    vocab = [c for c in df if c not in ('galaxy_id', 'path')]
    about = dict(pretrained_on=f'{len(df)} galaxies of {df.attrs["name"]} with one of {len(vocab)} agreed classes', **WEAK, seed=seed, data=data_hash(df, vocab))
    file = profile.home()/'runs'/'few_labels'/f'weak-resnet18-s{seed}.safetensors'
    note = file.with_suffix('.json')
    if note.exists() and (known := json.loads(note.read_text())).items() >= about.items(): return file, known
    split = split_ids(df.galaxy_id, test=0, valid=.02)
    dls = GalaxyDataLoaders.from_catalogue(df, split, size=WEAK['size'], crop=WEAK['crop'], bs=WEAK['bs'], vocab=vocab)
    learn = galaxy_learner(dls, ARCH, loss='bce', seed=seed, bf16=bf16, depth=18)
    torch.manual_seed(seed)
    began = time.time()
    with learn.no_bar(): learn.fit_one_cycle(WEAK['epochs'], WEAK['lr'])
    p, y = learn.get_preds()
    known = about | {'minutes': round((time.time()-began)/60, 2), 'right': float((p.argmax(1) == y.argmax(1)).float().mean()), 'stats': dls.stats}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in learn.model.state_dict().items()}, file)
    note.write_text(json.dumps(known, indent=1))
    return file, known

def all_votes(catalogues):
    "Catalogues of different labels as one: the first keeps the names of its classes, the others' say their kind; NaN where a galaxy has none."
    first, *others = catalogues
    named = [first] + [df.rename(columns={c: f'{c}@{df.attrs["kind"]}' for c in CLASSES}) for df in others]
    out = pd.concat(named, ignore_index=True)
    if out.galaxy_id.duplicated().any(): raise ValueError(f'galaxy {out.galaxy_id[out.galaxy_id.duplicated()].iloc[0]} stands in two catalogues')
    out.attrs = {k: '+'.join(str(df.attrs[k]) for df in catalogues) for k in ('name', 'source', 'kind')}
    return out

def scored(pred, df):
    p, y = metrics.paired(pred, df)
    return metrics.rmse(p, y)

def train(catalogues, fold, seed, start, bf16):
    "One network for all catalogues; a row for each."
    df = all_votes(catalogues)
    kinds = dict.fromkeys(d.attrs['kind'] for d in catalogues)
    vocab = [c if i == 0 else f'{c}@{k}' for i, k in enumerate(kinds) for c in CLASSES]
    held = kfold_ids(df.galaxy_id) == fold
    file, known = start or (None, {})
    dls = GalaxyDataLoaders.from_catalogue(df, held, size=VOTES['size'], crop=VOTES['crop'], bs=VOTES['bs'], vocab=vocab, stats=known.get('stats'))
    more = dict(weights=str(file), pretrained_on=known['pretrained_on']) if file else {}
    learn = galaxy_learner(dls, ARCH, seed=seed, bf16=bf16, depth=18, **more)
    recipe = 'resnet18-'+('weak-first-' if file else '')+'all-votes'
    train_run(learn, recipe, VOTES['epochs'], lr=VOTES['lr'], seed=seed)
    folder = run_folder(learn, recipe, seed)
    minutes = read_history(folder).seconds.sum()/60
    preds = {tta: predict(learn, df[held.to_numpy()], tta=tta) for tta in (None, 'dihedral8')}
    preds['dihedral8'].to_parquet(folder/'eight_views.parquet')
    for i, d in enumerate(catalogues):
        test = d[d.galaxy_id.isin(held.index[held])]
        names = {c if i == 0 else f'{c}@{d.attrs["kind"]}': c for c in CLASSES}
        own = {tta: p[p.galaxy_id.isin(test.galaxy_id)][['galaxy_id', *names]].rename(columns=names) for tta, p in preds.items()}
        mean = d[~d.galaxy_id.isin(test.galaxy_id)][CLASSES].mean()
        yield {'data': data_hash(d), 'name': d.attrs['name'], 'labels': d.attrs['kind'], 'split': f'k5f{fold}-s0', 'fold': fold, 'seed': seed, 'recipe': recipe,
               'builds_on': known.get('pretrained_on'), 'trained_on': df.attrs['name'], 'settings': VOTES, 'epochs': VOTES['epochs'],
               'rmse_1': scored(own[None], test), 'rmse_8': scored(own['dihedral8'], test), 'galaxies': len(test), 'outputs': len(CLASSES),
               'parameters': sum(w.numel() for w in learn.model.parameters()), 'minutes': round(minutes, 2), 'minutes_before': known.get('minutes', 0.), 'bf16': bf16,
               'device': str(learn.dls.device), 'mean_predictor': metrics.rmse(np.tile(mean, (len(test), 1)), test[CLASSES])}

def rows(): return json.loads(RESULTS.read_text())['runs'] if RESULTS.exists() else []

def keep(row):
    "Add a row, in place of an earlier one of the same recipe, data set and fold."
    where = profile.provenance()
    row |= {k: where[k] for k in ('version', 'git', 'threads', 'load', 'date')}
    place = lambda r: tuple(r[k] for k in ('data', 'labels', 'recipe', 'trained_on', 'fold', 'seed'))
    runs = sorted([r for r in rows() if place(r) != place(row)]+[row], key=place)
    new = RESULTS.with_suffix('.new')
    new.write_text(json.dumps({'provenance': profile.provenance(torch=torch.__version__), 'runs': runs}, indent=1))
    os.replace(new, RESULTS)

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
        for row in train(catalogues, fold, a.seed, start, not a.fp32):
            keep(row)
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items() if k not in ('settings', 'builds_on')}, flush=True)
