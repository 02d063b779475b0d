"""The picture of the comparison of engines shows what is published."""

from __future__ import annotations

import json
from pathlib import Path

from bench.picture import PICTURE, RESULTS, draw, shown

ROWS = shown(json.loads(RESULTS.read_text("utf-8"))["rows"])


def test_the_published_picture_has_every_network_with_its_published_figure() -> None:
    text = PICTURE.read_text("utf-8")
    assert len(ROWS) == 8
    for row in ROWS:
        assert f">{row['network']}<" in text
        assert f">{row['ours']:.2f}x<" in text


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw(ROWS, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_network_that_a_peer_cannot_prune_has_no_mark_of_it(tmp_path: Path) -> None:
    draw(ROWS, tmp_path / "all.svg")
    draw([{**row, "TP": None} for row in ROWS], tmp_path / "fewer.svg")
    assert (tmp_path / "all.svg").read_text("utf-8") != (tmp_path / "fewer.svg").read_text("utf-8")
