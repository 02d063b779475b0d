from __future__ import annotations

import pytest

from prunepass.ir import UsageError
from prunepass.sweeps import Candidate, grid


def test_the_grid_is_every_combination_once_in_the_order_given() -> None:
    found = grid((0.8, 0.5, 0.8), ("l1", "l2"), (1, 8), kind="params")
    assert len(found) == 8
    assert found[0] == Candidate("params=0.8", "l1", 1)
    assert found[3] == Candidate("params=0.8", "l2", 8)


def test_every_candidate_has_a_folder_name_of_its_own_that_any_system_takes() -> None:
    odd = ("dfpc", "dfpc{normalize=mean}", "dfpc{normalize=none}", "dfpc_normalize_mean")
    keys = [Candidate("macs=0.5", score, align).key for score in odd for align in (1, 8)]
    assert keys[0] == "macs-0.5-dfpc-1"
    assert len({key.lower() for key in keys}) == len(keys)
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_") for key in keys)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budgets": ()}, "nothing to try"),
        ({"budgets": (50,)}, "fraction"),
        ({"budgets": (0.5,), "scores_": ("nonsense",)}, "nonsense"),
        ({"budgets": (0.5,), "scores_": ("l2{nonsense=1}",)}, "nonsense"),
        ({"budgets": (0.5,), "aligns": (0,)}, "align"),
        ({"budgets": (0.5,), "kind": "joules"}, "joules"),
    ],
)
def test_what_cannot_be_tried_is_refused_before_any_work(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        grid(**options)  # type: ignore[arg-type]
