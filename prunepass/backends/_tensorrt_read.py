"""Reading the layers and the memory of an engine, from its inspector or from the log of its build.

Neither form is documented: what does not look as expected is left out, and where nothing does the layers are
unavailable, which is no error.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ._protocol import Layer, Memory
from ._tensorrt_log import Log

_LINE = re.compile(r"^Name: (?P<name>.*?), LayerType: (?P<kind>[^,]*), Inputs: ")
_TACTIC = re.compile(r"\bTacticName: ([^,]*)")
_METADATA = re.compile(r"\bMetadata: (.*)$")
# What follows is the node's name and a bracket, and maybe a control character before the next one.
_NODE = "[ONNX Layer: "
# Generated kernels are named after what they do, word by word: those of these words alone only move data.
_MOVES = re.compile(r"^__myl_(?:Conc|Move|Tran|Pad|Repl|Slic|Resh|Cast|Copy)+_")
_REFORMAT = "Reformat"
_BYTES = re.compile(r": (\d+) bytes")


def layers_of_log(log: Log) -> tuple[Layer, ...]:
    """The layers that a verbose log of a build with detailed profiling lists; empty where it lists none."""
    lines = log.text("Layers:").split("\n")[1:]  # splitlines would split at the control characters too
    ours = lines[: lines.index("")] if "" in lines else lines
    return tuple(layer for line in ours if (layer := _of_line(line)) is not None)


def _of_line(line: str) -> Layer | None:
    found = _LINE.match(line)
    if found is None:
        return None
    tactic, metadata = _TACTIC.search(line), _METADATA.search(line)
    return _layer(found["name"], found["kind"], tactic[1] if tactic else "", metadata[1] if metadata else "")


def layers_of_json(text: str) -> tuple[Layer, ...]:
    """The layers of an engine inspector's JSON; empty where it is none, or lists names only."""
    try:
        # Metadata is told apart by a control character, which not every version escapes.
        found = json.loads(text, strict=False)
    except ValueError:
        return ()
    layers = found.get("Layers") if isinstance(found, dict) else None
    if not isinstance(layers, list):
        return ()
    return tuple(_of_record(record) for record in layers if isinstance(record, dict))


def _of_record(record: dict[str, Any]) -> Layer:
    words = (str(record.get(key) or "") for key in ("Name", "LayerType", "TacticName", "Metadata"))
    return _layer(*words)


def _layer(name: str, kind: str, tactic: str, metadata: str) -> Layer:
    moves = kind == _REFORMAT or any(map(_MOVES.match, (name, tactic)))
    return Layer(name, kind, "reorder" if moves else "", _nodes(metadata))


def _nodes(metadata: str) -> tuple[str, ...]:
    return tuple(part.rpartition("]")[0] for part in metadata.split(_NODE)[1:])


def memory_of_log(log: Log) -> Memory:
    """Weights and activations as the build states them; activations are those of the largest inference."""
    return Memory(_bytes(log, "Total Weights Memory:"), _bytes(log, "Total Activation Memory:"))


def _bytes(log: Log, start: str) -> int | None:
    found = _BYTES.search(log.text(start))
    return int(found[1]) if found else None
