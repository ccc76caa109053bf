"""HTTP for runtimes and programs: the router and the firewall, servers, event streams, a client."""

from greenproc.sync.pipe import Pipe
from greenproc.web.client import delete, get, head, patch, post, put, request
from greenproc.web.connection import Connection, connect
from greenproc.web.event_stream import EventStream, StreamLimits
from greenproc.web.firewall import DisabledEndpointsFirewallRule, Firewall, FirewallRule
from greenproc.web.router import RequestRouter
from greenproc.web.server import Server, serve, serve_connection
from greenproc.web.subscriber import Subscriber

__all__ = [
    "Connection",
    "DisabledEndpointsFirewallRule",
    "EventStream",
    "Firewall",
    "FirewallRule",
    "Pipe",
    "RequestRouter",
    "Server",
    "StreamLimits",
    "Subscriber",
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
