"""The interleaved measurement: each round gives every engine a turn, so that drift meets all alike."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from time import perf_counter, process_time
from typing import TypeAlias, TypedDict

from ..backends import MOST_THREADS
from ..ir import UsageError

Clock: TypeAlias = Callable[[], float]
Infer: TypeAlias = Callable[[], object]
# Seconds of so many inferences by the clock of a device.
Device: TypeAlias = Callable[[int], Sequence[float]]

# A turn is long against the cost of a cold cache after the other engine, short against drift.
_TURN = 0.02


class TimingOptions(TypedDict, total=False):
    """The keywords of :class:`Timing`, each optional."""

    threads: int
    warmup: float
    duration: float
    iterations: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Length of a measurement; the defaults are trtexec's.

    Attributes:
        threads: of one inference. CPU time is steady at 1 only.
        warmup: seconds that each engine runs unmeasured.
        duration: seconds that each engine is measured at least.
        iterations: rounds at least.
    """

    threads: int = 1
    warmup: float = 0.2
    duration: float = 3.0
    iterations: int = 10

    def __post_init__(self) -> None:
        for name, least in (("threads", 1), ("warmup", 0), ("duration", 0), ("iterations", 1)):
            if not least <= getattr(self, name) < inf:
                raise UsageError(
                    f"{name} is {getattr(self, name)}", advice=f"it is at least {least}, and finite"
                )
        if self.threads > MOST_THREADS:
            raise UsageError(f"threads is {self.threads}", advice=f"it is at most {MOST_THREADS}")


def timing_of(options: TimingOptions) -> Timing:
    """Length of a measurement, from keywords.

    Raises:
        UsageError: a keyword is unknown, or its value is out of range.
    """
    unknown = options.keys() - TimingOptions.__annotations__.keys()
    if unknown:
        known = ", ".join(TimingOptions.__annotations__)
        raise UsageError(f"there is no option {', '.join(sorted(unknown))}", advice=f"a timing has {known}")
    return Timing(**options)


@dataclass(frozen=True, slots=True)
class Sample:
    """Times of one engine, in seconds.

    Attributes:
        wall: wall time of each inference.
        cpu: CPU time of the process during each inference, all threads.
        device: time of each inference by the clock of the device, empty where there is none.
        wall_rounds, cpu_rounds, device_rounds: mean time of an inference in each round.
    """

    wall: list[float]
    cpu: list[float]
    wall_rounds: list[float]
    cpu_rounds: list[float]
    device: list[float] = field(default_factory=list)
    device_rounds: list[float] = field(default_factory=list)


def rounds(
    infer: Sequence[Infer],
    timing: Timing,
    *,
    devices: Sequence[Device | None] = (),
    tick: Callable[[float], None] | None = None,
    wall: Clock = perf_counter,
    cpu: Clock = process_time,
) -> list[Sample]:
    """Time each callable of ``infer`` in interleaved rounds.

    A round gives every engine one turn of back-to-back inferences; the first in turn rotates from round to
    round. Rounds go on until there are ``timing.iterations`` of them and each engine has run for
    ``timing.duration`` seconds on average.

    Args:
        devices: one for each of ``infer`` whose device has a clock; its inferences are run once more by it.
        tick: is told after each round how much is done, 0 to 1.
        wall, cpu: the clocks, in seconds.
    """
    samples = [Sample([], [], [], []) for _ in infer]
    turns = [_warm(one, timing.warmup, wall) for one in infer]
    done, start = 0, wall()
    wanted = timing.duration * len(infer)
    with _no_collection():
        while done < timing.iterations or wall() - start < wanted:
            for step in range(len(infer)):
                index = (done + step) % len(infer)
                _turn(infer[index], turns[index], samples[index], (wall, cpu))
                device = devices[index] if devices else None
                if device is not None:
                    _device_turn(device, turns[index], samples[index])
            done += 1
            if tick is not None:
                spent = (wall() - start) / wanted if wanted else 1.0
                tick(min(1.0, spent, done / timing.iterations))
    return samples


def _warm(infer: Infer, seconds: float, wall: Clock) -> int:
    """Run unmeasured, at least twice; the number of inferences that fill a turn."""
    start = wall()
    infer()
    count, begin = 0, wall()
    while count == 0 or wall() - start < seconds:
        infer()
        count += 1
    each = (wall() - begin) / count
    return max(1, round(_TURN / each)) if each > 0 else 1


def _turn(infer: Infer, count: int, sample: Sample, clocks: tuple[Clock, Clock]) -> None:
    wall, cpu = clocks
    for _ in range(count):
        wall_start, cpu_start = wall(), cpu()
        infer()
        cpu_end, wall_end = cpu(), wall()
        sample.wall.append(wall_end - wall_start)
        sample.cpu.append(cpu_end - cpu_start)
    sample.wall_rounds.append(sum(sample.wall[-count:]) / count)
    sample.cpu_rounds.append(sum(sample.cpu[-count:]) / count)


def _device_turn(device: Device, count: int, sample: Sample) -> None:
    times = device(count)
    sample.device.extend(times)
    sample.device_rounds.append(sum(times) / len(times))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector out of the samples."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
