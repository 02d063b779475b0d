"""Holds a declaration to the real operator through every way a host spells it.

``probe_aten`` and ``probe_onnx`` take what a user would write, go through the spelling (argument names,
attribute sources, ``fix``) and check the law of :mod:`tests.law` against torch, ONNX Runtime or the reference
evaluator of ONNX.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from prunepass.ir import Array, Call, Onnx, Op, Rule, Sampler, registry
from tests.law import call_for, check

_RNG = np.random.default_rng


class Probe(NamedTuple):
    """One checked call: its declaration, call, rule and operands."""

    op: Op
    call: Call
    rule: Rule
    arrays: tuple[Array | None, ...]

    def magnitude(self, *mags: Array | None) -> tuple[Array, ...]:
        """Magnitude of the results, of the operands' own absolute values unless given."""
        return self.op.flow.magnitude(self.op, self.call, mags or tuple(map(_size_of, self.arrays)))

    def inflow(self, position: int) -> Array:
        assert self.op.flow.inflow is not None
        return self.op.flow.inflow(self.op, self.call, tuple(map(_size_of, self.arrays)), position)


def _size_of(array: Array | None) -> Array | None:
    return None if array is None else np.abs(array) if array.dtype.kind in "fi" else array


def data(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> Array:
    """Reproducible float64 data that float32 can hold, no two entries alike."""
    return _RNG(seed).uniform(low, high, shape).astype(np.float32).astype(np.float64)


def probe_aten(target: str, *args: Any, **kwargs: Any) -> Probe:
    """Call the overload ``target`` as torch does, arrays for tensors, and check its declaration."""
    import torch

    name, overload = target.rsplit(".", 1)
    real = getattr(getattr(torch.ops.aten, name), overload)
    found = registry().aten(target)
    assert found is not None, f"{target} is not declared"
    op, spelling = found
    bound = _bind(real._schema.arguments, args, kwargs)
    arrays = tuple(operand for name in spelling.inputs for operand in _operands(bound[name]))
    attrs = {key: bound[argument] for key, argument in spelling.attrs.items()}
    if spelling.fix is not None:
        attrs = spelling.fix(attrs, tuple(None if array is None else array.shape for array in arrays))
    tensors = {name: _to_torch(value) for name, value in bound.items()}
    truth = real(**tensors) if _named(real) else real(*tensors.values())
    several = isinstance(truth, (tuple, list))
    results = [np.asarray(part.resolve_neg()) for part in (truth if several else (truth,))]
    return _checked(op, attrs, arrays, results)


def _named(real: Any) -> bool:
    return any(argument.kwarg_only for argument in real._schema.arguments)


def _bind(arguments: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    bound = {}
    for at, argument in enumerate(arguments):
        if at < len(args):
            bound[argument.name] = args[at]
        elif argument.name in kwargs:
            bound[argument.name] = kwargs.pop(argument.name)
        else:
            bound[argument.name] = argument.default_value if argument.has_default_value() else None
    assert not kwargs, f"no argument is called {sorted(kwargs)}"
    return bound


def _operands(value: Any) -> list[Array | None]:
    """A number stands for a 0-d constant, a list for several operands."""
    if isinstance(value, (list, tuple)):
        return [operand for part in value for operand in _operands(part)]
    return [None if value is None else np.array(value)]


def _to_torch(value: Any) -> Any:
    import torch

    if isinstance(value, (np.ndarray, np.generic)):
        return torch.from_numpy(np.array(value))
    if isinstance(value, (list, tuple)) and any(isinstance(part, np.ndarray) for part in value):
        return [_to_torch(part) for part in value]
    return value


def probe_onnx(
    kind: str,
    opset: int,
    inputs: Sequence[Array | None],
    attrs: dict[str, Any] | None = None,
    *,
    outputs: int = 1,
    engine: str = "onnxruntime",
) -> Probe:
    """Run the ONNX operator on ``inputs`` (whole numbers are constants) and check its declaration."""
    found = registry().onnx(kind, opset)
    assert found is not None, f"{kind} is not declared at opset {opset}"
    op, spelling = found
    given = dict(attrs or {})
    neutral = {}
    for key, sources in spelling.attrs.items():
        for source in sources if isinstance(sources, tuple) else (sources,):
            value = given.get(source) if isinstance(source, str) else _at(inputs, source)
            if value is not None:
                neutral[key] = value
                break
    _check_all_is_read(kind, opset, given, spelling)
    positions = range(len(inputs)) if spelling.inputs is None else spelling.inputs
    arrays = tuple(_at(inputs, position) for position in positions)
    while arrays and arrays[-1] is None:
        arrays = arrays[:-1]
    if spelling.fix is not None:
        shapes = tuple(None if array is None else array.shape for array in arrays)
        neutral = spelling.fix({**neutral, "opset": opset, "outputs": outputs}, shapes)
    assert not {"opset", "outputs"} & set(neutral)
    results = _run_onnx(_model(kind, opset, inputs, given, outputs), inputs, engine)
    return _checked(op, neutral, arrays, results)


def _check_all_is_read(kind: str, opset: int, given: dict[str, Any], spelling: Onnx) -> None:
    """A host refuses a node with an attribute that its declaration does not read."""
    from onnx import defs, helper

    places = {
        place
        for sources in spelling.attrs.values()
        for place in (sources if isinstance(sources, tuple) else (sources,))
    }
    for name in set(given) - places - {"momentum"}:
        assert "::" not in kind, f"{kind} does not read {name}"
        default = defs.get_schema(kind, opset).attributes[name].default_value
        assert default.type and helper.get_attribute_value(default) == given[name], (
            f"{kind} does not read {name}"
        )


def _at(inputs: Sequence[Array | None], position: int) -> Array | None:
    return inputs[position] if position < len(inputs) else None


def _model(kind: str, opset: int, inputs: Sequence[Array | None], attrs: dict[str, Any], outputs: int) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    domain, _, name = kind.rpartition("::")
    names = ["" if array is None else f"i{at}" for at, array in enumerate(inputs)]
    made = [f"o{at}" for at in range(outputs)]
    node = helper.make_node(name, names, made, domain=domain, **attrs)
    given = [(name, _single(array)) for name, array in zip(names, inputs, strict=True) if array is not None]
    feeds = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in given
        if not _is_constant(array)
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in given if _is_constant(array)]
    results = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in made]
    for result in results:
        result.ClearField("type")
    graph = helper.make_graph([node], "probe", feeds, results, constants)
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def _single(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _is_constant(array: Array) -> bool:
    return array.dtype == np.int64


def _run_onnx(model: Any, inputs: Sequence[Array | None], engine: str) -> list[Array]:
    feeds = {
        f"i{at}": _single(array)
        for at, array in enumerate(inputs)
        if array is not None and not _is_constant(_single(array))
    }
    if engine == "reference":
        from onnx.reference import ReferenceEvaluator

        return list(ReferenceEvaluator(model).run(None, feeds))
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, feeds))


@np.errstate(all="ignore")
def _checked(op: Op, attrs: dict[str, Any], arrays: tuple[Array | None, ...], results: list[Array]) -> Probe:
    rule = check(op, attrs, *arrays, real=lambda *_: results)
    call = call_for(op, attrs, *arrays)
    for ours, theirs in zip(call.results, results, strict=False):
        assert ours == theirs.shape
    probe = Probe(op, call, rule, arrays)
    _check_flow(probe)
    return probe


def _check_flow(probe: Probe) -> None:
    """Whatever a flow says has the shape of what it speaks of, and no sign."""
    op, call = probe.op, probe.call
    if any(array is not None and array.size == 0 for array in probe.arrays):
        return  # of nothing there is no mean
    for mag, shape in zip(probe.magnitude(), call.results, strict=False):
        assert np.broadcast_shapes(np.shape(mag), shape) == shape
        assert (np.asarray(mag) >= 0).all()
    if op.flow.inflow is not None:
        for position, array in enumerate(probe.arrays):
            if array is not None and op.operands[min(position, len(op.operands) - 1)] != "bias":
                assert probe.inflow(position).shape == array.shape
    samples = tuple(None if array is None else array[None] for array in probe.arrays)
    moments = op.flow.moments(op, call, samples, Sampler())
    for sample, shape in zip(moments, call.results, strict=False):
        assert sample is None or np.broadcast_shapes(sample.shape[1:], shape) == shape


@np.errstate(all="ignore")
def assert_bound(probe: Probe, seed: int = 1) -> None:
    """|f(x) - f(0)| stays below the magnitude of |x|, for data operands of any sign."""
    absolute = probe.magnitude()[0]
    rng = _RNG(seed)
    zero = probe.op.run(probe.call, (np.zeros_like(probe.arrays[0]), *probe.arrays[1:]))[0]
    for _ in range(5):
        first = probe.arrays[0]
        assert first is not None
        signs = rng.choice([-1.0, 1.0], first.shape)
        moved = probe.op.run(probe.call, (first * signs, *probe.arrays[1:]))[0]
        assert (np.abs(moved - zero) <= absolute + 1e-9).all()


@np.errstate(all="ignore")
def assert_pointwise_moments(probe: Probe, count: int = 3) -> None:
    """Sample by sample the moments are the operator itself, whatever axes are alike."""
    rng = _RNG(2)
    samples: list[Array | None] = []
    for at, array in enumerate(probe.arrays):
        small = array is not None and at == 0
        samples.append(None if array is None else array[None])
        if small and array is not None and array.dtype.kind == "f":
            samples[-1] = array[None] * rng.uniform(0.5, 1.5, (count, *(1,) * array.ndim))
    moved = probe.op.flow.moments(probe.op, probe.call, tuple(samples), Sampler())[0]
    assert moved is not None
    for k in range(count):
        each = tuple(None if s is None else s[min(k, s.shape[0] - 1)] for s in samples)
        want = probe.op.run(probe.call, each)[0]
        np.testing.assert_allclose(np.broadcast_to(moved[min(k, len(moved) - 1)], want.shape), want)


def assert_share(probe: Probe, position: int, result: Callable[[Probe], Array] | None = None) -> None:
    """What all entries of an operand add makes up the whole magnitude of the result."""
    whole = probe.magnitude()[0] if result is None else result(probe)
    np.testing.assert_allclose(probe.inflow(position).sum(), np.sum(whole), rtol=1e-9)
