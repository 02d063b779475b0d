"""The ONNX host: capture from ``onnx_ir`` models and replay into the user's own file."""

from ._capture import capture as capture
from ._extract import Extractor as Extractor
from ._inputs import feeds as feeds
from ._load import as_given as as_given
from ._load import load as load
from ._replay import replay as replay
from ._require import MODULES as MODULES
from ._run import run as run
from ._save import save as save
from ._save import to_proto as to_proto
from ._session import OnnxSession as OnnxSession
from ._session import open_session as open_session
