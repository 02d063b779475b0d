"""Run the pass as Olive does: search first, then apply what was found."""

from __future__ import annotations

from olive.model import ONNXModelHandler
from olive.passes.olive_pass import create_pass_from_dict

from prunepass.integrations.olive import PrunepassPrune

if __name__ == "__main__":
    model = ONNXModelHandler(model_path="net.onnx")
    search = {"budget": "macs=0.5", "align": 8, "plan_out": "plan.json"}
    create_pass_from_dict(PrunepassPrune, search, disable_search=True).run(model, "searched")
    create_pass_from_dict(PrunepassPrune, {"plan": "plan.json"}, disable_search=True).run(model, "applied")
