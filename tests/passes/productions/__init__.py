"""Ways to extend a random network; every operator family has at least one."""

from tests.passes.productions import (
    _blocks,
    _entries,
    _fused,
    _layers,
    _moves,
    _noise,
    _norms,
    _recurrent,
    _rest,
    _windows,
)
from tests.passes.productions._net import Production

_FAMILIES = (_layers, _blocks, _moves, _entries, _windows, _norms, _fused, _recurrent, _noise, _rest)
TABLE: dict[str, Production] = {}
for _family in _FAMILIES:
    assert not TABLE.keys() & _family.table.keys()
    TABLE.update(_family.table)
