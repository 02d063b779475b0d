"""Sends mutants through the command line, in this process, and prints one line of JSON about each."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import shutil
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prunepass.cli import main
from tests.cli.mutants import kinds, nets

LIMIT = 2 << 30
"""Bytes that a mutant may take."""


@dataclass
class Mutant:
    """A model as it would lie in a folder."""

    name: str
    model: bytes
    data: bytes
    parses: bool


def mutant(seed: int, number: int) -> Mutant:
    """The mutant of this number; the same one every time."""
    rng = random.Random(f"{seed}:{number}")
    source = rng.choice(list(nets.NETS))
    net, done = nets.fresh(source), []
    if rng.random() < 0.85:
        for _ in range(rng.choice((1, 1, 1, 2))):
            kind = rng.choice(list(kinds.KINDS))
            done.append(kind)
            with contextlib.suppress(IndexError):  # nothing of the kind is left to choose
                kinds.KINDS[kind](net, rng)
        data = net.proto.SerializeToString()
    else:
        kind = rng.choice(list(kinds.BYTES))
        done.append(kind)
        data = kinds.BYTES[kind](net.proto.SerializeToString(), rng)
    return Mutant(f"{number} {source} {'+'.join(done)}", data, net.data, kinds.parses(data))


def write(made: Mutant, folder: Path) -> Path:
    """Write the mutant's files; returns the model's."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "m.onnx"
    path.write_bytes(made.model)
    if made.data:
        (folder / nets.DATA).write_bytes(made.data)
    return path


@dataclass
class Outcome:
    """What became of a mutant: exit codes by command, and every complaint about how."""

    name: str
    number: int
    parses: bool
    codes: dict[str, int]
    complaints: list[str]
    seconds: float
    said: str


def tried(seed: int, number: int, folder: Path) -> Outcome:
    made = mutant(seed, number)
    path, out, plan = write(made, folder), folder / "out.onnx", folder / "plan.json"
    wanted = ("--budget", "macs=0.8", "--score", "l2", "--set", "compensate=false", "--plan-out", str(plan))
    commands = (
        ("analyze", str(path), "-q"),
        ("prune", str(path), "-o", str(out), *wanted, "-q"),
        ("check", str(out), "--against", str(path), "--plan", str(plan), "-q"),
    )
    codes: dict[str, int] = {}
    complaints, said, start = [], "", time.monotonic()
    for command in commands:
        code, text = _run(command)
        codes[command[0]] = code
        said = said or text
        complaints += [f"{command[0]}: {wrong}" for wrong in _wrong(code, text)]
        if code:
            break
    if codes.get("check"):
        complaints.append("a prune that passed is refused by check")
    return Outcome(made.name, number, made.parses, codes, complaints, time.monotonic() - start, said[:600])


def _run(args: tuple[str, ...]) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(args)
    return code, err.getvalue()


def _wrong(code: int, text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.startswith("prunepass: note: ")]
    found = []
    if code not in (0, 1, 2, 3):
        found.append(f"exit code {code}")
    if "Traceback" in text or "Warning" in text:
        found.append("a traceback or a warning")
    if "[proof]" in text and "off the reference" not in text:
        found.append("the proof found a fault")
    if code and (len(lines) != 1 or ": error: [" not in lines[0]):
        found.append(f"{len(lines)} lines of error")
    if not code and lines:
        found.append("words on stderr")
    return found


def _watch(peak: int = LIMIT) -> None:
    """End the process where it takes more: an allocation that fails would be an error like any other."""
    while _peak() <= peak:
        time.sleep(0.01)
    os._exit(99)


def _peak() -> int:
    """The most bytes this process has had. What ``getrusage`` says begins with those of the one that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _tell(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def run(seed: int, first: int, end: int, step: int) -> None:
    """Try the mutants ``first``, ``first + step``, ..; one line each, written before the next begins."""
    here = Path.cwd()
    for number in range(first, end, step):
        _tell({"begins": number})
        folder = here / str(number)
        _tell(asdict(tried(seed, number, folder)))
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    # The watch kills what takes the memory; this stops what only asks for more than there is.
    resource.setrlimit(resource.RLIMIT_DATA, (64 * LIMIT, 64 * LIMIT))
    threading.Thread(target=_watch, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run(*(int(number) for number in sys.argv[1:5]))
