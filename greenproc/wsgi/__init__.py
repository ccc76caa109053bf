"""WSGI both ways: apps served by a node, and a node reached through a WSGI server."""

from typing import TYPE_CHECKING, Any

from greenproc.wsgi.middleware import Middleware
from greenproc.wsgi.process import WSGIProcess

if TYPE_CHECKING:
    from greenproc.wsgi.worker import GreenprocWorker

__all__ = ["GreenprocWorker", "Middleware", "WSGIProcess"]


def __getattr__(name: str) -> Any:
    # gunicorn is not installed everywhere.
    if name == "GreenprocWorker":
        from greenproc.wsgi.worker import GreenprocWorker

        return GreenprocWorker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
