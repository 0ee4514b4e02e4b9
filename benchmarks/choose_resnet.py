"""Recipes for a ResNet-18 compared where no real galaxy is: 640 simulated ones to train on, as many as a fold of
gz2_800 leaves, and 1,000 others to score.

    python benchmarks/choose_resnet.py mixup=0.4 size=96

One recipe a call: that of the rung '+ 120 epochs' of benchmarks/ladder_resnet.py, and what the call changes. A choice
made here is clean for every fold of real galaxies. Rows go into results/choose_resnet.json; minutes are those of the
epochs, about 8 on one thread.
"""
import sys
import ladder, ladder_resnet
from galaxy_nbdev.splits import kfold_ids

BASE = next(r for r in ladder_resnet.RUNGS if r['recipe'] == '+ 120 epochs')
TRAIN, WATCHED, TEST = 640, 64, 1000    # the watched ones are in the history of the run, and decide nothing

if __name__ == '__main__':
    own = ladder.own_recipe(sys.argv[1:])
    r = ladder.trial(own, ladder_resnet.START, BASE)
    r |= {'builds_on': 'as it is'} if own else {'recipe': 'as it is', 'builds_on': None}
    df = ladder.simulated_survey(6000)
    train, test = df.iloc[:TRAIN+WATCHED].reset_index(drop=True), df.iloc[TRAIN+WATCHED:][:TEST].reset_index(drop=True)
    watched = kfold_ids(train.galaxy_id) < 0
    watched.iloc[TRAIN:] = True
    about = ladder.about_of(df, r, 0, 0) | {'split': f'first {TRAIN}, {TEST} others', 'train': TRAIN, 'scored': TEST}

    def score():
        learn, row = ladder.trained(train, watched, r['settings'], ladder_resnet.ARCH, 0)
        return ladder.scored(learn, test) | row
    ladder.measure(about, r, 'choose_resnet', score)
