"""PyTorch models in one form: a module of its own, and arrays as its arguments."""

from __future__ import annotations

import copy
import inspect
import io
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..ir import ModelError, UnsupportedError, UsageError
from ._protocol import TensorSpec
from ._torch_tensors import output_specs, runtime, spec_of, step

_TAKES = "pass (module, example_inputs), a torch.export.ExportedProgram, or the path of a .pt2 file"
# Source paths of this machine, and addresses of graphs in memory, which differ from run to run.
_PRIVATE = ("stack_trace", "from_node")


@dataclass(frozen=True)
class Program:
    """A module that nobody else holds, in evaluation mode.

    Attributes:
        module: takes the arguments that ``arguments`` makes.
        inputs: the tensors among them.
        constants: by place among the leaves of the arguments, what is no tensor.
        tree: how leaves become ``(args, kwargs)``.
        example: tensors for ``inputs``, None where the program brings none.
        exported: the program that it came from, None for a module.
        outputs: where they are known without running it.
    """

    module: Any
    inputs: tuple[TensorSpec, ...]
    constants: Mapping[int, Any]
    tree: Any
    example: tuple[Any, ...] | None
    exported: Any = None
    outputs: tuple[TensorSpec, ...] | None = None

    def arguments(self, tensors: Sequence[Any]) -> tuple[Any, Any]:
        """``(args, kwargs)`` of one call."""
        leaves = list(tensors)
        for place in sorted(self.constants):
            leaves.insert(place, self.constants[place])
        made: tuple[Any, Any] = runtime().utils._pytree.tree_unflatten(leaves, self.tree)
        return made


def read_program(model: object, device: str) -> Program:
    """A program from what the backend takes; nothing of the user's is shared.

    Raises:
        UsageError: it is none of that, or the file does not exist.
        ModelError: the file cannot be read, or the module cannot be copied.
    """
    torch = runtime()
    if isinstance(model, (str, os.PathLike)):
        return _of_exported(_loaded(Path(model)), device, own=True)
    if isinstance(model, torch.export.ExportedProgram):
        return _of_exported(model, device, own=False)
    if isinstance(model, tuple) and len(model) == 2 and isinstance(model[0], torch.nn.Module):
        return _of_module(*model)
    what = f"cannot run a {type(model).__name__}"
    if isinstance(model, torch.nn.Module):
        what = f"the example inputs of {type(model).__name__} are missing"
    raise UsageError(what, advice=_TAKES)


def _loaded(path: Path) -> Any:
    if not path.is_file():
        raise UsageError("there is no such file", where=str(path))
    if path.stat().st_size == 0:
        raise ModelError("the file is empty", where=str(path), advice="export it again")
    advice = "write it with torch.export.save"
    if not zipfile.is_zipfile(path):
        raise ModelError("this is no exported program", where=str(path), advice=advice)
    try:
        return runtime().export.load(path)
    except Exception as error:  # torch raises whatever its parts raise
        what = f"torch cannot read it: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        raise ModelError(what, where=str(path), advice=advice) from error


def _of_module(module: Any, example: Any) -> Program:
    torch = runtime()
    own = copied(module)
    # Exported modules refuse eval(); their mode is part of their graph.
    with suppress(NotImplementedError):
        own.eval()
    args, kwargs = _arguments(example)
    named, tree = torch.utils._pytree.tree_flatten_with_path((args, kwargs))
    words = _parameters(module, len(args))
    leaves = [(_input_name(path, words), leaf) for path, leaf in named]
    specs = tuple(spec_of(name, leaf) for name, leaf in leaves if isinstance(leaf, torch.Tensor))
    constants = {at: leaf for at, (_, leaf) in enumerate(leaves) if not isinstance(leaf, torch.Tensor)}
    tensors = tuple(leaf.detach().clone() for _, leaf in leaves if isinstance(leaf, torch.Tensor))
    return Program(own, specs, constants, tree, tensors)


def _arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A tensor, a tuple or list of arguments, a dict of keyword arguments, or ``(args, kwargs)``."""
    if example is None:
        raise UsageError("the example inputs are missing", advice=_TAKES)
    if isinstance(example, Mapping):
        return (), dict(example)
    if not isinstance(example, (tuple, list)):
        return (example,), {}
    both = len(example) == 2 and isinstance(example[0], (tuple, list)) and isinstance(example[1], Mapping)
    return (tuple(example[0]), dict(example[1])) if both else (tuple(example), {})


def _parameters(module: Any, count: int) -> list[str]:
    """Names of the first ``count`` parameters of ``forward``, numbered where it takes any number of them."""
    found = inspect.signature(module.forward).parameters.values()
    names = [each.name for each in found if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    rest = next((each.name for each in found if each.kind is each.VAR_POSITIONAL), "input")
    return (names + [f"{rest}_{place}" for place in range(count)])[:count]


def _input_name(path: Sequence[Any], words: Sequence[str]) -> str:
    """As ``torch.export`` names them: the parameter, then the way to the tensor in what was passed for it."""
    first, top, *inner = map(step, path)
    return "_".join((words[int(top)] if first == "0" else top, *inner))


def _of_exported(program: Any, device: str, *, own: bool) -> Program:
    pytree = runtime().utils._pytree
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    inputs, constants = _exported_inputs(program, values)
    example = None
    if program.example_inputs is not None:
        leaves = program.call_spec.in_spec.flatten_up_to(program.example_inputs)
        example = tuple(leaf for at, leaf in enumerate(leaves) if at not in constants)
    # Before what the user gets, a graph gives back the buffers that it changes.
    given = next(node for node in program.graph.nodes if node.op == "output").args[0]
    kept = given[len(given) - len(program.graph_signature.user_outputs) :]
    made = [values[node.name] if hasattr(node, "name") else node for node in kept]
    outputs = output_specs(pytree.tree_unflatten(made, program.call_spec.out_spec))
    module = _unpacked(program, device, own=own)
    return Program(module, inputs, constants, program.call_spec.in_spec, example, program, outputs)


def _unpacked(program: Any, device: str, *, own: bool) -> Any:
    """The module of an exported program; the device is part of its graph."""
    if device != "cpu":
        from torch.export.passes import move_to_device_pass

        # The pass changes the program; a deep copy of one renames inputs, and what is saved and loaded does not.
        memory, export = io.BytesIO(), runtime().export
        export.save(program, memory)
        memory.seek(0)
        return move_to_device_pass(export.load(memory), device).module()
    return program.module() if own else copied(program.module())


def _exported_inputs(
    program: Any, values: Mapping[str, Any]
) -> tuple[tuple[TensorSpec, ...], dict[int, Any]]:
    torch = runtime()
    specs, constants = [], {}
    given = [spec.arg for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    for place, argument in enumerate(given):
        value = values.get(argument.name)
        if isinstance(value, torch.Tensor):
            specs.append(spec_of(argument.name, value))
        elif hasattr(argument, "value"):
            constants[place] = argument.value
        else:
            what = f"input '{argument.name}' is a {type(value).__name__}, no tensor"
            raise UnsupportedError(what, advice="export the program with that number fixed")
    return tuple(specs), constants


def copied(module: Any) -> Any:
    """A copy that shares nothing with ``module``.

    Raises:
        ModelError: it cannot be copied.
    """
    try:
        return copy.deepcopy(module)
    except Exception as error:  # it is the user's own code
        raise ModelError(f"the module cannot be copied: {error}", where=type(module).__name__) from error


def write_program(program: Program, module: Any, example: Sequence[Any], path: Path) -> None:
    """Write an exported program, without the paths of this machine's sources.

    Args:
        module: of ``program``, where it computes.
        example: tensors that it takes; read where it was no exported program already.

    Raises:
        UnsupportedError: the module cannot be exported.
    """
    exported = program.exported
    if exported is None:
        exported = _export(module, *program.arguments(example))
    with _without_private(exported):
        runtime().export.save(exported, path)


@contextmanager
def _without_private(program: Any) -> Iterator[None]:
    """Leave out what tells of this machine while the block runs: a copy of a program loses names of inputs."""
    graphs = [
        each.graph for each in program.graph_module.modules() if isinstance(each, runtime().fx.GraphModule)
    ]
    nodes = [node for graph in graphs for node in graph.nodes]
    taken = [{key: node.meta.pop(key) for key in _PRIVATE if key in node.meta} for node in nodes]
    try:
        yield
    finally:
        for node, values in zip(nodes, taken, strict=True):
            node.meta.update(values)


def _export(module: Any, args: Any, kwargs: Any) -> Any:
    try:
        return runtime().export.export(module, args, kwargs)
    except Exception as error:  # torch raises whatever its parts raise
        said = str(error).strip() or type(error).__name__
        what = f"the module cannot be exported: {said.splitlines()[0]}"
        raise UnsupportedError(
            what, advice="it runs as it is; torch.export has to take it to be saved"
        ) from error
