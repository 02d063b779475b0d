"""The command line: ``prunepass --help``."""

from ._start import main as main
