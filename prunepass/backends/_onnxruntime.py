"""ONNX Runtime, on the CPU or on a GPU.

On the CPU its fast path for convolutions is a blocked channel layout (NCHWc); ``Engine.layers`` tells without a
stop-watch which steps are on it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from ..ir import BackendError, UsageError
from ._closing import Closing
from ._feeds import check_feeds, random_feeds
from ._here import Here
from ._onnxruntime_read import layers_of, model_error, tensor_spec, times_of
from ._options import Threads, read_options
from ._protocol import Clock, Feeds, Layer, LayerTime, Memory, TensorSpec
from ._source import onnx_source
from ._write import written

_INSTALL = "install it with: pip install 'prunepass[onnxruntime]'"
_LEVELS = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_ERRORS_ONLY = 3
# Each before what it leaves the rest to.
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
_GPU = "install onnxruntime-gpu in place of onnxruntime, with the CUDA and cuDNN that it names"


class Options(msgspec.Struct, frozen=True):
    """Options of a build.

    Attributes:
        threads: that one inference uses.
        optimization: level of graph rewriting. ``all`` is the only one with the blocked layout; what ``save``
            writes then fits this kind of processor only, ``extended`` is portable.
        provider: what computes; what it does not take, the next of TensorRT, CUDA and CPU does.
    """

    threads: Threads = 1
    optimization: Literal["none", "basic", "extended", "all"] = "all"
    provider: Literal["cpu", "cuda", "tensorrt"] = "cpu"


def _runtime() -> Any:
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        raise BackendError(f"onnxruntime cannot be imported: {error}", advice=_INSTALL) from error
    return onnxruntime


class OnnxRuntime(Here):
    """Builds engines with ONNX Runtime."""

    name = "onnxruntime"
    reads = ("onnx",)

    def ready(self) -> object:
        return _runtime()

    def version(self) -> str:
        return str(_runtime().__version__)

    def clock(self, options: Mapping[str, object] | None = None) -> Clock:
        read = read_options(Options, options)
        return "cpu" if read.threads == 1 and read.provider == "cpu" else "wall"

    def build(self, model: object, *, options: Mapping[str, object] | None = None) -> OnnxRuntimeEngine:
        """An engine from what :func:`onnx_source` takes; options as in :class:`Options`."""
        read = read_options(Options, options)
        _check_provider(_runtime(), read.provider)
        return OnnxRuntimeEngine(self, onnx_source(model), read)


def _check_provider(ort: Any, provider: str) -> None:
    has = ort.get_available_providers()
    if _PROVIDERS[provider][0] not in has:
        what = f"onnxruntime {ort.__version__} is installed with {', '.join(has)}, without {_PROVIDERS[provider][0]}"
        raise BackendError(what, advice=_GPU)


def _check_session(session: Any, provider: str) -> None:
    """A provider whose libraries do not load is left out, and ONNX Runtime goes on without it."""
    wanted, used = _PROVIDERS[provider][0], session.get_providers()
    if wanted not in used:
        what = f"{wanted} does not start here: onnxruntime would go on with {', '.join(used)}"
        raise BackendError(what, advice=_GPU)


class OnnxRuntimeEngine(Closing):
    """A session and the source it was made from, which profiling and saving build once more."""

    def __init__(self, backend: OnnxRuntime, source: Path | bytes, options: Options) -> None:
        self.backend = backend
        self._source, self._options = source, options
        session = self._make()
        self._session: Any = session
        self.inputs: tuple[TensorSpec, ...] = tuple(map(tensor_spec, session.get_inputs()))
        self.outputs: tuple[TensorSpec, ...] = tuple(map(tensor_spec, session.get_outputs()))
        self._names = [spec.name for spec in self.outputs]

    def _make(self, **extra: object) -> Any:
        ort = _runtime()
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = self._options.threads
        settings.inter_op_num_threads = 1
        level = _LEVELS[self._options.optimization]
        settings.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
        settings.log_severity_level = _ERRORS_ONLY
        # Idle workers would otherwise spin on into the next engine's turn and be charged to it.
        settings.add_session_config_entry("session.force_spinning_stop", "1")
        for name, value in extra.items():
            setattr(settings, name, value)
        given = os.fspath(self._source) if isinstance(self._source, Path) else self._source
        try:
            session = ort.InferenceSession(
                given, settings, providers=list(_PROVIDERS[self._options.provider])
            )
        except Exception as error:  # its exceptions share no base class
            raise model_error(error, self._source) from error
        _check_session(session, self._options.provider)
        return session

    def run(self, feeds: Feeds) -> dict[str, npt.NDArray[Any]]:
        if self._session is None:
            raise UsageError("the engine is closed", advice="use it inside its with block")
        return self._infer(self._session, feeds)

    def _infer(self, session: Any, feeds: Feeds) -> dict[str, npt.NDArray[Any]]:
        arrays = {name: np.asarray(array) for name, array in feeds.items()}
        try:
            # Arrays are of the host: a GPU has finished when their results are there.
            results = session.run(self._names, arrays)
        except Exception as error:  # as above; checked only now because a check would be timed too
            check_feeds(self.inputs, arrays)
            raise model_error(error, self._source) from error
        return dict(zip(self._names, results, strict=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the optimised model, as ONNX."""
        with written(path) as part:
            self._make(optimized_model_filepath=os.fspath(part))

    def layers(self) -> tuple[Layer, ...]:
        with TemporaryDirectory(prefix="prunepass-") as folder:
            part = Path(folder) / "optimized.onnx"
            self._make(optimized_model_filepath=os.fspath(part))
            return layers_of(part)

    def profile(self, feeds: Feeds | None = None, *, runs: int = 10) -> tuple[LayerTime, ...]:
        if runs < 1:
            raise UsageError(f"cannot profile {runs} inferences", advice="runs is at least 1")
        given = random_feeds(self.inputs) if feeds is None else feeds
        with TemporaryDirectory(prefix="prunepass-") as folder:
            prefix = os.fspath(Path(folder) / "profile")
            session = self._make(enable_profiling=True, profile_file_prefix=prefix)
            try:
                for _ in range(runs + 1):
                    self._infer(session, given)
            finally:
                written = Path(session.end_profiling())
            # The first inference allocates memory and plans: it is no measure of the others.
            return times_of(written.read_bytes(), skip=1)

    def memory(self) -> Memory:
        """Nothing: ONNX Runtime tells neither."""
        return Memory()

    def close(self) -> None:
        self._session = None


backend = OnnxRuntime()
