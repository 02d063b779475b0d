"""Workers of a sweep on one machine: several processes prune, one thing at a time is measured."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol

from ..signals import undisturbed
from ._clock import timed
from ._make import make
from ._row import Job, Row

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Crew(Protocol):
    """Takes jobs and gives rows as they are done, in any order."""

    def prune(self, jobs: Sequence[Job]) -> Iterator[Row]: ...

    def measure(self, jobs: Sequence[tuple[Job, Row]]) -> Iterator[Row]: ...


class LocalCrew:
    """This machine; with one worker everything happens in this process."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers

    def prune(self, jobs: Sequence[Job]) -> Iterator[Row]:
        if self._workers == 1 or len(jobs) < 2:
            yield from map(make, jobs)
        else:
            yield from _in_processes(jobs, min(self._workers, len(jobs)))

    def measure(self, jobs: Sequence[tuple[Job, Row]]) -> Iterator[Row]:
        """One after the other: nothing else of the sweep runs meanwhile."""
        for job, row in jobs:
            yield timed(job, row)


def _in_processes(jobs: Sequence[Job], workers: int) -> Iterator[Row]:
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_leave_interrupts)
    try:
        with _shared_cores(workers), undisturbed():
            # All processes start here, and read what they may use; one that is half told what it is complains.
            waiting = {pool.submit(make, job): job for job in jobs}
        for future in as_completed(waiting):
            yield _row(future, waiting[future])
    except BaseException:
        # What runs now would hold up an interrupted command for as long as a prune takes. It leaves no
        # folder, and is done again when the sweep goes on.
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _shared_cores(workers: int) -> Iterator[None]:
    """Numerical libraries take every core unless told; several processes that do so slow each other down.

    They read this when a process starts, so what runs already is not affected. A user's own setting stays.
    """
    share = str(max(1, (os.cpu_count() or 1) // workers))
    ours = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, share))
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


def _leave_interrupts() -> None:
    """Ctrl-C reaches the whole group of processes: the first of them decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _row(future: Future[Row], job: Job) -> Row:
    try:
        return future.result()
    except BrokenProcessPool:
        reason = "its process ended early: perhaps there was too little memory; try fewer workers"
        return Row(candidate=job.candidate, rule="internal", reason=reason)
