"""Times of inferences as a GPU's own events tell them, in trtexec's terms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceTimes:
    """One entry for each inference, in seconds.

    Attributes:
        h2d: copies of the inputs to the device. d2h: copies of the outputs back.
        gpu_compute: from the first kernel to the end of the last.
        enqueue: what the host takes to hand the work over; it should be well below ``gpu_compute``, or the
            device waits for the host.
        graph: whether a CUDA graph was launched; without one every kernel is handed over by itself.
    """

    h2d: tuple[float, ...]
    gpu_compute: tuple[float, ...]
    d2h: tuple[float, ...]
    enqueue: tuple[float, ...]
    graph: bool

    @property
    def latency(self) -> tuple[float, ...]:
        """H2D, GPU Compute and D2H together."""
        return tuple(map(sum, zip(self.h2d, self.gpu_compute, self.d2h, strict=True)))
