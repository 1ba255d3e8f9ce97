"""Runs the counting of ranges: in this process, in a pool of processes, or on a Dask cluster; results come in order."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from diagnose.errors import DiagnoseError, ExtraMissing
from diagnose.history.counts import Counts, Lost
from diagnose.history.ranges import Task, count
from diagnose.model import Phrase

if TYPE_CHECKING:
    from concurrent.futures import Future

AHEAD = 4
"""Ranges for each process that are under way or wait to be taken in."""
KILLED = "the process that counted it was killed"
CONNECT = 10.0
"""Seconds in which a scheduler has to answer."""

_ADDRESS = re.compile(r"(?:(?:tcp|tls|ws|wss)://)?(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}", re.A)

Done = tuple[Task, Counts]


def here(tasks: Iterable[Task]) -> Iterator[Done]:
    """One after another, in this process."""
    for task in tasks:
        yield task, count(task)


def pool(tasks: Iterable[Task], jobs: int) -> Iterator[Done]:
    """In as many processes. One that is killed costs nothing but time: what it had not given back is counted again."""
    from concurrent.futures.process import BrokenProcessPool

    waiting = deque(tasks)
    for attempt in range(2):
        try:
            yield from _pooled(waiting, jobs)
            return
        except BrokenProcessPool:
            if attempt:
                break
    while waiting:  # each alone, so that only the one that kills its process is lost
        task = waiting[0]
        try:
            yield from _pooled(deque([task]), 1)
        except BrokenProcessPool:
            yield task, _lost(task, KILLED)
        waiting.popleft()


def _pooled(waiting: deque[Task], jobs: int) -> Iterator[Done]:
    """Takes a task from `waiting` when its counts have been given on."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs, _context(), initializer=_begin) as workers:
        futures: deque[Future[Counts]] = deque()
        try:
            while waiting:
                while len(futures) < min(jobs * AHEAD, len(waiting)):
                    futures.append(workers.submit(count, waiting[len(futures)]))
                done = futures.popleft().result()
                yield waiting[0], done
                waiting.popleft()
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def _context() -> Any:
    """Forked where that is safe and cheap, which is Linux with a single thread; elsewhere the system's own way."""
    import multiprocessing

    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _begin() -> None:
    """A worker is ended by whoever started it, not by the terminal's Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(50_000)


def cluster(tasks: Iterable[Task], address: str) -> Iterator[Done]:
    """On a Dask cluster, whose workers need this package and the same paths or addresses.

    Raises ExtraMissing without the extra `cluster`, and DiagnoseError where no scheduler answers.
    """
    try:
        import distributed
    except ImportError:
        raise ExtraMissing(
            "--scheduler needs the extra 'cluster': pip install 'diagnose-generation[cluster]'"
        ) from None
    if not _ADDRESS.fullmatch(address):
        raise DiagnoseError(
            Phrase("--scheduler {address}: is no address of a scheduler, such as tcp://10.0.0.5:8786", address=address)
        )
    try:
        client: Any = distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise DiagnoseError(
            Phrase(
                "--scheduler {address}: no scheduler answers there: {error}", address=address, error=str(error)[:200]
            )
        ) from None
    with client:
        ahead = max(sum(client.nthreads().values()), 1) * AHEAD
        waiting, futures = deque(tasks), deque[Any]()
        while waiting:
            while len(futures) < min(ahead, len(waiting)):
                futures.append(client.submit(count, waiting[len(futures)], pure=False, retries=1))
            task, future = waiting[0], futures.popleft()
            try:
                yield task, future.result()
            except OSError as error:
                raise DiagnoseError(
                    Phrase(
                        "--scheduler {address}: the cluster was lost: {error}", address=address, error=str(error)[:200]
                    )
                ) from None
            except Exception as error:
                if type(error).__name__ not in ("KilledWorker", "CancelledError", "FutureCancelledError"):
                    raise
                yield task, _lost(task, KILLED)
            waiting.popleft()


def _lost(task: Task, why: str) -> Counts:
    return replace(task.question.nothing, lost=[Lost(task.file.number, task.start, task.end, why)])


def processors() -> int:
    """How many processes this machine runs at once, as far as this process may use it."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
