"""Drivers: loops around a pipeline that replay, check, measure and plan again."""

from ._host_check import HostCheck as HostCheck
from ._host_check import check_runs as check_runs
from ._host_check import host_check as host_check
from ._host_check import run_once as run_once
from ._latency import has_latency as has_latency
from ._replayed import all_or_nothing as all_or_nothing
from ._replayed import replayed as replayed
from ._report import GroupRow as GroupRow
from ._report import Report as Report
from ._report import group_rows as group_rows
from ._report import note_of as note_of
from ._report import report_of as report_of
from ._report import unread_names as unread_names
from ._report import unread_note as unread_note
from ._table import drivers as drivers
from ._timed import Done as Done
from ._timed import Job as Job
from ._timed import counted as counted
from ._timed import timed as timed
