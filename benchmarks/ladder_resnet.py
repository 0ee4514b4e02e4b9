"""What each change is worth to a ResNet-18 of 11,195,493 parameters: one rung after the other, on five folds with one
seed.

    python benchmarks/ladder_resnet.py ../shared/data/gz2_800

From the course project's own recipe upwards (3 epochs, Adam at 0.0005), beside the same network in plain PyTorch
(benchmarks/rival.py, 120 epochs in bfloat16). 'simulated first' begins with weights that were trained on 6,000
simulated galaxies; minutes_before says how long that took, once for all folds of a seed. The rung after it starts
from nothing again; its recipe was chosen on simulated galaxies by benchmarks/choose_resnet.py, and takes what ten
minutes on two cores allow. Rows go into results/ladder_resnet.json; benchmarks/ladder.py says how it goes on. About 8
minutes a fold and rung of 120 epochs on two threads.
"""
import ladder

START = ladder.SETTINGS | dict(epochs=3, lr=5e-4, bf16=False)
PRETRAINING = dict(epochs=15, lr=2e-3)
RUNGS = ladder.ladder(START, {
    'course recipe': {},
    '+ augmentation': dict(zoom=[.8, 1.2]),
    '+ one cycle': dict(fit='fit_one_cycle', lr=2e-3, wd=.05),
    '+ bfloat16': dict(bf16=True),
    '+ tree head': dict(head='tree'),
    '+ 120 epochs': dict(epochs=120),
    'simulated first': dict(pretrain=6000),
    '+ mixup, 190 epochs': dict(mixup=.4, epochs=190)})
REFERENCES = ladder.references({'plain PyTorch, 120 epochs': dict(epochs=120, plain=False, bf16=True)})
ARCH = 'galaxy_nbdev.resnet:galaxy_resnet'

if __name__ == '__main__': ladder.main(__doc__, 'ladder_resnet', START, RUNGS+REFERENCES, ARCH, PRETRAINING, 'resnet18')
