"""Programs that do not run on gevent, with the code of the documentation, as OS processes."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import gevent
import pytest
from gevent import subprocess
from gevent.socket import wait_read

from greenproc.address import Address
from greenproc.web import get
from tests.peer import closed_address
from tests.shell import LIMIT, Program, environment, set_signals

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "without_gevent.md"
BLOCK = re.compile(r"^```python\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FRAGMENTS = dict(BLOCK.findall(PAGE.read_text("utf-8")))
ADDRESS = r"\b127\.0\.0\.1:\d+"

QUIET = {"LIBPROCESS_BLOCKED_AFTER": "0secs"}
"""Keeps a machine that is busy with tests from being told of."""

PLAIN = (sys.executable, "-W", "ignore::DeprecationWarning")
"""Python 3.12 warns of every fork beside native threads."""


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [module for module in modules if find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {missing}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files of the page."""
    for name, text in FRAGMENTS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def total(address: str) -> int:
    """Ask a node by HTTP, whatever its program does meanwhile."""
    value: int = get(f"http://{address}/counter/total").get(timeout=LIMIT).json()
    return value


def ask(address: Address, path: str) -> str:
    return get(f"http://{address}{path}").get(timeout=LIMIT).body.decode()


def sit_down() -> None:
    """Take the terminal, in the child, so that Ctrl-C there is a signal here."""
    set_signals(())
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A program at a terminal, which is a pseudo one."""

    def __init__(self, *command: str, cwd: Path) -> None:
        self._here, there = pty.openpty()
        self._seen = ""
        env = environment({**QUIET, "TERM": "dumb", "IPYTHONDIR": str(cwd / "ipython")})
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=there,
            stdout=there,
            stderr=there,
            preexec_fn=sit_down,
        )
        os.close(there)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT)
        os.close(self._here)

    def type(self, text: str) -> None:
        os.write(self._here, text.encode())

    def read_until(self, pattern: str) -> str:
        """Wait for *pattern* and return what it found."""
        limit = gevent.Timeout(LIMIT)
        with limit:
            while not (found := re.search(pattern, self._seen)):
                chunk = self._read()
                limit.exception = AssertionError(f"no {pattern!r} in {self._seen + chunk!r}")
                self._seen += chunk
        self._seen = self._seen[found.end() :]
        return found[0]

    def read_to_end(self) -> str:
        with gevent.Timeout(LIMIT, AssertionError(f"no end of {self._seen!r}")):
            while chunk := self._read():
                self._seen += chunk
        return self._seen

    def _read(self) -> str:
        wait_read(self._here)
        try:
            return os.read(self._here, 65536).decode()
        except OSError:
            return ""  # the program has closed the other side


@contextmanager
def prompt(*command: str, mark: str, cwd: Path) -> Iterator[Terminal]:
    """A prompt in which the lines of the page were typed."""
    with Terminal(*command, cwd=cwd) as terminal:
        terminal.read_until(mark)
        terminal.type("from greenproc import *; import greenproc, signal\n")
        for line in FRAGMENTS["prompt.py"].split("\n"):
            if line:
                terminal.read_until(mark)
                terminal.type(f"{line}\n")
        terminal.read_until(r"\b2\r\n")
        terminal.read_until(mark)
        yield terminal


def node_of(terminal: Terminal) -> str:
    terminal.type("print(greenproc.address())\n")
    return terminal.read_until(ADDRESS)


def test_th_repl(folder: Path) -> None:
    """The plain prompt: the node answers while Python waits for a line, and Ctrl-C ends a wait."""
    with prompt(sys.executable, "-i", "-q", mark=">>> $", cwd=folder) as terminal:
        address = node_of(terminal)
        terminal.read_until(">>> $")
        assert [total(address) for _ in range(3)] == [2, 2, 2]

        terminal.type("print('wai' + 'ting', wait(spawn(Process())))\n")
        terminal.read_until(r"spawn\(Process\(\)+\r\n")
        assert total(address) == 2
        terminal.type("\x03")
        terminal.read_until("KeyboardInterrupt")
        terminal.read_until(">>> $")
        terminal.type("counting.add(3)\n")
        terminal.read_until(r"\b5\r\n")
        assert total(address) == 5

        terminal.read_until(">>> $")
        terminal.type("exit()\n")
        assert terminal.process.wait(LIMIT) == 0
        assert terminal.read_to_end().split() == ["exit()"]


@needs("IPython")
def test_th_ipython(folder: Path) -> None:
    """IPython, with and without an asyncio loop at the prompt."""
    command = (
        sys.executable,
        "-m",
        "IPython",
        "--simple-prompt",
        "--no-banner",
        "--colors=nocolor",
    )
    with prompt(*command, mark=r"In \[\d+\]: $", cwd=folder) as terminal:
        address = node_of(terminal)
        steps = [
            ("%autoawait off", None),
            ("counting.add(1)", r"Out\[\d+\]: 3\b"),
            ("%autoawait asyncio", None),
            ("counting.add(1)", r"Out\[\d+\]: 4\b"),
            ("pid = UPID('counter', greenproc.address())", None),
            ("await dispatch(pid, counting.Counter.add, 1)", r"Out\[\d+\]: 5\b"),
            ("counting.add(1)", r"Out\[\d+\]: 6\b"),
        ]
        for line, expected in steps:
            terminal.read_until(r"In \[\d+\]: $")
            terminal.type(f"{line}\n")
            if expected is not None:
                terminal.read_until(expected)
        assert total(address) == 6

        terminal.type("exit\n")
        assert terminal.process.wait(LIMIT) == 0
        assert "Traceback" not in terminal.read_to_end()


JUPYTER = """
import json, sys, urllib.request
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="python3")
shown = []


def show(message):
    content = message["content"]
    if message["msg_type"] == "error":
        print("\\n".join(content["traceback"]))
    shown.append(content.get("text") or content.get("data", {}).get("text/plain"))


def run(cell):
    shown.clear()
    client.execute_interactive(cell, timeout=30, output_hook=show)
    return "".join(filter(None, shown)).strip()


print("cell", run(sys.argv[1]))
address = run("import greenproc; print(greenproc.address())")
url = f"http://{address}/counter/total"
print("idle", [json.load(urllib.request.urlopen(url, timeout=30)) for _ in range(3)])
run("%autoawait off")
print("off", run("counting.add(1)"))
run("%autoawait asyncio")
run("pid = greenproc.UPID('counter', greenproc.address())")
print("await", run("await greenproc.dispatch(pid, counting.Counter.add, 1)"))
print("ticks", run('''
import asyncio, gevent
node = greenproc.current_runtime()
ticks = []
def tick():
    ticks.append(1)
    greenproc.delay(0.005, pid, tick)
tick()
async def until():
    while len(ticks) < 20:
        await asyncio.sleep(0.005)
    return 'enough'
await until()
'''))
manager.request_shutdown() if hasattr(manager, "request_shutdown") else None
client.stop_channels()
manager.shutdown_kernel()
print("over", manager.is_alive())
"""


@pytest.mark.slow
@needs("jupyter_client", "ipykernel")
def test_th_jupyter(folder: Path) -> None:
    """A kernel: the node answers while no cell runs, and futures are awaited in cells."""
    env = {"PYTHONPATH": f"{folder}{os.pathsep}{environment()['PYTHONPATH']}"}
    env |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_RUNTIME_DIR": str(folder / "jupyter")}
    with Program(*PLAIN, "-c", JUPYTER, FRAGMENTS["prompt.py"], cwd=folder, env=env) as program:
        result = program.finish()

    lines = ["cell 2", "idle [2, 2, 2]", "off 3", "await 4", "ticks 'enough'", "over False"]
    assert (result.code, result.out.splitlines()) == (0, lines), result.err


def kill(pid: int) -> None:
    """End what the watcher has started, which its own end does not."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


RELOADING = """
import os
import sys

import shop
from greenproc.current import default


def tell(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())


@shop.app.route("/where")
def where():
    import greenproc
    return f"{os.getpid()} {greenproc.address()}"


@shop.app.before_request
def first():
    shop.started.call(shop.counting.start)


class Counter(shop.counting.Counter):
    def finalize(self):
        tell("finalized", os.getpid())


shop.counting.Counter = Counter
tell("import", os.getpid(), os.environ.get("WERKZEUG_RUN_MAIN"), default.runtime)
if __name__ == "__main__":
    options = {"use_reloader": True, "reloader_type": "stat", "reloader_interval": 0.05}
    shop.app.run(port=int(sys.argv[1]), debug=True, threaded=True, **options)
"""


@pytest.mark.slow
@needs("flask")
def test_th_flask_reloader(folder: Path) -> None:
    """A node in the process that serves, not in the one that watches; a new one after a change."""
    (folder / "site_of_the_test.py").write_text(RELOADING)
    server, node = closed_address(), closed_address()
    env = {**QUIET, "LIBPROCESS_PORT": str(node.port)}
    command = (*PLAIN, "site_of_the_test.py", str(server.port))
    with Program(*command, cwd=folder, env=env) as program, ExitStack() as orphans:
        watcher = program.line(r"import (\d+) None None")[1]
        first = program.line(r"import (\d+) true None")[1]
        orphans.callback(kill, int(first))
        assert first != watcher
        assert ask(server, "/add/2") == "2"
        asking = [gevent.spawn(ask, server, "/add/1") for _ in range(10)]
        gevent.joinall(asking, timeout=LIMIT, raise_error=True)
        assert (ask(server, "/add/0"), ask(server, "/where")) == ("12", f"{first} {node}")
        assert total(str(node)) == 12

        with (folder / "counting.py").open("a") as file:
            file.write("\n")
        assert program.line(r"finalized (\d+)")[1] == first
        second = program.line(r"import (\d+) true None")[1]
        orphans.callback(kill, int(second))
        assert second not in (first, watcher)
        assert (ask(server, "/add/5"), ask(server, "/where")) == ("5", f"{second} {node}")
        program.signal(signal.SIGTERM)


SERVED = """
import os

import counting
import greenproc


def tell(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())


class Counter(counting.Counter):
    def finalize(self):
        tell("finalized", os.getpid())


counting.Counter = Counter
if os.environ.get("AT_IMPORT"):
    counting.start()
    tell("started at import", os.getpid())


def app(environ, start_response):
    body = {"pid": os.getpid()}
    try:
        greenproc.address()
    except RuntimeError as error:
        body["error"] = str(error)
        counting.start()
    body |= {"total": counting.add(1), "address": str(greenproc.address())}
    start_response("200 OK", [("Content-Type", "application/json")])
    import json
    return [json.dumps(body).encode()]
"""


@contextmanager
def gunicorn(
    folder: Path, *flags: str, at_import: bool = False, hook: bool = True
) -> Iterator[tuple[Program, Address]]:
    """Run gunicorn with one worker, and give it and its address."""
    (folder / "served.py").write_text(SERVED)
    config = FRAGMENTS["gunicorn.conf.py"] if hook else "def post_worker_init(worker): pass\n"
    config = config.replace("import counting\n", "import os\n\nimport counting\n")
    config = config.replace(": pass\n", ":\n    import os\n")
    config += '    os.write(1, b"ready %d\\n" % os.getpid())\n'
    (folder / "gunicorn.conf.py").write_text(config)
    address = closed_address()
    command = [*PLAIN, "-m", "gunicorn", "-b", str(address), "--log-level", "warning", *flags]
    env = {**QUIET, "AT_IMPORT": "1" if at_import else "", "GUNICORN_CMD_ARGS": ""}
    with Program(*command, "served:app", cwd=folder, env=env) as program:
        yield program, address


def answer(address: Address) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(ask(address, "/"))
    return body


def check_served(folder: Path, *flags: str) -> None:
    """Try the worker class of *flags*: it counts, its node answers between requests, it ends."""
    with gunicorn(folder, *flags) as (program, address):
        worker = int(program.line(r"ready (\d+)")[1])
        first = answer(address)
        assert (first["pid"], first["total"]) == (worker, 1)
        assert "error" not in first
        assert total(first["address"]) == 1
        asking = [gevent.spawn(answer, address) for _ in range(20)]
        gevent.joinall(asking, timeout=LIMIT, raise_error=True)
        assert sorted(one.get()["total"] for one in asking) == [*range(2, 22)]
        assert total(first["address"]) == 21
        program.signal(signal.SIGTERM)
        assert program.line(r"finalized (\d+)")[1] == str(worker)
        result = program.finish()
    assert (result.code, result.err) == (0, "")


@pytest.mark.slow
@needs("gunicorn")
def test_th_gunicorn_sync(folder: Path) -> None:
    check_served(folder, "-k", "sync")


@pytest.mark.slow
@needs("gunicorn")
def test_th_gthread(folder: Path) -> None:
    check_served(folder, "-k", "gthread", "--threads", "8")


@pytest.mark.slow
@needs("gunicorn")
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_th_preload(folder: Path, kind: str) -> None:
    """The hook works as without; a node of the master is warned of, and refused in the worker."""
    check_served(folder, "-k", kind, "--threads", "4" if kind == "gthread" else "1", "--preload")

    flags = ("-k", kind, "--preload")
    with gunicorn(folder, *flags, at_import=True, hook=False) as (program, address):
        master = program.line(r"started at import (\d+)")[1]
        worker = program.line(r"ready (\d+)")[1]
        first, second = answer(address), answer(address)
        assert "in a thread of the parent process" in first["error"]
        assert "greenproc.start_in_thread() here" in first["error"]
        assert ("error" not in second, second["total"], second["pid"]) == (True, 2, int(worker))
        program.signal(signal.SIGTERM)
        result = program.finish()
    ended = re.findall(r"finalized (\d+)", result.out)
    assert (result.code, set(ended)) == (0, {master, worker}), result
    assert result.err.count("as the master of gunicorn with --preload, its node is of no use") == 1


@pytest.mark.slow
@needs("gunicorn")
def test_th_gunicorn_gevent(folder: Path) -> None:
    """The same hook under gevent: the node runs by the worker's hub, and ends without a word."""
    check_served(folder, "-k", "gevent")


def test_th_pytest(folder: Path) -> None:
    """Tests with threads, beside greenproc's own plugin."""
    with Program(
        *PLAIN, "-m", "pytest", "-q", "test_counting.py", cwd=folder, env=QUIET
    ) as program:
        result = program.finish()

    assert result.code == 0, result
    assert "1 passed" in result.out
    assert result.err == ""
