"""Scaled dot-product attention in every spelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Atom, Call, Fixed, Prod, UnsupportedError, atoms_of, registry
from prunepass.ir._cutting import cut_attrs
from tests.law import call_for, free_atoms, solved
from tests.probe import Probe, assert_share, data, probe_aten, probe_onnx

Q, K, V = data(2, 4, 5, 3), data(2, 4, 6, 3, seed=1), data(2, 4, 6, 2, seed=2)
FLOATING, ALLOWED = data(5, 6, seed=3), data(2, 1, 5, 6, seed=4) > -0.3
SDPA = "scaled_dot_product_attention.default"


@pytest.mark.parametrize("mask", [None, FLOATING, ALLOWED, data(2, 4, 1, 6), data(1, 6) > -2])
def test_torch_attention_with_masks(mask: Array | None) -> None:
    probe = probe_aten(SDPA, Q, K, V, mask)
    assert_share(probe, 2)
    assert [leaf.size for leaf in free_atoms(probe.rule, solved(probe.rule))] == [2, 4, 3, 2]


@pytest.mark.parametrize("scale", [None, 0.3])
def test_torch_attention_that_is_causal(scale: float | None) -> None:
    probe = probe_aten(SDPA, Q, K, V, None, 0.0, True, scale=scale)
    assert probe.call.attrs["scale"] == pytest.approx(scale or 3**-0.5)


@pytest.mark.parametrize(
    ("query", "key", "value"),
    [
        ((5, 3), (6, 3), (6, 2)),
        ((4, 5, 3), (4, 6, 3), (4, 6, 2)),
        ((2, 4, 5, 3), (1, 4, 6, 3), (1, 4, 6, 3)),
        ((1, 1, 5, 3), (2, 4, 6, 3), (2, 4, 6, 2)),
        ((2, 4, 5, 3), (2, 1, 6, 3), (2, 1, 6, 2)),
        ((3, 2, 4, 5, 3), (3, 2, 4, 6, 3), (3, 2, 4, 6, 2)),
        ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1)),
        ((2, 2, 2, 2), (2, 2, 2, 2), (2, 2, 2, 2)),
    ],
)
def test_torch_attention_of_any_rank(query: Any, key: Any, value: Any) -> None:
    probe = probe_aten(SDPA, data(*query), data(*key, seed=1), data(*value, seed=2))
    assert_share(probe, 2)


@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_torch_shares_key_and_value_heads(key_heads: int) -> None:
    key, value = data(2, key_heads, 6, 3, seed=1), data(2, key_heads, 6, 2, seed=2)
    probe = probe_aten(SDPA, Q, key, value, FLOATING, enable_gqa=True)
    assert_share(probe, 2)
    heads = probe.rule.results[0][1]
    assert isinstance(heads, Prod if key_heads == 2 else Atom)


def test_torch_attention_after_decomposition() -> None:
    flash = probe_aten("_scaled_dot_product_flash_attention_for_cpu.default", Q, K, data(2, 4, 6, 3, seed=2))
    assert len(flash.rule.results) == 2
    probe_aten("_scaled_dot_product_attention_math.default", Q, K, V, FLOATING, scale=0.2)
    probe_aten("_scaled_dot_product_attention_math.default", Q, K[:, :2], V[:, :2], enable_gqa=True)


def test_forms_for_other_devices_say_what_comes_first() -> None:
    names = ("flash_attention", "efficient_attention", "cudnn_attention", "fused_attention_overrideable")
    for name in names:
        op, spelling = registry().aten(f"_scaled_dot_product_{name}.default") or pytest.fail(name)
        assert op.name == "attention"
        assert spelling.fix is not None
        assert spelling.fix({"scale": None, "causal": False}, (Q.shape,))["extra"] == ()


ATTRS: list[dict[str, Any]] = [{}, {"is_causal": 1}, {"scale": 0.3}, {"softcap": 0.5}]


@pytest.mark.parametrize("attrs", ATTRS)
@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_onnx_attention_with_heads_apart(attrs: dict[str, Any], key_heads: int) -> None:
    inputs = [Q, K[:, :key_heads], V[:, :key_heads]]
    probe_onnx("Attention", 23, inputs, attrs)
    probe_onnx("Attention", 23, [*inputs, FLOATING], attrs, engine="reference")


@pytest.mark.parametrize("attrs", ATTRS)
@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_onnx_attention_with_heads_and_features_in_one(attrs: dict[str, Any], key_heads: int) -> None:
    inputs = [data(2, 5, 12), data(2, 6, 3 * key_heads, seed=1), data(2, 6, 2 * key_heads, seed=2)]
    probe = probe_onnx("Attention", 23, inputs, {**attrs, "q_num_heads": 4, "kv_num_heads": key_heads})
    assert_share(probe, 2)
    assert [dim.size for dim in probe.rule.contracted] == [3]


@pytest.mark.parametrize("mask", [FLOATING, ALLOWED, data(2, 4, 5, 6)])
def test_onnx_masks(mask: Array) -> None:
    probe_onnx("Attention", 24, [Q, K, V, mask])
    probe_onnx("Attention", 24, [Q, K, V, mask], {"is_causal": 1})


def test_onnx_masks_may_be_short() -> None:
    probe_onnx("Attention", 24, [Q, K, V, FLOATING[:, :4]], engine="reference")
    probe_onnx("Attention", 24, [Q, K, V, FLOATING[:, :4] > 0], engine="reference")


@pytest.mark.parametrize("causal", [0, 1])
def test_onnx_attention_with_a_cache(causal: int) -> None:
    past = [data(2, 4, 3, 3, seed=5), data(2, 4, 3, 2, seed=6)]
    inputs = [Q, K, V, None, *past]
    probe = probe_onnx("Attention", 23, inputs, {"is_causal": causal}, outputs=3)
    assert_share(probe, 2, result=lambda probe: _present(probe, 6))
    merged: list[Any] = [data(2, 5, 12), data(2, 6, 12, seed=1), data(2, 6, 8, seed=2), data(5, 9, seed=3)]
    heads = {"q_num_heads": 4, "kv_num_heads": 4}
    probe_onnx("Attention", 23, [*merged, *past], heads, outputs=3)


def test_the_magnitude_of_a_grouped_cache_has_the_shape_of_the_cache() -> None:
    inputs = [Q, K[:, :2], V[:, :2], None, data(2, 2, 3, 3, seed=5), data(2, 2, 3, 2, seed=6)]
    probe = probe_onnx("Attention", 23, inputs, outputs=3)
    bounds = probe.op.flow.magnitude(
        probe.op, probe.call, tuple(None if array is None else np.abs(array) for array in probe.arrays)
    )
    assert [bound.shape for bound in bounds] == list(probe.call.results)


def _present(probe: Probe, new: int) -> Any:
    """The part of the magnitude that the new values make, those of the cache aside."""
    queries, total = 5, 9
    return np.abs(V).sum() * queries / total + 0 * new


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_onnx_products_on_their_way(stage: int) -> None:
    attrs = {"qk_matmul_output_mode": stage, "softcap": 0.7}
    engine = "reference" if stage else "onnxruntime"  # the reference caps the products too early
    probe_onnx("Attention", 23, [Q, K, V, FLOATING], attrs, outputs=4, engine=engine)


@pytest.mark.parametrize("causal", [0, 1])
def test_onnx_counts_the_keys_that_are_filled(causal: int) -> None:
    op, lengths = registry()["attention"], np.array([4, 6])
    attrs = {"scale": 0.5, "causal": bool(causal), "grouped": True}
    call = call_for(op, attrs, Q, K, V, None, None, None, lengths)
    (result,) = op.run(call, (Q, K, V, None, None, None, lengths))
    for sample, length in enumerate(lengths):
        one = tuple(array[sample : sample + 1] for array in (Q, K[:, :, :length], V[:, :, :length]))
        mask = np.arange(length) <= np.arange(5)[:, None] + length - 5 if causal else None
        alone = op.run(call_for(op, {**attrs, "causal": False}, *one, mask), (*one, mask))[0]
        np.testing.assert_allclose(result[sample : sample + 1], alone, atol=1e-12)


def test_what_is_masked_everywhere_gives_nothing() -> None:
    mask = np.ones((5, 6), bool)
    mask[2] = False
    probe = probe_aten(SDPA, Q, K, V, mask)
    assert not probe.op.run(probe.call, probe.arrays)[0][:, :, 2].any()


def test_heads_follow_a_cut_and_the_scale_stays() -> None:
    op = registry()["attention"]
    attrs = {"scale": 0.5, "q_heads": 4, "kv_heads": 2}
    rule = op.rule(call_for(op, attrs, data(2, 5, 12), data(2, 6, 6), data(2, 6, 4)))
    shared, each, width = atoms_of(rule.results[0][2])
    kept: dict[Any, Any] = {shared: np.array([1]), each: np.array([0]), width: np.array([0])}
    cut = cut_attrs(attrs, rule, solved(rule).norm, kept)
    assert cut == {"scale": 0.5, "q_heads": 1, "kv_heads": 1}


def test_positions_are_pinned_with_the_reason() -> None:
    rows = probe_aten(SDPA, Q, K, V).rule.results[0][2]
    assert isinstance(rows, Fixed)
    assert "softmax mixes" in str(rows.pins[0])


def test_query_and_key_share_what_their_products_move() -> None:
    probe = probe_aten(SDPA, Q, K, V)
    np.testing.assert_allclose(probe.inflow(0).sum(axis=(0, 1, 2)), probe.inflow(1).sum(axis=(0, 1, 2)))


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3, 5, 4), (2, 2, 6, 4), (2, 2, 6, 4)),
        ((2, 3, 5, 4), (2, 3, 6, 3), (2, 3, 6, 4)),
        ((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 7, 4)),
    ],
)
def test_shapes_that_do_not_meet_are_refused(shapes: Any) -> None:
    with pytest.raises(UnsupportedError):
        registry()["attention"].rule(Call({"scale": 1.0}, shapes))


def test_heads_that_do_not_divide_are_refused() -> None:
    attrs = {"scale": 1.0, "q_heads": 5, "kv_heads": 5}
    with pytest.raises(UnsupportedError, match="5 heads"):
        registry()["attention"].rule(Call(attrs, ((2, 5, 12), (2, 6, 12), (2, 6, 12))))


@pytest.mark.parametrize("mask", [(3, 1, 4, 4), (1, 3, 4, 4), (3, 4)])
def test_a_mask_that_does_not_broadcast_is_refused(mask: tuple[int, ...]) -> None:
    shapes = ((2, 5, 4, 3), (2, 5, 4, 3), (2, 5, 4, 3), mask)
    with pytest.raises(UnsupportedError, match="a mask of"):
        registry()["attention"].rule(Call({"scale": 1.0}, shapes, ("float32",) * 4))
