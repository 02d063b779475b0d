"""The same options give the same plans as ever: the same channels go, and shifts agree to 1e-6."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from prunepass.ir import Graph
from tests.face.golden_plans import FILE, models, summaries

GOLDEN = json.loads(FILE.read_text("utf-8"))


@pytest.mark.parametrize(("name", "build"), [pytest.param(*one, id=one[0]) for one in models()])
def test_the_same_options_give_the_same_plan_as_ever(name: str, build: Callable[[], Graph]) -> None:
    found = summaries(build())
    assert found.keys() == GOLDEN[name].keys()
    for case, want in GOLDEN[name].items():
        got = found[case]
        if isinstance(want, str):
            assert got == want, f"{name}: {case}"
            continue
        for part in ("cuts", "removed", "options"):
            assert got[part] == want[part], f"{name}: {case}"
        scale = want["shifts"][0]
        assert got["shifts"] == pytest.approx(want["shifts"], rel=1e-6, abs=1e-6 * scale), f"{name}: {case}"
