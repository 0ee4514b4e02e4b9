"""Speed of the image store, of the checks and of the readers; writes results/store.json.

    python benchmarks/store.py [--data FOLDER] [--n 4000] [--workers 2] [--rounds 5] [--out results/store.json]

Without --data it takes the simulated survey of 2,000 galaxies. The two sides of a ratio alternate within one run; a
ratio is that of the medians. Every timing has the load average beside it, and the numbers mean little on a machine
that does other work.
"""
import argparse, json, os, shutil, statistics, tempfile, time
from pathlib import Path
import numpy as np, pandas as pd
from PIL import Image
from galaxy_nbdev import cleaning, images, profile, simulate, sources

CROP, SIZE = 212, 64


def survey(data, n, folder):
    """A catalogue of n galaxies, each with a file of its own in `folder`: the data set's, again and again under new
    names."""
    df = sources.catalogue(data) if data else sources.catalogue('simulated', n=2000)
    df = df.iloc[np.arange(n) % len(df)].reset_index(drop=True)
    paths = [f'{folder}/{i}.jpg' for i in range(n)]
    for old, new in zip(df.path, paths): shutil.copy(old, new)
    return df.assign(galaxy_id=[f'{i}' for i in range(n)], path=paths)


def plain_loop(df, dest):
    "What the course project does, with PIL, in one process."
    dest.mkdir()
    for i, path in zip(df.galaxy_id, df.path):
        im = Image.open(path).convert('RGB')
        x, y = (im.width-CROP)//2, (im.height-CROP)//2
        im.crop((x, y, x+CROP, y+CROP)).resize((SIZE, SIZE), Image.LANCZOS).save(dest/f'{i}.jpg', quality=95)


def full_decode(path):
    images.open_image(path)


def timed(f):
    load, start = os.getloadavg()[0], time.perf_counter()
    f()
    return {'seconds': round(time.perf_counter()-start, 3), 'load': round(load, 2)}


def alternate(sides, rounds):
    "Median seconds of each side, and every timing."
    runs = {name: [] for name in sides}
    for k in range(rounds):
        for name, f in list(sides.items())[::1 if k % 2 == 0 else -1]:
            with tempfile.TemporaryDirectory(dir=profile.home()) as t: runs[name].append(timed(lambda: f(Path(t))))
            print(f'  {name}: {runs[name][-1]}', flush=True)
    return {name: {'median seconds': statistics.median(r['seconds'] for r in rs), 'runs': rs}
            for name, rs in runs.items()}


def difference(df, n=400):
    "Mean absolute difference of the store's pixels and PIL's antialiased ones, grey levels of 255."
    pairs = [(np.asarray(images.open_crop(p, CROP, SIZE), float),
              np.asarray(images.crop_resize(images.open_image(p), CROP, SIZE), float)) for p in df.path[:n]]
    return {'mean': round(float(np.mean([np.abs(a-b).mean() for a, b in pairs])), 4),
            'worst galaxy': round(float(max(np.abs(a-b).mean() for a, b in pairs)), 4)}


def readers(workers):
    "Seconds for Kaggle's 61,578 rows and for Hart's 239,695, written by the simulation in full size."
    out = {}
    with tempfile.TemporaryDirectory(dir=profile.home()) as t:
        for layout, n, read, kw in (('kaggle', 61_578, sources.read_kaggle, {}),
                                    ('hart16', 239_695, sources.read_hart16, {'kind': 'weighted'})):
            root = simulate.simulate_survey(n, 0, Path(t)/layout, layout=layout, images=False, progress=False)
            runs = [timed(lambda: read(root, missing='keep', **kw)) for _ in range(3)]
            size = sum(p.stat().st_size for p in Path(root).glob('*.csv*'))
            out[layout] = {'rows': n, 'MB': round(size/1e6),
                           'median seconds': statistics.median(r['seconds'] for r in runs), 'runs': runs}
            print(f'  {layout}: {out[layout]}', flush=True)
    return out


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', help='folder of a data set; default: the simulated survey')
    p.add_argument('--n', type=int, default=4000)
    p.add_argument('--workers', type=int, default=2)
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--no-readers', action='store_true')
    p.add_argument('--out', default=Path(__file__).parents[1]/'results/store.json', type=Path)
    a = p.parse_args()
    with tempfile.TemporaryDirectory(dir=profile.home()) as folder:
        df = survey(a.data, a.n, folder)
        for path in df.path: Path(path).read_bytes()      # every side finds the files in memory
        list(images.in_parallel(full_decode, df.path[:64].tolist(), a.workers))
        print(f'{a.n} images of {a.data or "the simulated survey"}, {a.workers} workers')
        store = alternate({'plain loop, one process': lambda t: plain_loop(df, t/'small'),
                           'build_store': lambda t: images.build_store(df, t/'store', CROP, SIZE, workers=a.workers)},
                           a.rounds)
        checks = alternate({'full-size decode': lambda t: list(images.in_parallel(full_decode, df.path.tolist(),
                                                                                  a.workers, chunksize=32)),
                            'all checks': lambda t: cleaning.check_catalogue(df, workers=a.workers)}, a.rounds)
        apart = difference(df)
    plain, built, decode, check = (d['median seconds'] for d in [*store.values(), *checks.values()])
    result = {'store': {'images': a.n, 'crop': CROP, 'size': SIZE, 'speed-up over the plain loop': round(plain/built,
        2), 'images per second': round(a.n/built), 'difference to PIL, grey levels': apart, **store},
              'checks': {'images': a.n, 'time over full-size decode': round(check/decode, 2),
                         'images per second': round(a.n/check), **checks}}
    if not a.no_readers: result['readers'] = readers(a.workers)
    result['provenance'] = profile.provenance(script='benchmarks/store.py', data=df.attrs.get('name') or a.data,
                                              workers=a.workers, cores=len(os.sched_getaffinity(0)), rounds=a.rounds,
                                              threads=os.environ.get('OMP_NUM_THREADS', 'not set'),
                                              pandas=pd.__version__, pillow=Image.__version__)
    a.out.parent.mkdir(exist_ok=True)
    new = a.out.with_name(a.out.name+'.new')
    new.write_text(json.dumps(result, indent=1))
    os.replace(new, a.out)
    print(f'store {plain/built:.2f} times as fast as the plain loop; checks {check/decode:.2f} times the full-size '
          f'decode; difference {result["store"]["difference to PIL, grey levels"]}')
