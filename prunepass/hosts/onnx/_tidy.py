"""Clean-up of an edited model: shapes that it states, and paths that it should not."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping

import onnx_ir as ir

from ._inputs import is_size
from ._ledger import Ledger

_QUOTED = re.compile(
    r"""(?P<quote>["'])(?:[A-Za-z]:)?[\\/](?:[^"'\n]*[\\/])?(?P<file>[^"'\\/\n]+\.\w+)(?P=quote)"""
)
_BARE = re.compile(
    r"(?<![\w.\\/])(?:[A-Za-z]:[\\/]|/)(?:[\w.@+~ -]*[\w.@+~-][\\/])+(?P<file>[\w.@+~-]+\.[A-Za-z]\w*)"
)


def refresh_shapes(model: ir.Model, ledger: Ledger) -> None:
    """Write the new sizes into every shape that the model states; symbolic dims stay symbolic."""
    for value in _values(model.graph):
        tensor = ledger.values.get(str(value.name))
        if value.shape is None or tensor is None or len(value.shape) != len(tensor.shape):
            continue
        dims = [new if is_size(old) else old for old, new in zip(value.shape, tensor.shape, strict=True)]
        if dims != list(value.shape):
            value.shape = ir.Shape(dims)


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    for node in graph:
        yield from node.outputs


def strip_paths(model: ir.Model) -> None:
    """Leave only the file's own name of every absolute path in metadata and doc strings."""
    model.doc_string = _optional(model.doc_string)
    _strip(model.metadata_props)
    for graph in model.graphs():
        graph.doc_string = _optional(graph.doc_string)
        _strip(graph.metadata_props)
        for value in (*graph.inputs, *graph.initializers.values()):
            _strip(value.metadata_props)
        for node in graph:
            node.doc_string = _optional(node.doc_string)
            _strip(node.metadata_props)
            for value in node.outputs:
                _strip(value.metadata_props)


def _strip(props: MutableMapping[str, str]) -> None:
    for key, text in props.items():
        props[key] = without_folders(text)


def _optional(text: str | None) -> str | None:
    return None if text is None else without_folders(text)


def without_folders(text: str) -> str:
    """``File "/home/me/net.py", line 3`` becomes ``File "net.py", line 3``."""
    if "/" not in text and "\\" not in text:
        return text
    text = _QUOTED.sub(lambda found: f"{found['quote']}{found['file']}{found['quote']}", text)
    return _BARE.sub(lambda found: found["file"], text)
