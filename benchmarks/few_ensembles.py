"""Several networks together: what their means score, from the predictions that few_labels.py left.

    python benchmarks/few_ensembles.py ../shared/data few_predictions.parquet

Each network answered galaxies of a fold that it had not seen. A plain mean weighs its members alike. The weights of
a stacked one are chosen on the *other* data set: those for fold k of gz2_800 by fold k of kaggle_597, and the other
way round. No network of fold k has seen a vote of either, so nothing that is scored takes part in the choice. An
ensemble whose members are not all there is left out. A row a data set and fold goes into results/few_labels.json.
"""
import argparse, sys
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
import numpy as np, pandas as pd
import few_labels as few
from galaxy_nbdev import metrics, results, sources
from galaxy_nbdev.dataloaders import data_hash
from galaxy_nbdev.schema import CLASSES

ALONE = (few.NOTHING, few.LITE_128, few.LITE_224)
TOGETHER = (few.ALL_R18, few.ALL_LITE, few.ALL_224)
STUDENTS = (few.SELF_LITE, few.SELF_R18, few.SELF_224)
MEMBERS = {     # name: recipes, whether weights are chosen
    'mean of ResNet-18 and Lite2, each data set alone': ((few.NOTHING, few.LITE_128), False),
    'mean of three, each data set alone': (ALONE, False),
    'mean of two, all votes': (TOGETHER[:2], False),
    'mean of the students': (STUDENTS, False),
    'mean of ResNet-18 with all votes and Lite2': ((few.ALL_R18, few.LITE_128), False),
    'mean of four': ((few.NOTHING, few.WEAK_R18, few.ALL_R18, few.LITE_128), False),
    'stacked four, weights of the other data set': ((few.NOTHING, few.WEAK_R18, few.ALL_R18, few.LITE_128), True),
    'mean of all': ((*ALONE, few.WEAK_R18, *TOGETHER, *STUDENTS), False),
    'stacked, weights of the other data set': ((*ALONE, few.WEAK_R18, *TOGETHER, *STUDENTS), True)}

def table_of(preds, name, member, fold):
    "Predictions of one member for the held-out fold of a data set; a member is (recipe, seed)."
    recipe, seed = member
    at = preds.name.eq(name) & preds.recipe.eq(recipe) & preds.seed.eq(seed) & preds.fold.eq(fold) & preds.voted.eq(0)
    return preds[at][['galaxy_id', *CLASSES]]

def members_of(preds, recipes):
    "(recipe, seed) of every seed that both data sets have on all folds."
    full = preds[preds.voted.eq(0)].groupby(['recipe', 'seed', 'name']).fold.nunique().unstack(fill_value=0)
    both = full.reindex(columns=[few.GZ2, few.KAGGLE], fill_value=0).eq(few.FOLDS).all(axis=1)
    return [m for m in full.index[both] if m[0] in recipes]

def joined(preds, catalogues, words, members, chosen, minutes):
    "Rows of one ensemble."
    other = {few.GZ2: few.KAGGLE, few.KAGGLE: few.GZ2}
    for name, df in catalogues.items():
        for fold in range(few.FOLDS):
            tables = {f'{r} s{s}': table_of(preds, name, (r, s), fold) for r, s in members}
            weights = None
            if chosen:
                theirs = {f'{r} s{s}': table_of(preds, other[name], (r, s), fold) for r, s in members}
                weights = metrics.stack_weights(theirs, catalogues[other[name]])
            p, y = metrics.paired_by_id(metrics.ensemble(tables, weights), df)
            rest = df[~df.galaxy_id.isin(p.index)][CLASSES].mean()
            yield {'name': name, 'labels': df.attrs['kind'], 'data': data_hash(df), 'split': f'k5f{fold}-s0',
                   'fold': fold, 'seed': 0, 'recipe': words, 'key': 'ensemble', 'kind': 'ensemble', 'rung': None,
                   'builds_on': members[-1][0], 'voted': None, 'inside': None, 'members': list(tables),
                   'weights': weights if weights is None else {k: round(v, 4) for k, v in weights.items()},
                   'settings': None, 'epochs': None, 'rmse_1': None, 'rmse_8': float(metrics.rmse(p, y)),
                   'mean_predictor': float(metrics.rmse(np.tile(rest, (len(p), 1)), y)), 'galaxies': len(p),
                   'outputs': len(CLASSES), 'minutes': minutes(name, fold, members)}

def main(root, file, out):
    preds, runs = pd.read_parquet(file), results.load(out)
    catalogues = {d: sources.catalogue(root/d) for d in (few.GZ2, few.KAGGLE)}
    def minutes(name, fold, members):
        at = runs.name.eq(name) & runs.fold.eq(fold) & runs.voted.isna()
        every = runs[at].set_index(['recipe', 'seed']).minutes
        return round(float(sum(every.get(m, np.nan) for m in members)), 3)
    for words, (recipes, chosen) in MEMBERS.items():
        members = members_of(preds, recipes)
        lost = [r for r in recipes if r not in {m[0] for m in members}]
        if lost:
            print(f'{words}: not there: {", ".join(lost)}')
            continue
        rows = [results.keep(row, out, few.KEY)
                for row in joined(preds, catalogues, words, members, chosen, minutes)]
        t = pd.DataFrame(rows).groupby('name').rmse_8.agg(['mean', 'sem'])
        print(f'{words} ({len(members)})', t.round(4).to_dict('index'))

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('data', type=Path)
    ap.add_argument('predictions', type=Path)
    ap.add_argument('--out', type=Path, default='few_labels', help='another file of results')
    a = ap.parse_args()
    main(a.data, a.predictions, a.out)
