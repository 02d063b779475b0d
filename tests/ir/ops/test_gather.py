"""Entries looked up by an index, in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Atom, Call, Fixed, Sampler, UnsupportedError, atoms_of, registry
from tests.probe import Probe, data, probe_aten, probe_onnx


def index(*shape: int, below: int, seed: int = 0, signed: bool = False) -> Array:
    """Reproducible int64 indices."""
    return np.random.default_rng(seed).integers(-below if signed else 0, below, shape)


@pytest.mark.parametrize("opset", [7, 11, 13, 25])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_onnx_gather(opset: int, axis: int, shape: tuple[int, ...]) -> None:
    places = index(*shape, below=3, signed=opset > 7)
    probe = probe_onnx("Gather", opset, [data(3, 4, 3), places], {"axis": axis} if axis else {})
    probe_onnx("Gather", opset, [data(3, 4, 3), places.astype(np.int32)], {"axis": axis})
    looked_into = probe.rule.operands[0][axis]  # type: ignore[index]
    assert isinstance(looked_into, Fixed) and "looked up by an index" in str(looked_into.pins[0])


def test_other_axes_pass_through_a_gather() -> None:
    rule = probe_onnx("Gather", 13, [data(3, 4), index(5, below=3)]).rule
    assert rule.results[0][1] is rule.operands[0][1]  # type: ignore[index]
    assert rule.results[0][0] is rule.operands[1][0]  # type: ignore[index]


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 4, 1, 1)])
def test_an_index_that_names_every_entry_in_order_passes_the_axis_on(shape: tuple[int, ...]) -> None:
    rule = probe_onnx("Gather", 13, [data(3, 4, 2), np.arange(4).reshape(shape)], {"axis": 1}).rule
    (passed,) = [dim for dim in rule.results[0] if dim is rule.operands[0][1]]  # type: ignore[index]
    assert isinstance(passed, Atom)
    assert rule.indexed == {1: passed}


@pytest.mark.parametrize("places", [[0, 1, 3, 2], [3, 2, 1, 0], [[0, 1], [2, 3]], [-4, -3, -2, -1]])
def test_any_other_index_does_not(places: Any) -> None:
    rule = probe_onnx("Gather", 13, [data(3, 4, 2), np.array(places)], {"axis": 1}).rule
    assert isinstance(rule.operands[0][1], Fixed)  # type: ignore[index]
    assert not rule.indexed


SWAPPED, TWICE, PART = [5, 6, 7, 0, 1, 2, 3, 4], [0, 1, 2, 3, 2, 3, 4, 5], [1, 2, 3, 4]
SHUFFLED = [0, 2, 4, 6, 1, 3, 5, 7]


@pytest.mark.parametrize("places", [SWAPPED, TWICE, PART, SHUFFLED, list(range(8))])
def test_pieces_that_stay_whole_and_rows_that_become_columns_pass_on(places: list[int]) -> None:
    given = np.array(places)
    for probe in (
        probe_onnx("Gather", 13, [data(3, 8, 2), given[None]], {"axis": 1}),
        probe_aten("index_select.default", data(3, 8, 2), 1, given),
        probe_aten("index.Tensor", data(3, 8, 2), [None, given]),
    ):
        whole, taken = probe.rule.operands[0][1], probe.rule.results[0][-2]  # type: ignore[index]
        assert [*probe.rule.indexed.values()] == [whole]
        assert set(atoms_of(taken)) <= set(atoms_of(whole))


def test_a_gather_of_sizes_gives_whole_numbers() -> None:
    probe = probe_onnx("Gather", 13, [np.array([2, 3, 5], np.int64), np.array(-1, np.int64)])
    (found,) = probe.op.run(probe.call, probe.arrays)
    assert found.shape == () and found.dtype == np.int64 and found == 5


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("shape", [(), (1,), (5,)])
def test_torch_index_select(axis: int, shape: tuple[int, ...]) -> None:
    probe_aten("index_select.default", data(3, 4, 3), axis, index(*shape, below=3))


@pytest.mark.parametrize("places", [(3, 4, 2), (3, 6, 2), (2, 3, 1), (3, 1, 2)])
def test_torch_gather_reads_along_one_axis(places: tuple[int, ...]) -> None:
    probe_aten("gather.default", data(3, 4, 2), 1, index(*places, below=4))
    probe_aten("gather.default", data(3, 4, 2), -2, index(*places, below=4))


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_onnx_gather_elements(opset: int, axis: int) -> None:
    places = index(3, 3, below=3, signed=True)
    probe_onnx("GatherElements", opset, [data(3, 3), places], {"axis": axis})
    probe_onnx("GatherElements", opset, [data(3, 3), places.astype(np.int32)], {"axis": axis})


@pytest.mark.parametrize(
    ("shape", "places", "batch"),
    [
        ((3, 4), (2, 2), 0),
        ((3, 4), (5, 1), 0),
        ((2, 3, 4), (2, 1), 1),
        ((2, 3, 4, 2), (2, 5, 2), 1),
        ((3, 4), (2,), 0),
    ],
)
def test_onnx_gather_nd(shape: tuple[int, ...], places: tuple[int, ...], batch: int) -> None:
    given: dict[str, Any] = {"batch_dims": batch} if batch else {}
    probe_onnx("GatherND", 12 if batch else 11, [data(*shape), index(*places, below=2, signed=True)], given)
    probe_onnx("GatherND", 13, [data(*shape), index(*places, below=2)], given)


I = index(2, below=3, seed=1)  # noqa: E741
J = index(2, below=4, seed=2)
GRID = index(5, 1, below=3, seed=3)
INDEXINGS: list[tuple[Any, ...]] = [
    (I,),
    (None, J),
    (I, J),
    (None, GRID, J),
    (I, None, J[:1]),
    (None, None, index(3, 2, below=3)),
    (np.array(1), None, J),
    (np.array(2),),
    (I - 3,),
    (None, None, None, index(2, below=2)),
]


@pytest.mark.parametrize("places", INDEXINGS)
@pytest.mark.parametrize("target", ["index.Tensor", "_unsafe_index.Tensor"])
def test_torch_indexing(places: tuple[Any, ...], target: str) -> None:
    probe_aten(target, data(3, 4, 4, 2), list(places))


def test_a_constant_mask_counts_its_entries() -> None:
    mask = np.array([True, False, True])
    assert probe_aten("index.Tensor", data(2, 3, 4), [None, mask]).call.results == ((2, 2, 4),)
    probe_aten("index.Tensor", data(2, 3, 4), [data(2, 3) > 0])


def test_a_computed_mask_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="depends on the data"):
        registry()["index"].rule(Call({}, ((3,), (3,)), ("float32", "bool")))


def unknown(probe: Probe) -> Call:
    """The call of ``probe`` with indices that are computed at run time."""
    call = probe.call
    return Call(call.attrs, call.shapes, call.dtypes, results=call.results)


LOOKUPS: list[tuple[str, Any, Any]] = [
    ("index_select.default", (1, index(2, below=4)), (1,)),
    ("gather.default", (1, index(3, 2, 2, below=4)), (1,)),
    ("index.Tensor", ([None, index(2, below=4), index(2, below=2)],), (1, 2)),
]


@pytest.mark.parametrize(("target", "args", "axes"), LOOKUPS)
def test_known_indices_carry_samples_and_unknown_ones_the_largest(target: str, args: Any, axes: Any) -> None:
    x = data(3, 4, 2, low=0.1)
    probe = probe_aten(target, x, *args)
    op, call = probe.op, unknown(probe)
    samples = (np.stack([x, 2 * x]), *(None if part is None else part[None] for part in probe.arrays[1:]))
    (moved,) = op.flow.moments(op, probe.call, samples, Sampler())
    assert moved is not None
    for k in range(2):
        truth = op.run(probe.call, (samples[0][k], *probe.arrays[1:]))[0]
        np.testing.assert_allclose(np.broadcast_to(moved[k], truth.shape), truth)
    (bound,) = op.flow.magnitude(op, call, probe.arrays)
    assert (bound >= probe.magnitude()[0]).all() and bound.max() == x.max()
    assert op.flow.moments(op, call, samples, Sampler()) == (None,)
    (rows,) = op.flow.moments(op, call, (x[None], *samples[1:]), Sampler())
    assert rows is not None
    np.testing.assert_allclose(np.unique(rows.mean(axis=0).round(9)), np.unique(x.mean(axis=axes).round(9)))


def test_the_width_of_a_table_is_free() -> None:
    assert isinstance(probe_onnx("Gather", 13, [data(3, 4), index(5, below=3)]).rule.operands[0][1], Atom)  # type: ignore[index]
