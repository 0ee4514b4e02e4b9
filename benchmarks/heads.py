"""What shall a network be asked? Each answer by itself, the tree, the votes' distribution, or one network a question:
the same CNN on the same folds.

    python benchmarks/heads.py --real ../shared/data/gz2_800

'sigmoid', 'tree' and 'dirichlet' are one network each, the last trained on the votes themselves; 'cascade' is eleven
networks, each trained on the galaxies whose volunteers were asked its question, chained by `prediction.cascade`. Of
the Dirichlet network the coverage is measured too: of the votes on galaxies held out, and on simulated ones of the
true probabilities. Where a real table has no votes they are its fractions times the number of classifications,
rounded. Beside the fractions, the yes or no of the labels that follow from them is scored. Every row goes to
results/heads.json as it ends; rows that are there are not made again. Real galaxies first, `--jobs` processes side by
side. About 40 minutes on one thread.
"""
import argparse, os, sys, tempfile, time
from functools import lru_cache
from itertools import product
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
os.environ.setdefault('GALAXY_HOME', str(Path(tempfile.gettempdir())/'galaxy_curve'))
import side_by_side, torch
from galaxy_nbdev import confidence, images, metrics, results, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders, data_hash
from galaxy_nbdev.evaluation import score
from galaxy_nbdev.prediction import cascade, concentrations, predict
from galaxy_nbdev.learner import galaxy_learner
from galaxy_nbdev.runs import seed_everything
from galaxy_nbdev.schema import COUNTS, QUESTIONS, TOTALS, make_labels
from galaxy_nbdev.splits import kfold_ids
from galaxy_nbdev.targets import with_counts
from learning_curve import NoValidation

ARCH = 'galaxy_nbdev.cnn:galaxy_cnn'
SETTINGS = dict(size=64, bs=64, lr=3e-3, epochs=30)
HEADS = ['sigmoid', 'tree', 'dirichlet', 'cascade']
KEY = ('data', 'head', 'fold', 'seed')
LEVELS = [round(.1*k, 1) for k in range(1, 10)]+[.95]

def trained(df, split, fold, recipe, vocab=None, head='sigmoid', loss='mse'):
    "One network."
    n = int((split == 'train').sum())
    dls = GalaxyDataLoaders.from_catalogue(df, split, size=recipe['size'], bs=min(recipe['bs'], n), vocab=vocab,
                                           counts=loss == 'votes')
    learn = galaxy_learner(dls, ARCH, head=head, loss=loss, seed=fold, cbs=NoValidation())
    seed_everything(fold, dls)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(recipe['epochs'], recipe['lr'])
    return learn

def one_a_question(df, split, fold, recipe, test, store):
    "The eleven networks' predictions, by question."
    shares = make_labels(df, 'conditional').reindex(columns=[c for q in QUESTIONS for c in q.classes])
    asked, out = metrics.enough_asked(df), {}
    own = df.assign(**{c: shares[c].to_numpy() for c in shares})
    own.attrs = df.attrs
    for q in QUESTIONS:
        use = (asked[q.number] & own[q.classes].notna().all(axis=1)).to_numpy() | (split != 'train').to_numpy()
        out[q.number] = predict(trained(own, split.where(use, 'test'), fold, recipe, q.classes), test, 'dihedral8',
                                store=store)
    return out

def counted(df):
    "The catalogue with the votes of every answer and question."
    if set(TOTALS) <= set(df): return df
    out = with_counts(df)
    out[COUNTS] = out[COUNTS].round()
    total = lambda q: out[[c.replace('Class', 'Count') for c in q.classes]].sum(axis=1, skipna=False)
    out = out.assign(**{t: total(q) for t, q in zip(TOTALS, QUESTIONS)})
    out.attrs = df.attrs
    return out

def coverage(learn, df, truth, store):
    "How much the central intervals hold, of the votes and of the truth."
    alpha = concentrations(learn, df, store)
    of = lambda t: confidence.interval_coverage(confidence.pit(alpha, t), LEVELS).round(4).tolist()
    return {'levels': LEVELS, 'votes': of(df), 'truth': of(truth) if truth is not None else None}

def as_labels(pred, test):
    "F1 and AUC of the labels that follow from the fractions, means over the labels of two schemes."
    out = {}
    for scheme in ('reduced', 'all_features'):
        y = make_labels(test, scheme)
        macro = metrics.binary_scores(metrics.label_scores(pred, list(y)), y).loc['macro']
        out |= {f'{k}_{scheme}': float(macro[k]) for k in ('f1', 'auc')}
    return out

def point(df, truth, how, fold, recipe):
    "Train and judge."
    split = kfold_ids(df.galaxy_id).eq(fold).map({True: 'valid', False: 'train'})
    test = df[(split == 'valid').to_numpy()]
    test.attrs = df.attrs
    store = images.build_store(df, size=recipe['size'])
    start, cpu, more = time.monotonic(), time.process_time(), {}
    if how == 'cascade': pred = cascade(one_a_question(df, split, fold, recipe, test, store))
    else:
        learn = trained(df, split, fold, recipe, head=how, loss='votes' if how == 'dirichlet' else 'mse')
        pred = predict(learn, test, 'dihedral8', store=store)
        if how == 'dirichlet': more = {'coverage': coverage(learn, test, truth, store)}
    s = score(pred, test)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'
    return dict(device=device, n_train=int((split == 'train').sum()), n_test=len(test), outputs=int(s.overall.outputs),
                rmse_8=float(s.overall.rmse),
                low=s.intervals.low.rmse, high=s.intervals.high.rmse,
                **{k: float(s.overall[k]) for k in ('mae', 'floor', 'over_floor', 'accuracy')}, **as_labels(pred, test),
                questions=s.per_question.set_index('question').rmse.round(5).to_dict(),
                minutes=round((time.monotonic()-start)/60, 2),
                cpu_minutes=round((time.process_time()-cpu)/60, 2)) | more

def told(row):
    "One row in words."
    return '{survey}, {labels} labels, fold {fold}, {head}: RMSE {rmse_8:.4f}, {minutes} minutes'.format(**row)

@lru_cache(2)
def survey(real, galaxies):
    "A catalogue with votes, and the true probabilities where they are known: real galaxies, or simulated ones."
    if real: return counted(sources.catalogue(real)), None
    simulated = sources.catalogue('simulated', n=galaxies)
    return simulated, sources.read_simulated(Path(simulated.path[0]).parents[1], kind='truth')

def about_of(df, name, how, fold, settings):
    "What a training is of."
    return {'survey': name, 'name': df.attrs['name'], 'labels': df.attrs['kind'], 'data': data_hash(df),
            'recipe': f'course CNN, {how}', 'head': how, 'fold': fold, 'seed': fold, 'epochs': settings['epochs'],
            'settings': settings}

def work(job):
    "One row, in words after it was kept."
    real, galaxies, out, about = job
    row = about | {'kind': 'rung', 'builds_on': None if about['head'] == 'sigmoid' else 'course CNN, sigmoid',
                   'split': f'k5f{about["fold"]}-s0'}
    found = point(*survey(real, galaxies), about['head'], about['fold'], about['settings'])
    return told(results.keep(row | found, out, KEY))

def main(a):
    settings, jobs = SETTINGS | {'epochs': a.epochs}, []
    for name, real in [('real', a.real), ('simulated', None)]:
        if name not in a.surveys or name == 'real' and not real: continue
        df = survey(real, a.galaxies)[0]
        images.build_store(df, size=settings['size'])
        about = [about_of(df, name, how, fold, settings) for how, fold in product(a.heads, a.folds)]
        jobs += [(real, a.galaxies, a.out, row) for row in about if not results.done(row, a.out)]
    for line in side_by_side.run(work, jobs, a.jobs, a.minutes): print(line, flush=True)

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--real', help='folder of a real data set with votes')
    ap.add_argument('--surveys', nargs='+', default=['real', 'simulated'], choices=['real', 'simulated'])
    ap.add_argument('--galaxies', type=int, default=1000, help='simulated galaxies')
    ap.add_argument('--folds', type=int, nargs='+', default=range(5))
    ap.add_argument('--heads', nargs='+', default=HEADS, choices=HEADS)
    ap.add_argument('--epochs', type=int, default=SETTINGS['epochs'])
    ap.add_argument('--out', type=Path, default='heads')
    side_by_side.options(ap)
    main(ap.parse_args())
