"""The ways in which PyTorch runs a module, its options, and what it says when it cannot."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import msgspec

from ..ir import BackendError, ModelError, PrunepassError, UnsupportedError, UsageError
from ._options import Threads
from ._torch_program import Program
from ._torch_tensors import runtime

Call: TypeAlias = Callable[[Sequence[Any]], Any]

_DTYPES = {"fp16": "float16", "bf16": "bfloat16"}
# What a compiler of torch raises in its own words, and what to do about it.
_COMPILERS = {
    "InvalidCxxCompiler": ("a C++ compiler", "install g++ or name one in CXX, or use mode=eager"),
    "TritonMissing": ("triton", "install the triton of this torch, or use mode=eager"),
}
_WARM_UPS = 3


class Options(msgspec.Struct, frozen=True):
    """Options of a build.

    Attributes:
        threads: that one inference uses.
        mode: ``eager`` runs operator by operator, ``compile`` what ``torch.compile`` makes of it (on a CPU it
            needs a C++ compiler), ``cudagraph`` launches all kernels of eager mode at once (it needs CUDA).
        device: that it computes on.
        dtype: that it computes in; ``same`` is the model's own. Inputs keep their types, and results in the
            narrower type are given as float32.
        memory_format: of weights and inputs with four axes.
    """

    threads: Threads = 1
    mode: Literal["eager", "compile", "cudagraph"] = "eager"
    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Literal["same", "fp16", "bf16"] = "same"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"


def check_options(options: Options) -> None:
    """Hold options against each other and the machine.

    Raises:
        UsageError: a mode does not run on the device.
        BackendError: there is no such device.
    """
    torch = runtime()
    if options.mode == "cudagraph" and options.device != "cuda":
        raise UsageError("mode=cudagraph runs on CUDA only", advice="add device=cuda")
    if options.device == "cuda" and not torch.cuda.is_available():
        what = f"torch {torch.__version__} finds no CUDA device"
        raise BackendError(what, advice="use device=cpu, or install a torch for CUDA and the driver")


def placed(program: Program, options: Options) -> Any:
    """The module of ``program``, on the device and in the types of ``options``."""
    module = program.module.to(options.device)
    if options.memory_format == "channels_last":
        module = module.to(memory_format=runtime().channels_last)
    return module if options.dtype == "same" else module.to(dtype=_narrow(options))


def _narrow(options: Options) -> Any:
    return getattr(runtime(), _DTYPES[options.dtype])


def moved(tensor: Any, options: Options) -> Any:
    """An input where and as the module takes it."""
    made = tensor.to(options.device)
    if options.dtype != "same" and made.is_floating_point():
        made = made.to(_narrow(options))
    if options.memory_format == "channels_last" and made.dim() == 4:
        made = made.contiguous(memory_format=runtime().channels_last)
    return made


def widened(tensor: Any, options: Options) -> Any:
    """A result as it is given back."""
    narrower = options.dtype != "same" and tensor.dtype == _narrow(options)
    return tensor.float() if narrower else tensor


def plain(program: Program, module: Any, options: Options) -> Call:
    """Calls ``module`` with tensors."""

    def call(tensors: Sequence[Any]) -> Any:
        args, kwargs = program.arguments([moved(tensor, options) for tensor in tensors])
        return module(*args, **kwargs)

    return call


def compiled(module: Any) -> Any:
    """``module`` as ``torch.compile`` compiles it at its first call."""
    compile_ = runtime().compile
    # Where torch can count each engine's compilations alone it must: after eight of one class it would go on
    # uncompiled, without a word.
    alone = "isolate_recompiles" in inspect.signature(compile_).parameters
    return compile_(module, **({"isolate_recompiles": True} if alone else {}))


def captured(call: Call, program: Program, options: Options) -> Call:
    """Replays the kernels of one ``call`` on the program's example inputs, with other data.

    Raises:
        UsageError: the program brings no example inputs.
    """
    cuda = runtime().cuda
    if program.example is None:
        raise UsageError("a CUDA graph needs the sizes of inputs", advice="export with example inputs")
    held = [moved(tensor, options).clone() for tensor in program.example]
    side = cuda.Stream()
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):
        for _ in range(_WARM_UPS):
            call(held)
    cuda.current_stream().wait_stream(side)
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        made = call(held)

    def replay(tensors: Sequence[Any]) -> Any:
        for into, tensor in zip(held, tensors, strict=True):
            into.copy_(tensor)
        graph.replay()
        return made

    return replay


@contextmanager
def running(threads: int) -> Iterator[None]:
    """Inference on so many threads; the process has its own number back afterwards.

    Raises:
        BackendError: a compiler that torch needs is missing.
        ModelError: the model fails.
    """
    torch = runtime()
    before = torch.get_num_threads()
    try:
        if threads != before:
            torch.set_num_threads(threads)
        with torch.inference_mode():
            yield
    except PrunepassError:
        raise
    except Exception as error:  # it is the user's own code
        raise torch_error(error) from error
    finally:
        if threads != before:
            torch.set_num_threads(before)


@contextmanager
def silent() -> Iterator[None]:
    """Without the warnings of torch's own parts, about which a user can do nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def torch_error(error: Exception) -> PrunepassError:
    """An error of PyTorch or of a module as one that says what to do."""
    text = f"{type(error).__name__}: {error}"
    for word, (missing, advice) in _COMPILERS.items():
        if word in text:
            return BackendError(f"mode=compile needs {missing}, and there is none that works", advice=advice)
    first = str(error).strip().splitlines()[0] if str(error).strip() else ""
    if isinstance(error, NotImplementedError):
        return UnsupportedError(f"torch has no kernel: {first}")
    return ModelError(f"torch fails: {type(error).__name__}: {first}")
