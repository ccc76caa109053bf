"""File descriptors: waiting for readiness, reading, writing, copying; and watching files."""

from greenproc.hub.iteration_budget import yield_if_spent, yield_to_io
from greenproc.io.descriptor import READ, WRITE, Descriptor, close, is_async, poll, prepare_async
from greenproc.io.redirect import redirect
from greenproc.io.transfer import read, write
from greenproc.io.watcher import Event, EventType, Watcher

__all__ = [
    "READ",
    "WRITE",
    "Descriptor",
    "Event",
    "EventType",
    "Watcher",
    "close",
    "is_async",
    "poll",
    "prepare_async",
    "read",
    "redirect",
    "write",
    "yield_if_spent",
    "yield_to_io",
]
