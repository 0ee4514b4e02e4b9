"""Memory of the loaders: 61,578 galaxies at 64 px with 4 workers, three epochs.

    python benchmarks/loader_memory.py

Counted is what the processes hold themselves (Pss_Anon of this one and of its workers, summed); the image store is
mapped from its file, shared by all, and counted once and apart (Pss_File). Flat means: the last epoch's highest sum
over the second's. Writes results/loader_memory.json. Linux alone tells Pss.
"""
import argparse, json, os, sys, tempfile, time
from pathlib import Path
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
os.environ.setdefault('GALAXY_HOME', str(Path(tempfile.gettempdir())/'galaxy_memory'))
from galaxy_nbdev import profile, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders
from loaders import many

RESULTS = Path(__file__).parents[1]/'results'/'loader_memory.json'

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

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--n', type=int, default=61_578)
    ap.add_argument('--workers', type=int, default=4)
    ap.add_argument('--epochs', type=int, default=3)
    a = ap.parse_args()
    df = many(sources.catalogue('simulated', n=800), a.n).head(a.n)
    dls = GalaxyDataLoaders.from_catalogue(df, source='store', num_workers=a.workers)
    epochs, start = [], held()
    for e in range(a.epochs):
        began, seen, last = time.time(), [], 0.
        for i, _ in enumerate(dls.train):
            if time.time()-last > 1:
                seen.append(held())
                last = time.time()
        epochs.append({'epoch': e+1, 'seconds': round(time.time()-began, 1), 'samples': len(seen),
            'own MB, highest': round(max(s['Pss_Anon'] for s in seen)),
            'mapped MB, highest': round(max(s['Pss_File'] for s in seen))})
        print(epochs[-1], flush=True)
    own = [e['own MB, highest'] for e in epochs]
    out = {'galaxies': len(df), 'size': 64, 'workers': a.workers, 'before MB': round(start['Pss_Anon']),
        'epochs': epochs, 'own MB, highest': max(own), 'last over second epoch': round(own[-1]/own[1], 3),
        'provenance': profile.provenance()}
    RESULTS.parent.mkdir(exist_ok=True)
    new = RESULTS.with_suffix('.new')
    new.write_text(json.dumps(out, indent=1))
    os.replace(new, RESULTS)
    print(out['own MB, highest'], 'MB at most;', out['last over second epoch'])
