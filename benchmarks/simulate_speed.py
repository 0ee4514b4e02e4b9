"""How fast the simulated survey is made: galaxies a second with images, seconds for 61,578 rows of labels, memory.

    python benchmarks/simulate_speed.py --n 2000 --workers 2

Writes results/simulate_speed.json. Measure on a machine that does nothing else; the load is written beside the
figures.
"""
import argparse, json, os, platform, resource, shutil, sys, tempfile, time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]; sys.path.insert(0, str(ROOT))
from galaxy_nbdev import __version__
from galaxy_nbdev.simulate import VERSION, simulate_survey

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--n', type=int, default=2000)
    ap.add_argument('--workers', type=int, default=2)
    ap.add_argument('--labels', type=int, default=61578)
    a = ap.parse_args()
    load, tmp = os.getloadavg()[0], Path(tempfile.mkdtemp())
    t = time.perf_counter()
    simulate_survey(a.n, 1, tmp/'a', layout='simulated', workers=a.workers)
    drawing = time.perf_counter()-t
    t = time.perf_counter()
    simulate_survey(a.labels, 1, tmp/'b', images=False)
    voting = time.perf_counter()-t
    shutil.rmtree(tmp)
    peak = max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))/1024
    out = dict(galaxies=a.n, workers=a.workers, galaxies_per_second=round(a.n/drawing, 1), labels=a.labels,
               labels_seconds=round(voting, 1), peak_mb=round(peak), load=round(load, 2),
               provenance=dict(package=__version__, sky_version=VERSION, cores=os.cpu_count(),
                   machine=platform.machine(), python=platform.python_version(),
                   date=datetime.now(timezone.utc).isoformat(timespec='minutes')))
    dest = ROOT/'results/simulate_speed.json'
    dest.parent.mkdir(exist_ok=True)
    part = dest.with_suffix('.part')
    part.write_text(json.dumps(out, indent=1)+'\n')
    os.replace(part, dest)
    print(out)
