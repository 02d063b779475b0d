"""Targets: what an engine rewards, as data. Built-in ones, and files that ``prunepass calibrate`` writes.

The TOML form is that of the structs below: ``name``, ``backend``, ``[options]``, ``[[grain]]`` with ``kind``,
``dtype``, ``preferred`` and ``minimum``, and ``[layers.KEY]`` with ``kind``, ``widths`` and ``microseconds``.
An unknown key is refused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..ir import UsageError
from ..passes import Grain, LayerTable, Samples
from ..passes.cost import ANY, DENSE, KINDS_OF_WORK, WINDOW

FORMAT = 1
_TOML = "tomllib" if sys.version_info >= (3, 11) else "tomli"
_Step = Annotated[int, msgspec.Meta(ge=1)]


class GrainRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The multiples of channels that the engine wants for some work.

    Attributes:
        kind: of work, as rules declare it (``dense``, ``window``, ``channelwise``, ``product``, ``moved``), or
            ``*`` for all that no other row names.
        dtype: numpy dtype name, or ``*``.
        preferred: the multiple that widths come in.
        minimum: the multiple below which the engine leaves its fast path; groups narrower than ``preferred`` come
            in it.
    """

    kind: str = ANY
    dtype: str = ANY
    preferred: _Step = 1
    minimum: _Step = 1


class LayerRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Measured times of one layer: it took ``microseconds[i]`` where its sizes were ``widths[i]``."""

    kind: str
    widths: tuple[tuple[_Step, ...], ...]
    microseconds: tuple[Annotated[float, msgspec.Meta(gt=0)], ...]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Widths that one engine rewards, and times of its layers.

    Attributes:
        backend: name of the backend it was made for, with the ``options`` and the ``version`` it had then.
        grain: by kind of work and dtype.
        layers: latency table, by key of the layer.
    """

    name: str
    backend: str
    version: str = ""
    options: Mapping[str, str | int | float | bool] = {}
    grain: tuple[GrainRow, ...] = ()
    layers: Mapping[str, LayerRow] = {}
    format: int = FORMAT

    def __post_init__(self) -> None:
        for row in self.grain:
            if row.kind not in (ANY, *KINDS_OF_WORK):
                raise ValueError(f"there is no kind of work '{row.kind}': {', '.join(KINDS_OF_WORK)}")
        for key, layer in self.layers.items():
            if len(layer.widths) != len(layer.microseconds) or len({*map(len, layer.widths)}) != 1:
                raise ValueError(
                    f"layer {key} has {len(layer.widths)} widths, {len(layer.microseconds)} times"
                )

    @property
    def align(self) -> int:
        """The preferred multiple where nothing more is said."""
        return max((row.preferred for row in self.grain if row.kind == row.dtype == ANY), default=1)

    @property
    def minimum(self) -> int:
        """The multiple of groups that are narrower than ``align``."""
        return max((row.minimum for row in self.grain if row.kind == row.dtype == ANY), default=0)

    @property
    def by_work(self) -> dict[str, int]:
        """Preferred multiples where more is said: by ``kind`` or ``kind/dtype``."""
        found: dict[str, int] = {}
        for row in self.grain:
            for kind in KINDS_OF_WORK if row.kind == ANY and row.dtype != ANY else (row.kind,):
                if kind != ANY:
                    found[kind if row.dtype == ANY else f"{kind}/{row.dtype}"] = row.preferred
        return dict(sorted(found.items()))

    def widths(self) -> Grain:
        return Grain(self.align, self.by_work, self.minimum)

    def table(self) -> LayerTable:
        return {key: Samples(row.widths, row.microseconds) for key, row in self.layers.items()}


# Blocked layouts of ONNX Runtime need multiples of 4 and pay in blocks of the vector width: 16 floats of AVX-512,
# 8 of AVX2, for which 'calibrate' may find finer widths. OpenVINO multiplies codes in tiles of 64 (AMX). Tensor
# cores take 8 half-precision or 32 eight-bit channels at a time.
_TILES = tuple(
    GrainRow(kind=kind, dtype=dtype, preferred=64) for kind in (DENSE, WINDOW) for dtype in ("int8", "uint8")
)
_BUILT_IN = {
    target.name: target
    for target in (
        Target(name="onnxruntime-x86", backend="onnxruntime", grain=(GrainRow(preferred=16, minimum=4),)),
        Target(name="openvino-x86", backend="openvino", grain=(GrainRow(preferred=16), *_TILES)),
        Target(name="tensorrt-fp16", backend="tensorrt", grain=(GrainRow(preferred=8, minimum=2),)),
        Target(name="tensorrt-fp32", backend="tensorrt", grain=(GrainRow(preferred=8),)),
        Target(name="tensorrt-int8", backend="tensorrt", grain=(GrainRow(preferred=32, minimum=4),)),
    )
}


def targets() -> tuple[str, ...]:
    """Names of the built-in targets."""
    return tuple(sorted(_BUILT_IN))


def target_of(given: str | os.PathLike[str] | Target) -> Target:
    """A target by name, from a TOML file, or as it is.

    Raises:
        UsageError: there is none of that name, or the file is no target.
    """
    if isinstance(given, Target):
        return given
    name = os.fspath(given)
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    if not (name.endswith(".toml") or Path(name).is_file()):
        advice = (
            f"there are {', '.join(targets())}; 'prunepass calibrate' measures your own into a .toml file"
        )
        raise UsageError(f"there is no target '{name}'", advice=advice)
    return _read(Path(name))


def target_for(backend: str) -> Target | None:
    """The first built-in target of a backend, whatever its options, None where there is none."""
    name = backend.partition("{")[0]
    return next((target for target in _BUILT_IN.values() if target.backend == name), None)


def _read(path: Path) -> Target:
    toml: Any = import_module(_TOML)
    try:
        target = msgspec.convert(toml.loads(path.read_text("utf-8")), Target)
    except OSError as error:
        raise UsageError(f"cannot read the target: {error.strerror}", where=str(path)) from error
    except (toml.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not TOML: {error}", where=str(path)) from error
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(Target))
        advice = f"a target has {known}; docs/latency.md shows one"
        raise UsageError(f"not a target: {error}", where=str(path), advice=advice) from error
    if target.format != FORMAT:
        what = f"the target has format {target.format}, this version reads {FORMAT}"
        raise UsageError(what, where=str(path))
    return target


def to_toml(target: Target) -> str:
    """The target as TOML: keys sorted, equal values give equal text."""
    data: dict[str, Any] = msgspec.to_builtins(target)
    tables = ("grain", "layers", "options")
    lines = [f"{key} = {_value(data[key])}" for key in sorted(data) if key not in tables]
    for row in data["grain"]:
        lines += ["", "[[grain]]", *_pairs(row)]
    for key in sorted(data["layers"]):
        lines += ["", f"[layers.{key}]", *_pairs(data["layers"][key])]
    if data["options"]:
        lines += ["", "[options]", *_pairs(data["options"])]
    return "\n".join(lines) + "\n"


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(table[key])}" for key in sorted(table)]


def _value(value: Any) -> str:
    """A TOML value; its strings and numbers are written as JSON writes them."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return msgspec.json.encode(value).decode()
