"""Work in a process of its own: what hangs can be stopped, and memory is that of the work alone."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from time import perf_counter
from typing import Any

_MARK = "result: "
# Wall time a CPU second may take on a machine that has other work.
_PATIENCE = 6.0
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
    seconds, late = max(1, round(limit)), {"failed": f"more than {limit:.0f} s"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_PATIENCE * limit,
            env={**os.environ, **_ONE_THREAD},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1)),
        )
    except subprocess.TimeoutExpired:
        return late
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return late
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(_MARK):
            found: dict[str, Any] = json.loads(line.removeprefix(_MARK))
            return found
    last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    return {"failed": last[0][:200]}


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
