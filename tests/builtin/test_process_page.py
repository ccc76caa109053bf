"""``/__node__/process`` and ``/__node__/traffic`` over a socket: one process, and all that talk."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from gevent.event import Event

from greenproc import MailboxLimit, State, StateMachine, Supervisor
from greenproc.auth import BasicAuthenticator
from greenproc.builtin import process_view
from greenproc.builtin.process_view import MAX_COUNTED, MAX_LISTED, MAX_OBJECTS, object_bytes
from greenproc.builtin.recorder import MAX_EVENTS, MAX_WATCHED
from greenproc.http.request import Request
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.runtime import Runtime
from greenproc.supervision import Child
from greenproc.testing import RuntimeMaker, await_ready, expect_failure
from tests.builtin.asking import BROWSER, CURL, ask, text
from tests.builtin.gated import Gated

HOSTILE = [
    "<script>alert(1)</script>",
    '"onmouseover="x',
    "a/../b",
    "?#%2e&id=x",
    "ünï\u202ecode",
    "a@10.0.0.1:5050",
    " ",
]


class Worker(Process):
    """Has some of everything."""

    def __init__(self, watched: UPID, delegate: UPID) -> None:
        super().__init__("worker")
        self.watched = watched
        self.install("added", self.on_message)
        self.delegate("bounce", delegate)

    def initialize(self) -> None:
        self.link(self.watched)

    @install("m")
    def on_message(self, sender: UPID, body: bytes) -> None: ...

    @route("/x", methods=["GET"])
    def on_x(self, request: Request) -> str:
        return "x"


class Failing(Process):
    @install("fail")
    def on_fail(self, sender: UPID, body: bytes) -> None:
        raise ValueError("<b>on purpose</b>")


def url(id: str, query: str = "&format=json") -> str:
    return f"/__node__/process?id={quote(id, safe='')}{query}"


def told(runtime: Runtime, id: str, query: str = "") -> dict[str, Any]:
    """Return what the page of *id* is told."""
    found = json.loads(text(ask(runtime, url(id, f"&format=json{query}"))))
    assert isinstance(found, dict)
    return found


def is_recording(runtime: Runtime) -> bool:
    return runtime.processes.observer.recorder is not None


# What is told


def test_links_handlers_routes_and_delegates_are_told(runtime: Runtime) -> None:
    watched, delegate = runtime.spawn(Process("watched")), runtime.spawn(Process("delegate"))
    runtime.spawn(Worker(watched, delegate))
    runtime.settle()

    found = told(runtime, "worker")
    assert found["class"] == f"{__name__}.Worker"
    assert (found["state"], found["doing"], found["stack"]) == ("blocked", "idle", None)
    assert found["links"]["to"] == {
        "listed": [{"upid": str(watched), "id": "watched", "is_here": True}],
        "total": 1,
    }
    assert found["links"]["from"] == {"listed": [], "total": 0}
    assert found["handlers"] == {"listed": ["added", "m"], "total": 2}
    assert found["routes"] == {
        "listed": [{"path": "/x", "methods": ["GET"], "realm": None}],
        "total": 1,
    }
    assert found["delegates"]["listed"] == [
        {"name": "bounce", "upid": str(delegate), "id": "delegate", "is_here": True}
    ]
    (linker,) = told(runtime, "watched")["links"]["from"]["listed"]
    assert linker["id"] == "worker"


class Door(StateMachine):
    locked = State(initial=True, postpone=["push"])
    unlocked = State()

    @locked.on("code")
    def unlock(self, sender: UPID, body: bytes) -> None:
        self.next_state(Door.unlocked)

    @unlocked.on("push")
    def on_push(self, sender: UPID, body: bytes) -> None: ...

    @install("count")
    def on_count(self, sender: UPID, body: bytes) -> None: ...


def test_the_state_of_a_machine_and_the_handlers_of_each_are_told(runtime: Runtime) -> None:
    door = runtime.spawn(Door("door"))
    runtime.post(door, "push")
    runtime.settle()

    found = told(runtime, "door")
    assert found["handlers"]["listed"] == ["code in locked", "count", "push in unlocked"]
    assert (found["in_state"], found["mailbox"]["postponed"]) == ("locked", 1)
    assert "\nin state locked\n" in text(ask(runtime, url("door", ""), CURL))
    runtime.post(door, "code")
    runtime.settle()
    assert told(runtime, "door")["in_state"] == "unlocked"


def test_a_link_to_another_node_leads_to_no_page(
    runtime: Runtime, make_runtime: RuntimeMaker
) -> None:
    other = make_runtime().spawn(Process("other"))
    runtime.spawn(Worker(other, other))
    runtime.settle()

    assert told(runtime, "worker")["links"]["to"]["listed"] == [
        {"upid": str(other), "id": "other", "is_here": False}
    ]


def test_lists_are_bounded_and_say_how_long_they_are(runtime: Runtime) -> None:
    watched = runtime.spawn(Process("watched"))
    for _ in range(MAX_LISTED + 1):
        linker = Process()
        runtime.spawn(linker)
        await_ready(runtime.dispatch(linker, lambda one: one.link(watched) and None, linker))

    found = told(runtime, "watched")["links"]["from"]
    assert (len(found["listed"]), found["total"]) == (MAX_LISTED, MAX_LISTED + 1)


def test_the_mailbox_is_counted_by_kind_and_name_and_weighed(runtime: Runtime) -> None:
    gated = Gated()
    pid = runtime.spawn(gated)
    for _ in range(3):
        runtime.post(pid, "m", b"x" * 1000)
    runtime.dispatch(pid, Process.event_count, object)
    found = told(runtime, "gated")

    assert (found["state"], found["doing"]) == ("ready", "waiting")
    assert found["handling"] == {"name": "m", "from": ""}
    (frame,) = found["stack"]  # what gevent does is not in Python
    assert frame.startswith(f"{Gated.__module__}.Gated.on_message:")
    mailbox = found["mailbox"]
    assert mailbox["by_kind"] == {"MESSAGE": 2, "DISPATCH": 1}
    assert mailbox["by_name"] == [
        {"kind": "MESSAGE", "name": "m", "queued": 2},
        {"kind": "DISPATCH", "name": "Process.event_count", "queued": 1},
    ]
    assert 2000 < mailbox["bytes"] < 2400
    assert (mailbox["queued"], mailbox["counted"]) == (3, 3)
    assert (mailbox["oldest_secs"], mailbox["limit"]) == (None, None)
    gated.gate.set()


def test_of_a_deep_mailbox_the_oldest_events_are_counted(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_view, "MAX_COUNTED", 2)
    gated = Gated()
    pid = runtime.spawn(gated)
    for name in ("m", "m", "m", "n" * 3000):
        runtime.post(pid, name)
    mailbox = told(runtime, "gated")["mailbox"]
    assert (mailbox["queued"], mailbox["counted"], mailbox["by_kind"]) == (3, 2, {"MESSAGE": 2})
    assert MAX_COUNTED == 10_000
    gated.gate.set()


def test_the_limit_of_a_mailbox_is_told(runtime: Runtime) -> None:
    class Limited(Process):
        mailbox_limit = MailboxLimit(events=5, when_full="drop_oldest")

    runtime.spawn(Limited("limited"))
    assert told(runtime, "limited")["mailbox"]["limit"] == {
        "events": 5,
        "bytes": None,
        "when_full": "drop_oldest",
    }


def test_a_watched_process_tells_its_last_events_and_the_age_of_the_oldest(
    runtime: Runtime,
) -> None:
    runtime.clock.pause()
    gated = Gated()
    pid = runtime.spawn(gated)
    first = told(runtime, "gated", "&watch=10secs")
    assert (first["recording"]["events"], first["recording"]["ends_in_secs"]) == ([], 10.0)
    for _ in range(2):
        runtime.post(pid, "m", b"12345")
        runtime.clock.advance(2.0)

    found = told(runtime, "gated")
    assert found["mailbox"]["oldest_secs"] == 2.0
    assert found["mailbox"]["oldest_is_older"] is False
    (event,) = found["recording"]["events"]
    assert (event["kind"], event["name"], event["size"]) == ("MESSAGE", "m", 5)
    assert (found["recording"]["arrived"], found["recording"]["served"]) == (2, 1)
    assert found["not_recorded"] is None
    gated.gate.set()


def test_a_look_without_a_watch_records_nothing(runtime: Runtime) -> None:
    runtime.spawn(Process("p"))
    assert told(runtime, "p")["recording"] is None
    assert ask(runtime, url("p", ""), BROWSER).code == 200
    assert json.loads(text(ask(runtime, "/__node__/traffic")))["since_secs"] is None
    assert not is_recording(runtime)


def test_a_watch_expires_on_the_paused_clock(runtime: Runtime) -> None:
    runtime.clock.pause()
    runtime.spawn(Process("p"))
    told(runtime, "p", "&watch=10secs")
    ask(runtime, "/__node__/traffic?watch=5secs")
    runtime.clock.advance(9.0)
    runtime.settle()
    assert told(runtime, "p")["recording"]["ends_in_secs"] == pytest.approx(1.0)
    runtime.clock.advance(1.0)
    runtime.settle()
    assert told(runtime, "p")["recording"] is None
    assert not is_recording(runtime)


def test_the_page_says_that_too_many_processes_are_watched(runtime: Runtime) -> None:
    for number in range(MAX_WATCHED):
        runtime.spawn(Process(f"p{number}"))
        assert told(runtime, f"p{number}", "&watch=10secs")["recording"] is not None
    runtime.spawn(Process("last"))
    found = told(runtime, "last", "&watch=10secs")
    assert found["recording"] is None
    assert found["not_recorded"] == f"{MAX_WATCHED} other processes are watched"


def test_the_answer_is_bounded_however_much_is_recorded(runtime: Runtime) -> None:
    pid = runtime.spawn(Process("p"))
    told(runtime, "p", "&watch=10secs")
    for number in range(MAX_EVENTS * 2):
        runtime.post(pid, f"{number}" + "n" * 5000, b"x" * 5000)
    runtime.settle()
    answer = ask(runtime, url("p"))
    assert len(json.loads(answer.body)["recording"]["events"]) == MAX_EVENTS
    assert len(answer.body) < 40_000


def test_the_page_of_the_node_tells_of_itself(runtime: Runtime) -> None:
    found = told(runtime, "__node__", "&watch=10secs")
    assert (found["doing"], found["builtin"], found["stack"]) == ("running", True, None)


def test_a_supervised_process_leads_to_its_supervisor(runtime: Runtime) -> None:
    runtime.spawn(Supervisor([Child(lambda: Process("child"), "child")], id="boss"))
    runtime.settle()
    assert told(runtime, "child")["supervisor"] == "boss"
    assert told(runtime, "boss")["supervises"] is True


# Memory


class Holding(Process):
    def __init__(self, held: object) -> None:
        super().__init__("holding")
        self.held = held


class Lying:
    """Must not be called for its size."""

    def __sizeof__(self) -> int:
        raise ValueError("on purpose")

    def __getattribute__(self, name: str) -> object:
        raise ValueError("on purpose")


def size(held: object) -> int:
    found = object_bytes(Holding(held))["object_bytes"]
    assert isinstance(found, int)
    return found


def test_containers_of_a_process_are_measured_with_what_they_hold() -> None:
    assert size([b"x" * 100_000]) - size([]) > 100_000
    assert size({"a": {"b": ("c", b"x" * 100_000)}}) - size({}) > 100_000
    shared = b"x" * 100_000
    assert size([shared, shared]) - size([shared]) < 100


def test_objects_of_other_classes_are_not_followed_nor_called() -> None:
    assert size(Lying()) < size([]) + 200
    assert size(Holding([b"x" * 100_000])) < 2000


def test_a_large_object_is_measured_in_part() -> None:
    found = object_bytes(Holding(list(range(1000, 1000 + 2 * MAX_OBJECTS))))
    assert (found["objects"], found["is_partial"]) == (MAX_OBJECTS, True)
    assert not object_bytes(Holding(1))["is_partial"]


def test_the_hub_has_its_turn_between_the_parts_that_take_long(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends meanwhile is told as it was, and harms nothing."""
    pid = runtime.spawn(Process("p"))
    turns: list[bool] = []

    def end_it() -> None:
        turns.append(runtime.terminate(pid) or runtime.wait(pid))

    monkeypatch.setattr(process_view, "yield_if_spent", end_it)
    assert told(runtime, "p", "&watch=10secs")["state"] == "terminating"
    assert turns == [True, False]
    assert ask(runtime, url("p")).code == 404


# Bad ids and bad queries


def test_what_is_not_there_is_404_and_says_so(runtime: Runtime) -> None:
    answer = ask(runtime, url("nobody"))
    assert (answer.code, answer.body) == (404, b"there is no process 'nobody'\n")
    assert (
        "there is no process &#x27;nobody&#x27;"
        in ask(runtime, url("nobody", ""), BROWSER).body.decode()
    )


def test_what_has_ended_says_how(runtime: Runtime) -> None:
    pid = runtime.spawn(Failing("failing"))
    runtime.terminate(runtime.spawn(Process("done")))
    with expect_failure(ValueError):
        runtime.post(pid, "fail")
        runtime.settle()

    assert ask(runtime, url("done")).body == b"process 'done' has ended\n"
    plain = ask(runtime, url("failing"))
    assert plain.code == 404
    assert plain.body == b"process 'failing' has failed: ValueError: <b>on purpose</b>\n"
    assert str(plain.header("Content-Type")).startswith("text/plain")
    page = ask(runtime, url("failing", ""), BROWSER)
    assert page.code == 404
    assert b"&lt;b&gt;on purpose&lt;/b&gt;" in page.body and b"<b>" not in page.body


@pytest.mark.parametrize("id", HOSTILE)
def test_hostile_ids_are_escaped_and_found(runtime: Runtime, id: str) -> None:
    missing = ask(runtime, url(id, ""), BROWSER)
    assert missing.code == 404
    assert b"<script>alert" not in missing.body
    runtime.spawn(Process(id))
    page = ask(runtime, url(id, ""), BROWSER)
    assert page.code == 200
    assert b"<script>alert" not in page.body
    assert told(runtime, id)["id"] == id
    terminal = text(ask(runtime, url(id, ""), CURL))
    assert "\u202e" not in terminal


def test_a_long_id_is_not_told_in_full(runtime: Runtime) -> None:
    answer = ask(runtime, url("x" * 20_000))
    assert answer.code == 404
    assert len(answer.body) < 300


@pytest.mark.parametrize("query", ["", "?id=", "?format=json"])
def test_a_request_without_an_id_is_refused(runtime: Runtime, query: str) -> None:
    answer = ask(runtime, f"/__node__/process{query}")
    assert (answer.code, answer.body) == (400, b"expected the id of a process, as in ?id=ID.\n")


@pytest.mark.parametrize("path", ["/__node__/process?id=p&", "/__node__/traffic?"])
@pytest.mark.parametrize(
    "watch", ["", "0secs", "10", "61secs", "-1secs", "nan", "1e9secs", "x" * 3000, "1weeks"]
)
def test_a_watch_that_is_none_is_refused(runtime: Runtime, path: str, watch: str) -> None:
    runtime.spawn(Process("p"))
    answer = ask(runtime, f"{path}watch={watch}")
    assert answer.code == 400
    expected = f"expected a watch such as 10secs, up to 60secs, got '{watch:.20}'.\n"
    assert answer.body.decode() == expected
    assert not is_recording(runtime)


@pytest.mark.parametrize("limit", ["x", "-1", "1001", ""])
def test_a_limit_of_pairs_that_is_none_is_refused(runtime: Runtime, limit: str) -> None:
    assert ask(runtime, f"/__node__/traffic?limit={limit}").code == 400


# The graph


def test_pairs_are_told_busiest_first_and_the_rest_is_counted(runtime: Runtime) -> None:
    pids = [runtime.spawn(Process(f"p{number}")) for number in range(3)]
    ask(runtime, "/__node__/traffic?watch=10secs")
    for number, pid in enumerate(pids):
        for _ in range(number + 1):
            runtime.post(pid, "m", sender=pids[0])
    runtime.settle()

    found = json.loads(text(ask(runtime, "/__node__/traffic?limit=2")))
    assert [(one["to"], one["total"]) for one in found["pairs"]] == [
        ({"kind": "process", "name": "p2"}, 3),
        ({"kind": "process", "name": "p1"}, 2),
    ]
    assert (found["not_listed"], found["others"]) == (1, 0)


def test_built_in_processes_are_left_out_unless_they_are_wanted(runtime: Runtime) -> None:
    for _ in range(2):
        ask(runtime, "/__node__/traffic?watch=10secs")
    assert json.loads(text(ask(runtime, "/__node__/traffic")))["pairs"] == []
    (pair,) = json.loads(text(ask(runtime, "/__node__/traffic?builtin=1")))["pairs"]
    assert pair["from"] == {"kind": "clients", "name": ""}
    assert pair["to"] == {"kind": "process", "name": "__node__"}


# Who may look


@pytest.mark.parametrize("path", [url("p", ""), url("p"), "/__node__/traffic"])
def test_it_is_in_the_realm_of_what_shows(make_runtime: RuntimeMaker, path: str) -> None:
    runtime = make_runtime(readonly_realm="look")
    runtime.spawn(Process("p"))
    await_ready(runtime.set_authenticator("look", BasicAuthenticator("look", {"a": "b"})))
    assert ask(runtime, path).code == 401
    assert ask(runtime, path, "Authorization: Basic YTpi\r\n").code == 200


@pytest.mark.parametrize("path", [url("p"), "/__node__/traffic?x=y"])
def test_a_page_of_another_site_starts_no_recording(runtime: Runtime, path: str) -> None:
    runtime.spawn(Process("p"))
    answer = ask(runtime, f"{path}&watch=10secs", "Sec-Fetch-Site: cross-site\r\n")
    assert answer.code == 403
    assert not is_recording(runtime)


def test_pages_are_safe_in_a_browser(runtime: Runtime) -> None:
    runtime.spawn(Process("p"))
    for path in (url("p", ""), url("nobody", "")):
        page = ask(runtime, path, BROWSER)
        assert "default-src 'none'" in str(page.header("Content-Security-Policy"))
        assert page.header("X-Content-Type-Options") == "nosniff"
        assert b"<script>" not in page.body and b"onclick" not in page.body
    for name in ("live.js", "graph.js", "process.js"):
        script = ask(runtime, f"/__node__/{name}")
        assert script.header("Content-Type") == "text/javascript; charset=utf-8"
        assert script.header("X-Content-Type-Options") == "nosniff"


def test_a_terminal_gets_a_text(runtime: Runtime) -> None:
    gated = Gated()
    pid = runtime.spawn(gated)
    for _ in range(2):
        runtime.post(pid, "m")
    shown = text(ask(runtime, url("gated", ""), CURL)).splitlines()
    assert shown[0] == f"process {pid}, {Gated.__module__}.Gated"
    assert shown[1] == "ready, waiting; 0 events served"
    assert "  1 MESSAGE m" in shown
    assert "HANDLERS" in shown
    gated.gate.set()


def test_the_state_of_the_node_has_the_last_dead_letters(runtime: Runtime) -> None:
    for number in range(12):
        runtime.post(UPID("gone", runtime.address), f"m{number}")
    found = json.loads(text(ask(runtime, "/__node__/state")))["dead_letters"]
    assert found["total"] == 12
    assert [one["name"] for one in found["letters"]] == [f"m{n}" for n in range(11, 1, -1)]


def test_a_process_that_waits_in_initialize_shows_where(runtime: Runtime) -> None:
    gate = Event()

    class Slow(Process):
        def initialize(self) -> None:
            gate.wait()

    runtime.spawn(Slow("slow"))
    found = told(runtime, "slow")
    assert (found["state"], found["doing"]) == ("bottom", "starting")
    assert ".Slow.initialize:" in found["stack"][-1]
    gate.set()
