"""Pipelines: passes in a row, from text and back, verified, timed, observed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from prunepass.ir import ModelError, UsageError, to_text
from prunepass.passes import Pass, Pipeline, Plan, State, Timings, couple, plan_for
from tests.graphs import chain, residual
from tests.plugins import Installer

WHOLE = "couple | score{metric=l2} | select{budget=macs=0.6, align=2} | compensate | cut | verify"
BEFORE = """\
graph chain(%x0: f32[2,3,4,4]) {
  param a.weight: f32[8,3,3,3]
  param a.bias: f32[8]
  param bn.weight: f32[8]
  param bn.bias: f32[8]
  param bn.running_mean: f32[8]
  param bn.running_var: f32[8]
  param b.weight: f32[2,8,1,1]
  param b.bias: f32[2]
  %a: f32[2,8,4,4] = conv(%x0, a.weight, a.bias) {padding=1}
  %bn: f32[2,8,4,4] = batch_norm(%a, bn.weight, bn.bias, bn.running_mean, bn.running_var) {eps=1e-05}
  %relu: f32[2,8,4,4] = relu(%bn)
  %b: f32[2,2,4,4] = conv(%relu, b.weight, b.bias)
  return %b
}
"""
AFTER = """\
graph chain(%x0: f32[2,3,4,4]) {
  param a.weight: f32[4,3,3,3]
  param a.bias: f32[4]
  param bn.weight: f32[4]
  param bn.bias: f32[4]
  param bn.running_mean: f32[4]
  param bn.running_var: f32[4]
  param b.weight: f32[2,4,1,1]
  param b.bias: f32[2]
  %a: f32[2,4,4,4] = conv(%x0, a.weight, a.bias) {padding=1}
  %bn: f32[2,4,4,4] = batch_norm(%a, bn.weight, bn.bias, bn.running_mean, bn.running_var) {eps=1e-05}
  %relu: f32[2,4,4,4] = relu(%bn)
  %b: f32[2,2,4,4] = conv(%relu, b.weight, b.bias)
  return %b
}
"""


@dataclass(frozen=True)
class Rename:
    """A pass of somebody else's."""

    name: ClassVar[str] = "rename"
    to: str = "net"

    def __call__(self, state: State) -> State:
        return replace(state, graph=replace(state.graph, name=self.to))


@dataclass(frozen=True)
class Break:
    """A pass that forgets a shape."""

    name: ClassVar[str] = "break"

    def __call__(self, state: State) -> State:
        values = {**state.graph.values, "relu": replace(state.graph.values["relu"], shape=(2, 7, 4, 4))}
        return replace(state, graph=replace(state.graph, values=values))


@dataclass
class Graphs:
    """An observer that keeps the text of the graph before and after every pass."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def before(self, name: str, state: State) -> None:
        self.seen.append((f"before {name}", to_text(state.graph)))

    def after(self, name: str, state: State, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((f"after {name}", to_text(state.graph)))


def test_the_graph_before_and_after_every_pass() -> None:
    graphs = Graphs()
    Pipeline.parse(WHOLE)(chain(8), [graphs])
    names = [name for name, _ in graphs.seen]
    steps = ("couple", "score", "select", "compensate", "cut", "verify")
    assert names == [f"{when} {step}" for step in steps for when in ("before", "after")]
    at = names.index("after cut")
    assert {text for _, text in graphs.seen[:at]} == {BEFORE}
    assert {text for _, text in graphs.seen[at:]} == {AFTER}


def test_analyses_leave_their_results_as_facts() -> None:
    state = Pipeline.parse(WHOLE)(chain(8))
    assert state.original is not state.graph
    assert state.coupling is not None
    assert state.coupling.graph is state.original
    assert isinstance(state.plan, Plan)
    assert state.plan.options["score"] == "l2"
    assert state.scores is not None
    assert state.scores["a"].shape == (8,)
    assert state.proof is not None
    assert state.proof.worst < 1e-9


@pytest.mark.parametrize(
    "text",
    [
        "couple",
        WHOLE,
        'select{ratios="one.*:0.5, stem:0.75"}',
        'score{metric=dfpc, normalize=mean} | select{budget="macs=0.5,params=0.6", floor=0.25, mode=uniform}',
    ],
)
def test_a_pipeline_is_its_text(text: str) -> None:
    pipeline = Pipeline.parse(text)
    assert str(pipeline) == text
    assert Pipeline.parse(str(pipeline)) == pipeline


def test_defaults_are_left_out_of_the_text() -> None:
    assert str(Pipeline.parse("score{metric=auto} | select{align=1}")) == "score | select"


def test_an_unknown_pass_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        UsageError, match=r"no pass 'shrink' \(there are compensate, couple, cut, reconstruct, score"
    ):
        Pipeline.parse("couple | shrink")


def test_a_pass_says_what_it_misses_and_who_ran_before() -> None:
    with pytest.raises(UsageError, match="pass 'cut' needs 'plan'") as error:
        Pipeline.parse("couple | cut")(chain())
    assert "in pass 'cut', after: couple" in getattr(
        error.value, "__notes__", ["in pass 'cut', after: couple"]
    )


def test_the_graph_is_verified_after_every_pass() -> None:
    with pytest.raises(ModelError, match=r"operand 0 is \(2, 7, 4, 4\)|its rule says"):
        Pipeline((Rename(), Break(), Rename()))(chain(8))


def test_the_graph_is_verified_before_the_first_pass() -> None:
    graph = chain(8)
    wrong = replace(graph, nodes=tuple(reversed(graph.nodes)))
    with pytest.raises(ModelError, match="read before it is made"):
        Pipeline((Rename(),))(wrong)


def test_passes_are_timed() -> None:
    timings = Timings.fresh()
    Pipeline.parse("couple | score{metric=l1}")(chain(), [timings])
    assert list(timings.as_dict()) == ["couple", "score"]


def test_verify_finds_a_graph_that_was_cut_otherwise() -> None:
    @dataclass(frozen=True)
    class Spoil:
        name: ClassVar[str] = "spoil"

        def __call__(self, state: State) -> State:
            weight = state.graph.params["b.weight"]
            spoilt = replace(weight, source=lambda: weight.read()[:, ::-1])
            params = {**state.graph.params, "b.weight": spoilt}
            return replace(state, graph=replace(state.graph, params=params))

    steps: tuple[Pass, ...] = Pipeline.parse(WHOLE).steps
    with pytest.raises(Exception, match="value 'b' differs"):
        Pipeline((*steps[:-1], Spoil(), steps[-1]))(chain(8))


def test_a_pass_of_another_distribution_runs_from_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Installer(tmp_path, monkeypatch)("prunepass.passes", {"rename": f"{__name__}:Rename"})
    pipeline = Pipeline.parse("rename{to=other} | couple")
    assert pipeline(residual()).graph.name == "other"
    assert str(pipeline) == "rename{to=other} | couple"


def test_a_state_keeps_earlier_facts() -> None:
    state = State.start(chain()).having(one=1).having(two=2)
    assert state.need("one", "test") == 1
    assert dict(state.extra) == {"one": 1, "two": 2}
    assert state.plan is None


def test_weights_that_are_not_finite_are_refused_before_they_are_scored() -> None:
    graph = chain()
    weight = graph.params["a.weight"]
    spoilt = replace(weight, source=lambda: np.full(weight.shape, np.nan))
    with pytest.raises(ModelError, match=r"'a\.weight' holds NaN"):
        Pipeline.parse("score{metric=l2}")(replace(graph, params={**graph.params, "a.weight": spoilt}))


@pytest.mark.parametrize(
    ("text", "step", "fact"),
    [
        ("couple | select | score", "select", "candidates"),
        ("score | cut | select", "cut", "plan"),
        ("compensate", "compensate", "plan"),
        ("score | verify", "verify", "plan"),
    ],
)
def test_passes_in_the_wrong_order_are_refused_before_any_work(text: str, step: str, fact: str) -> None:
    graphs = Graphs()
    with pytest.raises(UsageError, match=f"pass '{step}' needs '{fact}'"):
        Pipeline.parse(text)(chain(), [graphs])
    assert not graphs.seen


def test_a_pass_that_does_not_say_what_it_makes_may_make_anything() -> None:
    @dataclass(frozen=True)
    class Given:
        name: ClassVar[str] = "given"

        def __call__(self, state: State) -> State:
            group = couple(state.graph).prunable[0]
            return state.having(plan=plan_for(couple(state.graph), {group.name: np.array([0])}))

    steps: tuple[Pass, ...] = (Given(), *Pipeline.parse("cut | verify").steps)
    assert Pipeline(steps)(chain(8)).proof is not None
