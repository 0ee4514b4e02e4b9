"""Damaged pictures of every kind that is read: what is raised, how long it takes; writes results/mutated_pictures.json.

    python benchmarks/mutated_pictures.py [--n 20000] [--seed 0] [--workers 2] [--out results/mutated_pictures.json]

Each file is a sound picture in which bytes were changed, cut out, doubled or put in, or a number of its header
replaced, all from one seed. It is read as cleaning reads it and as a store does. Only ValueError and OSError may
leave, and cleaning raises nothing.
"""
import argparse, gzip, io, os, re, signal, sys, tempfile, time, warnings
from collections import Counter
from functools import partial
from pathlib import Path
import numpy as np
from PIL import Image
from tqdm import tqdm
from galaxy_nbdev import cleaning, images, results

LIMIT = 30                  # seconds after which a process that reads one file is ended: a hang


def galaxy(n=96):
    "A drawn galaxy with noise, (n, n, 3) uint8."
    y, x = np.mgrid[:n, :n]-n/2
    light = 200*np.exp(-np.hypot(x/9, y/5))[..., None]*[1, .9, .7]+np.random.default_rng(0).normal(12, 3, (n, n, 3))
    return light.clip(0, 255).astype('uint8')


def sound():
    "Name of a kind -> ending and bytes of a sound file."
    from astropy.io import fits
    a = galaxy()
    flux = a.transpose(2, 0, 1)[::-1].astype('float32')

    def pil(ending, a=a, **how):
        b = io.BytesIO()
        Image.fromarray(a).save(b, ending.removeprefix('.').replace('jpg', 'jpeg').replace('tif', 'tiff'), **how)
        return ending, b.getvalue()

    def tiled(how, data):
        b = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, compression_type=how)]).writeto(b)
        return '.fits.fz', b.getvalue()

    b = io.BytesIO()
    fits.PrimaryHDU(flux).writeto(b)
    deep = a[..., 1].astype('uint16')*257
    return {'JPEG': pil('.jpg', quality=90), 'JPEG, progressive': pil('.jpg', progressive=True),
            'PNG': pil('.png'), 'PNG, 16 bits': pil('.png', deep),
            'TIFF': pil('.tif'), 'TIFF, deflate': pil('.tif', compression='tiff_deflate'),
            'TIFF, LZW, 16 bits': pil('.tif', deep, compression='tiff_lzw'),
            'WebP': pil('.webp', quality=80), 'WebP, lossless': pil('.webp', lossless=True),
            'FITS': ('.fits', b.getvalue()), 'FITS, Rice': tiled('RICE_1', flux[1]),
            'FITS, tiles by gzip': tiled('GZIP_2', flux), 'FITS, HCOMPRESS': tiled('HCOMPRESS_1', flux[1]),
            'FITS, PLIO': tiled('PLIO_1', a[..., 1].astype('int16')),
            'FITS, gzip': ('.fits.gz', gzip.compress(b.getvalue())),
            'FITS, damaged and then packed': ('.fits.gz', b.getvalue())}


def mutated(data, rng):
    "The bytes of a file with one to three faults."
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        n = len(data)
        if n < 2: break
        head = min(n, int(rng.choice([60, 400, 6000, n])))           # faults in the header are the mean ones
        at, length = int(rng.integers(head)), int(rng.integers(1, 200))
        match rng.integers(7):
            case 0: data[at] = int(rng.integers(256))
            case 1:
                for k in rng.integers(head, size=rng.integers(1, 40)): data[k] = int(rng.integers(256))
            case 2: del data[at:]
            case 3: data[at:at+length] = bytes(len(data[at:at+length]))
            case 4: del data[at:at+length]
            case 5: data[at:at] = data[at:at+length]
            case 6: _other_number(data, rng)
    return bytes(data)


def _other_number(data, rng):
    "Another number in the header: in a card of a FITS file, else in four bytes."
    numbers = [m.span() for m in re.finditer(rb'(?<== ) *-?[\d.]+', bytes(data[:20_000]))]
    if numbers and data[:6] == b'SIMPLE':
        a, b = numbers[rng.integers(len(numbers))]
        data[a:b] = str(rng.choice([-1, 0, 1, 3, 7, 65537, 10**9, 10**18, 1e300])).encode().rjust(b-a)[:b-a]
    else:
        at = int(rng.integers(min(len(data), 300)))
        data[at:at+4] = int(rng.choice([0, 1, 255, 2**16, 2**31-1, 2**32-1])).to_bytes(4, 'big')[:len(data[at:at+4])]


def read(job):
    "One damaged file: kind, seed, what became of it, processor seconds."
    kind, (ending, data), seed, folder = job
    data = mutated(data, np.random.default_rng(seed))
    if kind == 'FITS, damaged and then packed': data = gzip.compress(data, 1)
    file = f'{folder}/{os.getpid()}{ending}'
    Path(file).write_bytes(data)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LIMIT)
    start = time.process_time()
    said = _outcome(file)
    took = time.process_time()-start
    signal.alarm(0)
    return kind, seed, said, took


def _outcome(file):
    "'read', 'refused', or the name of an exception that may not leave."
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try: cleaning.measure_image(file)
        except Exception as e: return f'cleaning: {type(e).__name__}'
        try: images.open_crop(file, None, 64)
        except (ValueError, OSError): return 'refused'
        except Exception as e: return type(e).__name__
    return 'read'


def run(n, seed=0, workers=2, batch=400):
    "Read `n` damaged files; a list of (kind, seed, outcome, processor seconds), and batches that ended a process."
    kinds, found, died = list(sound().items()), [], []
    with tempfile.TemporaryDirectory() as t:
        jobs = [(*kinds[k % len(kinds)], seed*10**9+k, t) for k in range(n)]
        for i in tqdm(range(0, n, batch), 'damaged pictures', delay=2):
            try: found += images.in_parallel(read, jobs[i:i+batch], workers, chunksize=8)
            except OSError: died.append(i)
    return found, died


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--n', type=int, default=20_000)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--workers', type=int, default=2)
    p.add_argument('--out', default='mutated_pictures')
    a = p.parse_args()
    sys.stderr.flush()
    found, died = run(a.n, a.seed, a.workers)
    for kind in sound():
        mine = [f for f in found if f[0] == kind]
        said = Counter(f[2] for f in mine)
        leaks = {k: v for k, v in said.items() if k not in ('read', 'refused')}
        row = {'format': kind, 'seed': a.seed, 'of': a.n, 'files': len(mine), 'read': said['read'],
               'refused': said['refused'], 'leaks': sum(leaks.values()), 'over 2 s': sum(f[3] > 2 for f in mine),
               'slowest': round(max((f[3] for f in mine), default=0), 3)}
        print(row, leaks or '', [f[1] for f in mine if f[2] in leaks or f[3] > 2][:5], flush=True)
        results.keep(row, a.out, key=('format', 'seed'), script='benchmarks/mutated_pictures.py', ended=len(died))
    print(f'{len(found)} files, {len(died)} batches ended a process: first files {died[:5]}')


if __name__ == '__main__': main()
