"""What every test relies on: repeatable examples, one thread, and an importable torchvision."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from hypothesis import settings

# One thread: sums come in one order, and parallel test runs do not fight for cores. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests interrupt programs that they start; one started in the background would hand on that it ignores that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Repeatable unless one asks for new examples: HYPOTHESIS_PROFILE=explore
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


class TorchvisionOperators(MetaPathFinder):
    """Declares two operators just before torchvision is first imported, by whomever.

    torchvision's compiled part does not load beside another build of torch, and its Python part then fails
    for want of their schemas; its models need neither. Torch is slow to import, so not before it is needed.
    """

    library: object = None

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "torchvision" and self.library is None and PathFinder.find_spec("torch"):
            self.library = _declared()
        return None


def _declared() -> object:
    import torch

    if _compiled_part_loads():
        return True
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def _compiled_part_loads() -> bool:
    import torch

    found = PathFinder.find_spec("torchvision")
    if found is None or found.origin is None:
        return False
    try:
        for part in Path(found.origin).parent.glob("_C.*"):
            torch.ops.load_library(part)
            return True
    except OSError:
        return False
    return False


sys.meta_path.insert(0, TorchvisionOperators())
