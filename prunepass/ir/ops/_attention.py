"""Scaled dot-product attention, with shared key and value heads, masks and a cache.

Rule: query ``(.., Prod(kv, rep), m, hd)``, key ``(.., kv, n, hd)`` and value ``(.., kv, n, vd)`` make
``(.., Prod(kv, rep), m, vd)``: each key and value head serves ``rep`` query heads in a row. ``hd`` is contracted
(the scale stays that of the uncut head: it is an attribute), ``vd`` passes, heads are cut alike, positions are
mixed by a softmax and pinned. With ``q_heads`` and ``kv_heads`` given, heads and features are one axis
``(batch, m, Prod(kv, rep, hd))``. ``extra`` names further results.
"""

from __future__ import annotations

from functools import partial
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from .._attend import Attend, fold, merge_heads, split_heads
from .._broadcast import aligned
from .._dims import Dim, Dims, Fixed, atom, atoms, prod, sizes
from .._errors import UnsupportedError
from .._flow import Arrays, Flow
from .._graph import Array, Shape
from .._moves import stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import host_facts
from .._spelling import shape_of

_REASON = "softmax mixes positions"
_NAMES = ("query", "key", "value", "mask", "past_key", "past_value", "lengths")


class _Spaces(NamedTuple):
    """The index spaces of one attention.

    ``heads`` are those of query, key and value and of the result; positions are ``m`` queries, ``n`` keys and
    ``past`` ones in front of them; ``hd`` features are compared, ``vd`` come out.
    """

    lead: Dims
    heads: tuple[Dim, Dim, Dim, Dim]
    m: Dim
    n: Dim
    past: Dim
    total: Dim
    hd: Dim
    vd: Dim


def _heads(call: Call, query: int, key: int, value: int) -> tuple[Dim, Dim, Dim, Dim]:
    grouped = _merged(call) or call.attrs.get("grouped", False)
    if grouped and key == value and key and query % key == 0:
        kv = atom(key)
        every = prod(kv, atom(query // key))
        return every, kv, kv, every
    most = max(query, key, value)
    if {query, key, value} - {1, most}:
        raise UnsupportedError(f"{query} heads of queries meet {key} and {value}", where=call.origin)
    every = atom(most)
    each = tuple(every if count == most else Fixed(count) for count in (query, key, value))
    return each[0], each[1], each[2], every


def _merged(call: Call) -> bool:
    """Return whether heads and features are one axis."""
    return "kv_heads" in call.attrs


def _apart(call: Call) -> tuple[Shape, Shape, Shape]:
    """Shapes of query, key and value with heads as an axis of their own; without heads there is one."""
    shapes = []
    for position, name in enumerate(("q_heads", "kv_heads", "kv_heads")):
        shape = call.shape(position)
        if _merged(call):
            heads = int(call.attrs[name])
            if len(shape) != 3 or heads < 1 or shape[2] % heads:
                raise UnsupportedError(f"{heads} heads in {shape}", where=call.origin)
            shape = (shape[0], heads, shape[1], shape[2] // heads)
        shapes.append(shape if len(shape) > 2 else (1, *shape))
    query, key, value = shapes
    if query[-1] != key[-1] or key[-2] != value[-2]:
        raise UnsupportedError(f"attention of {query}, {key} and {value}", where=call.origin)
    return query, key, value


def _spaces(call: Call) -> _Spaces:
    query, key, value = _apart(call)
    past = call.shape(4)[-2] if call.has(4) else 0
    return _Spaces(
        lead=atoms(np.broadcast_shapes(query[:-3], key[:-3], value[:-3])),
        heads=_heads(call, query[-3], key[-3], value[-3]),
        m=stays(query[-2], _REASON, call),
        n=stays(key[-2], _REASON, call),
        past=stays(past, _REASON, call),
        total=stays(key[-2] + past, _REASON, call),
        hd=atom(query[-1]),
        vd=atom(value[-1]),
    )


def _placed(call: Call, at: _Spaces, head: Dim, matrix: tuple[Dim, Dim], rank: int) -> Dims:
    """Dims of an operand or result of ``rank`` axes that holds a matrix per head."""
    if _merged(call):
        return (*at.lead, matrix[0], prod(head, matrix[1]))
    return (*at.lead, head, *matrix)[-rank:]


def _rule(call: Call) -> Rule:
    at, (query, key, value) = _spaces(call), (call.shape(i) for i in range(3))
    square, cache = (*at.lead, at.heads[3], at.m, at.total), (*at.lead, at.heads[1])
    matrices = ((at.m, at.hd), (at.n, at.hd), (at.n, at.vd))
    operands: list[Dims | None] = []
    for shape, head, matrix in zip((query, key, value), at.heads[:3], matrices, strict=True):
        operands.append(aligned(shape, _placed(call, at, head, matrix, len(shape))))
    others: tuple[Dims, ...] = (
        _mask_dims(call, square) if call.has(3) else (),
        (*cache, at.past, at.hd),
        (*cache, at.past, at.vd),
        at.lead,
    )
    operands += [dims if call.has(i) else None for i, dims in enumerate(others, start=3)]
    kinds = {
        "present_key": (*cache, at.total, at.hd),
        "present_value": (*cache, at.total, at.vd),
        "products": square,
        "log_sum": square[:-1],
    }
    rank = max(len(query), len(key), len(value))
    result = _placed(call, at, at.heads[3], (at.m, at.vd), rank)
    return Rule(
        tuple(operands[: len(call.shapes)]),
        (result, *(kinds[kind] for kind in call.attrs.get("extra", ()))),
        contracted=(at.hd,),
        sizes={"q_heads": at.heads[0], "kv_heads": at.heads[1]},
        work=((*square, at.hd), (*square, at.vd)),
    )


def _mask_dims(call: Call, square: Dims) -> Dims:
    """Dims of the mask; it may hold fewer keys than there are."""
    shape = call.shape(3)
    for size, dim in zip(shape[-2::-1], square[-2::-1], strict=False):
        if size not in (1, dim.size):
            raise UnsupportedError(f"a mask of {shape} for products of {sizes(square)}", where=call.origin)
    return aligned(shape, square)


def _attend(call: Call, arrays: Arrays) -> Attend:
    """The operands with heads apart and the cache in front."""
    query, key, value = (np.asarray(array) for array in arrays[:3])
    mask, past_key, past_value, lengths = (arrays[i] if i < len(arrays) else None for i in range(3, 7))
    if _merged(call):
        query = split_heads(query, call.attrs["q_heads"])
        key, value = (split_heads(array, call.attrs["kv_heads"]) for array in (key, value))
    if past_key is not None and past_value is not None:
        key, value = np.concatenate([past_key, key], -2), np.concatenate([past_value, value], -2)
    return Attend(
        query,
        key,
        value,
        float(call.attrs["scale"]),
        mask,
        float(call.attrs.get("cap", 0.0)),
        bool(call.attrs.get("causal", False)),
        0 if past_key is None else past_key.shape[-2],
        lengths,
    )


def _evaluate(call: Call, *arrays: Array | None) -> tuple[Array, ...]:
    step = _attend(call, arrays)
    result = step.result()
    extra = (_further(step, kind, int(call.attrs.get("stage", 0))) for kind in call.attrs.get("extra", ()))
    return (merge_heads(result) if _merged(call) else result, *extra)


def _further(step: Attend, kind: str, stage: int) -> Array:
    """A result beside the first; ``stage`` says how far the products have come."""
    if kind == "present_key":
        return step.key
    if kind == "present_value":
        return step.value
    products = step.products()
    if kind == "log_sum":
        return np.asarray(np.log(np.exp(step.masked(products)).sum(axis=-1)))
    stages = (
        lambda: products,
        lambda: step.capped(products),
        lambda: step.masked(step.capped(products)),
        step.weights,
    )
    return stages[stage]()


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """Weights sum to 1 and nothing says where they lie: the mean of the values over positions."""
    plain = _attend(call, mags)
    step = plain.repeated()
    mean = step.value.mean(axis=-2, keepdims=True)
    mean = np.broadcast_to(mean, (*mean.shape[:-2], step.query.shape[-2], mean.shape[-1]))
    kinds = {"present_key": plain.key, "present_value": plain.value}
    named = zip(call.attrs.get("extra", ()), call.results[1:], strict=False)
    extra = (kinds[kind] if kind in kinds else np.ones(shape) for kind, shape in named)
    return (merge_heads(mean) if _merged(call) else np.broadcast_to(mean, call.results[0]), *extra)


def _inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """Contribution of a value to the mean of its head; for query and key, to first order about even weights, what
    each product of the two moves: the value that it meets.
    """
    if position not in (0, 1, 2, 4, 5):
        return np.zeros(call.shape(position))
    plain = _attend(call, mags)
    step = plain.repeated()
    queries, keys = step.query.shape[-2], step.key.shape[-2]
    met = step.value.sum(axis=-1, keepdims=True) / max(keys, 1)
    if position in (2, 5):
        lead = (*np.broadcast_shapes(step.query.shape[:-2], step.value.shape[:-2]), *step.value.shape[-2:])
        flow = fold(np.broadcast_to(step.value * (queries / max(keys, 1)), lead), plain.value.shape)
    elif position in (1, 4):
        flow = fold(step.key * met * step.query.sum(axis=-2, keepdims=True) * step.scale, plain.key.shape)
    else:
        flow = fold(step.query * (step.key * met).sum(axis=-2, keepdims=True) * step.scale, plain.query.shape)
    past = call.shape(4)[-2] if call.has(4) else 0
    if position in (4, 5):
        return flow[..., :past, :]
    flow = flow if position == 0 else flow[..., past:, :]
    return merge_heads(flow) if _merged(call) else flow


def _from_torch(
    attrs: dict[str, Any], shapes: tuple[Shape | None, ...], extra: tuple[str, ...] = (), stage: int = 0
) -> dict[str, Any]:
    """The default scale is that of the head as captured, whatever is cut of it later.

    ``dropout`` is there where it is kept on; evaluated is what it leaves in the mean.
    """
    scale, dropout = attrs.get("scale"), attrs.get("dropout") or 0.0
    return {
        **({"dropout": float(dropout)} if dropout else {}),
        "scale": 1 / sqrt(max(shape_of(shapes)[-1], 1)) if scale is None else float(scale),
        "causal": bool(attrs.get("causal", False)),
        "grouped": bool(attrs.get("grouped", False)),
        "extra": extra,
        "stage": stage,
    }


def _from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, _, outputs = host_facts(attrs)
    query, scale = shape_of(shapes), plain.get("scale")
    heads: dict[str, Any] = {
        name: int(plain[name]) for name in ("q_heads", "kv_heads") if len(query) == 3 and name in plain
    }
    size = query[-1] // int(heads.get("q_heads", 1))
    return {
        "scale": 1 / sqrt(max(size, 1)) if scale is None else float(scale),
        "causal": bool(plain.get("causal", 0)),
        "cap": float(plain.get("cap", 0.0)),
        "grouped": True,
        "stage": int(plain.get("stage", 0)),
        "extra": ("present_key", "present_value", "products")[: outputs - 1],
        **heads,
    }


_QKV = ("query", "key", "value")
_SCHEMA = {"scale": "scale", "causal": "is_causal", "dropout": "dropout_p"}
_GROUPED = {**_SCHEMA, "grouped": "enable_gqa"}
_BIASED = (
    "_scaled_dot_product_efficient_attention.default",
    "_scaled_dot_product_cudnn_attention.default",
    "_scaled_dot_product_fused_attention_overrideable.default",
)
_ONNX: dict[str, str | int | tuple[str | int, ...]] = {
    "scale": "scale",
    "causal": "is_causal",
    "cap": "softcap",
    "q_heads": "q_num_heads",
    "kv_heads": "kv_num_heads",
    "stage": "qk_matmul_output_mode",
    "precision": "softmax_precision",
}

ops = (
    Op(
        "attention",
        _NAMES,
        _rule,
        _evaluate,
        Flow(_magnitude, inflow=_inflow),
        (
            Aten(("scaled_dot_product_attention.default",), (*_QKV, "attn_mask"), _GROUPED, _from_torch),
            Aten(
                ("_scaled_dot_product_attention_math.default",),
                (*_QKV, "attn_mask"),
                _GROUPED,
                partial(_from_torch, extra=("products",), stage=3),
            ),
            Aten(
                ("_scaled_dot_product_flash_attention_for_cpu.default",),
                (*_QKV, "attn_mask"),
                _SCHEMA,
                partial(_from_torch, extra=("log_sum",)),
            ),
            # Of the forms for other devices only the first result is the model's; the rest is for training.
            Aten(("_scaled_dot_product_flash_attention.default",), _QKV, _SCHEMA, _from_torch),
            Aten(_BIASED, (*_QKV, "attn_bias"), _SCHEMA, _from_torch),
        ),
        (Onnx(("Attention",), tuple(range(7)), _ONNX, since=23, fix=_from_onnx),),
        random=lambda attrs: bool(attrs.get("dropout")),
    ),
)
