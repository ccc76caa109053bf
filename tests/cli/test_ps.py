"""``greenproc ps`` against a real node, and against strangers that answer this or that."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from gevent import socket

from greenproc.builtin.processes import MAX_LISTED
from greenproc.cli.main import main
from greenproc.cli.ps import read_pages
from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from tests.cli.stranger import Stranger
from tests.shell import node, run

# As the C++ libprocess answers, the list made longer.
LISTED = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Fri, 01 May 2026 10:00:00 GMT\r\n"
    b"Content-Length: %d\r\n"
    b"Content-Type: application/json\r\n"
    b"\r\n%b"
)
PROCESSES = (
    b'[{"events":[],"id":"help"},'
    b'{"events":[{"type":"MESSAGE","name":"ping","from":"a@10.0.0.1:5051","to":"b@10.0.0.2:5050",'
    b'"body":"x"},{"type":"DISPATCH"},{"type":"MESSAGE","name":"ping","from":"@0.0.0.0:0",'
    b'"to":"b@10.0.0.2:5050","body":""},{"type":"HTTP","method":"GET","url":"/b/state"}],"id":"b"}]'
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with node("greenproc.cli.player:Player") as player:
        yield player.line(r"@(.*)")[1]


def test_ps_shows_the_processes_of_a_node_in_a_table(address: str) -> None:
    code, out, err = run("ps", address)

    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["PROCESS", "QUEUED", "EVENTS"]
    assert ["player", "0"] in [line.split() for line in lines]


def test_ps_takes_a_host_name_and_the_address_of_a_process(address: str) -> None:
    port = address.rpartition(":")[2]

    assert run("ps", f"player@localhost:{port}").code == 0


def test_ps_prints_json_that_a_program_can_read(address: str) -> None:
    out = run("ps", address, "--json").out

    assert {"id": "player", "events": []} in json.loads(out)


def test_ps_counts_queued_events_by_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with Stranger(LISTED % (len(PROCESSES), PROCESSES)) as address:
        assert main(["ps", address]) == 0

    assert capsys.readouterr().out == (
        "PROCESS  QUEUED  EVENTS\n"
        "b             4  2 message ping, 1 dispatch, 1 http /b/state\n"
        "help          0\n"
    )


def test_ps_asks_for_the_list_and_nothing_else() -> None:
    stranger = Stranger(LISTED % (2, b"[]"))
    with stranger as address:
        main(["ps", address])

    lines = stranger.request.split(b"\r\n")
    assert lines[0] == b"GET /__processes__ HTTP/1.1"
    assert f"Host: {address}".encode() in lines
    assert b"Connection: close" in lines


@pytest.mark.parametrize("is_json", [False, True])
def test_ps_pages_through_all_processes(
    is_json: bool, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2 * MAX_LISTED):
        runtime.spawn(Process(f"p{number}"))
    assert main(["ps", str(runtime.address), *(["--json"] if is_json else [])]) == 0
    out = capsys.readouterr().out
    if is_json:
        ids = [process["id"] for process in json.loads(out)]
    else:
        ids = [line.split()[0] for line in out.splitlines()[1:]]
        assert out.count("PROCESS") == 1
    assert len(ids) == len(set(ids)) == len(runtime.processes.records)
    assert {f"p{number}" for number in range(2 * MAX_LISTED)} <= set(ids)


def test_ps_shows_a_process_that_lives_whatever_ends_between_two_pages(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenproc.builtin.processes.MAX_LISTED", 4)
    pids = [runtime.spawn(Process(f"a{number}")) for number in range(8)]
    seen = []
    for page in read_pages(runtime.address.ip, runtime.address.port, 10.0):
        seen += [process["id"] for process in page]
        for pid in pids[:2]:  # which the first page has shown
            runtime.terminate(pid)
            runtime.wait(pid)
    assert seen == sorted({*runtime.processes.records, "a0", "a1"})


def test_ps_follows_a_link_to_itself_once(capsys: pytest.CaptureFixture[str]) -> None:
    link = b'HTTP/1.1 200 OK\r\nLink: <?after=a>; rel="next"\r\nContent-Length: 2\r\n\r\n[]'
    stranger = Stranger(link)
    with stranger as address:
        assert main(["ps", address]) == 0
    assert stranger.request.startswith(b"GET /__processes__?after=a HTTP/1.1\r\n")


@pytest.mark.parametrize("count", [MAX_LISTED, MAX_LISTED + 1])
def test_ps_takes_all_at_once_from_a_node_without_pages(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps([{"id": f"p{number}", "events": []} for number in range(count)]).encode()
    with Stranger(LISTED % (len(body), body)) as address:
        assert main(["ps", address, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == count


def test_ps_does_not_let_a_stranger_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    body = rb'[{"id":"\u001b[2Jgone","events":[{"type":"MESSAGE","name":"a\nb"}]}]'
    with Stranger(LISTED % (len(body), body)) as address:
        main(["ps", address])

    assert capsys.readouterr().out.splitlines()[1:] == ["?[2Jgone       1  1 message a?b"]


def test_ps_reads_an_answer_that_ends_with_the_connection() -> None:
    with Stranger(b"HTTP/1.1 200 OK\r\n\r\n[]") as address:
        assert main(["ps", address]) == 0


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
STRANGERS = {
    "no such page": (NOT_FOUND, "{} answered 404 Not Found: is it a node?"),
    "no JSON": (LISTED % (2, b"hi"), "{} answered something else than a list of processes"),
    "a number": (LISTED % (1, b"1"), "{} answered something else than a list of processes"),
    "a list of numbers": (LISTED % (3, b"[1]"), "{} answered something else than a list"),
    "nameless processes": (LISTED % (4, b"[{}]"), "{} answered something else than a list"),
    "an event that is none": (
        LISTED % (25, b'[{"id":"a","events":[1]}]'),
        "{} answered something else than a list of processes",
    ),
    "no HTTP": (b"220 mail ready\r\n\r\n", "{} does not speak HTTP: "),
    "half an answer": (b"HTTP/1.1 200 OK\r\nContent-Le", "{} does not speak HTTP: "),
    "nothing": (b"", "{} closed the connection without an answer"),
}


@pytest.mark.parametrize(("answer", "expected"), STRANGERS.values(), ids=STRANGERS)
def test_ps_tells_what_is_wrong_with(
    answer: bytes, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Stranger(answer) as address:
        assert main(["ps", address]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("greenproc: " + expected.format(address))
    assert err.count("\n") == 1


def test_ps_gives_up_on_a_node_that_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Stranger(None) as address:
        assert main(["ps", address, "--timeout", "0.05"]) == 1

    expected = f"greenproc: {address} gave no answer within 0.05 s; --timeout S waits longer\n"
    assert capsys.readouterr().err == expected


def test_ps_tells_that_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        assert main(["ps", address]) == 1

    expected = f"greenproc: {address} cannot be reached: Connection refused\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("text", ["5050", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", ":5050"])
def test_ps_refuses_what_is_no_address(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", text]) == 2

    assert capsys.readouterr().err.startswith("greenproc: expected ")


def test_ps_shows_dead_letters_newest_first(
    runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second\x1b[2J"):
        runtime.post(UPID("gone", runtime.address), name, b"abc")

    assert main(["ps", str(runtime.address), "--dead-letters"]) == 0

    head, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == ["TIME", "KIND", "REASON", "FROM", "TO", "NAME", "SIZE"]
    assert [row[1:] for row in rows] == [
        ["message", "no", "such", "process", f"gone@{runtime.address}", "second?[2J", "3"],
        ["message", "no", "such", "process", f"gone@{runtime.address}", "first", "3"],
    ]


def test_ps_prints_all_pages_of_dead_letters_as_json(
    make_runtime: RuntimeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", max_dead_letters=5000))
    for _ in range(MAX_LISTED + 1):
        node.post(UPID("gone", node.address), "hello")

    assert main(["ps", str(node.address), "--dead-letters", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert [letter["number"] for letter in told] == list(range(MAX_LISTED + 1, 0, -1))


def test_ps_does_not_go_round_when_pages_repeat(capsys: pytest.CaptureFixture[str]) -> None:
    texts = dict.fromkeys(("kind", "reason", "from", "to", "name"), "x")
    letter = {**texts, "number": 5, "time": 1, "size": 1}
    body = json.dumps({"letters": [letter] * MAX_LISTED}).encode()
    with Stranger(LISTED % (len(body), body)) as address:
        assert main(["ps", address, "--dead-letters"]) == 1
    assert "dead letters that were listed before" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", "something else than a list of dead letters"),
        (b'{"letters":[{"number":1}]}', "something else than a list of dead letters"),
    ],
)
def test_ps_tells_what_is_wrong_with_dead_letters(
    body: bytes, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Stranger(LISTED % (len(body), body)) as address:
        assert main(["ps", address, "--dead-letters"]) == 1
    assert expected in capsys.readouterr().err


def test_ps_tells_that_a_node_of_another_kind_has_no_dead_letters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Stranger(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as address:
        assert main(["ps", address, "--dead-letters"]) == 1
    assert "404 Not Found: is it a greenproc node?" in capsys.readouterr().err
