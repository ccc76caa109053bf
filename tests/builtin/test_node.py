"""``/``: the page of the node, and what it shows."""

from __future__ import annotations

import json

import pytest
from gevent.event import Event

from greenproc.auth import BasicAuthenticator
from greenproc.builtin.mailbox_summary import mailbox_summary
from greenproc.http.request import Request
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker, await_ready
from tests.builtin.asking import BROWSER, CURL, ask, text
from tests.peer import closed_address


class Gated(Process):
    """Serves nothing before its gate is open."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.gate = Event()

    @install("m")
    def on_message(self, sender: UPID, body: bytes) -> None:
        self.gate.wait()

    @route("/x")
    def on_x(self, request: Request) -> str:
        return "x"


class Receiver(Process):
    """Gets three messages."""

    def __init__(self) -> None:
        super().__init__("receiver")
        self.count = 0
        self.has_all = Event()

    @install("m")
    def on_message(self, sender: UPID, body: bytes) -> None:
        self.count += 1
        if self.count == 3:
            self.has_all.set()


class Watcher(Process):
    """Tells that a process elsewhere is gone."""

    def __init__(self, is_gone: Event, watched: UPID) -> None:
        super().__init__()
        self.is_gone = is_gone
        self.watched = watched

    def initialize(self) -> None:
        self.link(self.watched)

    def exited(self, pid: UPID) -> None:
        self.is_gone.set()


class Master(Process):
    """A delegate."""

    def __init__(self) -> None:
        super().__init__("master")

    @route("/")
    def on_root(self, request: Request) -> str:
        return "of the master"


def state(runtime: Runtime, query: str = "") -> dict[str, object]:
    """Return what the page is told."""
    told = json.loads(text(ask(runtime, f"/__node__/state{query}")))
    assert isinstance(told, dict)
    return told


def listed(runtime: Runtime, query: str = "") -> dict[str, dict[str, object]]:
    return {one["id"]: one for one in state(runtime, query)["processes"]}  # type: ignore[attr-defined]


def test_the_root_is_a_page_that_needs_nothing_from_elsewhere(runtime: Runtime) -> None:
    answer = ask(runtime, "/", BROWSER)
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert "default-src 'none'" in str(answer.header("Content-Security-Policy"))
    page = text(answer)
    assert '<script src="__node__/node.js">' in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert ask(runtime, "/__node__/node.js").code == 200
    assert ask(runtime, "/__node__/style.css").header("Content-Type") == "text/css; charset=utf-8"


def test_a_delegate_has_the_root(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(delegate="master")
    runtime.spawn(Master())
    assert text(ask(runtime, "/", BROWSER)) == "of the master"
    assert "<script" in text(ask(runtime, "/__node__", BROWSER))


def test_a_delegate_that_is_not_there_has_it_too(make_runtime: RuntimeMaker) -> None:
    assert ask(make_runtime(delegate="master"), "/", BROWSER).code == 404


def test_a_terminal_gets_a_table(runtime: Runtime) -> None:
    runtime.spawn(Process("mine"))
    table = text(ask(runtime, "/", CURL))
    assert table.startswith(f"node {runtime.address}, up ")
    assert "\nPROCESS" in table
    assert "\nmine " in table


def test_the_state_tells_what_processes_have_to_do(runtime: Runtime) -> None:
    gated = Gated("gated")
    runtime.spawn(gated)
    for _ in range(5):
        runtime.post(gated, "m")
    told = listed(runtime)
    assert told["gated"] == {
        "id": "gated",
        "class": "Gated",
        "state": "ready",
        "queued": 4,
        "served": 0,
        "builtin": False,
        "supervisor": None,
        "help": True,
    }
    assert told["system"]["builtin"] is True
    gated.gate.set()
    runtime.settle()
    assert listed(runtime)["gated"]["served"] == 5


def test_what_a_waiting_turn_has_served_counts(runtime: Runtime) -> None:
    gated = Gated("gated")
    pid = runtime.spawn(gated)
    for _ in range(2):
        runtime.dispatch(pid, int)
    runtime.post(gated, "m")
    assert listed(runtime)["gated"]["served"] == 2
    gated.gate.set()


def test_processes_with_full_mailboxes_come_first_and_others_are_left_out(
    runtime: Runtime,
) -> None:
    gated = [Gated(f"gated{number}") for number in range(4)]
    for number, process in enumerate(gated):
        runtime.spawn(process)
        for _ in range(number * 2):
            runtime.post(process, "m")
    told = state(runtime, "?limit=2&filter=gated")
    assert [one["id"] for one in told["processes"]] == ["gated3", "gated2"]  # type: ignore[attr-defined]
    assert told["matching"] == 4
    for process in gated:
        process.gate.set()


@pytest.mark.parametrize("limit", ["x", "-1", "1001", "", "9" * 5000])
def test_a_limit_that_is_none_is_refused(runtime: Runtime, limit: str) -> None:
    answer = ask(runtime, f"/__node__/state?limit={limit}")
    assert answer.code == 400
    assert answer.body == f"expected a limit from 0 to 1000, got '{limit}'.\n".encode()


def test_totals_tell_what_goes_in_and_out(runtime: Runtime, make_runtime: RuntimeMaker) -> None:
    other = make_runtime()
    receiver = Receiver()
    other.spawn(receiver)
    for _ in range(3):
        runtime.post(receiver.pid, "m")
    runtime.post(UPID("nobody", runtime.address), "m")
    receiver.has_all.wait()
    here, there = state(runtime)["totals"], state(other)["totals"]
    assert isinstance(here, dict) and isinstance(there, dict)
    assert (here["messages_out"], here["messages_in"], here["dropped"]) == (3, 0, 1)
    assert (there["messages_out"], there["messages_in"], there["dropped"]) == (0, 3, 0)
    assert (here["http_requests"], there["http_requests"]) == (1, 1)
    assert (here["connections_out"], there["connections_in"]) == (1, 2)
    assert here["resident_bytes"] > 1_000_000


def test_what_was_sent_is_counted_also_when_its_connection_is_gone(
    runtime: Runtime, make_runtime: RuntimeMaker
) -> None:
    other = make_runtime()
    receiver = Receiver()
    other.spawn(receiver)
    for _ in range(3):
        runtime.post(receiver.pid, "m")
    receiver.has_all.wait()
    is_gone = Event()
    watcher = Watcher(is_gone, receiver.pid)
    runtime.spawn(watcher)
    runtime.settle()
    other.stop()
    is_gone.wait()
    assert runtime.statistics()["outbound"]["sent"] == 3


def test_messages_that_cannot_be_sent_are_counted(runtime: Runtime) -> None:
    dropped = Event()
    runtime.signals.message_dropped.connect(lambda sender, message, reason: dropped.set())
    runtime.post(UPID("nobody", closed_address()), "m")
    dropped.wait()
    told = runtime.metrics.snapshot().get()
    assert told["greenproc/messages_dropped/not_sent"] == 1.0


def test_the_page_is_in_the_realm_of_what_shows(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(readonly_realm="look")
    await_ready(runtime.set_authenticator("look", BasicAuthenticator("look", {"a": "b"})))
    assert ask(runtime, "/", BROWSER).code == 401
    assert ask(runtime, "/__node__/state").code == 401
    assert ask(runtime, "/", BROWSER + "Authorization: Basic YTpi\r\n").code == 200
    assert ask(runtime, "/__node__/style.css").code == 200


def test_a_survey_of_many_gives_others_a_turn(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenproc.builtin.mailbox_summary.RECORDS_A_TURN", 2)
    turns: list[int] = []
    other = runtime.spawn_greenlet(turns.append, 1)
    found = mailbox_summary(runtime.processes, 3)
    assert turns == [1]
    assert len(found.deepest) == 3
    other.join()


def test_without_the_process_the_root_is_not_found(runtime: Runtime) -> None:
    runtime.terminate(UPID("__node__", runtime.address))
    runtime.wait(UPID("__node__", runtime.address))
    assert ask(runtime, "/", BROWSER).code == 404
    assert "greenproc/processes" not in runtime.metrics
