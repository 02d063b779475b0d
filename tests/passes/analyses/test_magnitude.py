from __future__ import annotations

import numpy as np

from prunepass.passes import couple
from prunepass.passes.analyses._magnitude import magnitudes, trace
from prunepass.passes.analyses._sample import one_sample
from tests.graphs import Builder, chain


def test_a_layer_starts_from_ones_whatever_is_above_it() -> None:
    graph = chain()
    found = magnitudes(couple(graph))
    weight = np.abs(graph.params["b.weight"].read().astype(float)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found["b"], np.broadcast_to(weight[:, None, None], (2, 2, 4, 4)))


def test_a_normalisation_is_its_slope_and_biases_do_not_count() -> None:
    graph = chain()
    found = magnitudes(couple(graph))
    scale, var = (graph.params[f"bn.{part}"].read().astype(float) for part in ("weight", "running_var"))
    slope = np.abs(scale) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(found["bn"], found["a"] * slope[:, None, None])
    corner = np.abs(graph.params["a.weight"].read().astype(float))[:, :, 1:, 1:].sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found["a"][0, :, 0, 0], corner)


def test_with_shifts_biases_and_what_normalisations_add_count() -> None:
    graph = chain()
    plain, shifted = (magnitudes(couple(graph), include_shift=shift) for shift in (False, True))
    bias = np.abs(graph.params["b.bias"].read().astype(float))
    np.testing.assert_allclose(shifted["b"] - plain["b"], np.broadcast_to(bias[:, None, None], (2, 2, 4, 4)))
    names = ("weight", "bias", "running_mean", "running_var")
    scale, shift, mean, var = (graph.params[f"bn.{part}"].read().astype(float) for part in names)
    slope = scale / np.sqrt(var + 1e-5)
    want = shifted["a"] * np.abs(slope)[:, None, None] + np.abs(shift - mean * slope)[:, None, None]
    np.testing.assert_allclose(shifted["bn"], want)


def test_a_bias_that_is_added_later_counts_as_little_as_one_that_is_not() -> None:
    net = Builder()
    x = net.add("matmul", net.input(2, 3), net.weight(3, 4))
    found = magnitudes(couple(net.graph(net.add("add", net.weight(4), x, node="y"))))
    np.testing.assert_allclose(found["y"], found["matmul_0"])


def test_a_number_is_part_of_an_activation_and_counts() -> None:
    net = Builder()
    found = magnitudes(couple(net.graph(net.add("add", net.input(2, 3), net.constant(3.0), node="y"))))
    np.testing.assert_allclose(found["y"], 4)


def test_depthwise_passes_on_what_the_layer_above_made() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 4, 4), 5, path="a")
    found = magnitudes(couple(net.graph(net.conv(net.conv(x, 5, path="dw", groups=5), 2, path="b"))))
    weight = np.abs(net.params["dw.weight"].read().astype(float)).ravel()
    np.testing.assert_allclose(found["dw"], found["a"] * weight[:, None, None])


def test_a_mix_of_positions_keeps_the_profile_of_channels_that_pass_by() -> None:
    """Token mixing makes positions, not channels: those are still as large as the layer above made them."""
    net = Builder()
    x = net.linear(net.input(1, 6, 3), 4, path="channels")
    mixed = net.add(
        "permute", net.linear(net.add("permute", x, order=(0, 2, 1)), 5, path="mix"), order=(0, 2, 1)
    )
    found = magnitudes(couple(net.graph(net.linear(mixed, 2, path="end"))))
    profile = found["channels"][0, 0]
    assert np.ptp(profile) > 0
    ratio = found["mix"][0] / profile[:, None]
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape))


def test_a_mask_of_minus_infinity_lets_nothing_infinite_through() -> None:
    net = Builder()
    mask = net.constant(np.triu(np.full((3, 3), -np.inf), 1))
    found = magnitudes(couple(net.graph(net.add("add", net.input(3, 3), mask, node="y"))))
    assert np.all(np.isfinite(found["y"]))


def test_whole_numbers_are_valid_indices() -> None:
    net = Builder()
    x = net.add("embedding", net.weight(1, 4, name="table"), net.input(2, 3, dtype="int64"))
    found = magnitudes(couple(net.graph(net.linear(x, 2))))
    np.testing.assert_allclose(found[x][0, 0], np.abs(net.params["table"].read()[0]))


def test_a_walk_holds_only_what_is_still_to_be_read() -> None:
    """A long chain: arrays that were yielded and dropped by the reader must die."""
    import weakref

    net = Builder()
    x = net.input(1, 2, 4, 4)
    for _ in range(12):
        x = net.conv(x, 3, 3, padding=1)
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0
    for met in trace(couple(net.graph(x))):
        base = met.results[0].base
        alive.append(weakref.ref(met.results[0] if base is None else base))
        del met, base
        most = max(most, sum(ref() is not None for ref in alive))
    assert most <= 3


def test_the_batch_is_cut_to_one_sample_where_samples_do_not_meet() -> None:
    coupling = couple(chain(batch=7))
    small = one_sample(coupling)
    assert small.graph.values["relu"].shape == (1, 8, 4, 4)
    assert [group.name for group in small.prunable] == [group.name for group in coupling.prunable]
    np.testing.assert_allclose(magnitudes(small)["relu"][0], magnitudes(coupling)["relu"][6])


def test_a_batch_whose_samples_meet_stays() -> None:
    net = Builder()
    x = net.linear(net.input(4, 3), 5)
    gram = net.add("matmul", x, net.add("permute", x, order=(1, 0)))
    coupling = couple(net.graph(net.linear(gram, 2)))
    assert one_sample(coupling) is coupling
    summed = Builder()
    x = summed.linear(summed.input(4, 3), 5)
    x = summed.add("subtract", x, summed.add("sum", x, axes=(0,), keepdims=True))
    coupling = couple(summed.graph(summed.linear(x, 2)))
    assert one_sample(coupling) is coupling
    tied = Builder()
    y = tied.linear(tied.add("add", tied.input(4, 3), tied.weight(4, 3)), 5)
    coupling = couple(tied.graph(tied.linear(y, 2)))
    assert one_sample(coupling) is coupling


def test_sizes_that_follow_the_batch_are_cut_with_it() -> None:
    net = Builder()
    x = net.conv(net.input(6, 3, 2, 2), 4)
    flat = net.add("reshape", x, shape=(6, 16), node="flat")
    small = one_sample(couple(net.graph(net.linear(flat, 2))))
    assert small.graph.values["flat"].shape == (1, 16)
    assert magnitudes(small)["flat"].shape == (1, 16)
