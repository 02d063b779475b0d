"""The comparison of repairs: one row each on a tiny network, and what peers' repairs must do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import prunepass as pp
from bench.compare import repair
from bench.compare._folding import Fold
from bench.compare._grail import Grail
from bench.compare._subjects import SUBJECTS, Subject
from bench.compare._table import Options
from bench.nets import _average_precision, _scenes
from bench.nets import scenes as detector
from tests.zoo.parts import seeded


def net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip


def inputs(count: int) -> Any:
    return torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(1))


def subject(_: int) -> Subject:
    model, test = seeded(net), inputs(20)

    def judge(given: Any) -> tuple[Any, Any]:
        with torch.no_grad():
            said = given(test).argmax(1).numpy()
        return said == 0, said

    return Subject(model, test[:2], inputs(70).numpy(), judge, ("macs=0.7", "macs=0.5"), {})


def test_every_repair_has_one_row_on_the_same_plan_and_none_is_made_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = dict(repair.rows_of("tiny", 0, subject, {}, quick=True))
    assert {(row["repair"], row["inputs"]) for row in rows.values()} == {
        *((name, 0) for name in ("none", "compensate", "fold", "reconstruct")),
        *((name, 64) for name in ("fold", "grail", "reconstruct")),
    }
    assert {row["failed"] for row in rows.values()} == {None}
    assert len({row["plan"] for row in rows.values()}) == 1
    assert not dict(repair.rows_of("tiny", 0, subject, rows, quick=True))


def test_rows_are_kept_as_they_come(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    made: Mapping[str, tuple[Callable[[int], Subject], tuple[int, ...]]] = {"tiny": (subject, (0,))}
    monkeypatch.setattr(repair, "SUBJECTS", made)
    monkeypatch.setattr(repair, "repairs", lambda count: {} if count else {"none": "none"})
    first = repair.run(Options(True, (), tmp_path))
    monkeypatch.setattr(repair, "row_of", None)
    assert repair.run(Options(True, (), tmp_path)).rows == first.rows


def pruned(model: nn.Module, how: Any, count: int = 64) -> Any:
    task = pp.Task(data=list(inputs(count).split(16)))
    return pp.prune(model, inputs(2), budget="macs=0.6", score="l2", repair=how, task=task)


@pytest.mark.parametrize(
    "how", [Fold(0), Fold(64), Grail(64, ridge=1e-6)], ids=["fold", "fold, data", "grail"]
)
def test_channels_that_are_copies_of_others_are_lost_without_loss(how: Any) -> None:
    model = seeded(net).eval()
    with torch.no_grad():
        for at in (0, 3):
            model[at].weight[4:], model[at].bias[4:] = (
                model[at].weight[:4].clone(),
                model[at].bias[:4].clone(),
            )
            state = model[at + 1]
            state.running_mean.zero_(), state.running_var.fill_(1)
    if isinstance(how, Fold) and how.count:
        _calibrate(model)
    plain, mended = pruned(model, "none"), pruned(model, how)
    assert mended.plan.cuts == plain.plan.cuts
    x = inputs(64)
    with torch.no_grad():
        wanted, lost, found = model(x), plain.model(x), mended.model(x)
    whole = {len(cut.remove) for cut in mended.plan.cuts.values()}
    assert whole and float((found - wanted).abs().max()) < 0.9 * float((lost - wanted).abs().max())


def _calibrate(model: nn.Module) -> None:
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    model.train()(inputs(64))
    model.eval()


def test_an_interval_is_wider_over_clusters_that_agree() -> None:
    hits = np.repeat(np.arange(10) % 2, 20).astype(bool)
    alone, together = repair.interval(hits, None), repair.interval(hits, np.repeat(np.arange(10), 20))
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])
    assert alone[0] < 0.5 < alone[1]


def test_every_subject_has_seeds() -> None:
    assert all(seeds for _, seeds in SUBJECTS.values())


def test_scenes_are_the_same_every_time_and_their_boxes_hold_the_shapes() -> None:
    first, again = _scenes.scenes(3, 5), _scenes.scenes(4, 5)
    assert np.array_equal(first.images, again.images[:3])
    assert np.all(first.objects[:, 0, 0] >= 0)
    held = first.objects[first.objects[..., 0] >= 0]
    assert np.all(held[:, 3:] > 3) and np.all(held[:, 1:3] < _scenes.SIDE)


def test_average_precision_is_one_for_the_truth_and_falls_with_what_is_missed_or_wrong() -> None:
    objects = np.full((2, 5, 5), -1.0)
    objects[0, 0], objects[1, 0] = (0, 20, 20, 10, 10), (0, 50, 40, 20, 10)

    def found(*boxes: Any) -> _average_precision.Found:
        corners = _average_precision.corners_of(np.array(boxes, float).reshape(-1, 4))
        return _average_precision.Found(np.linspace(0.9, 0.5, len(boxes)), np.zeros(len(boxes)), corners)

    right, other = objects[0, 0, 1:], objects[1, 0, 1:]
    assert _average_precision.mean_average_precision([found(right), found(other)], objects, 1) == 1
    assert _average_precision.mean_average_precision([found(right), found()], objects, 1) == 0.5
    twice = _average_precision.mean_average_precision([found(right, right), found()], objects, 1)
    assert twice == 0.5


def test_what_the_detector_is_to_make_decodes_to_the_objects() -> None:
    given = _scenes.scenes(4, 9)
    heat, boxes, _ = detector._wanted(torch.from_numpy(given.objects))
    found = detector.decoded(heat, boxes)
    assert _average_precision.mean_average_precision(found, given.objects, len(_scenes.CLASSES)) > 0.95
