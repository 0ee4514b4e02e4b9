"""Speed of the image store, of the checks and of the readers; writes results/store.json.

    python benchmarks/store.py [--data FOLDER] [--n 4000] [--workers 2] [--rounds 5] [--out results/store.json]

Without --data it takes the simulated survey of 2,000 galaxies. The two sides of a ratio alternate within one run; a
ratio is that of the medians. Every timing has the load average beside it, and the numbers mean little on a machine
that does other work.
"""
import argparse, shutil, tempfile
from pathlib import Path
from timing import in_turn, seconds
import numpy as np
from PIL import Image
from galaxy_nbdev import cleaning, images, profile, results, simulate, sources

CROP, SIZE = 212, 64

def survey(data, n, folder):
    "A catalogue of n galaxies, each with a file of its own in `folder`: the data set's, again and again."
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

def alternate(sides, rounds):
    "Median seconds of each side, and every turn; each turn has an empty folder of its own."
    def once(f):
        with tempfile.TemporaryDirectory(dir=profile.home()) as t: return round(seconds(lambda: f(Path(t))), 3)
    return in_turn({name: lambda f=f: once(f) for name, f in sides.items()}, rounds, warm=0, tell=True)

def difference(df, n=400):
    "Mean absolute difference of the store's pixels and PIL's antialiased ones, grey levels of 255."
    ours = lambda p: np.asarray(images.open_crop(p, CROP, SIZE), float)
    theirs = lambda p: np.asarray(images.crop_resize(images.open_image(p), CROP, SIZE), float)
    apart = [np.abs(ours(p)-theirs(p)).mean() for p in df.path[:n]]
    return {'mean': round(float(np.mean(apart)), 4), 'worst galaxy': round(float(max(apart)), 4)}

def readers():
    "Seconds for Kaggle's 61,578 rows and for Hart's 239,695, written by the simulation in full size."
    layouts = (('kaggle', 61_578, sources.read_kaggle, {}),
               ('hart16', 239_695, sources.read_hart16, {'kind': 'weighted'}))
    with tempfile.TemporaryDirectory(dir=profile.home()) as t:
        for layout, n, read, how in layouts:
            root = simulate.simulate_survey(n, 0, Path(t)/layout, layout=layout, images=False, progress=False)
            took = in_turn({layout: lambda: seconds(lambda: read(root, missing='keep', **how))}, rounds=3,
                           warm=0)[layout]
            size = sum(p.stat().st_size for p in Path(root).glob('*.csv*'))
            yield {'part': 'readers', 'side': layout, 'rows': n, 'MB': round(size/1e6),
                   'seconds': round(took['median'], 3), 'turns': took['turns']}

def rows_of(part, n, found):
    "A row for each side of a ratio."
    return [{'part': part, 'side': name, 'images': n, 'seconds': v['median'], 'turns': v['turns']} for name,
            v in found.items()]

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', help='folder of a data set; default: the simulated survey')
    p.add_argument('--n', type=int, default=4000)
    p.add_argument('--workers', type=int, default=2)
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--no-readers', action='store_true')
    p.add_argument('--out', default='store', type=Path)
    a = p.parse_args()
    with tempfile.TemporaryDirectory(dir=profile.home()) as folder:
        df = survey(a.data, a.n, folder)
        for path in df.path: Path(path).read_bytes()        # every side finds the files in memory
        paths = df.path.tolist()
        list(images.in_parallel(full_decode, paths[:64], a.workers))
        print(f'{a.n} images of {a.data or "the simulated survey"}, {a.workers} workers')
        store = alternate({'plain loop, one process': lambda t: plain_loop(df, t/'small'),
                           'build_store': lambda t: images.build_store(df, t/'store', CROP, SIZE, workers=a.workers)},
                          a.rounds)
        checks = alternate({'full-size decode': lambda t: list(images.in_parallel(full_decode, paths, a.workers,
                                                                                  chunksize=32)),
                            'all checks': lambda t: cleaning.check_catalogue(df, workers=a.workers)}, a.rounds)
        apart = difference(df)
    plain, built, decode, check = (d['median'] for d in [*store.values(), *checks.values()])
    told = {'store': {'crop': CROP, 'size': SIZE, 'speed-up over the plain loop': round(plain/built, 2),
                      'images per second': round(a.n/built),
                      'difference to PIL, grey levels': apart},
            'checks': {'time over full-size decode': round(check/decode, 2), 'images per second': round(a.n/check)},
            'workers': a.workers, 'rounds': a.rounds}
    for row in [*rows_of('store', a.n, store), *rows_of('checks', a.n, checks), *([] if a.no_readers else readers())]:
        results.keep(row, a.out, ('part', 'side'), **told)
    print(f'store {plain/built:.2f} times as fast as the plain loop; checks {check/decode:.2f} times a full decode; '
          f'difference {apart}')
