"""Hosts: capture models from torch and ONNX, and replay cuts onto them."""

from ._layer_names import layer_names as layer_names
from ._saved import refuse_saved as refuse_saved
from ._session import Session as Session
from ._session import UnchangedSize as UnchangedSize
from ._session import open_model as open_model
