"""Memory of the loaders: 61,578 galaxies at 64 px with 4 workers, three epochs.

    python benchmarks/loader_memory.py

Counted is what the processes hold themselves (Pss_Anon of this one and of its workers, summed); the image store is
mapped from its file, shared by all, and counted once and apart (Pss_File). Flat means: the last epoch's highest sum
over the second's. Writes results/loader_memory.json. Linux alone tells Pss.
"""
import argparse, os, sys, tempfile, time
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
os.environ.setdefault('GALAXY_HOME', str(Path(tempfile.gettempdir())/'galaxy_memory'))
from galaxy_nbdev import results, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders
from loaders import many

def family(pid=None):
    "This process and all below it."
    pid = pid or os.getpid()
    children = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    return [pid, *(q for c in children for q in family(int(c)))]

def held():
    "MB that the family holds: its own memory, and its share of mapped files."
    total = {'Pss_Anon': 0, 'Pss_File': 0}
    for pid in family():
        try: lines = Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError): continue       # a worker that has just ended
        for line in lines:
            key = line.split(':')[0]
            if key in total: total[key] += int(line.split()[1])/1024
    return total

def epoch(dls):
    "Seconds of an epoch, and what was held in it, asked once a second."
    began, seen, last = time.monotonic(), [], 0.
    for _ in dls.train:
        if time.monotonic()-last > 1:
            seen.append(held())
            last = time.monotonic()
    highest = lambda k: round(max(s[k] for s in seen))
    return {'seconds': round(time.monotonic()-began, 1), 'samples': len(seen), 'own MB, highest': highest('Pss_Anon'),
            'mapped MB, highest': highest('Pss_File')}

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--n', type=int, default=61_578)
    ap.add_argument('--workers', type=int, default=4)
    ap.add_argument('--epochs', type=int, default=3)
    ap.add_argument('--out', type=Path, default='loader_memory')
    a = ap.parse_args()
    df = many(sources.catalogue('simulated', n=800), a.n).head(a.n)
    dls = GalaxyDataLoaders.from_catalogue(df, source='store', num_workers=a.workers)
    before, epochs = held(), []
    for e in range(1, a.epochs+1):
        epochs.append({'galaxies': len(df), 'size': 64, 'workers': a.workers, 'epoch': e} | epoch(dls))
        own = [r['own MB, highest'] for r in epochs]
        told = {'before MB': round(before['Pss_Anon']), 'own MB, highest': max(own)}
        if e > 1: told['last over second epoch'] = round(own[-1]/own[1], 3)
        results.keep(epochs[-1], a.out, ('galaxies', 'size', 'workers', 'epoch'), **told)
        print(epochs[-1], told, flush=True)
