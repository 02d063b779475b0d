"""Filters that stay keep their weights where a norm of the weights runs over what goes.

A weight that is computed from a norm along cut channels (weight normalisation, spectral normalisation) is
rescaled by the cut. Where a trained factor exists, the gain of the normalisation for one, it takes that up. No
normalisation is known here by name: the weights that data meets are evaluated uncut and cut, and a param may
take a ratio up if, evaluated again, it leads back to the uncut weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ...ir import (
    Array,
    Atom,
    Dim,
    Graph,
    Index,
    Node,
    Sum,
    UnsupportedError,
    call_of,
    cast,
    gather,
    kept_of,
    masked_run,
    registry,
    rule_of,
)
from ..coupling import Coupling, below, flowing_atoms, used_weights

Kept = Mapping[Atom, Index]
Params = Mapping[str, Array]
_EXACT = 1e-9
# Far above what rounding leaves of an exact factor.
_FACTOR = 1e-6
# What is left of a weight's own precision where params of a type are rounded.
_ROUNDED: Mapping[str, float] = {"float64": 1e-9, "float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2}


def refitted(coupling: Coupling, kept: Kept) -> dict[str, tuple[float, ...]]:
    """Amounts to add to params, uncut, so that computed weights stay what they were; empty where none change.

    Raises:
        UnsupportedError: a weight is not finite any more.
    """
    touched = _touched(coupling, kept)
    if not touched:
        return {}
    weights = _Weights.of(coupling, kept)
    for name in weights.used(touched):
        while weights.off(name) and weights.take_up(name):
            pass
        weights.refuse_not_finite(name)
    graph = coupling.graph
    return {
        name: _amounts(data - graph.params[name].read().astype(np.float64), graph.params[name].dtype)
        for name, data in sorted(weights.params.items())
    }


def changed_sums(coupling: Coupling, kept: Kept, params: Params) -> frozenset[str]:
    """Names of the nodes whose sums over cut weights still change a weight that data meets.

    Args:
        params: data of params that a plan changes, uncut.
    """
    touched = _touched(coupling, kept)
    if not touched:
        return frozenset()
    weights = _Weights.of(coupling, kept, {name: cast(data, "float64") for name, data in params.items()})
    return frozenset(
        node.name
        for node in touched
        if any(weights.off(name, rounded=True) for name in weights.used((node,)))
    )


def _touched(coupling: Coupling, kept: Kept) -> list[Node]:
    sums = coupling.weight_sums
    if not sums:
        return []
    return [node for node in coupling.graph.nodes if any(atom in kept for atom in sums.get(node.name, ()))]


def _amounts(added: Array, dtype: str) -> tuple[float, ...]:
    """Numbers that the param's type holds, so that a plan in JSON says exactly what is added."""
    wide = "float64" if dtype == "float64" else "float32"
    return tuple(float(number) for number in added.ravel().astype(wide))


@dataclass
class _Weights:
    """Computed weights before and after a cut, and the params that were changed to bring them together.

    What is a channel of weights alone (the inner one of a product of two weights) is cut on both sides.
    """

    coupling: Coupling
    kept: Kept
    params: dict[str, Array]
    _original: _Run
    _cut: _Run

    @staticmethod
    def of(coupling: Coupling, kept: Kept, params: Params | None = None) -> _Weights:
        flowing = flowing_atoms(coupling.graph, coupling.dims, coupling.static)
        inner = {atom: index for atom, index in kept.items() if atom not in flowing}
        given = dict(params or {})
        return _Weights(coupling, kept, given, _Run.of(coupling, inner, {}), _Run.of(coupling, kept, given))

    @property
    def graph(self) -> Graph:
        return self.coupling.graph

    def used(self, nodes: Iterable[Node]) -> tuple[str, ...]:
        """Weights that data meets and that are computed from what ``nodes`` make."""
        made = [name for node in nodes for name in node.outputs]
        static = self.coupling.static
        return used_weights(self.graph, static, below(self.graph, static, made) & static)

    def off(self, name: str, *, rounded: bool = False) -> bool:
        return bool(self._wrong({name: self._after((name,))[name]}, rounded=rounded))

    def refuse_not_finite(self, name: str) -> None:
        before, after = self._uncut(name), self._after((name,))[name]
        if np.all(np.isfinite(before)) and not np.all(np.isfinite(after)):
            node = self.graph.producers[name]
            raise UnsupportedError(
                "a filter that stays would be divided by the norm of nothing: all that it holds is cut",
                where=str(node.origin) or node.name,
                advice="leave the layer in front of it alone with keep=, or cut less",
            )

    def take_up(self, name: str) -> bool:
        """Change one param so that fewer entries of the weight are off; whether there was one."""
        above = self._above(name)
        for value in reversed([value for value in self.graph.values if value in above]):
            after = self._after((value,))[value]
            if not self._wrong({value: after}):
                continue
            for param in self._candidates(above, value):
                if self._try(param, value, after):
                    return True
        return False

    def _try(self, param: str, value: str, after: Array) -> bool:
        """Scale ``param`` by what ``value`` is off by, if that puts it and some weight right, and none wrong."""
        reached = below(self.graph, self.coupling.static, (param,)) & self.coupling.static
        ends = used_weights(self.graph, self.coupling.static, reached)
        for data in self._scaled(param, value, after):
            if self._wrong(self._after((value,), {param: data})):
                continue
            wrong, now = self._wrong(self._after(ends)), self._wrong(self._after(ends, {param: data}))
            if sum(now.values()) < sum(wrong.values()) and all(
                now[name] <= wrong.get(name, 0) for name in now
            ):
                self.params[param] = data
                self._cut = self._cut.having({param: data})
                return True
        return False

    def _scaled(self, param: str, value: str, after: Array) -> Iterator[Array]:
        """The param times or over the ratio of the value uncut and cut, along the axes that both have."""
        data = self.params.get(param)
        data = cast(self.graph.params[param].read(), "float64") if data is None else data
        dims, seen = self.coupling.dims[param], self.coupling.dims[value]
        index = kept_of(dims, self.coupling.norm, self.kept)
        small, before = gather(data, index), self._uncut(value)
        for axes in dict.fromkeys((_matching(dims, seen), _aligned(small.shape, after.shape))):
            ratio = None if axes is None else _ratio(before, after, axes)
            if ratio is None:
                continue
            for factor in (ratio, 1 / ratio):
                grown = data.copy()
                grown[grid_of(data.shape, index)] = small * factor
                yield grown

    def _candidates(self, above: frozenset[str], value: str) -> list[str]:
        """Trained params that only weights are computed from, the smallest first."""
        reached, graph = self._above(value), self.graph
        found = [
            param
            for param in graph.params.values()
            if param.name in reached
            and param.trained
            and param.is_float
            and all(
                not self.coupling.static.isdisjoint(node.outputs) for node, _ in graph.readers[param.name]
            )
        ]
        return [param.name for param in sorted(found, key=lambda p: int(np.prod(p.shape, dtype=np.int64)))]

    def _above(self, name: str) -> frozenset[str]:
        """Names that a static value is computed from, its own included."""
        found, waiting = {name}, [name]
        while waiting:
            node = self.graph.producers.get(waiting.pop())
            fresh = [read for read in (node.inputs if node else ()) if read is not None and read not in found]
            found.update(fresh)
            waiting.extend(fresh)
        return frozenset(found)

    def _wrong(self, after: Params, *, rounded: bool = False) -> dict[str, int]:
        """Numbers of entries of each value that differ from the uncut ones; without values of which none does."""
        counts = {}
        for name, got in after.items():
            want = self._uncut(name)
            share = _ROUNDED.get(self.graph.tensor(name).dtype, _EXACT) if rounded else _EXACT
            largest = float(np.max(np.abs(want), initial=0.0, where=np.isfinite(want)))
            with np.errstate(invalid="ignore"):
                near = (np.abs(got - want) <= share * largest) | (got == want)
            counts[name] = int(np.sum(~near))
        return {name: count for name, count in counts.items() if count}

    def _uncut(self, name: str) -> Array:
        return self._stays(self._original, (name,))[name]

    def _after(self, names: Iterable[str], changed: Params | None = None) -> dict[str, Array]:
        """Values after the cut; ``changed``: with other data of one param or several."""
        run = self._cut.having(changed) if changed else self._cut
        return self._stays(run, tuple(names))

    def _stays(self, run: _Run, names: tuple[str, ...]) -> dict[str, Array]:
        run.make(names)
        norm, dims = self.coupling.norm, self.coupling.dims
        return {name: gather(run.made[name], kept_of(dims[name], norm, self.kept)) for name in names}


@dataclass(frozen=True)
class _Run:
    """Static values in float64 where channels ``kept`` are masked, each computed once.

    Attributes:
        made: the values, and params with the data that they are computed from.
    """

    coupling: Coupling
    kept: Kept
    made: dict[str, Array]

    @staticmethod
    def of(coupling: Coupling, kept: Kept, params: Params) -> _Run:
        return _Run(coupling, kept, {name: cast(data, "float64") for name, data in params.items()})

    def having(self, params: Params) -> _Run:
        """The run with other data of params; what is not computed from them is not computed again."""
        changed = below(self.coupling.graph, self.coupling.static, params)
        rest = {name: data for name, data in self.made.items() if name not in changed}
        return _Run(self.coupling, self.kept, {**rest, **params})

    def make(self, names: Iterable[str]) -> None:
        graph = self.coupling.graph
        missing = self._missing(names)
        for name in missing & graph.params.keys():
            self.made[name] = cast(graph.params[name].read(), "float64")
        for node in graph.nodes if missing - graph.params.keys() else ():
            if not missing.isdisjoint(node.outputs):
                operands = tuple(None if name is None else self.made[name] for name in node.inputs)
                call, rule = call_of(graph, node), rule_of(graph, node)
                with np.errstate(all="ignore"):
                    results = masked_run(
                        registry()[node.op], call, rule, self.coupling.norm, self.kept, operands
                    )
                made = (cast(array, "float64") for array in results)
                self.made.update(zip(node.outputs, made, strict=False))

    def _missing(self, names: Iterable[str]) -> set[str]:
        """Names that are still to be computed for these values, their own included."""
        found, waiting = set[str](), [name for name in names if name not in self.made]
        while waiting:
            name = waiting.pop()
            found.add(name)
            node = self.coupling.graph.producers.get(name)
            reads = node.inputs if node else ()
            waiting += [read for read in reads if read and read not in self.made and read not in found]
        return found


def _ratio(before: Array, after: Array, axes: tuple[int | None, ...]) -> Array | None:
    """The finite factor along ``axes`` that a value is off by; None where it is off by anything else."""
    if before.dtype.kind != "f" or not np.all(np.isfinite(after)):
        return None
    shared = [axis for axis in axes if axis is not None]
    if len(set(shared)) < len(shared):
        return None
    rest = tuple(axis for axis in range(before.ndim) if axis not in shared)
    above, under = ((one * after).sum(axis=rest, keepdims=True) for one in (before, after))
    ratio = np.where(under > 0, above / np.where(under > 0, under, 1.0), 1.0)
    if not np.all(np.isfinite(ratio)) or np.any(ratio == 0):
        return None
    # Such factors on a param can only put right what is off by them.
    if np.any(np.abs(before - after * ratio) > _FACTOR * np.max(np.abs(before), initial=0.0)):
        return None
    ordered = ratio.squeeze(rest).transpose([sorted(shared).index(axis) for axis in shared])
    return np.asarray(ordered.reshape([1 if axis is None else before.shape[axis] for axis in axes]))


def _matching(dims: tuple[Dim, ...], seen: tuple[Dim, ...]) -> tuple[int | None, ...]:
    """For each axis of a param the axis of a value with the same index space."""
    return tuple(
        next((at for at, other in enumerate(seen) if dim.size != 1 and _same(dim, other)), None)
        for dim in dims
    )


def _aligned(small: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int | None, ...] | None:
    """The same by broadcasting, from the last axis on."""
    start = len(shape) - len(small)
    fits = start >= 0 and all(size in (1, shape[start + i]) for i, size in enumerate(small))
    return tuple(None if size == 1 else start + i for i, size in enumerate(small)) if fits else None


def _same(one: Dim, other: Dim) -> bool:
    if one is other:
        return True
    parts, others = getattr(one, "parts", None), getattr(other, "parts", None)
    if parts is None or others is None or isinstance(one, Sum) != isinstance(other, Sum):
        return False
    return len(parts) == len(others) and all(map(_same, parts, others))


def grid_of(shape: tuple[int, ...], index: tuple[Index | None, ...]) -> tuple[Array, ...]:
    """Index of the kept entries of an array of ``shape``."""
    return np.ix_(
        *(np.arange(size) if keep is None else keep for size, keep in zip(shape, index, strict=True))
    )
