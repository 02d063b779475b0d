"""Families of procedural inputs: what a model can be run on where nobody gave data.

A family is a frozen dataclass whose fields are its options; which ones an input can take is decided by its shape and
type alone. Other distributions add families through the entry point group ``prunepass.families``. No family draws
what a demonstration or a comparison of this library draws.
"""

from ._fields import Fields as Fields
from ._form import Form as Form
from ._leaves import Leaves as Leaves
from ._noise import Noise as Noise
from ._protocol import Family as Family
from ._strokes import Strokes as Strokes
from ._table import families as families
from ._table import fitting as fitting
from ._tokens import Tokens as Tokens
from ._tones import Tones as Tones
from ._vectors import Vectors as Vectors
