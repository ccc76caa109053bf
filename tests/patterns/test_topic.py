"""A topic sends to its subscribers, and forgets those that have ended."""

from __future__ import annotations

import pytest

from greenproc import UPID, Process, Topic, install
from greenproc.errors import InvalidArgument
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker


class Reader(Process):
    def __init__(self) -> None:
        super().__init__()
        self.read: list[tuple[UPID, bytes]] = []

    @install("news")
    def on_news(self, sender: UPID, body: bytes) -> None:
        self.read.append((sender, body))


def test_all_subscribers_get_what_is_published_in_one_order(runtime: Runtime) -> None:
    topic = runtime.spawn(Topic("t"))
    readers = [Reader(), Reader()]
    for reader in readers:
        assert runtime.dispatch(topic, Topic.subscribe, runtime.spawn(reader)).get(20.0)
    assert not runtime.dispatch(topic, Topic.subscribe, readers[0]).get(20.0)

    assert runtime.dispatch(topic, Topic.publish, "news", b"1").get(20.0) == 2
    runtime.dispatch(topic, Topic.publish, "news", b"2").get(20.0)
    runtime.settle()

    assert [reader.read for reader in readers] == [[(topic, b"1"), (topic, b"2")]] * 2


def test_those_that_leave_or_end_get_nothing_and_are_forgotten(runtime: Runtime) -> None:
    topic = runtime.spawn(Topic())
    stays, leaves, ends = Reader(), Reader(), Reader()
    for reader in (stays, leaves, ends):
        runtime.dispatch(topic, Topic.subscribe, runtime.spawn(reader)).get(20.0)

    assert runtime.dispatch(topic, Topic.unsubscribe, leaves).get(20.0)
    assert not runtime.dispatch(topic, Topic.unsubscribe, leaves).get(20.0)
    runtime.terminate(ends)
    runtime.settle()

    assert runtime.dispatch(topic, Topic.subscribers).get(20.0) == (stays.pid,)
    assert runtime.dispatch(topic, Topic.publish, "news").get(20.0) == 1
    runtime.settle()
    assert (len(stays.read), leaves.read, runtime.dead_letters.total) == (1, [], 0)


def test_a_subscriber_that_has_ended_before_is_forgotten(runtime: Runtime) -> None:
    topic = runtime.spawn(Topic())
    runtime.dispatch(topic, Topic.subscribe, UPID("gone", runtime.address)).get(20.0)
    runtime.settle()

    assert runtime.dispatch(topic, Topic.subscribers).get(20.0) == ()


def test_a_subscriber_may_be_on_another_node(make_runtime: RuntimeMaker) -> None:
    here, there = make_runtime(), make_runtime()
    reader = Reader()
    pid = there.spawn(reader)
    topic = here.spawn(Topic())
    here.dispatch(topic, Topic.subscribe, UPID(pid.id, pid.address)).get(20.0)
    here.dispatch(topic, Topic.publish, "news", b"far").get(20.0)
    here.stop()  # sends what is queued
    there.settle()

    assert [body for _, body in reader.read] == [b"far"]


def test_only_processes_subscribe(runtime: Runtime) -> None:
    topic = runtime.spawn(Topic())
    with pytest.raises(InvalidArgument, match="the empty PID"):
        runtime.dispatch(topic, Topic.subscribe, UPID()).get(20.0)
    with pytest.raises(InvalidArgument):
        runtime.dispatch(topic, Topic.subscribe, "reader").get(20.0)  # type: ignore[arg-type]
