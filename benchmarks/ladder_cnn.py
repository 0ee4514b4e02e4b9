"""What each change is worth: one network of 571,225 parameters, one rung after the other, on five folds with three
seeds each.

    python benchmarks/ladder_cnn.py ../shared/data/gz2_800

Every rung keeps what the one below it had, from the course project's recipe upwards; beside them stands the plain
PyTorch recipe of benchmarks/rival.py. RMSE of the last epoch on the held-out fold, with one view and with eight, in
results/ladder_cnn.json. benchmarks/ladder.py says how it goes on, and what --try and --inside do. About 3 minutes a
fold and seed on one thread.
"""
import ladder

START = ladder.SETTINGS
PRETRAINING = dict(epochs=40, lr=3e-3)
RUNGS = ladder.ladder(START, {
    'course recipe': {},
    '+ augmentation': dict(zoom=[.8, 1.2]),
    '+ one cycle': dict(fit='fit_one_cycle', wd=.05),
    '+ tree head': dict(head='tree'),
    '+ 200 epochs': dict(epochs=200),
    '+ simulated pretraining': dict(pretrain=6000)})
REFERENCES = ladder.references({
    'plain PyTorch, course recipe': dict(epochs=6, plain=True),
    'plain PyTorch, 200 epochs': dict(epochs=200, plain=False)})

if __name__ == '__main__':
    ladder.main(__doc__, 'ladder_cnn', START, RUNGS+REFERENCES, 'galaxy_nbdev.cnn:galaxy_cnn', PRETRAINING, 'cnn',
                seeds=3)
