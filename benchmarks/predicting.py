"""Does the memory of a prediction grow with its galaxies? Peak memory and speed for 2,000 and for 20,000, each in a
process of its own.

    python benchmarks/predicting.py                         # writes results/predicting.json
    python benchmarks/predicting.py --galaxies 2000 200000

The galaxies are 200 simulated ones, repeated under new ids, read from their JPEG files; the network is the untrained
course CNN; shards go to a temporary folder. The bar: ten times the galaxies take at most 100 MB more.
"""
import argparse, json, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import pandas as pd
from galaxy_nbdev import results, sources
from galaxy_nbdev.dataloaders import GalaxyDataLoaders
from galaxy_nbdev.prediction import predict_shards
from galaxy_nbdev.learner import galaxy_learner
from timing import peak_gb

def one(survey, galaxies):
    "Predict so many galaxies; seconds and peak memory in GB."
    df = sources.read_simulated(survey)
    learn = galaxy_learner(GalaxyDataLoaders.from_catalogue(df, source='files', bs=32), 'galaxy_nbdev.cnn:galaxy_cnn')
    many = pd.concat([df[['galaxy_id', 'path']]]*-(-galaxies//len(df)), ignore_index=True).head(galaxies)
    many = many.assign(galaxy_id=[f'g{i}' for i in range(galaxies)])
    with tempfile.TemporaryDirectory() as dest:
        start = time.perf_counter()
        files = sorted(predict_shards(learn, many, dest).glob('part-*'))
        seconds, rows = time.perf_counter()-start, sum(len(pd.read_parquet(f, columns=['galaxy_id'])) for f in files)
    print(json.dumps(dict(galaxies=rows, seconds=round(seconds, 1), per_second=round(rows/seconds),
                          peak_gb=round(peak_gb(), 3))))

def asked(survey, n):
    "The figures of a process of its own."
    told = subprocess.run([sys.executable, __file__, '--one', str(survey), str(n)], capture_output=True, text=True,
                          check=True)
    return json.loads(told.stdout.splitlines()[-1])

def main(galaxies, out):
    from galaxy_nbdev.simulate import simulate_survey
    with tempfile.TemporaryDirectory() as t:
        survey = simulate_survey(200, 0, f'{t}/survey', layout='simulated')
        runs = [asked(survey, n) for n in galaxies]
    more = runs[-1]['peak_gb']-runs[0]['peak_gb']
    for r in runs:
        results.keep(r, out, ('galaxies',), more_gb=round(more, 3), bar={'more_gb': .1}, met=bool(more < .1))
        print('{galaxies:,} galaxies: {seconds} s, {per_second} a second, peak {peak_gb} GB'.format(**r))

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--galaxies', type=int, nargs='+', default=[2000, 20_000])
    ap.add_argument('--one', nargs=2)
    ap.add_argument('--out', type=Path, default='predicting')
    a = ap.parse_args()
    one(Path(a.one[0]), int(a.one[1])) if a.one else main(a.galaxies, a.out)
