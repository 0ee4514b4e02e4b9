"""What bfloat16 with channels last is worth to the training of a ResNet-18, against plain float32.

    python benchmarks/precision.py ../shared/data/gz2_800

Both sides train one epoch of the same galaxies in turn, five times after a first that warms up; the RMSE of both is
compared by benchmarks/ladder_resnet.py. Writes results/precision.json. Run it alone on the machine.
"""
import argparse, json, os, sys
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
import torch
from galaxy_nbdev import profile, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders
from galaxy_nbdev.learner import galaxy_learner
from loaders import in_turn, training_seconds

RESULTS = Path(__file__).parents[1]/'results'/'precision.json'

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0])
    ap.add_argument('data')
    ap.add_argument('--threads', type=int, nargs='+', default=[1, 2])
    a = ap.parse_args()
    df, began, rows = sources.catalogue(a.data), profile.provenance(torch=torch.__version__), []
    learners = {name: galaxy_learner(GalaxyDataLoaders.from_catalogue(df, source='store'),
        'galaxy_nbdev.resnet:galaxy_resnet', bf16=bf16) for name, bf16 in [('float32', False), ('bfloat16', True)]}
    dls = learners['float32'].dls
    for threads in a.threads:
        torch.set_num_threads(threads)
        seconds = in_turn({name: lambda learn=learn: training_seconds(learn) for name, learn in learners.items()})
        rows.append({'threads': threads, 'size': dls.size, 'images': len(dls.train)*dls.bs, 'device': str(dls.device),
                     'seconds': seconds, 'ratio': seconds['float32']/seconds['bfloat16']})
        print(rows[-1], flush=True)
    new = RESULTS.with_suffix('.new')
    new.write_text(json.dumps({'provenance': began, 'cpu': torch.backends.cpu.get_cpu_capability(),
                               'amx': torch.cpu._is_amx_tile_supported(), 'runs': rows}, indent=1))
    os.replace(new, RESULTS)
