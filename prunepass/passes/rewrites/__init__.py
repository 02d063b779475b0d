"""Rewrites of a graph by a plan: the cut, and the repair of what read the cut channels."""

from ._compensate import Compensation as Compensation
from ._compensate import compensate as compensate
from ._cut import cut as cut
from ._dead import Remove as Remove
from ._dead import dead_first as dead_first
from ._dead import dead_plan as dead_plan
from ._mask import masked_by_weights as masked_by_weights
from ._reconstruct import FitOptions as FitOptions
from ._reconstruct import Reconstruction as Reconstruction
from ._reconstruct import reconstruct as reconstruct
