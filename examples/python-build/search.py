"""Find what to cut, once; commit plan.json."""

from __future__ import annotations

import prunepass as pp

if __name__ == "__main__":
    pp.prune("net.onnx", budget="macs=0.5", align=8).plan.save("plan.json")
