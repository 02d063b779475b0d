"""Targets: what an engine rewards, as data; built-in ones and measured ones."""

from ._calibrate import calibrate as calibrate
from ._targets import Target as Target
from ._targets import target_for as target_for
from ._targets import target_of as target_of
from ._targets import targets as targets
from ._targets import to_toml as to_toml
