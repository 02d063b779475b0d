"""The page: what it says, what it never does."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from prunepass.measure import Ratio
from prunepass.report import Page, _page, to_html
from tests.report import pages
from tests.report.pages import HOSTILE, Reader

PAGES = {"prune": pages.page(), "analysis": pages.analysis(), "sweep": pages.trials()}


@pytest.mark.parametrize("kind", PAGES)
def test_every_element_is_closed_and_every_id_is_given_once(kind: str) -> None:
    read = Reader(to_html(PAGES[kind]))
    assert read.faults == []
    ids = read.having("id")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("kind", PAGES)
def test_nothing_is_loaded_from_anywhere(kind: str) -> None:
    text = to_html(PAGES[kind])
    read = Reader(text)
    assert not read.tags.keys() & {"link", "img", "iframe", "object", "base"}
    assert not read.having("src")
    assert all(not re.match(r"\w+:|//", link) for link in read.having("href"))
    assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttpRequest", text)


@pytest.mark.parametrize("kind", PAGES)
def test_links_inside_the_page_lead_somewhere(kind: str) -> None:
    read = Reader(to_html(PAGES[kind]))
    assert {link[1:] for link in read.having("href") if link.startswith("#")} <= set(read.having("id"))


@pytest.mark.parametrize("made", [pages.page(HOSTILE), pages.trials(HOSTILE)], ids=["prune", "sweep"])
def test_a_hostile_name_is_text_wherever_it_stands(made: Page) -> None:
    plain = {True: pages.trials(), False: pages.page()}[bool(made.trials)]
    read = Reader(to_html(made))
    assert read.tags == Reader(to_html(plain)).tags, "no name adds an element"
    assert read.faults == []
    assert HOSTILE in read.text
    assert not [name for _, name, _ in read.values if name.startswith("on")]


def test_a_hostile_layer_is_text() -> None:
    first, second = pages.engines()
    layer = replace(first.layers[0], name=HOSTILE, kind=HOSTILE, nodes=(HOSTILE,), layout=HOSTILE)
    made = replace(pages.page(), engines=(replace(first, layers=(layer,)), second))
    read = Reader(to_html(made))
    assert read.tags["script"] == 1
    assert read.faults == []


def test_the_same_page_is_the_same_bytes() -> None:
    assert to_html(pages.page()) == to_html(pages.page())


def test_a_prune_shows_costs_ratios_and_intervals() -> None:
    text = Reader(to_html(pages.page())).text
    for shown in (
        "1.00 M \u2192 400 k",
        "2.50\u00d7 fewer",
        "40.0 % kept",
        "1.50\u00d7 faster",
        "1.40 to 1.60\u00d7",
    ):
        assert shown in text
    assert "0.98 \u2192 0.95" in text


def test_a_pruned_model_that_is_slower_is_not_called_faster() -> None:
    text = to_html(replace(pages.page(), timing=pages.timing(Ratio(0.8, 0.7, 0.9))))
    assert "0.80\u00d7 as fast" in text
    assert "0.80\u00d7 faster" not in text
    assert 'class="card bad"' in text


def test_every_prunable_group_has_a_bar_and_pinned_ones_their_reason() -> None:
    read = Reader(to_html(pages.page()))
    assert read.having("style").count("width:75.0%") == 1
    assert read.having("data-name") == ["net.conv2", "net.conv1", "net.conv0"], "most cut first"
    assert "2 pinned groups" in read.text
    assert read.text.count("an output of net") == 1, "a reason is given once for all that it holds for"


def test_where_the_channels_of_a_group_occur_is_there_to_open() -> None:
    assert "net.conv1: produced" in Reader(to_html(pages.page())).text


def test_what_was_not_measured_is_said_or_left_out() -> None:
    bare = replace(pages.page(), timing=None, latency=None, engines=(), accuracy={}, proof=None, host=None)
    text = Reader(to_html(bare)).text
    assert "Latency was not measured" in text
    assert "No proof was asked for" in text
    assert "Engine layers" not in text


def test_the_proof_says_how_far_it_was_from_failing() -> None:
    text = Reader(to_html(pages.page())).text
    assert all(shown in text for shown in ("3.0e-14", "1.0e-09", "120", "33,333\u00d7 below"))
    broken = replace(pages.page(), host=replace(pages.page().host, worst=1.0))  # type: ignore[type-var]
    assert "The proof does not hold." in Reader(to_html(broken)).text


def test_rounds_show_what_was_predicted_beside_what_was_measured() -> None:
    text = Reader(to_html(pages.page())).text
    assert "0.610" in text and "0.580" in text


def test_layers_that_only_one_engine_has_are_marked() -> None:
    text = to_html(pages.page())
    assert text.count('<tr class="alone">') == 1
    assert "reorder_7" in text
    assert "covers relu" in Reader(text).text


def test_a_sweep_shows_failed_candidates_with_their_reason() -> None:
    read = Reader(to_html(pages.trials()))
    assert "the budget of net cannot be met" in read.text
    assert "It is no accuracy." in read.text
    points = [value.split() for value in read.having("class") if value.startswith("point")]
    assert len(points) == 5, "four that were measured, and the original"
    assert sum("front" in kinds for kinds in points) == 2


def test_an_analysis_claims_no_cut() -> None:
    text = Reader(to_html(pages.analysis())).text
    assert "were cut" not in text
    assert "Latency" not in text
    assert "Proof" not in text
    assert "can be cut" in text


def test_hundreds_of_groups_stay_small() -> None:
    few, many = (len(to_html(pages.page(count=count))) for count in (100, 400))
    assert (many - few) / 300 < 1500, "bytes a group"


def test_a_section_that_scrolls_can_be_reached_by_keyboard() -> None:
    text = to_html(pages.page())
    reachable = re.findall(r'class="wide" role="region" aria-label="[^"]+" tabindex="0"', text)
    assert text.count('class="wide"') == len(reachable) > 0


def test_of_many_groups_that_could_not_be_repaired_a_few_are_named() -> None:
    report = SimpleNamespace(
        score="",
        changes={},
        change=None,
        host=None,
        repaired=(),
        unrepaired={f"g{n}": "no mean" for n in range(9)},
        unread=(),
        notes=list,
    )
    notes = _page._notes(cast(Any, report))
    assert notes[1:4] == tuple(f"Not repaired: g{n}: no mean." for n in range(3))
    assert notes[4].startswith("Not repaired: 6 more")


def test_what_is_not_reached_is_told_once() -> None:
    told = {"score": "", "changes": {}, "change": None, "host": None, "repaired": (), "unrepaired": {}}
    report = SimpleNamespace(**told, unread=("aux.weight",), notes=lambda: ["not reached: aux"])
    assert sum("aux" in note for note in _page._notes(cast(Any, report))) == 1


def test_candidates_are_told_by_the_clock_that_decided() -> None:
    page = replace(pages.trials(), clock="device")
    assert "GPU time, median" in Reader(to_html(page)).text


def test_every_layer_shows_its_work_before_and_after() -> None:
    made = pages.page()
    text = Reader(to_html(made)).text
    for row in made.layers:
        assert f"{row.name} {row.before:,} {row.after:,} " in re.sub(r"\s+", " ", text)
    assert "Layer by layer" not in Reader(to_html(replace(made, layers=()))).text
