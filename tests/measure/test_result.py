from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from prunepass.ir import UsageError
from prunepass.measure import Comparison, Measurement, Ratio, statistics

STEADY = statistics([0.001] * 5)
WILD = statistics([0.001, 0.002, 0.003])


def comparison(cpu: float = 1.5, wall: float = 0.9) -> Comparison:
    first = Measurement("dense", 1000.0, STEADY, STEADY)
    other = Measurement("pruned", 1 / 3, WILD, STEADY, Ratio(wall, wall / 2, wall * 2), Ratio(cpu, cpu, cpu))
    return Comparison("onnxruntime", "1.31.1", 1, 12, (first, other))


def test_json_has_sorted_keys_and_is_the_same_for_equal_values() -> None:
    text = comparison().to_json()
    assert text == comparison().to_json()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_json_holds_nothing_of_the_machine_or_the_hour() -> None:
    data = json.loads(comparison().to_json())
    assert sorted(data) == ["backend", "clock", "engines", "rounds", "threads", "version"]
    assert sorted(data["engines"][0]) == ["cpu", "faster_cpu", "faster_wall", "name", "throughput", "wall"]


def test_a_clock_of_a_device_is_told_where_every_engine_has_one() -> None:
    found = comparison()
    assert found.clocks == ("cpu", "wall")
    with pytest.raises(UsageError, match="'dense' was not timed by a device's clock"):
        found.engines[0].faster("device")
    half, first = statistics([0.0005] * 5), Ratio(1, 1, 1)
    engines = (
        replace(found.engines[0], device=STEADY, faster_device=first),
        replace(found.engines[1], device=half, faster_device=Ratio(2, 2, 2)),
    )
    timed = replace(found, engines=engines)
    assert timed.clocks == ("device", "cpu", "wall") and timed.slower("device") == ()
    assert timed.engines[1].time("device").median == 0.5
    assert "| faster (GPU) |" in timed.markdown() and "2.00x (2.00-2.00)" in timed.markdown()
    assert json.loads(timed.to_json())["engines"][1]["faster_device"]["median"] == 2
    assert replace(timed, engines=(engines[0], found.engines[1])).clocks == ("cpu", "wall")


def test_json_numbers_have_six_significant_digits() -> None:
    data = json.loads(comparison().to_json())
    assert data["engines"][1]["throughput"] == 0.333333
    assert data["engines"][1]["wall"]["count"] == 3


def test_engines_are_found_by_name() -> None:
    assert comparison()["pruned"].throughput == 1 / 3
    with pytest.raises(KeyError):
        comparison()["other"]


def test_slower_is_judged_by_the_median_ratio_of_the_chosen_clock() -> None:
    found = comparison(cpu=1.5, wall=0.9)
    assert replace(found, clock="wall").slower() == ("pruned",)
    assert found.slower() == found.slower("cpu") == ()
    assert found.slower("wall") == ("pruned",)
    assert comparison(cpu=0.99).slower() == ("pruned",)


def test_unsteady_wall_time_is_noted_with_the_engines() -> None:
    (note,) = comparison().notes()
    assert "pruned 41%" in note
    assert "dense" not in note
    assert replace(comparison(), engines=comparison().engines[:1]).notes() == ()


def test_markdown_is_one_table_with_a_row_an_engine() -> None:
    lines = comparison().markdown().splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert lines[3].startswith("| pruned | 1.50x (1.50-1.50) | 0.90x (0.45-1.80) | 1.000 | 2.000 |")


def test_a_bar_in_a_name_does_not_break_the_markdown_table() -> None:
    named = replace(comparison().engines[0], name="a|b")
    lines = replace(comparison(), engines=(named,)).markdown().splitlines()
    assert "a\\|b" in lines[2]


def test_the_terminal_table_shows_names_as_they_are() -> None:
    named = replace(comparison().engines[0], name="[bold]dense")
    console = Console(width=200, record=True, file=StringIO())
    console.print(replace(comparison(), engines=(named, comparison().engines[1])).table())
    text = console.export_text()
    for part in ("[bold]dense", "1.50x", "onnxruntime 1.31.1, 1 thread, 12 rounds", "trust the ratios"):
        assert part in text
