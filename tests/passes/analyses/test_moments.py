from __future__ import annotations

import math

import numpy as np
import pytest

from prunepass.ir import Array
from prunepass.passes import couple
from prunepass.passes.analyses._moments import mean_of, moments, variance_of
from tests.graphs import Builder
from tests.passes.scores.test_dfpc_laws import changed

MEANS = np.array([-1.0, 0.0, 0.3, 2.0])
SCALES = np.array([0.5, -1.0, 1.5, 0.2])
RNG = np.random.default_rng(0)
NORMAL = RNG.standard_normal((400_000, 1))


def normalised(net: Builder, name: str = "bn", size: int = 4) -> str:
    return net.batch_norm(net.conv(net.input(2, 3, size, size), 4, path=f"{name}.conv"), path=name)


def samples(net: Builder, *outputs: str) -> list[Array]:
    """Samples of the outputs where every normalisation has the means and scales above."""
    graph = net.graph(*outputs)
    data = {
        n: MEANS for n in graph.params if n.endswith(".bias") and "bn" in n.split(".")[0] and "conv" not in n
    }
    data |= {
        n: SCALES for n in graph.params if n.endswith(".weight") and "conv" not in n and n.startswith("bn")
    }
    found = moments(couple(changed(graph, data)))
    arrays = [found[name] for name in outputs]
    assert all(array is not None for array in arrays)
    return [array for array in arrays if array is not None]


def monte_carlo(function: object, scale: Array = SCALES) -> tuple[Array, Array]:
    drawn = function(MEANS + scale * NORMAL)  # type: ignore[operator]
    return drawn.mean(axis=0), drawn.var(axis=0)


def test_a_normalisation_says_how_its_result_is_distributed() -> None:
    net = Builder()
    (found,) = samples(net, normalised(net))
    assert found.shape == (256, 1, 4, 1, 1)
    np.testing.assert_allclose(mean_of(found).ravel(), MEANS, atol=1e-12)
    np.testing.assert_allclose(variance_of(found).ravel(), SCALES**2, rtol=1e-12)


def test_the_mean_of_a_rectified_normal_is_the_known_one() -> None:
    net = Builder()
    (found,) = samples(net, net.add("relu", normalised(net)))
    size = np.abs(SCALES)
    ratio = MEANS / size
    density = np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    below = np.array([0.5 * (1 + math.erf(r / math.sqrt(2))) for r in ratio])
    np.testing.assert_allclose(mean_of(found).ravel(), MEANS * below + size * density, atol=2e-3)


@pytest.mark.parametrize(
    ("op", "function"),
    [
        ("hard_swish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("gelu", lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_activations_of_a_normal(op: str, function: object) -> None:
    net = Builder()
    (found,) = samples(net, net.add(op, normalised(net)))
    mean, variance = monte_carlo(function)
    np.testing.assert_allclose(mean_of(found).ravel(), mean, atol=5e-3)
    np.testing.assert_allclose(variance_of(found).ravel(), variance, rtol=0.05, atol=1e-3)


def test_a_value_that_meets_itself_stays_exact() -> None:
    """x * sigmoid(x) spelled out is what the activation is, entry by entry."""
    net = Builder()
    x = normalised(net)
    spelled, whole = samples(net, net.add("multiply", x, net.add("sigmoid", x)), net.add("silu", x))
    np.testing.assert_allclose(spelled, whole, rtol=1e-12)


def test_a_condition_on_a_value_stays_exact() -> None:
    net = Builder()
    x = normalised(net)
    zero = net.constant(np.float32(0))
    spelled = net.add("where", net.add("greater", x, zero), x, zero)
    first, second = samples(net, spelled, net.add("relu", x))
    np.testing.assert_array_equal(first, second)


def test_independent_values_add_means_and_variances() -> None:
    net = Builder()
    (found,) = samples(net, net.add("add", normalised(net), normalised(net, "bn2")))
    np.testing.assert_allclose(mean_of(found).ravel(), 2 * MEANS, atol=1e-12)
    np.testing.assert_allclose(variance_of(found).ravel(), 2 * SCALES**2, rtol=0.25)


def test_the_mean_of_alike_entries_is_one_of_them() -> None:
    net = Builder()
    x = net.add("relu", normalised(net))
    pooled = net.add("avg_pool", x, kernel=(2, 2), stride=(2, 2), count_pads=True)
    first, second = samples(net, pooled, x)
    np.testing.assert_array_equal(mean_of(first), mean_of(second))


def test_flattening_repeats_a_channel_for_each_of_its_positions() -> None:
    net = Builder()
    x = net.add("relu", normalised(net))
    first, second = samples(net, net.add("reshape", x, shape=(2, 64)), x)
    np.testing.assert_array_equal(mean_of(first).reshape(1, 4, 16)[:, :, 5], mean_of(second)[:, :, 0, 0])


def test_a_weighted_sum_has_the_sum_of_means_and_of_variances() -> None:
    net = Builder()
    x = normalised(net)
    graph = net.graph(net.conv(x, 3, path="next"))
    weight, bias = (graph.params[f"next.{part}"].read().astype(float) for part in ("weight", "bias"))
    (found,) = samples(net, "next")
    np.testing.assert_allclose(mean_of(found).ravel(), weight[:, :, 0, 0] @ MEANS + bias, rtol=1e-12)
    np.testing.assert_allclose(variance_of(found).ravel(), weight[:, :, 0, 0] ** 2 @ SCALES**2, rtol=1e-12)


def test_data_may_be_either_side_of_a_product() -> None:
    net = Builder()
    columns = net.add("permute", net.add("reshape", normalised(net, size=1), shape=(2, 4)), order=(1, 0))
    (found,) = samples(net, net.add("matmul", net.given(np.ones((3, 4)), name="ones"), columns, node="y"))
    np.testing.assert_allclose(mean_of(found).ravel()[0], MEANS.sum(), rtol=1e-9)


def test_a_slope_of_its_own_for_every_channel_meets_the_right_channels() -> None:
    net = Builder()
    slopes = np.array([0.0, 1.0, 0.5, -1.0], dtype=np.float32)
    (found,) = samples(
        net, net.add("prelu", normalised(net), net.given(slopes, name="slopes"), per_channel=True)
    )
    mean, _ = monte_carlo(lambda x: np.where(x > 0, x, x * slopes))
    np.testing.assert_allclose(mean_of(found).ravel(), mean, atol=5e-3)


def test_nothing_is_known_of_inputs_and_of_what_only_they_make() -> None:
    net = Builder()
    x = net.conv(net.input(2, 3, 4, 4), 4, path="a")
    graph = net.graph(net.batch_norm(net.add("relu", x, node="relu"), path="bn"))
    found = moments(couple(graph))
    assert found["x0"] is None
    assert found["a"] is None
    assert found["relu"] is None
    assert found["bn"] is not None


def test_the_same_graph_has_the_same_samples() -> None:
    first, second = (samples(net, net.add("relu", normalised(net)))[0] for net in (Builder(), Builder()))
    np.testing.assert_array_equal(first, second)
