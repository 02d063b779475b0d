"""Many candidates of one model: pruned, proven, measured and held against each other."""

from ._grid import Candidate as Candidate
from ._grid import grid as grid
from ._journal import NAME as NAME
from ._page import page_of_sweep as page_of_sweep
from ._row import Row as Row
from ._sweep import Sweep as Sweep
from ._sweep import sweep as sweep
