"""The backend and engine protocols: the whole contract that measuring, saving and checking rely on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy.typing as npt

from ._device_times import DeviceTimes

Feeds: TypeAlias = Mapping[str, npt.ArrayLike]
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
# ``cpu``: CPU time of the process, which other work disturbs least, where one inference keeps one thread busy.
# ``device``: a GPU's own, by the engine's ``device_times``. ``wall``: what somebody waits.
Clock: TypeAlias = Literal["cpu", "wall", "device"]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of an engine.

    Attributes:
        shape: sizes by axis; a name where the size is free (``"batch"``, ``"?"`` where it has no name).
        dtype: numpy dtype name (``float32``, ``bfloat16``), or the engine's own word for what is no array.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of the engine as it was built, after fusion.

    Attributes:
        kind: the engine's own name of the operation.
        layout: ``blocked`` where it computes on the engine's channel-blocked layout, ``reorder`` where it
            only moves data from one layout to another, empty where neither is known.
        nodes: names of the model's nodes that it covers, empty where the engine does not tell.
    """

    name: str
    kind: str
    layout: str = ""
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerTime:
    """Cost of one layer.

    Attributes:
        microseconds: median over the profiled inferences.
        share: its part of the sum over all steps, 0 to 1.
    """

    name: str
    kind: str
    microseconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that an engine holds, None where it does not tell.

    Attributes:
        weights: of the parameters as the engine stores them.
        activations: of the scratch space of one inference.
    """

    weights: int | None = None
    activations: int | None = None


@runtime_checkable
class Engine(Protocol):
    """A model that is built and ready; a context manager that frees what it holds."""

    @property
    def backend(self) -> Backend:
        """The backend that built it."""
        ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    def run(self, feeds: Feeds) -> dict[str, npt.NDArray[Any]]:
        """One inference: arrays by input name in, arrays by output name out.

        Raises:
            UsageError: a feed is missing, unknown, or of another shape or dtype than the input.
            ModelError: the engine fails on these inputs.
        """
        ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the engine as built; an interrupted call leaves an older file as it was."""
        ...

    def layers(self) -> tuple[Layer, ...]:
        """The steps after fusion, in order of execution."""
        ...

    def profile(self, feeds: Feeds | None = None, *, runs: int = 10) -> tuple[LayerTime, ...]:
        """Time by step over ``runs`` inferences, in order of execution; random inputs unless given."""
        ...

    def memory(self) -> Memory:
        """Memory that the engine holds, as far as it tells."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


@runtime_checkable
class DeviceTimed(Protocol):
    """An engine whose device has a clock of its own."""

    def device_times(
        self, feeds: Feeds | None = None, *, runs: int = 10, warmup: float = 0.2
    ) -> DeviceTimes: ...


@runtime_checkable
class Backend(Protocol):
    """Builds engines. Importing and naming it never imports the engine's package."""

    @property
    def name(self) -> str: ...

    @property
    def reads(self) -> tuple[str, ...]:
        """Endings of the model files that it builds from, without the dot: ``("onnx",)``, ``("pt2",)``.

        A backend that reads ``onnx`` takes files of any other ending for ONNX, unless another backend is
        known to read them.
        """
        ...

    def unavailable(self) -> str | None:
        """The reason why it cannot build here and what to install, or None where it can."""
        ...

    def version(self) -> str:
        """Version of the engine's package.

        Raises:
            BackendError: it is not available.
        """
        ...

    def clock(self, options: Mapping[str, object] | None = None) -> Clock:
        """The clock that tells what an engine of these options takes; ``device`` needs ``device_times`` of it.

        Raises:
            UsageError: an option is unknown or has a wrong value.
        """
        ...

    def build(self, model: object, *, options: Mapping[str, object] | None = None) -> Engine:
        """Build ``model`` into an engine.

        Args:
            model: whatever the backend takes; those that read ONNX take what ``onnx_source`` takes.
            options: by name. Every backend knows ``threads`` (of one inference, 1 unless given).

        Raises:
            BackendError: the engine's package is missing or broken.
            ModelError: the model is no valid model, or the engine does not take it.
            UsageError: an option is unknown or has a wrong value, or the file does not exist.
        """
        ...
