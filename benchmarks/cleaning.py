"""What cleaning finds in real galaxies, and what reading, cleaning and storing them cost.

    python benchmarks/cleaning.py                           # gz2_800, kaggle_597 and kaggle_20k
    python benchmarks/cleaning.py kaggle_20k --size 64

Reads the folders data/<name> of $GALAXY_SHARED (default ../shared beside the checkout). Writes results/cleaning.json, a
row for each data set: galaxies, those rejected, galaxies by check, the smallest contrast and kinship of its pictures
(`cleaning.measure_pixels`), and seconds of processor time of each step. Everything is done by one process with one
thread, so that its processor time is all there is. No picture and no table of galaxies is kept.
"""
import argparse, os, sys, tempfile, time
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import pandas as pd
from galaxy_nbdev import cleaning, images, results, sources
from timing import machine

NAMES = ('gz2_800', 'kaggle_597', 'kaggle_20k')

def timed(f, *args, **kwargs):
    "Result of a call, and its seconds of processor time."
    start = time.process_time()
    out = f(*args, **kwargs)
    return out, round(time.process_time()-start, 2)

def measured(folder, size):
    "One data set, read, cleaned and stored."
    df, reading = timed(sources.catalogue, str(folder))
    (trusted, report), checking = timed(cleaning.clean, df, workers=0)
    side = min(images.open_image(df.path.iloc[0]).size)
    with tempfile.TemporaryDirectory() as t:
        how = dict(crop=212 if side > 212 else None, size=size, workers=0)
        store, storing = timed(images.build_store, trusted, Path(t)/'store', **how)
        stored = len(store.images)
    seen = pd.DataFrame(list(images.in_parallel(cleaning.measure_image, df.path.tolist(), 0, 'measuring')))
    return dict(galaxies=len(df), rejected=len(report.rejected), stored=stored, side=side, size=size,
                checks=report.counts.galaxies.to_dict(), contrast=round(float(seen.contrast.min()), 2),
                kinship=round(float(seen.kinship.min()), 3), reading=reading, checking=checking, storing=storing)

def main(names, size, out):
    data = Path(os.environ.get('GALAXY_SHARED', ROOT.parent/'shared'))/'data'
    for name in names:
        if not (data/name).exists(): sys.exit(f'{data/name} is not there: set GALAXY_SHARED to the folder above data/')
        print(results.keep(machine() | {'name': name} | measured(data/name, size), out, ('name', 'size')), flush=True)

if __name__ == '__main__':
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('names', nargs='*', default=NAMES)
    a.add_argument('--size', type=int, default=64)
    a.add_argument('--out', type=Path, default='cleaning')
    main(**vars(a.parse_args()))
