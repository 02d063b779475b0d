"""Signals that ask a process to stop. Light to import: the command line loads it before anything else."""

from ._signals import STOPS as STOPS
from ._signals import handled as handled
from ._signals import undisturbed as undisturbed
