"""Task: what only the user knows of a model's work, its data, loss, evaluation and training; every part optional."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any

from ..ir import Array, Graph, UsageError
from .analyses import TARGETS, Feed, Observed, Slices, from_file, from_mapping, labels_of, named_inputs

_GIVE: Mapping[str, str] = {
    "data": "task=pp.task_of(loader), a list of batches, an .npz file or a folder of images (--data)",
    "loss": "task=pp.task_of(data, loss=f) with f(outputs, batch) -> a single number (--loss)",
    "evaluate": "task=pp.task_of(evaluate=f) with f(model) -> a number, larger is better (--evaluate)",
    "tune": "task=pp.task_of(data, tune=f) with f(model, hooks), which trains the model (--tune)",
}
_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, eq=False)
class Batch:
    """Some samples.

    Attributes:
        inputs: of the model, in order or by name.
        target: what should come out, where it is known; classes are whole numbers, one a sample.
        context: anything else that a loss or a statistic wants to know.
    """

    inputs: Any
    target: Any = None
    context: Any = None


@dataclass(frozen=True, eq=False)
class Task:
    """Data, loss, evaluation and training of a model.

    Attributes:
        data: batches, a function that makes them anew, or what has ``of_graph(graph)`` and gives batches that fit
            a graph; read as often as needed. A batch is a :class:`Batch`, a tensor or array, a pair of input and
            target, or a dict by input name. Any batch size will do.
        loss: of outputs and batch, the mean over its samples; gives a single number of the model's own library.
        evaluate: the quality of a model; larger is better.
        tune: trains a model in place.
    """

    data: Iterable[Any] | Callable[[], Iterable[Any]] | None = None
    loss: Callable[[Any, Batch], Any] | None = None
    evaluate: Callable[[Any], float] | None = None
    tune: Callable[[Any, Any], Any] | None = None
    _count: list[int] = field(default_factory=list[int], init=False, repr=False)
    _seen: dict[tuple[int, int], tuple[Any, dict[Any, Observed]]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        for part in ("loss", "evaluate", "tune"):
            found = getattr(self, part)
            if found is not None and not callable(found):
                raise UsageError(f"{part} of a task is a function, not {found!r}", advice=_GIVE[part])
        if isinstance(self.data, (str, os.PathLike)):
            raise UsageError("data of a task is a path", advice="pp.task_of(path) reads it")
        if isinstance(self.data, Iterator):
            raise UsageError(
                f"data of a task is read more than once, and a {type(self.data).__name__} runs out",
                advice="give a list, a DataLoader, or the function that makes it: data=lambda: batches()",
            )
        if not (self.data is None or callable(self.data) or _can_iterate(self.data)):
            raise UsageError(f"data of a task are batches, not {self.data!r}", advice=_GIVE["data"])

    def __reduce__(self) -> tuple[Any, ...]:
        """The fields alone: observations hang on objects of this process, which another one does not have."""
        return type(self), (self.data, self.loss, self.evaluate, self.tune)

    def need(self, part: str, by: str) -> Any:
        """A part that must be there.

        Raises:
            UsageError: it is not; says how to give it.
        """
        found = getattr(self, part)
        if found is None:
            raise lacks(part, by)
        return found

    def batches(self, graph: Graph) -> Iterator[Mapping[str, Array]]:
        """Inputs of every batch by input name; see :meth:`feeds`."""
        return (feed.inputs for feed in self.feeds(graph))

    def feeds(self, graph: Graph) -> Iterator[Feed]:
        """Every batch, ready to run on ``graph``.

        Raises:
            UsageError: there is no data, it ran out, or a batch does not fit the model or holds NaN.
        """
        count = 0
        for item in self._items(graph):
            count += 1
            batch = as_batch(item, graph, f"batch {count} of the data")
            inputs, samples = named_inputs(batch.inputs, graph, f"batch {count} of the data")
            yield Feed(inputs, samples, labels_of(batch.target, samples), batch)
        if not count and any(self._count):
            raise UsageError(
                f"the data ran out: {self._count[0]} batches came the first time, none now",
                advice="give data that can be read again: a list, a DataLoader, or a function that makes it",
            )
        if not count:
            raise UsageError("the data hold no batches", advice="a single batch is enough to observe")
        self._count.append(count)

    def _items(self, graph: Graph) -> Iterable[Any]:
        data = self.need("data", "a reader of data")
        if callable(data) and not _can_iterate(data):
            data = _batches(data())
        fitted = getattr(data, "of_graph", None)
        return _iterated(data if fitted is None else fitted(graph))

    def seen_on(self, graph: Graph) -> dict[Any, Observed]:
        """Observations of passes on ``graph``, whatever else is pinned or tied in it; theirs to fill.

        A cut or a training gives other nodes or other params, and nothing of it is known yet.
        """
        parts = graph.nodes, graph.params
        return self._seen.setdefault((id(parts[0]), id(parts[1])), (parts, {}))[1]

    def mean_loss(self, outputs: Sequence[Any], batch: Any) -> Any:
        """The loss of what a model gives: its only output, or all of them in order."""
        loss = self.need("loss", "a gradient")
        return loss(outputs[0] if len(outputs) == 1 else tuple(outputs), batch)

    def evaluated(self, model: Any, by: str = "an evaluation") -> float:
        """The quality of ``model``.

        Raises:
            UsageError: ``evaluate`` is missing, or gives no finite number.
        """
        found = self.need("evaluate", by)(model)
        if hasattr(found, "item") and getattr(found, "shape", None) in ((), (1,)):
            found = found.item()
        if isinstance(found, bool) or not isinstance(found, Real) or not isfinite(found):
            raise UsageError(f"evaluate returned {found!r}, which is no number", advice=_GIVE["evaluate"])
        return float(found)


def lacks(part: str, by: str) -> UsageError:
    """A task, or a part of it, was not given."""
    return UsageError(f"{by} needs {part}, and the task has none", advice=f"give {_GIVE[part]}")


def _can_iterate(data: object) -> bool:
    return any(hasattr(data, name) for name in ("__iter__", "__getitem__", "of_graph"))


def _iterated(data: Any) -> Iterator[Any]:
    """Batches of what can be iterated; a data set that only counts its samples is asked for each."""
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "__iter__"):
        return (data[at] for at in range(len(data)))
    if not hasattr(data, "__iter__"):
        raise UsageError(f"the data are no batches, but {data!r}", advice=_GIVE["data"])
    return iter(data)


def as_batch(item: Any, graph: Graph, where: str) -> Batch:
    """A loader's item as a batch: inputs alone, or inputs and target, or inputs, target and context."""
    if isinstance(item, Batch):
        inputs = item.inputs if isinstance(item.inputs, (Mapping, tuple, list)) else (item.inputs,)
        return replace(item, inputs=inputs)
    if isinstance(item, Mapping):
        target = next((name for name in TARGETS if name in item and name not in graph.inputs), None)
        inputs = {name: one for name, one in item.items() if name != target}
        return Batch(inputs, None if target is None else item[target])
    if not isinstance(item, (tuple, list)):
        return Batch((item,))
    first = item[0] if item else None
    if isinstance(first, (tuple, list, Mapping)) and len(item) <= 3:
        return Batch(first, *item[1:])
    read = len(graph.inputs)
    if not read <= len(item) <= read + 2:
        raise UsageError(f"{where} has {len(item)} parts, the model reads {', '.join(graph.inputs)}")
    return Batch(tuple(item[:read]), *item[read:])


def task_of(
    data: Any = None,
    *,
    loss: Any = None,
    evaluate: Any = None,
    tune: Any = None,
) -> Task:
    """A task from what people hold.

    Args:
        data: a DataLoader, a list of batches, one array or a dict of arrays by input name (with ``target`` or
            ``labels`` for the targets), the path of an ``.npz`` or ``.npy`` file or of a folder of images, the
            name ``package.module:function`` of a function that returns any of these; or a task, or what has its
            parts as attributes or keys, which is completed.
        loss, evaluate, tune: functions, or their names as ``package.module:function``.

    Raises:
        UsageError: it is nothing of the kind.
    """
    parts = {"loss": _named(loss), "evaluate": _named(evaluate), "tune": _named(tune)}
    given = {part: found for part, found in parts.items() if found is not None}
    if isinstance(data, str) and _CALLABLE.fullmatch(data):
        data = _named(data)()
    if isinstance(data, Task):
        return replace(data, **given)
    whole = _parts_in(data)
    return Task(_batches(whole.pop("data", None) if whole else data), **{**whole, **given})


def _parts_in(given: Any) -> dict[str, Any]:
    """Parts of a task by name, in a mapping or an object of the user's own; empty where it is something else."""
    if isinstance(given, Mapping):
        return (
            {name: _named(part) if name != "data" else part for name, part in given.items()}
            if (given and given.keys() <= _GIVE.keys())
            else {}
        )
    found = {part: getattr(given, part, None) for part in _GIVE}
    functions = [found[part] for part in ("loss", "evaluate", "tune")]
    return (
        {part: one for part, one in found.items() if one is not None} if any(map(callable, functions)) else {}
    )


def _batches(data: Any) -> Any:
    if isinstance(data, (str, os.PathLike)):
        return from_file(Path(data))
    if isinstance(data, Mapping):
        return from_mapping(data)
    if hasattr(data, "shape") and hasattr(data, "dtype"):
        return Slices({"0": data})
    return data


def _named(given: Any) -> Any:
    """The object that ``package.module:name`` names; anything else as it is."""
    if not isinstance(given, str):
        return given
    if not _CALLABLE.fullmatch(given):
        raise UsageError(f"'{given}' names no function", advice="write package.module:function")
    module, _, attribute = given.partition(":")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"cannot be imported: {error}", where=given) from error
    if not callable(found):
        raise UsageError(f"it is a {type(found).__name__}, no function", where=given)
    return found
