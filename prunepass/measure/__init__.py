"""Interleaved timing of engines, its statistics in trtexec's terms, and their renderings."""

from ..backends import random_feeds as random_feeds
from ._compare import compare as compare
from ._compare import throughput as throughput
from ._progress import Progress as Progress
from ._progress import progress_bar as progress_bar
from ._result import CLOCKS as CLOCKS
from ._result import Comparison as Comparison
from ._result import Measurement as Measurement
from ._rounds import Sample as Sample
from ._rounds import Timing as Timing
from ._rounds import TimingOptions as TimingOptions
from ._stats import Ratio as Ratio
from ._stats import Statistics as Statistics
from ._stats import ratio as ratio
from ._stats import statistics as statistics
