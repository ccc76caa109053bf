"""``/__node__/live`` and ``/__node__/ready``: what orchestrators ask."""

from __future__ import annotations

from gevent.event import Event

from greenproc.auth import BasicAuthenticator
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker
from tests.builtin.asking import ask


class Slow(Process):
    """Is initialized when its gate is open."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.gate = Event()

    def initialize(self) -> None:
        self.gate.wait()


def test_a_node_that_runs_lives_and_is_ready(runtime: Runtime) -> None:
    live, ready = ask(runtime, "/__node__/live"), ask(runtime, "/__node__/ready")

    assert (live.code, live.body) == (200, b"live\n")
    assert (ready.code, ready.body) == (200, b"ready\n")


def test_a_node_is_not_ready_before_its_processes_are(runtime: Runtime) -> None:
    slow = Slow()
    before = ask(runtime, "/__node__/ready?process=help,slow")
    runtime.spawn(slow)
    meanwhile = ask(runtime, "/__node__/ready?process=help,slow")
    slow.gate.set()
    runtime.settle()
    after = ask(runtime, "/__node__/ready?process=help,slow")

    assert (before.code, before.body) == (503, b"there is no process 'slow'\n")
    assert (meanwhile.code, meanwhile.body) == (
        503,
        b"the process 'slow' is not initialized yet\n",
    )
    assert after.code == 200


def test_a_node_that_drains_is_not_ready_and_lives(runtime: Runtime) -> None:
    runtime.signals.runtime_draining.emit(runtime)

    ready = ask(runtime, "/__node__/ready")
    assert (ready.code, ready.body) == (503, b"the node drains\n")
    assert ask(runtime, "/__node__/live").code == 200


def test_nobody_has_to_say_who_he_is(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(readonly_realm="ops", readwrite_realm="ops")
    runtime.set_authenticator("ops", BasicAuthenticator("ops", {"ada": "x"}))

    assert ask(runtime, "/__node__/state").code == 401
    assert ask(runtime, "/__node__/live").code == 200
    assert ask(runtime, "/__node__/ready").code == 200


def test_a_misspelled_probe_is_refused(runtime: Runtime) -> None:
    answer = ask(runtime, "/__node__/ready?proc=slow")

    assert (answer.code, answer.body) == (400, b"expected no parameter but process, got 'proc'\n")
