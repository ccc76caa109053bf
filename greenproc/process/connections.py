"""Which connections end with a process: those that left HTTP for it, and its streams."""

from __future__ import annotations

from greenproc.process.base import Process, record_of, routes_of
from greenproc.process.routes import ProcessConnection
from greenproc.process.weak_method import is_over


def end_with(process: Process, connection: ProcessConnection) -> bool:
    """End *connection* with *process*; tell whether that has not ended yet."""
    if is_over(process):
        return False
    routes = routes_of(process)
    if routes.connections is None:
        routes.connections = {}
    routes.connections[connection] = None
    return True


def forget_connection(process: Process, connection: ProcessConnection) -> None:
    """Take note that *connection* is over, or belongs to another process."""
    routes = record_of(process).routes
    if routes is not None and routes.connections is not None:
        routes.connections.pop(connection, None)
