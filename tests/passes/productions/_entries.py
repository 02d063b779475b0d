"""Productions that take or write single entries: slices, selections, look-ups, copies."""

from __future__ import annotations

import numpy as np

from tests.passes.productions._net import (
    Net,
    Table,
    always,
    even,
    maps,
    rows,
    tokens,
    wide,
)

table = Table()


@table(wide(always))
def slice_of_channels(net: Net) -> None:
    start = net.some(0, net.width - 2)
    net.then("slice", axis=net.channel_axis, start=start, stop=net.some(start + 1, net.width), step=1)


@table(wide(always, 4))
def every_second_channel(net: Net) -> None:
    start, step = net.pick(0, 1), net.pick(2, 3)
    rows_taken = len(range(start, net.width, step))
    net.then(
        "slice",
        axis=net.channel_axis,
        start=start,
        stop=min(start + rows_taken * step - start % step, net.width) if start < step else net.width,
        step=step,
    )


@table(even(maps))
def slices_of_positions(net: Net) -> None:
    """Focus: every second pixel."""
    axes = tuple(range(2, net.rank))
    zeros = (0,) * len(axes)
    net.then("slices", axes=axes, starts=zeros, stops=net.space, steps=(2,) * len(axes))


@table(wide(always))
def write_into_a_slice(net: Net) -> None:
    """Partial convolution: some channels are replaced by what a layer makes of them."""
    stop = net.some(1, net.width - 1)
    part = net.add("slice", net.now, axis=net.channel_axis, start=0, stop=stop, step=1)
    made = net.layer(part, stop)
    net.then("slice_scatter", made, axis=net.channel_axis, start=0, stop=stop, step=1)


@table(always)
def select_one_channel(net: Net) -> None:
    """One channel gates all others; it may be cut from what feeds it only with its place."""
    axis = net.channel_axis
    x = net.add("select", net.now, axis=axis, index=net.some(0, net.width - 1))
    net.then("multiply", net.add("unsqueeze", net.add("sigmoid", x), axes=(axis,)))


@table(tokens)
def class_token(net: Net) -> None:
    """A token is put in front, and later only that one is read."""
    batch, _, width = net.dims
    token = net.add("expand", net.weight(1, 1, width), shape=(batch, 1, width))
    x = net.add("concat", token, net.now, axis=1)
    if net.maybe():
        net.go(net.act(x))
    else:
        net.go(net.add("select", net.layer(x, net.widths()), axis=1, index=0))


@table(rows)
def write_one_entry(net: Net) -> None:
    axis = net.rank - 1
    x = net.add("select", net.now, axis=axis, index=0)
    net.then("select_scatter", net.add("tanh", x), axis=axis, index=net.some(0, net.width - 1))


@table(always)
def gather_channels(net: Net) -> None:
    """Channels in another order, some twice."""
    index = net.constant(np.array([net.some(0, net.width - 1) for _ in range(net.some(2, 8))]))
    op = net.pick("gather", "index_select")
    net.then(op, index, axis=net.channel_axis)


@table(tokens)
def gather_tokens(net: Net) -> None:
    op, count = net.pick("index", "gather"), net.some(1, 4)
    index = net.constant(np.arange(count) % net.dims[1])
    net.go(
        net.add("index", net.now, None, index) if op == "index" else net.add("gather", net.now, index, axis=1)
    )


@table(rows)
def gather_along_channels(net: Net) -> None:
    index = np.random.default_rng(net.some(0, 99)).integers(0, net.width, (*net.dims[:-1], 4))
    net.then("gather_along", net.constant(index), axis=net.rank - 1)


@table(rows)
def scatter_along_channels(net: Net) -> None:
    index = np.random.default_rng(net.some(0, 99)).integers(0, net.width, net.dims)
    net.then("scatter_along", net.constant(index), net.weight(*net.dims), axis=net.rank - 1, reduction="add")


@table(always)
def unbind_and_stack(net: Net) -> None:
    """Two tensors side by side on an axis of their own, scaled, and taken apart."""
    axis = net.pick(1, net.rank)
    pair = net.add("stack", net.now, net.act(net.now), axis=axis)
    scale = net.weight(2, *(1,) * (net.rank - axis))
    a, b = net.add_all("unbind", net.add("multiply", pair, scale), axis=axis)
    net.go(net.add("add", a, b))


@table(lambda net: net.width <= 12)
def tile_channels(net: Net) -> None:
    repeats = [1] * net.rank
    repeats[net.channel_axis] = 2
    net.then("tile", repeats=tuple(repeats))


@table(lambda net: net.width <= 12)
def repeat_channels(net: Net) -> None:
    net.then("repeat", repeats=2, axis=net.channel_axis)


@table(maps)
def expand_a_vector_over_positions(net: Net) -> None:
    """Image-level pooling: one vector is laid beside every position."""
    x = net.conv(net.add("mean", net.now, axes=tuple(range(2, net.rank)), keepdims=True), net.some(2, 6))
    x = net.add("expand", x, shape=(net.dims[0], net.shape(x)[1], *net.space))
    net.go(net.layer(net.add("concat", net.now, x, axis=1), net.widths()))
