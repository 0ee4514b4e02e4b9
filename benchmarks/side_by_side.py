"""Many small trainings in a few processes side by side, the most important first.

A process pays for its imports once and trains one task after the other. Tasks begin in their order; when the minutes
are over no further one begins, so that an early stop leaves the first ones whole.
"""
import os, time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

def options(ap):
    "The options of every benchmark that trains side by side."
    ap.add_argument('--jobs', type=int, default=1, help='processes that train side by side')
    ap.add_argument('--minutes', type=float, default=1e6, help='after so many, no further training begins')

def one(work, task, until):
    "What a process does with one task; None where the time is over."
    return work(task) if time.time() < until else None

def run(work, tasks, jobs=1, minutes=1e6):
    "`work(task)` of every task; `work` is a function of a module, tasks and answers are plain values. Gives answers."
    until = time.time()+60*minutes
    if jobs == 1:
        yield from (a for t in tasks if (a := one(work, t, until)) is not None)
        return
    os.environ.update(OMP_NUM_THREADS='1', OMP_WAIT_POLICY='passive')     # of the processes that start below
    with ProcessPoolExecutor(jobs, get_context('spawn')) as pool:
        begun = {pool.submit(one, work, t, until): t for t in tasks}
        for done in as_completed(begun):
            if done.exception(): print(f'failed: {begun[done]}: {done.exception()!r}'[:700], flush=True)
            elif done.result() is not None: yield done.result()
