"""What a survey costs: galaxies per second and core, and memory over time, for 1,000, 10,000 and 100,000 galaxies, by
one process and by two Dask workers.

    python benchmarks/survey.py                                     # writes results/survey.json
    python benchmarks/survey.py --galaxies 1000 --out /tmp/survey.json

The galaxies are 200 simulated ones, repeated under new ids: their JPEGs are decoded anew each time, but they stay in
the system's cache, so the figures hold for a disk that keeps up. They are stored at 64 px and predicted from the
store by the course CNN after one epoch. Partitions hold 2,000 galaxies, and fewer where there would be less than
twenty of them. One thread a process; the process that works alone is held to one core. A row times a whole call in
which nothing was done before, after one partition that every process, workers too, predicted to warm up. What is
measured is kept in --work/survey-cost, and an interrupted run goes on with the next row. The bars: per core, two
workers reach 0.9 of the single rate; their memory grows by less than 1 % from a fifth of the largest job to its end.
Rates mean little on a machine that does other work: each row says the load it began under.
"""
import argparse, json, os, shutil, sys, threading, time
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import numpy as np, psutil
from galaxy_nbdev import files, learner, profile, results, sources, survey
from galaxy_nbdev.runs import run_folder
from galaxy_nbdev.dataloaders import GalaxyDataLoaders

def write_partitions(df, n, dest):
    "A catalogue of n galaxies in files, the same images again and again; how many files."
    per = min(2000, -(-n//20))
    shutil.rmtree(dest, ignore_errors=True)
    dest.mkdir(parents=True)
    for k, i in enumerate(range(0, n, per)):
        rows = np.arange(i, min(i+per, n))
        df.iloc[rows % len(df)].assign(galaxy_id=[f'g{r}' for r in rows]).to_parquet(dest/f'part-{k:05d}.parquet')
    return -(-n//per)

def watched(job, pids, dest, parts):
    "Seconds of a job, and samples of it: seconds, share of the partitions done, memory of these processes, GB."
    samples, over, start = [], threading.Event(), time.perf_counter()
    def watch():
        while not over.wait(.1): samples.append((time.perf_counter()-start,
                                                 len(list((dest/'_notes').glob('*.json')))/parts,
                                                 sum(psutil.Process(p).memory_info().rss for p in pids)/1e9))
    thread = threading.Thread(target=watch)
    thread.start()
    try: report = job()
    finally:
        seconds = time.perf_counter()-start
        over.set()
        thread.join()
    if not (report.status == 'done').all(): raise SystemExit(report[report.status != 'done'].to_string())
    return seconds, samples

def growth(samples):
    "Growth of memory from a fifth of the job to its end, along a line, as a share; None with under ten samples."
    late = np.array([(t, gb) for t, share, gb in samples if share >= .2])
    if len(late) < 10: return None
    slope, first = np.polyfit(late[:, 0]-late[0, 0], late[:, 1], 1)
    return round(float(slope*(late[-1, 0]-late[0, 0])/first), 5)

def measured(job, pids, dest, parts, n):
    "One job's figures."
    shutil.rmtree(dest, ignore_errors=True)
    seconds, samples = watched(job, pids, dest, parts)
    thin = samples[::max(1, len(samples)//60)]
    size = sum(f.stat().st_size for f in dest.rglob('*') if f.is_file())
    return {'seconds': round(seconds, 2), 'rate': round(n/seconds/len(pids), 1), 'growth': growth(samples),
            'peak_gb': round(max((s[2] for s in samples), default=0), 3),
            'bytes': round(size/n), 'memory': [[round(v, 3) for v in s] for s in thin]}

def row(run, source, folder, n, parts, client):
    "Store and prediction of one catalogue, by this process or by the workers."
    pids, load = [os.getpid()] if client is None else list(client.run(os.getpid).values()), os.getloadavg()[0]
    stores, out = folder/'stores', folder/'predictions'
    got = {'galaxies': n, 'workers': len(pids), 'partitions': parts, 'load': round(load, 2)}
    got['store'] = measured(lambda: survey.store_partitions(source, stores, client=client), pids, stores, parts, n)
    got['predict'] = measured(lambda: survey.predict_partitions(run, source, out, stores=stores, client=client), pids,
                              out, parts,
                              n)
    shutil.rmtree(folder)
    return got

def course_run(work):
    "The run of a course CNN after one epoch on 200 galaxies, and their catalogue."
    df = sources.catalogue('simulated', n=200)
    learn = learner.galaxy_learner(GalaxyDataLoaders.from_catalogue(df, bs=32), 'galaxy_nbdev.cnn:galaxy_cnn')
    run = run_folder(learn, 'course')
    if not (run/'provenance.json').exists(): learner.train_run(learn, 'course', 1)
    return run, df

def warm(run, source, work):
    "One partition predicted, and thrown away: everything is imported, the network loaded."
    dest = work/f'warm-{os.getpid()}'
    survey.predict_partitions(run, survey.partitions(source)[0], dest)
    shutil.rmtree(dest)

def alone(run, source, folder, n, parts):
    "The row of one process, on one core: decoding takes every core that it may."
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    warm(run, source, folder.parent)
    try: return row(run, source, folder, n, parts, None)
    finally: os.sched_setaffinity(0, cores)

def together(run, source, folder, n, parts):
    "The row of two workers."
    with survey.connect(2) as client:
        client.run(warm, run, source, folder.parent)
        return row(run, source, folder, n, parts, client)

def summary(rows, bar):
    "What the rows of the largest survey say against the bars."
    one, two = [max((r for r in rows if r['workers'] == w), key=lambda r: r['galaxies']) for w in (1, 2)]
    ratio = {w: round(two[w]['rate']/one[w]['rate'], 3) for w in ('store', 'predict')}
    grown = {w: two[w]['growth'] for w in ratio}
    return {'ratio': ratio, 'growth': grown, 'bar': {'ratio': bar, 'growth': .01},
            'met': {'ratio': min(ratio.values()) >= bar,
                    'growth': all(g is not None and g < .01 for g in grown.values())}}

def main(a):
    work = a.work.resolve()/'survey-cost'
    work.mkdir(parents=True, exist_ok=True)
    os.environ['GALAXY_HOME'] = str(work)
    kept, code = work/'rows.json', files.file_digest(ROOT/'galaxy_nbdev'/'survey.py')[:12]
    run, df = course_run(work)
    for n in a.galaxies:
        for workers, measure in ((1, alone), (2, together)):
            if results.done({'galaxies': n, 'workers': workers, 'code': code}, kept): continue
            parts = write_partitions(df, n, work/'catalogue')
            found = measure(run, work/'catalogue', work/f'{n}-{workers}', n, parts) | {'code': code}
            results.keep(found, kept, ('galaxies', 'workers'))
            told = ', '.join(f'{w} {found[w]["rate"]:,.0f} a second and core, memory grows {found[w]["growth"]}'
                             for w in ('store', 'predict'))
            print(f'{n:,} galaxies, {workers} process(es), load {found["load"]}: {told}', flush=True)
    rows = [r for r in files.read_json(kept)['runs'] if r['galaxies'] in a.galaxies]
    about = summary(rows, a.ratio) | dict(network='galaxy_nbdev.cnn:galaxy_cnn', size=64, distinct_images=200)
    for r in rows: results.keep(r, a.out, ('galaxies', 'workers'), **about)
    shutil.rmtree(work)
    print(json.dumps(summary(rows, a.ratio)))

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--galaxies', type=int, nargs='+', default=[1000, 10_000, 100_000])
    p.add_argument('--ratio', type=float, default=.9, help='the bar')
    p.add_argument('--work', type=Path, default=profile.home()/'cache',
                   help='folder for unfinished work, in survey-cost/')
    p.add_argument('--out', type=Path, default='survey')
    main(p.parse_args())
