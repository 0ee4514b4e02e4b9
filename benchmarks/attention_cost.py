"""What attention costs: time and memory of one layer against the number of patches, forwards and backwards.

    python benchmarks/attention_cost.py

One layer of `galaxy_vit` (128 numbers in a word, 4 heads) on random words: its attention by torch's fused function,
the same with its weights written down, and the dense part for comparison. Time is the median of the repetitions, on a
CPU that of one core (all threads together), so that other work on the machine counts for little; memory is what the
forward pass keeps for the backward one, weights of the network not counted. Writes results/attention_cost.json, with
the threads and the load before it began. About a minute of one core.
"""
import argparse, statistics, sys, time
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1]))
import torch
from galaxy_nbdev import profile, results
from galaxy_nbdev.vit import galaxy_vit

KEY = ('part', 'patches', 'bs', 'device')

def layer_parts(width, heads):
    "The parts of one layer, by name."
    parts = {}
    for name, fused in [('attention, fused', True), ('attention, weights written down', False)]:
        parts[name] = galaxy_vit(width=width, heads=heads, depth=1).blocks[0].attn
        parts[name].fused_attn = fused
    return parts | {'dense part': galaxy_vit(width=width, heads=heads, depth=1).blocks[0].mlp}

def kept(part, x):
    "MB that the forward pass keeps for the way back: each piece of memory once, weights not counted."
    own, seen = {w.untyped_storage().data_ptr() for w in part.parameters()}, {}
    def note(t):
        s = t.untyped_storage()
        if s.data_ptr() not in own: seen[s.data_ptr()] = (s.nbytes(), t)     # t is held, so that no address comes twice
        return t
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t): y = part(x)
    return sum(n for n, _ in seen.values())/2**20

def timed(part, x, repeat):
    "Median milliseconds of both ways, after one that is not counted: of one core on a CPU, on the clock on a GPU."
    wait, clock = (torch.cuda.synchronize, time.perf_counter) if x.is_cuda else (lambda: None, time.process_time)
    took = []
    for _ in range(repeat+1):
        wait()
        began = clock()
        part(x).sum().backward()
        wait()
        took.append(1e3*(clock()-began))
    return statistics.median(took[1:])

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--patches', type=int, nargs='+', default=[64, 144, 256, 576, 1024])
    ap.add_argument('--repeat', type=int, default=15)
    ap.add_argument('--bs', type=int, default=16)
    ap.add_argument('--out', type=Path, default='attention_cost')
    a = ap.parse_args()
    device, where, began = 'cuda' if torch.cuda.is_available() else 'cpu', profile.provenance(), time.perf_counter()
    before = {k: where[k] for k in ('threads', 'load')}
    print(f'{where["threads"]} thread(s), load {where["load"]}', flush=True)
    for n in a.patches:
        for name, part in layer_parts(128, 4).items():
            torch.manual_seed(0)
            x, part = torch.randn(a.bs, n, 128, device=device, requires_grad=True), part.to(device).train()
            row = {'part': name, 'patches': n, 'ms': timed(part, x, a.repeat), 'mb': kept(part, x), 'bs': a.bs,
                   'width': 128, 'heads': 4,
                   'device': device} | before
            results.keep(row, a.out, KEY)
            print('{part:32} {patches:5} patches {ms:9.2f} ms {mb:9.2f} MB'.format(**row), flush=True)
    print(f'{time.perf_counter()-began:.0f} s')
