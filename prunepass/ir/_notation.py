"""Rules in the notation of einsum: ``"n.. i, o i, o -> n.. o"``.

Each operand is a list of named axes; operands that share a name share an index space. A name that no result has is
contracted, and the work is the product of everything named by the operands that are. ``n..`` stands for any number of
axes, ``(g c)`` for a product of index spaces, outer first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod as product

from ._dims import Dim, Dims, Fixed, atom, atoms, prod
from ._errors import InternalError, UnsupportedError
from ._graph import Shape
from ._op import Call, Rule

_MANY = ".."
_Axis = tuple[str, ...]


def relation(
    text: str, *, statistics: str = "", sizes: Mapping[str, str] | None = None
) -> Callable[[Call], Rule]:
    """The rule of an operator from its axes.

    Args:
        text: operands, ``->``, results; operands that a call lacks are left out from the end or as None.
        statistics: names over which a mean, variance or maximum is taken; not contracted, though no result has them.
        sizes: name -> attribute that is its size (``{"g": "groups"}``): read from there, and rewritten by a cut.

    Returns:
        ``rule(call)``; it raises UnsupportedError where the shapes of a call do not fit the notation.
    """
    left, arrow, right = text.partition("->")
    if not arrow:
        raise InternalError(f"a relation needs '->': {text!r}")
    form = _Form(_parsed(left), _parsed(right), tuple(statistics.split()), dict(sizes or {}))
    return partial(_rule, form)


@dataclass(frozen=True)
class _Form:
    """A relation, parsed: the axes of each operand and result."""

    operands: tuple[tuple[_Axis, ...], ...]
    results: tuple[tuple[_Axis, ...], ...]
    statistics: tuple[str, ...]
    sizes: Mapping[str, str]


@dataclass
class _Spaces:
    """The index spaces of one call by name."""

    call: Call
    found: dict[str, Dims] = field(default_factory=dict)

    def bind(self, name: str, shape: Shape) -> None:
        """Give ``name`` the sizes ``shape``, or hold them against those that it has."""
        known = self.found.setdefault(name, atoms(shape))
        if tuple(dim.size for dim in known) != shape:
            sizes = " and ".join(str(tuple(one)) for one in ([dim.size for dim in known], shape))
            raise UnsupportedError(f"axis '{name}' has the sizes {sizes}", where=self.call.origin)

    def dim(self, axis: _Axis) -> Dims:
        """Dims of one axis, or of all that a name with ``..`` stands for."""
        missing = [name for name in axis if name not in self.found]
        if missing:
            raise UnsupportedError(f"nothing tells the size of axis '{missing[0]}'", where=self.call.origin)
        if len(axis) == 1:
            return self.found[axis[0]]
        return (prod(*(self.found[name][0] for name in axis)),)


def _parsed(side: str) -> tuple[tuple[_Axis, ...], ...]:
    return tuple(tuple(_axes(term)) for term in side.split(","))


def _axes(term: str) -> Iterator[_Axis]:
    """The axes of one operand: names, or names in brackets as one axis."""
    within: list[str] | None = None
    for word in term.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            within = []
        elif word == ")":
            yield tuple(within or ())
            within = None
        elif within is not None:
            within.append(word)
        else:
            yield (word,)


def _rule(form: _Form, call: Call) -> Rule:
    spaces = _Spaces(call)
    for name, attribute in form.sizes.items():
        spaces.found[name] = (atom(int(call.attrs[attribute])),)
    present = [position for position in range(len(form.operands)) if call.has(position)]
    pairs = [
        pair for position in present for pair in _split(form.operands[position], call.shape(position), call)
    ]
    for axis, shape in sorted(pairs, key=lambda pair: len(pair[0])):
        _bind(spaces, axis, shape)
    operands = tuple(
        tuple(dim for axis in axes for dim in spaces.dim(axis)) if position in present else None
        for position, axes in enumerate(form.operands)
    )
    results = tuple(tuple(dim for axis in axes for dim in spaces.dim(axis)) for axes in form.results)
    made = {name for axes in form.results for axis in axes for name in axis}
    summed = [name for name in spaces.found if name not in made and name not in form.statistics]
    contracted = tuple(dim for name in summed for dim in spaces.found[name])
    return Rule(
        operands[: len(call.shapes)],
        results,
        contracted,
        statistics=tuple(dim for name in form.statistics for dim in spaces.found.get(name, ())),
        sizes={attribute: spaces.found[name][0] for name, attribute in form.sizes.items()},
        work=_work(form, spaces, set(summed)),
    )


def _split(axes: tuple[_Axis, ...], shape: Shape, call: Call) -> Iterator[tuple[_Axis, Shape]]:
    """The sizes that each axis of an operand has; at most one name stands for several."""
    many = [at for at, axis in enumerate(axes) if axis[0].endswith(_MANY)]
    spare = len(shape) - (len(axes) - len(many))
    if spare < 0 or (spare and not many):
        raise UnsupportedError(f"an operand of shape {shape} has other axes than declared", where=call.origin)
    at = 0
    for place, axis in enumerate(axes):
        taken = spare if place in many else 1
        yield axis, shape[at : at + taken]
        at += taken


def _bind(spaces: _Spaces, axis: _Axis, shape: Shape) -> None:
    if len(axis) == 1:
        spaces.bind(axis[0], shape)
        return
    open_ = [name for name in axis if name not in spaces.found]
    known = product(spaces.found[name][0].size for name in axis if name in spaces.found)
    rest, left_over = divmod(shape[0], known) if known else (0, 1)
    if len(open_) > 1 or left_over or (not open_ and rest != 1):
        raise UnsupportedError(f"{shape[0]} is no product of {' and '.join(axis)}", where=spaces.call.origin)
    for name in open_:
        spaces.bind(name, (rest,))


def _work(form: _Form, spaces: _Spaces, summed: set[str]) -> tuple[Dims, ...]:
    """Multiply-accumulates of a sum of products: every index of what is made, times what is summed over."""
    if not summed or len(form.operands) < 2:
        return ()
    names = dict.fromkeys(name for axes in form.results for axis in axes for name in axis)
    dims: list[Dim] = [dim for name in (*names, *sorted(summed)) for dim in spaces.found[name]]
    return (tuple(dim for dim in dims if not (isinstance(dim, Fixed) and dim.size == 1)) or (Fixed(1),),)
