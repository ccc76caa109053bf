"""What a runtime does with HTTP: which process a request is for, and what is refused; and a client."""

from greenproc.sync.pipe import Pipe
from greenproc.web.client import delete, get, head, patch, post, put, request
from greenproc.web.connection import Connection, connect
from greenproc.web.firewall import DisabledEndpointsFirewallRule, Firewall, FirewallRule
from greenproc.web.routes import Router

__all__ = [
    "Connection",
    "DisabledEndpointsFirewallRule",
    "Firewall",
    "FirewallRule",
    "Pipe",
    "Router",
    "connect",
    "delete",
    "get",
    "head",
    "patch",
    "post",
    "put",
    "request",
]
