"""The current process: the one that the calling greenlet runs for."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from greenlet import getcurrent

if TYPE_CHECKING:
    from greenproc.process.base import Process
    from greenproc.process.record import ProcessRecord

PROCESS: ContextVar[Process | None] = ContextVar("greenproc.process", default=None)


def current_process() -> Process | None:
    """Return the process whose handler is running here, or None outside of every process."""
    return PROCESS.get()


def is_running(record: ProcessRecord) -> bool:
    """Whether the greenlet that calls is that of the process of *record*."""
    return getcurrent() is record.greenlet
