"""From a cut graph back into the user's own ONNX model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import onnx_ir as ir

from ...ir import Graph, Node, Param, PrunepassError, UnsupportedError, UsageError
from ._attributes import Writer, rewritten
from ._capture import assemble, per_reader
from ._compare import check_same, check_scaling
from ._edit import Editor, Use, tensor_of
from ._external import is_external
from ._guide import Recorder, same_data
from ._inputs import Sizes, at_sizes, other_sizes
from ._load import EXTERNAL
from ._tidy import refresh_shapes, strip_paths
from ._trace import Trace


def replay(model: ir.Model, before: Graph, after: Graph, *, inplace: bool = False) -> ir.Model:
    """The model changed as ``before`` (its capture) became ``after``: same nodes, names and order.

    Initializers and Constants take their new data, attributes and sizes follow, shapes that the model
    states are brought up to date, and what it computes about sizes while it runs is corrected only where
    it would come out wrong, so that dynamic dims stay dynamic. The result is captured again and compared.

    Args:
        inplace: change ``model`` itself, all or nothing; otherwise a copy that shares its weights.

    Raises:
        UsageError: ``before`` was not captured from this model.
        UnsupportedError: the format has no way to say it; names the node.
    """
    draft = model.clone()
    _rewrite(draft, before, after)
    if not inplace:
        return draft
    # What has worked on the copy works on the original: edits depend on nothing else.
    _rewrite(model, before, after)
    return model


def _rewrite(model: ir.Model, before: Graph, after: Graph) -> None:
    views = _Views.of(model, before)
    if any(is_external(value.const_value) for value in model.graph.initializers.values()):
        model.graph.meta[EXTERNAL] = True
    editor = Editor(model)
    _write_params(editor, views.trace, before, after)
    recorder = Recorder(after)
    guided = Trace(model, views.inputs, guide=recorder, given=views.loose, computed=views.computed).run()
    writer = Writer(editor, guided, views.trace, views.other)
    olds = {node.name: node for node in before.nodes}
    for fix in recorder.constants:
        maker = guided.ledger.makers[fix.name]
        made = next(out for out in maker.node.outputs if out.name == fix.name)
        with _at(_reader(before, fix.name, maker.name)):
            writer.replace(made, [(use.node, use.idx) for use in made.uses()], fix.have, fix.want)
    for change in recorder.attributes:
        with _at(change.site):
            writer.write(guided.sites[change.site], rewritten(change, olds[change.site].attrs))
    editor.finish()
    final = Trace(model, views.inputs, given=views.loose, computed=views.computed).run()
    check_same(assemble(final), after, computed=frozenset(views.trace.ledger.folded))
    views.check_other(model, after)
    refresh_shapes(model, final.ledger)
    strip_paths(model)


@dataclass(frozen=True, slots=True)
class _Views:
    """The whole model at the captured sizes and, where it has symbolic dims, at others."""

    inputs: Sizes
    trace: Trace
    graph: Graph
    other: Trace | None

    @staticmethod
    def of(model: ir.Model, before: Graph) -> _Views:
        try:
            inputs = at_sizes(model, {name: before.values[name].shape for name in before.inputs})
        except (KeyError, UsageError) as error:
            raise UsageError("the graph was captured from another model", where=before.name) from error
        given = {name: value.shape for name, value in before.values.items()}
        trace = Trace(model, inputs, given=given).run()
        graph = assemble(trace)
        try:
            check_same(graph, before)
        except PrunepassError as error:
            raise UsageError(
                f"the graph was captured from another model: {error}", where=before.name
            ) from error
        return _Views(inputs, trace, graph, _elsewhere(model, inputs))

    @property
    def loose(self) -> dict[str, tuple[int, ...]]:
        """Shapes as they were seen of what depends on data."""
        return {name: array.shape for name, array in self.trace.ledger.loose.items()}

    @property
    def computed(self) -> frozenset[str]:
        """Values that nodes of the whole model compute: the cut one computes them too."""
        return frozenset(name for node in self.graph.nodes for name in node.outputs)

    def check_other(self, model: ir.Model, after: Graph) -> None:
        """The cut model must take other symbolic sizes as the whole one does."""
        if self.other is None or self.trace.ledger.loose:
            return
        try:
            cut = assemble(Trace(model, self.other.inputs, computed=self.computed).run())
        except PrunepassError as error:
            raise UnsupportedError(f"with other symbolic sizes: {error.what}", where=error.where) from error
        check_scaling((self.graph, assemble(self.other)), (after, cut))


def _elsewhere(model: ir.Model, inputs: Sizes) -> Trace | None:
    """The first walk at other sizes that the model allows."""
    for sizes in other_sizes(model, inputs):
        try:
            return Trace(model, sizes).run()
        except PrunepassError:
            continue
    return None


@contextmanager
def _at(site: str) -> Iterator[None]:
    try:
        yield
    except UnsupportedError as error:
        raise UnsupportedError(
            f"the cut cannot be written into the model: {error.what}", where=site, advice=error.advice
        ) from error


def _reader(graph: Graph, name: str, otherwise: str) -> str:
    """The read of a computed constant: a cut can be kept from there, what computes it is no node of the graph."""
    return next((str(node.origin) for node in graph.nodes if name in node.inputs), otherwise)


# Params.


def _write_params(editor: Editor, trace: Trace, before: Graph, after: Graph) -> None:
    nodes, aliases = per_reader(trace)
    uses = _uses(trace, nodes)
    groups: dict[str, list[str]] = {}
    for name, param in after.params.items():
        base = aliases.get(name, name)
        if base in trace.ledger.consts and _changed(before.params[name], param):
            groups.setdefault(base, []).append(name)
    values = _constant_values(editor.model)
    for base, names in groups.items():
        _write_group(editor, values[base], [(after.params[name], uses.get(name, [])) for name in names])


def _write_group(editor: Editor, value: ir.Value, changed: Sequence[tuple[Param, list[Use]]]) -> None:
    """Write what several readers of one constant now need: in place what all remaining readers agree on."""
    clusters: list[tuple[Param, list[Use]]] = []
    for param, uses in changed:
        same = next((found for found in clusters if len(changed) > 1 and _equal(found[0], param)), None)
        if same is None:
            clusters.append((param, list(uses)))
        else:
            same[1].extend(uses)
    dtype = value.dtype or ir.DataType.from_numpy(changed[0][0].read().dtype)
    editor.rewrite(value, [(tensor_of(param, dtype, value.name), uses) for param, uses in clusters])


def _changed(old: Param, new: Param) -> bool:
    return old.shape != new.shape or old.source is not new.source


def _equal(left: Param, right: Param) -> bool:
    return left.shape == right.shape and same_data(left.read(), right.read())


def _uses(trace: Trace, nodes: Sequence[Node]) -> dict[str, list[Use]]:
    """Reads of each param: ONNX node and input index."""
    found: dict[str, list[Use]] = {}
    for node in nodes:
        site = trace.sites[node.name]
        slots = range(len(site.node.inputs)) if site.reading is None else site.reading.slots
        for name, slot in zip(node.inputs, slots, strict=False):
            if name is not None and slot is not None:
                found.setdefault(name, []).append((site.node, slot))
    return found


def _constant_values(model: ir.Model) -> dict[str, ir.Value]:
    made = {str(out.name): out for node in model.graph for out in node.outputs}
    return {**made, **{str(value.name): value for value in model.graph.initializers.values()}}
