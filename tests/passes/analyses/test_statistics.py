"""Statistics of activations: the numbers of numpy on all batches together, however the data are split."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunepass.ir import Array, NumpyExecutor, UsageError, evaluate
from prunepass.passes import Task, couple, task_of
from prunepass.passes.analyses import Batches, ModelMoments, Observed, places_of, statistics, synthetic
from prunepass.passes.analyses.statistics import (
    Activations,
    ByClass,
    Covariance,
    Mean,
    MeanPower,
    SecondMoment,
    Statistic,
    Taylor,
    Variance,
)
from tests.graphs import Builder, chain, residual
from tests.passes.networks import Network, random_graphs

POOLED: dict[Statistic, Callable[[Array], Array]] = {
    Mean(): lambda rows: rows.mean(axis=0),
    Variance(): lambda rows: rows.var(axis=0),
    SecondMoment(): lambda rows: (rows**2).mean(axis=0),
    MeanPower(3): lambda rows: (np.abs(rows) ** 3).mean(axis=0),
    Covariance(): lambda rows: np.cov(rows, rowvar=False, bias=True),
}


def rows_of(value: Array, axis: int) -> Array:
    """Every place of a value as a row of the entries of an axis."""
    return np.moveaxis(value, axis, -1).reshape(-1, value.shape[axis])


def folded(statistic: Statistic, parts: Sequence[Array], axis: int, host: Callable[[Array], object]) -> Array:
    held = statistic.start()
    for part in parts:
        held = statistic.fold(held, Activations(host(part), axis, samples=len(part)))
    return statistic.finish(held)


@pytest.mark.parametrize("host", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("statistic", POOLED, ids=str)
@given(
    shape=st.tuples(st.integers(2, 9), st.integers(1, 4), st.integers(2, 4), st.integers(1, 3)),
    axis=st.integers(0, 3),
    cuts=st.sets(st.integers(1, 8)),
    mean=st.sampled_from([0.0, 1e4]),
)
@settings(max_examples=20)
def test_any_split_gives_what_numpy_gives_of_all_together(
    host: Callable[[Array], object],
    statistic: Statistic,
    shape: tuple[int, ...],
    axis: int,
    cuts: set[int],
    mean: float,
) -> None:
    value = np.random.default_rng(0).standard_normal(shape) + mean
    at = 0 if axis else 1  # the axis that is split is another one
    parts = np.split(value, sorted(cut for cut in cuts if cut < shape[at]), axis=at)
    want = np.atleast_1d(POOLED[statistic](rows_of(value, axis)))
    got = folded(statistic, parts, axis, host)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, want.reshape(got.shape), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("statistic", [Variance(), Covariance()], ids=str)
def test_a_small_variance_on_a_large_mean_is_not_lost_in_floats(statistic: Statistic) -> None:
    value = (1000 + 0.1 * np.random.default_rng(0).standard_normal((64, 3, 20))).astype(np.float32)
    want = POOLED[statistic](rows_of(value.astype(np.float64), 1))
    got = folded(statistic, np.split(value, 8), 1, np.asarray)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def feeds_of(data: Array, size: int, target: Array | None = None) -> Task:
    parts = range(0, len(data), size)
    if target is None:
        return task_of([data[at : at + size] for at in parts])
    return task_of([(data[at : at + size], target[at : at + size]) for at in parts])


def seen_of(graph: object, task: Task, *wanted: Statistic) -> Observed:
    executor = NumpyExecutor(graph, "float64")  # type: ignore[arg-type]
    return Batches(executor, lambda: task.feeds(executor.graph))(couple(executor.graph), wanted)


@given(random_graphs(), st.integers(1, 3))
@settings(max_examples=25)
def test_every_read_is_observed_as_the_interpreter_computes_it(network: Network, size: int) -> None:
    graph = network.graph
    rng = np.random.default_rng(0)
    one = {n: graph.values[n] for n in graph.inputs}
    feeds = {
        n: rng.standard_normal(v.shape) if "float" in v.dtype else rng.integers(0, 2, v.shape).astype(v.dtype)
        for n, v in one.items()
    }
    values = evaluate(graph, feeds)
    seen = seen_of(graph, task_of([feeds] * size), *(s for s in POOLED if not isinstance(s, Covariance)))
    for name, axis in places_of(couple(graph)):
        rows = rows_of(values[name], axis)
        if not np.all(np.isfinite(rows)):
            continue
        for statistic, want in POOLED.items():
            got = seen.get(statistic, (name, axis))
            if got is not None:
                np.testing.assert_allclose(got, want(rows), rtol=1e-6, atol=1e-9 * np.max(np.abs(rows)) ** 3)
    assert seen.samples


def test_classes_share_the_samples_among_them() -> None:
    graph, rng = residual(), np.random.default_rng(0)
    data = rng.standard_normal((12, *graph.values["x0"].shape[1:]))
    target = rng.integers(0, 3, 12)
    target[:3] = [0, 1, 3]
    by_class = ByClass(Mean())
    whole = seen_of(graph, feeds_of(data, 5, target), by_class, Mean(), ByClass(Variance()))
    apart = {
        k: seen_of(graph, feeds_of(data[target == k], 2), Mean(), Variance()) for k in set(target.tolist())
    }
    count = np.bincount(target)
    for read in whole.reads:
        found = whole[by_class, read]
        assert found.shape == (4, read.dim.size)
        for k, one in apart.items():
            np.testing.assert_allclose(found[k], one[Mean(), read], rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(whole[ByClass(Variance()), read][k], one[Variance(), read], atol=1e-9)
        seen = count > 0
        total = (found[seen] * count[seen, None]).sum(axis=0) / count.sum()
        np.testing.assert_allclose(total, whole[Mean(), read], rtol=1e-9, atol=1e-12)
        assert np.isnan(found[~seen]).all()


@pytest.mark.parametrize("along", [0, 2])
@pytest.mark.parametrize("host", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_samples_are_told_apart_along_any_axis(along: int, host: Callable[[Array], object]) -> None:
    rng = np.random.default_rng(0)
    value, gradient = rng.standard_normal((4, 6, 4, 5)), rng.standard_normal((4, 6, 4, 5))
    # Two entries of the axis for every sample, as windows have.
    samples, labels = value.shape[along] // 2, np.arange(value.shape[along] // 2) % 2
    seen = Activations(
        host(value), 1, samples=samples, along=along, labels=labels, gradient=host(gradient), name="v"
    )
    effects = np.moveaxis(value * gradient, (along, 1), (0, 1)).reshape(samples, 2, 6, -1).sum(axis=(1, 3))
    want = np.abs(effects).mean(axis=0) * samples
    taylor = Taylor()
    np.testing.assert_allclose(taylor.finish(taylor.fold(taylor.start(), seen)), want)
    by_class = ByClass(Mean())
    found = by_class.finish(by_class.fold(by_class.start(), seen))
    moved = np.moveaxis(value, along, 0)
    for label in (0, 1):
        part = np.moveaxis(moved[np.repeat(labels == label, 2)], 0, along)
        np.testing.assert_allclose(found[label], rows_of(part, 1).mean(axis=0))


def test_samples_that_cannot_be_told_apart_are_refused() -> None:
    seen = Activations(np.ones((3, 2)), 1, samples=2, labels=np.array([0, 1]), name="v")
    with pytest.raises(UsageError, match="cannot be told apart in 'v'"):
        ByClass(Mean()).fold({}, seen)


def test_memory_does_not_grow_with_the_number_of_batches() -> None:
    graph = chain(16, batch=4, size=16)
    executor, coupling = NumpyExecutor(graph), couple(graph)
    task_data = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)

    def peak(batches: int) -> int:
        def data() -> Iterator[Array]:
            return (task_data + 0 for _ in range(batches))

        task = Task(data)
        tracemalloc.start()
        Batches(executor, lambda: task.feeds(graph))(coupling, (Variance(), Covariance(), MeanPower(2)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(40) < 1.2 * peak(4)


def test_sums_are_shared_where_one_statistic_follows_from_another() -> None:
    folds = []

    class Counted(Variance):
        def fold(self, held: object, seen: Activations) -> object:  # type: ignore[override]
            folds.append(seen.name)
            return super().fold(held, seen)  # type: ignore[arg-type]

    graph = chain()
    task = feeds_of(np.ones((2, *graph.values["x0"].shape[1:])), 2)
    seen = seen_of(graph, task, Mean(), SecondMoment(), Counted(), Variance())
    assert len(folds) == len(set(folds)) == len(places_of(couple(graph)))
    for read in seen.reads:
        together = seen[Variance(), read] + seen[Mean(), read] ** 2
        np.testing.assert_allclose(seen[SecondMoment(), read], together)


def test_what_a_normalisation_states_and_what_data_of_that_kind_show_agree() -> None:
    net = Builder(seed=1)
    x = net.batch_norm(net.linear(net.input(500, 6), 8, path="a"), path="bn")
    graph = net.graph(net.linear(x, 4, path="b"))
    told = ModelMoments()(couple(graph), (Mean(), Variance(), MeanPower(1)))
    (read,) = told.reads
    beta, gamma = (graph.params[f"bn.{part}"].read().astype(float) for part in ("bias", "weight"))
    np.testing.assert_allclose(told[Mean(), read], beta, atol=1e-6)
    np.testing.assert_allclose(told[Variance(), read], gamma**2, rtol=1e-4)
    assert told.samples == 0


def test_the_model_says_which_values_it_does_not_know() -> None:
    net = Builder(seed=1)
    graph = net.graph(net.linear(net.linear(net.input(2, 6), 8, path="a"), 4, path="b"))
    told = ModelMoments()(couple(graph), (Mean(),))
    (read,) = told.reads
    assert told.unknown == {read.place}
    with pytest.raises(UsageError, match="source 'model' does not know it"):
        told[Mean(), read]


@pytest.mark.parametrize("statistic", [Covariance(), ByClass(Mean()), Taylor()], ids=str)
def test_what_the_model_cannot_say_alone_is_refused(statistic: Statistic) -> None:
    with pytest.raises(UsageError, match="cannot be had from the model alone"):
        ModelMoments()(couple(chain()), (statistic,))


def test_synthetic_inputs_need_no_data() -> None:
    graph = chain()
    seen = synthetic(NumpyExecutor(graph))(couple(graph), (Variance(),))
    assert seen.source == "synthetic"
    assert all(np.all(seen[Variance(), read] >= 0) for read in seen.reads)


def test_a_statistic_nobody_asked_for_is_no_number() -> None:
    graph = chain()
    seen = seen_of(graph, feeds_of(np.ones((2, *graph.values["x0"].shape[1:])), 2), Mean())
    with pytest.raises(UsageError, match="nobody asked"):
        seen[Variance(), seen.reads[0]]
    assert {read.node for read in seen.of_group(seen.reads[0].groups[0])} == {seen.reads[0].node}


def test_classes_need_targets() -> None:
    graph = chain()
    task = feeds_of(np.ones((2, *graph.values["x0"].shape[1:])), 2)
    with pytest.raises(UsageError, match="a batch has no targets"):
        seen_of(graph, task, ByClass(Mean()))


def test_statistics_are_found_by_name() -> None:
    assert statistics.get("mean_power")(4) == MeanPower(4)  # type: ignore[call-arg]
    assert "covariance" in statistics.names()
    with pytest.raises(UsageError, match="no statistic 'median'"):
        statistics.get("median")
    with pytest.raises(UsageError, match="a power above 0"):
        MeanPower(0)


def test_what_is_no_class_is_refused() -> None:
    """A target of -1 marks samples to ignore and would count as the last class; a time stamp fills the memory."""
    graph = chain()
    data = np.ones((3, *graph.values["x0"].shape[1:]))
    for wild in (-1, -100, 1_700_000_000):
        with pytest.raises(UsageError, match=f"the target {wild} of a sample is no class"):
            seen_of(graph, feeds_of(data, 3, np.array([0, wild, 1])), ByClass(Mean()))
    with pytest.raises(UsageError, match="a sample has one class"):
        ByClass(ByClass(Mean()))


def test_batches_without_samples_are_no_data() -> None:
    graph = chain()
    empty = np.ones((0, *graph.values["x0"].shape[1:]))
    with pytest.raises(UsageError, match="hold no samples"):
        seen_of(graph, task_of([empty, empty]), Mean())
    filled = np.ones((2, *empty.shape[1:]))
    assert seen_of(graph, task_of([empty, filled]), Mean()).samples == 2


@dataclass(frozen=True)
class Ends:
    """A statistic that finishes with whatever it was given."""

    name: ClassVar[str] = "ends"
    given: Any = None

    def start(self) -> Any:
        return None

    def fold(self, held: Any, seen: Activations) -> Any:
        return held

    def finish(self, held: Any) -> Any:
        return self.given


@pytest.mark.parametrize("given", [None, 3.0, "many", ((1.0, 2.0), (3.0,))])
def test_a_statistic_that_finishes_with_no_array_is_one_clear_error(given: Any) -> None:
    graph = chain()
    with pytest.raises(UsageError, match=r"is no array of numbers|tells nothing of single channels"):
        seen_of(graph, feeds_of(np.ones((2, *graph.values["x0"].shape[1:])), 2), Ends(given))
