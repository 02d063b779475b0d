"""Drawn pages: exact labels, the same every time, harder where asked."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")

from prunepass.demo._pages import LABELS, _seen, _Sheet, draw_pages


def test_pages_are_the_same_every_time_and_differ_among_themselves() -> None:
    one, other = draw_pages(6, seed=3), draw_pages(6, seed=3)
    assert np.array_equal(one.inputs, other.inputs)
    assert np.array_equal(one.labels, other.labels)
    assert len({page.tobytes() for page in one.thumbs}) == 6
    assert not np.array_equal(draw_pages(6, seed=4).inputs, one.inputs)


def test_inputs_are_what_the_network_was_trained_on() -> None:
    pages = draw_pages(4)
    assert (pages.inputs.shape, pages.inputs.dtype) == ((4, 3, 224, 224), np.float32)
    assert pages.thumbs.shape == (4, 224, 224, 3)
    white = (1 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    assert np.all(pages.inputs.max(axis=(0, 2, 3)) <= white + 1e-5)


def test_the_label_is_the_number_of_quarter_turns_clockwise() -> None:
    page = _Sheet(np.random.default_rng(0)).fill().resize((400, 400))
    upright = _seen(page, 0).astype(int)
    for label in range(len(LABELS)):
        turned = _seen(page, label).astype(int)
        assert np.abs(np.rot90(turned, label) - upright).mean() < 1


def test_all_turns_occur() -> None:
    assert set(draw_pages(40).labels) == {0, 1, 2, 3}


def test_hardness_brings_in_grain() -> None:
    def grain(hardness: float) -> float:
        pages = draw_pages(12, hardness=hardness).thumbs.astype(int)
        return float(np.median(np.abs(np.diff(pages, axis=2))))

    assert grain(1.0) > grain(0.0) + 2
