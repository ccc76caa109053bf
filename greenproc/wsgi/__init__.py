"""WSGI in both directions: a node that serves apps, and apps that serve a node."""

from typing import TYPE_CHECKING, Any

from greenproc.checks import how_to_install
from greenproc.wsgi.middleware import Middleware
from greenproc.wsgi.process import WSGIProcess

if TYPE_CHECKING:
    from greenproc.wsgi.worker import GreenprocWorker

__all__ = ["GreenprocWorker", "Middleware", "WSGIProcess"]


def __getattr__(name: str) -> Any:
    # Imported on demand, since gunicorn is an optional dependency.
    if name == "GreenprocWorker":
        try:
            from greenproc.wsgi.worker import GreenprocWorker
        except ModuleNotFoundError as error:
            # From gunicorn 26 on, its gevent worker needs what only the extra gunicorn[gevent] brings.
            raise ModuleNotFoundError(
                f"GreenprocWorker needs gunicorn and its gevent worker: {how_to_install('gunicorn')}",
                name=error.name,
            ) from error
        return GreenprocWorker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
