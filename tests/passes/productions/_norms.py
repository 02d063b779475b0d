"""Normalisation by statistics of the data, softmax, and attention spelled out."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from tests.passes.productions._net import Net, Table, always, images, maps, rows, tokens, wide

table = Table()


@table(rows)
def layer_norm(net: Net) -> None:
    """Over the channels: allowed, inexact."""
    affine = (net.weight(net.width), net.weight(net.width)) if net.maybe(0.7) else ()
    net.then("layer_norm", *affine, axis=net.rank - 1, normalized_shape=(net.width,), eps=1e-5, extra=())


@table(maps)
def layer_norm_of_maps(net: Net) -> None:
    """ConvNeXt: channels go last, are normalised, and come back."""
    order = (0, *range(2, net.rank), 1)
    x = net.add("permute", net.now, order=order)
    x = net.add("layer_norm", x, net.weight(net.width), axis=net.rank - 1, eps=1e-6)
    back = (0, net.rank - 1, *range(1, net.rank - 1))
    net.go(net.add("permute", x, order=back))


@table(maps)
def layer_norm_over_everything(net: Net) -> None:
    """Over channels and positions; what it saved is read as well."""
    whole, mean, _ = net.add_all("layer_norm", net.now, None, None, axis=1, eps=1e-5, extra=("mean", "rstd"))
    net.go(net.add("add", whole, mean))


@table(rows)
def rms_norm(net: Net) -> None:
    net.then("rms_norm", net.weight(net.width), axis=net.rank - 1, eps=1e-5)


@table(tokens)
def residual_norm(net: Net) -> None:
    """The fused sum and norm of ONNX Runtime."""
    skip = net.linear(net.act(net.now), net.width)
    scale, shift = net.weight(net.width), net.weight(net.width)
    whole = net.add_all(
        "residual_layer_norm", net.now, skip, scale, shift, axis=2, eps=1e-5, extra=("mean", "rstd", "sum")
    )
    net.go(whole[net.pick(0, 3)])


@table(wide(maps))
def group_norm(net: Net) -> None:
    groups = net.pick(net.divisor(net.width), net.divisor(net.width, least=1))
    affine = (net.weight(net.width), net.weight(net.width)) if net.maybe(0.7) else ()
    net.then("group_norm", *affine, groups=groups, eps=1e-5)


@table(wide(maps))
def grouped_convolution_and_group_norm(net: Net) -> None:
    """Whole groups go: exact where both agree on the groups, refined where they do not."""
    groups = net.divisor(net.width)
    x = net.conv(net.now, groups * net.some(1, 3), 3, padding=1, groups=groups)
    x = net.add("group_norm", x, net.weight(net.shape(x)[1]), groups=net.pick(groups, 1), eps=1e-5)
    net.go(net.act(x))


@table(lambda net: maps(net) and prod(net.space) > 1)
def instance_norm(net: Net) -> None:
    affine = (net.weight(net.width), net.weight(net.width)) if net.maybe(0.7) else ()
    net.then("instance_norm", *affine, eps=1e-5)


@table(maps)
def instance_norm_with_carried_statistics(net: Net) -> None:
    params = [net.weight(net.width) for _ in range(3)]
    net.then("instance_norm", *params, net.weight(net.width, low=0.5, high=1.5), of_input=False, eps=1e-5)


@table(always)
def lp_normalize(net: Net) -> None:
    """Exact: zeros add nothing to a norm."""
    x = net.add("lp_normalize", net.now, p=net.pick(1, 2), axis=net.channel_axis)
    net.then("add", x)


@table(maps)
def local_response_norm(net: Net) -> None:
    net.then("local_response_norm", size=3, bias=1.0, alpha=0.5, beta=0.75)


@table(maps)
def mean_variance_norm(net: Net) -> None:
    x = net.add(
        "mean_variance_norm", net.add("add", net.now, net.weight(*net.dims)), axes=(0, *range(2, net.rank))
    )
    net.go(x)


@table(wide(always))
def gated_linear_unit(net: Net) -> None:
    net.then("glu", axis=net.channel_axis)


@table(lambda net: net.rank > 2)
def softmax_over_positions(net: Net) -> None:
    axis = net.pick(*(axis for axis in range(1, net.rank) if axis != net.channel_axis))
    net.then(net.pick("softmax", "log_softmax"), axes=(axis,))


@table(always)
def softmax_over_channels(net: Net) -> None:
    """Every entry depends on all: those that stay share the sum."""
    net.then(net.pick("softmax", "log_softmax", "hardmax"), axes=(net.channel_axis,))


@table(tokens)
def attention_spelled_out(net: Net) -> None:
    """Heads as an outer part of the channels, scores between all positions, one head's width inside."""
    batch, length, width = net.dims
    heads, inner = net.some(1, 3), net.some(1, 4)
    q, k, v = (_heads(net, net.linear(net.now, heads * inner), heads) for _ in range(3))
    scores = net.add("matmul", q, net.add("permute", k, order=(0, 1, 3, 2)))
    scores = net.add("divide", scores, net.number(sqrt(inner)))
    if net.maybe():
        scores = net.add("where", net.constant(np.tri(length, dtype=bool)), scores, net.number(-1e4))
    x = net.add("matmul", net.add("softmax", scores, axes=(3,)), v)
    x = net.add("reshape", net.add("permute", x, order=(0, 2, 1, 3)), shape=(batch, length, heads * inner))
    net.go(net.add("add", net.now, net.linear(x, width)))


def _heads(net: Net, x: str, heads: int) -> str:
    """(batch, length, heads * d) -> (batch, heads, length, d)."""
    batch, length, width = net.shape(x)
    x = net.add("reshape", x, shape=(batch, length, heads, width // heads))
    return net.add("permute", x, order=(0, 2, 1, 3))


@table(tokens)
def attention_from_one_layer(net: Net) -> None:
    """Queries, keys and values from one product (3, heads, d) of channels, unbound after a transposition."""
    batch, length, width = net.dims
    heads, inner = net.some(1, 3), net.some(2, 3)
    x = net.linear(net.now, 3 * heads * inner)
    x = net.add("reshape", x, shape=(batch, length, 3, heads, inner))
    q, k, v = net.add_all("unbind", net.add("permute", x, order=(2, 0, 3, 1, 4)), axis=0)
    scores = net.add("softmax", net.add("matmul", q, net.add("permute", k, order=(0, 1, 3, 2))), axes=(3,))
    x = net.add("permute", net.add("matmul", scores, v), order=(0, 2, 1, 3))
    net.go(net.linear(net.add("reshape", x, shape=(batch, length, heads * inner)), width))


@table(tokens)
def attention_from_thirds(net: Net) -> None:
    """Queries, keys and values are thirds of one layer's channels."""
    width = 2 * net.some(1, 3)
    q, k, v = net.add_all("split", net.linear(net.now, 3 * width), sizes=(width,) * 3, axis=2)
    scores = net.add("softmax", net.add("matmul", q, net.add("permute", k, order=(0, 2, 1))), axes=(2,))
    net.go(net.linear(net.add("matmul", scores, v), net.widths()))


@table(tokens)
def attention_with_shared_keys(net: Net) -> None:
    """Grouped queries: each key head serves two query heads."""
    batch, length, width = net.dims
    keys, inner = net.some(1, 2), net.some(2, 3)
    q = _heads(net, net.linear(net.now, 2 * keys * inner), 2 * keys)
    k, v = (_heads(net, net.linear(net.now, keys * inner), keys) for _ in range(2))
    k, v = (net.add("repeat", x, repeats=2, axis=1) for x in (k, v))
    scores = net.add("softmax", net.add("matmul", q, net.add("permute", k, order=(0, 1, 3, 2))), axes=(3,))
    x = net.add("permute", net.add("matmul", scores, v), order=(0, 2, 1, 3))
    x = net.add("reshape", x, shape=(batch, length, 2 * keys * inner))
    net.go(net.add("add", net.now, net.linear(x, width)))


@table(images)
def attention_over_channels(net: Net) -> None:
    """Positions are summed over, channels attend to channels."""
    flat = net.add("flatten", net.conv(net.now, net.width), start=2, end=3)
    scores = net.add("softmax", net.add("matmul", flat, net.add("permute", flat, order=(0, 2, 1))), axes=(2,))
    value = net.add("flatten", net.conv(net.now, net.width), start=2, end=3)
    net.go(net.add("reshape", net.add("matmul", scores, value), shape=net.dims))


@table(images)
def attention_over_positions_of_maps(net: Net) -> None:
    """Non-local block: positions attend to positions."""
    inner = net.some(2, 6)
    q, k, v = (net.add("flatten", net.conv(net.now, inner), start=2, end=3) for _ in range(3))
    scores = net.add("softmax", net.add("matmul", net.add("permute", q, order=(0, 2, 1)), k), axes=(2,))
    x = net.add("matmul", v, net.add("permute", scores, order=(0, 2, 1)))
    x = net.add("reshape", x, shape=(net.dims[0], inner, *net.space))
    net.go(net.add("add", net.now, net.conv(x, net.width)))


@table(tokens)
def linear_attention(net: Net) -> None:
    """Keys meet values first: the inner widths are both summed over."""
    inner, out = net.some(2, 6), net.some(2, 6)
    q, k = (net.add("softplus", net.linear(net.now, inner)) for _ in range(2))
    state = net.add("matmul", net.add("permute", k, order=(0, 2, 1)), net.linear(net.now, out))
    weights = net.add("sum", k, axes=(1,), keepdims=False)
    x = net.add("matmul", q, state)
    below = net.add("matmul", q, net.add("unsqueeze", weights, axes=(2,)))
    net.go(net.linear(net.add("divide", x, below), net.width))
