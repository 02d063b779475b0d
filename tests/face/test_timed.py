"""``prune`` with an engine at hand: what is measured, refused, and written down."""

from __future__ import annotations

import json
from collections.abc import Callable

import onnx
import pytest

import prunepass as pp
from prunepass.backends import get
from prunepass.ir import Graph
from prunepass.measure import Comparison, Measurement, Ratio, statistics
from prunepass.measure._clock import EngineClock, Setting, fraction, is_slower, setting_of
from tests.cli import nets
from tests.face import clockwork
from tests.face.clockwork import ClockworkBackend
from tests.face.staircase import staircase


@pytest.fixture(autouse=True)
def perfect_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunepass.measure._clock.compare", clockwork.compare)


def by_channels(graph: Graph) -> float:
    """A staircase without what never shrinks: the test net is small."""
    return staircase(graph, step=4, overhead=0)


def prune(budget: str, time: Callable[[Graph], float] = by_channels, **options: object) -> pp.Result:
    return pp.prune(
        nets.classifier(),
        budget=budget,
        score="l2",
        backend=ClockworkBackend(time),
        **options,  # type: ignore[arg-type]
    )


def test_a_latency_budget_holds_as_measured_and_the_report_tells_the_rounds() -> None:
    result = prune("latency=0.6", align=4)
    latency, timing = result.report.latency, result.report.timing
    assert latency is not None and timing is not None
    assert latency.budget == 0.6 and latency.rounds and latency.measured <= 0.6
    assert latency.measured == fraction(timing, "cpu")
    found, before = pp.capture(result.model), pp.capture(nets.classifier())
    assert by_channels(found) / by_channels(before) == pytest.approx(latency.measured)
    assert isinstance(result.model, onnx.ModelProto)


def test_a_plan_remembers_the_engine_and_replays_without_it() -> None:
    result = prune("latency=0.6", align=4, threads=2)
    assert result.plan.options["backend"] == "clockwork"
    assert result.plan.options["threads"] == 2
    again = pp.apply(result.plan, nets.classifier())
    assert again.SerializeToString() == result.model.SerializeToString()


def test_any_budget_is_measured_where_there_is_an_engine() -> None:
    result = prune("macs=0.5", align=4)
    assert result.report.timing is not None and result.report.latency is None
    assert result.report.timing["pruned"].faster("cpu").median > 1


def test_what_was_measured_is_in_the_json_only_where_it_is_asked_for() -> None:
    result = prune("latency=0.6", align=4)
    plain = json.loads(result.report.to_json())
    assert not {"timing", "latency", "seconds"} & set(plain)
    asked = json.loads(result.report.to_json(timing=True))
    assert asked["latency"]["rounds"][0].keys() == {"predicted", "measured"}
    assert asked["timing"]["backend"] == "clockwork"
    assert pp.prune(nets.classifier(), score="l2").report.to_json(timing=True).count("timing") == 0


def slower(graph: Graph) -> float:
    return 1e12 / staircase(graph, step=1, overhead=0)


def test_a_model_that_is_slower_is_an_error_with_both_figures() -> None:
    with pytest.raises(
        pp.BudgetError, match=r"slower on clockwork: [\d.]+ ms, the original [\d.]+ ms"
    ) as error:
        prune("macs=0.5", slower)
    assert "--allow-slower" in str(error.value)
    assert error.value.exit_code == 1


def test_a_model_that_is_slower_is_given_where_that_is_allowed() -> None:
    result = prune("macs=0.5", slower, allow_slower=True)
    assert result.report.timing is not None and is_slower(result.report.timing, "cpu")


def test_a_latency_budget_without_an_engine_is_refused_before_any_work() -> None:
    for options in (
        {"budget": "latency=0.5"},
        {"pipeline": "couple | score | select{budget=latency:0.5} | cut"},
    ):
        with pytest.raises(pp.UsageError, match="needs an engine"):
            pp.prune("there is no such file.onnx", **options)  # type: ignore[arg-type]


def test_a_pipeline_of_ones_own_may_have_a_latency_budget() -> None:
    steps = "couple | score{metric=l1} | select{budget=latency:0.7, align=4} | cut | verify"
    result = pp.prune(nets.classifier(), pipeline=steps, backend=ClockworkBackend(by_channels))
    assert result.report.latency is not None and result.report.latency.measured <= 0.7
    assert result.report.proof is not None


def test_the_users_object_changes_only_in_place_and_only_at_the_end() -> None:
    model = nets.classifier()
    before = model.SerializeToString()
    options: dict[str, object] = {"score": "l2", "align": 4}
    kept = pp.prune(model, budget="latency=0.6", backend=ClockworkBackend(by_channels), **options)  # type: ignore[arg-type]
    assert model.SerializeToString() == before
    changed = pp.prune(
        model,
        budget="latency=0.6",
        backend=ClockworkBackend(by_channels),
        inplace=True,
        **options,  # type: ignore[arg-type]
    )
    assert changed.model is model
    assert model.SerializeToString() == kept.model.SerializeToString()


def test_a_refused_result_leaves_the_users_object_as_it_was() -> None:
    model = nets.classifier()
    before = model.SerializeToString()
    with pytest.raises(pp.BudgetError, match="slower"):
        pp.prune(
            model, budget="macs=0.5", score="l2", align=4, inplace=True, backend=ClockworkBackend(slower)
        )
    assert model.SerializeToString() == before


def test_every_engine_is_closed() -> None:
    backend = ClockworkBackend(by_channels)
    pp.prune(nets.classifier(), budget="latency=0.6", score="l2", align=4, backend=backend)
    assert len(backend.built) > 2
    assert all(engine.closed for engine in backend.built)


def test_a_torch_model_is_written_as_onnx_for_an_engine_that_reads_it() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from tests.cli import factories

    model, inputs = factories.net()
    backend = ClockworkBackend(by_channels)
    result = pp.prune(model, inputs, budget="macs=0.6", score="l2", align=4, backend=backend)
    assert isinstance(result.model, torch.nn.Module)
    assert result.report.timing is not None
    assert len(backend.built) == 2


def test_an_engine_that_does_not_read_onnx_is_refused_for_an_onnx_model() -> None:
    backend = ClockworkBackend()
    backend.reads = ("pt2",)  # type: ignore[attr-defined]
    with pytest.raises(pp.UsageError, match="does not read ONNX"):
        pp.prune(nets.classifier(), backend=backend, score="l2")


def comparison(median: float, spread: float, rounds: int = 25) -> Comparison:
    times = statistics([0.001])
    ratio = Ratio(median, median - spread, median + spread)
    rows = (Measurement("a", 1, times, times), Measurement("b", 1, times, times, ratio, ratio))
    return Comparison("x", "1", 1, rounds, rows)


@pytest.mark.parametrize(
    ("median", "spread", "verdict"),
    [(0.9, 0.01, True), (0.99, 0.2, False), (1.1, 0.01, False), (1.0, 0.0, False)],
)
def test_slower_means_slower_than_the_scatter_explains(median: float, spread: float, verdict: bool) -> None:
    assert is_slower(comparison(median, spread), "cpu") is verdict


def test_cpu_time_is_for_one_thread_on_the_processor() -> None:
    backend = ClockworkBackend()
    assert Setting(backend, 1).clock == "cpu" and Setting(backend, 2).clock == "wall"
    assert setting_of("onnxruntime{provider=cuda}").clock == "wall"
    assert Setting(get("tensorrt"), 1).clock == "device"


def test_a_ratio_that_scatters_is_measured_again_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def shaky(*models: object, duration: float, **options: object) -> Comparison:
        asked.append(duration)
        return comparison(1.0, 0.1)

    monkeypatch.setattr("prunepass.measure._clock.compare", shaky)
    from prunepass.hosts import open_model

    session = open_model(nets.classifier())
    with EngineClock(Setting(ClockworkBackend()), session, nets.classifier(), None) as clock:
        clock.compare(nets.classifier(), precise=False)
        assert len(asked) == 1
        clock.compare(nets.classifier())
    assert len(asked) == 3 and asked[2] > asked[1]
