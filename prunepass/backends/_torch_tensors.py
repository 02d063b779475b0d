"""Tensors and arrays: PyTorch's types in those of engines, and names for what a module returns."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ..ir import BackendError
from ._arrays import BFLOAT16, as_bits, from_bits, native
from ._protocol import TensorSpec

_INSTALL = "install it with: pip install 'prunepass[torch]'"


def runtime() -> Any:
    """The package.

    Raises:
        BackendError: it is missing or broken.
    """
    try:
        import torch
    except (ImportError, OSError) as error:
        raise BackendError(f"torch cannot be imported: {error}", advice=_INSTALL) from error
    return torch


def step(key: Any) -> str:
    """One step on the way to a leaf of nested arguments or results, as text."""
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def spec_of(name: str, tensor: Any) -> TensorSpec:
    """The spec of a tensor; symbolic sizes under torch's own name for them."""
    shape = tuple(size if isinstance(size, int) else str(size) for size in tensor.shape)
    return TensorSpec(name, shape, str(tensor.dtype).removeprefix("torch."))


def output_tensors(made: Any) -> dict[str, Any]:
    """The tensors in what a module returned, named by the way to them; ``output`` where it is just one."""
    torch = runtime()
    leaves, _ = torch.utils._pytree.tree_flatten_with_path(made)
    tensors = [(path, leaf) for path, leaf in leaves if isinstance(leaf, torch.Tensor)]
    return {"_".join(map(step, path)) or "output": leaf for path, leaf in tensors}


def output_specs(made: Any) -> tuple[TensorSpec, ...]:
    return tuple(spec_of(name, tensor) for name, tensor in output_tensors(made).items())


def tensor_of(array: npt.ArrayLike, dtype: str) -> Any:
    """A tensor with a copy of ``array``: a model may write into its inputs."""
    torch = runtime()
    made = torch.tensor(as_bits(native(array)))
    return made.view(torch.bfloat16) if dtype == BFLOAT16 else made


def array_of(tensor: Any) -> npt.NDArray[Any]:
    """The data of a tensor as an array of the same type."""
    torch = runtime()
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if plain.dtype == torch.bfloat16:
        return from_bits(plain.contiguous().view(torch.int16).numpy())
    made: npt.NDArray[Any] = plain.numpy()
    return made
