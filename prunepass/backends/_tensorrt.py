"""TensorRT 10 and 11, and TensorRT-RTX 1: one source for the three packages.

It is written to the surface of version 11, which the others share but for what :class:`Flavour` tells apart.
TensorRT-RTX builds without a GPU; everything else needs one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..ir import BackendError, UsageError
from ._closing import Closing
from ._device_times import DeviceTimes
from ._feeds import check_feeds, random_feeds
from ._here import Here
from ._options import Threads, read_options
from ._protocol import Clock, Feeds, Layer, LayerTime, Memory, TensorSpec
from ._source import onnx_source
from ._tensorrt_build import Built, Settings, build
from ._tensorrt_cuda import Device, load_cuda
from ._tensorrt_files import write_whole
from ._tensorrt_live import Live
from ._tensorrt_read import layers_of_json, layers_of_log, memory_of_log
from ._tensorrt_shapes import read_shapes

_OLDEST = (10, 1)
_PORTABLE, _HERE = "portable", "CURRENT"


class Common(msgspec.Struct, frozen=True):
    """Options of a build.

    Attributes:
        threads: accepted, because every backend knows it; the GPU runs the inference.
        shapes: sizes of free inputs, ``x=1x3x224x224`` or ``x=least:usual:most``, commas between inputs.
        workspace: limit of scratch memory, in MiB.
        optimization_level: how long the builder searches, 0 to 5; 3 unless given.
    """

    threads: Threads = 1
    shapes: str = ""
    workspace: Annotated[int, msgspec.Meta(ge=1)] | None = None
    optimization_level: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None


class Options(Common, frozen=True):
    """Options of TensorRT.

    Attributes:
        timing_cache: file of measured kernels, read if it exists and written; builds with it are quicker, and
            choose the same kernels again.
    """

    timing_cache: str = ""


class RtxOptions(Common, frozen=True):
    """Options of TensorRT-RTX.

    Attributes:
        compute_capability: of the GPU to build for, ``sm89``; ``portable`` for every one since Ampere. The GPU
            that is there unless given.
    """

    compute_capability: str = ""


@dataclass(frozen=True, slots=True)
class Flavour:
    """Differences between the TensorRT packages.

    Attributes:
        module: the package to import. extra: of prunepass that installs it.
        rtx: it builds ahead of time, for a compute capability, and compiles kernels where it runs.
    """

    module: str
    extra: str
    rtx: bool


class TensorRt(Here):
    """Builds engines with one of the packages."""

    reads: tuple[str, ...] = ("onnx",)

    def __init__(self, name: str, flavour: Flavour) -> None:
        self.name, self.flavour = name, flavour

    @property
    def _install(self) -> str:
        return f"install it with: pip install 'prunepass[{self.flavour.extra}]'"

    def version(self) -> str:
        return str(self.package().__version__)

    def package(self) -> Any:
        """The package itself.

        Raises:
            BackendError: it is missing, broken or too old.
        """
        module = self.flavour.module
        try:
            found = import_module(module)
        except (ImportError, OSError) as error:
            raise BackendError(f"{module} cannot be imported: {error}", advice=self._install) from error
        if not self.flavour.rtx and _release(found.__version__) < _OLDEST:
            raise BackendError(f"{module} {found.__version__} is too old", advice="install 10.1 or later")
        return found

    def device(self) -> Device:
        """The GPU.

        Raises:
            BackendError: there is none, or ``cuda-bindings`` is missing.
        """
        found = Device(load_cuda(self._install))
        reason = found.unavailable()
        if reason is not None:
            raise BackendError(f"{self.name} needs a GPU here: {reason}")
        return found

    def clock(self, options: Mapping[str, object] | None = None) -> Clock:
        self._read(options)
        return "device"

    def _read(self, options: Mapping[str, object] | None) -> Common:
        return read_options(RtxOptions if self.flavour.rtx else Options, options)

    def build(self, model: object, *, options: Mapping[str, object] | None = None) -> TensorRtEngine:
        """An engine from what :func:`onnx_source` takes; options as in :class:`Options`, :class:`RtxOptions`."""
        read = self._read(options)
        trt = self.ready()
        settings = Settings(
            ranges=read_shapes(read.shapes),
            workspace=read.workspace,
            level=read.optimization_level,
            capability=_capability(trt, read),
            timing_cache=Path(read.timing_cache) if isinstance(read, Options) and read.timing_cache else None,
        )
        return TensorRtEngine(self, build(trt, onnx_source(model), settings))

    def ready(self) -> Any:
        trt = self.package()
        if not self.flavour.rtx:
            self.device()
        return trt


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _capability(trt: Any, options: Common) -> str | None:
    """The name that TensorRT-RTX has for the option; empty for a portable engine, None for TensorRT."""
    if not isinstance(options, RtxOptions):
        return None
    wanted = options.compute_capability
    if wanted == _PORTABLE:
        return ""
    known = [name for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
    if wanted and wanted.upper() not in known:
        there = ", ".join([*map(str.lower, known), _PORTABLE])
        raise UsageError(
            f"no engine can be built for compute capability '{wanted}'", advice=f"there are {there}"
        )
    return wanted.upper() or _HERE


class TensorRtEngine(Closing):
    """A plan; it goes to the GPU when it is first run."""

    def __init__(self, backend: TensorRt, built: Built) -> None:
        self.backend = backend
        self._built: Built | None = built
        self._live: Live | None = None
        self.inputs, self.outputs = built.inputs, built.outputs

    def run(self, feeds: Feeds) -> dict[str, npt.NDArray[Any]]:
        return self._on_gpu().runner.run(self._checked(feeds))

    def device_times(self, feeds: Feeds | None = None, *, runs: int = 10, warmup: float = 0.2) -> DeviceTimes:
        """Times of ``runs`` inferences by the GPU's own clock, after ``warmup`` seconds."""
        _check_runs(runs)
        return self._on_gpu().runner.times(self._checked(feeds), runs, warmup)

    def profile(self, feeds: Feeds | None = None, *, runs: int = 10) -> tuple[LayerTime, ...]:
        """Time by layer over ``runs`` inferences; layers are handed over one by one, so their sum is no latency."""
        _check_runs(runs)
        times = self._on_gpu().profile(self._checked(feeds), runs)
        kinds = {layer.name: layer.kind for layer in self.layers()}
        return tuple(
            LayerTime(time.name, kinds.get(time.name, ""), time.microseconds, time.share) for time in times
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan."""
        write_whole(Path(path), self._open().plan, "engine")

    def layers(self) -> tuple[Layer, ...]:
        """From the inspector where the engine is on a GPU, else from the log; empty where neither tells."""
        log = self._open().log
        inspected = layers_of_json(self._live.inspected()) if self._live is not None else ()
        return inspected or layers_of_log(log)

    def layers_unavailable(self) -> str | None:
        """The reason why :meth:`layers` is empty, or None where it is not."""
        if self.layers():
            return None
        return f"{self.backend.name} {self.backend.version()} lists no layers in a form that is known"

    def memory(self) -> Memory:
        """Weights as the build states them; activations too, or as the engine on the GPU does."""
        told = memory_of_log(self._open().log)
        if self._live is None:
            return told
        return Memory(told.weights, int(self._live.engine.device_memory_size_v2))

    def close(self) -> None:
        live, self._live, self._built = self._live, None, None
        if live is not None:
            live.close()

    def _open(self) -> Built:
        if self._built is None:
            raise UsageError("the engine is closed", advice="use it inside its with block")
        return self._built

    def _on_gpu(self) -> Live:
        built = self._open()
        if self._live is None:
            device, rtx = self.backend.device(), self.backend.flavour.rtx
            self._live = Live(self.backend.package(), built.plan, device, specialized=rtx)
        return self._live

    def _checked(self, feeds: Feeds | None) -> dict[str, npt.NDArray[Any]]:
        """The feeds as arrays, or made-up ones at the sizes that the engine is best at."""
        if feeds is None:
            return self._made_up()
        # Before every run: what does not fit would be read past its end by the GPU.
        check_feeds(self.inputs, feeds)
        return {name: np.asarray(array) for name, array in feeds.items()}

    def _made_up(self) -> dict[str, npt.NDArray[Any]]:
        usual, values = self._open().usual, self._open().shape_tensors
        specs = [
            TensorSpec(
                spec.name, spec.shape if spec.name in values else usual.get(spec.name, spec.shape), spec.dtype
            )
            for spec in self.inputs
        ]
        made = random_feeds(specs)
        for spec in specs:
            if spec.name in values:
                made[spec.name] = np.asarray(usual[spec.name], spec.dtype).reshape(made[spec.name].shape)
        return made


def _check_runs(runs: int) -> None:
    if runs < 1:
        raise UsageError(f"cannot time {runs} inferences", advice="runs is at least 1")


backend = TensorRt("tensorrt", Flavour("tensorrt", "tensorrt", rtx=False))
