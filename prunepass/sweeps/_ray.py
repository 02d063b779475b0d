"""Many machines through Ray: each prunes what it can at once, and measures one candidate at a time.

Nothing is expected of the machines but this package and Ray's own: models travel, with the files of their
weights. A machine measures where it offers the resource ``prunepass_clock``, of which a measurement takes all
there is::

    ray start --address=HEAD:6379 --resources='{"prunepass_clock": 1}'
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..ir import BackendError, UsageError
from ._clock import timed
from ._make import make
from ._row import MODEL, Job, Row
from ._shared import Shared

CLOCK = "prunepass_clock"
_LOCAL = "local"

Files = dict[str, bytes]


class RayCrew:
    """A cluster, at ``address``; ``local`` starts one on this machine. It is left when the sweep ends."""

    def __init__(self, address: str, shared: Shared) -> None:
        self._address = address
        self._ray = _ray()
        shared.check_sent(self._ray.cloudpickle.dumps)

    def prune(self, jobs: Sequence[Job]) -> Iterator[Row]:
        if not jobs:
            return
        self._join()
        work = self._ray.remote(num_cpus=1)(_prune_there)
        model = self._ray.put(_files_of(jobs[0].model))
        # Data may be large: they travel once.
        shared = self._ray.put(jobs[0].shared)
        waiting = {work.remote(_alone(job), model, shared): job for job in jobs}
        for job, found in self._done(waiting):
            row, files = (_lost(job, found), Files()) if isinstance(found, Exception) else found
            if files:
                _keep(job.place, files)
            yield row

    def measure(self, jobs: Sequence[tuple[Job, Row]]) -> Iterator[Row]:
        if not jobs:
            return
        self._join()
        if not self._ray.cluster_resources().get(CLOCK):
            advice = f"start nodes with: ray start --resources='{{\"{CLOCK}\": 1}}'"
            raise UsageError(f"no node of the cluster offers '{CLOCK}'", where=self._address, advice=advice)
        work = self._ray.remote(num_cpus=1, resources={CLOCK: 1})(_measure_there)
        model = self._ray.put(_files_of(jobs[0][0].model))
        waiting = {
            work.remote(_alone(job), row, model, _files_of(job.place / MODEL)): job for job, row in jobs
        }
        for job, found in self._done(waiting):
            yield _lost(job, found) if isinstance(found, Exception) else found

    def _join(self) -> None:
        """Connect once."""
        if self._ray.is_initialized():
            return
        quiet = {"include_dashboard": False} if self._address == _LOCAL else {"address": self._address}
        resources = {"resources": {CLOCK: 1}} if self._address == _LOCAL else {}
        try:
            self._ray.init(log_to_driver=False, configure_logging=False, **quiet, **resources)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise BackendError(f"Ray cannot be reached: {error}", where=self._address) from error

    def _done(self, waiting: dict[Any, Job]) -> Iterator[tuple[Job, Any]]:
        """Jobs with what they gave or why they failed, as they end; those that are left after this are called off."""
        left = list(waiting)
        try:
            while left:
                (ready, *_), left = self._ray.wait(left)
                yield waiting[ready], self._got(ready)
        finally:
            for task in left:
                self._ray.cancel(task, force=True)

    def _got(self, ready: Any) -> Any:
        try:
            return self._ray.get(ready)
        except self._ray.exceptions.RayError as error:
            return error


def _alone(job: Job) -> Job:
    """The job without what all share."""
    return replace(job, shared=Shared())


def _lost(job: Job, error: Exception) -> Row:
    """A machine that went, or that lacks code or files of the user's."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = f"its machine failed: {said[-1] if said else type(error).__name__}"
    return Row(candidate=job.candidate, rule="internal", reason=reason)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        what, advice = f"Ray cannot be imported: {error}", "install it with: pip install 'prunepass[ray]'"
        raise BackendError(what, advice=advice) from error
    return ray


def _files_of(model: Path) -> Files:
    """The model and the files that hold its weights, by their names from its folder."""
    from ._sweep import files_of

    return {os.path.relpath(file, model.parent): file.read_bytes() for file in files_of(model)}


def _prune_there(job: Job, model: Files, shared: Shared) -> tuple[Row, Files]:
    """On some machine: the row, and the candidate's files by name."""
    with tempfile.TemporaryDirectory() as folder:
        there = _placed(replace(job, shared=shared), model, Path(folder))
        row = make(there)
        files = sorted(there.place.iterdir()) if there.place.is_dir() else []
        return row, {file.name: file.read_bytes() for file in files}


def _measure_there(job: Job, row: Row, model: Files, candidate: Files) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        there = _placed(job, model, Path(folder))
        _write(there.place, candidate)
        return timed(there, row)


def _placed(job: Job, model: Files, folder: Path) -> Job:
    """The same job on this machine, with the model in a folder beside what comes of it."""
    _write(folder / "original", model)
    return replace(job, model=folder / "original" / job.model.name, folder=folder / "made")


def _write(folder: Path, files: Files) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _keep(place: Path, files: Files) -> None:
    from ._make import place_whole

    place_whole(place, lambda staged: _write(staged, files))
