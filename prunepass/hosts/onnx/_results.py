"""Types of what a node makes: by schema, as annotated, or by running it once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from ...ir import Array, Shape, UnsupportedError, is_float
from ._foreign import Typed, dtypes_by_schema, infer
from ._inputs import symbol
from ._ledger import Ledger, Site
from ._types import OPAQUE, dtype_name, dtype_seen

_ADVICE = "pass example inputs with data, or run shape inference on the model so that its values carry shapes"


@dataclass(frozen=True, slots=True)
class Typing:
    """Finds result types.

    Attributes:
        opsets: versions of the operator sets that the model imports.
        symbols: sizes of the symbolic dims that the inputs name.
        given: shapes for results that only data could tell.
    """

    ledger: Ledger
    opsets: Mapping[str, int]
    symbols: Mapping[str, int]
    given: Mapping[str, Shape]

    def dtypes(self, site: Site) -> tuple[str, ...]:
        """Result dtypes of a declared node: by schema, else as annotated, else like its first operand."""
        own = {str(v.name): self.ledger.tensor(str(v.name)).dtype for v in site.node.inputs if v is not None}
        plain = dtypes_by_schema(site.node, self.opsets, own)
        if plain is not None:
            return plain
        inferred, _ = self._inferred(site)
        if inferred is not None:
            return tuple(typed.dtype for typed in inferred)
        reads = [self.ledger.tensor(name).dtype for name in site.operands if name is not None]
        likely = next((dtype for dtype in reads if is_float(dtype)), reads[0] if reads else "float32")
        stated = [dtype_name(out.dtype) for out in site.node.outputs]
        return tuple(likely if dtype == OPAQUE else dtype for dtype in stated)

    def foreign(self, site: Site) -> tuple[Typed, ...]:
        """Result types of a node without a declaration; marks as loose what depends on data.

        Raises:
            UnsupportedError: neither schema nor annotation nor a run of the node tells a shape.
        """
        names = site.outputs
        inferred, refusal = self._inferred(site)
        found = inferred or [Typed(name, None, OPAQUE) for name in names]
        if not refusal:
            stated = [self._stated(out) for out in site.node.outputs]
            found = [
                typed if typed.shape is not None else replace(typed, shape=shape, dtype=_either(typed, out))
                for typed, shape, out in zip(found, stated, site.node.outputs, strict=False)
            ]
        named = [replace(typed, name=name) for name, typed in zip(names, found, strict=False)]
        if all(typed.shape is not None and typed.dtype != OPAQUE for typed in named):
            return tuple(named)
        return self._sampled(site, refusal)

    def _inferred(self, site: Site) -> tuple[list[Typed] | None, str]:
        names = dict.fromkeys(name for name in site.operands if name is not None)
        names.update(dict.fromkeys(str(v.name) for v in site.node.inputs if v is not None and v.name))
        reads = [self.ledger.typed(name) for name in names]
        data = {name: array for name in names if (array := self.ledger.small(name)) is not None}
        return infer(site.node, self.opsets, reads, data)

    def _stated(self, value: ir.Value) -> Shape | None:
        """The annotated shape, with symbolic dims as the inputs set them."""
        if value.shape is None:
            return None
        names = [symbol(value, axis) for axis in range(len(value.shape))]
        dims = [
            dim if name is None else self.symbols.get(name)
            for dim, name in zip(value.shape, names, strict=True)
        ]
        return tuple(dim for dim in dims if isinstance(dim, int)) if None not in dims else None

    def _run(self, site: Site, sizes: int) -> tuple[Array, ...]:
        assert site.runner is not None
        return site.runner(
            *(None if read is None else self.ledger.sample(read, sizes) for read in site.operands)
        )

    def _sampled(self, site: Site, refusal: str) -> tuple[Typed, ...]:
        """Run the node once, on constants and examples where there are any and made-up data elsewhere.

        Zeros are what indices may be, ones are what sizes may be.
        """
        made: tuple[Array, ...] | None = None
        said = refusal
        for sizes in (0, 1):
            try:
                made = made or self._run(site, sizes)
            except UnsupportedError as error:
                said = said or error.what
        if made is None:
            raise UnsupportedError(
                f"what '{site.attrs['kind']}' makes cannot be told: {said}", advice=_ADVICE
            )
        found = []
        for name, array in zip(site.outputs, made, strict=False):
            shape = self.given.get(name, array.shape)
            if shape != array.shape:
                array = np.zeros(shape, array.dtype)
            self.ledger.loose[name] = array
            found.append(Typed(name, shape, dtype_seen(array)))
        return tuple(found)


def _either(typed: Typed, value: ir.Value) -> str:
    return dtype_name(value.dtype) if typed.dtype == OPAQUE else typed.dtype
