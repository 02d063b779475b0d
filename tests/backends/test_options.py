from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest

from prunepass.backends import read_options
from prunepass.ir import UsageError


class Sample(msgspec.Struct, frozen=True):
    threads: Annotated[int, msgspec.Meta(ge=1)] = 1
    level: Literal["low", "high"] = "low"


def test_defaults_hold_where_nothing_is_given() -> None:
    assert read_options(Sample, None) == read_options(Sample, {}) == Sample()


def test_text_is_converted() -> None:
    assert read_options(Sample, {"threads": "4", "level": "high"}) == Sample(4, "high")


def test_an_unknown_option_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="thread") as caught:
        read_options(Sample, {"thread": 2})
    assert "threads, level=low|high" in caught.value.advice


@pytest.mark.parametrize("given", [{"threads": 0}, {"threads": "many"}, {"level": "middle"}])
def test_a_wrong_value_is_told_with_the_option(given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(given))):
        read_options(Sample, given)
