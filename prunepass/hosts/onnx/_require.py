"""The packages that ONNX models need, asked for once with an answer that helps."""

from __future__ import annotations

from ...ir import BackendError

try:
    import onnx
    import onnx_ir
except ImportError as error:
    raise BackendError(
        f"ONNX models need the packages onnx and onnx_ir: {error}", advice="pip install 'prunepass[onnx]'"
    ) from error

MODULES = (onnx.__name__, onnx_ir.__name__)
