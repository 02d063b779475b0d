"""``prunepass schema``: the forms of the files that people write and review, for editors and other tools."""

from __future__ import annotations

import json
from typing import Any

import click

from .face import Face, spoken

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string"}
_LIMIT = {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, _TEXT]}
# What a file may say besides the text of the option.
_TABLES: dict[str, dict[str, Any]] = {
    "budget": {"type": "object", "additionalProperties": _LIMIT, "minProperties": 1},
    "score": {"type": "object", "properties": {"metric": _TEXT}},
    "pipeline": {"type": "array", "items": _TEXT},
}
# Options of the default pipeline that have no option of the command line.
_HELP = {
    "compensate": "Move the means of cut channels into biases.",
    "floor": "The least fraction of its channels that every group keeps.",
    "mode": "How the policy compares channels of different groups.",
}


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

    from ._prune import prune
    from ._settings import RIVALS, Settings

    said = {option.name: getattr(option, "help", None) for option in prune.params}
    made: dict[str, Any] = msgspec.json.schema(Settings)["$defs"]["Settings"]
    for name, form in made["properties"].items():
        about = said.get(name.replace("-", "_")) or _HELP.get(name)
        made["properties"][name] = {**_field(name, form), **({"description": about} if about else {})}
    apart = sorted({tuple(sorted((key, rival))) for key, rivals in RIVALS.items() for rival in rivals})
    exclude = [{"not": {"required": list(pair)}} for pair in apart]
    return {**made, "allOf": exclude, "title": "prunepass configuration"}


def _field(name: str, form: dict[str, Any]) -> dict[str, Any]:
    """One option as TOML can say it: an absent one is left out, there is no null."""
    kinds = [kind for kind in form.get("anyOf", ()) if kind != {"type": "null"}]
    plain = {**form, **kinds[0]} if kinds else dict(form)
    plain.pop("anyOf", None)
    if plain.get("default", 0) is None:
        del plain["default"]
    if name not in _TABLES:
        return plain
    default = {"default": plain["default"]} if "default" in plain else {}
    return {"anyOf": [_TEXT, _TABLES[name]], **default}


def _plan() -> dict[str, Any]:
    from ..passes import Plan, plan_schema

    return {**plan_schema(Plan), "title": "prunepass plan"}
