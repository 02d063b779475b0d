"""Policies: which channels go, from scores and a budget."""

from ._free import free_outputs as free_outputs
from ._keep import keep_matching as keep_matching
from ._knapsack import Knapsack as Knapsack
from ._lowest import Lowest as Lowest
from ._problem import DamageCurves as DamageCurves
from ._problem import LatencyLimit as LatencyLimit
from ._problem import Policy as Policy
from ._problem import Problem as Problem
from ._problem import with_options as with_options
from ._sensitivity import Sensitivity as Sensitivity
from ._table import MODES as MODES
from ._table import PolicyLike as PolicyLike
from ._table import policies as policies
from ._table import policy_of as policy_of
from ._threshold import Threshold as Threshold
from ._undivided import undivided as undivided
from ._uniform import Uniform as Uniform
from ._widths import Grain as Grain
from ._widths import GroupWidths as GroupWidths
from ._widths import allowed_widths as allowed_widths
from ._widths import group_widths as group_widths
from ._widths import least_widths as least_widths
from ._widths import multiples as multiples
