"""Findings as SARIF 2.1.0, the form that code hosts show at a change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from .. import __version__

if TYPE_CHECKING:
    from ._finding import Finding

_RULES = {
    "proof": "The pruned model computes what the original computes without the cut channels.",
    "budget": "The pruned model costs no more than the budget of its plan.",
    "widths": "Every parameter has the shape that the plan leaves.",
    "grain": "Channel counts are multiples of what the engine rewards.",
    "latency": "The pruned model takes no more of the original's time than the budget of its plan.",
    "speed": "The pruned model is not slower than the original.",
}


def to_sarif(artifact: str, findings: Sequence[Finding]) -> str:
    """One run with one result for each failure; the model or layer is a logical location."""
    path = Path(artifact)
    uri = quote(path.name if path.is_absolute() else path.as_posix())
    rules = [_rule(name, text) for name, text in _RULES.items()]
    driver = {"name": "prunepass", "semanticVersion": __version__, "version": __version__, "rules": rules}
    results = [_result(uri, finding) for finding in findings if not finding.holds]
    run = {"tool": {"driver": driver}, "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=1, sort_keys=True) + "\n"


def _rule(name: str, text: str) -> dict[str, Any]:
    return {
        "id": name,
        "shortDescription": {"text": text},
        "defaultConfiguration": {"level": "error"},
    }


def _result(uri: str, finding: Finding) -> dict[str, Any]:
    name = finding.where or unquote(uri)
    place = {
        # Code hosts show nothing without a line, though a model has none.
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}},
        "logicalLocations": [{"name": name.rpartition(".")[2], "fullyQualifiedName": name, "kind": "module"}],
    }
    # What makes a failure the same one in the next run: not its figures, nor where the model lies.
    same = hashlib.sha256(f"{finding.rule} {finding.where}".encode()).hexdigest()
    return {
        "ruleId": finding.rule,
        "ruleIndex": list(_RULES).index(finding.rule),
        "level": "error",
        "message": {"text": finding.text},
        "locations": [place],
        "partialFingerprints": {"finding/v1": same},
    }
