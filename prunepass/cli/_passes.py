"""``prunepass passes``: what a pipeline can be made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

import click

from .face import Face, spoken, table

if TYPE_CHECKING:
    from ..ir import Table

_TITLES = {"scores": "scores (and auto, which tries those that need no data)"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@spoken
def passes(face: Face, as_json: bool) -> None:
    """List passes, scores, policies, drivers and targets, with their options."""
    from ..drivers import drivers
    from ..passes import passes as all_passes
    from ..passes import policies, scores
    from ..targets import target_of, targets

    tables = {
        "passes": all_passes(),
        "scores": scores.scores(),
        "policies": policies.policies(),
        "drivers": drivers(),
    }
    found = {title: _loaded(face, known) for title, known in tables.items()}
    chosen = {name: target_of(name) for name in targets()}
    aligns = {name: target.align for name, target in chosen.items()}
    if as_json:
        described = {title: _described(kinds) for title, kinds in found.items()}
        click.echo(json.dumps({**described, "targets": aligns}, indent=1, sort_keys=True))
        return
    for title, kinds in found.items():
        if kinds:
            face.show(table(_TITLES.get(title, title), (tables[title].kind, "options", ""), _rows(kinds)))
    rows = ((name, target.backend, aligns[name]) for name, target in chosen.items())
    face.show(table("targets (or a .toml of 'prunepass calibrate')", ("target", "backend", ">align"), rows))


def _loaded(face: Face, known: Table) -> dict[str, Any]:
    """Entries that load; a broken distribution is reported and left out."""
    from ..ir import PrunepassError

    found: dict[str, Any] = {}
    for name in known:
        try:
            found[name] = known[name]
        except PrunepassError as error:
            face.note(str(error))
    return found


def _described(kinds: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"options": dict(_options(kind)), "what": _first_line(kind)} for name, kind in kinds.items()
    }


def _rows(kinds: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, kind in kinds.items():
        options = ", ".join(f"{option}={default}" for option, default in _options(kind))
        yield name, options, _first_line(kind)


def _options(kind: Any) -> Iterator[tuple[str, str]]:
    """Options that text can set, with their defaults."""
    for field in fields(kind):
        if field.default is not MISSING:
            yield (
                field.name,
                str(field.default).lower() if isinstance(field.default, bool) else str(field.default),
            )


def _first_line(kind: Any) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]
