"""One torch model open for work."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from torch import fx, nn
from torch.export import ExportedProgram

from ...ir import Array, Executor, Graph, UnsupportedError, VerificationError
from .._session import UnchangedSize
from ._batch import with_free_batch
from ._capture import capture_outputs
from ._executor import TorchExecutor
from ._export import export
from ._given import plain_module
from ._inputs import feeds, refilled, run
from ._kept import Kept
from ._parting import parting
from ._remedies import constrain
from ._replay_graph import replay_graph
from ._replay_module import replayed
from ._trace import Trace
from ._unread import with_unread


class TorchSession:
    """A captured torch model and what can be done with it.

    Attributes:
        graph: the model as captured.
        form: ``module`` or ``graph``: what replay gives back. What is no plain module becomes a graph.
    """

    def __init__(self, model: Any, example_inputs: Any, form: str) -> None:
        self._model = model = plain_module(model)
        given = example_inputs if example_inputs is not None else _own_inputs(model)
        self._inputs = given
        self._unchanged = WeakKeyDictionary[nn.Module, tuple[UnchangedSize, ...]]()
        self._trace = Trace()
        self._module = export(model, given, self._trace)
        is_graph = isinstance(model, (ExportedProgram, fx.GraphModule))
        self.form = "graph" if is_graph else form
        self.graph, self._outputs = capture_outputs(self._module, form=self.form)
        self._kept: Kept | None = None
        if not is_graph:
            self.graph = with_unread(model, self.graph, given, self._trace, self.form)

    def replay(self, before: Graph, after: Graph, *, inplace: bool = False) -> nn.Module:
        """The model changed as ``before`` became ``after``; raises ReplayMismatch."""
        if self.form == "graph":
            return replay_graph(self._free, before, after)
        if inplace and self._kept is None:
            self._kept = Kept(self._model)
        where = self._kept if inplace and self._kept is not None else False
        result = replayed(self._model, before, after, self._inputs, inplace=where, trace=self._trace)
        self._unchanged[result.module] = result.unchanged
        return result.module

    def undo(self) -> None:
        """The user's own module as it was before the first replay in place."""
        if self._kept is not None:
            self._kept.restore()

    def explain(self, model: Any, before: Graph, after: Graph, what: str) -> UnsupportedError | None:
        """The first module whose result is not what ``after`` makes; its code does what no capture shows."""
        given = self.feeds() if self.form == "module" else None
        return None if given is None else parting(model, self._inputs, given, (before, after), what)

    @cached_property
    def _free(self) -> fx.GraphModule:
        """The captured module at every batch size; what the user captured stays what was captured."""
        given = isinstance(self._model, (ExportedProgram, fx.GraphModule))
        return self._module if given else with_free_batch(self._module, self._model, self._inputs)

    def unchanged(self, model: Any) -> tuple[UnchangedSize, ...]:
        """Sizes that a replayed module keeps as they were because no new value is determined."""
        return self._unchanged.get(model, ())

    def constrain(self, before: Graph, mismatch: UnsupportedError) -> Graph:
        """``before`` with pins or ties that avoid ``mismatch``; itself where there are none."""
        return constrain(before, mismatch)

    def run(self, model: Any, feeds: Mapping[str, Array]) -> list[Array]:
        """Outputs of ``model`` in its own precision, in the order of ``graph.outputs``."""
        made = run(model, refilled(self._module, self._inputs, feeds))
        if len(made) != len(self._outputs):
            raise VerificationError(f"the model gives {len(made)} tensors, not {len(self._outputs)}")
        named = dict(zip(self._outputs, made, strict=True))
        return [named[name] for name in self.graph.outputs]

    def executor(self, graph: Graph | None = None, *, dtype: str = "float32") -> Executor:
        """An executor of the model, or of ``graph``, cut from it, with torch's own operators."""
        return TorchExecutor(self._module, self.graph, self.graph if graph is None else graph, dtype)

    def feeds(self) -> Mapping[str, Array] | None:
        """The example inputs by input name, None where there are none."""
        return None if self._inputs is None else feeds(self._module, self._inputs)


def _own_inputs(model: Any) -> Any:
    """The inputs that an exported program remembers."""
    return model.example_inputs if isinstance(model, ExportedProgram) else None


def open_session(model: Any, example_inputs: Any = None, *, form: str = "module") -> TorchSession:
    """Capture a torch model; raises as :func:`export`."""
    return TorchSession(model, example_inputs, form)
