"""What bfloat16 with channels last is worth to the training of a ResNet-18, against plain float32.

    python benchmarks/precision.py ../shared/data/gz2_800

Both sides train one epoch of the same galaxies in turn, five times after a first that warms up; the RMSE of both is
compared by benchmarks/ladder_resnet.py. Writes results/precision.json. Run it alone on the machine.
"""
import argparse, sys
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
import torch
from galaxy_nbdev import results, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders
from galaxy_nbdev.learner import galaxy_learner
from loaders import training_seconds
from timing import machine, medians

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('data')
    ap.add_argument('--threads', type=int, nargs='+', default=[1, 2])
    ap.add_argument('--out', type=Path, default='precision')
    a = ap.parse_args()
    df = sources.catalogue(a.data)
    learner = lambda bf16: galaxy_learner(GalaxyDataLoaders.from_catalogue(df, source='store'),
                                          'galaxy_nbdev.resnet:galaxy_resnet', bf16=bf16)
    learners = {'float32': learner(False), 'bfloat16': learner(True)}
    chip = {'cpu': torch.backends.cpu.get_cpu_capability(), 'amx': torch.cpu._is_amx_tile_supported()}
    dls = learners['float32'].dls
    for threads in a.threads:
        torch.set_num_threads(threads)
        before = machine()
        seconds = medians({name: lambda learn=learn: training_seconds(learn) for name, learn in learners.items()})
        row = before | {'threads': threads, 'size': dls.size, 'images': len(dls.train)*dls.bs,
                        'device': str(dls.device), 'seconds': seconds,
                        'ratio': seconds['float32']/seconds['bfloat16']}
        results.keep(row, a.out, ('threads', 'size', 'device'), **chip)
        print(row, flush=True)
