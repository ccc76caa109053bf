"""Processes: mailboxes, handlers, dispatch, links and the manager that runs them."""

from greenproc.process.base import Process
from greenproc.process.defer import Deferred, _1, _2, _3, _4, _5, _6, _7, _8, _9
from greenproc.process.event import (
    DispatchEvent,
    Event,
    ExitedEvent,
    HttpEvent,
    MessageEvent,
    TerminateEvent,
    Visitor,
)
from greenproc.process.executor import Executor
from greenproc.process.filter import Filter
from greenproc.process.flow import MailboxLimit
from greenproc.process.handlers import install, route
from greenproc.process.help import (
    AUTHENTICATION,
    AUTHORIZATION,
    DESCRIPTION,
    HELP,
    REFERENCES,
    TLDR,
    USAGE,
)
from greenproc.process.ports import Delivery, RemoteConnection
from greenproc.process.proxy import Proxy

__all__ = [
    "AUTHENTICATION",
    "AUTHORIZATION",
    "DESCRIPTION",
    "HELP",
    "REFERENCES",
    "TLDR",
    "USAGE",
    "Deferred",
    "Delivery",
    "DispatchEvent",
    "Event",
    "Executor",
    "ExitedEvent",
    "Filter",
    "HttpEvent",
    "MailboxLimit",
    "MessageEvent",
    "Process",
    "Proxy",
    "RemoteConnection",
    "TerminateEvent",
    "Visitor",
    "_1",
    "_2",
    "_3",
    "_4",
    "_5",
    "_6",
    "_7",
    "_8",
    "_9",
    "install",
    "route",
]
