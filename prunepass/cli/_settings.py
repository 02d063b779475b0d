"""Options of ``prune`` from three places: the configuration file, the command line, ``--set``.

Later ones win. ``budget`` and ``score`` are text or a table (``[budget] macs = 0.5``), and ``--set
budget.macs=0.4`` changes one entry of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from ..backends import Threads
from ..ir import UsageError, parse_steps

_DEFAULT_PIPELINE = ("budget", "score", "align", "target", "floor", "mode", "compensate")
# An option drives out those that it makes meaningless when it comes from a stronger place.
RIVALS: Mapping[str, Sequence[str]] = {
    "align": ("target", "pipeline"),
    "target": ("align", "pipeline"),
    "pipeline": _DEFAULT_PIPELINE,
    **dict.fromkeys(("budget", "score", "floor", "mode", "compensate"), ("pipeline",)),
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """Settings of one ``prune``; the names are those of the command line's options."""

    out: str | None = None
    budget: str = "macs=0.5"
    score: str = "auto"
    align: int | None = None
    target: str | None = None
    backend: str | None = None
    threads: Threads | None = None
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
        layer = _kebab(_read(config))
        _refuse_unknown(layer, config)
        _lay(merged, layer, config)
    _lay(merged, _kebab({key: value for key, value in given.items() if value not in (None, ())}), "options")
    for assignment in assignments:
        layer, place = _assigned(assignment), f"--set {assignment}"
        _refuse_unknown(layer, place)
        _lay(merged, layer, place)
    texts = {key: _joined(key, value) for key, value in merged.items()}
    try:
        return msgspec.convert(texts, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"wrong option: {error}", where=config, advice="'prunepass schema config'"
        ) from error


def _refuse_unknown(layer: Mapping[str, Any], place: str) -> None:
    known = [field.encode_name for field in msgspec.structs.fields(Settings)]
    for key in layer:
        if key not in known:
            near = get_close_matches(key, known, 1)
            advice = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"there is no option '{key}'", where=_line(place, key), advice=advice)


def _line(place: str, key: str) -> str:
    """``file:line`` of a key of the top level where ``place`` is a file."""
    if not Path(place).is_file():
        return place
    spelled = "[-_]".join(map(re.escape, key.split("-")))
    found = re.compile(rf"\s*\[?\s*[\"']?{spelled}[\"']?\s*[].=]")
    lines = enumerate(Path(place).read_text("utf-8").splitlines(), 1)
    number = next((number for number, line in lines if found.match(line)), 0)
    return f"{place}:{number}" if number else place


def toml() -> Any:
    """The module that reads TOML here."""
    return import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


def _read(config: str) -> dict[str, Any]:
    reader = toml()
    try:
        data: dict[str, Any] = reader.loads(Path(config).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the configuration: {error.strerror}", where=config) from error
    except (reader.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"\(at line (\d+)", str(error))
        raise UsageError(f"not TOML: {error}", where=f"{config}:{line[1]}" if line else config) from error
    return data


def _kebab(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("_", "-"): value for key, value in layer.items()}


def _lay(merged: dict[str, Any], layer: Mapping[str, Any], place: str) -> None:
    for key in layer:
        for rival in RIVALS.get(key, ()):
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
    reader = toml()
    try:
        return reader.loads(f"value = {text}")["value"]
    except reader.TOMLDecodeError:
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
