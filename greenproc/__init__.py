"""greenproc: actors and message passing for gevent, speaking the libprocess protocol.

This module only gathers the public names; see the parts for what they do.
"""

from greenproc.address import Address
from greenproc.clock import Timer
from greenproc.default import (
    absolute_path,
    address,
    current_runtime,
    defer,
    delay,
    dispatch,
    filter,
    finalize,
    initialize,
    post,
    run_async,
    signals,
    spawn,
    start_in_thread,
    terminate,
    wait,
    workers,
)
from greenproc.errors import Abandoned, Discarded, Failure
from greenproc.future import (
    Break,
    Continue,
    Future,
    Promise,
    after,
    await_all,
    collect,
    loop,
    select,
    undiscardable,
)
from greenproc.message import Message
from greenproc.pid import PID, UPID
from greenproc.process import (
    Deferred,
    DispatchEvent,
    ExitedEvent,
    HttpEvent,
    MessageEvent,
    Process,
    RemoteConnection,
    TerminateEvent,
    install,
    route,
)
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.sync import (
    CountDownLatch,
    Latch,
    Mutex,
    Queue,
    RateLimiter,
    ReadWriteLock,
    Sequence,
)
from greenproc.websockets import WebSocket, websocket

__all__ = [
    "PID",
    "UPID",
    "Abandoned",
    "Address",
    "Break",
    "Continue",
    "CountDownLatch",
    "Deferred",
    "Discarded",
    "DispatchEvent",
    "ExitedEvent",
    "Failure",
    "Future",
    "HttpEvent",
    "Latch",
    "Message",
    "MessageEvent",
    "Mutex",
    "Process",
    "Promise",
    "Queue",
    "RateLimiter",
    "ReadWriteLock",
    "RemoteConnection",
    "Runtime",
    "Sequence",
    "Settings",
    "TerminateEvent",
    "Timer",
    "WebSocket",
    "absolute_path",
    "address",
    "after",
    "await_all",
    "collect",
    "current_runtime",
    "defer",
    "delay",
    "dispatch",
    "filter",
    "finalize",
    "initialize",
    "install",
    "loop",
    "post",
    "route",
    "run_async",
    "select",
    "signals",
    "spawn",
    "start_in_thread",
    "terminate",
    "undiscardable",
    "wait",
    "websocket",
    "workers",
]
