"Executes notebooks with a real kernel, on the data and in the profile that were asked for."
import os, re, sys, time
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

def execute(source, folder):
    "The executed notebook, and what stopped it (None if nothing did)."
    nb, flags = read(source), set(get_config(path=ROOT).tst_flags.split())
    for cell in nb.cells:
        if is_skipped(cell, flags): cell.metadata['tags'] = ['skip-execution']
    quiet = ['--log-level=ERROR']       # no warning about the local socket with every kernel
    client = NotebookClient(nb, timeout=None, kernel_name='python3', resources={'metadata': {'path': str(folder)}},
                            store_widget_state=False, extra_arguments=quiet)
    try: client.execute()
    except CellExecutionError as e: return nb, re.sub(r'\x1b\[[\d;]*m', '', str(e))
    except DeadKernelError: return nb, 'the kernel died: it may have run out of memory'
    return nb, None

def short(text, head=25, tail=15):
    "The beginning and the end of a long message."
    lines = text.strip().splitlines()
    if len(lines) <= head+tail: return '\n'.join(lines)
    return '\n'.join([*lines[:head], f'... {len(lines)-head-tail} lines ...', *lines[-tail:]])

def chosen(only=None):
    "The notebooks to execute: all, or `only` these; NB=part-of-a-name narrows them further."
    return [n for n in ordered() if os.environ.get('NB', '') in str(n) and (only is None or n in only)]

def each(folder, keep, only=None):
    """Execute the chosen notebooks as if they lay in `folder`, with a line of progress each;
    `keep(name, nb, seconds)` is called even for one that stops."""
    for name in chosen(only):
        print(f'{name.with_suffix("")!s:28}', end='', flush=True)
        start = time.monotonic()
        nb, error = execute(NBS/name, folder/name.parent)
        seconds = time.monotonic()-start
        print(f'{"stopped after" if error else ""}{seconds:7.1f} s', flush=True)
        keep(name, nb, seconds)
        if error: raise Stopped(f'nbs/{name} stopped:\n' + short(error))
