"""Options of ``prune`` from three places: the configuration file, the command line, ``--set``.

Later ones win. ``budget`` and ``score`` are text or a table (``[budget] macs = 0.5``), and ``--set
budget.macs=0.4`` changes one entry of it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from ..ir import UsageError
from ..passes._options import parse_steps

_TOML = "tomllib" if sys.version_info >= (3, 11) else "tomli"
_DEFAULT_PIPELINE = ("budget", "score", "align", "target", "floor", "mode", "compensate")
# An option drives out those that it makes meaningless when it comes from a stronger place.
_RIVALS: Mapping[str, Sequence[str]] = {
    "align": ("target", "pipeline"),
    "target": ("align", "pipeline"),
    "pipeline": _DEFAULT_PIPELINE,
    **dict.fromkeys(("budget", "score", "floor", "mode", "compensate"), ("pipeline",)),
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """What one ``prune`` shall do; the names are those of the command line's options."""

    out: str | None = None
    budget: str = "macs=0.5"
    score: str = "auto"
    align: int | None = None
    target: str | None = None
    backend: str | None = None
    threads: int | None = None
    allow_slower: bool | None = None
    floor: float | None = None
    mode: str | None = None
    compensate: bool | None = None
    keep: tuple[str, ...] = ()
    shape: tuple[str, ...] = ()
    pipeline: str | None = None
    plan_out: str | None = None
    report: str | None = None
    depfile: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Keywords of :func:`prunepass.prune`."""
        names = ("budget", "score", "align", "target", "keep", "pipeline", "floor", "mode", "compensate")
        clock = ("backend", "threads", "allow_slower")
        return {name: value for name in (*names, *clock) if (value := getattr(self, name)) is not None}


def settings(config: str | None, given: Mapping[str, Any], assignments: Sequence[str] = ()) -> Settings:
    """Merge the layers.

    Args:
        config: path of a TOML file.
        given: options of the command line, None or empty where absent.
        assignments: ``key=value`` or ``key.entry=value``.

    Raises:
        UsageError: the file cannot be read, a key is unknown, a value has the wrong type, or two options of
            one place exclude each other.
    """
    merged: dict[str, Any] = {}
    if config is not None:
        _lay(merged, _kebab(_read(config)), config)
    _lay(merged, _kebab({key: value for key, value in given.items() if value not in (None, ())}), "options")
    for assignment in assignments:
        _lay(merged, _assigned(assignment), f"--set {assignment}")
    texts = {key: _joined(key, value) for key, value in merged.items()}
    try:
        return msgspec.convert(texts, Settings, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(Settings))
        raise UsageError(f"wrong option: {error}", where=config, advice=f"there are {known}") from error


def _read(config: str) -> dict[str, Any]:
    toml = import_module(_TOML)
    try:
        data: dict[str, Any] = toml.loads(Path(config).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the configuration: {error.strerror}", where=config) from error
    except (toml.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not TOML: {error}", where=config) from error
    return data


def _kebab(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("_", "-"): value for key, value in layer.items()}


def _lay(merged: dict[str, Any], layer: Mapping[str, Any], place: str) -> None:
    for key in layer:
        for rival in _RIVALS.get(key, ()):
            if rival in layer:
                raise UsageError(f"'{key}' and '{rival}' exclude each other", where=place)
            merged.pop(rival, None)
    for key, value in layer.items():
        merged[key] = {**_table(key, merged.get(key)), **value} if isinstance(value, Mapping) else value


def _assigned(assignment: str) -> dict[str, Any]:
    name, mark, text = assignment.partition("=")
    key, _, entry = name.strip().replace("_", "-").partition(".")
    if not mark or not key:
        raise UsageError(f"'{assignment}' sets nothing", advice="write --set key=value")
    value = _value(text.strip())
    return {key: {entry: value} if entry else value}


def _value(text: str) -> Any:
    """A TOML value where it is one, plain text otherwise."""
    toml = import_module(_TOML)
    try:
        return toml.loads(f"value = {text}")["value"]
    except toml.TOMLDecodeError:
        return text


def _table(key: str, value: Any) -> dict[str, Any]:
    """``budget`` or ``score`` as a table."""
    if key not in ("budget", "score"):
        raise UsageError(f"'{key}' takes a value, no table")
    if value is None or isinstance(value, Mapping):
        return dict(value or {})
    if key == "budget":
        return {part.partition("=")[0]: part.partition("=")[2] for part in value.replace(" ", "").split(",")}
    ((metric, options),) = list(parse_steps(str(value)))[:1]
    return {"metric": metric, **options}


def _joined(key: str, value: Any) -> Any:
    """The text of a table, and a pipeline's steps in one line."""
    if key == "pipeline" and isinstance(value, list):
        return " | ".join(map(str, value))
    if not isinstance(value, Mapping):
        return value
    if key == "budget":
        return ",".join(f"{kind}={fraction}" for kind, fraction in value.items())
    options = ", ".join(f"{name}={entry}" for name, entry in value.items() if name != "metric")
    return value.get("metric", "auto") + (f"{{{options}}}" if options else "")
