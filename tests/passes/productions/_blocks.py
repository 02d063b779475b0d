"""Blocks that tie channels: skips, dense concatenations, shared and tied weights, gates, second outputs."""

from __future__ import annotations

import numpy as np

from tests.passes.productions._net import Net, Table, always, images, maps, rows, tokens, wide

table = Table()


@table(always)
def residual(net: Net) -> None:
    """x + f(x); the inner width is free."""
    inner = net.act(net.layer(net.now, net.widths()))
    net.go(net.add("add", net.now, net.layer(inner, net.width)))


@table(always)
def skip_to_an_earlier_tensor(net: Net) -> None:
    """Add whatever had the same shape."""
    same = [name for name, _ in net.past if net.shape(name) == net.dims] or [net.now]
    net.go(net.add("add", net.pick(*same), net.now))


@table(maps)
def residual_with_zero_padded_channels(net: Net) -> None:
    """The parameter-free short cut: the skip gets channels of zeros."""
    more = net.some(1, 4)
    y = net.layer(net.act(net.now), net.width + more)
    low = (0, net.pick(0, more), *(0,) * len(net.space))
    high = (0, more - low[1], *(0,) * len(net.space))
    net.go(net.add("add", net.add("pad", net.now, low=low, high=high, mode="constant", value=0), y))


@table(lambda net: net.width <= 12)
def dense_block(net: Net) -> None:
    """Every layer reads all before it."""
    joined = net.now
    for _ in range(net.some(1, 3)):
        made = net.act(net.layer(joined, net.some(2, 4)))
        joined = net.add("concat", joined, made, axis=net.channel_axis)
    net.go(joined)


@table(lambda net: net.width <= 8)
def concat_with_itself(net: Net) -> None:
    parts = [net.pick(net.now, net.act(net.now)) for _ in range(net.some(2, 3))]
    net.go(net.add("concat", *parts, axis=net.channel_axis))


@table(wide(always))
def chunk_and_concat_with_its_source(net: Net) -> None:
    """C2f: halves of one layer, a bottleneck on the second half, everything joined again."""
    half = net.width // 2
    first, second = net.add_all("split", net.now, sizes=(half, half), axis=net.channel_axis)
    parts = [first, second]
    for _ in range(net.some(1, 2)):
        y = net.act(net.layer(parts[-1], half))
        parts.append(net.add("add", y, parts[-1]) if net.maybe() else y)
    joined = net.add("concat", *parts, axis=net.channel_axis)
    net.go(net.layer(joined, net.widths()))


@table(wide(always))
def split_used_by_different_consumers(net: Net) -> None:
    cut = net.some(1, net.width - 1)
    a, b = net.add_all("split", net.now, sizes=(cut, net.width - cut), axis=net.channel_axis)
    out = net.widths()
    net.go(net.add("add", net.layer(a, out), net.layer(net.act(b), out)))


@table(wide(always))
def concat_of_uneven_parts_met_by_even_ones(net: Net) -> None:
    """16 + 16 met by 20 + 12: the segments refine each other."""
    first = net.some(1, net.width - 1)
    parts = [net.layer(net.now, size) for size in (first, net.width - first)]
    net.go(net.add("add", net.now, net.add("concat", *parts, axis=net.channel_axis)))


@table(wide(always))
def gate_from_halves(net: Net) -> None:
    """GLU: both halves of a layer go together."""
    a, b = net.add_all("split", net.now, sizes=(net.width // 2,) * 2, axis=net.channel_axis)
    net.go(net.add("multiply", a, net.add("sigmoid", b)))


@table(always)
def gated_layers(net: Net) -> None:
    """down(act(gate(x)) * up(x))."""
    inner = net.widths()
    gate = net.act(net.layer(net.now, inner))
    net.go(net.layer(net.add("multiply", gate, net.layer(net.now, inner)), net.widths()))


@table(maps)
def squeeze_and_excite(net: Net) -> None:
    axes = tuple(range(2, net.rank))
    x = net.add("mean", net.now, axes=axes, keepdims=True)
    x = net.add("relu", net.conv(x, net.some(2, 6)))
    x = net.add(net.pick("sigmoid", "hard_sigmoid"), net.conv(x, net.width))
    net.then("multiply", x)


@table(maps)
def squeeze_and_excite_with_linear_layers(net: Net) -> None:
    x = net.add("mean", net.now, axes=tuple(range(2, net.rank)), keepdims=False)
    x = net.linear(net.add("relu", net.linear(x, net.some(2, 6))), net.width)
    x = net.add("reshape", net.add("sigmoid", x), shape=(net.dims[0], net.width, *(1,) * len(net.space)))
    net.then("multiply", x)


@table(maps)
def attention_over_positions(net: Net) -> None:
    """CBAM: mean and maximum over the channels make a map of gates."""
    parts = [net.add(op, net.now, axes=(1,), keepdims=True) for op in ("mean", "max_over")]
    gates = net.conv(net.add("concat", *parts, axis=1), 1, 3, padding=1)
    net.then("multiply", net.add("sigmoid", gates))


@table(always)
def one_layer_used_twice(net: Net) -> None:
    """The same weights on the tensor and on what they make of it."""
    count = net.width
    if net.last or net.rank == 2:
        weight, bias = net.weight(count, count), net.weight(count)
        x = net.act(net.add("linear", net.now, weight, bias))
        net.go(net.add("linear", x, weight, bias))
    else:
        weight, bias = net.weight(count, count, *(1,) * len(net.space)), net.weight(count)
        x = net.act(net.add("conv", net.now, weight, bias))
        net.go(net.add("conv", x, weight, bias))


@table(always)
def one_layer_on_two_branches(net: Net) -> None:
    """Siamese: one weight reads two tensors."""
    out = net.widths()
    left, right = net.layer(net.now, out), net.act(net.layer(net.now, out))
    weight = net.weight(net.some(2, 8), out, *(() if net.last or net.rank == 2 else (1,) * len(net.space)))
    op = "linear" if net.last or net.rank == 2 else "conv"
    net.go(net.add("add", net.add(op, left, weight), net.add("tanh", net.add(op, right, weight))))


@table(always)
def shared_zero_bias(net: Net) -> None:
    """An exporter merges equal constants: two layers read one bias, whose widths are then tied."""
    out = net.widths()
    bias, x = net.given(np.zeros(out)), net.now
    for _ in range(2):
        if net.last or net.rank == 2:
            x = net.add("linear", x, net.weight(out, net.shape(x)[-1]), bias)
        else:
            x = net.add("conv", x, net.weight(out, net.shape(x)[1], *(1,) * len(net.space)), bias)
        x = net.act(x)
    net.go(x)


@table(tokens)
def tied_embedding_and_head(net: Net) -> None:
    """The table that makes the tokens also reads them."""
    entries = net.some(3, 6)
    weight = net.weight(entries, net.width)
    index = net.constant(np.arange(net.dims[1]) % entries)
    x = net.add("add", net.now, net.add("embedding", weight, index))
    net.extra.append(net.add("linear", x, weight))
    net.go(x)


@table(always)
def second_output(net: Net) -> None:
    """Part of what is computed is an output and stays as it is."""
    if net.maybe():
        net.extra.append(net.layer(net.now, 2))
    else:
        net.extra.append(net.now)
        net.then("relu")
        net.go(net.layer(net.now, net.widths()))


@table(images)
def fork_and_merge_at_another_scale(net: Net) -> None:
    """Feature pyramid: down, up again, add."""
    if any(size % 2 for size in net.space):
        return net.then("relu")
    out = net.widths()
    low = net.conv(net.act(net.conv(net.now, net.widths(), 3, stride=2, padding=1)), out)
    up = net.conv(low, out, 2, transposed=True, stride=2)
    return net.go(net.add("add", net.conv(net.now, out), up))


@table(wide(maps))
def depthwise_separable(net: Net) -> None:
    """Inverted residual: expand, depthwise, project, add."""
    inner = 2 * net.width
    x = net.act(net.conv(net.now, inner))
    x = net.act(net.batch_norm(net.conv(x, inner, 3, padding=1, groups=inner, bias=False)))
    net.go(net.add("add", net.now, net.conv(x, net.width)))


@table(maps)
def outer_product_of_channels(net: Net) -> None:
    """Bilinear pooling: channels meet channels, then a layer over all pairs."""
    count = min(net.width, 6)
    x = net.conv(net.now, count)
    flat = net.add("flatten", x, start=2, end=net.rank - 1)
    gram = net.add("matmul", flat, net.add("permute", flat, order=(0, 2, 1)))
    net.go(net.linear(net.add("flatten", gram, start=1, end=2), net.widths()), last=True)


@table(rows)
def branches_of_different_depth(net: Net) -> None:
    out = net.widths()
    deep = net.linear(net.act(net.linear(net.now, net.widths())), out)
    net.go(net.add("multiply", deep, net.linear(net.now, out)))
