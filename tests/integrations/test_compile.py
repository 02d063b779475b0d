"""A pruned module is torch code like any other: torch.compile takes the whole of it."""

from __future__ import annotations

import shutil

import pytest

import prunepass as pp

torch = pytest.importorskip("torch")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("form", "backend"), [("module", "inductor"), ("graph", "inductor")])
def test_a_pruned_model_compiles_as_one_graph_and_computes_the_same(form: str, backend: str) -> None:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    from tests.cli.factories import net

    module, inputs = net()
    small = pp.prune(module.eval(), inputs, budget="macs=0.6", score="l2", form=form).model
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        fast = torch.compile(small, fullgraph=True, backend=backend)(x)
        torch.testing.assert_close(fast, small(x), rtol=1e-4, atol=1e-5)
