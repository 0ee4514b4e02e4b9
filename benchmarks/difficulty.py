"""How hard is the simulated sky? The plain PyTorch recipe on 800 simulated galaxies, five folds, beside the same recipe
on gz2_800.

    python benchmarks/difficulty.py                     # course CNN and ResNet-18 on five simulated folds
    python benchmarks/difficulty.py --arch cnn --fold 0 1
    python benchmarks/difficulty.py --real              # the real galaxies too

The recipe is `reference/plain_torch.py` of the shared folder ($GALAXY_SHARED, default ../shared beside the checkout).
Every fold is written to results/difficulty.json as it ends; folds of the same sky and recipe that are there already
are not run again. The sky was adjusted while looking at folds 0 and 1 of seed 2024; the default seed is another,
which nobody looked at before.
"""
import argparse, os, re, subprocess, sys, tempfile
from pathlib import Path
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import numpy as np, pandas as pd
from galaxy_nbdev import results
from galaxy_nbdev.files import file_digest
from galaxy_nbdev.schema import ANSWERS, CLASSES, noise_floor, to_cumulative
from galaxy_nbdev.simulate import VERSION, simulate_survey

# earlier five-fold runs of the same recipe on gz2_800, eight views; --real measures them anew
REAL = {'cnn': .56, 'resnet18': .51}
LINE = re.compile(r'n (\d+)/(\d+)  mean predictor ([\d.]+)  rmse ([\d.]+)  tta8 ([\d.]+)  ([\d.]+) images/s')

def run(recipe, data, arch, fold, extra):
    "One fold of the recipe: its RMSE, that of the mean predictor, and their ratio."
    call = [sys.executable, recipe, data, '--arch', arch, '--fold', str(fold), *extra]
    out = subprocess.run(call, capture_output=True, text=True)
    found = LINE.search(out.stdout)
    if not found: raise RuntimeError(f'the recipe failed on {data}, {arch}, fold {fold}:\n{out.stdout}\n{out.stderr}')
    train, test, mean, rmse, tta, speed = map(float, found.groups())
    return dict(n_train=int(train), n_test=int(test), mean_predictor=mean, rmse_1=rmse, rmse_8=tta,
                ratio=round(tta/mean, 4),
                images_per_second=speed)

def floor(data):
    "Noise floor of the raw votes and RMSE of the mean of all."
    t = pd.read_csv(data/'gz2_hart16.csv')
    shares = t[ANSWERS.hart16[CLASSES]+'_weighted_fraction'].set_axis(CLASSES, axis=1)
    y = to_cumulative(shares).assign(n_votes=t.total_classifications)
    return dict(noise_floor=round(noise_floor(y), 4), mean_of_all=round(float(np.sqrt(y[CLASSES].var().mean())), 4))

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--arch', nargs='+', default=['cnn', 'resnet18'])
    ap.add_argument('--fold', nargs='+', type=int, default=[0, 1, 2, 3, 4])
    ap.add_argument('--seed', type=int, default=31)
    ap.add_argument('--real', action='store_true')
    ap.add_argument('--out', type=Path, default='difficulty')
    a = ap.parse_args()
    shared = Path(os.environ.get('GALAXY_SHARED', ROOT.parent/'shared'))
    recipe, gz2 = shared/'reference/plain_torch.py', shared/'data/gz2_800'
    if not recipe.exists():
        sys.exit(f'{recipe} is not there: set GALAXY_SHARED to the folder that holds reference/plain_torch.py')
    sky = Path(tempfile.gettempdir())/f'difficulty-v{VERSION}-s{a.seed}'
    simulate_survey(800, a.seed, sky, layout='hart16')
    made = dict(sky_version=VERSION, survey_seed=a.seed, table=file_digest(sky/'gz2_hart16.csv')[:12],
                recipe_file=file_digest(recipe)[:12])
    floors = {'simulated': floor(sky)} | ({'real': floor(gz2)} if gz2.exists() else {})
    for survey, data in [('simulated', sky)] + [('real', gz2)]*a.real:
        for arch in a.arch:
            for fold in a.fold:
                about = {'survey': survey, 'name': data.name, 'labels': 'weighted', 'recipe': f'plain PyTorch {arch}',
                         'arch': arch, 'fold': fold} | made
                if results.done(about, a.out): continue
                row = about | {'kind': 'reference', 'builds_on': None, 'split': f'k5f{fold}-s0', 'seed': 0}
                row |= run(recipe, data, arch, fold, ['--bf16'] if arch == 'resnet18' else [])
                print(results.keep(row, a.out, ('survey', 'recipe', 'fold'), real_before=REAL, floors=floors),
                      flush=True)
    kept = results.load(a.out)
    for (survey, arch), r in kept[kept.arch.isin(a.arch)].groupby(['survey', 'arch']).ratio:
        print(f'{survey} {arch}: {len(r)} folds, RMSE over mean predictor {r.mean():.3f} (8 views)')
