"""The torch host: capture nn.Module, ExportedProgram and GraphModule, and replay cuts onto them."""

from . import _require as _require
from ._capture import capture as capture
from ._export import export as export
from ._export import program_of as program_of
from ._inputs import feeds as feeds
from ._inputs import run as run
from ._mismatch import ReplayMismatch as ReplayMismatch
from ._remedies import constrain as constrain
from ._replay_graph import replay_graph as replay_graph
from ._replay_module import replay_module as replay_module
from ._session import open_session as open_session
