from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import groupby

import pytest

from prunepass.ir import UsageError
from prunepass.measure import Timing
from prunepass.measure._rounds import rounds


class World:
    """A clock that only the engines move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ran: list[str] = []

    def engine(self, name: str, seconds: float) -> Callable[[], None]:
        def infer() -> None:
            self.now += seconds
            self.ran.append(name)

        return infer

    def wall(self) -> float:
        return self.now

    def cpu(self) -> float:
        return 2 * self.now


def measured(world: World, seconds: dict[str, float], timing: Timing) -> list:
    engines = [world.engine(name, each) for name, each in seconds.items()]
    return rounds(engines, timing, wall=world.wall, cpu=world.cpu)


def test_each_round_gives_every_engine_one_turn_and_the_first_in_turn_rotates() -> None:
    world = World()
    measured(world, {"a": 1.0, "b": 1.0, "c": 1.0}, Timing(warmup=0, duration=0, iterations=4))
    # Each engine warms up twice: once cold, once to learn how many inferences fill a turn.
    assert "".join(world.ran[6:]) == "abcbcacababc"


def test_fast_engines_run_back_to_back_within_a_turn() -> None:
    world = World()
    samples = measured(world, {"a": 0.001, "b": 0.005}, Timing(warmup=0, duration=0, iterations=2))
    turns = [(name, len(list(run))) for name, run in groupby(world.ran[4:])]
    assert turns == [("a", 20), ("b", 8), ("a", 20)]
    assert [len(sample.wall) for sample in samples] == [40, 8]
    assert [len(sample.wall_rounds) for sample in samples] == [2, 2]


def test_both_clocks_are_read_around_each_inference() -> None:
    world = World()
    (sample,) = measured(world, {"a": 1.0}, Timing(warmup=0, duration=0, iterations=3))
    assert sample.wall == sample.wall_rounds == [1.0] * 3
    assert sample.cpu == sample.cpu_rounds == [2.0] * 3


def test_warming_up_is_not_measured() -> None:
    world = World()
    (sample,) = measured(world, {"a": 1.0}, Timing(warmup=5, duration=0, iterations=2))
    assert len(world.ran) == 5 + 2
    assert len(sample.wall) == 2


def test_rounds_go_on_until_each_engine_has_its_duration() -> None:
    world = World()
    samples = measured(world, {"a": 1.0, "b": 3.0}, Timing(warmup=0, duration=10, iterations=1))
    assert [len(sample.wall_rounds) for sample in samples] == [5, 5]


def test_progress_grows_to_one() -> None:
    world = World()
    seen: list[float] = []
    timing = Timing(warmup=0, duration=4, iterations=2)
    rounds([world.engine("a", 1.0)], timing, tick=seen.append, wall=world.wall, cpu=world.cpu)
    assert seen == [0.25, 0.5, 0.75, 1.0]


def test_the_garbage_collector_rests_while_measuring_and_resumes_after() -> None:
    enabled: list[bool] = []
    rounds([lambda: enabled.append(gc.isenabled())], Timing(warmup=0, duration=0, iterations=1))
    assert enabled[-1] is False
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threads", 0),
        ("warmup", -1),
        ("duration", -0.1),
        ("iterations", 0),
        ("duration", float("nan")),
        ("duration", float("inf")),
        ("threads", 100_000),
    ],
)
def test_a_timing_that_measures_nothing_is_refused(field: str, value: float) -> None:
    with pytest.raises(UsageError, match=field):
        Timing(**{field: value})
