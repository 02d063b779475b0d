"""OpenVINO on the CPU.

It would compute in bfloat16 where the processor has it; here it computes in float32 unless told otherwise,
so that proofs hold and engines are compared like for like.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeGuard

import msgspec
import numpy as np
import numpy.typing as npt

from ..ir import BackendError, PrunepassError, UsageError
from ._arrays import BFLOAT16, as_bits, from_bits, native
from ._closing import Closing
from ._feeds import check_feeds, random_feeds
from ._here import Here
from ._openvino_read import layers_of, model_error, no_model, tensor_spec, times_of
from ._options import Threads, read_options
from ._protocol import Clock, Feeds, Layer, LayerTime, Memory, TensorSpec
from ._source import onnx_source
from ._times import layer_times
from ._write import written

_INSTALL = "install it with: pip install 'prunepass[openvino]'"
_DEVICE = "CPU"
_CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}


class Options(msgspec.Struct, frozen=True):
    """Options of a build.

    Attributes:
        threads: that one inference uses, in one stream.
        precision: that it computes in, whatever the model's own; a processor need not offer all.
    """

    threads: Threads = 1
    precision: Literal["f32", "bf16", "f16"] = "f32"


def _runtime() -> Any:
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise BackendError(f"openvino cannot be imported: {error}", advice=_INSTALL) from error
    return openvino


class OpenVino(Here):
    """Builds engines with OpenVINO's CPU plugin, from ONNX or from what its engines wrote."""

    name = "openvino"
    reads = ("onnx", "xml", "blob")

    def ready(self) -> object:
        return _runtime()

    def version(self) -> str:
        return str(_runtime().__version__).split("-", 1)[0]

    def clock(self, options: Mapping[str, object] | None = None) -> Clock:
        return "cpu" if read_options(Options, options).threads == 1 else "wall"

    def build(self, model: object, *, options: Mapping[str, object] | None = None) -> OpenVinoEngine:
        """An engine from what :func:`onnx_source` takes, or from a ``.xml`` or ``.blob`` that ``save`` wrote."""
        read = read_options(Options, options)
        _check_precision(_runtime().Core(), read.precision)
        return OpenVinoEngine(self, onnx_source(model), read)


def _check_precision(core: Any, precision: str) -> None:
    offered = core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    if _CAPABILITIES[precision] not in offered:
        has = ", ".join(name for name, word in _CAPABILITIES.items() if word in offered)
        raise BackendError(f"this processor computes nothing in {precision}", advice=f"it offers {has}")


def _read(core: Any, source: Path | bytes) -> Any:
    """The model in ``source``. ONNX is asked for: guessing the format tries and logs every other reader."""
    from openvino.frontend import FrontEndManager

    if isinstance(source, Path) and source.suffix == ".xml":
        return core.read_model(source)
    reader = FrontEndManager().load_by_framework("onnx")
    given = os.fspath(source) if isinstance(source, Path) else io.BytesIO(source)
    model = reader.convert(reader.load(given))
    if not model.outputs:
        raise no_model(source.name if isinstance(source, Path) else "model")
    return model


def _is_blob(source: Path | bytes) -> TypeGuard[Path]:
    return isinstance(source, Path) and source.suffix == ".blob"


class OpenVinoEngine(Closing):
    """A compiled model with one request, and the source, which profiling and saving read once more."""

    def __init__(self, backend: OpenVino, source: Path | bytes, options: Options) -> None:
        self.backend = backend
        self._source, self._options = source, options
        compiled = self._make()
        self._compiled: Any = compiled
        self._request: Any = compiled.create_infer_request()
        self.inputs: tuple[TensorSpec, ...] = tuple(map(tensor_spec, compiled.inputs))
        self.outputs: tuple[TensorSpec, ...] = tuple(map(tensor_spec, compiled.outputs))
        self._types = [port.get_element_type() for port in compiled.inputs]

    def _make(self, **extra: object) -> Any:
        settings = {
            "INFERENCE_PRECISION_HINT": self._options.precision,
            "INFERENCE_NUM_THREADS": self._options.threads,
            "NUM_STREAMS": 1,
            **extra,
        }
        core = _runtime().Core()
        try:
            if _is_blob(self._source):
                return core.import_model(self._source.read_bytes(), _DEVICE, settings)
            return core.compile_model(_read(core, self._source), _DEVICE, settings)
        except PrunepassError:
            raise
        except Exception as error:  # its exceptions share no base class
            raise model_error(error, self._source) from error

    def run(self, feeds: Feeds) -> dict[str, npt.NDArray[Any]]:
        return self._infer(self._open(self._request), feeds)

    def _open(self, part: Any) -> Any:
        if part is None:
            raise UsageError("the engine is closed", advice="use it inside its with block")
        return part

    def _infer(self, request: Any, feeds: Feeds) -> dict[str, npt.NDArray[Any]]:
        arrays = {name: native(array) for name, array in feeds.items()}
        # OpenVINO converts another dtype, takes another shape, and computes an input that is not fed on what
        # its memory holds, all without a word.
        check_feeds(self.inputs, arrays)
        tensor = _runtime().Tensor
        try:
            for place, (spec, kind) in enumerate(zip(self.inputs, self._types, strict=True)):
                array = arrays[spec.name]
                request.set_input_tensor(place, tensor(as_bits(array), array.shape, kind))
            request.infer(share_outputs=True)
            return {
                spec.name: _result(request.get_output_tensor(place).data, spec)
                for place, spec in enumerate(self.outputs)
            }
        except Exception as error:  # as above
            raise model_error(error, self._source) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the engine: ``.blob`` as compiled, ``.xml`` as the model in OpenVINO's own format.

        A blob is one file that fits this version of OpenVINO and this kind of processor. The other is
        portable, float32 weights as they are in a ``.bin`` beside it. Options are those of the next build.
        """
        suffix = Path(path).suffix
        if suffix not in (".blob", ".xml"):
            advice = "name it .blob (compiled, one file) or .xml (portable, weights in .bin)"
            raise UsageError("OpenVINO writes no such file", where=os.fspath(path), advice=advice)
        if suffix == ".xml" and _is_blob(self._source):
            raise UsageError("a blob holds no portable model", where=os.fspath(path), advice="name it .blob")
        compiled = self._open(self._compiled)
        with written(path) as part:
            if suffix == ".xml":
                ov = _runtime()
                ov.save_model(_read(ov.Core(), self._source), part, compress_to_fp16=False)
            else:
                stream = io.BytesIO()
                compiled.export_model(stream)
                part.write_bytes(stream.getvalue())

    def layers(self) -> tuple[Layer, ...]:
        return layers_of(self._open(self._compiled).get_runtime_model())

    def profile(self, feeds: Feeds | None = None, *, runs: int = 10) -> tuple[LayerTime, ...]:
        if runs < 1:
            raise UsageError(f"cannot profile {runs} inferences", advice="runs is at least 1")
        given = random_feeds(self.inputs) if feeds is None else feeds
        request = self._make(PERF_COUNT=True).create_infer_request()
        # The first inference allocates memory and chooses kernels: it is no measure of the others.
        self._infer(request, given)
        times = []
        for _ in range(runs):
            self._infer(request, given)
            times.append(times_of(request.profiling_info))
        return layer_times(times)

    def memory(self) -> Memory:
        """Nothing: OpenVINO tells neither."""
        return Memory()

    def close(self) -> None:
        self._request = self._compiled = None


def _result(data: npt.NDArray[Any], spec: TensorSpec) -> npt.NDArray[Any]:
    """A copy: the next inference writes to the same memory."""
    copied = np.array(data)
    return from_bits(copied) if spec.dtype == BFLOAT16 else copied


backend = OpenVino()
