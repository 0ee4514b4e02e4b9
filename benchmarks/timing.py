"""Taking turns: the one way in which benchmarks time, and ask for memory.

Two sides of a ratio alternate within one run, so that what else the machine does meets both; a side is called once to
warm up, then five times, and its median counts. Every turn says the load it began under.
"""
import os, resource, statistics, sys, time
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1]))
from galaxy_nbdev import profile

def seconds(f):
    "Wall-clock seconds of a call."
    began = time.perf_counter()
    f()
    return time.perf_counter()-began

def in_turn(sides, rounds=5, warm=1, tell=False):
    """What each side takes: {name: {'median': ..., 'turns': [{'value': ..., 'load': ...}, ...]}}. A side is a function;
    its value is the number that it returns, and where it returns none, its wall-clock seconds. The order is turned
    round after every round."""
    turns = {name: [] for name in sides}
    for k in range(-warm, rounds):
        for name in list(sides)[::-1 if k % 2 else 1]:
            load, began = os.getloadavg()[0], time.perf_counter()
            value = sides[name]()
            if value is None: value = time.perf_counter()-began
            if k >= 0: turns[name].append({'value': value, 'load': round(load, 2)})
            if k >= 0 and tell: print(f'  {name}: {turns[name][-1]}', flush=True)
    return {name: {'median': statistics.median(t['value'] for t in of), 'turns': of} for name, of in turns.items()}

def medians(sides, rounds=5, warm=1):
    "The median of each side alone."
    return {name: found['median'] for name, found in in_turn(sides, rounds, warm).items()}

def peak_gb():
    "The largest memory that this process or one of those it waited for has held, GB."
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))/1024**2

def machine(**more):
    "Threads and load as they are now, to be told beside figures of speed; taken before a measurement begins."
    return {k: v for k, v in profile.provenance(**more).items() if k in ('threads', 'load', *more)}
