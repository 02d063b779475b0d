"""One model open for work: captured once, replayed onto its own host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..ir import Array, Executor, Graph, UnsupportedError, UsageError
from ._saved import no_model, refuse_saved


@dataclass(frozen=True, slots=True)
class UnchangedSize:
    """A number that a module keeps, equal to a size that was cut, for which no new value is determined.

    Or a tensor that follows in the module at hand, and will not where the module is made anew.

    Attributes:
        place: where it is kept, ``blocks.0.width``.
        value: as it was and is.
        why: what stands in the way.
        what: of what kind the note is: ``not changed``; or ``not saved``, of a tensor that no state holds.
    """

    place: str
    value: str
    why: str
    what: str = "not changed"

    def __str__(self) -> str:
        return f"{self.place} = {self.value} ({self.why})"


class Session(Protocol):
    """A captured model and what its host can do with it.

    Attributes:
        graph: the model as captured.
        form: ``module``, ``graph`` or ``onnx``: what replay gives back.
    """

    @property
    def graph(self) -> Graph: ...

    @property
    def form(self) -> str: ...

    def replay(self, before: Graph, after: Graph, *, inplace: bool) -> Any:
        """The host's model changed as ``before`` (the captured graph, perhaps with pins) became ``after``.

        Raises:
            ReplayMismatch: the host's own code contradicts the cut; ``constrain`` tells the graph.
        """
        ...

    def constrain(self, before: Graph, mismatch: UnsupportedError) -> Graph:
        """``before`` with pins or ties that avoid ``mismatch``."""
        ...

    def undo(self) -> None:
        """Give the user's own object everything back that a replay in place has changed."""
        ...

    def explain(self, model: Any, before: Graph, after: Graph, what: str) -> UnsupportedError | None:
        """The place where the outputs of a replayed ``model`` leave those of ``after``; None where that cannot be told.

        ``what`` says how they differ; ``constrain`` takes what is returned.
        """
        ...

    def run(self, model: Any, feeds: Mapping[str, Array]) -> list[Array]:
        """Outputs of ``model`` in its own precision, in the order of ``graph.outputs``.

        Raises:
            UsageError: it is no model of this host.
            VerificationError: it fails, or takes or gives other values than the graph.
        """
        ...

    def executor(self, graph: Graph | None = None, *, dtype: str = "float32") -> Executor:
        """An executor with the host's own operators, from any values to any others.

        Args:
            graph: cut from ``self.graph``; that itself where None.
            dtype: of floats, ``float32`` or ``float64``.
        """
        ...

    def unchanged(self, model: Any) -> tuple[UnchangedSize, ...]:
        """Sizes that ``model``, a result of ``replay``, keeps as they were because no new value is determined."""
        ...

    def feeds(self) -> Mapping[str, Array] | None:
        """The user's example inputs by input name, None where there are none."""
        ...


_ONNX = {"onnx", "onnx_ir", "onnx_graphsurgeon"}


def open_model(model: Any, example_inputs: Any = None, *, form: str = "module") -> Session:
    """Capture ``model`` with the host that its type belongs to.

    Raises:
        UsageError: no host takes this type, or a form does not exist.
        ModelError: the model is invalid or not supported.
    """
    if form not in ("module", "graph"):
        raise UsageError(f"there is no form '{form}'", advice="there are module and graph")
    roots = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    if isinstance(model, (str, os.PathLike)):
        refuse_saved(model)
    if isinstance(model, (str, os.PathLike)) or roots & _ONNX:
        from .onnx import open_session as open_onnx

        return open_onnx(model, example_inputs)
    if "torch" in roots:
        from .torch import open_session as open_torch

        return open_torch(model, example_inputs, form=form)
    raise no_model(model)
