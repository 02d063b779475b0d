"""Two thousand damaged models through the command line: an exit code that fits, one line that helps, little memory."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

import onnx
import pytest

import prunepass as pp
from prunepass.ir import BudgetError, ModelError, UsageError
from tests.cli.mutants import campaign, kinds, nets, worker

SEED, COUNT, PARTS = 1, 2000, 4
PARSE = 0.6


@cache
def _part(part: int) -> list[dict[str, Any]]:
    return list(campaign.outcomes(SEED, COUNT // PARTS, part, PARTS))


@pytest.mark.parametrize("part", range(PARTS))
def test_no_mutant_is_a_fault_of_the_library(part: int) -> None:
    """Exit codes 0 to 3, one line at most, under 2 GB and 20 s; what is pruned passes ``check``."""
    found = _part(part)
    assert len(found) == COUNT // PARTS
    bad = [f"{one['name']}: {one['complaints']} {one['said']}" for one in found if one["complaints"]]
    assert not bad, "\n".join(bad) + f"\n(python -m tests.cli.mutants.campaign --seed {SEED} --only NUMBER)"


def test_most_mutants_are_models_that_parse_and_many_are_pruned() -> None:
    found = [one for part in range(PARTS) for one in _part(part)]
    assert sum(one["parses"] for one in found) >= PARSE * COUNT
    assert sum(one["codes"].get("check") == 0 for one in found) >= 0.2 * COUNT
    assert {code for one in found for code in one["codes"].values()} >= {0, 1, 3}
    done = {kind for one in found for kind in one["name"].split()[-1].split("+")}
    assert done == {*kinds.KINDS, *kinds.BYTES}


@pytest.mark.parametrize("name", nets.NETS)
def test_what_mutants_are_made_of_is_pruned(name: str, tmp_path: Any) -> None:
    net = nets.fresh(name)
    path = worker.write(worker.Mutant(name, net.proto.SerializeToString(), net.data, True), tmp_path)
    result = pp.prune(path, budget="macs=0.8", score="l2", compensate=False)
    assert result.report.after.macs < result.report.before.macs


def test_python_raises_errors_of_the_library_only() -> None:
    """Mutants as objects in memory: there is no file that could be at fault."""
    for number in range(10_000, 10_120):
        made = worker.mutant(SEED, number)
        if not made.parses or made.data:
            continue
        proto = onnx.ModelProto.FromString(made.model)
        with suppress(ModelError, BudgetError, UsageError):
            pp.prune(proto, budget="macs=0.8", score="l2", compensate=False)
