from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import UsageError
from prunepass.passes import couple, scores
from prunepass.passes._options import build
from tests.graphs import chain


def test_every_built_in_score_is_found_under_its_own_name() -> None:
    for name in ("bn_scale", "dfpc", "l1", "l2", "random", "variance"):
        assert name in scores.names()
        assert scores.get(name).name == name


def test_an_unknown_score_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match="there is no score 'dfcp'") as caught:
        scores.get("dfcp")
    assert "dfpc" in caught.value.advice


def test_options_in_text_become_fields() -> None:
    score = build(scores.get("dfpc"), {"normalize": "mean", "include-shift": "yes"})
    assert score == scores.Dfpc(normalize="mean", include_shift=True)


def test_random_scores_follow_the_seed_and_the_group_alone() -> None:
    small, large = (scores.Random()(couple(chain(channels))) for channels in (8, 12))
    np.testing.assert_array_equal(small["a"], large["a"][:8])
    assert np.all(scores.Random(seed=1)(couple(chain()))["a"] != small["a"])
