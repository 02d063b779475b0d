"""What networks rarely hold: the other elementary functions, logic, counting, writing, foreign operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from prunepass.ir import Array
from tests.passes.productions._net import Net, Table, always, images, maps, rows, tokens

table = Table()

# Functions by where they are defined: everywhere, between -1 and 1, above 0, above 1.
_EVERYWHERE = (
    "asinh", "atan", "ceil", "cos", "cosh", "erfc", "exact_gelu", "exp", "exp2", "expm1", "floor",
    "frac", "hard_tanh", "hardshrink", "positive", "quick_gelu", "round", "rrelu", "scaled_elu", "shrink", "sign",
    "signum", "sinh", "sloped_sigmoid", "soft_relu", "softshrink", "threshold", "thresholded_relu", "trunc",
)  # fmt: skip
_INSIDE = ("acos", "asin", "atanh", "tan")
_POSITIVE = ("log", "log10", "log1p", "log2", "reciprocal", "rsqrt", "sqrt")
_LOGIC = ("logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor")
_COMPARE = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


@table(always)
def elementary(net: Net) -> None:
    """Several in a row; tables in front, so that nothing lies just where a function jumps."""
    for op in (net.pick(*_EVERYWHERE), net.pick(*_EVERYWHERE), net.pick(*_INSIDE, *_POSITIVE, "acosh")):
        x = net.add("add", net.add("tanh", net.now), net.weight(1, *net.dims[1:], low=0.0, high=0.01))
        if op in _INSIDE:
            x = net.add("multiply", x, net.number(0.9))
        elif op not in _EVERYWHERE:
            x = net.add("add", net.add("square", x), net.number(1.5 if op == "acosh" else 0.5))
        net.go(net.add(op, x))


@table(always)
def pairs(net: Net) -> None:
    op = net.pick("fmax", "fmin", "atan2", "hypot", "copysign", "log_add_exp", "remainder", "divide")
    table_ = net.weight(*net.along(net.width), low=0.6, high=1.4)
    net.then(op, table_, **({"truncated": 1} if op == "remainder" else {}))


@table(always)
def logic(net: Net) -> None:
    """Masks from comparisons, joined and turned round."""
    shape = net.along(net.width)
    a, b = (net.add(net.pick(*_COMPARE), net.now, net.weight(*shape)) for _ in range(2))
    mask = net.add(net.pick(*_LOGIC), a, b)
    mask = net.add(net.pick("logical_not", "bitwise_not"), mask)
    net.go(net.add("where", mask, net.now, net.add("tanh", net.now)))


@table(always)
def questions(net: Net) -> None:
    """Whether anything, or all, of the channels is above a table."""
    mask = net.add("greater", net.now, net.weight(*net.along(net.width)))
    found = net.add(net.pick("any_of", "all_of"), mask, axes=(net.channel_axis,), keepdims=True)
    sound = net.add(net.pick("is_nan", "is_inf", "is_finite"), net.now)
    x = net.add("where", found, net.now, net.number(0.5))
    net.go(net.add("where", sound, x, net.add("neg", net.now)))


@table(always)
def bits(net: Net) -> None:
    counted = net.add(
        "cast", net.add("multiply", net.add("sigmoid", net.now), net.number(9.0)), dtype="int64"
    )
    shifted = net.add("shift_bits", counted, net.constant(np.int64(1)), left=net.maybe())
    net.then("add", net.add("cast_like", shifted, net.now))


@table(always)
def other_reductions(net: Net) -> None:
    """A product, a logarithm of a sum, the place and the value of the least."""
    axis = net.pick(*range(1, net.rank))
    above = net.add("add", net.add("sigmoid", net.now), net.weight(1, *net.dims[1:], low=0.4, high=0.6))
    x = net.add(net.pick("product", "log_of_sum"), above, axes=(axis,), keepdims=True)
    least, _ = net.add_all("min_at", above, axes=(axis,), keepdims=True)
    place = net.add("argmin", above, axis=axis, keepdims=True)
    x = net.add("add", net.add("add", x, least), net.add("multiply", place, net.number(0.1)))
    net.then("add", x)


@table(always)
def least_without_its_place(net: Net) -> None:
    attrs: dict[str, Any] = {"axes": (net.channel_axis,), "keepdims": True, "positions": False}
    net.then("add", net.add_all("min_at", net.now, **attrs)[0])


@table(lambda net: net.rank > 2)
def triangle(net: Net) -> None:
    net.then("triangle", upper=net.maybe(), diagonal=net.pick(-1, 0, 1))


@table(always)
def largest_few(net: Net) -> None:
    no_ties = net.add("add", net.now, net.weight(1, *net.dims[1:]))
    net.go(
        net.add_all("top", no_ties, axis=net.channel_axis, count=min(2, net.width), largest=net.maybe())[0]
    )


@table(rows)
def running_product(net: Net) -> None:
    net.go(net.add("cumulative_product", net.add("sigmoid", net.now), axis=net.rank - 1))


@table(always)
def hard_maximum(net: Net) -> None:
    no_ties = net.add("add", net.now, net.weight(1, *net.dims[1:]))
    net.then("multiply", net.add("hardmax", no_ties, axes=(net.channel_axis,)))


@table(tokens)
def residual_rms_norm(net: Net) -> None:
    skip = net.linear(net.act(net.now), net.width)
    extra = ("rstd", "sum")
    net.go(
        net.add_all("residual_rms_norm", net.now, skip, net.weight(net.width), axis=2, eps=1e-5, extra=extra)[
            0
        ]
    )


@table(always)
def copies_and_fills(net: Net) -> None:
    """Overwritten by another tensor, or by a number."""
    x = net.add("copy", net.now, net.weight(*net.along(net.width))) if net.maybe() else net.now
    filled = net.add("fill", net.add("full_like", net.now, value=1.0), net.number(0.5))
    net.go(net.add("add", x, net.add("add", filled, net.act(net.now))))


@table(tokens)
def unfold_tokens(net: Net) -> None:
    """Windows over the tokens become an axis behind the channels."""
    if net.dims[1] < 2:
        return net.then("relu")
    x = net.add("unfold", net.now, axis=1, size=2, step=1)
    return net.go(net.add("sum", net.add("multiply", x, net.weight(2)), axes=(3,), keepdims=False))


@table(images)
def columns_and_back(net: Net) -> None:
    """Windows as columns, a table over them, and added up where they came from."""
    window: dict[str, Any] = {
        "kernel": (2, 2),
        "dilation": (1, 1),
        "stride": (1, 1),
        "pads": ((1, 1), (1, 1)),
    }
    x = net.add("windows_to_columns", net.now, **window)
    x = net.add("multiply", x, net.weight(net.shape(x)[1], 1))
    net.go(net.add("columns_to_image", x, space=net.space, **window))


@table(always)
def strided_view(net: Net) -> None:
    """Entries picked by strides of memory are pinned."""
    strides = tuple(int(np.prod(net.dims[axis + 1 :])) for axis in range(net.rank))
    net.go(net.add("as_strided", net.now, shape=net.dims, strides=strides, offset=0))


@table(rows)
def diagonal_of_products(net: Net) -> None:
    """The squares on the diagonal of an outer product."""
    axis = net.rank - 1
    left, right = net.add("unsqueeze", net.now, axes=(axis + 1,)), net.add("unsqueeze", net.now, axes=(axis,))
    outer = net.add("matmul", left, right)
    net.go(net.add("diagonal", outer, offset=0, rows=axis, columns=axis + 1))


@table(rows)
def looked_up_by_coordinates(net: Net) -> None:
    index = net.constant(np.array([[[axis]] for axis in range(net.dims[0])], dtype=np.int64) % net.dims[1])
    x = net.add("gather_nd", net.now, index, batch=1)
    net.then("add", x) if net.rank == 3 else net.then("add", net.add("tanh", x))


@table(rows)
def written_by_coordinates(net: Net) -> None:
    """Rows of the batch are written; everything behind them passes."""
    made = net.add("tanh", net.now)
    index = net.constant(np.arange(net.dims[0], dtype=np.int64)[:, None])
    net.then("scatter_nd", index, made, reduction="add")


@table(tokens)
def written_by_index(net: Net) -> None:
    count = min(2, net.dims[1])
    part = net.add("slice", net.add("sigmoid", net.now), axis=1, start=0, stop=count, step=1)
    index = net.constant(np.arange(count, dtype=np.int64))
    net.then("index_put", part, None, index, reduction=net.pick("none", "add"))


@table(tokens)
def positions_counted(net: Net) -> None:
    """Sinusoids of counted positions, and words told apart by their number."""
    counted = net.add("range", start=0, stop=net.dims[1], step=1, dtype="float32")
    waves = net.add(
        "sin", net.add("multiply", net.add("unsqueeze", counted, axes=(1,)), net.weight(net.width))
    )
    index = net.constant(np.arange(net.dims[1], dtype=np.int64) % 3)
    hot = net.add("one_hot", index, depth=3, axis=1)
    x = net.add("add", net.now, waves)
    net.go(
        net.add("add", x, net.add("matmul", net.add("cast", hot, dtype="float32"), net.weight(3, net.width)))
    )


@table(rows)
def identity_matrix(net: Net) -> None:
    """A layer that adds a unit matrix to its weight."""
    weight = net.weight(net.width, net.width)
    unit = net.add("eye", weight, diagonal=0, dtype=None)
    net.then("matmul", net.add("add", weight, unit))


@table(always)
def batch_size_as_data(net: Net) -> None:
    """Sizes are numbers of the model: what they count must stay."""
    size = net.add("shape", net.now, start=0, end=1)
    x = net.add("multiply", net.now, net.add("cast", size, dtype="float32"))
    net.go(net.add("divide", x, net.number(float(net.dims[0]))))


@table(maps)
def foreign(net: Net) -> None:
    """An operator that nobody declared: pinned all over, evaluated by its host."""

    def host(*arrays: Array | None) -> tuple[Array, ...]:
        assert arrays[0] is not None
        return (np.flip(arrays[0], 1) * 2,)

    net.go(net.add_foreign("custom::flip", net.now, result=net.dims, evaluate=host))
