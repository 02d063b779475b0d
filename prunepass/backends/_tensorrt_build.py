"""From an ONNX model to the bytes of a plan: parse, profile, build. Precision is that of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..ir import BackendError, ModelError, UnsupportedError, UsageError
from ._protocol import TensorSpec
from ._tensorrt_files import write_whole
from ._tensorrt_log import Log, listener, undisturbed
from ._tensorrt_seam import (
    Builder,
    IBuilderConfig,
    INetworkDefinition,
    ITensor,
    ITimingCache,
    OnnxParser,
    ParserError,
)
from ._tensorrt_shapes import Range, check_ranges, is_free

_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "FP8": "float8_e4m3fn",
    "BOOL": "bool",
}
_NO_MODEL = "this is no ONNX model"
_EXPORT = "export it again"
_UNKNOWN = "Plugin not found"
_SHOWN = 3
_NO_GPU = "set compute_capability (sm89, say, or portable) to build for another machine"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a build besides the model.

    Attributes:
        ranges: sizes of the inputs that are free.
        workspace: limit of scratch memory in MiB. level: optimisation level, 0 to 5. None leaves TensorRT's own.
        capability: of the GPU to build for, as TensorRT-RTX names it; None where the package has no choice,
            empty for an engine that runs on every GPU that the package calls portable.
        timing_cache: file of measured kernels, read and written; None without.
    """

    ranges: Mapping[str, Range]
    workspace: int | None = None
    level: int | None = None
    capability: str | None = None
    timing_cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """A plan, what it takes and gives, and what TensorRT said while building it.

    Attributes:
        usual: by input that ``shapes`` named, the sizes that the engine is best at.
        shape_tensors: inputs that hold sizes; ``usual`` has their values.
    """

    plan: bytes
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    usual: Mapping[str, tuple[int, ...]]
    shape_tensors: frozenset[str]
    log: Log


def build(trt: Any, source: Path | bytes, settings: Settings) -> Built:
    """Build a plan.

    Raises:
        ModelError: it is no ONNX model, or TensorRT refuses it. UnsupportedError: an operator it has not.
        UsageError: sizes of a free input are missing or do not fit.
        BackendError: there is no GPU where one is needed.
    """
    with undisturbed():
        return _build(trt, source, settings)


def _build(trt: Any, source: Path | bytes, settings: Settings) -> Built:
    log, ranges = Log(), settings.ranges
    logger = listener(trt, log)
    where = source.name if isinstance(source, Path) else "model"
    builder = _builder(trt, logger, log)
    # Version 11 has no other kind of network, and takes the flag still.
    network: INetworkDefinition = builder.create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    )
    parser = trt.OnnxParser(network, logger)
    _parse(parser, network, source, where)
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    check_ranges(inputs, ranges)
    config = builder.create_builder_config()
    _configure(trt, config, settings)
    _profile(builder, config, inputs, ranges)
    plan = _plan(builder, network, config, settings.timing_cache)
    if plan is None:
        raise _build_error(log, settings, where)
    return Built(
        plan,
        tuple(_spec(tensor, ranges) for tensor in inputs),
        tuple(_spec(tensor, {}) for tensor in outputs),
        {name: given.usual for name, given in ranges.items()},
        frozenset(tensor.name for tensor in inputs if tensor.is_shape_tensor),
        log,
    )


def _plan(
    builder: Builder, network: INetworkDefinition, config: IBuilderConfig, timing_cache: Path | None
) -> bytes | None:
    cache = None if timing_cache is None else _read_cache(config, timing_cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        return None
    if cache is not None and timing_cache is not None:
        write_whole(timing_cache, bytes(cache.serialize()), "timing cache")
    return bytes(plan)


def _builder(trt: Any, logger: Any, log: Log) -> Builder:
    try:
        made: Builder = trt.Builder(logger)
    except (TypeError, RuntimeError) as error:  # how its bindings say that there was none
        what = f"TensorRT does not start: {log.said() if log.errors() else error}"
        raise BackendError(what, advice="it needs a GPU and its driver") from error
    return made


def _parse(parser: OnnxParser, network: INetworkDefinition, source: Path | bytes, where: str) -> None:
    done = parser.parse_from_file(str(source)) if isinstance(source, Path) else parser.parse(source)
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    if errors or not done:
        raise _parse_error(errors, where)
    # What is no model at all may be read as one without nodes.
    if network.num_layers == 0 or network.num_outputs == 0:
        raise ModelError(f"{_NO_MODEL}, or one that computes nothing", where=where, advice=_EXPORT)


def _parse_error(errors: Sequence[ParserError], where: str) -> ModelError:
    if not errors:
        return ModelError("TensorRT cannot parse it, and gives no reason", where=where)
    first, code = errors[0], errors[0].code().name
    if code == "MODEL_DESERIALIZE_FAILED":
        return ModelError(_NO_MODEL, where=where, advice=_EXPORT)
    told = "; also ".join(_told(error) for error in errors[:_SHOWN])
    if first.node() >= 0:
        where = first.node_name() or f"node {first.node()}"
    if code.startswith("UNSUPPORTED") or _UNKNOWN in first.desc():
        return UnsupportedError(f"TensorRT cannot take {told}", where=where)
    return ModelError(f"TensorRT refuses {told}", where=where)


def _told(error: ParserError) -> str:
    text = " ".join(error.desc().removeprefix("Assertion failed: ").split())
    return f"{error.node_operator()} '{error.node_name()}': {text}" if error.node() >= 0 else f"it: {text}"


def _configure(trt: Any, config: IBuilderConfig, settings: Settings) -> None:
    # Without it neither the log nor the inspector tells which nodes a layer covers.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if settings.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace << 20)
    if settings.level is not None:
        config.builder_optimization_level = settings.level
    if settings.capability:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.__members__[settings.capability], 0)


def _profile(
    builder: Builder, config: IBuilderConfig, inputs: Sequence[ITensor], ranges: Mapping[str, Range]
) -> None:
    if not any(map(is_free, inputs)):
        return
    profile = builder.create_optimization_profile()
    for tensor in filter(is_free, inputs):
        given = ranges[tensor.name]
        declare = profile.set_shape_input if tensor.is_shape_tensor else profile.set_shape
        declare(tensor.name, given.least, given.usual, given.most)
    if config.add_optimization_profile(profile) < 0:
        raise UsageError(
            "TensorRT refuses the sizes in shapes", advice="least <= usual <= most, each 1 or more"
        )


def _read_cache(config: IBuilderConfig, path: Path) -> ITimingCache:
    content = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(content)
    if not config.set_timing_cache(cache, False):
        what = "the timing cache is of another GPU or another TensorRT, or damaged"
        raise UsageError(what, where=str(path), advice="name a new file in timing_cache")
    return cache


def _build_error(log: Log, settings: Settings, where: str) -> BackendError | ModelError:
    cuda = log.cuda_error()
    if cuda is not None:
        advice = _NO_GPU if settings.capability == "CURRENT" else "it needs a GPU with its driver"
        return BackendError(f"the GPU cannot be used: CUDA error {cuda}", advice=advice)
    return ModelError(f"TensorRT cannot build it: {log.said()}", where=where)


def dtype_of(trt_dtype: Any) -> str:
    """numpy's name of a ``trt.DataType``; what numpy has no name for keeps TensorRT's."""
    name = str(trt_dtype.name)
    return _DTYPES.get(name, name.lower())


def _spec(tensor: ITensor, ranges: Mapping[str, Range]) -> TensorSpec:
    sizes = list(tensor.shape)
    given = None if tensor.is_shape_tensor else ranges.get(tensor.name)
    if given is not None:
        pairs = zip(given.least, given.most, strict=True)
        sizes = [least if least == most else -1 for least, most in pairs]
    shape = (size if size >= 0 else tensor.get_dimension_name(axis) or "?" for axis, size in enumerate(sizes))
    return TensorSpec(tensor.name, tuple(shape), dtype_of(tensor.dtype))
