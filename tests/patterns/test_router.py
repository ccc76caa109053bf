"""Routers and pools: which worker gets what, and what becomes of it when workers end."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc import UPID, Child, Pool, Process, Router, install
from greenproc.errors import InvalidArgument
from greenproc.message import Message
from greenproc.patterns.choosers import Chooser
from greenproc.runtime import Runtime
from greenproc.testing import expect_failure


class Worker(Process):
    """Notes what it serves, and answers with its id."""

    served: list[tuple[str, bytes]]
    gates: dict[bytes, Event]

    def __init__(self) -> None:
        super().__init__()

    @install("work")
    def on_work(self, sender: UPID, body: bytes) -> None:
        if body in self.gates:
            self.gates[body].wait()
        if body == b"fail":
            raise ValueError("on purpose")
        self.served.append((self.pid.id, body))
        self.send(sender, "done", self.pid.id.encode())


@pytest.fixture
def served() -> list[tuple[str, bytes]]:
    Worker.served, Worker.gates = [], {}
    return Worker.served


def work(runtime: Runtime, to: UPID, *bodies: bytes) -> None:
    for body in bodies:
        runtime.post(to, "work", body)
    runtime.settle()


def router(runtime: Runtime, count: int, **options: Any) -> tuple[UPID, list[UPID]]:
    workers: list[UPID] = [runtime.spawn(Worker()) for _ in range(count)]
    return runtime.spawn(Router(workers, **options)), workers


Served = list[tuple[str, bytes]]


def test_round_robin_gives_each_worker_its_turn(runtime: Runtime, served: Served) -> None:
    to, workers = router(runtime, 3)
    work(runtime, to, b"a", b"b", b"c", b"d")
    first, second, third = (pid.id for pid in workers)
    assert sorted(served) == [(first, b"a"), (first, b"d"), (second, b"b"), (third, b"c")]


def test_broadcast_reaches_all(runtime: Runtime, served: Served) -> None:
    to, workers = router(runtime, 3, route="broadcast")
    work(runtime, to, b"a")
    assert sorted(served) == [(pid.id, b"a") for pid in sorted(workers)]


def test_the_least_busy_worker_gets_the_next_message(runtime: Runtime, served: Served) -> None:
    gate = Worker.gates[b"long"] = Event()
    to, workers = router(runtime, 2, route="least_busy")
    runtime.settle()
    begun = [runtime.dispatch(pid, Worker.event_count, object) for pid in workers]
    for one in begun:
        one.get(20.0)
    runtime.post(to, "work", b"long")
    for number in range(4):
        runtime.ask(to, "work", b"%d" % number, timeout=20.0).get(20.0)

    assert {id for id, _ in served} == {workers[1].id}
    gate.set()
    runtime.settle()
    assert served[-1] == (workers[0].id, b"long")


def test_the_same_key_goes_to_the_same_worker(runtime: Runtime, served: Served) -> None:
    to, _ = router(runtime, 4, route="hash", key=lambda message: message.body[:2])
    work(runtime, to, *(b"%02d-%d" % (key, number) for key in range(30) for number in range(3)))

    by_key: dict[bytes, set[str]] = {}
    for id, body in served:
        by_key.setdefault(body[:2], set()).add(id)
    assert all(len(ids) == 1 for ids in by_key.values())
    assert len({id for id, _ in served}) == 4


def test_few_keys_move_when_a_worker_comes() -> None:
    def spread(count: int) -> list[UPID]:
        chooser = Chooser("hash", lambda message: message.body, lambda pid: 0)
        chooser.use([UPID.parse(f"w{number}@127.0.0.1:1") for number in range(count)])
        messages = (Message("m", UPID(), UPID(), b"%d" % number) for number in range(2000))
        return [chooser.choose(message)[0] for message in messages]

    before, after = spread(10), spread(11)
    moved = sum(one != other for one, other in zip(before, after, strict=True))
    assert moved < 2000 * 0.2
    assert max(Counter(before).values()) < 2 * 200


def test_workers_come_and_go_and_end(runtime: Runtime, served: Served) -> None:
    to, workers = router(runtime, 2)
    third = runtime.spawn(Worker())
    assert runtime.dispatch(to, Router.add, third).get(20.0)
    assert not runtime.dispatch(to, Router.add, third).get(20.0)
    assert runtime.dispatch(to, Router.remove, workers[0]).get(20.0)
    assert not runtime.dispatch(to, Router.remove, workers[0]).get(20.0)
    runtime.terminate(workers[1])
    runtime.settle()

    assert runtime.dispatch(to, Router.workers).get(20.0) == (third,)
    work(runtime, to, b"a", b"b")
    assert served == [(third.id, b"a"), (third.id, b"b")]


def test_a_message_that_no_worker_gets_is_a_dead_letter(runtime: Runtime) -> None:
    to = runtime.spawn(Router())
    work(runtime, to, b"a")
    assert [letter.reason for letter in runtime.dead_letters] == ["no worker"]


def test_a_key_that_fails_costs_that_message_alone(runtime: Runtime, served: Served) -> None:
    def key(message: Message) -> bytes:
        if message.body == b"bad":
            raise KeyError("on purpose")
        return message.body

    to, _ = router(runtime, 2, route="hash", key=key)
    with expect_failure(KeyError):
        work(runtime, to, b"bad", b"good")
    assert [body for _, body in served] == [b"good"]
    assert [letter.reason for letter in runtime.dead_letters] == ["the key failed"]


def test_an_answer_goes_straight_to_the_sender(runtime: Runtime, served: Served) -> None:
    to, workers = router(runtime, 1)
    assert runtime.ask(to, "work", b"a", timeout=20.0).get(20.0) == workers[0].id.encode()


def test_a_pool_restarts_its_workers_and_loses_nothing_that_is_queued(
    runtime: Runtime, served: Served
) -> None:
    to = runtime.spawn(Pool(Worker, 3, id="pool", max_restarts=100))
    workers = runtime.dispatch(to, Pool.workers).get(20.0)
    assert [pid.id for pid in workers] == ["pool-1", "pool-2", "pool-3"]

    bodies = [b"%d" % number for number in range(300)]
    with expect_failure(ValueError):
        for number, body in enumerate(bodies):
            runtime.post(to, "work", body)
            if number % 50 == 0:
                runtime.post(to, "work", b"fail")
        runtime.settle()

    assert sorted(body for _, body in served) == sorted(bodies)
    assert runtime.dispatch(to, Pool.workers).get(20.0) == workers
    assert {id for id, _ in served} == {"pool-1", "pool-2", "pool-3"}


def test_workers_of_a_pool_end_with_it(runtime: Runtime) -> None:
    to = runtime.spawn(Pool(Worker, 2))
    workers = runtime.dispatch(to, Pool.workers).get(20.0)
    runtime.terminate(to)
    runtime.wait(to)
    assert [runtime.processes.find_record(pid) for pid in workers] == [None, None]


@pytest.mark.parametrize(
    "options",
    [{"route": "random"}, {"route": "hash"}, {"key": str}, {"route": "hash", "key": "body"}],
)
def test_a_route_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Router(**options)


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    with pytest.raises(InvalidArgument):
        Pool(Worker, size)


def test_a_router_is_no_worker_of_its_own(runtime: Runtime) -> None:
    to = runtime.spawn(Router())
    with pytest.raises(InvalidArgument, match="got the router itself"):
        runtime.dispatch(to, Router.add, to).get(20.0)
    assert runtime.dispatch(to, Router.workers).get(20.0) == ()

    with expect_failure(InvalidArgument):
        same = runtime.spawn(Router([UPID("same", runtime.address)], id="same"))
        runtime.wait(same)


@pytest.mark.parametrize("workers", [5, None, ["echo"], Router(), [UPID()]])
def test_workers_that_are_none_are_refused(workers: Any) -> None:
    with pytest.raises(InvalidArgument):
        Router(workers)


def ids(runtime: Runtime, to: UPID) -> list[str]:
    return [pid.id for pid in runtime.dispatch(to, Pool.workers).get(20.0)]


def test_a_pool_passes_nothing_on_to_a_worker_that_was_stopped(
    runtime: Runtime, served: Served
) -> None:
    to = runtime.spawn(Pool(Worker, 2, id="pool"))
    runtime.dispatch(to, Pool.terminate_child, "pool-1").get(20.0)
    work(runtime, to, b"a", b"b")
    assert served == [("pool-2", b"a"), ("pool-2", b"b")]
    assert ids(runtime, to) == ["pool-2"]

    runtime.dispatch(to, Pool.terminate_child, "pool-2").get(20.0)
    work(runtime, to, b"c")
    assert [letter.reason for letter in runtime.dead_letters] == ["no worker"]

    runtime.dispatch(to, Pool.restart_child, "pool-1").get(20.0)
    runtime.dispatch(to, Pool.delete_child, "pool-2").get(20.0)
    work(runtime, to, b"d")
    assert served[2:] == [("pool-1", b"d")]


def test_a_pool_passes_on_to_a_worker_that_was_added_until_it_ends(
    runtime: Runtime, served: Served
) -> None:
    to = runtime.spawn(Pool(Worker, 1, id="pool"))
    more = Child(Worker, "more", restart="temporary")
    runtime.dispatch(to, Pool.start_child, more).get(20.0)
    work(runtime, to, b"a", b"b")
    assert sorted(id for id, _ in served) == ["more", "pool-1"]

    runtime.terminate(UPID("more", runtime.address))
    runtime.settle()
    assert ids(runtime, to) == ["pool-1"]


def test_a_worker_that_is_killed_again_and_again_loses_nothing_that_is_queued(
    runtime: Runtime, served: Served
) -> None:
    gate = Worker.gates[b"hold"] = Event()
    to = runtime.spawn(Pool(Worker, 2, id="pool", max_restarts=100))
    runtime.settle()
    bodies = [b"%d" % number for number in range(20)]
    for _ in range(2):
        runtime.post(to, "work", b"hold")
    for body in bodies:
        runtime.post(to, "work", body)
    for _ in range(3):
        gevent.idle()
        for id in ("pool-1", "pool-2"):
            record = runtime.processes.records.get(id)
            if record is not None and record.greenlet is not None:
                gevent.kill(record.greenlet)
    gate.set()
    runtime.settle()

    assert sorted(body for _, body in served) == sorted(bodies)
    assert ids(runtime, to) == ["pool-1", "pool-2"]
