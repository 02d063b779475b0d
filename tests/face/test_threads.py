"""Several threads at a time: what belongs to the process is used by one of them at once."""

from __future__ import annotations

import copy
import sys
import threading
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

import prunepass as pp
from prunepass.hosts.torch import export
from prunepass.hosts.torch._lock import muted

X = torch.randn(1, 3, 7, 7, generator=torch.Generator().manual_seed(0))


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.Conv2d(8, 4, 3)
    ).train()


def together(*works: Callable[[], object]) -> list[BaseException]:
    """Run all at a time; what they raised."""
    failed: list[BaseException] = []
    begin = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        try:
            begin.wait()
            work()
        except BaseException as error:  # told to the test
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return failed


@pytest.mark.parametrize("shared", [False, True])
def test_six_threads_prune_one_network(shared: bool) -> None:
    model, found = net(), list[pp.Result]()
    streams, filters = (sys.stdout, sys.stderr), list(warnings.filters)

    def work(form: str) -> Callable[[], None]:
        mine = model if shared else copy.deepcopy(model)
        return lambda: found.append(pp.prune(mine, X, budget="macs=0.6", score="l2", form=form))

    assert together(*(work(form) for form in ("module", "graph") * 3)) == []
    assert len({result.plan.to_json() for result in found}) == 1
    assert all(module.training for module in model.modules())
    assert all(not module._forward_hooks for module in model.modules())
    assert (sys.stdout, sys.stderr) == streams
    assert warnings.filters == filters


def test_what_another_thread_prints_is_not_swallowed(capsys: pytest.CaptureFixture[str]) -> None:
    inside, printed = threading.Event(), threading.Event()

    def quiet() -> None:
        with muted():
            sys.stdout.write("mine")
            sys.stderr.write("mine")
            inside.set()
            assert printed.wait(60)

    def loud() -> None:
        assert inside.wait(60)
        sys.stdout.write("theirs")
        sys.stdout.flush()
        sys.stderr.write("theirs too")
        printed.set()

    assert together(quiet, loud) == []
    assert tuple(capsys.readouterr()) == ("theirs", "theirs too")


def test_a_capture_inside_a_capture_does_not_wait_for_itself() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.done = net(), False

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not torch.compiler.is_exporting() and not self.done:
                self.done = True
                export(self.inner, X)
            return self.inner(x)

    result: list[pp.Result] = []
    model = Nested().eval()
    assert together(lambda: result.append(pp.prune(model, X, budget="macs=0.6", score="l2"))) == []
    assert len(result) == 1
