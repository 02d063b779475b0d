"""Equalities between weights that modules of torch.nn demand by their own code."""

from __future__ import annotations

from collections.abc import Iterator

from torch import fx

from ...ir import Graph, Tie

_ATTENTION = "MultiheadAttention"


def attention_ties(gm: fx.GraphModule, graph: Graph) -> tuple[Tie, ...]:
    """``nn.MultiheadAttention`` reads its width, and heads times head size, from one number ``embed_dim``.

    The columns of the query projection are the width, the columns of the output projection are heads times
    head size; with separate projections the values must have as many rows as the queries.
    """
    return tuple(tie for path in _attention_paths(gm) for tie in _ties(graph, f"{path}." if path else ""))


def _attention_paths(gm: fx.GraphModule) -> dict[str, None]:
    found: dict[str, None] = {}
    for node in gm.graph.nodes:
        for path, kind in (node.meta.get("nn_module_stack") or {}).values():
            if str(kind).rpartition(".")[2].rstrip("'>") == _ATTENTION:
                found[str(path).partition("@")[0]] = None
    return found


def _ties(graph: Graph, prefix: str) -> Iterator[Tie]:
    out, reason = f"{prefix}out_proj.weight", f"{_ATTENTION} needs embed_dim == num_heads * head_dim"
    for query in ("in_proj_weight", "q_proj_weight"):
        if f"{prefix}{query}" in graph.params and out in graph.params:
            yield Tie((f"{prefix}{query}", 1), (out, 1), reason)
    rows = (f"{prefix}q_proj_weight", 0), (f"{prefix}v_proj_weight", 0)
    if all(name in graph.params for name, _ in rows):
        yield Tie(rows[0], rows[1], f"{_ATTENTION} has one head_dim for queries and values")
