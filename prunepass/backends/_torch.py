"""PyTorch itself: operator by operator, compiled, or as a CUDA graph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from ..ir import UsageError
from ._closing import Closing
from ._feeds import check_feeds, random_feeds
from ._here import Here
from ._options import read_options
from ._protocol import Clock, Feeds, Layer, LayerTime, Memory, TensorSpec
from ._torch_modes import (
    Call,
    Options,
    captured,
    check_options,
    compiled,
    moved,
    placed,
    plain,
    running,
    silent,
    widened,
)
from ._torch_program import Program, read_program, write_program
from ._torch_steps import steps_of, times_of
from ._torch_tensors import array_of, output_tensors, runtime, spec_of, tensor_of
from ._write import written


class Torch(Here):
    """Builds engines that run in PyTorch."""

    name = "torch"
    reads = ("pt2",)

    def ready(self) -> object:
        return runtime()

    def version(self) -> str:
        return str(runtime().__version__)

    def clock(self, options: Mapping[str, object] | None = None) -> Clock:
        read = read_options(Options, options)
        return "cpu" if read.threads == 1 and read.device == "cpu" else "wall"

    def build(self, model: object, *, options: Mapping[str, object] | None = None) -> TorchEngine:
        """An engine from a pair ``(module, example_inputs)``, an ``ExportedProgram`` or the path of a ``.pt2``.

        Example inputs are a tensor, a tuple of arguments, a dict of keyword arguments, or ``(args, kwargs)``.
        A module is copied and put into evaluation mode, and takes inputs of the sizes of its examples. An
        exported program keeps the free sizes that it was exported with, except in a CUDA graph. Options as in
        ``Options`` of ``_torch_modes``.
        """
        read = read_options(Options, options)
        check_options(read)
        with silent():
            return TorchEngine(self, read_program(model, read.device), read)


@dataclass(frozen=True)
class _Ready:
    """An open engine.

    Attributes:
        plain: calls the module operator by operator.
        call: calls it as the engine does.
        own: the memory of its weights.
    """

    module: Any
    plain: Call
    call: Call
    own: frozenset[int]


def _ready(program: Program, options: Options) -> _Ready:
    module = placed(program, options)
    simple = plain(program, module, options)
    call = simple
    with running(options.threads):
        if options.mode == "compile":
            call = plain(program, compiled(module), options)
        elif options.mode == "cudagraph":
            call = captured(simple, program, options)
    return _Ready(module, simple, call, frozenset(map(_memory_of, _held(module))))


class TorchEngine(Closing):
    """A module of its own and the way in which it is called."""

    def __init__(self, backend: Torch, program: Program, options: Options) -> None:
        self.backend = backend
        self._options, self._program = options, program
        self._ready: _Ready | None = _ready(program, options)
        self.inputs: tuple[TensorSpec, ...] = program.inputs
        if options.mode == "cudagraph":
            examples = zip(program.inputs, program.example or (), strict=True)
            self.inputs = tuple(spec_of(spec.name, tensor) for spec, tensor in examples)
        self.outputs: tuple[TensorSpec, ...] = self._output_specs()

    def _output_specs(self) -> tuple[TensorSpec, ...]:
        """Of the example's results, with the free sizes that an exported program tells."""
        known = self._program.outputs or ()
        if self._program.example is None:
            return known
        with running(self._options.threads):
            # Compiles, and fails now rather than at the first inference.
            results = self._results(self._open(), self._program.example)
        free = {spec.name: spec.shape for spec in known if self._options.mode != "cudagraph"}
        found = (spec_of(name, tensor) for name, tensor in results.items())
        return tuple(replace(spec, shape=free.get(spec.name, spec.shape)) for spec in found)

    def _open(self) -> _Ready:
        if self._ready is None:
            raise UsageError("the engine is closed", advice="use it inside its with block")
        return self._ready

    def _results(self, ready: _Ready, tensors: Sequence[Any]) -> dict[str, Any]:
        made = output_tensors(ready.call(tensors))
        return {name: widened(tensor, self._options) for name, tensor in made.items()}

    def _tensors(self, feeds: Feeds) -> list[Any]:
        # Checked first: PyTorch broadcasts and converts what does not fit, or fails far from the input.
        check_feeds(self.inputs, feeds)
        return [tensor_of(feeds[spec.name], spec.dtype) for spec in self.inputs]

    def run(self, feeds: Feeds) -> dict[str, npt.NDArray[Any]]:
        ready, tensors = self._open(), self._tensors(feeds)
        with running(self._options.threads):
            # What comes back is in the memory of the host: a GPU has finished by then.
            return {name: _array(tensor, ready.own) for name, tensor in self._results(ready, tensors).items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program with ``torch.export.save``; options are those of the next build.

        Raises:
            UsageError: it computes in another type than its model.
            UnsupportedError: ``torch.export`` does not take the module.
        """
        ready = self._open()
        if self._options.dtype != "same":
            what = "an engine that computes in another type than its model is not saved"
            raise UsageError(what, where=os.fspath(path), advice="build it with dtype=same")
        example = [moved(tensor, self._options) for tensor in self._program.example or ()]
        with silent(), written(path) as part:
            write_program(self._program, ready.module, example, part)

    def layers(self) -> tuple[Layer, ...]:
        """Leaf modules, or the operators of a graph, as they run; none where torch compiles them.

        What the ``forward`` of a module computes between its parts is in no layer.
        """
        ready = self._open()
        if self._options.mode == "compile":
            return ()
        tensors = self._program.example or self._tensors(random_feeds(self.inputs))
        with running(self._options.threads):
            return steps_of(ready.module, lambda: ready.plain(tensors))

    def profile(self, feeds: Feeds | None = None, *, runs: int = 10) -> tuple[LayerTime, ...]:
        """As the protocol says; a CUDA graph as the calls that it was captured from."""
        if runs < 1:
            raise UsageError(f"cannot profile {runs} inferences", advice="runs is at least 1")
        ready, tensors = self._open(), self._tensors(random_feeds(self.inputs) if feeds is None else feeds)
        whole = self._options.mode == "compile"
        call, module = (ready.call, None) if whole else (ready.plain, ready.module)
        with silent(), running(self._options.threads):
            return times_of(module, lambda: call(tensors), runs)

    def memory(self) -> Memory:
        """The weights; PyTorch plans no scratch space ahead."""
        held = _held(self._open().module)
        return Memory(weights=sum({_memory_of(one): one.untyped_storage().nbytes() for one in held}.values()))

    def close(self) -> None:
        self._ready = None


def _held(module: Any) -> list[Any]:
    return [*module.parameters(), *module.buffers()]


def _memory_of(tensor: Any) -> int:
    return int(tensor.untyped_storage().data_ptr())


def _array(tensor: Any, own: frozenset[int]) -> npt.NDArray[Any]:
    """A result; a copy where it is a weight or buffer, which the next inference may change."""
    array = array_of(tensor)
    return array.copy() if _memory_of(tensor) in own else array


backend = Torch()
