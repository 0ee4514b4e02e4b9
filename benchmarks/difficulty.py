"""How hard is the simulated sky? The plain PyTorch recipe on 800 simulated galaxies, five folds, beside the same
recipe on gz2_800.

    python benchmarks/difficulty.py                     # course CNN and ResNet-18 on five simulated folds
    python benchmarks/difficulty.py --arch cnn --fold 0 1
    python benchmarks/difficulty.py --real              # the real galaxies too

The recipe is `reference/plain_torch.py` of the shared folder ($GALAXY_SHARED, default ../shared beside the
checkout). Every fold is written to results/difficulty.json as it ends; folds of the same sky and recipe that are
there already are not run again. The sky was adjusted while looking at folds 0 and 1 of seed 2024; the default seed
is another, which nobody looked at before.
"""
import argparse, hashlib, json, os, platform, re, subprocess, sys, tempfile
from datetime import datetime, timezone
from pathlib import Path
import numpy as np

ROOT = Path(__file__).resolve().parents[1]; sys.path.insert(0, str(ROOT))
from galaxy_nbdev import __version__
from galaxy_nbdev.schema import ANSWERS, CLASSES, noise_floor, to_cumulative
from galaxy_nbdev.simulate import VERSION, simulate_survey
import pandas as pd

REAL = {'cnn': .56,
    'resnet18': .51}      # earlier five-fold runs of the same recipe on gz2_800, eight views; --real measures them anew
LINE = re.compile(r'n (\d+)/(\d+)  mean predictor ([\d.]+)  rmse ([\d.]+)  tta8 ([\d.]+)  ([\d.]+) images/s')

def run(recipe, data, arch, fold, extra):
    "One fold of the recipe: its RMSE, that of the mean predictor, and their ratio."
    out = subprocess.run([sys.executable, recipe, data, '--arch', arch, '--fold', str(fold), *extra],
                         capture_output=True, text=True)
    found = LINE.search(out.stdout)
    if not found: raise RuntimeError(f'the recipe failed on {data}, {arch}, fold {fold}:\n{out.stdout}\n{out.stderr}')
    train, test, mean, rmse, tta, speed = map(float, found.groups())
    return dict(arch=arch, fold=fold, n_train=int(train), n_test=int(test), mean_predictor=mean, rmse=rmse, tta8=tta,
                ratio=round(tta/mean, 4), images_per_second=speed)

def floor(data):
    "Noise floor of the raw votes and RMSE of the mean of all."
    t = pd.read_csv(data/'gz2_hart16.csv')
    y = to_cumulative(t[ANSWERS.hart16[CLASSES]+'_weighted_fraction'].set_axis(CLASSES,
        axis=1)).assign(n_votes=t.total_classifications)
    return dict(noise_floor=round(noise_floor(y), 4), mean_of_all=round(float(np.sqrt(y[CLASSES].var().mean())), 4))

def save(result, file):
    "Write beside and rename."
    file.parent.mkdir(exist_ok=True); part = file.with_suffix('.part')
    part.write_text(json.dumps(result, indent=1)+'\n'); os.replace(part, file)

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--arch', nargs='+', default=['cnn', 'resnet18'])
    ap.add_argument('--fold', nargs='+', type=int, default=[0, 1, 2, 3, 4])
    ap.add_argument('--seed', type=int, default=31)
    ap.add_argument('--real', action='store_true')
    ap.add_argument('--results', type=Path, default=ROOT/'results/difficulty.json')
    a = ap.parse_args()
    shared = Path(os.environ.get('GALAXY_SHARED', ROOT.parent/'shared'))
    recipe = shared/'reference/plain_torch.py'
    if not recipe.exists(): sys.exit(f'{recipe} is not there: set GALAXY_SHARED to the folder that holds '
                                     f'reference/plain_torch.py')
    sky = Path(tempfile.gettempdir())/f'difficulty-v{VERSION}-s{a.seed}'
    simulate_survey(800, a.seed, sky, layout='hart16')
    git = subprocess.run(['git', '-C', ROOT, 'rev-parse', '--short', 'HEAD'], capture_output=True,
                         text=True).stdout.strip() or 'unknown'
    key = dict(sky_version=VERSION, seed=a.seed,
        table=hashlib.sha256((sky/'gz2_hart16.csv').read_bytes()).hexdigest()[:12],
        recipe=hashlib.sha256(recipe.read_bytes()).hexdigest()[:12])
    old = json.loads(a.results.read_text()) if a.results.exists() else {}
    result = old if old.get('key') == key else dict(key=key, simulated=[], real=[])
    result['provenance'] = dict(package=__version__, git=git, python=platform.python_version(),
        machine=f'{os.cpu_count()} cores', date=datetime.now(timezone.utc).isoformat(timespec='minutes'))
    result['real_before'] = REAL
    result['floors'] = dict(simulated=floor(sky),
                            **({'real': floor(shared/'data/gz2_800')} if (shared/'data/gz2_800').exists() else {}))
    for name, data in [('simulated', sky)] + [('real', shared/'data/gz2_800')]*a.real:
        for arch in a.arch:
            for fold in a.fold:
                if any(r['arch'] == arch and r['fold'] == fold for r in result[name]): continue
                result[name].append(run(recipe, data, arch, fold, ['--bf16'] if arch == 'resnet18' else []))
                save(result, a.results)
                print(name, result[name][-1], flush=True)
    for name in ('simulated', 'real'):
        for arch in a.arch:
            r = [x['ratio'] for x in result[name] if x['arch'] == arch]
            if r: print(f'{name} {arch}: {len(r)} folds, RMSE over mean predictor {np.mean(r):.3f} (8 views)')
