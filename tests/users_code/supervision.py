"""Rows: what supervisors and the patterns on top of them call."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from greenproc import every
from greenproc.errors import Abandoned, RestartLimit, StartFailed
from greenproc.message import Message
from greenproc.patterns import Pool, Router
from greenproc.pid import UPID
from greenproc.process import MailboxLimit, Process, install
from greenproc.runtime import Runtime
from greenproc.supervision import Child, Supervisor
from tests.users_code.actors import PROCESS
from tests.users_code.receivers import received, row
from tests.users_code.support import (
    LIMIT,
    Check,
    Misbehaviour,
    Row,
    Subject,
    Trigger,
    has_ended,
)


class Worker(Process):
    """Ends by itself when it is told to, or fails."""

    @install("bye")
    def on_bye(self, sender: UPID, body: bytes) -> None:
        self.terminate()


def start_child(runtime: Runtime, call: Misbehaviour) -> Check:
    supervisor = runtime.spawn(Supervisor([]))
    started = runtime.dispatch(supervisor, Supervisor.start_child, Child(call, "a"))

    def check() -> None:
        if call.waits:
            assert started.is_pending
        elif call.is_killed:
            assert has_ended(runtime, supervisor)
        else:
            error = started.await_(LIMIT) and started.exception
            assert isinstance(error, StartFailed) and error.__cause__ is call.raised[0]
            assert runtime.dispatch(supervisor, Supervisor.which_children).get(LIMIT) == []

    return check


def factory_of_a_restart(runtime: Runtime, call: Misbehaviour) -> Check:
    made: list[Process] = []

    def make() -> Process:
        if made:
            call()
        made.append(Worker("a"))
        return made[-1]

    return restarted(runtime, call, Child(make, "a"))


def initialize_of_a_restart(runtime: Runtime, call: Misbehaviour) -> Check:
    made: list[Process] = []

    class Later(Worker):
        def initialize(self) -> None:
            made.append(self)
            if len(made) > 1:
                call()

    return restarted(runtime, call, Child(Later, "a"), outlives_kills=True)


def restarted(
    runtime: Runtime, call: Misbehaviour, child: Child, *, outlives_kills: bool = False
) -> Check:
    """Restart *child*, which misbehaves; it does so until the supervisor gives up."""
    supervisor = runtime.spawn(Supervisor([child, Child(Worker, "b")]))
    gave_up: list[RestartLimit] = []
    runtime.signals.supervisor_gave_up.connect(lambda *_, error, **__: gave_up.append(error))
    runtime.dispatch(supervisor, Supervisor.which_children).get(timeout=LIMIT)
    runtime.post(UPID("a", runtime.address), "bye")

    def check() -> None:
        if call.waits:
            assert runtime.processes.find_process(supervisor) is not None
            return
        assert has_ended(runtime, supervisor)
        assert has_ended(runtime, UPID("b", runtime.address))
        assert len(gave_up) == (outlives_kills or call.fails)

    return check


def key_of(make: Callable[[Callable[[Message], object]], Process]) -> Trigger:
    """Return what routes a message by the code."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        router = runtime.spawn(make(call))
        asked = runtime.ask(router, "bye")

        def check() -> None:
            if call.waits:
                assert asked.is_pending
                return
            with pytest.raises(Abandoned):
                asked.get(timeout=LIMIT)
            if call.is_killed:
                assert has_ended(runtime, router)
            else:
                assert runtime.dispatch(router, lambda: "alive").get(timeout=LIMIT) == "alive"

        return check

    return run


def repeat(runtime: Runtime, call: Misbehaviour) -> Check:
    subject = runtime.spawn(Subject(dispatch=call))
    with runtime.selected():
        repetition = every(0.001, subject, Subject.method)

    def check() -> None:
        if call.waits:
            assert repetition.calls == 1
        else:
            assert has_ended(runtime, subject)

    return check


def finalize_of_a_child(runtime: Runtime, call: Misbehaviour) -> Check:
    child = Child(lambda: Subject(finalize=call), "subject", shutdown=0.0)
    supervisor = runtime.spawn(Supervisor([Child(Worker, "first"), child]))
    runtime.dispatch(supervisor, Supervisor.which_children).get(timeout=LIMIT)
    runtime.terminate(supervisor)

    def check() -> None:
        assert has_ended(runtime, supervisor)
        assert has_ended(runtime, UPID("first", runtime.address))

    return check


def subscribe_to_dead_letters(runtime: Runtime, call: Misbehaviour) -> Check:
    letters: list[object] = []
    runtime.dead_letters.subscribe(call)
    runtime.dead_letters.subscribe(letters.append)
    posting = runtime.spawn_greenlet(runtime.post, UPID("nowhere", runtime.address), "m")

    def check() -> None:
        posting.join(LIMIT)
        assert len(letters) == call.fails
        assert runtime.dead_letters.total == 1

    return check


def supervise(runtime: Runtime) -> None:
    """Let a child end, and its restart fail, until the supervisor gives up."""
    made: list[Process] = []

    def make() -> Process:
        if made:
            raise ValueError("for a signal")
        made.append(Worker("a"))
        return made[-1]

    supervisor = runtime.spawn(Supervisor([Child(make, "a")]))
    runtime.dispatch(supervisor, Supervisor.which_children).await_(LIMIT)
    runtime.post(UPID("a", runtime.address), "bye")


def stop_badly(runtime: Runtime) -> None:
    """Let a child fail while its supervisor stops it."""

    class Bad(Process):
        def finalize(self) -> None:
            raise ValueError("for a signal")

    supervisor = runtime.spawn(Supervisor([Child(Bad, "bad")]))
    runtime.dispatch(supervisor, Supervisor.which_children).get(timeout=LIMIT)
    runtime.terminate(supervisor)


def fill(runtime: Runtime) -> None:
    """Send a message more than a mailbox holds."""

    class Small(Process):
        mailbox_limit = MailboxLimit(events=1)

    small = runtime.spawn(Small())
    runtime.spawn_greenlet(lambda: [runtime.post(small, "m") for _ in range(2)])


EXTERNAL = UPID.parse("worker@127.0.0.1:1")

SUPERVISION: dict[str, Row] = {
    "factory of start_child": Row(start_child),
    "factory of a restart": Row(factory_of_a_restart),
    "initialize of a restart": Row(initialize_of_a_restart, PROCESS),
    "finalize of a child": Row(finalize_of_a_child, PROCESS),
    "key of a router": Row(key_of(lambda key: Router([EXTERNAL], route="hash", key=key)), PROCESS),
    "key of a pool": Row(
        key_of(lambda key: Pool(Worker, 2, route="hash", key=key, id="pool")), PROCESS
    ),
    "repeated call": Row(repeat, PROCESS),
    "subscriber to dead letters": row(subscribe_to_dead_letters),
    "receiver of child_started": row(received("child_started", supervise)),
    "receiver of child_ended": row(received("child_ended", supervise)),
    "receiver of child_restarting": row(received("child_restarting", supervise)),
    "receiver of child_start_failed": row(received("child_start_failed", supervise)),
    "receiver of child_stop_failed": row(received("child_stop_failed", stop_badly)),
    "receiver of supervisor_gave_up": row(received("supervisor_gave_up", supervise)),
    "receiver of mailbox_full": row(received("mailbox_full", fill)),
}
