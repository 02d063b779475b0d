"""The operator that stands for everything without a declaration: pinned, evaluated by its host."""

from __future__ import annotations

from .._dims import fixed
from .._errors import UnsupportedError
from .._flow import Flow
from .._graph import Array
from .._op import Call, Op, Rule
from .._origin import Pin

_UNDECLARED = "no declaration"


def _rule(call: Call) -> Rule:
    """Every dim of every operand and result is pinned.

    ``attrs['kind']`` is the host's name of it; ``attrs['reason']`` what a declaration does not understand;
    ``attrs['random']`` whether it draws at random.
    """
    name, reason = f"operator '{call.attrs.get('kind', '?')}'", call.attrs.get("reason", _UNDECLARED)
    pin = Pin(f"{name} has {reason}" if reason == _UNDECLARED else f"{name}: {reason}", call.origin)
    operands = tuple(None if shape is None else fixed(shape, pin) for shape in call.shapes)
    return Rule(operands, tuple(fixed(shape, pin) for shape in call.results))


def _evaluate(call: Call, *arrays: Array | None) -> tuple[Array, ...]:
    if call.foreign is None:
        raise UnsupportedError(
            f"operator '{call.attrs.get('kind', '?')}' cannot be evaluated", where=call.origin
        )
    return call.foreign(*arrays)


ops = (Op("foreign", (), _rule, _evaluate, Flow(), random=lambda attrs: bool(attrs.get("random"))),)
