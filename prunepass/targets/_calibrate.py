"""Measuring a target: the grain that an engine rewards on a model's own layers, and how long each layer takes."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..backends import Backend
from ..hosts import open_model
from ..ir import Atom, UnsupportedError, UsageError
from ..measure import Comparison, Journal, Progress, Setting, compare, engine_form, fingerprint_of, setting_of
from ..passes import Grain, Layer, allowed_widths, layers_of, multiples
from ..passes.cost import ANY, BYTES, atoms_in, engine_cost, size_at
from ._parts import Bench
from ._staircase import Step, grain_of
from ._targets import GrainRow, LayerRow, Target

# The coarsest multiple that is looked for: matrix units take 64 codes of a byte at a time.
_COARSEST, _COARSEST_OF_CODES = 32, 64
_FRACTIONS, _QUICK = (1.0, 0.75, 0.5, 0.25), (1.0, 0.5)
_GRAIN_SECONDS, _TABLE_SECONDS, _QUICK_SECONDS = 1.5, 0.25, 0.1
_TYPICAL, _ROUNDS, _WARMUP, _DIGITS = 2, 10, 0.03, 4


@dataclass(frozen=True)
class Calibration:
    """Settings of a calibration.

    Attributes:
        quick: fewer widths and shorter turns: minutes become seconds, percents become several.
        cache: folder of the journal; the user's cache unless given.
    """

    setting: Setting
    quick: bool = False
    cache: str | os.PathLike[str] | None = None
    progress: Progress = field(default=lambda done: None)


def calibrate(  # noqa: PLR0913 - every option is by name
    model: Any,
    example_inputs: Any = None,
    *,
    backend: str | Backend,
    threads: int = 1,
    quick: bool = False,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress = lambda done: None,
) -> Target:
    """Measure what ``backend`` rewards on the layers of ``model``.

    Each layer is taken out of the whole model, cut to the wanted widths as any prune would cut it, with what
    follows it element by element, and timed against itself at full width in interleaved rounds. (Profiles of
    whole pruned models would show layers in their place, but engines profile by wall time only, under names of
    their own that no longer tell which nodes they fused.) Finished layers are kept in a journal, so that an
    interrupted run goes on where it stopped and a second one measures nothing again.

    Raises:
        UsageError: the model has no layer that can be cut, or the backend does not read ONNX.
        UnsupportedError: the backend takes none of the layers.
        BackendError: the backend cannot run here.
    """
    setting = setting_of(backend, threads)
    if "onnx" not in getattr(setting.backend, "reads", ("onnx",)):
        raise UsageError(
            f"calibrate cuts layers in ONNX, which backend '{setting.backend.name}' does not read"
        )
    with TemporaryDirectory(prefix="prunepass-") as folder:
        form = engine_form(model, example_inputs, setting.backend, Path(folder) / "model")
        shapes = None if form is not model else example_inputs
        session = open_model(_opened(form), shapes)
        run = _Run(Bench(session, session.graph), Calibration(setting, quick, cache, progress))
        return run.target()


def _opened(form: Any) -> Any:
    """The model in the form that parts are taken out of."""
    from ..hosts.onnx import load

    return load(form)


class _Clock:
    """Times of a layer at several widths, measured once and kept in a journal."""

    def __init__(self, bench: Bench, how: Calibration) -> None:
        self.bench, self.setting, self.journal = bench, how.setting, Journal(how.cache)

    def timed(self, layer: Layer, widths: Sequence[Mapping[Atom, int]], seconds: float) -> tuple[float, ...]:
        """``(microseconds of the first, 0, ratio, error, ..)``: time of each of ``widths`` over the first, or from
        the journal."""
        setting = self.setting
        sizes = [[int(size_at(size, at)) for size in layer.axes] for at in widths]
        key = fingerprint_of(
            {
                "layer": layer.key,
                "sizes": sizes,
                "seconds": seconds,
                "engine": [setting.backend.name, setting.backend.version(), setting.threads, setting.clock],
                "processor": processor(),
            }
        )
        known = self.journal.get(key)
        if known is None or not _sound(known, len(widths)):
            known = self._measured(layer, widths, seconds)
            self.journal.put(key, known)
        return known

    def _measured(
        self, layer: Layer, widths: Sequence[Mapping[Atom, int]], seconds: float
    ) -> tuple[float, ...]:
        setting = self.setting
        result = compare(
            [self.bench.part(layer, at) for at in widths],
            setting.backend,
            threads=setting.threads,
            duration=seconds,
            iterations=_ROUNDS,
            warmup=_WARMUP,
        )
        return tuple(_ratios(result, setting))


@dataclass
class _Run:
    """One calibration: first the grain of the engine, then the table of layers on that grain."""

    bench: Bench
    how: Calibration
    done: int = 0
    refusal: str = ""

    def __post_init__(self) -> None:
        self.clock = _Clock(self.bench, self.how)
        distinct = {layer.key: layer for layer in layers_of(self.bench.coupling)}
        self.layers = list(distinct.values())
        if not self.layers:
            raise UsageError(
                "the model has no layer whose widths may change", advice="'prunepass analyze' says why"
            )
        self.typical = self._typical()
        self.total = len(self.typical) + len(self.layers)

    def target(self) -> Target:
        grain = self._grain()
        setting = self.how.setting
        draft = Target(name="draft", backend=setting.backend.name, grain=grain)
        rows = {}
        for layer in self.layers:
            row = self._row(layer, draft.widths())
            if row is not None:
                rows[layer.key] = row
        if not rows:
            what = f"no layer of the model can be measured on {setting.backend.name}: {self.refusal}"
            raise UnsupportedError(what, advice="'prunepass bench' says whether it takes the model at all")
        return Target(
            name=f"{setting.backend.name}-measured",
            backend=setting.backend.name,
            version=setting.backend.version(),
            options={"threads": setting.threads},
            grain=grain,
            layers=rows,
        )

    # The grain.

    def _typical(self) -> list[tuple[Layer, Atom, int]]:
        """For each kind of work and dtype the layers with most of it, and the group of each whose width is tried."""
        found: dict[tuple[str, str], list[tuple[float, Layer, Atom, int]]] = {}
        for layer in self.layers:
            atoms = [leaf for size in layer.axes for leaf in sorted(atoms_in((size,)), key=lambda a: -a.size)]
            coarsest = _coarsest(layer)
            wide = [leaf for leaf in atoms if leaf.size >= 2 * coarsest]
            if wide:
                row = self._work(layer, {}), layer, wide[-1], wide[-1].size // coarsest * coarsest
                found.setdefault((layer.kind, layer.dtype), []).append(row)
        most = 1 if self.how.quick else _TYPICAL
        chosen = (sorted(rows, key=lambda row: -row[0])[:most] for rows in found.values())
        return [(layer, leaf, base) for rows in chosen for _, layer, leaf, base in rows]

    def _work(self, layer: Layer, widths: Mapping[Atom, int]) -> float:
        others = frozenset(n.name for n in self.bench.graph.nodes if n.name != layer.node.name)
        return float(engine_cost(self.bench.coupling, 1, others)[layer.kind](widths))

    def _grain(self) -> tuple[GrainRow, ...]:
        mixed = len({layer.dtype for layer, _, _ in self.typical}) > 1
        found: dict[tuple[str, str], list[Step]] = {}
        for layer, leaf, base in self.typical:
            row = found.setdefault((layer.kind, layer.dtype if mixed else ANY), [])
            row.extend(self._staircase(layer, leaf, base))
            self._tick()
        rows = {key: grain_of(seen) for key, seen in found.items() if seen}
        preferred, minimum = (max((pair[at] for pair in rows.values()), default=1) for at in (0, 1))
        whole = GrainRow(preferred=preferred, minimum=minimum)
        finer = [
            GrainRow(kind=kind, dtype=dtype, preferred=one, minimum=least)
            for (kind, dtype), (one, least) in sorted(rows.items())
            if (one, least) != (preferred, minimum)
        ]
        return (whole, *finer)

    def _staircase(self, layer: Layer, leaf: Atom, base: int) -> list[Step]:
        """Steps down from a multiple of the coarsest one; none where the layer cannot be taken out."""
        tried = [2**power for power in range(_coarsest(layer).bit_length() - 1)]
        widths = [{leaf: base}, *({leaf: base - step} for step in tried)]
        try:
            found = self.clock.timed(layer, widths, _QUICK_SECONDS if self.how.quick else _GRAIN_SECONDS)
        except UnsupportedError:
            return []
        whole = self._work(layer, widths[0])
        return [
            Step(step, found[2 * at], found[2 * at + 1], self._work(layer, widths[at]) / whole)
            for at, step in enumerate(tried, 1)
        ]

    # The table.

    def _row(self, layer: Layer, grain: Grain) -> LayerRow | None:
        """Samples of one layer; None where it cannot be taken out of the model."""
        widths = list(self._samples(layer, grain))
        try:
            found = self.clock.timed(layer, widths, _QUICK_SECONDS if self.how.quick else _TABLE_SECONDS)
        except UnsupportedError as error:
            self.refusal = error.what
            return None
        finally:
            self._tick()
        sizes = [tuple(int(size_at(size, at)) for size in layer.axes) for at in widths]
        # Two choices of widths can give one layer the same sizes; the first stands.
        times = {size: found[0] * found[2 * at] for at, size in reversed(list(enumerate(sizes)))}
        times[sizes[0]] = found[0]
        ordered = sorted(times)
        return LayerRow(
            kind=layer.kind,
            widths=tuple(ordered),
            microseconds=tuple(float(f"{times[size]:.{_DIGITS}g}") for size in ordered),
        )

    def _samples(self, layer: Layer, grain: Grain) -> Iterator[dict[Atom, int]]:
        """Every combination of fractions of the layer's axes, on the grain, the whole layer first."""
        allowed = multiples(self.bench.coupling, grain)
        for fractions in product(_QUICK if self.how.quick else _FRACTIONS, repeat=len(layer.axes)):
            widths: dict[Atom, int] = {}
            for axis, fraction in zip(layer.axes, fractions, strict=True):
                for leaf in atoms_in((axis,)):
                    choices = allowed_widths(leaf.size, allowed[leaf], 0.0)
                    widths[leaf] = min(choices, key=lambda width: abs(width - fraction * leaf.size))
            yield widths

    def _tick(self) -> None:
        self.done += 1
        self.how.progress(self.done / self.total)


def _coarsest(layer: Layer) -> int:
    return _COARSEST if BYTES.get(layer.dtype, 4) > 1 else _COARSEST_OF_CODES


def _ratios(result: Comparison, setting: Setting) -> Iterator[float]:
    first = result.engines[0]
    yield first.time(setting.clock).median * 1e3
    yield 0.0
    for engine in result.engines[1:]:
        ratio = engine.faster(setting.clock)
        yield 1 / ratio.median
        yield 1.25 * (1 / ratio.p10 - 1 / ratio.p90) / 2.56 / result.rounds**0.5


def _sound(known: Sequence[float], count: int) -> bool:
    """Return whether a line of the journal is what this version writes: the file may be another's, or edited."""
    plain = len(known) == 2 * count and all(map(isfinite, known))
    return plain and min(known[::2]) > 0 and min(known[1::2]) >= 0


def processor() -> str:
    """Processor that the times depend on besides the engine, for the key of the journal only."""
    try:
        lines = Path("/proc/cpuinfo").read_text("ascii", errors="ignore").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "CPU part"))]
    return " ".join([platform.machine(), *names[:1]])
