"""Recipes for a ResNet-18 compared where no real galaxy is: 640 simulated ones to train on, as many as a fold of
gz2_800 leaves, and 1,000 others to score.

    python benchmarks/choose_resnet.py mixup=0.4 size=96

One recipe a call: that of the rung '+ 120 epochs' of benchmarks/ladder_resnet.py, and what the call changes. A
choice made here is clean for every fold of real galaxies. Each row goes into results/choose_resnet.json, one writer
at a time; minutes are those of the epochs, with as many threads as recorded.
"""
import json, os, sys
from pathlib import Path
os.environ.setdefault('GALAXY_HOME', str(Path(os.environ.get('TMPDIR', '/tmp'))/'galaxy_choose'))
sys.path.insert(0, str(Path(__file__).parent))
import ladder_resnet
from ladder_cnn import keep, learner_of, recipes, scored, value
from safetensors.torch import load_model
from galaxy_nbdev import profile, sources
from galaxy_nbdev.dataloaders import data_hash, kfold_ids
from galaxy_nbdev.learner import train_run
from galaxy_nbdev.runs import read_history, run_folder
from galaxy_nbdev.simulate import VERSION, simulate_survey

RESULTS = Path(__file__).parents[1]/'results'/'choose_resnet.json'
BASE = next(s for _, name, s in recipes(ladder_resnet, {}) if name == '+ 120 epochs')
TRAIN, WATCHED, TEST = 640, 64, 1000    # the watched ones are in the history of the run, and decide nothing

if __name__ == '__main__':
    own = {k: value(v) for k, v in (o.split('=', 1) for o in sys.argv[1:])}
    if unknown := set(own)-set(BASE)-{'size'}: sys.exit(f'{", ".join(unknown)}: choose among {", ".join(BASE)}, size')
    df = sources.catalogue(simulate_survey(6000, 77, Path(os.environ['GALAXY_HOME'])/f'pretraining-v{VERSION}-n6000',
                                           layout='simulated'))
    train, test = df.iloc[:TRAIN+WATCHED].reset_index(drop=True), df.iloc[TRAIN+WATCHED:][:TEST].reset_index(drop=True)
    watched = kfold_ids(train.galaxy_id) < 0
    watched.iloc[TRAIN:] = True
    s, recipe, seed = BASE | own, ' '.join(f'{k}={v}' for k, v in own.items()) or 'as it is', 0
    learn = learner_of(train, s, watched, seed, 'resnet', bf16=s['bf16'])
    folder = run_folder(learn, recipe.replace(' ', '_'), seed)
    if folder.exists(): load_model(learn.model, folder/'weights.safetensors')
    else: train_run(learn, recipe.replace(' ', '_'), s['epochs'], lr=s['lr'], seed=seed)
    where = profile.provenance()
    keep({'data': data_hash(df), 'name': df.attrs['name'], 'labels': df.attrs['kind'], 'rung': 1, 'recipe': recipe,
          'settings': s, 'train': TRAIN, 'scored': TEST, 'fold': 0, 'seed': seed} | scored(learn, test)
         | {'minutes': read_history(folder).seconds.sum()/60}
         | {k: where[k] for k in ('version', 'git', 'threads', 'load', 'date')}, RESULTS)
    print(RESULTS.read_text()[-900:])
