"""The declaration of an operator, made once, over dims.

An :class:`Op` holds everything this library knows of an operator. Its ``rule`` says which dims of operands
and results are the same index space, which are summed over, which hold statistics, which must not be cut
and which attributes are sizes of dims; shape checks, coupling, cutting, attribute fix-up, cost and masks
all read that one rule. ``evaluate`` computes it in numpy, ``flow`` carries magnitudes and moments through
it, and the spellings say how each host writes it. No other place names an operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ._dims import Dim, Dims, Index
from ._errors import UnsupportedError
from ._graph import Array, Attrs, Foreign, Shape
from ._origin import Origin

if TYPE_CHECKING:
    from ._flow import Flow


@dataclass(frozen=True, slots=True)
class Call:
    """One node as a rule or an evaluation sees it.

    Attributes:
        attrs: neutral attributes.
        shapes: operand shapes, None where an optional operand is absent.
        dtypes: operand dtype names, likewise.
        known: data of operand ``i`` where it is constant, else None (indices, pads, repeats).
        results: shapes of the results as the host states them, () where it does not.
        name: of the node; what it draws at random depends on it.
        entries: by axis of the first result which entries of the uncut one these are; None, or none, for all.
    """

    attrs: Attrs
    shapes: tuple[Shape | None, ...]
    dtypes: tuple[str | None, ...] = ()
    known: Callable[[int], Array | None] = field(default=lambda _: None)
    results: tuple[Shape, ...] = ()
    origin: Origin = Origin()
    foreign: Foreign | None = None
    name: str = ""
    entries: tuple[Index | None, ...] = ()

    def shape(self, position: int) -> Shape:
        """Shape of an operand that must be there."""
        shape = self.shapes[position] if position < len(self.shapes) else None
        if shape is None:
            raise UnsupportedError(f"operand {position} is missing", where=self.origin)
        return shape

    def has(self, position: int) -> bool:
        return position < len(self.shapes) and self.shapes[position] is not None


SizeSpec: TypeAlias = "Dim | tuple[Dim | int, ...]"


@dataclass(frozen=True, slots=True)
class Rule:
    """The relation between the dims of operands and results; equal dims share atoms.

    Attributes:
        operands: dims of each operand; None where it is absent or read as meta data only.
        results: dims of each result.
        contracted: dims summed over as products; a zero there is the same as removal.
        statistics: dims over which a mean, variance or maximum is taken: cutting changes the function,
            so it is allowed but marked inexact.
        centred: dims over which, taken together, entries are compared with their own mean: of a single entry
            nothing is left, so a policy leaves at least two.
        mixed: ``(dim, reason)``: statistics over what are positions as often as channels (a softmax): only channels
            that a weighted sum of data makes may be cut, all else stays for this reason.
        pins: ``(dim, reason)``: may not be cut.
        sizes: attributes that are sizes of dims: a dim, or a tuple of dims and plain numbers.
        work: multiply-accumulates as a sum of products of dim sizes.
        sized: positions of operands of which only sizes are read, and given as data; where the data stays
            in the graph the dims counted may not be cut.
        indexed: operand -> the dim whose entries it names, each by its number; a cut numbers them anew. The
            operand may not name an entry that goes.
    """

    operands: tuple[Dims | None, ...]
    results: tuple[Dims, ...]
    contracted: tuple[Dim, ...] = ()
    statistics: tuple[Dim, ...] = ()
    centred: tuple[Dim, ...] = ()
    mixed: tuple[tuple[Dim, str], ...] = ()
    pins: tuple[tuple[Dim, str], ...] = ()
    sizes: Mapping[str, SizeSpec] = field(default_factory=dict)
    work: tuple[tuple[Dim, ...], ...] = ()
    sized: tuple[int, ...] = ()
    indexed: Mapping[int, Dim] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Aten:
    """Spelling of an operator in torch.

    Attributes:
        targets: overload names such as ``conv2d.default``.
        inputs: schema argument names by operand position; a list argument spreads over the rest.
        attrs: neutral attribute -> schema argument name.
        fix: maps raw attributes and operand shapes to the neutral form (defaults, -1 resolved).
    """

    targets: tuple[str, ...]
    inputs: tuple[str, ...] = ("self",)
    attrs: Mapping[str, str] = field(default_factory=dict)
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class Onnx:
    """Spelling of an operator in ONNX.

    Attributes:
        types: operator types such as ``Conv``; of the default domain unless written ``domain::Type``.
        inputs: ONNX input index by operand position; None takes all inputs in order (variadic).
        attrs: neutral attribute -> where it stands: an attribute name, the index of a constant input,
            or several of them tried in order (opsets moved some from one to the other).
        since, until: opset versions the spelling is for, both inclusive.
        fix: as for Aten. It sees the raw attributes plus ``opset`` and ``outputs`` (their number).
        opaque: why nodes of these types are left alone, as those of undeclared ones are; empty elsewhere.
        advice: what a user can do about an opaque one.
    """

    types: tuple[str, ...]
    inputs: tuple[int, ...] | None = None
    attrs: Mapping[str, str | int | tuple[str | int, ...]] = field(default_factory=dict)
    since: int = 1
    until: int = 10**6
    fix: Fix | None = None
    opaque: str = ""
    advice: str = ""


Fix: TypeAlias = Callable[[dict[str, Any], tuple[Shape | None, ...]], dict[str, Any]]
Evaluate: TypeAlias = "Callable[..., Array | tuple[Array, ...]]"


@dataclass(frozen=True)
class Op:
    """The declaration of one operator.

    Attributes:
        name: neutral name.
        operands: names by position; ``weight``, ``bias``, ``scale``, ``shift``, ``mean``, ``var`` carry
            meaning for scores and repair, all others are data.
        rule: ``rule(call) -> Rule``.
        evaluate: ``evaluate(call, *arrays) -> array or tuple``; absent operands are None.
        flow: how magnitudes and moments pass through.
        shift_out: operand whose entries add to the result along its channel axis (a bias).
        shift_in: ``(operand, sign)``: adding ``d`` to the data operand per channel is the same as adding
            ``sign * d`` to that operand (a running mean: -1).
        random: whether a node of these attributes draws at random: it is no constant, whatever it reads.
        terms: of a weighted sum what each drawn position of the result adds up, ``(rows, groups, terms)``.
        dequantizes: operand of codes whose numbers the result is: engines compute with the codes themselves.
    """

    name: str
    operands: tuple[str, ...]
    rule: Callable[[Call], Rule]
    evaluate: Evaluate
    flow: Flow
    aten: tuple[Aten, ...] = ()
    onnx: tuple[Onnx, ...] = ()
    shift_out: int | None = None
    shift_in: tuple[int, int] | None = None
    terms: Callable[[Call, Array, Index], Array] | None = None
    dequantizes: int | None = None
    random: Callable[[Attrs], bool] = lambda attrs: False

    def operand(self, position: int) -> str:
        """Name of the operand at ``position``; the last name stands for all that follow."""
        return self.operands[min(position, len(self.operands) - 1)] if self.operands else ""

    def position(self, name: str) -> int | None:
        """Position of the operand called ``name``."""
        return self.operands.index(name) if name in self.operands else None

    def run(self, call: Call, arrays: tuple[Array | None, ...]) -> tuple[Array, ...]:
        """Evaluate and return all results as a tuple."""
        result = self.evaluate(call, *arrays)
        return result if isinstance(result, tuple) else (result,)
