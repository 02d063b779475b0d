"""Options of ``prune`` from three places: the configuration file, the command line, ``--set``.

Later ones win. ``budget``, ``score`` and the like are text or a table (``[budget] macs = 0.5``), and ``--set
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

from .._options import DEFAULTS, OPTIONS, Options, rivals_of
from ..ir import UsageError
from ._spellings import spelling

KEYS: Mapping[str, str] = {name.replace("_", "-"): name for name, option in OPTIONS.items() if option.file}


def _configuration() -> type[msgspec.Struct]:
    """The struct that a file is read as, a field an option; what is absent there is None or the default."""
    members: list[tuple[str, Any, Any]] = []
    for name in KEYS.values():
        kind, default = spelling(OPTIONS[name]).type(OPTIONS[name]), DEFAULTS[name]
        members.append((name, kind if default is not None else kind | None, default))
    how: dict[str, Any] = {"frozen": True, "forbid_unknown_fields": True, "rename": "kebab", "kw_only": True}
    return msgspec.defstruct("Configuration", members, **how)


Configuration = _configuration()


def settings(config: str | None, given: Mapping[str, Any], assignments: Sequence[str] = ()) -> Options:
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
    values = {key: spelling(OPTIONS[KEYS[key]]).value(value) for key, value in merged.items()}
    try:
        found = msgspec.convert(values, Configuration, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"wrong option: {error}", where=config, advice="'prunepass schema config'"
        ) from error
    return Options(**msgspec.structs.asdict(found))


def _refuse_unknown(layer: Mapping[str, Any], place: str) -> None:
    for key in layer:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, 1)
            advice = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(KEYS)}"
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
        for name in rivals_of(KEYS[key]):
            rival = name.replace("_", "-")
            if rival in layer:
                raise UsageError(f"'{key}' and '{rival}' exclude each other", where=place)
            merged.pop(rival, None)
    for key, value in layer.items():
        merged[key] = {**_table(key, merged.get(key)), **value} if isinstance(value, Mapping) else value


def _assigned(assignment: str) -> dict[str, Any]:
    name, mark, text = assignment.partition("=")
    key, _, entry = name.strip().partition(".")
    if not mark or not key:
        raise UsageError(f"'{assignment}' sets nothing", advice="write --set key=value")
    value = _value(text.strip())
    return {key.replace("_", "-"): {entry: value} if entry else value}


def _value(text: str) -> Any:
    """A TOML value where it is one, plain text otherwise."""
    reader = toml()
    try:
        return reader.loads(f"value = {text}")["value"]
    except reader.TOMLDecodeError:
        return text


def _table(key: str, value: Any) -> dict[str, Any]:
    """The table that an option stands for, to lay another one over it."""
    entries = spelling(OPTIONS[KEYS[key]]).entries
    if entries is None:
        raise UsageError(f"'{key}' takes a value, no table")
    if value is None or isinstance(value, Mapping):
        return dict(value or {})
    return entries(value)
