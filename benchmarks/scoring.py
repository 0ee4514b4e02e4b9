"""What scoring costs: 100,000 predictions of 37 fractions with 200 draws of the bootstrap; seconds and peak memory.

    python benchmarks/scoring.py                    # 100,000 galaxies
    python benchmarks/scoring.py --galaxies 10000

The galaxies are 5,000 simulated ones, repeated under new ids. The result goes to results/scoring.json. The bar: 20 s
and 2 GB.
"""
import argparse, sys, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import pandas as pd
from galaxy_nbdev import results
from galaxy_nbdev.evaluation import score
from galaxy_nbdev.schema import CLASSES
from galaxy_nbdev.simulate import simulate_catalogue
from timing import machine, peak_gb

def main(galaxies, draws, out):
    df, truth = simulate_catalogue(min(galaxies, 5000), seed=1)
    times = -(-galaxies//len(df))
    ids = [f'g{i}' for i in range(galaxies)]
    many = lambda t: pd.concat([t]*times, ignore_index=True).head(galaxies).assign(galaxy_id=ids)
    attrs, df, pred = df.attrs, many(df), many(truth[['galaxy_id', *CLASSES]])
    df.attrs = attrs
    before, start, cpu = machine(), time.perf_counter(), time.process_time()
    s = score(pred, df, draws=draws)
    seconds, cpu = time.perf_counter()-start, time.process_time()-cpu
    peak = peak_gb()
    row = before | dict(galaxies=galaxies, outputs=int(s.overall.outputs), draws=draws, seconds=round(seconds, 2),
                        cpu_seconds=round(cpu, 2),
                        peak_gb=round(peak, 2), over_floor=round(float(s.overall.over_floor), 4))
    met = bool(seconds < 20 and peak < 2)
    results.keep(row, out, ('galaxies', 'draws'), bar={'seconds': 20, 'peak_gb': 2}, met=met)
    print(f'{galaxies:,} x {row["outputs"]} predictions, {draws} draws: {seconds:.1f} s, '
          f'{cpu:.1f} s of processor time, peak {peak:.2f} GB of memory, load {row["load"]}')

if __name__ == '__main__':
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--galaxies', type=int, default=100_000)
    a.add_argument('--draws', type=int, default=200)
    a.add_argument('--out', type=Path, default='scoring')
    main(**vars(a.parse_args()))
