"""The driver ``bisect``, drivers of others, and what is no driver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import prunepass as pp
from prunepass.drivers import Attempt, Bisect, Run
from prunepass.ir import Graph
from tests.cli import nets
from tests.face import clockwork
from tests.face.clockwork import ClockworkBackend
from tests.face.staircase import staircase
from tests.plugins import Installer


@pytest.fixture(autouse=True)
def perfect_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunepass.measure._clock.compare", clockwork.compare)


def work(graph: Graph) -> float:
    return staircase(graph, step=1, overhead=0)


def cliffs(graph: Graph) -> float:
    """Three times as long above a width of ten."""
    widths = [graph.tensor(str(node.inputs[1])).shape[0] for node in graph.nodes if node.op == "conv"]
    return work(graph) * (3.0 if max(widths) > 10 else 1.0)


def prune(budget: str, **options: Any) -> pp.Result:
    return pp.prune(nets.classifier(), budget=budget, score="l2", **options)


@pytest.mark.parametrize("time", [work, cliffs])
def test_the_widest_that_holds_the_time_is_closed_in_on(time: Callable[[Graph], float]) -> None:
    result = prune("latency=0.5", driver="bisect", backend=ClockworkBackend(time))
    measured = time(pp.capture(result.model)) / time(pp.capture(nets.classifier()))
    assert measured <= 0.5
    rounds = result.report.rounds
    assert len(rounds) <= 8 and any(not one.accepted for one in rounds)
    held = max(one.kept["macs"] for one in rounds if one.accepted)
    above = min(one.kept["macs"] for one in rounds if not one.accepted)
    assert result.report.after.macs == pytest.approx(held * result.report.before.macs)
    assert held < above <= held + 0.15
    assert result.plan.options["budget"] == "latency=0.5"
    assert result.report.timing is not None


def test_the_narrowest_that_is_good_enough_is_closed_in_on() -> None:
    class Task:
        def evaluate(self, model: Any) -> float:
            return 1.0 if work(pp.capture(model)) > 0.6 * work(pp.capture(nets.classifier())) else 0.0

    result = prune("macs=0.2", driver=Bisect(drop=0.1), task=Task())
    kept = result.report.after.macs / result.report.before.macs
    assert 0.55 < kept < 0.75
    assert not result.report.rounds[0].accepted


def test_a_budget_that_no_candidate_holds_is_an_error_with_the_reason() -> None:
    with pytest.raises(pp.BudgetError, match=r"not met in \d rounds: it takes 1\.000 of"):
        prune("latency=0.5", driver="bisect{rounds=2}", backend=ClockworkBackend(lambda graph: 1.0))


@pytest.mark.parametrize(
    ("driver", "budget", "what"),
    [
        ("bisect{by=depth}", "macs=0.5", "no cost 'depth'"),
        ("bisect{by=params}", "macs=0.5", "does not limit"),
        ("bisect", "dead", "nothing to halve"),
        ("bisect", "macs=0.5", "needs evaluate|needs the task's 'evaluate'"),
        ("latency", "macs=0.5", "holds a budget of time"),
        ("once | once", "macs=0.5", "no driver but 2"),
        ("twice", "macs=0.5", "no driver 'twice'"),
        (Bisect, "macs=0.5", "driver is text or what it makes"),
        (3, "macs=0.5", "driver is text or what it makes"),
        (lambda run: None, "macs=0.5", "gave a NoneType"),
        (lambda run: run.reject(run.attempt(), "too slow"), "macs=0.5", "that it rejected: too slow"),
        (lambda run: run.measure(run.attempt()), "macs=0.5", "no engine to measure on"),
    ],
)
def test_wrong_use_is_one_clear_error(driver: Any, budget: str, what: str) -> None:
    with pytest.raises(pp.UsageError, match=what):
        prune(budget, driver=driver)


CODE = """
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Halves:
    name: ClassVar[str] = "halves"
    times: int = 1

    def __call__(self, run):
        held = run.attempt(budget="macs=0.9")
        for _ in range(self.times):
            held = run.accept(run.attempt(held, "macs=0.6"))
        return held
"""


def test_a_driver_of_another_distribution_is_named_with_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Installer(tmp_path, monkeypatch)("prunepass.drivers", {"halves": "theirs_code:Halves"}, CODE)
    result = prune("macs=0.3", driver="halves{times=2}")
    assert [one.budget for one in result.report.rounds] == ["macs=0.6", "macs=0.6"]
    assert result.report.after.macs <= 0.6 * result.report.before.macs
    again = pp.apply(result.plan, nets.classifier())
    assert again.SerializeToString() == result.model.SerializeToString()


def test_an_attempt_can_start_at_a_plan_of_before() -> None:
    first = prune("macs=0.8").plan

    def further(run: Run) -> Attempt:
        return run.attempt(first, "macs=0.5")

    result = prune("macs=0.5", driver=further)
    for name, cut in first.cuts.items():
        assert set(cut.remove) <= set(result.plan.cuts[name].remove)
    assert result.report.after.macs <= 0.5 * result.report.before.macs


def test_observers_are_told_of_rounds_and_of_how_far_they_are() -> None:
    class Watch:
        def __init__(self) -> None:
            self.names: list[str] = []
            self.shares: list[float] = []

        def before(self, name: str, state: object) -> None:
            self.names.append(name)

        def after(self, name: str, state: object, seconds: float) -> None: ...

        def progress(self, share: float) -> None:
            self.shares.append(share)

    seen = Watch()
    prune("latency=0.6", driver="bisect", backend=ClockworkBackend(work), observers=[seen])
    assert seen.names.count("measure") >= 2 and seen.names.count("verify") == 1
    assert seen.shares == sorted(seen.shares) and all(0 <= share < 1 for share in seen.shares)


@pytest.mark.parametrize("judged", ["evaluate", "outputs"])
def test_a_policy_by_sensitivity_gets_its_curves_from_running_candidates(judged: str) -> None:
    seen: list[Graph] = []

    class Task:
        def evaluate(self, model: Any) -> float:
            seen.append(pp.capture(model))
            # The first group alone counts.
            return -100.0 if seen[-1].tensor(weight).shape[0] < size else 0.0

    plain = pp.capture(nets.classifier())
    weight, size = next(
        (str(node.inputs[1]), plain.tensor(str(node.inputs[1])).shape[0])
        for node in plain.nodes
        if node.op == "conv"
    )
    options = {"task": Task()} if judged == "evaluate" else {}
    result = prune("macs=0.7", policy="sensitivity", **options)
    assert result.report.after.macs <= 0.7 * result.report.before.macs
    if judged == "evaluate":
        assert len(seen) > 3
        assert pp.capture(result.model).tensor(weight).shape[0] == size
