"""Run by test_determinism in another process: prunes and applies everything, and prints a hash of each file."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import onnx

from prunepass.cli import main
from tests.cli import nets

QUICK = ("--score", "l2", "--budget", "macs=0.6", "-q")


def make(name: str, model: str, suffix: str) -> None:
    """Prune twice and apply once; the files end alike, so that their own names are all that may differ."""
    plan = ("--plan-out", f"{name}.json", "--report", f"{name}-report.json")
    _run("prune", model, "-o", f"{name}{suffix}", *QUICK, *plan)
    Path(name).mkdir()
    _run("apply", f"{name}.json", model, "-o", f"{name}/{name}{suffix}", "-q")


def _run(*args: str) -> None:
    code = main(args)
    if code:
        raise SystemExit(code)


def hashes() -> dict[str, str]:
    found = sorted(path for path in Path().rglob("*") if path.is_file())
    return {path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True)
    os.chdir(sys.argv[1])
    nets.save(Path("inside.onnx"))
    onnx.save(
        nets.classifier(), "outside.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    make("in", "inside.onnx", ".onnx")
    make("out", "outside.onnx", ".onnx")
    make("torch", "tests.cli.factories:net", ".pt2")
    sys.stdout.write(json.dumps(hashes()))
