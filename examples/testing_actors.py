"""How to test a process: with its own node, a clock that stands still, and messages on a string.

With greenproc and pytest installed, ``pip install pytest``, the fixture ``runtime`` is there by itself::

    cd examples; pytest testing_actors.py

As ``python examples/testing_actors.py`` it runs pytest on itself; three tests pass.
"""

import subprocess
import sys

import pytest

from greenproc import UPID, Process, Runtime, delay, dispatch, install, post
from greenproc.testing import await_ready, drop_message, future_message


class Alarm(Process):
    """Rings some seconds after it was armed."""

    def __init__(self, owner: UPID) -> None:
        super().__init__("alarm")
        self.owner = owner
        self.armed = False

    @install("arm")
    def on_arm(self, sender: UPID, body: bytes) -> None:
        if not body.isdigit() or len(body) > 5:
            self.send(sender, "refused", b"expected seconds, up to 99999")
            return
        self.armed = True
        delay(float(body), self.pid, Alarm.ring)

    def ring(self) -> None:
        self.send(self.owner, "ring")


@pytest.fixture
def alarm(runtime: Runtime) -> Alarm:
    alarm = Alarm(runtime.spawn(Process("owner")))
    runtime.spawn(alarm)
    runtime.clock.pause()  # From here on a second passes when the test says so.
    return alarm


def test_it_rings_when_the_time_has_come(runtime: Runtime, alarm: Alarm) -> None:
    ring = future_message("ring")
    post(alarm, "arm", b"10")
    runtime.settle()  # Wait until nobody has anything to do.
    runtime.clock.advance(9.0)
    runtime.settle()
    assert ring.is_pending

    runtime.clock.advance(1.0)
    assert await_ready(ring).sender == alarm.pid


def test_a_lost_message_arms_nothing(runtime: Runtime, alarm: Alarm) -> None:
    lost = drop_message("arm", to=alarm.pid)
    post(alarm, "arm", b"10")
    await_ready(lost)
    assert dispatch(alarm, lambda: alarm.armed).get() is False


def test_a_body_that_is_no_number_arms_nothing(runtime: Runtime, alarm: Alarm) -> None:
    refused = future_message("refused")
    post(alarm, "arm", b"soon", sender=alarm.owner)
    await_ready(refused)
    assert dispatch(alarm, lambda: alarm.armed).get() is False


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", "-q", __file__]))  # noqa: S603
