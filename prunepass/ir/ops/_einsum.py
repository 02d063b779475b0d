"""Einstein summation.

Rule: labels are dims. A label that the result lacks is contracted; one that stands twice in one operand reads a
diagonal and is pinned. Neutral equations are explicit: every axis has a letter, and the result is spelled out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._dims import Dim, Dims, Fixed, atom
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler, contraction
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import host_facts, word

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _terms(call: Call) -> tuple[tuple[str, ...], str]:
    left, _, result = str(call.attrs["equation"]).partition("->")
    return tuple(left.split(",")), result


def _spaces(call: Call, terms: tuple[str, ...]) -> dict[str, Dim]:
    """One dim for each label; where sizes differ one of them is 1, which is broadcast."""
    sizes: dict[str, int] = {}
    for position, term in enumerate(terms):
        shape = call.shape(position)
        if len(shape) != len(term):
            raise UnsupportedError(f"'{term}' does not label the axes of {shape}", where=call.origin)
        for label, size in zip(term, shape, strict=True):
            known = sizes.setdefault(label, size)
            if size not in (1, known) and known != 1:
                raise UnsupportedError(f"label '{label}' is both {known} and {size}", where=call.origin)
            sizes[label] = size if known == 1 else known
    return {label: atom(size) for label, size in sizes.items()}


def _rule(call: Call) -> Rule:
    terms, result = _terms(call)
    spaces = _spaces(call, terms)

    def labelled(position: int, term: str) -> Dims:
        each = zip(term, call.shape(position), strict=True)
        return tuple(spaces[label] if spaces[label].size == size else Fixed(size) for label, size in each)

    twice = {label for term in terms for label in term if term.count(label) > 1}
    return Rule(
        tuple(labelled(position, term) for position, term in enumerate(terms)),
        (tuple(spaces[label] for label in result),),
        contracted=tuple(dim for label, dim in spaces.items() if label not in result),
        pins=tuple((spaces[label], "a diagonal is read") for label in sorted(twice)),
        work=(tuple(spaces.values()),),
    )


def _einsum(call: Call, *arrays: Array) -> Array:
    return _sum(str(call.attrs["equation"]), *arrays)


def _sum(equation: str, *arrays: Array) -> Array:
    """Ordered for matrix products, which cannot broadcast an axis of size 1."""
    terms = equation.partition("->")[0].split(",")
    sizes: dict[str, set[int]] = {}
    for term, array in zip(terms, arrays, strict=True):
        for label, size in zip(term, array.shape, strict=True):
            sizes.setdefault(label, set()).add(size)
    even = all(len(found) == 1 for found in sizes.values())
    return np.asarray(np.einsum(equation, *arrays, optimize=even))


def _inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """An operand times the sum of everything that each of its entries meets."""
    terms, _ = _terms(call)
    own = terms[position]
    labels = "".join(dict.fromkeys(own))
    arrays = [np.asarray(mag) for mag in mags]
    met = _sum(f"{','.join(terms)}->{labels}", *arrays)
    if len(labels) < len(own):
        flow = np.zeros(call.shape(position))
        np.einsum(f"{own}->{labels}", flow)[...] = met
        return flow
    shape = call.shape(position)
    folded = tuple(i for i, (have, want) in enumerate(zip(met.shape, shape, strict=True)) if have != want)
    return np.asarray(met.sum(axis=folded, keepdims=True))


_FLOW = contraction(_inflow)


def _moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    return _FLOW.moments(op, call, samples, sampler) if len(samples) == 2 else (None,)


def _explicit(equation: str, shapes: tuple[Shape | None, ...]) -> str:
    """Letters in place of the dots, and the result that is meant where none is given.

    An implicit result has the labels that stand once, in the order of the alphabet, behind the dots.
    """
    left, arrow, result = equation.replace(" ", "").replace("...", ".").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise UnsupportedError(f"'{equation}' speaks of {len(terms)} operands, there are {len(shapes)}")
    spare = iter(letter for letter in _LETTERS if letter not in equation)
    hidden = [
        len(shape or ()) - len(term) + 1 for term, shape in zip(terms, shapes, strict=True) if "." in term
    ]
    dots = "".join(_take(spare, max(hidden, default=0)))
    if not arrow:
        result = "." + "".join(sorted(label for label in set(left) - {",", "."} if left.count(label) == 1))
    made = []
    for term, shape in zip(terms, shapes, strict=True):
        count = len(shape or ()) - len(term) + 1
        made.append(term.replace(".", dots[len(dots) - count :] if count else ""))
    return f"{','.join(made)}->{result.replace('.', dots)}"


def _take(letters: Iterator[str], count: int) -> list[str]:
    found = [letter for _, letter in zip(range(count), letters, strict=False)]
    if len(found) < count:
        raise UnsupportedError("there are more axes than letters")
    return found


def _fix(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, _, _ = host_facts(attrs)
    return {"equation": _explicit(word(plain["equation"]), shapes)}


ops = (
    Op(
        "einsum",
        ("input", "weight"),
        _rule,
        _einsum,
        Flow(_FLOW.magnitude, _moments, _inflow),
        (Aten(("einsum.default",), ("tensors",), {"equation": "equation"}, _fix),),
        (Onnx(("Einsum",), None, {"equation": "equation"}, fix=_fix),),
    ),
)
