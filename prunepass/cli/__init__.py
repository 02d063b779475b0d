"""The command line: ``prunepass --help``."""

from ._main import main as main
