"""Feeds of procedural inputs for a graph: a family, scaled as the model wants its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from ...ir import Array, Graph, is_float
from ._inputs import batched_inputs
from ._lookups import rows_named
from .families import Family, Form, families, fitting

Feeds = tuple[Mapping[str, Array], ...]

SIDES = ("fit", "held", "choice")
"""What samples are drawn for; no two sides share a seed."""


@dataclass(frozen=True)
class Scaling:
    """Factor and offset of each channel of a family's samples; a single number goes for all."""

    factor: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    def __call__(self, sample: Array) -> Array:
        """A sample of shape ``(channels, *space)``, scaled."""
        along = (-1, *(1,) * (sample.ndim - 1))
        factor, offset = (
            np.reshape(np.asarray(one, np.float32), along) for one in (self.factor, self.offset)
        )
        return np.asarray(sample * factor + offset, np.float32)


@dataclass(frozen=True, eq=False)
class Drawer:
    """Draws feeds for one graph.

    Attributes:
        forms: of each input.
        batched: inputs whose first axis is the batch.
        size: samples of a feed: as many as the graph was captured with.
    """

    graph: Graph
    forms: Mapping[str, Form]
    batched: frozenset[str]
    size: int = 1
    scalings: Mapping[str, Scaling] = field(default_factory=dict)

    @staticmethod
    def of(graph: Graph) -> Drawer:
        """The one for ``graph``; what forms its inputs have is found out once."""
        found: Drawer = graph.memo("drawer", _drawer)
        return found

    def candidates(self) -> tuple[Family, ...]:
        """Families that some input of measurements can take, the usual one of the largest such input first."""
        measured = sorted(
            (form for form in self.forms.values() if form.numbers), key=lambda form: form.size, reverse=True
        )
        found = {one.name: one for form in measured for one in fitting(form)}
        return tuple(found.values())

    def feeds(self, family: Family | None, count: int, side: str, scaling: Scaling | None = None) -> Feeds:
        """At least ``count`` samples of a family; inputs that it does not suit take their own usual one.

        Args:
            side: one of ``SIDES``.
            scaling: of the inputs that the family suits; None for mean 0 and variance 1.
        """
        needed = -(-count // self.size)
        names = list(self.graph.inputs)
        return tuple(
            {name: self._input(name, family, (side, at), scaling) for name in names} for at in range(needed)
        )

    def _input(
        self, name: str, family: Family | None, place: tuple[str, int], scaling: Scaling | None
    ) -> Array:
        form, (side, feed) = self.forms[name], place
        suits = family is not None and family.suits(form) > 0
        chosen = family if suits and family is not None else fitting(form)[0]
        rows = self.size if name in self.batched else 1
        samples = []
        for row in range(rows):
            seed = (SIDES.index(side), crc32(f"{chosen.name} {name}".encode()), feed * rows + row)
            drawn = chosen.draw(np.random.default_rng(seed), form)
            used = scaling if suits and scaling is not None else standard(chosen, form)
            samples.append(form.placed(used(drawn) if form.numbers and is_float(form.dtype) else drawn))
        value = self.graph.values[name]
        return np.stack(samples) if name in self.batched else samples[0].reshape(value.shape)


def standard(family: Family, form: Form) -> Scaling:
    """Scaling that gives the family's samples of one form mean 0 and variance 1."""
    drawn = np.stack([family.draw(np.random.default_rng((len(SIDES), at)), form) for at in range(4)])
    deviation = max(float(drawn.std()), 1e-6)
    return Scaling((1 / deviation,), (-float(drawn.mean()) / deviation,))


def default_family(graph: Graph) -> Family:
    """The family that inputs of these shapes and types usually are of."""
    found = Drawer.of(graph).candidates()
    usual: Family = families()["tokens"]()
    return found[0] if found else usual


def _drawer(graph: Graph) -> Drawer:
    batched = batched_inputs(graph)
    forms = {name: _form(graph, name, batched=name in batched) for name in graph.inputs}
    size = next((graph.values[name].shape[0] for name in graph.inputs if name in batched), 1)
    return Drawer(graph, forms, batched, max(size, 1))


def _form(graph: Graph, name: str, *, batched: bool) -> Form:
    value = graph.values[name]
    shape = value.shape[1:] if batched else value.shape
    plain = Form(shape, value.dtype)
    return plain if plain.numbers else Form(shape, value.dtype, rows_named(graph, name))
