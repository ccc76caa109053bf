"""Print figures on how greenproc is built: sizes, comments, words, and the files on a path.

    python tools/measure_style.py

The figures are those that the rules of tests/architecture.py hold, counted by the same functions,
and those that no rule can hold: the number of files that one local message and one HTTP request
enter, traced through a running node.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from gevent import socket  # noqa: E402 -- the path comes first
from gevent.event import Event  # noqa: E402

from greenproc import UPID, Process, Runtime, Settings  # noqa: E402
from greenproc.http import OK, Request, Response  # noqa: E402
from tests import architecture  # noqa: E402
from tests.architecture import Code, Module  # noqa: E402
from tests.prose import GOAL, WordCount, code_lines, comments  # noqa: E402

REQUEST = b"GET /receiver/page HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True)
class Spread:
    """The middle, the 95th of a hundred and the largest of some lengths; 0 of none."""

    median: int = 0
    p95: int = 0
    longest: int = 0

    @classmethod
    def of(cls, lengths: list[int]) -> Spread:
        """Return the spread of *lengths*."""
        if not lengths:
            return cls()
        in_order = sorted(lengths)
        p95 = in_order[min(len(in_order) - 1, int(len(in_order) * 0.95))]
        return cls(round(statistics.median(in_order)), p95, in_order[-1])


@dataclass(frozen=True)
class Figures:
    """What is counted in the sources of a package."""

    files: int
    code_lines: int
    comment_lines: int
    file_lengths: Spread
    function_lengths: Spread
    small_modules: list[str]
    public_names: int
    documented_names: int
    words: dict[str, WordCount]

    @property
    def all_words(self) -> WordCount:
        """The words of all parts."""
        return sum(self.words.values(), WordCount())


def measure(code: Code) -> Figures:
    """Count what is in the sources of *code*."""
    modules = list(code.modules.values())
    public = [node for module in modules for _, node in architecture.public_members(module.tree)]
    return Figures(
        files=len(modules),
        code_lines=sum(len(code_lines(module.source)) for module in modules),
        comment_lines=sum(_comment_lines(module) for module in modules),
        file_lengths=Spread.of([module.source.count("\n") for module in modules]),
        function_lengths=Spread.of(
            [length for module in modules for _, length in architecture.function_lengths(module)]
        ),
        small_modules=sorted(architecture.small_modules(code)),
        public_names=len(public),
        documented_names=sum(ast.get_docstring(node) is not None for node in public),
        words=architecture.words_of_parts(code),
    )


def _comment_lines(module: Module) -> int:
    return len({line for line, _ in comments(module.source)})


@dataclass
class Trace:
    """The files below a folder that calls enter while it is open.

    It is installed before the greenlets that it follows exist: a greenlet keeps whether calls are
    traced when it is switched out.
    """

    folder: Path
    files: set[str] = field(default_factory=set)
    is_open: bool = False

    def start(self) -> None:
        """Forget the files, and note from here on."""
        self.files.clear()
        self.is_open = True

    def stop(self) -> None:
        """Note no further file."""
        self.is_open = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Follow the calls of this thread within the block."""
        before = sys.getprofile()
        sys.setprofile(self._on_event)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _on_event(self, frame: FrameType, event: str, _: object) -> None:
        if self.is_open and event == "call":
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(self.folder):
                self.files.add(str(path.relative_to(self.folder)))


class Receiver(Process):
    """Ends the trace of a message, and serves a page."""

    def __init__(self, trace: Trace) -> None:
        super().__init__("receiver")
        self.trace = trace
        self.received = Event()

    def initialize(self) -> None:
        """Handle the message and the request that are traced."""
        self.install("message", self.on_message)
        self.route("/page", self.on_page)

    def on_message(self, _: UPID, __: bytes) -> None:
        """Stop where the handler of the receiver begins."""
        self.trace.stop()
        self.received.set()

    def on_page(self, _: Request) -> Response:
        """Answer with a short text."""
        return OK("page")


class Sender(Process):
    """Begins the trace of a message."""

    def __init__(self, trace: Trace, to: UPID) -> None:
        super().__init__("sender")
        self.trace = trace
        self.to = to

    def initialize(self) -> None:
        """Send on a message: the future of a dispatch would be on the path."""
        self.install("send", self.on_send)

    def on_send(self, _: UPID, __: bytes) -> None:
        """Start the trace where the handler of the sender sends."""
        self.trace.start()
        self.send(self.to, "message", b"body")


def files_of_a_message() -> set[str]:
    """Return the files entered from ``send`` in a handler to the handler of the message."""
    trace = Trace(ROOT / "greenproc")
    with trace.installed(), Runtime(Settings(port=0)) as runtime:
        # The first message meets what is made once and cached.
        for _ in range(2):
            receiver = Receiver(trace)
            pid = runtime.spawn(receiver)
            sender = runtime.spawn(Sender(trace, pid))
            runtime.post(sender, "send")
            if not receiver.received.wait(10.0):
                raise RuntimeError("the traced message did not arrive within 10 s")
            for process in (pid, sender):
                runtime.terminate(process)
                runtime.wait(process)
    return trace.files


def files_of_a_request() -> set[str]:
    """Return the files entered from a request's bytes at a socket to those of its response."""
    trace = Trace(ROOT / "greenproc")
    with trace.installed(), Runtime(Settings(port=0)) as runtime:
        runtime.spawn(Receiver(trace))
        address = (str(runtime.address.ip), runtime.address.port)
        with socket.create_connection(address, timeout=10.0) as client:
            # The first request meets what is made once for each connection.
            for _ in range(2):
                trace.start()
                client.sendall(REQUEST)
                answer = client.recv(65536)
                trace.stop()
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"expected the response 200 to the traced request, got {answer!r}")
    return trace.files


def lines(figures: Figures) -> Iterator[str]:
    """Return *figures* as lines of text."""
    files, functions = figures.file_lengths, figures.function_lengths
    yield f"files                            {figures.files}"
    yield f"lines of code                    {figures.code_lines}"
    yield f"lines of a file                  median {files.median}, longest {files.longest}"
    yield (
        f"lines of a function              median {functions.median}, p95 {functions.p95},"
        f" longest {functions.longest}"
    )
    yield f"files under 60 lines, 1 importer {len(figures.small_modules)}"
    yield from (f"    {name}" for name in figures.small_modules)
    yield f"comments in 100 lines of code    {_percent(figures.comment_lines, figures.code_lines)}"
    yield (
        "documented public names          "
        f"{_percent(figures.documented_names, figures.public_names)} %"
    )
    yield f"persons in 1,000 words           {figures.all_words.per_thousand:.1f} (goal {GOAL})"
    for part, count in sorted(figures.words.items(), key=lambda item: -item[1].per_thousand):
        if count.persons:
            yield f"    {part:28} {count.per_thousand:.1f} ({count.persons} of {count.words})"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "0.0"


def main() -> None:
    """Print all figures."""
    for line in lines(measure(Code.load(ROOT))):
        print(line)
    for title, files in (
        ("files on the path of a message", files_of_a_message()),
        ("files on the path of a request", files_of_a_request()),
    ):
        print(f"{title:32} {len(files)}")
        for file in sorted(files):
            print(f"    {file}")


if __name__ == "__main__":
    main()
