"""Productions that move entries: reshapes, transpositions, slices, look-ups, copies, shuffles, pads."""

from __future__ import annotations

from math import prod

import numpy as np

from tests.passes.productions._net import (
    WIDEST,
    Net,
    Table,
    always,
    even,
    images,
    maps,
    rows,
    tokens,
    vectors,
    wide,
)

table = Table()


@table(maps)
def flatten_to_vector(net: Net) -> None:
    """Channel outside, positions inside: the next layer's columns are a product."""
    net.go(net.add("flatten", net.now, start=1, end=net.rank - 1), last=True)
    net.go(net.linear(net.now, net.widths()))


@table(images)
def flatten_with_channels_inside(net: Net) -> None:
    """NHWC: positions outside, channels inside."""
    x = net.add("permute", net.now, order=(0, 2, 3, 1))
    x = net.add("reshape", x, shape=(net.dims[0], prod(net.dims[1:])))
    net.go(net.linear(x, net.widths()), last=True)


@table(maps)
def map_to_tokens(net: Net) -> None:
    x = net.add("flatten", net.now, start=2, end=net.rank - 1)
    net.go(net.add("permute", x, order=(0, 2, 1)), last=True)


@table(tokens)
def tokens_to_map(net: Net) -> None:
    batch, length, width = net.dims
    x = net.add("permute", net.now, order=(0, 2, 1))
    height = 1 if length % 2 else 2
    net.go(net.add("reshape", x, shape=(batch, width, height, length // height)), last=False)


@table(vectors)
def vector_to_map(net: Net) -> None:
    """A generator's first layer: the vector becomes a small image."""
    x = net.linear(net.now, 4 * net.widths())
    net.go(net.add("reshape", x, shape=(net.dims[0], -(-net.shape(x)[1] // 4), 2, 2)), last=False)


@table(lambda net: net.rank == 3)
def transpose_and_back(net: Net) -> None:
    x = net.act(net.add("permute", net.now, order=(0, 2, 1)))
    net.go(net.add("permute", x, order=(0, 2, 1)))


@table(always, sized=True)
def reshape_there_and_back(net: Net) -> None:
    """Regroup everything beyond the batch, work entry by entry, and return."""
    rest = prod(net.dims[1:])
    outer = net.divisor(rest, least=1)
    x = net.add("reshape", net.now, shape=(net.dims[0], outer, rest // outer))
    net.go(net.add("reshape", net.act(x), shape=net.dims))


@table(wide(always))
def regroup_channels(net: Net) -> None:
    """Split the channels in (groups, rest), scale every group, and join them."""
    axis, groups = net.channel_axis, net.divisor(net.width)
    lead, tail = net.dims[:axis], net.dims[axis + 1 :]
    x = net.add("reshape", net.now, shape=(*lead, groups, net.width // groups, *tail))
    scale = net.weight(groups, 1, *(1,) * len(tail))
    net.go(net.add("reshape", net.add("multiply", x, scale), shape=net.dims))


@table(wide(always))
def transpose_channel_groups(net: Net) -> None:
    """A channel shuffle written as view, transpose, view."""
    axis, groups = net.channel_axis, net.divisor(net.width)
    lead, tail = net.dims[:axis], net.dims[axis + 1 :]
    x = net.add("reshape", net.now, shape=(*lead, groups, net.width // groups, *tail))
    order = list(range(net.rank + 1))
    order[axis], order[axis + 1] = axis + 1, axis
    net.go(net.add("reshape", net.add("permute", x, order=tuple(order)), shape=net.dims))


@table(wide(maps))
def channel_shuffle(net: Net) -> None:
    net.then("channel_shuffle", groups=net.divisor(net.width))


@table(wide(maps))
def shuffled_groups(net: Net) -> None:
    """Grouped, shuffled, grouped again with another number of groups."""
    groups = net.divisor(net.width)
    x = net.conv(net.now, net.width, 3, padding=1, groups=groups)
    x = net.add("channel_shuffle", x, groups=groups)
    net.go(net.conv(x, net.width, groups=net.divisor(net.width)))


@table(wide(images, 4))
def pixel_shuffle(net: Net) -> None:
    net.then("depth_to_space", block=2, block_first=net.maybe())


@table(even(lambda net: images(net) and net.width <= WIDEST // 4))
def pixel_unshuffle(net: Net) -> None:
    net.then("space_to_depth", block=2, block_first=net.maybe())


@table(always)
def roll(net: Net) -> None:
    axis = net.pick(*range(1, net.rank))
    net.then("roll", shifts=(net.some(0, net.dims[axis] - 1),), axes=(axis,))


@table(always)
def flip(net: Net) -> None:
    net.then("flip", axes=(net.pick(*range(1, net.rank)),))


@table(maps)
def pad_positions(net: Net) -> None:
    mode = net.pick("constant", "reflect", "edge")
    low = high = (0, 0, *(1 if size < 8 and size > 1 else 0 for size in net.space))
    net.then("pad", low=low, high=high, mode=mode, value=0.5 if mode == "constant" else 0)


@table(lambda net: net.width <= 16)
def pad_channels(net: Net) -> None:
    low, high = ([0] * net.rank for _ in range(2))
    low[net.channel_axis], high[net.channel_axis] = net.some(0, 2), net.some(0, 2)
    net.then("pad", low=tuple(low), high=tuple(high), mode="constant", value=net.pick(0, 1.5))


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


@table(always)
def unsqueeze_and_squeeze(net: Net) -> None:
    axis = net.some(0, net.rank)
    x = net.act(net.add("unsqueeze", net.now, axes=(axis,)))
    net.go(net.add("squeeze", x, axes=(axis,)))


@table(even(images))
def window_partition(net: Net) -> None:
    """Swin: windows become batch entries, a layer over channels, and back."""
    batch, width, height, across = net.dims
    x = net.add("permute", net.now, order=(0, 2, 3, 1))
    x = net.add("reshape", x, shape=(batch, height // 2, 2, across // 2, 2, width))
    x = net.add("permute", x, order=(0, 1, 3, 2, 4, 5))
    x = net.add("reshape", x, shape=(batch * height * across // 4, 4, width))
    x = net.linear(net.act(net.linear(x, net.widths())), width)
    x = net.add("reshape", x, shape=(batch, height // 2, across // 2, 2, 2, width))
    x = net.add("permute", x, order=(0, 1, 3, 2, 4, 5))
    x = net.add("reshape", x, shape=(batch, height, across, width))
    net.go(net.add("permute", x, order=(0, 3, 1, 2)))


@table(wide(always))
def maxout(net: Net) -> None:
    """The larger one of neighbouring channels."""
    axis = net.channel_axis
    lead, tail = net.dims[:axis], net.dims[axis + 1 :]
    x = net.add("reshape", net.now, shape=(*lead, net.width // 2, 2, *tail))
    net.go(net.add("max_over", x, axes=(axis + 1,), keepdims=False))


@table(wide(rows))
def rotate_halves(net: Net) -> None:
    """Rotary embedding: the second half, negated, comes first."""
    half, axis = net.width // 2, net.rank - 1
    first = net.add("slice", net.now, axis=axis, start=0, stop=half, step=1)
    second = net.add("slice", net.now, axis=axis, start=half, stop=2 * half, step=1)
    turned = net.add("concat", net.add("neg", second), first, axis=axis)
    angles = np.random.default_rng(0).uniform(0, 6, net.width).astype(np.float32)
    cos, sin = net.constant(np.cos(angles)), net.constant(np.sin(angles))
    net.go(net.add("add", net.add("multiply", net.now, cos), net.add("multiply", turned, sin)))


@table(images)
def windows_as_channels(net: Net) -> None:
    """im2col and a layer over it."""
    x = net.add(
        "windows_to_columns", net.now, kernel=(1, 1), dilation=(1, 1), stride=(1, 1), pads=((0, 0), (0, 0))
    )
    net.go(net.add("permute", x, order=(0, 2, 1)), last=True)


@table(always)
def fill_joined(net: Net) -> None:
    """A constant fill beside the channels."""
    axis = net.channel_axis
    shape = (*net.dims[:axis], net.some(1, 3), *net.dims[axis + 1 :])
    if net.width + shape[axis] <= WIDEST:
        fill = net.add("full", None, shape=shape, value=0.5, dtype="float32")
        net.go(net.add("concat", net.now, fill, axis=axis))
    else:
        net.then("multiply", net.add("full_like", net.now, value=0.5))


@table(always)
def plumbing(net: Net) -> None:
    """What hands its operand on."""
    net.then("identity")
    net.go(net.add_all("dropout", net.now)[0])
    net.then("cast", dtype="float32")


@table(rows)
def running_sum_over_positions(net: Net) -> None:
    net.then("cumulative_sum", axis=net.pick(*range(1, net.rank)))


@table(lambda net: net.rank > 2)
def sorted_channels(net: Net) -> None:
    net.go(
        net.add_all("sort", net.now, axis=net.channel_axis, descending=False, made=("values", "indices"))[0]
    )
