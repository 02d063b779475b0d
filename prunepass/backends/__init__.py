"""Engines that run a model: one file each behind one small protocol, loaded when asked for."""

from ._device_times import DeviceTimes as DeviceTimes
from ._feeds import check_feeds as check_feeds
from ._feeds import feeds_of as feeds_of
from ._feeds import random_feeds as random_feeds
from ._options import MOST_THREADS as MOST_THREADS
from ._options import Threads as Threads
from ._options import read_options as read_options
from ._protocol import Backend as Backend
from ._protocol import Clock as Clock
from ._protocol import DeviceTimed as DeviceTimed
from ._protocol import Engine as Engine
from ._protocol import Feeds as Feeds
from ._protocol import Layer as Layer
from ._protocol import LayerTime as LayerTime
from ._protocol import Memory as Memory
from ._protocol import Shapes as Shapes
from ._protocol import TensorSpec as TensorSpec
from ._source import onnx_source as onnx_source
from ._table import available as available
from ._table import checked as checked
from ._table import get as get
from ._table import names as names
from ._table import ready as ready
