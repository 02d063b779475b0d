"""Building engines side by side and timing them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..backends import Backend, Clock, DeviceTimed, Engine, Feeds, feeds_of, get
from ..ir import UsageError
from ._progress import Progress
from ._result import Comparison, Measurement
from ._rounds import Device, Infer, Sample, Timing, TimingOptions, rounds, timing_of
from ._stats import ratio, statistics

if TYPE_CHECKING:
    from typing_extensions import Unpack


def compare(
    models: Sequence[object],
    backend: str | Backend = "onnxruntime",
    *,
    names: Sequence[str] | None = None,
    feeds: Feeds | None = None,
    progress: Progress | None = None,
    **timing: Unpack[TimingOptions],
) -> Comparison:
    """Time models against the first of them, interleaved, by wall time and by CPU time.

    Args:
        models: anything the backend builds, or engines that are built already (they stay open).
        backend: name or object; builds those of ``models`` that are no engines yet.
        names: for the report; file names without their ending unless given.
        feeds: inputs of one inference by name, for every model alike: arrays, or shapes (tuples) of arrays to make
            up. All are made up unless given; a free size other than that of the batch must be.
        progress: is told how much is done, 0 to 1.
        timing: fields of :class:`Timing`: ``threads`` (1), ``warmup`` (0.2 s), ``duration`` (3 s for each
            model), ``iterations`` (10 rounds at least).

    Raises:
        UsageError: no models, as many names as models missing, or feeds that fit not every model.
        BackendError: the backend is not available.
        ModelError: a model is invalid, or the backend does not take it.
    """
    if not models:
        raise UsageError("there is nothing to compare", advice="give one model or more")
    chosen, builder = timing_of(timing), get(backend) if isinstance(backend, str) else backend
    labels = _labels(models, names)
    with ExitStack() as stack:
        engines = [_engine(model, builder, chosen, stack) for model in models]
        built = [engine is not model for engine, model in zip(engines, models, strict=True)]
        backends = [builder if mine else one.backend for one, mine in zip(engines, built, strict=True)]
        inferences = [_inference(engine, feeds) for engine in engines]
        samples = rounds(
            [one for one, _ in inferences], chosen, devices=[d for _, d in inferences], tick=progress
        )
        first = samples[0]
        return Comparison(
            backend=", ".join(dict.fromkeys(each.name for each in backends)),
            version=", ".join(dict.fromkeys(each.version() for each in backends)),
            threads=chosen.threads,
            rounds=len(first.wall_rounds),
            engines=tuple(_measurement(*pair, first) for pair in zip(labels, samples, strict=True)),
            clock=_deciding(backends, samples, chosen.threads),
        )


def _deciding(backends: Sequence[Backend], samples: Sequence[Sample], threads: int) -> Clock:
    """The clock that all engines share, as far as their backends tell; of engines that differ, what a user waits."""
    clocks: set[Clock] = {backend.clock({"threads": threads}) for backend in backends}
    clock = clocks.pop()
    if clocks or (clock == "device" and not all(sample.device for sample in samples)):
        return "wall"
    return clock


def throughput(
    engine: Engine,
    *,
    name: str = "",
    feeds: Feeds | None = None,
    progress: Progress | None = None,
    **timing: Unpack[TimingOptions],
) -> Measurement:
    """Time one engine; arguments and errors as in :func:`compare`, but ``threads`` stays as it was built."""
    infer, device = _inference(engine, feeds)
    (sample,) = rounds([infer], timing_of(timing), devices=[device], tick=progress)
    return _measurement(name or engine.backend.name, sample, sample)


def _engine(model: object, builder: Backend, timing: Timing, stack: ExitStack) -> Engine:
    if isinstance(model, Engine):
        return model
    return stack.enter_context(builder.build(model, options={"threads": timing.threads}))


def _inference(engine: Engine, feeds: Feeds | None) -> tuple[Infer, Device | None]:
    """One inference, and so many by the clock of the engine's device where that has one."""
    made = feeds_of(engine.inputs, feeds)
    device = _device(engine, made) if isinstance(engine, DeviceTimed) else None
    return lambda: engine.run(made), device


def _device(engine: DeviceTimed, feeds: Feeds) -> Device:
    return lambda runs: engine.device_times(feeds, runs=runs, warmup=0.0).gpu_compute


def _measurement(name: str, sample: Sample, first: Sample) -> Measurement:
    both = first.device_rounds and sample.device_rounds
    return Measurement(
        name=name,
        throughput=len(sample.wall) / sum(sample.wall),
        wall=statistics(sample.wall),
        cpu=statistics(sample.cpu),
        faster_wall=ratio(first.wall_rounds, sample.wall_rounds),
        faster_cpu=ratio(first.cpu_rounds, sample.cpu_rounds),
        device=statistics(sample.device) if sample.device else None,
        faster_device=ratio(first.device_rounds, sample.device_rounds) if both else None,
    )


def _labels(models: Sequence[object], names: Sequence[str] | None) -> list[str]:
    """One name a model, without folders and without repetition."""
    if names is not None and len(names) != len(models):
        raise UsageError(
            f"{len(names)} names for {len(models)} models", advice="give one name for each model"
        )
    labels = [_label(model, place) for place, model in enumerate(models, 1)] if names is None else list(names)
    seen: Counter[str] = Counter()
    for place, label in enumerate(labels):
        seen[label] += 1
        if seen[label] > 1:
            labels[place] = f"{label} ({seen[label]})"
    return labels


def _label(model: object, place: int) -> str:
    return Path(model).stem if isinstance(model, (str, os.PathLike)) else f"model {place}"
