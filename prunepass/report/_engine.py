"""Layers of an engine, and the difference of two engines layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from ..backends import Backend, Layer, get


@dataclass(frozen=True)
class EngineView:
    """The layers of one engine.

    Attributes:
        name: of the model. backend: name and version of the engine.
        layers: in order of execution.
        times: microseconds by layer name; empty where it was not profiled.
    """

    name: str
    backend: str
    layers: tuple[Layer, ...]
    times: Mapping[str, float] = field(default_factory=dict)

    def census(self) -> dict[Kind, tuple[int, float]]:
        """Number and microseconds of layers by (kind, layout)."""
        found: dict[Kind, tuple[int, float]] = {}
        for layer in self.layers:
            count, spent = found.get((layer.kind, layer.layout), (0, 0.0))
            found[layer.kind, layer.layout] = (count + 1, spent + self.times.get(layer.name, 0.0))
        return found


Kind = tuple[str, str]
Pair = tuple[Layer | None, Layer | None]


def engine_view(
    model: object, backend: str | Backend = "onnxruntime", *, name: str = "model", profile: bool = True
) -> EngineView:
    """Build ``model`` and look at the engine.

    Args:
        model: whatever the backend builds.
        profile: also run it a few times for the time of each layer.

    Raises:
        BackendError, ModelError: it cannot be built here.
    """
    builder = get(backend) if isinstance(backend, str) else backend
    with builder.build(model) as engine:
        times = {one.name: one.microseconds for one in engine.profile()} if profile else {}
        return EngineView(name, f"{builder.name} {builder.version()}", engine.layers(), times)


def pairs(before: EngineView, after: EngineView) -> Iterator[Pair]:
    """Layers side by side: those of the same kind and name together, others alone, in order."""
    left, right = before.layers, after.layers
    keys = [[_key(layer) for layer in layers] for layers in (left, right)]
    for what, i, i_end, j, j_end in SequenceMatcher(a=keys[0], b=keys[1], autojunk=False).get_opcodes():
        if what == "equal":
            yield from zip(left[i:i_end], right[j:j_end], strict=True)
        else:
            yield from ((layer, None) for layer in left[i:i_end])
            yield from ((None, layer) for layer in right[j:j_end])


def _key(layer: Layer) -> Kind:
    """Reorders are numbered as the engine makes them: their names say nothing."""
    return (layer.kind, "" if layer.layout == "reorder" else layer.name)
