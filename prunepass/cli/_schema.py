"""``prunepass schema``: the forms of the files that people write and review, for editors and other tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from .face import Face, spoken

if TYPE_CHECKING:
    from .._options import Option

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@click.command()
@click.argument("what", type=click.Choice(["config", "plan"]))
@spoken
def schema(face: Face, what: str) -> None:
    """Print the JSON schema of a configuration (--config, as JSON reads TOML) or of a plan."""
    click.echo(text(what), nl=False)


def text(what: str) -> str:
    """The schema of ``config`` or ``plan`` as one JSON document."""
    made = {"config": _config, "plan": _plan}[what]()
    return json.dumps({"$schema": _DIALECT, **made}, indent=1, sort_keys=True) + "\n"


def _config() -> dict[str, Any]:
    import msgspec

    from .._options import OPTIONS, rivals_of
    from ._settings import KEYS, Configuration

    made: dict[str, Any] = msgspec.json.schema(Configuration)["$defs"]["Configuration"]
    for key, name in KEYS.items():
        form = _field(OPTIONS[name], made["properties"][key])
        made["properties"][key] = {**form, "description": OPTIONS[name].about}
    keys = {name: key for key, name in KEYS.items()}
    apart = sorted(
        {tuple(sorted((key, keys[rival]))) for key, name in KEYS.items() for rival in rivals_of(name)}
    )
    exclude = [{"not": {"required": list(pair)}} for pair in apart]
    return {**made, "allOf": exclude, "title": "prunepass configuration"}


def _field(option: Option, form: dict[str, Any]) -> dict[str, Any]:
    """One option as TOML can say it: an absent one is left out, there is no null."""
    from ._spellings import spelling

    kinds = [kind for kind in form.get("anyOf", form.get("enum", ())) if kind not in ({"type": "null"}, None)]
    plain = {**form, **kinds[0]} if kinds and "anyOf" in form else dict(form)
    plain.pop("anyOf", None)
    if "enum" in form:
        plain["enum"] = kinds
    if plain.get("default", 0) is None:
        del plain["default"]
    other = spelling(option).schema
    if other is None:
        return plain
    default = {"default": plain["default"]} if "default" in plain else {}
    return {"anyOf": [{"type": "string"}, other], **default}


def _plan() -> dict[str, Any]:
    from ..passes import Plan, plan_schema

    return {**plan_schema(Plan), "title": "prunepass plan"}
