"""Events pushed to clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import gevent
import pytest

from greenproc import Process, Runtime, dispatch, route, terminate, wait
from greenproc.errors import InvalidArgument
from greenproc.http import Request, Response
from greenproc.http.url import URL
from greenproc.process.base import routes_of
from greenproc.sync.pipe import Reader
from greenproc.testing import RuntimeMaker, await_ready, expect_failure
from greenproc.web import EventStream, StreamLimits, Subscriber, event_stream
from tests.event_source import EventSource, Interpreter
from tests.peer import LIMIT, Peer

HEARTBEAT = 15.0


class News(Process):
    """Publishes what it is told."""

    def __init__(self, **options: Any) -> None:
        super().__init__("news")
        self.slow: list[tuple[Subscriber, int]] = []
        self.gone: list[Subscriber] = []
        self.events = EventStream(
            on_slow=lambda one, count: self.slow.append((one, count)),
            on_gone=self.gone.append,
            **options,
        )

    @route("/events")
    def on_events(self, request: Request) -> Response:
        return self.events.respond(request)

    def publish(self, *texts: str) -> None:
        for text in texts:
            self.events.publish(text)


def requested(last_id: str | None = None, method: str = "GET") -> Request:
    """Return the request of a browser."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    return Request(method, URL.parse("/events"), headers=headers)


def read(reader: Reader) -> str:
    """Return the next piece of a stream."""
    return await_ready(reader.read()).decode()


class Client:
    """A client without a connection: it reads the response of a stream."""

    def __init__(self, events: EventStream, last_id: str | None = None, **options: Any) -> None:
        self.response = events.respond(requested(last_id), **options)
        self.reader: Reader = self.response.reader
        self.interpreter = Interpreter(last_id or "")

    def read(self) -> list[str]:
        """Return the data of the events of the next piece."""
        return [event.data for event in self.interpreter.read(read(self.reader))]

    @property
    def last_id(self) -> str:
        return self.interpreter.last_id


@pytest.fixture
def events(runtime: Runtime) -> Iterator[EventStream]:
    stream = EventStream()
    yield stream
    stream.close()


@pytest.fixture
def sources() -> Iterator[list[EventSource]]:
    made: list[EventSource] = []
    yield made
    for source in made:
        source.peer.close()


def publish(news: News, *texts: str) -> None:
    """Let *news* publish, and wait until it has."""
    dispatch(news.pid, News.publish, *texts).get(LIMIT)


# The head


def test_sse_head(runtime: Runtime, sources: list[EventSource]) -> None:
    runtime.spawn(News())
    sources.append(EventSource(runtime.address, "/news/events", "Accept-Encoding: gzip"))

    status, *lines = sources[0].head.rstrip().split("\r\n")
    head = dict(line.split(": ", 1) for line in lines if not line.startswith("Date"))
    assert status == "HTTP/1.1 200 OK"
    assert head == {
        "Transfer-Encoding": "chunked",
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no",
    }


def test_sse_head_takes_more_lines_and_other_values(events: EventStream) -> None:
    lines = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
    head = events.respond(requested(), headers=lines).headers

    assert head["Access-Control-Allow-Origin"] == "*"
    assert head.getall("Cache-Control") == ["no-store"]


def test_sse_head_alone_and_other_methods(events: EventStream) -> None:
    head = events.respond(requested(method="HEAD"))

    assert (head.status, head.reader, head.headers["Content-Type"]) == (
        200,
        None,
        "text/event-stream",
    )
    assert events.respond(requested(method="POST")).headers["Allow"] == "GET, HEAD"
    assert events.subscribers == []


def test_sse_first_comment(runtime: Runtime, sources: list[EventSource]) -> None:
    runtime.clock.pause()  # nothing comes by itself
    runtime.spawn(News(retry=0.7))
    sources.append(EventSource(runtime.address, "/news/events"))
    first = sources[0].chunk()

    assert first.startswith(":\n\nretry: 700\n\nid: ")
    assert first.endswith("-0\n\n")
    assert sources[0].events == []


# Events


def test_sse_events_reach_all_in_order(runtime: Runtime, sources: list[EventSource]) -> None:
    news = News()
    runtime.spawn(news)
    sources += [EventSource(runtime.address, "/news/events") for _ in range(3)]
    for number in range(10):
        publish(news, f"line {number}")

    for source in sources:
        assert [event.data for event in source.wait_for(10)] == [f"line {n}" for n in range(10)]


def test_sse_event_is_encoded_once(events: EventStream, monkeypatch: pytest.MonkeyPatch) -> None:
    readers = [events.respond(requested()).reader for _ in range(3)]
    for reader in readers:
        read(reader)
    calls = []
    encode = event_stream.encode_event
    monkeypatch.setattr(
        event_stream, "encode_event", lambda *a, **o: calls.append(a) or encode(*a, **o)
    )
    events.publish("x")
    pieces = [await_ready(reader.read()) for reader in readers]

    assert len(calls) == 1
    assert pieces[0] is pieces[1] is pieces[2]


def test_sse_publishes_json_types_and_ids(events: EventStream) -> None:
    reader = events.respond(requested()).reader
    read(reader)
    id = events.publish(json={"a": [1, None]}, event="state", id="own-1")

    assert id == "own-1"
    assert read(reader) == 'event: state\nid: own-1\ndata: {"a":[1,null]}\n\n'
    with pytest.raises(InvalidArgument):
        events.publish("x", id="")
    with pytest.raises(InvalidArgument):
        events.publish("x", event="a\nb")


def test_sse_one_client_alone_gets_what_is_sent_to_it(events: EventStream) -> None:
    readers = [
        events.respond(requested(), on_open=lambda one: one.send("welcome")).reader,
        events.respond(requested()).reader,
    ]
    first, second = [await_ready(reader.read()) for reader in readers]
    assert events.subscribers[1].send("only you")

    assert "welcome" not in first.decode() + second.decode()
    assert read(readers[0]) == "data: welcome\n\n"
    assert read(readers[1]) == "data: only you\n\n"


def test_sse_what_waits_is_joined(events: EventStream) -> None:
    client = Client(events)
    for number in range(100):
        events.publish(str(number))

    assert client.read() == []
    assert client.read() == [str(number) for number in range(100)]


# Heartbeats


def test_sse_heartbeat(runtime: Runtime) -> None:
    runtime.clock.pause()
    events = EventStream(heartbeat=HEARTBEAT)
    client = Client(events)
    client.read()
    runtime.clock.advance(HEARTBEAT - 5)
    runtime.settle()
    events.publish("x")
    assert client.read() == ["x"]

    reading = client.reader.read()
    runtime.clock.advance(HEARTBEAT - 1)
    runtime.settle()
    assert not reading.ready()  # ten seconds later than without the event
    runtime.clock.advance(1)
    runtime.settle()
    assert await_ready(reading) == b":\n\n"
    for _ in range(3):
        reading = client.reader.read()
        runtime.clock.advance(HEARTBEAT)
        runtime.settle()
        assert await_ready(reading) == b":\n\n"
    events.close()
    assert await_ready(client.reader.read()) == b""
    assert runtime.clock.statistics()["timers"] == 0


def test_sse_heartbeats_do_not_pile_up(runtime: Runtime) -> None:
    runtime.clock.pause()
    events = EventStream(heartbeat=HEARTBEAT)
    client = Client(events)
    for _ in range(10):
        runtime.clock.advance(HEARTBEAT)
        runtime.settle()
    client.read()

    assert events.statistics()["waiting_bytes"] == 0
    assert not client.reader.read().ready()
    events.close()


# Reconnection


def test_sse_last_event_id(events: EventStream) -> None:
    client = Client(events)
    for number in range(5):
        events.publish(str(number))
    client.read()
    assert client.read() == ["0", "1", "2", "3", "4"]
    client.reader.close()
    for number in range(5, 8):
        events.publish(str(number))

    again = Client(events, client.last_id)
    assert again.read() == ["5", "6", "7"]
    events.publish("8")
    assert again.read() == ["8"]
    assert Client(events, again.last_id).read() == []


def test_sse_last_event_id_before_the_first_event(events: EventStream) -> None:
    client = Client(events)
    client.read()
    client.reader.close()
    events.publish("missed")

    assert Client(events, client.last_id).read() == ["missed"]


def test_sse_last_event_id_that_is_not_known(events: EventStream) -> None:
    events.publish("0")
    events.publish("1")
    client = Client(events, "of another life-7")
    piece = read(client.reader)
    got = client.interpreter.read(piece)

    assert [(event.type, event.data) for event in got] == [
        ("gap", "unknown id"),
        ("message", "0"),
        ("message", "1"),
    ]
    # What comes next comes without a gap.
    events.publish("2")
    assert Client(events, client.last_id).read() == ["2"]


def test_sse_a_gap_is_told_once(events: EventStream) -> None:
    client = Client(events, "of another life-7")
    assert client.read() == ["unknown id"]

    assert Client(events, client.last_id).read() == []


def test_sse_ids_of_two_lives_differ(runtime: Runtime) -> None:
    ids = {EventStream().publish("x") for _ in range(100)}

    assert len(ids) == 100


def test_sse_ids_of_the_program_are_utf8(events: EventStream) -> None:
    events.publish("0", id="é€")
    events.publish("1")

    header = "é€".encode().decode("latin-1")
    assert Client(events, header).read() == ["1"]


@pytest.mark.parametrize(
    "limits",
    [
        StreamLimits(history_events=10),
        StreamLimits(history_bytes=10 * len("id: 000000000000-90\ndata: 90\n\n")),
    ],
)
def test_sse_history_is_bounded(runtime: Runtime, limits: StreamLimits) -> None:
    events = EventStream(limits=limits)
    ids = [events.publish(str(number)) for number in range(10, 100)]

    assert events.statistics()["history_events"] == 10
    client = Client(events, ids[0])
    assert client.read() == ["unknown id", *map(str, range(90, 100))]
    # The id in front of the oldest that is kept is the last one that is known.
    assert Client(events, ids[-11]).read() == [str(number) for number in range(90, 100)]
    assert Client(events, ids[-12]).read()[0] == "unknown id"
    events.close()


def test_sse_history_of_nothing(runtime: Runtime) -> None:
    events = EventStream(limits=StreamLimits(history_events=0))
    client = Client(events)
    client.read()
    events.publish("x")
    assert client.read() == ["x"]

    assert Client(events, client.last_id).read() == []
    assert events.statistics()["history_bytes"] == 0
    events.close()


def test_sse_an_id_that_comes_twice_is_the_later_event(runtime: Runtime) -> None:
    events = EventStream(limits=StreamLimits(history_events=2))
    for id, text in ("a", "0"), ("b", "1"), ("a", "2"), ("c", "3"):
        events.publish(text, id=id)

    assert Client(events, "a").read() == ["3"]
    events.close()


def test_sse_a_long_replay_does_not_make_a_client_slow(runtime: Runtime) -> None:
    events = EventStream(limits=StreamLimits(waiting_bytes=1000, history_bytes=1_000_000))
    for _ in range(200):
        events.publish("x" * 1000)
    client = Client(events, "unknown")
    events.publish("last")
    got: list[str] = []
    while "last" not in got:
        got += client.read()

    assert len(got) == 202
    assert events.statistics()["slow"] == 0
    events.close()


# Slow clients


def test_sse_slow_client(runtime: Runtime) -> None:
    told: list[tuple[Subscriber, int]] = []
    events = EventStream(
        limits=StreamLimits(waiting_bytes=1000), on_slow=lambda *given: told.append(given)
    )
    slow, quick = Client(events), Client(events)
    quick.read()
    (subscriber, _) = events.subscribers
    got: list[str] = []
    for number in range(20):
        events.publish(f"{number:0100}")
        got += quick.read()

    assert [int(text) for text in got] == list(range(20))
    assert [one for one, _ in told] == [subscriber]
    assert not subscriber.is_open
    statistics = events.statistics()
    assert (statistics["subscribers"], statistics["slow"]) == (1, 1)
    assert statistics["dropped"] == told[0][1] > 0
    # It gets its first piece, then the end; when it comes back it misses nothing.
    slow.read()
    assert slow.read() == []
    again = Client(events, slow.last_id).read()
    assert [int(text) for text in again] == list(range(20))
    events.close()


def test_sse_slow_client_that_keeps_its_stream(runtime: Runtime) -> None:
    told: list[int] = []
    limits = StreamLimits(waiting_bytes=1000)
    events = EventStream(
        limits=limits, when_slow="drop", on_slow=lambda one, count: told.append(count)
    )
    client = Client(events)
    for number in range(20):
        events.publish(f"{number:0100}")
    assert events.statistics()["waiting_bytes"] <= 1000
    client.read()
    gap, *rest = client.read()

    assert gap == "too slow"
    assert [int(text) for text in rest] == list(range(20 - len(rest), 20))
    assert 0 < len(rest) < 10
    assert sum(told) == events.statistics()["dropped"] == 20 - len(rest)
    events.publish("next")
    assert client.read() == ["next"]
    events.close()


def test_sse_an_event_over_the_bound_reaches_a_client_that_reads(runtime: Runtime) -> None:
    events = EventStream(limits=StreamLimits(waiting_bytes=1000))
    client = Client(events)
    client.read()
    events.publish("x" * 10_000)

    assert client.read() == ["x" * 10_000]
    events.close()


def test_sse_slow_client_on_a_socket(runtime: Runtime, sources: list[EventSource]) -> None:
    news = News(limits=StreamLimits(waiting_bytes=100_000))
    runtime.spawn(news)
    sources += [EventSource(runtime.address, "/news/events") for _ in range(2)]
    text = "x" * 50_000
    sent = 0
    while not news.slow:  # what sockets hold is up to the system
        publish(news, text)
        sent += 1
        sources[1].wait_for(sent)

    assert sources[1].data == [text] * sent
    assert len(news.events.subscribers) == 1


def test_sse_a_node_counts_the_clients_of_all_streams(runtime: Runtime) -> None:
    streams = [EventStream(limits=StreamLimits(waiting_bytes=1)) for _ in range(2)]
    clients = [Client(stream) for stream in streams]
    for stream in streams:
        stream.publish("x")  # the first client has not read yet
    clients[0].reader.close()
    Client(streams[0])
    with Peer.connect(runtime.address) as peer:
        told = json.loads(peer.get("/metrics/snapshot").body)

    expected = {"event_streams": 1, "event_streams_opened": 3, "event_streams_slow": 2}
    assert {name: told[f"greenproc/{name}"] for name in expected} == expected
    assert told["greenproc/events_dropped"] == 2
    assert runtime.statistics()["event_streams"]["opened"] == 3


# The end


def test_sse_client_gone(runtime: Runtime, sources: list[EventSource]) -> None:
    news = News(heartbeat=HEARTBEAT)
    runtime.spawn(news)
    sources += [EventSource(runtime.address, "/news/events") for _ in range(2)]
    sources[0].chunk()
    runtime.clock.pause()
    sources[0].peer.reset()
    runtime.clock.advance(HEARTBEAT)
    with gevent.Timeout(LIMIT):
        while not news.gone:
            runtime.settle()
            gevent.idle()

    assert len(news.events.subscribers) == 1
    assert news.gone[0] not in news.events.subscribers
    assert not news.gone[0].send("x")
    assert news.events.statistics()["subscribers"] == 1


def test_sse_204_stops(runtime: Runtime, sources: list[EventSource]) -> None:
    news = News()
    runtime.spawn(news)
    sources.append(EventSource(runtime.address, "/news/events"))
    news.events.publish("last")
    news.events.close()

    assert [event.data for event in sources[0].read_to_end()] == ["last"]
    with Peer.connect(runtime.address) as peer:
        assert peer.get("/news/events").code == 204


def test_sse_ended_clients_come_back_at_different_times(events: EventStream) -> None:
    clients = [Client(events) for _ in range(20)]
    for client in clients:
        client.read()
    events.end(within=5.0)
    retries = []
    for client in clients:
        assert client.read() == []
        retries.append(int(client.interpreter.retry or ""))
        assert read(client.reader) == ""

    assert events.subscribers == []
    assert all(0 <= retry <= 5000 for retry in retries)
    assert len(set(retries)) > 10
    assert events.respond(requested()).status == 200


def test_sse_streams_end_with_the_runtime(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime()
    news = News()
    runtime.spawn(news)
    source = EventSource(runtime.address, "/news/events")
    runtime.stop()
    source.read_to_end()

    assert source.interpreter.retry is not None
    assert len(news.gone) == 1
    source.peer.close()


def test_sse_streams_end_when_the_runtime_drains(
    runtime: Runtime, sources: list[EventSource]
) -> None:
    runtime.spawn(News())
    sources.append(EventSource(runtime.address, "/news/events"))
    runtime.signals.runtime_draining.emit(runtime)
    sources[0].read_to_end()

    # One that begins only now holds nothing up either, also one of a stream without clients.
    with runtime.selected():
        unused = EventStream()
    runtime.signals.runtime_draining.emit(runtime)
    late = Client(unused)
    read(late.reader)
    assert read(late.reader).startswith("retry: ")
    assert read(late.reader) == ""
    sources.append(EventSource(runtime.address, "/news/events"))
    assert sources[1].read_to_end() == []


def test_sse_streams_end_with_their_process(runtime: Runtime) -> None:
    runtime.clock.pause()
    news = News(heartbeat=HEARTBEAT)
    runtime.spawn(news)
    reader = dispatch(news.pid, lambda: news.on_events(requested())).get(LIMIT).reader
    read(reader)
    terminate(news.pid)
    wait(news.pid, LIMIT)

    assert read(reader) == ""
    assert len(news.gone) == 1


def test_sse_stream_that_begins_after_the_end_of_its_process_ends_at_once(
    runtime: Runtime,
) -> None:
    news = News()
    runtime.spawn(news)
    context = dispatch(news.pid, copy_context).get(LIMIT)
    terminate(news.pid)
    wait(news.pid, LIMIT)
    reader = context.run(news.on_events, requested()).reader

    assert read(reader).startswith(":")
    assert read(reader) == ""


def test_sse_stream_that_is_gone_is_not_kept_by_its_process(runtime: Runtime) -> None:
    news = News()
    runtime.spawn(news)
    reader = dispatch(news.pid, lambda: news.on_events(requested())).get(LIMIT).reader
    assert routes_of(news).connections
    reader.close()

    assert routes_of(news).connections == {}


# Callbacks that publish


def test_sse_callback_of_a_slow_client_may_publish(runtime: Runtime) -> None:
    told: list[int] = []

    def tell(_: Subscriber, dropped: int) -> None:
        told.append(dropped)
        events.publish("somebody is slow " * 10)

    events = EventStream(when_slow="drop", limits=StreamLimits(waiting_bytes=500), on_slow=tell)
    clients = [Client(events) for _ in range(10)]
    for _ in range(20):
        before = len(told)
        events.publish("x" * 100)
        assert len(told) - before <= len(clients)

    assert told
    assert sum(told) <= events.statistics()["dropped"]
    events.close()


@pytest.mark.parametrize("when", ["on_slow", "on_gone"])
def test_sse_callbacks_that_publish_end_one_client_after_the_other(
    runtime: Runtime, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each callback makes the next client too slow."""
    told: list[Subscriber] = []

    def tell(one: Subscriber, *_: object) -> None:
        told.append(one)
        events.publish("x" * 100)

    limits = StreamLimits(waiting_bytes=500)
    options: dict[str, Any] = {when: tell}
    events = EventStream(limits=limits, **options)
    clients = [Client(events) for _ in range(500)]
    for _ in range(20):
        events.publish("x" * 100)

    assert len(set(told)) == len(told) == len(clients)
    assert caplog.text == ""


# Bounds and mistakes


def test_sse_too_many_clients(runtime: Runtime) -> None:
    events = EventStream(limits=StreamLimits(subscribers=2))
    clients = [Client(events) for _ in range(2)]
    refused = events.respond(requested())
    clients[0].reader.close()

    assert (refused.status, refused.headers["Retry-After"]) == (503, "15")
    assert events.respond(requested()).status == 200
    events.close()


def test_sse_callback_that_fails_disturbs_nothing(runtime: Runtime) -> None:
    def fail(*given: object) -> None:
        raise ValueError("of the user")

    events = EventStream(on_slow=fail, on_gone=fail, limits=StreamLimits(waiting_bytes=1))
    with expect_failure(ValueError) as failures:
        clients = [Client(events, on_open=fail) for _ in range(2)]
        clients[1].read()
        events.publish("x")
        events.close()

    assert len(failures) == 5
    assert clients[1].read() == ["x"]


@pytest.mark.parametrize(
    "options",
    [{"heartbeat": 0}, {"heartbeat": "1"}, {"retry": -1}, {"when_slow": "block"}],
)
def test_sse_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        EventStream(**options)


@pytest.mark.parametrize(
    "name", ["history_events", "history_bytes", "waiting_bytes", "subscribers"]
)
def test_sse_limits_are_checked(name: str) -> None:
    with pytest.raises(InvalidArgument):
        StreamLimits(**{name: -1})


def test_sse_stream_tells_what_it_is(events: EventStream) -> None:
    Client(events)

    assert repr(events) == "<EventStream 1 subscribers, 0 published>"
    assert repr(events.subscribers[0]) == "<Subscriber None open, 0 bytes wait>"
