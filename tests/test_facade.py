"""The names that the package itself offers."""

from __future__ import annotations

import greenproc

NAMES = """
Process PID UPID Address Message MessageEvent DispatchEvent HttpEvent ExitedEvent TerminateEvent
RemoteConnection Runtime Settings Timer Deferred
initialize finalize current_runtime address workers absolute_path spawn terminate wait post
dispatch defer delay run_async filter install route
Future Promise Failure Discarded Abandoned undiscardable select collect await_all after loop
Continue Break
Sequence RateLimiter Mutex ReadWriteLock Queue Latch CountDownLatch signals
"""


def test_the_package_offers_the_names_of_its_contract_and_no_others() -> None:
    assert sorted(greenproc.__all__) == sorted(NAMES.split())
    assert all(hasattr(greenproc, name) for name in greenproc.__all__)
