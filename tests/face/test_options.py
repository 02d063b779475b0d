"""The one declaration of options: Python, the command line, files, schemas and the docs say what it says."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

import prunepass as pp
from prunepass._options import DEFAULTS, OPTIONS, Options, PruneOptions, options_of, rivals_of
from prunepass.backends import MOST_THREADS
from prunepass.cli import _analyze, _apply, _calibrate, _check, _engines, _prune, _schema, _sweep
from prunepass.cli._declared import declared
from prunepass.cli._settings import settings

ROOT = Path(__file__).parents[2]
PYTHON = {name for name, option in OPTIONS.items() if option.python}
EXPLICIT = {"budget", "score"}


def test_type_checkers_see_the_options_that_there_are_with_their_types() -> None:
    declared = {field.name: field.type for field in fields(Options) if field.name in PYTHON - EXPLICIT}
    assert {name: hint.__forward_arg__ for name, hint in PruneOptions.__annotations__.items()} == declared


def test_the_options_of_the_call_itself_have_the_declared_defaults() -> None:
    parameters = inspect.signature(pp.prune).parameters
    assert {name: parameters[name].default for name in EXPLICIT} == {
        name: DEFAULTS[name] for name in EXPLICIT
    }


def test_help_of_the_call_explains_every_keyword() -> None:
    text = inspect.getdoc(pp.prune) or ""
    assert [
        name for name in PYTHON if not re.search(rf"(^ +|[.,] |``){name}(: |, |=|``)", text, re.MULTILINE)
    ] == []


def test_prune_has_a_flag_for_every_option_of_the_command_line() -> None:
    flags = {param.name: param for param in _prune.prune.params if isinstance(param, click.Option)}
    ours = {name for name, option in OPTIONS.items() if option.command}
    assert ours == set(flags) - {"config", "assignments", "dry_run", "as_json", "quiet", "verbose"}
    assert all(getattr(flags[name], "help", None) == OPTIONS[name].help for name in ours)


COMMANDS = {
    "analyze": _analyze.analyze, "apply": _apply.apply, "bench": _engines.bench, "build": _engines.build,
    "calibrate": _calibrate.calibrate, "check": _check.check, "sweep": _sweep.sweep,
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_is_spelled_alike_in_every_command(command: str) -> None:
    for param in COMMANDS[command].params:
        if isinstance(param, click.Option) and param.name in OPTIONS:
            (like,) = declared(param.name)(click.command()(lambda: None)).params
            assert isinstance(like, click.Option)
            assert (param.opts, param.multiple) == (like.opts, like.multiple)
            assert type(param.type) is type(like.type)


def test_the_schema_has_a_key_for_every_option_of_a_file() -> None:
    found = json.loads(_schema.text("config"))["properties"]
    ours = {name.replace("_", "-"): option.about for name, option in OPTIONS.items() if option.file}
    assert {key: form["description"] for key, form in found.items()} == ours


def test_nothing_asked_for_is_the_same_from_everywhere() -> None:
    assert settings(None, {}) == options_of({}) == Options()
    assert Options().keywords() == {}


def test_as_many_threads_as_the_engines_take() -> None:
    assert OPTIONS["threads"].most == MOST_THREADS


def test_rivals_exclude_each_other() -> None:
    assert all(name in rivals_of(rival) for name in OPTIONS for rival in rivals_of(name))
    assert "pipeline" in rivals_of("ratios") and "repair" in rivals_of("compensate")


VALUES: dict[str, Any] = {
    "budget": "macs=0.6", "score": "l2", "align": 8, "floor": 0.1, "mode": "uniform", "ratios": {"a": 0.5},
    "policy": "p", "repair": "none", "compensate": False, "pipeline": "couple",
}  # fmt: skip
PAIRS = [(one, other) for one in VALUES for other in rivals_of(one) if one < other and other in VALUES]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_options_that_exclude_each_other_are_refused_in_python(one: str, other: str) -> None:
    with pytest.raises(pp.UsageError, match="exclude each other"):
        options_of({one: VALUES[one], other: VALUES[other]})
    assert options_of({one: VALUES[one], other: DEFAULTS[other]}) == options_of({one: VALUES[one]})


def test_a_slip_of_the_pen_is_answered_with_its_neighbour() -> None:
    with pytest.raises(pp.UsageError, match="no option ratio") as caught:
        options_of({"ratio": {"a": 0.5}})
    assert caught.value.advice == "did you mean ratios?"
    with pytest.raises(pp.UsageError, match="no option plan_out"):
        options_of({"plan_out": "p.json"})


def test_the_declaration_loads_no_array() -> None:
    code = "import sys, prunepass._options; print([n for n in ('numpy', 'msgspec', 'click') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def rows() -> list[str]:
    """The table of the docs."""
    found = []
    for name, option in OPTIONS.items():
        flag = (option.flag or (f"--{name.replace('_', '-')}",))[-1]
        flag += f" {option.metavar}" if option.metavar else ""
        key = name.replace("_", "-")
        cells = (name if option.python else "", flag if option.command else "", key if option.file else "")
        said = option.help.replace("|", "\\|")
        found.append("| " + " | ".join(f"`{cell}`" if cell else "" for cell in cells) + f" | {said} |")
    return found


def test_the_docs_list_every_option_as_it_is_declared() -> None:
    text = (ROOT / "docs" / "options.md").read_text("utf-8")
    listed = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert listed == rows(), "docs/options.md lists:\n" + "\n".join(rows())
