"""Coupled channels: the solution of all operator rules of a graph, and walks over what carries data."""

from ._coupling import Coupling as Coupling
from ._coupling import Group as Group
from ._coupling import Member as Member
from ._coupling import couple as couple
from ._coupling import produced as produced
from ._coupling import static_values as static_values
from ._find import channels_of as channels_of
from ._find import find_group as find_group
from ._narrow import cut_data as cut_data
from ._narrow import kept_axes as kept_axes
from ._narrow import narrowed as narrowed
from ._reads import ReadPlace as ReadPlace
from ._reads import masked_groups as masked_groups
from ._reads import read_masks as read_masks
from ._reads import reads as reads
from ._stream import Read as Read
from ._stream import Step as Step
from ._stream import drop as drop
from ._stream import reads_of as reads_of
from ._stream import static_array as static_array
from ._stream import steps as steps
from ._weight_sums import below as below
from ._weight_sums import flowing_atoms as flowing_atoms
from ._weight_sums import sum_reason as sum_reason
from ._weight_sums import used_weights as used_weights
