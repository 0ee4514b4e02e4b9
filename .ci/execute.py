"Executes notebooks with a real kernel, on the data and in the profile that were asked for."
import atexit, os, re, sys, time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbdev.config import get_config
from notebooks import NBS, ROOT, Stopped, is_skipped, ordered, read

def place(name, *variables):
    "A folder named by one of these variables, made absolute; a relative one counts from where make was called."
    given = next((os.environ[v] for v in variables if os.environ.get(v)), None)
    if given in (None, 'simulated'): return given
    starts = (os.environ.get('CALLED_FROM') or ROOT, ROOT)
    tried = [(Path(start)/Path(given).expanduser()).resolve() for start in starts]
    here = next((p for p in tried if p.exists()), None)
    if here is None:
        sys.exit(f'{name}={given}: there is no {tried[0]}; give the folder of a data set, or leave {name} out')
    return str(here)

def prepare():
    "Put DATA, PROFILE and KIND where the notebooks look for them, and make the survey before the first of them."
    for name in ('PROFILE', 'KIND'):
        if os.environ.get(name): os.environ[f'GALAXY_{name}'] = os.environ[name]
    data = place('DATA', 'DATA', 'GALAXY_DATA')
    if data: os.environ['GALAXY_DATA'] = data
    if home := os.environ.get('GALAXY_HOME'):
        os.environ['GALAXY_HOME'] = str((Path(os.environ.get('CALLED_FROM') or ROOT)/home).resolve())
    from galaxy_nbdev import profile, sources
    try: return profile.current(), sources.catalogue()
    except (ValueError, OSError) as e: sys.exit(str(e))

RUNNING = set()     # the clients of kernels at work

def execute(source, folder, threads=None):
    "The executed notebook, what stopped it (None if nothing did), and its seconds."
    nb, flags, began = read(source), set(get_config(path=ROOT).tst_flags.split()), time.monotonic()
    for cell in nb.cells:
        if is_skipped(cell, flags): cell.metadata['tags'] = ['skip-execution']
    quiet = ['--log-level=ERROR']       # no warning about the local socket with every kernel
    client = NotebookClient(nb, timeout=None, kernel_name='python3', resources={'metadata': {'path': str(folder)}},
                            store_widget_state=False, extra_arguments=quiet)
    env = os.environ | ({'OMP_NUM_THREADS': str(threads)} if threads else {})
    RUNNING.add(client)
    try: client.execute(env=env)
    except CellExecutionError as e: stopped = re.sub(r'\x1b\[[\d;]*m', '', str(e))
    except DeadKernelError: stopped = 'the kernel died: it may have run out of memory'
    else: stopped = None
    finally:
        RUNNING.discard(client)
        atexit.unregister(client._cleanup_kernel)       # its kernel is gone, also where it was stopped from outside
    return nb, stopped, time.monotonic()-began

def short(text, head=25, tail=15):
    "The beginning and the end of a long message."
    lines = text.strip().splitlines()
    if len(lines) <= head+tail: return '\n'.join(lines)
    return '\n'.join([*lines[:head], f'... {len(lines)-head-tail} lines ...', *lines[-tail:]])

def chosen(only=None):
    "The notebooks to execute: all, or `only` these; NB=part-of-a-name narrows them further."
    return [n for n in ordered() if os.environ.get('NB', '') in str(n) and (only is None or n in only)]

READERS = {Path('06_evaluation.ipynb'), Path('index.ipynb')}    # show what the other notebooks have trained

def each(folder, keep, only=None):
    """Execute the chosen notebooks as if they lay in `folder`, one a core and at most four side by side, then those
    that show what the others trained; a line for each, and `keep(name, nb, seconds)` even for one that stops."""
    names, cores = chosen(only), len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    side_by_side([n for n in names if n not in READERS], min(4, cores), cores, folder, keep)
    side_by_side([n for n in names if n in READERS], 1, cores, folder, keep)

def side_by_side(names, jobs, cores, folder, keep):
    "Execute notebooks that need nothing of each other; the first that stops ends the others."
    threads = int(os.environ.get('OMP_NUM_THREADS') or max(1, cores//jobs))
    with ThreadPoolExecutor(jobs) as pool:
        begun = {pool.submit(execute, NBS/name, folder/name.parent, threads): name for name in names}
        try:
            for done in as_completed(begun):
                name, (nb, error, seconds) = begun[done], done.result()
                print(f'{name.with_suffix("")!s:28}{"stopped after" if error else ""}{seconds:7.1f} s', flush=True)
                keep(name, nb, seconds)
                if error: raise Stopped(f'nbs/{name} stopped:\n' + short(error))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while RUNNING:
                for client in list(RUNNING):
                    if client.km and client.km.has_kernel: client.km.provisioner.process.kill()
                time.sleep(.1)
            raise
