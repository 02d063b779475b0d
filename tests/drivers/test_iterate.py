"""The driver ``iterate`` on a digits net: rounds, roll-back, one plan for the original, going on after a stop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

import prunepass as pp
from prunepass.drivers import Hooks, Iterate
from tests.drivers import digits

EXAMPLE = digits.split(4, 2).pictures
QUICK: dict[str, Any] = {"score": "l2", "compensate": False}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass
class Script:
    """A task that follows a script: what ``evaluate`` gives in turn; training moves the weights a little.

    Attributes:
        seen: multiply-accumulates of a layer, ``None`` for each training.
    """

    gives: list[Any]
    stop_at: int = -1
    evaluated: int = 0
    tuned: int = field(default=0)

    def evaluate(self, model: Any) -> Any:
        self.evaluated += 1
        return self.gives[min(self.evaluated, len(self.gives)) - 1]

    def tune(self, model: Any, hooks: Hooks) -> None:
        if self.tuned == self.stop_at:
            with torch.no_grad():
                next(model.parameters()).zero_()
            raise KeyboardInterrupt
        self.tuned += 1
        hooks.progress(0.5)
        model.train()
        generator = torch.Generator().manual_seed(self.tuned)
        with torch.no_grad():
            for each in model.parameters():
                each += 0.01 * torch.randn(each.shape, generator=generator)


def prune(task: Any, budget: str = "macs=0.7", model: Any = None, **options: Any) -> pp.Result:
    given = digits.plain() if model is None else model
    return pp.prune(given, EXAMPLE, budget=budget, task=task, **{**QUICK, **options})


def state_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_a_digits_net_keeps_its_accuracy_at_three_tenths_of_the_work() -> None:
    task, before = digits.Task(), digits.accuracy(digits.net())
    result = prune(task, "macs=0.3", digits.net(), driver=Iterate(step=0.1, drop=0.01), compensate=True)
    assert result.report.after.macs <= 0.3 * result.report.before.macs
    assert digits.accuracy(result.model) >= before - 0.01
    assert not result.report.ended and len(result.report.rounds) >= 7
    assert result.report.rounds[-1].accuracy == pytest.approx(digits.accuracy(result.model))
    fresh = pp.apply(result.plan, digits.net(), EXAMPLE)
    shapes = {name: tensor.shape for name, tensor in fresh.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in result.model.state_dict().items()}
    assert pp.verify(digits.net(), result.model, result.plan, EXAMPLE, weights="tuned").values > 40
    assert pp.verify(digits.net(), fresh, result.plan, EXAMPLE).values > 40


def test_a_step_that_costs_too_much_is_taken_back_and_halved() -> None:
    task = Script([0.9, 0.9, 0.5, 0.9, 0.9, 0.9])
    result = prune(task, driver=Iterate(step=0.2))
    asked = [one.budget for one in result.report.rounds]
    assert asked == ["macs=0.8", "macs=0.7", "macs=0.75", "macs=0.7"]
    assert [one.accepted for one in result.report.rounds] == [True, False, True, True]
    assert "evaluate gave 0.4 less than the original" in result.report.rounds[1].why
    assert result.report.after.macs <= 0.7 * result.report.before.macs


def test_what_is_not_reached_is_said_with_the_reason() -> None:
    result = prune(Script([0.9, 0.9, 0.1]), driver="iterate{step=0.1}")
    assert len([one for one in result.report.rounds if one.accepted]) == 1
    assert "macs=0.7 was not reached: evaluate gave 0.8 less" in result.report.notes()[0]
    assert result.plan.options["budget"] == "macs=0.9"
    written = json.loads(result.report.to_json())
    assert written["rounds"][0]["accepted"] and written["ended"] == result.report.ended


def test_a_run_of_which_no_step_holds_is_an_error() -> None:
    with pytest.raises(pp.BudgetError, match=r"no step towards the budget macs=0\.7 held: evaluate gave"):
        prune(Script([0.9, 0.1]), driver=Iterate())


def test_without_training_every_round_is_the_plan_applied_to_the_original() -> None:
    task = Script([0.9])
    result = prune(task, driver=Iterate(step=0.15, tune=False), compensate=True)
    assert task.tuned == 0
    fresh = pp.apply(result.plan, digits.plain(), EXAMPLE)
    assert same(state_of(result.model), state_of(fresh))


def test_floors_and_ratios_are_of_the_original_in_every_round() -> None:
    pipeline = (
        'couple | score{metric=l2} | select{budget=macs:0.6, floor=0.6, ratios="2:0.75"} | cut | verify'
    )
    result = pp.prune(
        digits.plain(), EXAMPLE, pipeline=pipeline, driver=Iterate(step=0.1, tune=False), task=Script([0.9])
    )
    for row in result.report.groups:
        assert row.pins or row.kept >= 0.6 * row.size
        assert row.name != "2" or row.kept == 0.75 * row.size


@pytest.mark.parametrize("inplace", [False, True])
def test_a_stop_in_the_middle_leaves_the_users_model_as_it_was(inplace: bool, tmp_path: Path) -> None:
    model = digits.plain()
    before, flags = state_of(model), [module.training for module in model.modules()]
    driver = Iterate(step=0.1, journal=str(tmp_path / "rounds"))
    with pytest.raises(KeyboardInterrupt):
        prune(Script([0.9], stop_at=1), model=model, driver=driver, inplace=inplace)
    assert same(before, state_of(model))
    assert flags == [module.training for module in model.modules()]
    assert not list((tmp_path / "rounds").glob(".*"))
    again = Script([0.9])
    resumed = prune(again, model=model, driver=driver, inplace=inplace)
    assert (resumed.model is model) is inplace
    # One training and two evaluations were kept.
    assert again.tuned == 2 and again.evaluated == 2
    pp.verify(digits.plain(), resumed.model, resumed.plan, EXAMPLE, weights="tuned")


def test_a_finished_run_is_read_back_from_its_journal(tmp_path: Path) -> None:
    driver = Iterate(step=0.15, journal=str(tmp_path))
    first = prune(Script([0.9]), driver=driver)
    silent = Script([])
    second = prune(silent, driver=driver)
    assert silent.tuned == silent.evaluated == 0
    assert first.plan == second.plan
    assert same(
        {name: each for name, each in state_of(first.model).items() if each.is_floating_point()},
        {name: each for name, each in state_of(second.model).items() if each.is_floating_point()},
    )


@pytest.mark.parametrize("given", ["0.9", None, float("nan"), True, torch.ones(2), object()])
def test_evaluate_gives_one_number(given: Any) -> None:
    with pytest.raises(pp.UsageError, match=r"evaluate returned .* no number") as error:
        prune(Script([given]), driver=Iterate())
    assert "larger is better" in error.value.advice


def test_a_tensor_of_one_entry_is_a_number() -> None:
    result = prune(Script([torch.tensor(0.9)]), driver=Iterate(step=0.3))
    assert result.report.rounds[0].accuracy == pytest.approx(0.9)


@pytest.mark.parametrize(("part", "task"), [("evaluate", None), ("tune", "half")])
def test_a_part_of_the_task_that_is_missing_is_named_before_any_work(part: str, task: str | None) -> None:
    @dataclass
    class Half:
        evaluate: Any = lambda model: 0.9
        tune: Any = None

    with pytest.raises(pp.UsageError, match=f"driver 'iterate' needs .*{part}"):
        prune(Half() if task else None, driver=Iterate())


def test_training_that_changes_the_network_is_refused() -> None:
    class Wider(Script):
        def tune(self, model: Any, hooks: Hooks) -> None:
            model[1] = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh())

    with pytest.raises(pp.UsageError, match="tune left"):
        prune(Wider([0.9]), driver=Iterate())


def test_training_that_diverges_is_refused() -> None:
    class Diverging(Script):
        def tune(self, model: Any, hooks: Hooks) -> None:
            with torch.no_grad():
                next(model.parameters()).fill_(float("nan"))

    with pytest.raises(pp.UsageError, match="not finite"):
        prune(Diverging([0.9]), driver=Iterate())


def test_a_model_of_another_type_is_no_training() -> None:
    class Other(Script):
        def tune(self, model: Any, hooks: Hooks) -> Any:
            return torch.nn.Linear(2, 2)

    with pytest.raises(pp.UsageError, match="and gave a Linear back"):
        prune(Other([0.9]), driver=Iterate())


@pytest.mark.parametrize("of", ["weights", "statistics"])
def test_an_evaluation_that_changes_the_model_is_refused(of: str) -> None:
    class Changing(Script):
        def evaluate(self, model: Any) -> Any:
            with torch.no_grad():
                if of == "weights":
                    next(model.parameters()).mul_(2)
                else:
                    model.train()(EXAMPLE + 1)
            return super().evaluate(model)

    model = digits.net() if of == "statistics" else None
    with pytest.raises(pp.UsageError, match="evaluate changed the model"):
        prune(Changing([0.9]), model=model, driver=Iterate())


def test_plans_of_two_rounds_in_the_wrong_order_are_refused() -> None:
    model = digits.plain()
    first = prune(None, "macs=0.8", model)
    second = pp.prune(first.model, EXAMPLE, budget="macs=0.8", **QUICK)
    assert pp.apply(first.plan.then(second.plan), model, EXAMPLE) is not None
    with pytest.raises(pp.UsageError, match="made for"):
        second.plan.then(first.plan)
    with pytest.raises(pp.UsageError, match="made for another model"):
        pp.apply(second.plan, model, EXAMPLE)


@pytest.mark.parametrize(
    "driver",
    [
        *("iterate{step=0}", "iterate{drop=-1}", "iterate{step=x}", "iterate{stop=1}"),
        *("iterate{drop=nan}", "bisect{drop=nan}"),
    ],
)
def test_options_out_of_range_are_refused(driver: str) -> None:
    with pytest.raises(pp.UsageError):
        prune(Script([0.9]), driver=driver)
