"""Dropout: the identity at inference; where it is kept on, entries are drawn that go.

Rule: the identity. The second result tells which entries stay. ``p`` is there only where dropout is on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._broadcast import unary_rule
from .._draw import uniform_draw
from .._flow import Arrays, Flow, Sampler
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule

_OFTEN = 0.5


def _rule(call: Call) -> Rule:
    passed = unary_rule(call)
    return Rule(passed.operands, passed.results * 2)


def _evaluate(call: Call, x: Array) -> tuple[Array, ...]:
    if not _is_on(call.attrs):
        return x, np.ones(x.shape, dtype=bool)
    p = call.attrs["p"]
    stays = uniform_draw(call, x.shape) >= p
    return np.where(stays, x / (1 - p) if p < 1 else 0 * x, 0 * x), stays


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return np.asarray(mags[0]), np.ones(call.shape(0))


def _moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    if _is_on(call.attrs):
        return None, None
    return samples[0], np.ones((1,) * (len(call.shape(0)) + 1))


def _is_on(attrs: Any) -> bool:
    return "p" in attrs


def _fix(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    on = attrs.get("training") is not None and bool(np.any(attrs["training"]))
    p = _OFTEN if attrs.get("p") is None else float(np.asarray(attrs["p"]).reshape(-1)[0])
    return {"p": p} if on and p > 0 else {}


ops = (
    Op(
        "dropout",
        ("input",),
        _rule,
        _evaluate,
        Flow(_magnitude, _moments),
        (Aten(("native_dropout.default",), ("input",), {"training": "train", "p": "p"}, _fix),),
        (Onnx(("Dropout",), (0,), {"training": 2, "p": (1, "ratio")}, fix=_fix),),
        random=_is_on,
    ),
)
