"""The closed form against the product of unrolled matrices, written out entry by entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunepass.ir import Array
from prunepass.passes import couple, scores
from tests.graphs import Builder

SIZE = 6
EPS = 1e-5


@dataclass
class Dense:
    """A value as what each producer above it contributes: a dense matrix (value entries, producer inputs)."""

    shape: tuple[int, ...]
    above: dict[str, Array]


@dataclass
class Twin:
    """Builds a graph and, beside it, every absolute matrix; ``found`` are the brute-force scores."""

    net: Builder = field(default_factory=Builder)
    dense: dict[str, Dense] = field(default_factory=dict)
    found: dict[str, Array] = field(default_factory=dict)
    maker: dict[str, str] = field(default_factory=dict)

    def input(self, channels: int, batch: int = 1) -> str:
        x = self.net.input(batch, channels, SIZE, SIZE)
        self.dense[x] = Dense((channels, SIZE, SIZE), {})
        return x

    def conv(self, x: str, out: int, kernel: int, group: str = "", **attrs: Any) -> str:
        name = self.net.conv(x, out, kernel, bias=True, **attrs)
        return self._layer(x, name, self._unrolled(x, name, kernel, attrs), group)

    def depthwise(self, x: str, kernel: int, **attrs: Any) -> str:
        channels = self.dense[x].shape[0]
        name = self.net.conv(x, channels, kernel, groups=channels, **attrs)
        return self._inside(x, name, self._unrolled(x, name, kernel, {**attrs, "groups": channels}))

    def linear(self, x: str, out: int, group: str = "") -> str:
        name = self.net.linear(x, out)
        weight = np.abs(self.net.params[f"{name}.weight"].read().astype(float))
        return self._layer(x, name, weight, group)

    def bn(self, x: str) -> str:
        name = self.net.batch_norm(x)
        scale, var = (
            self.net.params[f"{name}.{part}"].read().astype(float) for part in ("weight", "running_var")
        )
        slope = np.abs(scale) / np.sqrt(var + EPS)
        return self._inside(x, name, np.diag(np.repeat(slope, int(np.prod(self.dense[x].shape[1:])))))

    def relu(self, x: str) -> str:
        return self._inside(x, self.net.add("relu", x), np.eye(int(np.prod(self.dense[x].shape))))

    def pool(self, x: str, op: str, kernel: int, stride: int) -> str:
        extra = {"count_pads": True} if op == "avg_pool" else {}
        name = self.net.add(op, x, kernel=(kernel, kernel), stride=(stride, stride), **extra)
        worth = 1 / kernel**2 if op == "avg_pool" else 1.0
        channels, height, width = self.dense[x].shape
        out = self.net.shape(name)[2:]
        matrix = np.zeros((channels, *out, channels, height, width))
        for c, i, j, a, b in product(range(channels), *map(range, (*out, kernel, kernel))):
            matrix[c, i, j, c, i * stride + a, j * stride + b] += worth
        return self._inside(x, name, matrix.reshape(channels * out[0] * out[1], -1))

    def flatten(self, x: str) -> str:
        size = int(np.prod(self.dense[x].shape))
        name = self.net.add("reshape", x, shape=(self.net.shape(x)[0], size))
        return self._inside(x, name, np.eye(size), (size,))

    def sum(self, x: str, y: str) -> str:
        name = self.net.add("add", x, y)
        left, right = self.dense[x], self.dense[y]
        above = dict(left.above)
        for producer, matrix in right.above.items():
            above[producer] = above.get(producer, 0) + matrix
        self.dense[name] = Dense(left.shape, above)
        return name

    def _unrolled(self, x: str, name: str, kernel: int, attrs: dict[str, Any]) -> Array:
        """The convolution as a matrix, one product of indices at a time."""
        weight = np.abs(self.net.params[f"{name}.weight"].read().astype(float))
        channels, height, width = self.dense[x].shape
        made, per_group = weight.shape[:2]
        out = self.net.shape(name)[2:]
        stride, padding, dilation = (
            attrs.get(key, at) for key, at in (("stride", 1), ("padding", 0), ("dilation", 1))
        )
        matrix = np.zeros((made, *out, channels, height, width))
        block = made // attrs.get("groups", 1)
        for o, i, j, c, a, b in product(range(made), *map(range, (*out, per_group, kernel, kernel))):
            row, column = i * stride + a * dilation - padding, j * stride + b * dilation - padding
            if 0 <= row < height and 0 <= column < width:
                matrix[o, i, j, (o // block) * per_group + c, row, column] += weight[o, c, a, b]
        return matrix.reshape(made * out[0] * out[1], -1)

    def _inside(self, x: str, name: str, matrix: Array, shape: tuple[int, ...] | None = None) -> str:
        shape = shape or self.net.shape(name)[1:]
        self.dense[name] = Dense(
            shape, {producer: matrix @ above for producer, above in self.dense[x].above.items()}
        )
        return name

    def _layer(self, x: str, name: str, matrix: Array, group: str) -> str:
        """Score the channels that are read, then start anew."""
        source = self.dense[x]
        for producer, above in source.above.items():
            read = self.maker[producer]
            size = self.net.shape(producer)[1]
            block = above.shape[0] // size
            for i in range(size):
                rows = slice(i * block, (i + 1) * block)
                total = float((matrix[:, rows] @ above[rows]).sum())
                self.found.setdefault(read, np.zeros(size))[i] += total
        self.maker[name] = group or name
        self.dense[name] = Dense(self.net.shape(name)[1:], {name: matrix})
        return name

    def check(self, output: str) -> None:
        coupling = couple(self.net.graph(output))
        got = scores.get("dfpc")()(coupling)
        assert set(got) == set(self.found)
        for name, want in self.found.items():
            np.testing.assert_allclose(got[name], want, rtol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("dilation", [1, 2])
def test_strides_pads_and_dilation(stride: int, padding: int, dilation: int) -> None:
    twin = Twin()
    x = twin.relu(twin.bn(twin.conv(twin.input(2), 5, 3, stride=1, padding=1)))
    x = twin.relu(twin.bn(twin.conv(x, 4, 2, stride=stride, padding=padding, dilation=dilation)))
    twin.check(twin.conv(x, 3, 2, stride=stride, padding=padding))


def test_depthwise_and_pools_join_the_path_between_two_layers() -> None:
    twin = Twin()
    x = twin.bn(twin.conv(twin.input(2), 5, 1))
    x = twin.relu(twin.bn(twin.depthwise(x, 3, padding=1)))
    x = twin.pool(x, "max_pool", 2, 2)
    x = twin.relu(twin.bn(twin.conv(x, 4, 2)))
    twin.check(twin.linear(twin.flatten(twin.pool(x, "avg_pool", 2, 1)), 3))


def test_several_producers_and_consumers_of_one_stream() -> None:
    twin = Twin()
    x = twin.relu(twin.bn(twin.conv(twin.input(2), 4, 3, "stream", padding=1)))
    for _ in range(2):
        y = twin.relu(twin.bn(twin.conv(x, 3, 1)))
        x = twin.relu(twin.sum(x, twin.bn(twin.conv(y, 4, 3, "stream", padding=1))))
    output = twin.linear(twin.flatten(x), 2)
    stream = couple(twin.net.graph(output)).prunable[0].name
    twin.found[stream] = twin.found.pop("stream")
    twin.check(output)


def test_flatten_gives_every_channel_a_block_of_columns() -> None:
    twin = Twin()
    x = twin.bn(twin.conv(twin.input(1), 3, 3, stride=2))
    x = twin.relu(twin.linear(twin.flatten(x), 5))
    twin.check(twin.linear(x, 2))


@given(st.lists(st.sampled_from(("conv", "stride", "depthwise", "max", "avg", "bn")), min_size=1, max_size=4))
@settings(max_examples=25)
def test_random_chains(steps: list[str]) -> None:
    twin = Twin()
    x = twin.conv(twin.input(2), 3, 3, padding=1)
    for step in steps:
        if step in ("stride", "max", "avg") and min(twin.dense[x].shape[1:]) < 3:
            continue
        if step == "conv":
            x = twin.conv(x, 3, 1)
        elif step == "stride":
            x = twin.conv(x, 4, 3, stride=2, padding=1)
        elif step == "depthwise":
            x = twin.depthwise(x, 3, padding=1)
        elif step == "bn":
            x = twin.relu(twin.bn(x))
        else:
            x = twin.pool(x, f"{step}_pool", 2, 2)
    twin.check(twin.linear(twin.flatten(x), 2))


def test_scores_are_those_of_one_sample_whatever_the_batch() -> None:
    found = []
    for batch in (1, 5):
        twin = Twin()
        x = twin.relu(twin.bn(twin.conv(twin.input(2, batch), 5, 3, padding=1)))
        graph = twin.net.graph(twin.linear(twin.flatten(x), 3))
        found.append(scores.get("dfpc")()(couple(graph)))
    for name, want in found[0].items():
        np.testing.assert_array_equal(found[1][name], want)


def test_a_product_of_two_values_is_one_consumer() -> None:
    """Queries times keys: the sum of products counts once, not once for each side."""
    net = Builder()
    x = net.input(1, 5, 3)
    query, key = (net.linear(x, 4, path=name) for name in ("query", "key"))
    product_of = net.add("matmul", query, net.add("permute", key, order=(0, 2, 1)))
    (found,) = scores.get("dfpc")()(couple(net.graph(product_of))).values()
    rows = [
        np.abs(net.params[f"{name}.weight"].read().astype(float)).sum(axis=1) for name in ("query", "key")
    ]
    np.testing.assert_allclose(found, 25 * rows[0] * rows[1])
