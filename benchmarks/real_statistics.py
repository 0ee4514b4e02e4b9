"""Summary statistics of real votes and pictures, for the simulated survey to be compared with.

    python benchmarks/real_statistics.py        # reads $GALAXY_SHARED (default ../shared beside the checkout)

Writes results/real_statistics.json: class means, correlations and distributions of the Stripe 82 table, the same
agreement measures for a table of independent answers (null) and for gz2_800, pixel statistics of the pictures of
gz2_800, Kaggle's published class means. No table and no picture.
"""
import hashlib, json, os, sys
from datetime import datetime, timezone
from pathlib import Path
import numpy as np, pandas as pd
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from galaxy_nbdev import __version__
from galaxy_nbdev.files import write_text
from galaxy_nbdev.results import results_file
from galaxy_nbdev.schema import ANSWERS, CLASSES, COUNTS, QUESTIONS, TOTALS, tied_pairs, to_cumulative
from galaxy_nbdev.simulate import agreement, picture_statistics, vote_statistics

def catalogue(counts):
    "Raw cumulative fractions, counts and totals from an (n, 37) array of counts."
    df = pd.DataFrame(counts, columns=COUNTS)
    for q, t in zip(QUESTIONS, TOTALS): df[t] = df[[c.replace('Class', 'Count') for c in q.classes]].sum(axis=1)
    f = pd.DataFrame({c: df[k]/df[f'Total{ANSWERS.question[c]}'].where(lambda t: t > 0) for c,
                      k in zip(CLASSES, COUNTS)})
    return pd.concat([to_cumulative(f), df], axis=1)

def independent(df, rng):
    "The same table, questions independent: conditional fractions of each dealt out anew, votes drawn down the tree."
    out = {}
    for q, t in zip(QUESTIONS, TOTALS):
        names = [c.replace('Class', 'Count') for c in q.classes]
        asked = df[t] > 0
        p = df.loc[asked, names].div(df.loc[asked, t], axis=0).to_numpy()[rng.integers(asked.sum(), size=len(df))]
        reached = df.Total1 if q.parent is None else out[q.parent.replace('Class', 'Count')]
        out |= zip(names, rng.multinomial(np.asarray(reached, int), p/p.sum(1, keepdims=True)).T)
    return catalogue(np.column_stack([out[c] for c in COUNTS]))

def compare(a, b):
    "Agreement of two tables' correlations: over all pairs, and over those that the tree does not force."
    free = {kind: ~tied_pairs(kind).to_numpy() for kind in ('cumulative', 'conditional')}
    return {'all 666 pairs': agreement(a['correlation'], b['correlation']),
            'pairs not forced': agreement(a['correlation'], b['correlation'], free['cumulative']),
            'conditional': agreement(a['conditional'], b['conditional'], free['conditional'])}

def plain(v):
    "DataFrames and Series as lists of rounded numbers, NaN as null."
    return json.loads(json.dumps(np.where(np.isfinite(v), np.round(np.asarray(v, float), 4), None).tolist()))

if __name__ == '__main__':
    shared = Path(os.environ.get('GALAXY_SHARED', ROOT.parent/'shared'))
    file = shared/'data/gz2_stripe82_votes.csv.gz'
    if not file.exists(): sys.exit(f'{file} is not there: set GALAXY_SHARED to the folder that holds data/')
    s82 = catalogue(pd.read_csv(file)[ANSWERS.hart16+'_count'].to_numpy(float))
    real = vote_statistics(s82)
    small = pd.read_csv(shared/'data/gz2_800/gz2_hart16.csv')
    y = to_cumulative(small[ANSWERS.hart16+'_weighted_fraction'].set_axis(CLASSES, axis=1))
    for q, t in zip(QUESTIONS, TOTALS): y[t] = small.total_classifications*((1-y['Class1.3']) if q.number == 6 else 1
                                                                            if q.parent is None else y[q.parent])
    names = pd.read_csv(shared/'data/gz2_800/gz2_filename_mapping.csv').asset_id
    pictures = pd.DataFrame([picture_statistics(Image.open(shared/f'data/gz2_800/images/{i}.jpg').convert('RGB'))
                             for i in names])
    tree = json.loads((shared/'gz2_tree.json').read_text())
    about = dict(stripe82_sha256=hashlib.sha256(file.read_bytes()).hexdigest(), galaxies=len(s82), gz2_800=len(small),
                 package=__version__, date=datetime.now(timezone.utc).date().isoformat())
    found = {'stripe82': {k: plain(v) for k, v in real.items()},
             'null': compare(vote_statistics(independent(s82, np.random.default_rng(0))), real),
             'gz2_800': compare(vote_statistics(y), real),
             'pictures': {k: v.round(2).to_dict() for k,
                          v in dict(median=pictures.median(), mean=pictures.mean()).items()},
             'kaggle': {'mean_approx': {a['class_column']: a['kaggle_mean_approx']
                                        for q in tree['questions'] for a in q['answers']}}}
    rows = [dict(of=of, statistic=k, value=v) for of, table in found.items() for k, v in table.items()]
    dest = write_text(results_file('real_statistics'), '{"provenance": '+json.dumps(about)+',\n "runs": [\n  '
                      + ',\n  '.join(map(json.dumps, rows))+'\n ]}\n')
    print({k: found[k] for k in ('null', 'gz2_800', 'pictures')}, f'{dest.stat().st_size/1024:.0f} kB')
