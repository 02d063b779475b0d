"""Tables that a model computes from constants while it runs: orders of channels, masks, numbers."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.passes import couple
from tests.hosts.onnx.models import opened, round_trip, weights

NET = """
(float[2,3,4,4] x) => (float[2,4,4,4] y) {{
  a = Conv<pads=[1,1,1,1]>(x, wa)
  r = Relu(a)
  k = Range(zero, {count}, one)
  {table}
}}
"""
ARRAYS = {
    "wa": weights(8, 3, 3, 3), "wb": weights(4, 8, 1, 1), "wc": weights(4, 16, 1, 1), "scale": weights(8, 1, 1),
    "zero": np.int64(0), "one": np.int64(1), "four": np.int64(4), "eight": np.int64(8), "sixteen": np.int64(16),
    "rows": np.array([2, 4]), "flat": np.array([-1]), "behind": np.array([1, 2]),
}  # fmt: skip
TAKEN = "g = Gather<axis=1>(r, order)\n  y = Conv(g, wb)"
ROLLED = "s = Add(k, four)\n  order = Mod(s, eight)\n  "
TABLES = {
    "rolled": (ROLLED + TAKEN, "eight"),
    "a scale too": (
        f"{ROLLED}g = Gather<axis=1>(r, order)\n  t = Gather<axis=0>(scale, order)\n  h = Mul(g, t)\n"
        "  y = Conv(h, wb)",
        "eight",
    ),
    "shuffled": (
        f"v = Reshape(k, rows)\n  t = Transpose(v)\n  order = Reshape(t, flat)\n  {TAKEN}",
        "eight",
    ),
    "twice": ("order = Mod(k, eight)\n  g = Gather<axis=1>(r, order)\n  y = Conv(g, wc)", "sixteen"),
    "a mask": (
        "q = Less(k, four)\n  f = Cast<to=1>(q)\n  u = Unsqueeze(f, behind)\n  h = Mul(r, u)\n  y = Conv(h, wb)",
        "eight",
    ),
    "numbers": (
        "f = Cast<to=1>(k)\n  u = Unsqueeze(f, behind)\n  h = Mul(r, u)\n  y = Conv(h, wb)",
        "eight",
    ),
}


@pytest.mark.parametrize(("table", "count"), TABLES.values(), ids=TABLES)
def test_computed_tables_are_cut_with_their_channels(table: str, count: str) -> None:
    text = NET.format(table=table, count=count)
    for mark in "(),":
        text = text.replace(mark, f" {mark} ")
    used = {name: array for name, array in ARRAYS.items() if name in text.split()}
    graph, small, _ = round_trip(opened(NET.format(table=table, count=count), used))
    assert any(group.prunable for group in couple(graph).groups)
    assert small.params["wa"].shape[0] < 8
