"""Productions that move entries: reshapes, transpositions, shuffles, pads, windows."""

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
