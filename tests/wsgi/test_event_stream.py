"""Server-Sent Events behind other WSGI servers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from greenproc import Process, Runtime, route
from greenproc.address import Address
from greenproc.errors import Closed
from greenproc.http import Request, Response
from greenproc.process.results import stream
from greenproc.runtime import Signals
from greenproc.sync.pipe import Pipe
from greenproc.web import EventStream, Subscriber
from greenproc.wsgi import Middleware
from greenproc.wsgi.to_wsgi import PipeIterator
from tests.event_source import EventSource
from tests.peer import LIMIT, Peer
from tests.wsgi.apps import answering
from tests.wsgi.gunicorns import Encryption, Gunicorn, each_gunicorn

HEARTBEAT = 15.0

SITE = """
from greenproc import Process, route
from greenproc.web import EventStream
from greenproc.wsgi import Middleware


class News(Process):
    def __init__(self):
        super().__init__("news")
        self.events = EventStream()

    @route("/events")
    def on_events(self, request):
        return self.events.respond(request)

    @route("/say")
    def on_say(self, request):
        self.events.publish(request.url.query["text"])
        return "said"


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"the app"]


app.greenproc = lambda runtime: runtime.spawn(News())
app = Middleware(app)
"""


class News(Process):
    def __init__(self) -> None:
        super().__init__("news")
        self.gone: list[Subscriber] = []
        self.events = EventStream(heartbeat=HEARTBEAT, on_gone=self.gone.append)

    @route("/events")
    def on_events(self, request: Request) -> Response:
        return self.events.respond(request)


Connect = Callable[..., EventSource]


@pytest.fixture
def news(runtime: Runtime) -> News:
    process = News()
    runtime.spawn(process)
    return process


@pytest.fixture
def connect(runtime: Runtime, news: News) -> Iterator[Connect]:
    """Return a function that connects a client to gevent's WSGI server in front of *news*."""
    app = Middleware(answering(b"the app"), runtime)
    server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None)
    server.start()
    sources: list[EventSource] = []

    def connect(last_id: str = "") -> EventSource:
        address = Address("127.0.0.1", server.server_port)
        sources.append(EventSource(address, "/news/events", last_id=last_id))
        return sources[-1]

    yield connect
    for source in sources:
        source.peer.close()
    server.stop(timeout=5.0)


def test_sse_under_pywsgi(news: News, connect: Connect) -> None:
    source = connect()
    assert source.chunk().startswith(":\n\n")
    ids = [news.events.publish(str(number)) for number in range(5)]
    source.wait_for(5)
    again = connect(ids[1])

    head = source.head.lower()
    assert "content-type: text/event-stream" in head
    assert "transfer-encoding: chunked" in head
    assert "content-length" not in head
    assert "content-encoding" not in head
    assert source.data == ["0", "1", "2", "3", "4"]
    assert [event.data for event in again.wait_for(3)] == ["2", "3", "4"]


def test_sse_client_gone_under_pywsgi(runtime: Runtime, news: News, connect: Connect) -> None:
    source = connect()
    source.chunk()
    runtime.clock.pause()
    source.peer.reset()
    # The first write after a reset may still go into the void.
    with gevent.Timeout(LIMIT):
        while not news.gone:
            runtime.clock.advance(HEARTBEAT)
            runtime.settle()
            gevent.idle()

    assert news.events.subscribers == []


def test_sse_204_under_pywsgi(news: News, connect: Connect) -> None:
    news.events.close()

    assert connect().head.startswith("HTTP/1.1 204")


@each_gunicorn
def test_sse_under_gunicorn(tmp_path: Path, python: str) -> None:
    """Both a stream through gunicorn's port and one through the node's end long before its timeout."""
    pytest.importorskip("gunicorn")
    (tmp_path / "news_site.py").write_text(SITE)
    flags = ("--graceful-timeout", "600")
    with Gunicorn(python, tmp_path, *flags, target="news_site:app") as gunicorn:
        gunicorn.booted()
        sources = [
            EventSource(address, "/news/events")
            for address in (gunicorn.address, *gunicorn.nodes())
        ]
        for source in sources:
            source.chunk()
        with Peer.connect(gunicorn.address) as peer:
            assert peer.get("/news/say?text=hello").body == b"said"
            assert peer.get("/other").body == b"the app"
        for source in sources:
            assert [event.data for event in source.wait_for(1)] == ["hello"]
        gunicorn.signal(signal.SIGTERM)
        for source in sources:
            source.read_to_end()
            source.peer.close()
        assert gunicorn.finish().code == 0


@pytest.mark.slow
@each_gunicorn
def test_sse_under_gunicorn_with_encryption(tmp_path: Path, python: str) -> None:
    pytest.importorskip("gunicorn")
    (tmp_path / "news_site.py").write_text(SITE)
    encryption = Encryption(tmp_path)
    flags = ("--graceful-timeout", "600", *encryption.flags)
    with Gunicorn(python, tmp_path, *flags, target="news_site:app") as gunicorn:
        gunicorn.booted()
        with EventSource(Peer(encryption.connect(gunicorn.address)), "/news/events") as source:
            source.chunk()
            with Peer(encryption.connect(gunicorn.address)) as peer:
                assert peer.get("/news/say?text=hello").body == b"said"
            assert [event.data for event in source.wait_for(1)] == ["hello"]
            gunicorn.signal(signal.SIGTERM)
            source.read_to_end()
        assert gunicorn.finish().code == 0
        assert not gunicorn.find("Traceback|rror")


def test_a_last_piece_is_sent_whichever_receiver_hears_first_that_the_node_drains() -> None:
    signals, pipe = Signals(), Pipe()
    stream = PipeIterator(pipe.reader, pipe.reader.read(), signals, lambda: None)
    signals.runtime_draining.emit(None)
    pipe.writer.write(b"last")
    pipe.writer.close()

    assert list(stream) == [b"last"]
    stream.close()


def test_an_iterator_comes_to_its_end_when_the_node_drains() -> None:
    signals, go_on = Signals(), Event()

    def pieces() -> Iterator[bytes]:
        yield b"first"
        go_on.wait()
        yield b"last"

    reader = stream(pieces(), gevent.spawn)
    result = PipeIterator(reader, reader.read(), signals, lambda: None)
    assert next(result) == b"first"
    signals.runtime_draining.emit(None)
    gevent.idle()
    go_on.set()

    assert list(result) == [b"last"]
    result.close()


def test_an_iterator_that_the_node_stops_breaks_the_connection() -> None:
    signals = Signals()

    def pieces() -> Iterator[bytes]:
        yield b"first"
        Event().wait()

    reader = stream(pieces(), gevent.spawn)
    result = PipeIterator(reader, reader.read(), signals, lambda: None)
    assert next(result) == b"first"
    signals.runtime_stopping.emit(None)

    with pytest.raises(Closed):
        next(result)
    result.close()


def test_a_stream_that_says_nothing_ends_when_the_node_drains() -> None:
    signals, pipe = Signals(), Pipe()
    stream = PipeIterator(pipe.reader, pipe.reader.read(), signals, lambda: None)
    signals.runtime_draining.emit(None)

    assert list(stream) == []
    stream.close()
