"""How supervisors are shown: the state of the node, the command line and metrics."""

from __future__ import annotations

from typing import Any

from gevent.event import Event

from greenproc import web
from greenproc.runtime import Runtime
from greenproc.supervision import Backoff, Child, Supervisor
from greenproc.testing import expect_failure
from tests.shell import run
from tests.supervision.support import Family, Poisoned, Worker
from tests.supervision.test_catalogue_stops import turns


def tree_of(runtime: Runtime) -> Family:
    """Start a tree of two levels in which a child has failed, and waits for its restart."""
    family = Family(runtime)

    def nested() -> Supervisor:
        return Supervisor([Child(lambda: Worker("leaf"), "leaf")], id="nested")

    children = [Child(lambda: Worker("a"), "a"), Child(nested, "nested")]
    family.start(children, strategy="rest_for_one", id="top")
    family.poison("a")
    return family


def fetch(runtime: Runtime, path: str) -> Any:
    with runtime.selected():
        return web.get(f"http://{runtime.address}{path}").get(10)


def test_the_node_shows_the_tree(runtime: Runtime) -> None:
    tree_of(runtime)
    tree = fetch(runtime, "/__node__/supervision").json()
    rows = tree["rows"]
    assert [(row["id"], row["depth"], row["state"]) for row in rows] == [
        ("top", 0, "running"),
        ("a", 1, "running"),
        ("nested", 1, "running"),
        ("leaf", 2, "running"),
    ]
    assert rows[0]["limit"] == "1 of 3 in 5.0 s"
    assert (rows[1]["restarts"], rows[1]["last_reason"]) == (1, "Poisoned('a')")
    assert rows[2]["last_reason"] == "terminated"
    assert tree["has_more"] is False
    assert fetch(runtime, "/__node__/state").json()["supervision"]["rows"][0]["id"] == "top"
    short = fetch(runtime, "/__node__/supervision?limit=2").json()
    assert (len(short["rows"]), short["has_more"]) == (2, True)
    assert fetch(runtime, "/__node__/supervision?limit=5000").status == 400


def test_the_time_to_a_restart_is_shown(runtime: Runtime) -> None:
    runtime.clock.pause()
    family = Family(runtime)
    family.start([family.worker("a")], backoff=Backoff(first=5.0, jitter=0.0))
    family.poison("a")
    runtime.clock.advance(2.0)
    row = fetch(runtime, "/__node__/supervision").json()["rows"][1]
    assert (row["state"], row["due_in_secs"]) == ("restarting", 3.0)


def test_the_page_of_a_process_says_that_it_is_being_restarted(runtime: Runtime) -> None:
    runtime.clock.pause()
    family = Family(runtime)
    family.start([family.worker("a")], backoff=Backoff(first=5.0, jitter=0.0))
    page = "/__node__/process?id=a&format=json&watch=10secs"
    assert fetch(runtime, page).status == 200
    family.poison("a")
    answer = fetch(runtime, page)
    assert (answer.status, answer.body) == (404, b"process 'a' is being restarted\n")
    runtime.clock.advance(5.0)
    runtime.settle()
    told = fetch(runtime, page).json()
    assert (told["id"], told["recording"]["served"]) == ("a", 0)
    assert [one["id"] for one in told["links"]["from"]["listed"]] == [told["supervisor"]]


def test_a_busy_supervisor_is_shown(runtime: Runtime) -> None:
    gate = Event()

    def factory() -> Worker:
        gate.wait()
        return Worker("a")

    runtime.spawn(Supervisor([Child(factory, "a")], id="top"))
    turns()
    rows = fetch(runtime, "/__node__/supervision").json()["rows"]
    assert [(row["id"], row["state"]) for row in rows] == [("top", "starting"), ("a", "absent")]
    gate.set()
    runtime.settle()


def test_the_command_line_shows_the_tree(runtime: Runtime) -> None:
    tree_of(runtime)
    address = str(runtime.address)
    code, out, err = run("ps", address, "--tree")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["PROCESS", "STATE", "RESTARTS", "LIMIT", "LAST", "END"]
    assert lines[1].split() == [
        "top",
        "running",
        "0",
        "rest_for_one,",
        "1",
        "of",
        "3",
        "in",
        "5.0",
        "s",
    ]
    assert lines[2].split() == ["a", "running", "1", "Poisoned('a')"]
    assert lines[4].startswith("    leaf")


def test_metrics_count_restarts(runtime: Runtime) -> None:
    family = tree_of(runtime)
    with expect_failure(Poisoned):
        for _ in range(3):
            runtime.post(family.upid("a"), "poison")
            runtime.settle()
    runtime.spawn(Supervisor([Child(lambda: Worker("x"), "x"), Child(lambda: None, "y")], id="s"))
    runtime.settle()
    told = fetch(runtime, "/metrics/snapshot").json()
    assert told["greenproc/supervisor_restarts/top"] == 6.0
    assert told["greenproc/supervisor_gave_up/top"] == 1.0
    assert told["greenproc/supervisor_children/s"] == 2.0
    assert told["greenproc/supervisor_active/s"] == 1.0
