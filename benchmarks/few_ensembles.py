"""Several networks together: what their means score, from the predictions that few_labels.py left.

    python benchmarks/few_ensembles.py ../shared/data few_predictions.parquet

Each network answered galaxies of a fold that it had not seen. A plain mean weighs its members alike. The weights of
a stacked one are chosen on the *other* data set: those for fold k of gz2_800 by fold k of kaggle_597, and the other
way round. No network of fold k has seen a vote of either, so nothing that is scored takes part in the choice. An
ensemble whose members are not all there is left out. A row a data set and fold goes into results/few_labels.json.

Members were chosen by what they have learnt, never by an ensemble's score: 'six' are all networks of the ladder,
'four' those that were trained before the other two, 'all votes' those that learnt both data sets. 'Mean of two, all
votes', the mean of all and the stack of all were listed before Lite2 with all votes and the student were trained; the
other sets with 'all votes' were added when the scores of the single networks were known, and so was 'mean of
ResNet-18 with all votes and Lite2'. All are reported, whatever they score.
"""
import argparse, sys
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
import numpy as np, pandas as pd
import few_labels as few
from galaxy_nbdev import metrics, results, sources
from galaxy_nbdev.dataloaders import data_hash
from galaxy_nbdev.schema import CLASSES

FOUR = (few.NOTHING, few.WEAK_R18, few.ALL_R18, few.LITE_128)      # of one network each, those trained first
LEARNT_BOTH = (few.ALL_R18, few.ALL_LITE)
SIX = (*FOUR, few.ALL_LITE, few.SELF_R18)                          # every network of the ladder
MEMBERS = {     # name: recipes, whether weights are chosen
    'mean of ResNet-18 and Lite2, each data set alone': ((few.NOTHING, few.LITE_128), False),
    'mean of ResNet-18 with all votes and Lite2': ((few.ALL_R18, few.LITE_128), False),
    'mean of four': (FOUR, False),
    'stacked four, weights of the other data set': (FOUR, True),
    'mean of two, all votes': (LEARNT_BOTH, False),
    'mean of three, all votes': ((*LEARNT_BOTH, few.SELF_R18), False),
    'stacked three, all votes, weights of the other data set': ((*LEARNT_BOTH, few.SELF_R18), True),
    'mean of six': (SIX, False),
    'stacked six, weights of the other data set': (SIX, True)}

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
