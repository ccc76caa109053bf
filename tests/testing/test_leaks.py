"""What counts as left behind, and what does not."""

from __future__ import annotations

import gevent
from gevent import socket, subprocess
from gevent.event import Event
from gevent.monkey import get_original

from greenproc.testing import find_leaks, take_snapshot


def test_nothing_new_is_no_leak() -> None:
    assert find_leaks(take_snapshot()) == []


def test_greenlet_is_told_with_its_place() -> None:
    before = take_snapshot()
    never = Event()

    def linger() -> None:
        never.wait()

    greenlet = gevent.spawn(linger)
    (told,) = find_leaks(before, grace=0.0)
    assert "test_leaks.py" in told
    assert "linger" in told
    greenlet.kill()
    assert find_leaks(before) == []


def test_greenlet_from_before_is_no_leak() -> None:
    never = Event()
    greenlet = gevent.spawn(never.wait)
    gevent.sleep(0)
    assert find_leaks(take_snapshot(), grace=0.0) == []
    greenlet.kill()


def test_what_ends_within_the_grace_is_no_leak() -> None:
    before = take_snapshot()
    gate = Event()
    greenlet = gevent.spawn(gate.wait)
    gevent.sleep(0)
    gevent.get_hub().loop.run_callback(gate.set)
    assert find_leaks(before) == []
    assert greenlet.ready()


def test_connected_socket_is_told_with_its_ends() -> None:
    before = take_snapshot()
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends = server.getsockname()
        with socket.create_connection(ends):
            told = find_leaks(before, grace=0.0)
    assert any(leak.endswith(f"{ends} without a peer") for leak in told)
    assert any(leak.endswith(f"connected to {ends}") for leak in told)


def test_active_timer_is_told_and_a_stopped_one_is_not() -> None:
    before = take_snapshot()
    timer = gevent.get_hub().loop.timer(100.0)
    assert find_leaks(before, grace=0.0) == []
    timer.start(lambda: None)
    assert len(find_leaks(before, grace=0.0)) == 1
    timer.close()
    assert find_leaks(before) == []


def test_workers_of_the_threadpool_are_no_leak() -> None:
    before = take_snapshot()
    gevent.get_hub().threadpool.apply(int)
    assert find_leaks(before, grace=0.0) == []


def test_native_thread_is_told() -> None:
    before = take_snapshot()
    stop = get_original("threading", "Event")()
    thread = get_original("threading", "Thread")(target=stop.wait, name="mine")
    thread.start()
    (told,) = find_leaks(before, grace=0.0)
    assert "mine" in told
    stop.set()
    thread.join()


def test_child_process_is_told_until_it_is_reaped() -> None:
    before = take_snapshot()
    child = subprocess.Popen(["sleep", "100"])
    assert find_leaks(before, grace=0.0) == [f"child process {child.pid}"]
    child.kill()
    child.wait()
    assert find_leaks(before) == []


def test_a_timer_of_the_hub_of_another_thread_is_not_seen() -> None:
    before = take_snapshot()
    kept: list[object] = []

    def work() -> None:
        hub = gevent.get_hub()
        timer = hub.loop.timer(1000.0)
        timer.start(int)
        kept.extend((hub, timer))

    thread = get_original("threading", "Thread")(target=work)
    thread.start()
    thread.join()

    assert not [leak for leak in find_leaks(before, grace=0.0) if "timer" in leak]
    kept[1].close()  # type: ignore[attr-defined]
