"""What is published has the form of what the comparisons make."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from bench.compare.__main__ import names
from bench.compare._table import Table

RESULTS = Path(__file__).parents[2] / "bench" / "results"
PUBLISHED = sorted(RESULTS.glob("*.json"))
FORBIDDEN = ("/work/", "/tmp/", "/home/", "/root/")


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def test_every_comparison_is_published_and_nothing_else() -> None:
    assert [file.stem for file in PUBLISHED] == names()


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.stem)
def test_a_published_result_has_the_fields_of_a_table(file: Path) -> None:
    data = read(file)
    assert set(data) == {field.name for field in fields(Table)}
    assert data["title"] and data["rows"] and data["notes"]
    assert {"python", "cores", "numpy"} <= set(data["setting"])
    assert all(set(row) == set(data["rows"][0]) for row in data["rows"])


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.stem)
def test_a_published_result_says_the_same_in_markdown(file: Path) -> None:
    data, lines = read(file), file.with_suffix(".md").read_text("utf-8").splitlines()
    assert lines[0] == f"# {data['title']}"
    assert {cell.strip() for cell in lines[2].strip("|").split("|")} == set(data["rows"][0])
    assert sum(line.startswith("| ") for line in lines) == 1 + len(data["rows"])
    assert all(note in lines for note in data["notes"])


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.stem)
def test_a_published_result_names_no_place_on_a_machine(file: Path) -> None:
    for text in (file.read_text("utf-8"), file.with_suffix(".md").read_text("utf-8")):
        assert not [place for place in FORBIDDEN if place in text]
