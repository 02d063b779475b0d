"""Calibration inputs: the user's data, or the family of inputs that a model's normalisations recognise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prunepass.ir import Array, Graph, UsageError
from prunepass.passes import Calibration, State, calibration_of, task_of
from tests.graphs import Builder, chain


def test_a_graph_without_normalisations_takes_the_usual_family_and_is_not_sure() -> None:
    net = Builder()
    graph = net.graph(net.conv(net.add("relu", net.conv(net.input(2, 3, 4, 4), 8, 3)), 4))
    found = calibration_of(State.start(graph), 6, 3)
    assert (found.source, found.sure, found.norms) == ("leaves", "not", 0)
    assert len(found.fit) == 3 and len(found.held) == 2  # captured with two samples


def test_inputs_to_fit_on_and_to_judge_on_are_other_ones_and_the_same_every_time() -> None:
    one, two = (calibration_of(State.start(chain()), 6, 3) for _ in range(2))
    assert one is not two
    for left, right in zip((*one.fit, *one.held), (*two.fit, *two.held), strict=True):
        assert all(np.array_equal(left[name], right[name]) for name in left)
    drawn = {sample.tobytes() for feed in (*one.fit, *one.held) for sample in feed["x0"]}
    assert len(drawn) == 6 + 4


def calibrated(data: Any, count: int = 40, held: int = 16, graph: Graph | None = None) -> Calibration:
    state = State.start(chain(batch=1, size=8) if graph is None else graph)
    return calibration_of(state.having(task=task_of(data)), count, held)


def rows(feeds: Sequence[Mapping[str, Array]]) -> set[bytes]:
    return {sample.tobytes() for feed in feeds for sample in next(iter(feed.values()))}


@pytest.mark.parametrize(("samples", "fit", "held"), [(4, 2, 2), (20, 16, 4), (56, 40, 16), (90, 40, 16)])
def test_data_are_parted_into_inputs_to_fit_on_and_inputs_held_out(samples: int, fit: int, held: int) -> None:
    data = np.random.default_rng(0).standard_normal((samples, 3, 8, 8)).astype(np.float32)
    found = calibrated(data)
    assert (found.source, found.sure) == ("data", "data")
    assert (len(rows(found.fit)), len(rows(found.held))) == (fit, held)
    assert not rows(found.fit) & rows(found.held)
    assert rows(found.fit) | rows(found.held) <= {sample.tobytes() for sample in data}


def test_a_captured_batch_is_filled_up_with_inputs_of_the_same_side() -> None:
    data = np.random.default_rng(0).standard_normal((9, 3, 4, 4)).astype(np.float32)
    found = calibrated(data, graph=chain(batch=4))
    assert [feed["x0"].shape[0] for feed in (*found.fit, *found.held)] == [4, 4, 4]
    assert (len(rows(found.fit)), len(rows(found.held))) == (7, 2)
    assert not rows(found.fit) & rows(found.held)


def test_three_samples_are_too_few_to_hold_any_out() -> None:
    found = calibrated(np.zeros((3, 3, 8, 8), np.float32))
    assert found.source not in ("", "data")
    assert found.warnings == (
        "the data hold 3 samples: 4 are needed to fit on some and to judge on others; "
        "procedural inputs are taken instead",
    )


@pytest.mark.parametrize(
    ("classes", "samples", "told"), [(2, 15, "16"), (2, 20, ""), (1000, 100, "190"), (1000, 250, "")]
)
def test_few_inputs_for_the_outputs_are_told(classes: int, samples: int, told: str) -> None:
    net = Builder()
    graph = net.graph(net.linear(net.add("relu", net.linear(net.input(1, 6), 4)), classes))
    data = np.random.default_rng(0).standard_normal((samples, 6)).astype(np.float32)
    found = calibrated(data, 200, graph=graph)
    assert [f"are few: {told} or more" in one for one in found.warnings] == ([True] if told else [])


def test_crops_of_few_photographs_are_told() -> None:
    rng = np.random.default_rng(0)
    scenes = rng.standard_normal((5, 3, 12, 12))
    crops = np.stack([scenes[at % 5] + 0.05 * rng.standard_normal((3, 12, 12)) for at in range(60)])
    told = calibrated(crops.astype(np.float32), graph=chain(batch=1, size=12)).warnings
    assert len(told) == 1
    assert "nearly equal to another one" in told[0]
    apart = rng.standard_normal((60, 3, 12, 12)) + 4  # what all have in common tells nothing
    assert not calibrated(apart.astype(np.float32), graph=chain(batch=1, size=12)).warnings


def test_sorted_data_are_mixed() -> None:
    data = np.repeat(np.arange(8, dtype=np.float32), 50)[:, None, None, None]
    data = data + np.random.default_rng(0).standard_normal((400, 3, 8, 8)).astype(np.float32) / 100
    found = calibrated(data, 60)
    for side in (found.fit, found.held):
        assert len({round(float(next(iter(feed.values())).mean())) for feed in side}) >= 6


def test_a_folder_with_unreadable_images_is_read_without_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for at in range(20):
        Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)).save(tmp_path / f"good{at:02}.png")
    for at in range(4):
        (tmp_path / f"bad{at}.png").write_bytes(b"nothing")
    whole = (tmp_path / "good00.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    found = calibrated(tmp_path)
    assert found.warnings == (
        "5 of 25 images cannot be read and are left out: bad0.png, bad1.png, bad2.png and 2 more",
    )
    assert len(rows(found.fit)) + len(rows(found.held)) == 20


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.zeros((20, 3, 9, 9), np.float32), "has shape"),
        (np.full((20, 3, 8, 8), np.nan, np.float32), "holds NaN"),
        (np.full((20, 3, 8, 8), np.inf, np.float32), "holds infinite"),
    ],
)
def test_data_that_do_not_fit_are_one_error(data: Array, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        calibrated(data)


def test_whoever_asks_next_gets_the_same() -> None:
    state = State.start(chain())
    assert calibration_of(state, 6, 3) is calibration_of(state, 6, 3)
    given = Calibration(source="data")
    assert calibration_of(state.having(calibration=given)) is given
    task = task_of(np.random.default_rng(0).standard_normal((20, 3, 4, 4)).astype(np.float32))
    assert calibration_of(state.having(task=task)) is calibration_of(state.having(task=task))
    assert calibration_of(state.having(task=task)).source == "data"


def test_a_normalisation_of_a_new_layer_says_nothing() -> None:
    net = Builder()
    x = net.conv(net.input(1, 3, 8, 8), 4, 3)
    told = [net.given(np.full(4, number, np.float32)) for number in (1, 0, 0, 1)]
    graph = net.graph(net.add("batch_norm", x, *told, eps=1e-5))
    assert calibration_of(State.start(graph), 4, 2).sure == "not"
