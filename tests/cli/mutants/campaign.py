"""Many mutants in processes that may die: ``python -m tests.cli.mutants.campaign --count 20000``."""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from tests.cli.mutants import worker

ROOT = Path(__file__).parents[3]
PATIENCE = 20.0
"""Seconds that one mutant may take."""


def outcomes(seed: int, count: int, first: int = 0, step: int = 1) -> Iterator[dict[str, Any]]:
    """Try ``count`` mutants, one after the other; a process that hangs or dies is replaced."""
    end = first + count * step
    while first < end:
        last = first
        for found in _from_one_process(seed, first, end, step):
            last = found["number"]
            yield found
        first = last + step


def _from_one_process(seed: int, first: int, end: int, step: int) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.cli.mutants.worker", *map(str, (seed, first, end, step))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None
        number = first
        try:
            for line in _lines(process.stdout):
                said = json.loads(line)
                if "begins" in said:
                    number = said["begins"]
                    continue
                yield said
                number = said["number"] + step
            if number < end:
                if process.poll() is None:
                    time.sleep(0.2)
                    process.kill()
                errors.seek(0, os.SEEK_END)
                errors.seek(max(0, errors.tell() - 600))
                yield _lost(seed, number, process.wait(), errors.read().decode(errors="replace"))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _lines(stream: Any) -> Iterator[bytes]:
    """Lines as they come, until the stream ends or nothing has come for too long."""
    waiting = b""
    while select.select([stream], [], [], PATIENCE)[0]:
        part = os.read(stream.fileno(), 1 << 16)
        if not part:
            return
        *lines, waiting = (waiting + part).split(b"\n")
        yield from lines


def _lost(seed: int, number: int, code: int, said: str) -> dict[str, Any]:
    made = worker.mutant(seed, number)
    known = {99: "it took more than 2 GB", -9: f"nothing for {PATIENCE:g} s"}
    what = known.get(code, f"the process died ({code})")
    return {"name": made.name, "number": number, "parses": made.parses, "codes": {}, "complaints": [what],
            "seconds": PATIENCE, "said": said}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument(
        "--seed", type=int, default=date.today().toordinal(), help="by default that of the day"
    )
    parser.add_argument("--only", type=int, help="one mutant by its number")
    parser.add_argument("--keep", type=Path, default=Path("mutants"), help="folder for those that fail")
    asked = parser.parse_args()
    first, count = (0, asked.count) if asked.only is None else (asked.only, 1)
    start, bad, parsed = time.monotonic(), 0, 0
    for found in outcomes(asked.seed, count, first):
        parsed += found["parses"]
        if found["complaints"] or asked.only is not None:
            bad += bool(found["complaints"])
            kept = asked.keep / f"{asked.seed}-{found['number']}"
            path = worker.write(worker.mutant(asked.seed, found["number"]), kept)
            _say(
                f"{path}: {found['name']}: {found['codes']} {found['complaints']}\n  {found['said'].strip()}"
            )
    took = time.monotonic() - start
    _say(f"seed {asked.seed}: {count} mutants, {parsed / count:.0%} parse, {bad} failed, {took:.0f} s")
    return bool(bad)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
