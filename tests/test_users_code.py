"""What users' code raises, or never returns from, holds up nothing but what it belongs to.

A row of the table is one piece of users' code that greenproc calls. Each is tried with an
exception, with the `gevent.Timeout` that is everyday in gevent, with a kill, and with a wait that
never ends; then the neighbours of the piece work on, another process still serves, the node
stops, and what was waiting has ended.
"""

from __future__ import annotations

from contextlib import suppress

import gevent
import pytest

from greenproc.runtime import Runtime, RuntimeState
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from greenproc.testing.errors import ERROR_LOG
from tests.users_code.actors import ACTORS, RECEIVERS
from tests.users_code.futures import FUTURES
from tests.users_code.programs import PROGRAMS
from tests.users_code.support import HOWS, LIMIT, NEVER, How, Misbehaviour, Other, Trigger
from tests.users_code.web import WEB
from tests.users_code.websockets import WEBSOCKETS

STOP_TIMEOUT = 0.2  # for what never returns

TABLE: dict[str, Trigger] = {**ACTORS, **RECEIVERS, **FUTURES, **WEB, **WEBSOCKETS, **PROGRAMS}

MUST_NOT_WAIT = {
    "streams_body": "it holds up the connection that it is for",
    **dict.fromkeys(RECEIVERS, "it runs where that happens"),
    "takes_websocket of a websocket": "it holds up the connection that it is for",
    "firewall rule": "it runs where the connection is read",
    "close of a stream": "its response is over, and nothing ends it any more",
    "function of offload": "nothing ends a native thread",
    "child hook": "it should be no more than a few system calls",
    "child hook below a supervisor": "it should be no more than a few system calls",
}
"""What must not wait, and why."""

AT_STOP = {"receiver of runtime_stopping", "receiver of runtime_stopped"}

OUTLIVES = {
    *FUTURES,
    "body of a client",
    "writer of a pipe",
    "callback of a status",
    "function that follows a status",
}
"""What belongs to no runtime, but to the greenlet or future that calls it."""

HELD_UP = {
    *FUTURES,
    "function of run_async",
    "deferred function",
    "gauge",
    "parent hook",
    *OUTLIVES,
}
"""What waits for what never returns: the other callbacks of one future, what follows, a lock."""


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("piece", TABLE)
def test_users_code_holds_up_only_what_it_belongs_to(
    make_runtime: RuntimeMaker, piece: str, how: How
) -> None:
    if how is NEVER and piece in MUST_NOT_WAIT:
        pytest.skip(f"it must not wait, as {MUST_NOT_WAIT[piece]}")
    settings = Settings(ip="127.0.0.1", stop_timeout=STOP_TIMEOUT, blocked_after=0)
    runtime = make_runtime(settings, delegate="delegate")
    other = runtime.spawn(Other())
    call = Misbehaviour(how)

    check = TABLE[piece](runtime, call)

    assert piece in AT_STOP or call.reached.wait(LIMIT)
    assert runtime.dispatch(other, Other.value).get(timeout=LIMIT) == 42
    if check is not None and not (how is NEVER and piece in HELD_UP):
        check()
    forget_failures()
    stop(runtime)
    assert call.reached.is_set()
    assert not call.inside or piece in OUTLIVES
    call.release()
    forget_failures()


def stop(runtime: Runtime) -> None:
    """Stop *runtime*, also when a receiver of a signal interrupts that by what is no failure."""
    with suppress(gevent.GreenletExit):
        runtime.stop()
    runtime.stop()
    assert runtime.state is RuntimeState.STOPPED


def forget_failures() -> None:
    """Forget what was logged: that it was, other tests say."""
    gevent.idle()
    log = ERROR_LOG.get()
    assert log is not None
    log.errors.clear()
