"""``greenproc send`` to a real node, and to strangers that answer this or that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket

from greenproc.cli.main import main
from greenproc.pid import UPID
from tests.cli.conftest import RunHere
from tests.cli.stranger import Stranger
from tests.shell import Program, node, run

MODULE = """
from greenproc import Process, install


class Echo(Process):
    def __init__(self):
        super().__init__("echo")

    @install("echo")
    def on_echo(self, sender, body):
        self.send(sender, "echoed", body)

    @install("note")
    def on_note(self, sender, body):
        print("noted", body)

    @install("who")
    def on_who(self, sender, body):
        self.send(sender, "you", str(sender).encode())
"""


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder: Path = tmp_path_factory.mktemp("echo")
    (folder / "echo.py").write_text(MODULE)
    with node("echo:Echo", cwd=folder) as program:
        yield program


@pytest.fixture(scope="module")
def pid(echo: Program) -> str:
    return echo.line(r"^echo@.*")[0]


def test_send_tells_that_the_node_has_the_message(echo: Program, pid: str) -> None:
    code, out, err = run("send", pid, "note", "one")

    assert (code, out, err) == (0, f"accepted by {pid}\n", "")
    echo.line("^noted b'one'$")


def test_a_message_needs_no_body(echo: Program, pid: str, run_here: RunHere) -> None:
    assert run_here("send", pid, "note").code == 0

    echo.line("^noted b''$")


def test_a_dash_reads_the_body_from_standard_input(pid: str) -> None:
    code, out, _ = run("send", pid, "echo", "-", "--reply", stdin=b"from a file\n")

    assert (code, out) == (0, "echoed from a file\n\n")


def test_the_reply_is_printed_with_its_name(pid: str, run_here: RunHere) -> None:
    code, out, err = run_here("send", pid, "echo", "hällo", "--reply")

    assert (code, out, err) == (0, "echoed hällo\n", "")


def test_a_reply_without_a_body_is_its_name(pid: str, run_here: RunHere) -> None:
    assert run_here("send", pid, "echo", "--reply").out == "echoed\n"


def test_the_receiver_may_be_named_by_its_host(pid: str, run_here: RunHere) -> None:
    port = pid.rpartition(":")[2]

    assert run_here("send", f"echo@localhost:{port}", "echo", "x", "--reply").out == "echoed x\n"


def test_the_port_of_the_environment_is_left_to_nodes(pid: str) -> None:
    env = {"LIBPROCESS_PORT": pid.rpartition(":")[2], "LIBPROCESS_ADVERTISE_PORT": "1"}

    assert run("send", pid, "echo", "x", "--reply", env=env).out == "echoed x\n"


def test_the_sender_listens_where_the_environment_says(pid: str) -> None:
    out = run("send", pid, "who", "--reply", env={"LIBPROCESS_IP": "127.0.0.2"}).out

    assert out.startswith("you Sender(1)@127.0.0.2:")


def test_a_process_that_is_not_there_is_told(pid: str, run_here: RunHere) -> None:
    address = pid.partition("@")[2]
    code, out, err = run_here("send", f"nobody@{address}", "note")

    assert (code, out) == (1, "")
    assert err == (
        f"greenproc: there is no process 'nobody' at {address}; "
        f'"greenproc ps {address}" lists those that are there\n'
    )


def test_a_reply_that_does_not_come_is_told(pid: str, run_here: RunHere) -> None:
    code, out, err = run_here("send", pid, "note", "--reply", "--timeout", "0.5")

    assert (code, out) == (1, "")
    told = (
        f"greenproc: {pid} accepted 'note' but replied nothing within 0.5 s: its handler may not "
        f'reply; there may be none, which "greenproc ps {UPID.parse(pid).address} --dead-letters" '
        "shows; or its node may not reach 127.0.0.1:PORT, where the reply is awaited. --timeout S "
        "waits longer\n"
    )
    assert re.sub(r"reach 127\.0\.0\.1:[0-9]+", "reach 127.0.0.1:PORT", err) == told


def test_a_node_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        assert main(["send", f"echo@{address}", "note"]) == 1

    expected = f"greenproc: {address} cannot be reached: Connection refused\n"
    assert capsys.readouterr().err == expected


STRANGERS = {
    "refuses": (
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 8\r\n\r\nnot now\n",
        "{} refused the message: 400 Bad Request not now",
    ),
    "takes it for a page": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "{} refused the message: 200 OK",
    ),
    "hangs up": (b"", "{} closed the connection without an answer"),
    "says nothing": (None, "{} gave no answer within 0.5 s; --timeout S waits longer"),
}


@pytest.mark.parametrize(("answer", "expected"), STRANGERS.values(), ids=STRANGERS)
def test_send_tells_when_a_stranger(
    answer: bytes | None, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Stranger(answer) as address:
        assert main(["send", f"echo@{address}", "note", "--timeout", "0.5"]) == 1

    assert capsys.readouterr().err == f"greenproc: {expected.format(address)}\n"


def test_the_message_is_what_libprocess_sends() -> None:
    stranger = Stranger(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
    with stranger as address:
        assert main(["send", f"echo@{address}", "note", "hi"]) == 0

    first, *lines = stranger.request.split(b"\r\n")
    assert first == b"POST /echo/note HTTP/1.1"
    assert lines[0].startswith(b"User-Agent: libprocess/Sender(1)@127.0.0.1:")
    assert lines[-6:] == [b"", b"2", b"hi", b"0", b"", b""]


WRONG = {
    "echo": "expected id@ip:port, got 'echo'",
    "echo@127.0.0.1": "expected id@ip:port, got 'echo@127.0.0.1'",
    "echo@127.0.0.1:0": "expected id@ip:port with a port above 0, got 'echo@127.0.0.1:0'",
    "echo@no.such.host.invalid:1": "expected a host name with an IPv4 address, got ",
}


@pytest.mark.parametrize("to", WRONG)
def test_send_refuses_what_is_no_upid(to: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", to, "note"]) == 2

    assert capsys.readouterr().err.startswith(f"greenproc: {WRONG[to]}")


def test_send_refuses_a_name_that_cannot_travel(
    pid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", pid, "two words"]) == 2

    assert "the message's name cannot travel with ' ' in it" in capsys.readouterr().err
