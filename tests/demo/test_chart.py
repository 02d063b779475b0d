"""The pictures: not blank, bars as long as they should be, text within its cell."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image, ImageDraw

from prunepass.demo._chart import _FAST, _SLOW, Sample, _fitting, draw_chart, draw_sheet
from prunepass.demo._nets import Net, Share
from prunepass.measure import Measurement, Ratio, statistics


def net(name: str, faster: float, hits: int) -> Net:
    stats, ratio = statistics([0.001]), Ratio(faster, faster, faster)
    speed = Measurement(name, 1.0, stats, stats, ratio, ratio)
    return Net(name, None, 0.5, {"accuracy": Share(hits, 100)}, speed)


def painted(image: Image.Image, colour: tuple[int, int, int]) -> int:
    return int(np.all(np.asarray(image) == colour, axis=-1).sum())


def test_a_bar_is_as_long_as_the_net_is_fast() -> None:
    short = draw_chart("t", [net("original", 1.0, 90), net("a", 1.2, 80), net("b", 2.0, 70)], "f")
    long = draw_chart("t", [net("original", 1.0, 90), net("a", 2.0, 80), net("b", 2.0, 70)], "f")
    assert painted(long, _FAST) / painted(short, _FAST) == pytest.approx(4.0 / 3.2, rel=0.05)
    assert painted(short, _SLOW) == 0


def test_a_net_that_became_slower_is_seen_at_once() -> None:
    assert painted(draw_chart("t", [net("original", 1.0, 90), net("a", 0.8, 80)], "f"), _SLOW) > 100


def test_a_sheet_has_a_cell_for_each_sample() -> None:
    pixels = np.full((224, 224, 3), 7, np.uint8)
    samples = [Sample(pixels, "truth", [("yes", True), ("no", False)])] * 5
    image = draw_sheet("t", samples, ["a", "b"], columns=2)
    assert painted(image, (7, 7, 7)) == pytest.approx(5 * 168**2, rel=0.05)


def test_text_is_shortened_to_its_cell() -> None:
    draw = ImageDraw.Draw(Image.new("RGB", (10, 10)))
    short = _fitting(draw, "American Staffordshire terrier", 100)
    assert short.endswith("...")
    assert _fitting(draw, "cat", 100) == "cat"
