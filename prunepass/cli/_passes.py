"""``prunepass passes``: what a pipeline can be made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

import click

from .face import Face, spoken, table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@spoken
def passes(face: Face, as_json: bool) -> None:
    """List passes, scores and targets, with their options."""
    from ..passes import passes as all_passes
    from ..passes import scores
    from ..targets import target_of, targets

    kinds = {name: all_passes()[name] for name in all_passes()}
    found = {name: scores.get(name) for name in scores.names()}
    chosen = {name: target_of(name) for name in targets()}
    aligns = {name: target.align for name, target in chosen.items()}
    if as_json:
        described = {"passes": _described(kinds), "scores": _described(found), "targets": aligns}
        click.echo(json.dumps(described, indent=1, sort_keys=True))
        return
    face.show(table("passes", ("pass", "options", ""), _rows(kinds)))
    face.show(
        table(
            "scores (and auto, which tries those that need no data)", ("score", "options", ""), _rows(found)
        )
    )
    rows = ((name, target.backend, aligns[name]) for name, target in chosen.items())
    face.show(table("targets (or a .toml of 'prunepass calibrate')", ("target", "backend", ">align"), rows))


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
