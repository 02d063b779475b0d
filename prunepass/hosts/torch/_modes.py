"""Capture in training mode: what makes training random, or different from evaluation, made inert."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.export import ExportedProgram

from ._bind import spelled

# Arguments by which torch's operators are told that they train, and what they get at inference.
_AT_INFERENCE: dict[str, Any] = {"train": False, "training": False, "dropout_p": 0.0}


def inert(program: ExportedProgram) -> ExportedProgram:
    """``program`` with every operator that knows of training (dropout, batch statistics) as at inference.

    What it computes channel by channel is the same; its own randomness is no part of what is compared.
    """
    for node in program.graph_module.graph.nodes:
        if isinstance(node.target, torch._ops.OpOverload):
            _silence(node)
    return program


def _silence(node: fx.Node) -> None:
    assert isinstance(node.target, torch._ops.OpOverload)
    for position, argument in enumerate(node.target._schema.arguments):
        if argument.name in _AT_INFERENCE:
            value = _AT_INFERENCE[argument.name]
            if argument.name in node.kwargs:
                node.update_kwarg(argument.name, value)
            elif position < len(node.args):
                node.update_arg(position, value)


def is_random(module: fx.GraphModule) -> bool:
    """Return whether an operator that no declaration knows draws numbers: two runs of it cannot be compared."""
    return any(
        isinstance(node.target, torch._ops.OpOverload)
        and torch.Tag.nondeterministic_seeded in node.target.tags
        and spelled(node.target) is None
        for node in module.graph.nodes
    )


@contextmanager
def repeatable() -> Iterator[None]:
    """The same draws of Python and numpy at every capture; their states are as they were afterwards."""
    python, numbers = random.getstate(), np.random.get_state()
    try:
        random.seed(0)
        np.random.seed(0)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)
