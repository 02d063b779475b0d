"""Work in a process of its own: what hangs can be stopped, and memory is that of the work alone."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

_MARK = "result: "
# Wall time a CPU second may take on a machine that has other work.
_PATIENCE = 6.0
# Seconds between two looks at what the process has used.
_LOOK = 0.5
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def isolated(work: str, *, limit: float, **arguments: Any) -> dict[str, Any]:
    """Call ``work``, a ``module:function`` of this package, in a process with one thread.

    Args:
        limit: CPU seconds after which the process is stopped; what waits instead is stopped later.
        arguments: of the function; what JSON can write.

    Returns:
        The function's dict; where it failed or ran too long, ``{"failed": why}``.
    """
    command = [sys.executable, "-W", "ignore", "-m", f"{__package__}._worker", work, json.dumps(arguments)]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **_ONE_THREAD},
    )
    with child:
        said = _outcome(child, limit)
    if said is None:
        return {"failed": f"more than {limit:.0f} s"}
    out, errors = said
    for line in reversed(out.splitlines()):
        if line.startswith(_MARK):
            found: dict[str, Any] = json.loads(line.removeprefix(_MARK))
            return found
    last = errors.strip().splitlines()[-1:] or [f"exit status {child.returncode}"]
    return {"failed": last[0][:200]}


def _outcome(child: subprocess.Popen[str], limit: float) -> tuple[str, str] | None:
    """What the process wrote, None where it was stopped.

    A limit of the kernel's own (RLIMIT_CPU) would make the clock that the work reads coarse.
    """
    begun = perf_counter()
    while True:
        try:
            return child.communicate(timeout=min(_LOOK, limit))
        except subprocess.TimeoutExpired:
            if _cpu_seconds(child.pid) > limit or perf_counter() - begun > _PATIENCE * limit:
                child.kill()
                return None


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process so far; 0 where the system has no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def call(work: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The function's dict, or ``{"failed": why}`` with the seconds it took to fail."""
    module, _, name = work.partition(":")
    start = perf_counter()
    try:
        found: dict[str, Any] = getattr(import_module(f".{module}", __package__), name)(**arguments)
    except Exception as error:  # peers raise anything; a failure is a result here
        text = " ".join(str(error).split())[:160]
        return {"failed": f"{type(error).__name__}: {text}", "failed_after": perf_counter() - start}
    return found


if __name__ == "__main__":
    print(_MARK + json.dumps(call(sys.argv[1], json.loads(sys.argv[2]))), flush=True)  # noqa: T201
