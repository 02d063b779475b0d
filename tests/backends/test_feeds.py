from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prunepass.backends import TensorSpec, check_feeds, feeds_of, random_feeds
from prunepass.ir import UsageError

IMAGE = TensorSpec("image", ("batch", 3, 4, 5), "float32")
IDS = TensorSpec("ids", (2, 7), "int64")
MASK = TensorSpec("mask", (2,), "bool")


def test_made_up_feeds_fit_the_inputs_with_a_batch_of_one() -> None:
    feeds = random_feeds((IMAGE, IDS, MASK))
    check_feeds((IMAGE, IDS, MASK), feeds)
    assert feeds["image"].shape == (1, 3, 4, 5)


def test_made_up_integers_index_any_table() -> None:
    assert set(np.unique(random_feeds((IDS,))["ids"])) <= {0, 1}


def test_made_up_data_of_an_input_does_not_depend_on_its_neighbours() -> None:
    alone, together = random_feeds((IMAGE,)), random_feeds((MASK, IDS, IMAGE))
    np.testing.assert_array_equal(alone["image"], together["image"])
    assert not np.array_equal(alone["image"], random_feeds((IMAGE,), seed=1)["image"])


def test_made_up_data_differs_from_input_to_input() -> None:
    feeds = random_feeds((IMAGE, replace(IMAGE, name="other")))
    assert not np.array_equal(feeds["image"], feeds["other"])


def test_a_free_dim_other_than_the_batch_needs_a_size() -> None:
    spec = TensorSpec("image", ("batch", 3, "height", 4), "float32")
    with pytest.raises(UsageError, match="height"):
        random_feeds((spec,))
    assert random_feeds((spec,), {"height": 6, "batch": 2})["image"].shape == (2, 3, 6, 4)


def test_a_shape_stands_for_an_array_to_make_up() -> None:
    spec = TensorSpec("image", ("batch", 3, "height", 4), "float32")
    feeds = feeds_of((spec, IDS), {"image": (2, 3, 6, 4)})
    assert {name: np.shape(array) for name, array in feeds.items()} == {"image": (2, 3, 6, 4), "ids": (2, 7)}
    ids = np.ones((2, 7), np.int64)
    assert feeds_of((spec, IDS), {"image": (1, 3, 6, 4), "ids": ids})["ids"] is ids


@pytest.mark.parametrize(
    ("shapes", "said"),
    [({"picture": (1,)}, "no input 'picture'"), ({"image": (1, 4, 4, 5)}, r"got float32\[1, 4, 4, 5\]")],
)
def test_a_shape_that_fits_no_input_is_refused(shapes: dict[str, tuple[int, ...]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        feeds_of((IMAGE,), shapes)


@pytest.mark.parametrize("dtype", ["str", "bfloat16", "seq(tensor(float))"])
def test_data_that_cannot_be_made_up_is_asked_for(dtype: str) -> None:
    with pytest.raises(UsageError, match="feeds="):
        random_feeds((TensorSpec("words", (1,), dtype),))


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({}, "'image' is not fed"),
        ({"picture": np.zeros(1)}, "no input 'picture'"),
        ({"image": np.zeros((1, 3, 4, 5))}, r"takes float32\[batch, 3, 4, 5\], got float64"),
        ({"image": np.zeros((1, 4, 4, 5), np.float32)}, r"got float32\[1, 4, 4, 5\]"),
        ({"image": np.zeros((1, 3, 4), np.float32)}, r"got float32\[1, 3, 4\]"),
    ],
)
def test_feeds_that_do_not_fit_are_told_apart(feeds: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_feeds((IMAGE,), feeds)


def test_a_free_dim_takes_any_size() -> None:
    check_feeds((IMAGE,), {"image": np.zeros((9, 3, 4, 5), np.float32)})
