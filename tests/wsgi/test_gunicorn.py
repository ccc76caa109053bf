"""A node in each worker of gunicorn: how it starts, serves and ends with it."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket, subprocess

from greenproc.address import Address
from tests.peer import LIMIT, Peer
from tests.shell import Witness
from tests.wsgi.conftest import get, post
from tests.wsgi.gunicorns import (
    PYTHONS,
    WORKER,
    Encryption,
    Gunicorn,
    free_ports,
    is_free,
    version,
)

pytest.importorskip("gunicorn")

Start = Callable[..., Gunicorn]


@pytest.fixture(params=PYTHONS, ids=version)
def python(request: pytest.FixtureRequest) -> str:
    path: str = request.param
    return path


@pytest.fixture
def start(python: str, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts gunicorn, and returns it when its workers have booted."""
    with ExitStack() as stack:

        def start(*flags: str, workers: int = 1, waits: bool = True, **options: Any) -> Gunicorn:
            flags = ("-w", str(workers), *flags)
            gunicorn = stack.enter_context(Gunicorn(python, tmp_path, *flags, **options))
            if waits:
                gunicorn.booted(workers)
            return gunicorn

        yield start


def end(gunicorn: Gunicorn, number: signal.Signals = signal.SIGTERM) -> int:
    gunicorn.signal(number)
    return gunicorn.finish().code


NAMES = [
    (WORKER, None, True),
    ("egg:greenproc#greenproc", None, True),
    ("greenproc", None, False),
    ("#greenproc", None, False),
    ("greenproc.wsgi:GreenprocWorker", None, False),
    (
        "greenproc",
        (
            "from gunicorn.workers import SUPPORTED_WORKERS\n"
            f"SUPPORTED_WORKERS['greenproc'] = '{WORKER}'\n"
        ),
        True,
    ),
]


@pytest.mark.parametrize(("name", "config", "works"), NAMES)
def test_gu_names(start: Start, name: str, config: str | None, *, works: bool) -> None:
    if name.startswith("egg:") and not entry_points(group="gunicorn.workers", name="greenproc"):
        pytest.skip("greenproc was installed before it had that entry point")
    gunicorn = start(worker=name, config=config or "", waits=works)

    if works:
        assert gunicorn.where()[0] == gunicorn.booted()[0]
        assert end(gunicorn) == 0
    else:
        assert gunicorn.finish().code != 0


def test_gu_hook_order(start: Start) -> None:
    gunicorn = start()
    gunicorn.where()
    assert end(gunicorn) == 0
    order = [
        re.sub(r" \d+$", "", line)
        for line in gunicorn.lines
        if re.match("hook |import|app.greenproc|finalized", line)
    ]

    assert order == [
        "hook on_starting",
        "hook when_ready",
        "hook pre_fork",
        "hook post_fork",
        "import",
        "app.greenproc",
        "hook post_worker_init",
        "finalized",
        "hook worker_exit",
        *["hook child_exit"][: "hook child_exit" in order],
        "hook on_exit",
    ]


def test_gu_node_answers_in_each_worker(start: Start) -> None:
    gunicorn = start(workers=2)
    nodes = gunicorn.nodes()

    assert len(set(nodes)) == 2
    for address in nodes:
        with Peer.connect(address) as peer:
            assert peer.get("/room").code == 404
            assert peer.get("/__processes__").code == 200
    assert gunicorn.where()[1] in nodes
    with gunicorn.connect() as peer:
        assert peer.get("/__processes__").code == 200
    assert end(gunicorn) == 0


def test_gu_routes_have_methods_parameters_cookies_bodies_and_origins(start: Start) -> None:
    gunicorn = start()
    lines = ("Content-Type: application/json", "Cookie: a=1", "Origin: http://a")
    with gunicorn.connect() as peer:
        path = "/room/seats/7/a%2Fb"
        answer = peer.ask(post(b'{"x": 1}', *lines, target=path).replace(b"POST", b"PUT", 1))
        assert answer.body == b'[7,"a/b",{"x":1},{"a":"1"}]'
        cookies = [value for name, value in answer.headers if name == "Set-Cookie"]
        assert [cookie.partition(";")[0] for cookie in cookies] == ["seat=7", "name=x"]
        assert answer.header("Access-Control-Allow-Origin") == "*"
        refused = peer.ask(post(b'{"x": "1"}', *lines, target=path).replace(b"POST", b"PUT", 1))
        assert (refused.code, refused.body[-11:]) == (400, b"at `$[...]`")
        assert peer.ask(post(b"", *lines, target=path)).header("Allow") == "OPTIONS, PUT"
        assert peer.get("/room/seats/7/%zz").code == 400
    assert end(gunicorn) == 0


def test_gu_term_in_flight(start: Start) -> None:
    gunicorn = start(workers=2)
    with gunicorn.connect() as peer:
        peer.send(get("/wait"))
        gunicorn.expect("^waiting")
        gunicorn.signal(signal.SIGTERM)
        answer = peer.read_answer()
    result = gunicorn.finish()

    assert (answer.code, answer.body[-4:]) == (200, b"http")
    assert result.code == 0
    assert len(gunicorn.find("^finalized")) == 2
    assert all(is_free(address) for address in gunicorn.nodes())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_gu_int_quit(start: Start, number: signal.Signals) -> None:
    gunicorn = start(workers=2)

    assert end(gunicorn, number) == 0
    assert len(gunicorn.find("^finalized")) == 2


def successor(gunicorn: Gunicorn, pid: int) -> int:
    """Wait for the worker after *pid* and return its id."""
    return next(one for one in reversed(gunicorn.booted(2)) if one != pid)


@pytest.mark.slow
def test_gu_worker_kill_9(start: Start) -> None:
    port = free_ports(4)
    gunicorn = start(env={"LIBPROCESS_PORT": str(port)})
    (pid,) = gunicorn.booted()
    os.kill(pid, signal.SIGKILL)
    new = successor(gunicorn, pid)

    assert gunicorn.where()[:2] == (new, Address("127.0.0.1", port))
    assert end(gunicorn) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "is_cleaned_up"),
    [(signal.SIGTERM, True), (signal.SIGABRT, True), (signal.SIGHUP, False)],
)
def test_gu_worker_term_abrt_hup(
    start: Start, number: signal.Signals, *, is_cleaned_up: bool
) -> None:
    gunicorn = start()
    (pid,) = gunicorn.booted()
    os.kill(pid, number)
    new = successor(gunicorn, pid)

    assert gunicorn.where()[0] == new
    assert bool(gunicorn.find(f"^finalized {pid}$")) == is_cleaned_up
    assert end(gunicorn) == 0


@pytest.mark.slow
def test_gu_hup_no_loss(start: Start) -> None:
    wrk = shutil.which("wrk")
    if wrk is None:
        pytest.skip("wrk is not installed")
    gunicorn = start(workers=2)
    url = f"http://{gunicorn.address}/where"
    # A connection for each request: what a kept one loses at its end is HTTP's own doing.
    command = [wrk, "-t1", "-c8", "-d60s", "-H", "Connection: close", "--timeout", "10s", url]
    load = subprocess.Popen(command, stdout=subprocess.PIPE)
    for number in range(1, 6):
        gunicorn.signal(signal.SIGHUP)
        gunicorn.booted(2 * number + 2)
        gunicorn.expect("hook worker_exit", 2 * number)
    load.send_signal(signal.SIGINT)  # which makes it tell what it counted
    out = load.communicate(timeout=LIMIT)[0].decode()

    assert int(re.search(r"(\d+) requests in", out)[1]) > 0  # type: ignore[index]
    assert "Socket errors" not in out
    assert "Non-2xx" not in out
    assert end(gunicorn) == 0


@pytest.mark.slow
def test_gu_hup_ports(start: Start) -> None:
    port = free_ports(8)
    gunicorn = start(workers=2, env={"LIBPROCESS_PORT": str(port)})
    assert {address.port for address in gunicorn.nodes()} == {port, port + 1}
    for number in range(1, 4):
        gunicorn.signal(signal.SIGHUP)
        gunicorn.booted(2 * number + 2)
        gunicorn.expect("hook worker_exit", 2 * number)
    nodes = gunicorn.nodes()

    assert len(nodes) == 8
    assert {address.port for address in nodes} <= set(range(port, port + 8))
    assert gunicorn.where()[1] in nodes[-2:]
    assert end(gunicorn) == 0
    assert all(is_free(address) for address in nodes)


@pytest.mark.slow
def test_gu_hup_repeated_term(start: Start) -> None:
    """Gunicorn 23 sends TERM to a surplus worker at each round of its master."""
    gunicorn = start()
    (pid,) = gunicorn.booted()
    with gunicorn.connect() as peer:
        peer.send(get("/wait"))
        gunicorn.expect("^waiting")
        for _ in range(3):
            os.kill(pid, signal.SIGTERM)
        assert peer.read_answer().code == 200
    successor(gunicorn, pid)

    assert len(gunicorn.find(f"^finalized {pid}$")) == 1
    assert end(gunicorn) == 0


@pytest.mark.slow
def test_gu_max_requests(start: Start) -> None:
    gunicorn = start("--max-requests", "3")
    (pid,) = gunicorn.booted()
    served = [gunicorn.where()]
    with gevent.Timeout(LIMIT):
        while served[-1][0] == pid:
            served.append(gunicorn.where())

    assert [number for _, _, number in served[:-1]] == list(range(1, len(served)))
    assert served[-1][2] == 1
    assert end(gunicorn) == 0


def test_gu_preload(start: Start) -> None:
    gunicorn = start("--preload", workers=2)
    assert len(gunicorn.find("^import")) == 1
    assert len(gunicorn.find("^app.greenproc")) == 2
    assert gunicorn.where()[2] == 1
    assert end(gunicorn) == 0


def test_a_runtime_in_the_master_is_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text(
        "import greenproc\n"
        "greenproc.spawn(greenproc.Process('early'))\n"
        "from gunicorn_site import app\n"
    )
    gunicorn = start("--preload", target="early:app", waits=False)

    assert gunicorn.finish().code == 3
    assert gunicorn.find("a runtime was started in the master of gunicorn")


def test_what_the_app_spawns_when_it_is_imported_is_in_each_worker(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "early.py").write_text(
        "import greenproc\n"
        "greenproc.spawn(greenproc.Process('early'))\n"
        "from gunicorn_site import app\n"
    )
    gunicorn = start(target="early:app")
    with gunicorn.connect() as peer:
        assert b"early" in peer.get("/__processes__").body
    assert end(gunicorn) == 0


@pytest.mark.slow
def test_gu_blocked_hub(start: Start) -> None:
    gunicorn = start("--timeout", "2")
    (pid,) = gunicorn.booted()
    with gunicorn.connect() as peer:
        peer.send(get("/block"))
        gunicorn.expect("^blocking")
        new = successor(gunicorn, pid)

    assert gunicorn.find(f"hook worker_abort {pid}$")
    assert gunicorn.find(f"^finalized {pid}$")
    assert gunicorn.where()[0] == new
    assert end(gunicorn) == 0


def test_gu_streams_end_on_term(start: Start) -> None:
    gunicorn = start()
    with gunicorn.connect() as peer:
        peer.send(get("/room/stream"))
        peer.read_until(b"first\r\n")
        gunicorn.signal(signal.SIGTERM)
        assert peer.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"
    assert gunicorn.finish().code == 0
    assert gunicorn.find("^finalized")


def test_gu_generators_end_in_full_on_term(start: Start) -> None:
    gunicorn = start()
    with gunicorn.connect() as peer:
        peer.send(get("/room/export"))
        gunicorn.expect("^exporting")
        gunicorn.signal(signal.SIGTERM)
        assert peer.read_answer().body == b"first last"
    assert gunicorn.finish().code == 0


@pytest.mark.slow
def test_gu_graceful_timeout_exceeded(start: Start) -> None:
    gunicorn = start("--graceful-timeout", "1")
    with gunicorn.connect() as peer:
        peer.send(get("/stuck"))
        gunicorn.expect("^stuck")
        assert end(gunicorn) == 0


@pytest.mark.slow
def test_gu_reload_flag(start: Start, tmp_path: Path) -> None:
    port = free_ports(2)
    gunicorn = start("--reload", "--reload-engine", "poll", env={"LIBPROCESS_PORT": str(port)})
    (pid,) = gunicorn.booted()
    later = (tmp_path / "gunicorn_site.py").stat().st_mtime
    while not gunicorn.find("Worker reloading"):
        # What was changed before its first round, the reloader does not know.
        later += 10
        os.utime(tmp_path / "gunicorn_site.py", (later, later))
        with gevent.Timeout(0.2, False):
            gunicorn.expect("Worker reloading")
    new = successor(gunicorn, pid)
    assert gunicorn.where()[:2] == (new, Address("127.0.0.1", port))
    assert end(gunicorn) == 0


@pytest.mark.slow
def test_gu_ttin_ttou(start: Start) -> None:
    gunicorn = start()
    (pid,) = gunicorn.booted()
    gunicorn.signal(signal.SIGTTIN)
    new = successor(gunicorn, pid)
    old = Witness(pid)
    gunicorn.signal(signal.SIGTTOU)  # the oldest one goes
    old.wait()

    assert gunicorn.find(f"^finalized {pid}$") or gunicorn.expect(f"^finalized {pid}$")
    assert gunicorn.where()[0] == new
    assert end(gunicorn) == 0


@pytest.mark.slow
def test_gu_tls(start: Start, tmp_path: Path) -> None:
    encryption = Encryption(tmp_path)
    gunicorn = start(*encryption.flags)
    with Peer(encryption.connect(gunicorn.address)) as peer:
        assert peer.get("/where").body.endswith(b"https")
        assert peer.get("/__processes__").code == 200
    assert end(gunicorn) == 0


def test_gu_unix(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    gunicorn = start(bind=f"unix:{path}")
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(path)
    with Peer(connected) as peer:
        assert peer.get("/where").code == 200
    assert end(gunicorn) == 0


@pytest.mark.slow
def test_gu_keepalive(start: Start) -> None:
    gunicorn = start("--keep-alive", "1")
    with gunicorn.connect() as peer:
        assert [peer.get(path).code for path in ("/where", "/room/nowhere", "/where")] == [
            200,
            404,
            200,
        ]
        assert peer.read_to_end() == b""  # it is closed, a second later
    assert end(gunicorn) == 0


def test_gu_on_start(start: Start) -> None:
    gunicorn = start(workers=2, env={"GREENPROC_ON_START": "gunicorn_site:on_start"})
    pids = {str(pid) for pid in gunicorn.booted(2)}

    assert {line.split()[1] for line in gunicorn.find("^on_start .* running")} == pids
    assert {line.split()[1] for line in gunicorn.find("^app.greenproc")} == pids
    assert end(gunicorn) == 0


def test_a_sigterm_before_the_worker_has_its_handlers_ends_it(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "early.py").write_text(
        "import os, signal\n"
        "from greenproc.wsgi import GreenprocWorker\n"
        "class Worker(GreenprocWorker):\n"
        "    def patch(self):\n"
        "        if self.age == 1:\n"  # its successor lives
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "        super().patch()\n"
    )
    gunicorn = start(worker="early.Worker", waits=False)
    first = gunicorn.booted(2)[0]  # and a successor

    assert gunicorn.find(rf"Worker exiting \(pid: {first}\)")
    assert gunicorn.where()[0] != first
    assert end(gunicorn) == 0


def test_a_subclass_may_spawn_what_it_wants(start: Start, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from greenproc.wsgi import GreenprocWorker\n"
        "class Worker(GreenprocWorker):\n"
        "    def on_start(self, runtime):\n"
        "        print('mine', runtime is self.runtime, flush=True)\n"
    )
    gunicorn = start(worker="mine.Worker")

    assert gunicorn.find("^mine True")
    assert end(gunicorn) == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gunicorn_site:fail", "no luck today"),
        pytest.param(
            "gunicorn_site:be_late",
            "ran into a timeout: .*no luck in time",
            marks=pytest.mark.slow,
        ),
        ("gunicorn_site:nothing", "GREENPROC_ON_START: expected module:function"),
        ("nothing", "GREENPROC_ON_START: expected module:function"),
    ],
)
def test_gu_fails_to_boot(start: Start, name: str, text: str) -> None:
    gunicorn = start(waits=False, env={"GREENPROC_ON_START": name})

    assert gunicorn.finish().code == 3
    assert gunicorn.find(text)


def test_a_port_that_is_taken_is_left_out(start: Start) -> None:
    port = free_ports(4)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        gunicorn = start(env={"LIBPROCESS_PORT": str(port)})

        assert gunicorn.where()[1] == Address("127.0.0.1", port + 1)
        assert end(gunicorn) == 0
