"""Options from a file, the command line and ``--set``: who wins, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunepass import UsageError
from prunepass.cli._settings import settings


def from_file(tmp_path: Path, text: str) -> str:
    config = tmp_path / "c.toml"
    config.write_text(text, encoding="utf-8")
    return str(config)


def test_the_command_line_wins_over_the_file_and_set_over_both(tmp_path: Path) -> None:
    config = from_file(tmp_path, "align = 4\nscore = 'l1'\nkeep = ['fc']\nplan-out = 'p.json'\n")
    found = settings(config, {"align": 8, "keep": ("head",), "score": None}, ["score=l2"])
    assert (found.align, found.score, found.keep, found.plan_out) == (8, "l2", ("head",), "p.json")


def test_an_entry_of_a_table_changes_alone(tmp_path: Path) -> None:
    config = from_file(tmp_path, "score = 'dfpc{normalize=mean}'\n[budget]\nmacs = 0.5\nparams = 0.6\n")
    found = settings(config, {}, ["budget.macs=0.4", "score.normalize=none"])
    assert found.budget == "macs=0.4,params=0.6"
    assert found.score == "dfpc{normalize=none}"


def test_text_on_the_command_line_replaces_a_whole_table(tmp_path: Path) -> None:
    config = from_file(tmp_path, "[budget]\nmacs = 0.5\nparams = 0.6\n")
    assert settings(config, {"budget": "params=0.7"}).budget == "params=0.7"


def test_a_stronger_place_drives_out_what_it_excludes(tmp_path: Path) -> None:
    config = from_file(tmp_path, "target = 'tensorrt-fp16'\nbudget = 'macs=0.5'\n")
    found = settings(config, {"align": 4})
    assert (found.align, found.target) == (4, None)
    found = settings(config, {"pipeline": "couple | cut"})
    assert (found.pipeline, found.target) == ("couple | cut", None)


def test_a_pipeline_may_be_a_list_of_steps(tmp_path: Path) -> None:
    config = from_file(tmp_path, "pipeline = ['couple', 'score{metric=l1}']\n")
    assert settings(config, {}).pipeline == "couple | score{metric=l1}"


def test_values_of_set_are_toml_or_plain_text() -> None:
    found = settings(
        None, {}, ["align=16", 'keep=["a", "b"]', "compensate=false", "budget=macs=0.3", "floor=0.1"]
    )
    assert (found.align, found.keep, found.compensate) == (16, ("a", "b"), False)
    assert (found.budget, found.floor) == ("macs=0.3", 0.1)


@pytest.mark.parametrize("assignment", ["align=wide", "align.x=3", "nothing=1", "=1", "keep=3"])
def test_what_makes_no_sense_is_refused(assignment: str) -> None:
    with pytest.raises(UsageError):
        settings(None, {}, [assignment])


def test_names_of_keys_are_those_of_the_options(tmp_path: Path) -> None:
    assert settings(from_file(tmp_path, "plan-out = 'p'"), {}).plan_out == "p"
    with pytest.raises(UsageError, match="plan-oot"):
        settings(from_file(tmp_path, "plan-oot = 'p'"), {})


@pytest.mark.parametrize("threads", [0, 1025])
def test_a_number_of_threads_that_no_engine_takes_is_refused(threads: int) -> None:
    with pytest.raises(UsageError, match="wrong option"):
        settings(None, {}, [f"threads={threads}"])
