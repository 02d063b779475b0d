"""What an engine rewards: the multiple of channels that a target wants."""

from __future__ import annotations

from .ir import UsageError

# Blocked layouts of ONNX Runtime need multiples of 4 and pay in blocks of the vector width; tensor cores
# take 8 half-precision or 32 eight-bit channels at a time.
_ALIGN = {
    "onnxruntime-x86": 8,
    "openvino-x86": 8,
    "tensorrt-fp16": 8,
    "tensorrt-fp32": 8,
    "tensorrt-int8": 32,
}


def align_of(target: str) -> int:
    """The channel multiple of ``target``; raises UsageError where it is unknown."""
    if target not in _ALIGN:
        raise UsageError(f"there is no target '{target}'", advice=f"there are {', '.join(sorted(_ALIGN))}")
    return _ALIGN[target]


def targets() -> tuple[str, ...]:
    return tuple(sorted(_ALIGN))
