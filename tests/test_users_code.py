"""What users' code raises, or never returns from, holds up nothing but what it belongs to.

A row of the table is one piece of users' code that greenproc calls. Each is tried with an
exception, with the `gevent.Timeout` that is everyday in gevent, with a kill, and with a wait that
never ends. A row checks what its caller, client or future is told, and what its neighbours do;
then its failure was reported once, another process still serves, the node stops, and what was
waiting has ended.
"""

from __future__ import annotations

from typing import Any

import gevent
import pytest
from blinker import Signal

from greenproc.errors import Abandoned
from greenproc.runtime import RuntimeState, parts
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from greenproc.testing.errors import ERROR_LOG
from tests.users_code.actors import ACTORS
from tests.users_code.futures import FUTURES
from tests.users_code.libraries import LIBRARIES
from tests.users_code.patterns import PATTERNS
from tests.users_code.programs import PROGRAMS
from tests.users_code.receivers import RECEIVERS
from tests.users_code.supervision import SUPERVISION
from tests.users_code.support import HOWS, LIMIT, NEVER, How, Misbehaviour, Other, Reports, Row
from tests.users_code.web import WEB
from tests.users_code.websockets import WEBSOCKETS

TABLE: dict[str, Row] = {
    **ACTORS,
    **PATTERNS,
    **RECEIVERS,
    **FUTURES,
    **WEB,
    **WEBSOCKETS,
    **PROGRAMS,
    **LIBRARIES,
    **SUPERVISION,
}

SETTINGS: dict[str, Any] = {"ip": "127.0.0.1", "stop_timeout": 0.0, "blocked_after": 0}

OURS = ("for failed()", "for a signal", "for the log")  # what the processes of rows raise

UNWIND_SECONDS = 0.02  # for what never returns, before it is killed

CASES = [
    pytest.param(piece, how, id=f"{piece}-{how if isinstance(how, str) else how.__name__}")
    for piece, row in TABLE.items()
    for how in HOWS
    if not (how is NEVER and row.must_not_wait)
]


@pytest.mark.parametrize(("piece", "how"), CASES)
def test_users_code_holds_up_only_what_it_belongs_to(
    make_runtime: RuntimeMaker, monkeypatch: pytest.MonkeyPatch, piece: str, how: How
) -> None:
    monkeypatch.setattr(parts, "UNWIND_SECONDS", UNWIND_SECONDS)
    row, call, reports = TABLE[piece], Misbehaviour(how), Reports()
    runtime = make_runtime(Settings(**{**SETTINGS, **row.settings}), delegate="delegate")
    other = runtime.spawn(Other())

    with reports.collected():
        try:
            check = row.trigger(runtime, call)
            assert call.reached.wait(LIMIT)
            assert runtime.dispatch(other, Other.value).get(timeout=LIMIT) == 42
            if not (call.waits and row.holds_up):
                check()
            gevent.idle()
            runtime.stop()
            assert runtime.state is RuntimeState.STOPPED
            assert not call.inside or row.outlives
        finally:
            call.release()
            gevent.idle()
            forget(call)
    assert reports.of(call) == row.reports(call)


def test_there_is_a_row_for_each_signal(make_runtime: RuntimeMaker) -> None:
    signals = vars(make_runtime(Settings(**SETTINGS)).signals)
    rows = {
        f"receiver of {name}" for name, signal in signals.items() if isinstance(signal, Signal)
    }
    assert rows - set(TABLE) == set()


def forget(call: Misbehaviour) -> None:
    """Forget what was logged as it was to be, and what else failed by what it says."""
    log = ERROR_LOG.get()
    assert log is not None
    log.errors = [error for error in log.errors if not is_expected(error, call)]


def is_expected(error: BaseException, call: Misbehaviour) -> bool:
    if error in call.raised or call.is_cause_of(error) or str(error).startswith(OURS):
        return True
    told = "was killed" in str(error) or "was interrupted" in str(error)
    return not call.fails and isinstance(error, Abandoned) and told
