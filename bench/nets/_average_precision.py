"""Mean average precision of detections at an overlap of a half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_OVERLAP = 0.5


@dataclass(frozen=True)
class Found:
    """Detections of one image: scores, classes and corners (left, top, right, low), the surest first."""

    scores: Array
    classes: Array
    corners: Array


def mean_average_precision(found: Sequence[Found], objects: Array, classes: int) -> float:
    """The area under precision over recall, a mean over classes; ``objects`` as in ``Scenes``."""
    return float(np.mean([_average(found, objects, kind) for kind in range(classes)]))


def _average(found: Sequence[Found], objects: Array, kind: int) -> float:
    scores, hits, wanted = list[float](), list[bool](), 0
    for seen, real in zip(found, objects, strict=True):
        boxes = corners_of(real[real[:, 0] == kind, 1:])
        wanted += len(boxes)
        mine = seen.classes == kind
        scores += seen.scores[mine].tolist()
        hits += matched(seen.corners[mine], boxes)
    order = np.argsort(-np.array(scores), kind="stable")
    right = np.cumsum(np.array(hits, float)[order])
    precise = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precise[::-1])[::-1]
    return float(np.sum(np.diff(right / max(wanted, 1), prepend=0) * envelope))


def corners_of(boxes: Array) -> Array:
    """Left, top, right and low of middles and sizes."""
    return np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), 1)


def matched(seen: Array, real: Array) -> list[bool]:
    """Whether each detection, in order, meets an object that none before it has met."""
    free, hits = np.ones(len(real), bool), list[bool]()
    for box in seen:
        over = np.where(free, overlaps(box, real), 0.0)
        best = int(over.argmax()) if len(real) else -1
        hits.append(best >= 0 and bool(over[best] >= _OVERLAP))
        if hits[-1]:
            free[best] = False
    return hits


def overlaps(box: Array, others: Array) -> Array:
    """Intersection over union of one box with each of ``others``."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), 1)
    areas = np.prod(others[:, 2:] - others[:, :2], 1)
    return shared / (np.prod(box[2:] - box[:2]) + areas - shared)
