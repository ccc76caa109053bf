"""No bytes from outside end the process of an example, or make it answer with a fault of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import pytest

from greenproc import UPID, Process, Runtime
from greenproc import spawn as spawn_process
from greenproc.process.base import declared_of
from tests.peer import Peer, closed_address

EXAMPLES = Path(__file__).parents[1] / "examples"

Make = Callable[[type[Process], Path], Process]

pytest.importorskip("flask")

PROCESSES: dict[str, Make] = {
    "auction:Auction": lambda cls, _: cls("auction"),
    "auction:Bidder": lambda cls, _: cls(spawn_process(Process()), 5),  # type: ignore[call-arg, arg-type]
    "codelock:CodeLock": lambda cls, _: cls(),
    "counter:Counter": lambda cls, _: cls(),
    "celery_free_jobs:Jobs": lambda cls, _: cls(),
    "fetch:Pages": lambda cls, _: cls(),
    "files:Files": lambda cls, folder: cls(folder),  # type: ignore[arg-type]
    "flask_counter:Counter": lambda cls, _: cls(),
    "hits:Hits": lambda cls, _: cls(),
    "pingpong:Ping": lambda cls, _: cls(spawn_process(Process()), 5),  # type: ignore[call-arg, arg-type]
    "pingpong:Pong": lambda cls, _: cls(),
    "private:Vault": lambda cls, _: cls(),
    "programs:Shell": lambda cls, _: cls(),
    "supervised:Shop": lambda cls, _: cls(),
    "supervised:Till": lambda cls, _: cls(),
    "talk:Member": lambda cls, _: cls(),
    "talk:Room": lambda cls, _: cls(),
    "traced:Shop": lambda cls, _: cls(),
    "traced:Warehouse": lambda cls, _: cls(),
    "testing_actors:Alarm": lambda cls, _: cls(UPID()),  # type: ignore[arg-type]
}

# Their examples show what follows when they fail, never return, or block the hub.
MEANT_TO_FAIL = {"supervised:Clerk", "watched:Mailer", "watched:Report", "watched:Till"}

BODIES = [
    b"",
    b"two",
    b"-1",
    b"+1",
    b"1_0",
    b"1.5",
    b"nan",
    b"-inf",
    b"1e999",
    b"9" * 5000,
    b"-" + b"9" * 4300,
    "٣".encode(),  # a digit, if not one of ours
    b"\xff\xfe\x00",
    b"\x1b[2J\r\n\x00",
    b"[" * 100_000,
    b"x" * 1_000_000,
]
TEXTS = ["", "x", "-1", "0", "٣", "9" * 5000, "1000000000", "../x", "a" * 300, "é" * 200, "\x00"]
KEYS = ("name", "number", "limit")


def load(name: str) -> ModuleType:
    """Import an example as it is, apart from all others."""
    spec = util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def processes_of(module: ModuleType) -> list[type[Process]]:
    own = [one for one in vars(module).values() if isinstance(one, type)]
    return [one for one in own if issubclass(one, Process) and one.__module__ == module.__name__]


def spawn(runtime: Runtime, target: str, folder: Path) -> Process:
    module, _, name = target.partition(":")
    process = PROCESSES[target](getattr(load(module), name), folder)
    runtime.spawn(process)
    return process


def test_each_process_of_an_example_is_here() -> None:
    found = {
        f"{path.stem}:{one.__name__}"
        for path in EXAMPLES.glob("*.py")
        for one in processes_of(load(path.stem))
    }

    assert found == set(PROCESSES) | MEANT_TO_FAIL


@pytest.mark.parametrize("target", PROCESSES)
def test_no_message_ends_it(target: str, runtime: Runtime, tmp_path: Path) -> None:
    process = spawn(runtime, target, tmp_path)
    gone = "nobody@" + str(closed_address())
    with Peer.connect(runtime.address) as peer:
        for name in declared_of(process).messages:
            for sender in (gone, str(process.pid), "nonsense"):
                for body in BODIES:
                    head = f"POST /{quote(process.pid.id)}/{name} HTTP/1.1\r\nHost: x\r\n"
                    about = f"Libprocess-From: {sender}\r\nContent-Length: {len(body)}\r\n\r\n"
                    assert peer.ask((head + about).encode() + body).code == 202

    assert runtime.dispatch(process, lambda: "it lives").get() == "it lives"


@pytest.mark.parametrize("target", PROCESSES)
def test_no_request_makes_it_fail(target: str, runtime: Runtime, tmp_path: Path) -> None:
    process = spawn(runtime, target, tmp_path)
    queries = [f"?{key}={quote(text)}" for key in KEYS for text in TEXTS]
    queries += ["", "?", "?name", "?=", "?%ff=%ff", "?name=%ff", "/more", "/%2e%2e/x"]
    for path in [options.path for options, _ in declared_of(process).routes]:
        for query in queries:
            for method, body in (("GET", b""), ("POST", BODIES[-1]), ("DELETE", BODIES[12])):
                assert status(runtime, process, f"{method} /{{id}}{path}{query}", body) < 500

    assert runtime.dispatch(process, lambda: "it lives").get() == "it lives"


def status(runtime: Runtime, process: Process, line: str, body: bytes) -> int:
    """Return how a request is answered; what streams for ever is left after its head."""
    length = f"Host: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with Peer.connect(runtime.address) as peer:
        start = line.format(id=quote(process.pid.id))
        peer.send(f"{start} HTTP/1.1\r\n{length}".encode() + body)
        return int(peer.read_until(b"\r\n").split(b" ")[1])


def test_a_huge_total_does_not_end_the_counter(runtime: Runtime, tmp_path: Path) -> None:
    counter = spawn(runtime, "counter:Counter", tmp_path)
    for _ in range(20):
        runtime.post(counter, "increment", b"9" * sys.get_int_max_str_digits())

    assert status(runtime, counter, "GET /counter/total", b"") == 200
