"""Options in text, to and from the fields of a pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from prunepass.ir import UsageError
from prunepass.ir._steps import parse_steps
from prunepass.passes._options import build, to_text


@dataclass(frozen=True)
class Shrink:
    """A pass with an option of every type."""

    name: ClassVar[str] = "shrink"
    word: str = "mean"
    count: int = 1
    share: float = 0.5
    loud: bool = False
    ratios: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Open:
    """A pass that hands on what it does not know."""

    name: ClassVar[str] = "open"
    metric: str = "auto"
    options: Mapping[str, str] = field(default_factory=dict)


def test_steps_are_names_with_options() -> None:
    text = 'a | b{x=1, y="u, v"} |c.d-e{ z = 0.5 }'
    assert list(parse_steps(text)) == [("a", {}), ("b", {"x": "1", "y": "u, v"}), ("c.d-e", {"z": "0.5"})]


@pytest.mark.parametrize("text", ["", "a |", "a b", "a{x=1", "a{x}", "a{=1}", "a{{x=1}}"])
def test_malformed_steps_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        list(parse_steps(text))


def test_options_take_the_type_of_their_default() -> None:
    made = build(Shrink, {"word": "max", "count": "3", "share": "1", "loud": "Yes"})
    assert made == Shrink("max", 3, 1.0, True)
    assert isinstance(made.share, float)


@pytest.mark.parametrize(
    "options",
    [{"ratios": "a=half"}, {"count": "1.5"}, {"count": "many"}, {"share": "half"}, {"loud": "maybe"}],
)
def test_an_option_of_the_wrong_type_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="of 'shrink' is no"):
        build(Shrink, options)


def test_an_unknown_option_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no option speed \(it has word, count, share, loud, ratios\)"):
        build(Shrink, {"speed": "1"})


def test_unknown_options_go_to_the_field_options_where_there_is_one() -> None:
    assert build(Open, {"metric": "dfpc", "power": "2"}) == Open("dfpc", {"power": "2"})


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Shrink(), "shrink"),
        (Shrink(count=2, loud=True), "shrink{count=2, loud=true}"),
        (Shrink(word="a, b"), 'shrink{word="a, b"}'),
        (Shrink(ratios={"a:0": 0.5, "b.*": 0.25}), 'shrink{ratios="a:0:0.5, b.*:0.25"}'),
        (Open("dfpc", {"power": "2, 3"}), 'open{metric=dfpc, power="2, 3"}'),
        (Open("dfpc", {"power": "2"}), "open{metric=dfpc, power=2}"),
    ],
)
def test_a_pass_is_its_text(step: Shrink | Open, text: str) -> None:
    assert to_text(step) == text
    ((_, options),) = parse_steps(text)
    assert build(type(step), options) == step
