"""The search for a latency budget, against an engine whose time is a known staircase: no clock is read."""

from __future__ import annotations

from itertools import pairwise

import pytest

from prunepass._options import Options
from prunepass._prune import default_pipeline
from prunepass.drivers import Reading, Run
from prunepass.drivers._search import MAX_ROUNDS, Found, Search
from prunepass.drivers._widths import atoms_of, path_between, widths_of
from prunepass.ir import BudgetError, Graph
from prunepass.passes import Samples, allowed_widths, couple, graph_cost, layers_of, multiples
from tests.face.staircase import GraphSession, Time, Watch, cliff, staircase
from tests.graphs import Builder

BUDGETS = (0.9, 0.7, 0.5)


def deep(channels: int = 96, blocks: int = 3) -> Graph:
    """Residual blocks, a depthwise layer and a head: groups that share layers, over 16 x 16 pixels."""
    net = Builder("deep")
    x = net.conv(net.input(1, 3, 16, 16), channels, 3, path="stem", padding=1)
    for block in range(blocks):
        y = net.add("relu", net.conv(x, channels + 32, path=f"b{block}.a"))
        y = net.conv(y, channels + 32, 3, path=f"b{block}.depthwise", padding=1, groups=channels + 32)
        x = net.add("add", x, net.conv(net.add("relu", y), channels, 3, path=f"b{block}.b", padding=1))
    x = net.conv(net.add("relu", x), 2 * channels, path="last")
    return net.graph(net.conv(net.add("relu", x), 10, path="head"))


def search(graph: Graph, budget: str, time: Time = staircase, **options: object) -> tuple[Search, Watch]:
    watch = Watch(graph, time)
    given = {"score": "l2", "align": 8, "compensate": False, **options}
    pipeline = default_pipeline(Options(budget=budget, **given))  # type: ignore[arg-type]
    return Search(Run(GraphSession(graph), graph, None, graph, pipeline, watch=watch)), watch


def found(budget: str, time: Time = staircase, **options: object) -> tuple[Found, Graph]:
    graph = deep()
    return search(graph, budget, time, **options)[0].find(), graph


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("time", [staircase, cliff, lambda graph: staircase(graph, step=1)])
@pytest.mark.parametrize("mode", ["global", "uniform"])
def test_the_budget_holds_as_measured_within_a_bounded_number_of_rounds(
    budget: float, time: Time, mode: str
) -> None:
    result, graph = found(f"latency={budget}", time, mode=mode)
    assert len(result.rounds) <= MAX_ROUNDS
    measured = time(result.model) / time(graph)
    assert measured == result.rounds[result.accepted].measured <= budget


@pytest.mark.parametrize("budget", BUDGETS)
def test_no_single_group_can_be_a_step_wider_and_hold_by_the_corrected_model(budget: float) -> None:
    graph = deep()
    # Padded to what the plan's own grain is: the model can come to know this engine exactly.
    run, _ = search(graph, f"latency={budget}", lambda g: staircase(g, step=8))
    result = run.find()
    coupling, plan = couple(graph), result.state.plan
    assert plan is not None
    if len(result.rounds) == MAX_ROUNDS:
        pytest.skip("the rounds ran out")
    widths, grain = widths_of(coupling, plan), multiples(coupling, 8)
    model, refused = run.learnt
    for group in coupling.prunable:
        assert group.atom is not None
        allowed = allowed_widths(group.size, grain[group.atom], 0.0)
        at = allowed.index(widths[group.name])
        if at:
            wider = {**widths, group.name: allowed[at - 1]}
            known = any(all(wider[name] >= width for name, width in old.items()) for old in refused)
            assert known or model.time(atoms_of(coupling, wider)) > budget, group.name


@pytest.mark.parametrize("budget", BUDGETS)
def test_what_is_left_of_the_budget_is_less_than_a_few_percent(budget: float) -> None:
    result, _ = found(f"latency={budget}", lambda graph: staircase(graph, step=8))
    assert result.rounds[result.accepted].measured > 0.95 * budget


def test_counted_limits_hold_together_with_the_measured_one() -> None:
    result, graph = found("latency=0.8,params=0.4")
    before, after = graph_cost(graph), graph_cost(result.model)
    assert after.params <= 0.4 * before.params
    assert result.rounds[result.accepted].measured <= 0.8


def test_an_engine_that_gains_nothing_is_an_error_that_tells_the_nearest() -> None:
    with pytest.raises(BudgetError, match=r"nearest is latency=1\.000"):
        found("latency=0.9", lambda graph: 1.0)


def test_an_engine_that_only_gets_slower_is_an_error() -> None:
    with pytest.raises(BudgetError, match="not met"):
        found("latency=1", lambda graph: 1 / staircase(graph))


def test_a_budget_below_what_pins_leave_is_an_error() -> None:
    with pytest.raises(BudgetError, match=r"latency=0\.01 was not met in \d rounds"):
        found("latency=0.01", lambda graph: staircase(graph, overhead=1e7))


def test_counted_limits_that_cannot_be_met_are_refused_before_anything_is_measured_twice() -> None:
    graph = deep()
    run, watch = search(graph, "latency=0.9,macs=0.0001")
    with pytest.raises(BudgetError, match="cannot be met"):
        run.find()
    assert not run.rounds
    assert len(watch.seen) == 5


def test_the_same_search_gives_the_same_plan() -> None:
    plans = [found("latency=0.6")[0].state.plan for _ in range(2)]
    assert plans[0] == plans[1] and plans[0] is not None


def test_the_prediction_is_what_the_model_said_before_it_was_measured() -> None:
    result, _ = found("latency=0.6", lambda graph: staircase(graph, step=8))
    first = result.rounds[0]
    assert first.predicted <= 0.6
    assert first.error == first.predicted / first.measured - 1 != 0


def test_only_the_accepted_plan_is_proved() -> None:
    seen: list[str] = []

    class Names:
        def before(self, name: str, state: object) -> None:
            seen.append(name)

        def after(self, name: str, state: object, seconds: float) -> None: ...

    run, _ = search(deep(), "latency=0.5")
    run.run.observers = (Names(),)
    result = run.find()
    assert seen.count("score") == 1 and "verify" not in seen and result.state.proof is None
    proved = run.run.parts.proof.resume(result.state)
    assert proved.proof is not None
    assert seen.count("measure") == len(result.rounds) and seen.count("probe") == result.probes
    assert seen.count("confirm") == sum(one.measured <= 0.5 for one in result.rounds) > 0


def test_a_candidate_that_held_by_luck_is_not_taken() -> None:
    graph = deep()
    run, watch = search(graph, "latency=0.6")
    lucky: list[object] = []

    def noisy(model: Graph, precise: bool) -> Reading:
        time = watch(model, precise).time
        first = precise and model not in lucky
        lucky.append(model)
        return Reading(0.7 * time if first else time)

    run.run.watch = noisy
    result = run.find()
    assert staircase(result.model) / staircase(graph) <= 0.6
    assert any(one.measured > 0.6 for one in result.rounds)


def test_it_ends_where_the_clock_cannot_tell_what_is_left() -> None:
    graph = deep()
    sharp, _ = search(graph, "latency=0.6", staircase)
    blunt, watch = search(graph, "latency=0.6", staircase)
    blunt.run.watch = lambda model, precise: Reading(watch(model, precise).time, error=0.2)
    ends = sharp.find(), blunt.find()
    assert len(ends[1].rounds) < len(ends[0].rounds)
    assert all(one.measured > 0.6 for one in ends[1].rounds[:-1])
    assert ends[1].rounds[-1].measured <= 0.6


def test_a_score_chosen_by_auto_is_kept_in_later_rounds() -> None:
    result, _ = found("latency=0.5", score="auto")
    assert len(result.rounds) > 1
    assert result.state.candidates is not None
    assert result.state.choice is not None
    assert len(result.state.candidates) == 1
    assert len(result.state.choice.changes) == 4


def test_a_table_of_layers_is_read_in_place_of_most_probes() -> None:
    graph = deep()
    layers = {layer.key: layer for layer in layers_of(couple(graph))}

    def power(widths: tuple[int, ...]) -> float:
        return float(widths[0] * widths[-1])

    table = {
        key: Samples(shapes, tuple(map(power, shapes)))
        for key, layer in layers.items()
        for shapes in [tuple((n,) * len(layer.axes) for n in (16, 64, 128))]
    }
    run, watch = search(graph, "latency=0.6")
    run.table = table
    result = run.find()
    assert result.rounds[result.accepted].measured <= 0.6
    assert result.probes == 2
    held = sum(one.measured <= 0.6 for one in result.rounds)
    assert len(watch.seen) == 2 + len(result.rounds) + held


def test_a_budget_of_everything_keeps_everything() -> None:
    result, graph = found("latency=1", lambda graph: staircase(graph, step=8))
    assert graph_cost(result.model) == graph_cost(graph)


def chain(channels: int) -> Graph:
    net = Builder("chain")
    x = net.add("relu", net.conv(net.input(1, 3, 16, 16), channels, 3, path="only", padding=1))
    return net.graph(net.conv(x, 10, path="head"))


@pytest.mark.parametrize("edge", [40, 72, 136, 208, 320, 392, 448, 504])
@pytest.mark.parametrize("budget", [0.6, 0.3])
def test_on_an_engine_with_a_cliff_it_ends_within_a_step_of_the_best_width(edge: int, budget: float) -> None:
    def width(graph: Graph) -> int:
        return graph.tensor("only.weight").shape[0]

    def cliff_at(graph: Graph) -> float:
        return staircase(graph, step=8) * (3.0 if width(graph) > edge else 1.0)

    graph = chain(512)
    result = search(graph, f"latency={budget}", cliff_at)[0].find()
    assert len(result.rounds) <= MAX_ROUNDS
    holds = [size for size in range(8, 513, 8) if cliff_at(chain(size)) / cliff_at(graph) <= budget]
    assert max(holds) - 8 <= width(result.model) <= max(holds)


def test_between_widths_no_group_moves_by_more_than_a_step() -> None:
    choices = {"a": [64, 48, 32, 16], "b": [8, 4], "c": [10]}
    path = path_between(choices, {"a": 16, "b": 8, "c": 10}, {"a": 64, "b": 4, "c": 10})
    assert path[0] == {"a": 16, "b": 8, "c": 10} and path[-1] == {"a": 64, "b": 4, "c": 10}
    for one, other in pairwise(path):
        moves = {name: abs(choices[name].index(one[name]) - choices[name].index(other[name])) for name in one}
        assert max(moves.values()) <= 1
