"""Layers that a network is made of: convolutions, linear layers, matrix products, norms, activations."""

from __future__ import annotations

import numpy as np

from tests.passes.productions._net import (
    ACTIVATIONS,
    Net,
    Table,
    always,
    maps,
    rows,
    tokens,
    vectors,
    wide,
)

table = Table()


@table(maps)
def conv(net: Net) -> None:
    kernel = net.pick(1, 3)
    strided = kernel == 3 and all(size % 2 == 0 for size in net.space)
    net.go(
        net.conv(
            net.now,
            net.widths(),
            kernel,
            bias=net.maybe(),
            padding=kernel // 2,
            stride=net.pick(1, 2) if strided else 1,
        )
    )


@table(maps)
def conv_dilated(net: Net) -> None:
    net.go(net.conv(net.now, net.widths(), 3, padding=2, dilation=2))


@table(wide(maps))
def conv_grouped(net: Net) -> None:
    groups = net.divisor(net.width)
    net.go(net.conv(net.now, groups * net.some(1, max(1, 24 // groups // 2)), 3, padding=1, groups=groups))


@table(maps)
def conv_depthwise(net: Net) -> None:
    multiplier = net.pick(1, 1, 2) if net.width <= 12 else 1
    net.go(net.conv(net.now, net.width * multiplier, 3, padding=1, groups=net.width, bias=net.maybe()))


@table(maps)
def conv_transposed(net: Net) -> None:
    groups = net.pick(1, net.divisor(net.width), net.width)
    stride = 2 if max(net.space) <= 4 * net.scale and net.rank < 5 else 1
    net.go(
        net.conv(
            net.now,
            groups * net.some(1, max(1, 12 // groups)),
            2 if stride == 2 else 3,
            transposed=True,
            groups=groups,
            stride=stride,
            padding=0 if stride == 2 else 1,
        )
    )


@table(maps)
def conv_with_computed_weight(net: Net) -> None:
    """Weight normalisation: the weight is computed from params."""
    out = net.widths()
    weight = net.weight(out, net.width, *(1,) * (net.rank - 2))
    gain = net.weight(out, *(1,) * (net.rank - 1))
    net.then("conv", net.add("multiply", weight, gain))


@table(rows)
def linear(net: Net) -> None:
    net.go(net.linear(net.now, net.widths(), bias=net.maybe()))


@table(vectors)
def gemm(net: Net) -> None:
    out, flipped = net.widths(), net.maybe()
    weight = net.weight(*((out, net.width) if flipped else (net.width, out)))
    bias = net.pick(None, net.weight(out), net.weight(1, out))
    net.then("gemm", weight, bias, trans_b=int(flipped), alpha=0.5, beta=2.0)


@table(rows)
def matmul_weight(net: Net) -> None:
    x = net.add("matmul", net.now, net.weight(net.width, net.widths()))
    net.go(net.add("add", x, net.weight(net.shape(x)[-1])))


@table(rows)
def fused_product(net: Net) -> None:
    """A product as ONNX Runtime's optimiser leaves it, with a bias inside the activation behind it."""
    out, flipped = net.widths(), net.maybe()
    weight = net.weight(*((out, net.width) if flipped else (net.width, out)))
    x = net.add("matmul", net.now, weight, trans_b=int(flipped), alpha=0.5)
    net.go(net.add(net.pick("biased_gelu", "fast_gelu"), x, net.weight(out)))


@table(tokens)
def token_mixing(net: Net) -> None:
    """MLP-Mixer: a layer over the tokens, hidden channels between transpositions."""
    x = net.add("permute", net.now, order=(0, 2, 1))
    x = net.linear(net.act(net.linear(x, net.widths())), net.dims[1])
    net.then("add", net.add("permute", x, order=(0, 2, 1)))


@table(tokens, sized=True)
def weight_from_the_left(net: Net) -> None:
    net.go(net.add("matmul", net.weight(net.dims[1], net.dims[1]), net.now))


@table(maps)
def batch_norm(net: Net) -> None:
    net.go(net.batch_norm(net.now))


@table(maps)
def batch_norm_plain(net: Net) -> None:
    """Without scale and shift."""
    mean, var = net.weight(net.width), net.weight(net.width, low=0.5, high=1.5)
    net.then("batch_norm", None, None, mean, var, eps=1e-3)


@table(always)
def activation(net: Net) -> None:
    net.then(net.pick(*ACTIVATIONS))


@table(maps)
def prelu(net: Net) -> None:
    if net.maybe():
        net.then("prelu", net.weight(net.width), per_channel=True)
    else:
        net.then("prelu", net.weight(*net.along(net.width)))


@table(always)
def scale_and_shift(net: Net) -> None:
    """LayerScale, tables of one entry per channel."""
    net.then(net.pick("multiply", "divide"), net.weight(*net.along(net.width), low=0.5, high=1.5))
    net.then(net.pick("add", "subtract", "maximum"), net.weight(1, *net.along(net.width)))


@table(always)
def arithmetic_with_numbers(net: Net) -> None:
    net.then("add", net.number(0.5), alpha=2)
    net.then(net.pick("multiply", "minimum"), net.number(1.5))
    net.then("clip", net.number(-2.0), net.number(2.0))


@table(always)
def choice(net: Net) -> None:
    """Compare, choose, mask."""
    other = net.add(net.pick("neg", "sigmoid"), net.now)
    mask = net.add(net.pick("greater", "less_equal"), net.now, net.weight(*net.along(net.width)))
    if net.maybe():
        net.go(net.add("where", mask, net.now, other))
    else:
        net.then("masked_fill", mask, net.number(0.25))


@table(always)
def sums_of_several(net: Net) -> None:
    parts = [net.act(net.now) for _ in range(3)]
    net.go(net.add(net.pick("sum_of", "max_of", "min_of", "mean_of"), *parts))


@table(always)
def position_table(net: Net) -> None:
    """A table as large as the tensor."""
    net.then("add", net.weight(1, *net.dims[1:]))


@table(always)
def power_of_a_constant(net: Net) -> None:
    net.then("power", net.constant(np.float32(2)))
