"""Rewrites of a graph by a plan: the cut, and the repair of what read the cut channels."""

from ._compensate import Compensation as Compensation
from ._compensate import compensate as compensate
from ._cut import cut as cut
from ._dead import Remove as Remove
from ._dead import dead_first as dead_first
from ._dead import dead_plan as dead_plan
