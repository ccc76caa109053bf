"""WSGI both ways: apps served by a node, and a node reached through a WSGI server."""

from greenproc.wsgi.middleware import Middleware
from greenproc.wsgi.process import WSGIProcess

__all__ = ["Middleware", "WSGIProcess"]
