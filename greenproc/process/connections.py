"""The connections that end with a process: its WebSockets and other upgrades, and its streams."""

from __future__ import annotations

from greenproc.process.base import Process, record_of, routes_of
from greenproc.process.routes import ProcessConnection
from greenproc.process.weak_method import is_over


def end_with(process: Process, connection: ProcessConnection) -> bool:
    """End *connection* when *process* ends; return False if it has ended already."""
    if is_over(process):
        return False
    routes = routes_of(process)
    if routes.connections is None:
        routes.connections = {}
    routes.connections[connection] = None
    return True


def forget_connection(process: Process, connection: ProcessConnection) -> None:
    """Remove *connection*, which is closed or belongs to another process."""
    routes = record_of(process).routes
    if routes is not None and routes.connections is not None:
        routes.connections.pop(connection, None)
