"""Operators that do much at once: attention, Einstein sums, resizing, sampling."""

from __future__ import annotations

from math import sqrt

import numpy as np

from tests.passes.productions._net import Net, Table, always, images, maps, rows, tokens, wide

table = Table()


def _matrices(net: Net, heads: int, inner: int) -> str:
    """A layer of the tokens as (batch, heads, length, inner)."""
    batch, length, _ = net.dims
    x = net.add("reshape", net.linear(net.now, heads * inner), shape=(batch, length, heads, inner))
    return net.add("permute", x, order=(0, 2, 1, 3))


def _joined(net: Net, x: str) -> None:
    """Go on from (batch, heads, length, inner) to tokens."""
    batch, heads, length, inner = net.shape(x)
    x = net.add("reshape", net.add("permute", x, order=(0, 2, 1, 3)), shape=(batch, length, heads * inner))
    net.go(net.linear(x, net.width))


@table(tokens)
def attention(net: Net) -> None:
    """One operator between reshapes; a mask, or causal; keys narrower than values."""
    heads, inner, value = net.some(1, 3), net.some(2, 4), net.some(2, 4)
    q, k, v = (_matrices(net, heads, size) for size in (inner, inner, value))
    length = net.dims[1]
    mask = net.pick(None, net.constant(np.tri(length, dtype=bool)), net.weight(heads, length, length))
    causal = mask is None and net.maybe()
    _joined(net, net.add("attention", q, k, v, mask, scale=1 / sqrt(inner), causal=causal))


@table(tokens)
def grouped_query_attention(net: Net) -> None:
    keys, shared, inner = net.some(1, 2), net.some(1, 3), net.some(2, 3)
    q = _matrices(net, keys * shared, inner)
    k, v = (_matrices(net, keys, inner) for _ in range(2))
    _joined(net, net.add("attention", q, k, v, scale=0.5, grouped=True))


@table(tokens)
def attention_with_merged_heads(net: Net) -> None:
    """ONNX's form: heads and features are one axis; what was computed on the way is read as well."""
    keys, shared, inner = net.some(1, 2), net.some(1, 2), net.some(2, 3)
    q = net.linear(net.now, keys * shared * inner)
    k, v = (net.linear(net.now, keys * inner) for _ in range(2))
    x, present = net.add_all(
        "attention", q, k, v, scale=0.5, q_heads=keys * shared, kv_heads=keys, extra=("present_key",)
    )
    seen = net.add("mean", present, axes=(2,), keepdims=False)
    seen = net.linear(net.add("flatten", seen, start=1, end=2), net.shape(x)[2])
    net.go(
        net.add("add", net.linear(x, net.width), net.add("unsqueeze", net.linear(seen, net.width), axes=(1,)))
    )


@table(tokens)
def attention_with_a_cache(net: Net) -> None:
    heads, inner = net.some(1, 2), net.some(2, 3)
    q, k, v = (_matrices(net, heads, inner) for _ in range(3))
    past = [
        net.add("expand", net.weight(1, heads, 2, inner), shape=(net.dims[0], heads, 2, inner)) for _ in "kv"
    ]
    _joined(net, net.add("attention", q, k, v, None, *past, scale=0.5))


@table(tokens)
def attention_without_heads(net: Net) -> None:
    inner = net.some(2, 6)
    q, k, v = (net.linear(net.now, size) for size in (inner, inner, net.widths()))
    net.go(net.add("attention", q, k, v, scale=1 / sqrt(inner)))


@table(tokens)
def attention_by_einsum(net: Net) -> None:
    heads, inner = net.some(1, 3), net.some(2, 4)
    weights = [net.weight(net.width, heads, inner) for _ in range(3)]
    q, k, v = (net.add("einsum", net.now, weight, equation="bnd,dhe->bnhe") for weight in weights)
    scores = net.add("softmax", net.add("einsum", q, k, equation="bnhe,bmhe->bhnm"), axes=(3,))
    x = net.add("einsum", scores, v, equation="bhnm,bmhe->bnhe")
    net.go(net.add("einsum", x, net.weight(heads, inner, net.width), equation="bnhe,hed->bnd"))


@table(rows)
def einsum(net: Net) -> None:
    """A layer per entry, a bilinear form, a sum over channels, an outer product."""
    out, letters = net.widths(), "bxyz"[: net.rank - 1]
    form = net.pick("layer", "bilinear", "gate")
    if form == "layer":
        net.then("einsum", net.weight(net.width, out), equation=f"{letters}d,de->{letters}e")
    elif form == "bilinear":
        other = net.linear(net.now, net.some(2, 5))
        weight = net.weight(out, net.width, net.shape(other)[-1])
        net.then("einsum", weight, other, equation=f"{letters}d,ode,{letters}e->{letters}o")
    else:
        sums = net.add("einsum", net.now, equation=f"{letters}d->{letters}")
        net.then("einsum", sums, equation=f"{letters}d,{letters}->{letters}d")


@table(lambda net: maps(net) and max(net.space) <= 4 * net.scale and net.rank < 5)
def resize(net: Net) -> None:
    axes = tuple(range(2, net.rank))
    mode = net.pick("nearest", "linear", "cubic")
    place = (
        {"coordinates": "asymmetric", "rounding": "floor"}
        if mode == "nearest"
        else {"coordinates": "half_pixel"}
    )
    if net.maybe():
        net.then("resize", mode=mode, axes=axes, scales=(2.0,) * len(axes), **place)
    else:
        net.then("resize", mode=mode, axes=axes, sizes=tuple(2 * size for size in net.space), **place)


@table(images)
def resize_with_all_sizes(net: Net) -> None:
    """ONNX states the sizes of batch and channels as well."""
    rows_, columns = net.space
    sizes = (*net.dims[:2], rows_ + 2, columns + 2) if max(net.space) < 8 else net.dims
    net.then("resize", mode="linear", coordinates="align_corners", axes=(0, 1, 2, 3), sizes=sizes)


@table(images)
def grid_sample(net: Net) -> None:
    """A transformer of positions: an affine map that the network makes itself."""
    x = net.add("mean", net.now, axes=(2, 3), keepdims=False)
    theta = net.add(
        "reshape", net.linear(net.add("tanh", net.linear(x, net.some(2, 5))), 6), shape=(net.dims[0], 2, 3)
    )
    grid = net.add("affine_grid", theta, size=net.dims, align=False)
    net.then("grid_sample", grid, mode=net.pick("linear", "nearest"), padding="zeros", align=False)


@table(wide(always))
def mixture_of_two_experts(net: Net) -> None:
    """Two layers, weighed by a softmax over a pair of scores."""
    net.go(net.act(net.now))
    out = net.widths()
    pair = net.add("stack", net.layer(net.now, out), net.layer(net.now, out), axis=0)
    scores = net.weight(2, *(1,) * net.rank)
    weights = net.add("softmax", scores, axes=(0,))
    net.go(net.add("sum", net.add("multiply", pair, weights), axes=(0,), keepdims=False))
