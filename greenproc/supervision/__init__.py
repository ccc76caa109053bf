"""Supervision: processes that start, restart and stop other processes."""

from greenproc.supervision.backoff import Backoff
from greenproc.supervision.child import Child
from greenproc.supervision.supervisor import Supervisor
from greenproc.supervision.table import ChildCounts, ChildInfo, ChildState

__all__ = ["Backoff", "Child", "ChildCounts", "ChildInfo", "ChildState", "Supervisor"]
