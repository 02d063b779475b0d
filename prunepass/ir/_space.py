"""Unification of dims: what makes coupled channels one atom.

``Space.unify(a, b)`` demands that two dims are the same index space and *refines* atoms until they are:
16 + 16 met by 32 splits the atom, n * k met by k' factors it. Two primitives suffice, ``split`` and
``factor``. What does not fit is pinned with a reason, never guessed.
"""

from __future__ import annotations

from collections import deque
from math import gcd, lcm

from ._dims import Atom, Dim, Fixed, Prod, Sum, atom, prod, total
from ._errors import InternalError
from ._origin import Pin
from ._refinements import Refinements

_UNFIT = Pin("two groupings of one dim have no common factor")
_BLOCKS = Pin("the number of repeated blocks is given")


class Space(Refinements):
    """A set of equations over dims, solved as they come.

    The atoms that an expression mentions may have been refined since; ``norm`` gives today's form.
    """

    def unify(self, left: Dim, right: Dim) -> None:
        """Demand that ``left`` and ``right`` are the same index space.

        Raises:
            InternalError: their sizes differ; shapes are checked before.
        """
        todo = [(left, right)]
        while todo:
            a, b = (self.norm(dim) for dim in todo.pop())
            if a is b:
                continue
            if a.size != b.size:
                raise InternalError(f"dims of {a.size} and {b.size} entries cannot be the same")
            if isinstance(a, Fixed) or isinstance(b, Fixed):
                self._freeze(a, b)
            elif isinstance(a, Atom):
                self._bound[a] = b
            elif isinstance(b, Atom):
                self._bound[b] = a
            elif isinstance(a, Sum) or isinstance(b, Sum):
                todo.extend(self._align(a, b))
            else:
                todo.extend(self._regroup(a, b))

    def _freeze(self, a: Dim, b: Dim) -> None:
        for one, other in ((a, b), (b, a)):
            if isinstance(one, Fixed):
                self.pin(other, *one.pins)

    def _align(self, a: Dim, b: Dim) -> list[tuple[Dim, Dim]]:
        """Walk two rows of segments with two cursors and cut whichever sticks out."""
        pairs: list[tuple[Dim, Dim]] = []
        left, right = deque([a]), deque([b])
        while left:
            x, y = self._take(left), self._take(right)
            if x.size > y.size:
                x, rest = self.split(x, y.size)
                left.appendleft(rest)
            elif y.size > x.size:
                y, rest = self.split(y, x.size)
                right.appendleft(rest)
            pairs.append((x, y))
        return pairs

    def _take(self, row: deque[Dim]) -> Dim:
        """Pop the first segment as it is now: earlier splits may have refined it."""
        first = self.norm(row.popleft())
        if isinstance(first, Sum):
            row.extendleft(reversed(first.parts[1:]))
            return first.parts[0]
        return first

    def _regroup(self, a: Dim, b: Dim) -> list[tuple[Dim, Dim]]:
        """Match two products from the inside."""
        assert isinstance(a, Prod)
        assert isinstance(b, Prod)
        common = gcd(a.parts[-1].size, b.parts[-1].size)
        if common > 1:
            outer_a, inner_a = self.factor(a, common)
            outer_b, inner_b = self.factor(b, common)
            return [(inner_a, inner_b), (outer_a, outer_b)]
        block = _smallest_block(a, b)
        outer_a, inner_a = self.factor(a, block)
        outer_b, inner_b = self.factor(b, block)
        self.pin(inner_a, _UNFIT)
        self.pin(inner_b, _UNFIT)
        return [(outer_a, outer_b)]

    def factor(self, dim: Dim, count: int) -> tuple[Dim, Dim]:
        """Read ``dim`` as outer x inner with ``count`` entries inside; returns ``(outer, inner)``."""
        dim = self.norm(dim)
        if count == 1:
            return dim, Fixed(1)
        if count == dim.size:
            return Fixed(1), dim
        if isinstance(dim, Fixed):
            return Fixed(dim.size // count, dim.pins), Fixed(count, dim.pins)
        if isinstance(dim, Atom):
            outer, inner = atom(dim.size // count), atom(count)
            self._bound[dim] = prod(outer, inner)
            return outer, inner
        return self._factor_prod(dim, count) if isinstance(dim, Prod) else self._factor_sum(dim, count)

    def _factor_prod(self, dim: Prod, count: int) -> tuple[Dim, Dim]:
        rest, last = prod(*dim.parts[:-1]), dim.parts[-1]
        if last.size % count == 0:
            outer, inner = self.factor(last, count)
            return prod(rest, outer), inner
        if count % last.size == 0:
            outer, inner = self.factor(rest, count // last.size)
            return outer, prod(inner, last)
        self.pin(dim, _UNFIT)
        return Fixed(dim.size // count, (_UNFIT,)), Fixed(count, (_UNFIT,))

    def _factor_sum(self, dim: Sum, count: int) -> tuple[Dim, Dim]:
        if all(part.size % count == 0 for part in dim.parts):
            outers, inners = zip(*(self.factor(part, count) for part in dim.parts), strict=True)
        else:
            inners = tuple(self._blocks(dim, count))
            outers = (Fixed(len(inners), (_BLOCKS,)),)
        for inner in inners[1:]:
            self.unify(inners[0], inner)
        return total(*outers), inners[0]

    def _blocks(self, dim: Dim, count: int) -> list[Dim]:
        blocks = []
        while dim.size > count:
            block, dim = self.split(dim, count)
            blocks.append(block)
        return [*blocks, dim]


def _smallest_block(a: Prod, b: Prod) -> int:
    """The smallest inner block that both products have, though they group it differently."""
    step = lcm(a.parts[-1].size, b.parts[-1].size)
    blocks = (size for size in range(step, a.size, step) if a.size % size == 0)
    return next((size for size in blocks if _has_block(a, size) and _has_block(b, size)), a.size)


def _has_block(dim: Prod, count: int) -> bool:
    """Return whether ``factor`` can take out an inner part of ``count`` entries."""
    for part in reversed(dim.parts):
        if count % part.size:
            return part.size % count == 0
        count //= part.size
        if count == 1:
            return True
    return False
