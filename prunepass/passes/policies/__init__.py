"""Policies: which channels go, from scores and a budget."""

from ._free import free_outputs as free_outputs
from ._keep import keep_matching as keep_matching
from ._select import Clocked as Clocked
from ._select import Policy as Policy
from ._table import policies as policies
from ._widths import Grain as Grain
from ._widths import allowed_widths as allowed_widths
from ._widths import least_widths as least_widths
from ._widths import steps as steps
