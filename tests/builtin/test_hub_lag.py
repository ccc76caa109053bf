"""How late the hub is."""

from __future__ import annotations

from time import monotonic

from gevent.event import Event

from greenproc.builtin import hub_lag
from greenproc.builtin.hub_lag import HubLag

LIMIT = 15.0  # seconds; the timer alone would not keep the hub waiting


class Noticing(HubLag):
    """Tells when something was measured."""

    def __init__(self) -> None:
        super().__init__()
        self.measured = Event()

    def _measure(self) -> None:
        super()._measure()
        self.measured.set()


def test_who_keeps_the_hub_is_noticed() -> None:
    lag = Noticing()
    assert (lag.last, lag.longest) == (0.0, 0.0)
    lag.start()
    until = monotonic() + hub_lag.INTERVAL_SECONDS + 0.05
    while monotonic() < until:
        pass
    assert lag.measured.wait(LIMIT)
    longest = lag.longest
    assert longest >= 0.04
    lag.measured.clear()
    assert lag.measured.wait(LIMIT)
    assert lag.last < longest
    assert lag.longest == longest
    lag.stop()


def test_there_is_a_pause_between_two_measurements() -> None:
    lag = Noticing()
    begun = monotonic()
    lag.start()
    for _ in range(2):
        assert lag.measured.wait(LIMIT)
        lag.measured.clear()
    assert monotonic() - begun >= 2 * hub_lag.INTERVAL_SECONDS - 0.01
    lag.stop()
