"""Options that every candidate of a sweep shares: what a prune gets, and what the journal says of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from .._options import check
from ..drivers import driver_of
from ..hosts import open_model
from ..ir import Array, UsageError
from ..passes import Pipeline, Select, Task, described, task_of
from ..passes.analyses import Feed

_DIGITS = 12
_SENT = "functions and classes of a module can be sent, lambdas and open files cannot; or ask for one worker"


@dataclass(frozen=True)
class Shared:
    """Options of the prune of every candidate, as :func:`prunepass.prune` takes them; None where not given."""

    policy: Any = None
    driver: Any = None
    repair: Any = None
    ratios: Mapping[str, float] | None = None
    task: Task | None = None

    @staticmethod
    def of(options: Mapping[str, Any]) -> Shared:
        """Those among the keywords of a sweep.

        Raises:
            UsageError: one is wrong by itself, whatever the candidate.
        """
        given = {name: options[name] for name in NAMES if options.get(name) is not None}
        for name, value in given.items():
            check(name, value, owner="sweep")
        Select(policy=given.get("policy"), ratios=given.get("ratios", {}))
        driver_of(given.get("driver"), Pipeline(()))
        return Shared(**{**given, "task": task_of(given["task"])} if "task" in given else given)

    def keywords(self) -> dict[str, Any]:
        return {name: value for name in NAMES if (value := getattr(self, name)) is not None}

    def setup(self, model: Path) -> dict[str, Any]:
        """The journal's key for them: equal where figures can be compared, and nothing of the machine.

        Raises:
            UsageError: the data do not fit the model.
        """
        texts = {
            name: _text(getattr(self, name))
            for name in ("policy", "driver", "repair")
            if getattr(self, name) is not None
        }
        task = {} if self.task is None else {"task": ", ".join(_of_task(self.task, model))}
        return {**texts, "ratios": dict(self.ratios or {}), **task}

    def check_sent(self, packed: Callable[[Any], bytes]) -> None:
        """Hold every option against ``packed``, which makes bytes of what other processes shall get.

        Raises:
            UsageError: it cannot be sent there.
        """
        for name, value in self.keywords().items():
            try:
                packed(value)
            except Exception as error:  # whatever the user's own objects raise
                raise UsageError(
                    f"{name} cannot be sent to other processes: {error}", advice=_SENT
                ) from error

    def evaluated(self, model: Any) -> float | None:
        """The quality of ``model`` where the task tells it."""
        known = self.task is not None and self.task.evaluate is not None
        return self.task.evaluated(model, "a sweep") if self.task is not None and known else None


NAMES = tuple(one.name for one in fields(Shared))


def _text(value: Any) -> str:
    """An object by name with its options; of a function also what it does, for two may have one name."""
    own = inspect.unwrap(value) if callable(value) else value
    code = None if isinstance(getattr(own, "name", None), str) else _code(own)
    text = described(own)
    return text if code is None else f"{text} {sha256(_bytes_of(code)).hexdigest()[:_DIGITS]}"


def _code(value: Any) -> CodeType | None:
    call = getattr(type(value), "__call__", None)  # noqa: B004 (the method, not whether there is one)
    found = getattr(value, "__code__", getattr(call, "__code__", None))
    return found if isinstance(found, CodeType) else None


def _bytes_of(code: CodeType) -> bytes:
    """The code of a function as bytes, without the file that it is in."""
    constants = (
        _bytes_of(one)
        if isinstance(one, CodeType)
        else repr(sorted(map(repr, one)) if isinstance(one, frozenset) else one).encode()
        for one in code.co_consts
    )
    return b"|".join((code.co_code, repr(code.co_names).encode(), *constants))


def _of_task(task: Task, model: Path) -> Iterator[str]:
    if task.data is not None:
        yield f"data {_hash_of(task.feeds(open_model(model).graph))}"
    for part in ("loss", "evaluate", "tune"):
        if getattr(task, part) is not None:
            yield f"{part} {_text(getattr(task, part))}"


def _hash_of(feeds: Iterable[Feed]) -> str:
    """Number and hash of samples, in whatever order and batches they come."""
    count = total = 0
    for feed in feeds:
        count += feed.samples
        arrays = [feed.inputs[name] for name in sorted(feed.inputs)]
        target = getattr(feed.batch, "target", None)
        if target is not None:
            arrays.append(_array(target))
        for at in range(feed.samples):
            total += int.from_bytes(_of_sample(arrays, at, feed.samples), "big")
    return f"{count} samples {total % 2**256:064x}"[: len(f"{count} samples ") + _DIGITS]


def _of_sample(arrays: Iterable[Array], at: int, samples: int) -> bytes:
    found = sha256()
    for array in arrays:
        part = np.ascontiguousarray(array[at] if array.shape[:1] == (samples,) else array)
        found.update(f"{part.dtype}{part.shape}".encode() + part.tobytes())
    return found.digest()


def _array(target: Any) -> Array:
    """A target of any library as an array; one of no numbers by its text."""
    try:
        return np.asarray(target.detach().cpu() if hasattr(target, "detach") else target)
    except (TypeError, ValueError):
        return np.asarray(repr(target))
