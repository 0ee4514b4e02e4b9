"""What each change is worth to a ResNet-18 of 11,195,493 parameters: one rung after the other, on five folds with one
seed.

    python benchmarks/ladder_resnet.py ../shared/data/gz2_800

As benchmarks/ladder_cnn.py, whose options it shares: from the course project's recipe upwards (3 epochs, Adam at
0.0005), beside the same network in plain PyTorch (benchmarks/rival.py, 120 epochs in bfloat16). The rung 'simulated
first' begins with weights that were trained on 6,000 simulated galaxies; minutes_before says how long that took,
once for all folds of a seed. The rung after it starts from nothing again; its recipe was chosen on simulated
galaxies, and takes what ten minutes on two cores allow. Each row goes into results/ladder_resnet.json as soon as it
is there; an interrupted training goes on after its last whole epoch.
"""
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
import ladder_cnn

RESULTS = Path(__file__).parents[1]/'results'/'ladder_resnet.json'
START = ladder_cnn.START | dict(epochs=3, lr=5e-4, bf16=False)
CHANGES = {'course recipe': {}, '+ augmentation': dict(zoom=[.8, 1.2]), '+ one cycle': dict(fit='fit_one_cycle',
    lr=2e-3, wd=.05), '+ bfloat16': dict(bf16=True), '+ tree head': dict(head='tree'),
           '+ 120 epochs': dict(epochs=120), 'simulated first': dict(pretrain=6000),
           '+ mixup, 190 epochs': dict(pretrain=0, mixup=.4,
                                       epochs=190)}     # from nothing again; benchmarks/choose_resnet.py chose it
REFERENCES = {'plain PyTorch, 120 epochs': dict(epochs=120, plain=False, bf16=True)}
SEEDS = 1

def climb(df, settings, held, seed): return ladder_cnn.climb(df, settings, held, seed, 'resnet',
                                                             dict(epochs=15, lr=2e-3), bf16=settings['bf16'])

def reference(df, pixels, settings, fold, seed): return ladder_cnn.reference(df, pixels, settings, fold, seed,
                                                                             'resnet18')

if __name__ == '__main__': ladder_cnn.main(sys.modules[__name__])
