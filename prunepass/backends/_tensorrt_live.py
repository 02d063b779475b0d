"""An engine on the GPU: a plan that is deserialised, its context, its inspector and its profiler."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median
from typing import Any

from ..ir import BackendError
from ._protocol import LayerTime
from ._tensorrt_cuda import Device
from ._tensorrt_log import Log, listener, undisturbed
from ._tensorrt_memory import tensors_of
from ._tensorrt_run import Arrays, Capture, Runner
from ._tensorrt_seam import ICudaEngine, IExecutionContext, IRuntimeConfig, Runtime


class Live:
    """A plan on the GPU; :meth:`close` gives back what it holds there.

    Args:
        specialized: whether it is TensorRT-RTX, which compiles kernels for the sizes that it meets.

    Raises:
        BackendError: the plan is for another GPU or another version, or does not fit into memory.
    """

    def __init__(self, trt: Any, plan: bytes, device: Device, *, specialized: bool) -> None:
        self._trt, self._device, self._specialized = trt, device, specialized
        self._log = Log()
        self._configs: list[IRuntimeConfig] = []  # nothing says that a context keeps its own
        self._logger = listener(trt, self._log)
        with undisturbed():
            self.engine = self._engine(trt.Runtime(self._logger), plan)
            self.runner = self._runner(self._context(), capture=True)

    def close(self) -> None:
        self.runner.close()

    def inspected(self) -> str:
        """The engine inspector's JSON."""
        inspector = self.engine.create_engine_inspector()
        return inspector.get_engine_information(self._trt.LayerInformationFormat.JSON)

    def profile(self, feeds: Arrays, runs: int) -> tuple[LayerTime, ...]:
        """Median time of each layer over ``runs`` inferences, without a CUDA graph."""
        context = self._context()  # by itself: a context that is profiled waits after every layer
        layers: list[tuple[str, float]] = []
        profiler = _profiler(self._trt, layers)
        context.profiler = profiler
        with ExitStack() as stack:
            runner = self._runner(context, capture=False)
            stack.callback(runner.close)
            inferences = [_inference(runner, feeds, layers) for _ in range(runs + 1)]
        # The first one holds two: the one that allocates, and itself.
        return _medians(inferences[1:])

    def _engine(self, runtime: Runtime, plan: bytes) -> ICudaEngine:
        engine = runtime.deserialize_cuda_engine(plan)  # which keeps the runtime
        if engine is None:
            what = f"the engine does not load: {self._log.said()}"
            raise BackendError(what, advice="build it for this GPU, with this version of the package")
        return engine

    def _context(self) -> IExecutionContext:
        if self._specialized:
            config = self.engine.create_runtime_config()
            # Else a stand-in kernel would be measured, and captured, until the right one is compiled.
            eager = self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
            config.dynamic_shapes_kernel_specialization_strategy = eager
            self._configs.append(config)
            context = self.engine.create_execution_context(config)
        else:
            context = self.engine.create_execution_context()
        if context is None:
            what = f"the engine gets no memory: {self._log.said()}"
            raise BackendError(what, advice="close other engines, or build for smaller shapes")
        return context

    def _runner(self, context: IExecutionContext, *, capture: bool) -> Runner:
        how: Capture = "never" if not capture else "ask" if self._specialized else "try"
        return Runner(context, tensors_of(self._trt, self.engine), self._device, self._log, how)


def _inference(runner: Runner, feeds: Arrays, layers: list[tuple[str, float]]) -> dict[str, float]:
    layers.clear()
    runner.run(feeds)
    sums: dict[str, float] = {}
    for name, milliseconds in layers:
        sums[name] = sums.get(name, 0.0) + milliseconds
    return sums


def _medians(inferences: list[dict[str, float]]) -> tuple[LayerTime, ...]:
    names = dict.fromkeys(name for times in inferences for name in times)
    found = {name: median(times.get(name, 0.0) for times in inferences) * 1e3 for name in names}
    whole = sum(found.values()) or 1.0
    return tuple(LayerTime(name, "", time, time / whole) for name, time in found.items())


def _profiler(trt: Any, layers: list[tuple[str, float]]) -> Any:
    class Profiler(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            layers.append((layer_name, ms))

    return Profiler()
