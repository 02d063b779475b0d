"""Random numbers: the law of each as the host draws it, and one draw for a network and what is left of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, Call, Op, Sampler, registry
from prunepass.ir._draw import normal_draw, uniform_draw
from tests.law import call_for, check
from tests.probe import data

COUNT = 40_000
# Six deviations of a mean over as many draws: never off by chance, and far below any mistake in the numbers.
NEAR = 6 / np.sqrt(COUNT)

BASE = np.full((COUNT,), 0.3)
ATEN: list[tuple[str, tuple[Any, ...]]] = [
    ("rand.default", ([COUNT],)),
    ("randn.default", ([COUNT],)),
    ("normal.float_float", (2.0, 3.0, [COUNT])),
    ("randint.default", (5, [COUNT])),
    ("randint.low", (2, 9, [COUNT])),
    ("rand_like.default", (BASE,)),
    ("randn_like.default", (BASE,)),
    ("randint_like.default", (BASE, 4)),
    ("randint_like.low_dtype", (BASE, 3, 7)),
    ("uniform.default", (BASE, -2.0, 1.0)),
    ("normal_functional.default", (BASE, 1.0, 2.0)),
    ("exponential.default", (BASE, 2.0)),
    ("bernoulli.p", (BASE, 0.2)),
    ("bernoulli.default", (BASE,)),
    ("normal.Tensor_Tensor", (BASE, 2 * BASE)),
    ("normal.Tensor_float", (BASE, 2.0)),
    ("normal.float_Tensor", (2.0, BASE)),
    ("native_dropout.default", (BASE, 0.4, True)),
]


def neutral(target: str, args: tuple[Any, ...]) -> tuple[Op, dict[str, Any], tuple[Array | None, ...]]:
    """The declaration, attributes and operands of a call of torch."""
    import torch

    name, overload = target.rsplit(".", 1)
    schema = getattr(getattr(torch.ops.aten, name), overload)._schema
    bound = {argument.name: argument.default_value for argument in schema.arguments}
    bound.update({argument.name: given for argument, given in zip(schema.arguments, args, strict=False)})
    found = registry().aten(target)
    assert found is not None
    op, spelling = found
    arrays = tuple(np.asarray(bound[name], np.float64) for name in spelling.inputs)
    attrs = {key: bound[argument] for key, argument in spelling.attrs.items()}
    shapes = tuple(array.shape for array in arrays)
    return op, spelling.fix(attrs, shapes) if spelling.fix else attrs, arrays


def real(target: str, args: tuple[Any, ...]) -> Array:
    import torch

    name, overload = target.rsplit(".", 1)
    given = [torch.from_numpy(arg) if isinstance(arg, np.ndarray) else arg for arg in args]
    torch.manual_seed(0)
    made = getattr(getattr(torch.ops.aten, name), overload)(*given)
    return np.asarray(made[0] if isinstance(made, tuple) else made)


def alike(got: Array, want: Array) -> None:
    """The same kind of numbers, of the same mean, deviation and range."""
    assert (got.shape, got.dtype.kind) == (want.shape, want.dtype.kind)
    spread = want.std()
    assert abs(got.mean() - want.mean()) < 2 * NEAR * spread
    assert abs(got.std() - spread) < 4 * NEAR * spread
    if want.dtype.kind == "i":
        np.testing.assert_array_equal(np.unique(got), np.unique(want))
        return
    rank = np.linspace(0.01, 0.99, 9)
    np.testing.assert_allclose(np.quantile(got, rank), np.quantile(want, rank), atol=0.1 * spread)


@pytest.mark.parametrize(("target", "args"), ATEN, ids=lambda value: value if isinstance(value, str) else "")
def test_the_reference_draws_by_the_law_of_the_host(target: str, args: tuple[Any, ...]) -> None:
    op, attrs, arrays = neutral(target, args)
    assert op.random(attrs)
    call = call_for(op, attrs, *arrays)
    made = op.run(call, arrays)[0]
    alike(made, real(target, args))
    size = op.flow.magnitude(op, call, tuple(map(abs, arrays)))[0]  # type: ignore[arg-type]
    assert size.shape == made.shape
    samples = op.flow.moments(
        op, call, tuple(array[None] for array in arrays if array is not None), Sampler()
    )
    if samples[0] is not None:
        assert abs(float(samples[0].mean()) - made.mean()) < 2 * NEAR * made.std()
        assert float(samples[0].std()) == pytest.approx(made.std(), rel=0.05)


SHAPED: list[tuple[str, dict[str, Any], tuple[Array, ...]]] = [
    ("uniform", {"shape": (3, 4, 5), "low": -1.0, "high": 1.0}, ()),
    ("normal", {"shape": (6, 2), "mean": 0.0, "deviation": 1.0}, ()),
    ("integers", {"shape": (5, 3), "low": 0.0, "end": 9.0}, ()),
    ("uniform_like", {"low": 0.0, "high": 1.0}, (data(3, 4, 5),)),
    ("normal_like", {"mean": 0.0, "deviation": 1.0}, (data(3, 4, 5),)),
    ("integers_like", {"low": 0.0, "end": 9.0}, (data(3, 4),)),
    ("exponential_like", {"rate": 1.0}, (data(3, 4),)),
    ("coins_like", {"p": 0.5}, (data(3, 4),)),
    ("coins", {}, (data(3, 4, low=0.2, high=0.8),)),
    ("normal_around", {}, (data(3, 4, 2), data(4, 1, low=0.5))),
    ("dropout", {"p": 0.5}, (data(3, 4, 5),)),
]


@pytest.mark.parametrize(("name", "attrs", "arrays"), SHAPED, ids=[row[0] for row in SHAPED])
def test_a_cut_keeps_the_draw_of_what_is_left(
    name: str, attrs: dict[str, Any], arrays: tuple[Array, ...]
) -> None:
    for seed in range(4):
        check(registry()[name], attrs, *arrays, seed=seed)


def test_entries_and_nodes_have_draws_of_their_own() -> None:
    call = Call({}, (), name="a")
    one, other = uniform_draw(call, (50, 40)), uniform_draw(Call({}, (), name="b"), (50, 40))
    assert len(np.unique(one)) == one.size
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.15
    assert np.abs(np.corrcoef(one) - np.eye(50)).max() < 0.75
    np.testing.assert_array_equal(one, uniform_draw(call, (50, 40)))
    np.testing.assert_array_equal(one[:20, :30], uniform_draw(call, (20, 30)))
    assert abs(np.corrcoef(normal_draw(call, (2000,)), uniform_draw(call, (2000,), 1))[0, 1]) < 0.15


def test_dropout_that_is_off_draws_nothing() -> None:
    for args in ((data(2, 3), 0.4, False), (data(2, 3), 0.0, True)):
        op, attrs, _ = neutral("native_dropout.default", args)
        assert not op.random(attrs)
