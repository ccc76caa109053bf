"""The names that the package itself offers."""

from __future__ import annotations

from importlib import import_module

import pytest

import greenproc

NAMES = """
Process PID UPID Address Message MessageEvent DispatchEvent HttpEvent ExitedEvent TerminateEvent
RemoteConnection Runtime Settings Timer Deferred
initialize finalize current_runtime address workers absolute_path spawn terminate wait post
ask proxy dispatch defer delay run_async filter install route start_in_thread websocket WebSocket
Future Promise Failure Discarded Abandoned undiscardable select collect await_all after loop
Continue Break
Sequence RateLimiter Mutex ReadWriteLock Queue Latch CountDownLatch signals dead_letters
MailboxLimit every Cron State StateMachine Topic Router Pool Supervisor Child Backoff StartFailed RestartLimit ChildError
"""


def test_the_package_offers_the_names_of_its_contract_and_no_others() -> None:
    assert sorted(greenproc.__all__) == sorted(NAMES.split())
    assert all(hasattr(greenproc, name) for name in greenproc.__all__)


PARTS = {
    "auth": "Principal Authenticator BasicAuthenticator JWTAuthenticator CombinedAuthenticator",
    "http": """
        Request Response Headers URL Status OK Created Accepted NoContent TemporaryRedirect BadRequest
        Unauthorized Forbidden NotFound MethodNotAllowed NotAcceptable Conflict PreconditionFailed
        UnsupportedMediaType InternalServerError NotImplemented ServiceUnavailable
    """,
    "sync": "Latch CountDownLatch Mutex Once Pipe Queue RateLimiter ReadWriteLock Sequence",
    "testing": """
        future_message drop_message future_dispatch drop_dispatch expect_no_messages await_ready
        await_failed await_discarded
    """,
    "web": """
        get post put patch delete head request connect Connection Server serve Pipe firewall
        DisabledEndpointsFirewallRule
    """,
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_offers_the_names_that_are_documented(part: str) -> None:
    module = import_module(f"greenproc.{part}")

    assert [name for name in PARTS[part].split() if not hasattr(module, name)] == []
