"""Tools for tests of programs that use greenproc, and of greenproc itself.

The pytest plugin is `greenproc.testing.plugin`; no other module here depends on pytest.
"""

from greenproc.testing.awaits import (
    await_abandoned,
    await_discarded,
    await_eq,
    await_failed,
    await_ready,
    await_response_body_eq,
    await_response_header_eq,
    await_response_status_eq,
)
from greenproc.testing.errors import ErrorLog, expect_failure
from greenproc.testing.expect import (
    ANY,
    drop_dispatch,
    drop_dispatches,
    drop_exited,
    drop_message,
    drop_messages,
    drop_request,
    drop_requests,
    expect_no_dispatches,
    expect_no_messages,
    expect_no_requests,
    future_dispatch,
    future_exited,
    future_message,
    future_request,
    inject_exited,
)
from greenproc.testing.feeds import Feed, feeds
from greenproc.testing.hang import stacks_after
from greenproc.testing.leaks import Snapshot, find_leaks, take_snapshot
from greenproc.testing.runtimes import RuntimeMaker

__all__ = [
    "ANY",
    "ErrorLog",
    "Feed",
    "RuntimeMaker",
    "Snapshot",
    "await_abandoned",
    "await_discarded",
    "await_eq",
    "await_failed",
    "await_ready",
    "await_response_body_eq",
    "await_response_header_eq",
    "await_response_status_eq",
    "drop_dispatch",
    "drop_dispatches",
    "drop_exited",
    "drop_message",
    "drop_messages",
    "drop_request",
    "drop_requests",
    "expect_failure",
    "expect_no_dispatches",
    "expect_no_messages",
    "expect_no_requests",
    "feeds",
    "find_leaks",
    "future_dispatch",
    "future_exited",
    "future_message",
    "future_request",
    "inject_exited",
    "stacks_after",
    "take_snapshot",
]
