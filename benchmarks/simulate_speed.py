"""How fast the simulated survey is made: galaxies a second with images, seconds for 61,578 rows of labels, memory.

    python benchmarks/simulate_speed.py --n 2000 --workers 2

Writes results/simulate_speed.json. Measure on a machine that does nothing else; the load is written beside the figures.
"""
import argparse, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from galaxy_nbdev import results
from galaxy_nbdev.simulate import VERSION, simulate_survey
from timing import machine, peak_gb, seconds

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--n', type=int, default=2000)
    ap.add_argument('--workers', type=int, default=2)
    ap.add_argument('--labels', type=int, default=61578)
    ap.add_argument('--out', type=Path, default='simulate_speed')
    a, before = ap.parse_args(), machine()
    with tempfile.TemporaryDirectory() as t:
        drawing = seconds(lambda: simulate_survey(a.n, 1, Path(t)/'a', layout='simulated', workers=a.workers))
        voting = seconds(lambda: simulate_survey(a.labels, 1, Path(t)/'b', images=False))
    row = before | dict(galaxies=a.n, workers=a.workers, galaxies_per_second=round(a.n/drawing, 1), labels=a.labels,
                        labels_seconds=round(voting, 1), peak_mb=round(1024*peak_gb()))
    results.keep(row, a.out, ('galaxies', 'workers', 'labels'), sky_version=VERSION)
    print(row)
