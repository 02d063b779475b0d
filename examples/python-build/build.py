"""Make small.onnx as the committed plan says, and prove it."""

from __future__ import annotations

import onnx

import prunepass as pp

if __name__ == "__main__":
    plan, model = pp.Plan.load("plan.json"), onnx.load("net.onnx")
    small = pp.apply(plan, model)
    pp.verify(model, small, plan)
    onnx.save(small, "small.onnx")
