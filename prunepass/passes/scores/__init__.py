"""Scores: a number for each channel of each group, larger = keep.

A score is a frozen dataclass whose fields are its options. Other distributions add scores through the entry
point group ``prunepass.scores``: the entry's name is that of the score, its object the class.
"""

from ._bn_scale import BnScale as BnScale
from ._dfpc import Dfpc as Dfpc
from ._norms import L1 as L1
from ._norms import L2 as L2
from ._protocol import Score as Score
from ._protocol import explain as explain
from ._protocol import judged as judged
from ._protocol import needs_of as needs_of
from ._protocol import scored as scored
from ._protocol import source_of as source_of
from ._random import Random as Random
from ._stade import Stade as Stade
from ._stade import Wanda as Wanda
from ._summed import squared_weights as squared_weights
from ._summed import summed as summed
from ._table import get as get
from ._table import names as names
from ._table import scores as scores
from ._taylor import Taylor as Taylor
from ._variance import Variance as Variance
