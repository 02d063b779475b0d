"""The protocol of a score, and helpers that scores share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from ...ir import Array, Atom, Dim, ModelError, UsageError, positions
from ..analyses import Observed, Statistic, as_array
from ..coupling import Coupling, Group

Scores = dict[str, Array]
NORMALIZE = ("none", "mean")


class Score(Protocol):
    """A frozen dataclass; its fields are its options.

    One that looks at activations has ``needs``, the statistics of its reads that it wants, and is called
    ``score(coupling, seen)``; its ``source`` says where they come from: ``data``, unless it says otherwise.

    A score may also have a method ``explain(coupling) -> dict[str, str]``: by group name, in which groups it
    had to make do with less than it wants, and how.
    """

    name: ClassVar[str]

    def __call__(self, coupling: Coupling) -> Scores:
        """By name of each prunable group an array of shape ``(size,)``, finite float64, larger = keep."""
        ...


def needs_of(score: Score) -> tuple[Statistic, ...]:
    """Statistics that ``score`` wants of every read; none where it judges weights alone."""
    needs: tuple[Statistic, ...] = getattr(score, "needs", ())
    return needs


def source_of(score: Score) -> str:
    """Where the statistics of ``score`` come from."""
    return str(getattr(score, "source", "data"))


def scored(score: Any, coupling: Coupling) -> Scores:
    """Scores of a metric that looks at weights alone.

    Raises:
        UsageError: it gives no numbers by group name.
    """
    return _numbers(score, score(coupling))


def _numbers(score: Any, found: Any) -> Scores:
    """Arrays in float64 of what a score of the user's own gives, tensors of any library among them."""
    if not isinstance(found, Mapping):
        raise UsageError(
            f"score '{score.name}' gave a {type(found).__name__}, not numbers by group name",
            advice="give {group.name: an array of group.size numbers for group in coupling.prunable}",
        )
    return {
        str(name): as_array(values, f"what score '{score.name}' gave for group '{name}'").astype(np.float64)
        for name, values in found.items()
    }


def judged(score: Any, coupling: Coupling, seen: Observed) -> Scores:
    """Scores of a metric that looks at activations.

    Raises:
        ModelError: it is not finite, since the activations are not.
        UsageError: it gives no numbers by group name.
    """
    found = _numbers(score, score(coupling, seen))
    wild = [name for name, values in found.items() if not np.all(np.isfinite(values))]
    if wild:
        raise ModelError(
            f"score '{score.name}' is not finite for {', '.join(wild[:3])}: neither are the activations",
            advice="look at the size of the inputs, and for NaN weights",
        )
    return found


def explain(score: Score, coupling: Coupling) -> dict[str, str]:
    """Groups that ``score`` could not judge as it wants, with the reason."""
    method = getattr(score, "explain", None)
    notes: dict[str, str] = {} if method is None else method(coupling)
    return notes


def prunable(coupling: Coupling) -> Iterator[tuple[Group, Atom]]:
    """Prunable groups with their index spaces."""
    for group in coupling.prunable:
        if group.atom is not None:
            yield group, group.atom


def choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a value that an option does not have."""
    if value not in allowed:
        raise UsageError(f"option {option}={value} is not known", advice=f"there are {', '.join(allowed)}")


def named(coupling: Coupling, found: Mapping[Atom, Array], normalize: str) -> Scores:
    """Scores by group name; with ``mean`` each group's scores have the mean 1."""
    scores = {group.name: found.get(atom, np.zeros(group.size)) for group, atom in prunable(coupling)}
    if normalize == "none":
        return scores
    return {name: values / (float(values.mean()) or 1.0) for name, values in scores.items()}


def per_index(array: Array, axis: int, dim: Dim, atom: Atom) -> Array:
    """Sum of ``array`` over all places where an index of ``atom`` occurs along ``axis``, which is ``dim``."""
    return per_entry(array.sum(axis=tuple(other for other in range(array.ndim) if other != axis)), dim, atom)


def per_entry(entries: Array, dim: Dim, atom: Atom) -> Array:
    """Sum of ``entries``, one for each place along ``dim``, over the places where an index of ``atom`` occurs."""
    total = np.zeros(atom.size)
    for entry, index in positions(dim).get(atom, ()):
        total += np.bincount(index, weights=entries[entry], minlength=atom.size)
    return total
