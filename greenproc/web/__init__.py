"""What a runtime does with HTTP: which process a request is for, and what is refused; servers and a client."""

from greenproc.sync.pipe import Pipe
from greenproc.web.client import delete, get, head, patch, post, put, request
from greenproc.web.connection import Connection, connect
from greenproc.web.firewall import DisabledEndpointsFirewallRule, Firewall, FirewallRule
from greenproc.web.routes import Router
from greenproc.web.server import Server, serve, serve_connection

__all__ = [
    "Connection",
    "DisabledEndpointsFirewallRule",
    "Firewall",
    "FirewallRule",
    "Pipe",
    "Router",
    "Server",
    "connect",
    "delete",
    "get",
    "head",
    "patch",
    "post",
    "put",
    "request",
    "serve",
    "serve_connection",
]
