"""Learning how OS processes end."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator

import gevent
import pytest
from gevent import get_hub, monkey

from greenproc.errors import Closed, InvalidArgument, StateError
from greenproc.subprocess import PIPE, Reaper, current_reaper, launch, reap
from greenproc.subprocess.reaper import MAX_INTERVAL, MIN_INTERVAL, hub_reaper
from tests.future.support import Time
from tests.subprocess.support import LIMIT, NULL, orphan, output_of, waiter

WAITPID = monkey.get_original("os", "waitpid")


@pytest.fixture
def time() -> Iterator[Time]:
    time = Time()
    yield time
    time.clock.stop()


@pytest.fixture
def reaper(time: Time) -> Iterator[Reaper]:
    reaper = Reaper(time.clock)
    yield reaper
    reaper.close()
    assert reaper.statistics() == {"watched": 0}


@pytest.fixture
def no_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, "not in this kernel")

    monkeypatch.setattr(os, "pidfd_open", refuse)


def spawn_foreign(*arguments: str) -> int:
    """Start a child that gevent knows nothing of."""
    return os.posix_spawn(f"/bin/{arguments[0]}", arguments, {})


def spawn_zombie(*arguments: str) -> int:
    """Start such a child and wait until it has ended, without collecting it."""
    pid = spawn_foreign(*arguments)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


def is_collected(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


# Children


def test_the_status_of_a_child_is_told_whoever_asks_and_however_often(reaper: Reaper) -> None:
    child = waiter()
    futures = [reaper.reap(child.pid), reaper.reap(child.pid), reap(child.pid), child.status]
    gevent.idle()
    assert all(future.is_pending for future in futures)

    child.kill()

    assert [future.get(timeout=LIMIT) for future in futures] == [signal.SIGKILL] * 4


def test_a_child_that_gevent_knows_nothing_of_is_told(reaper: Reaper) -> None:
    pid = spawn_foreign("sh", "-c", "exit 7")

    assert reaper.reap(pid).get(timeout=LIMIT) == 7 << 8
    assert is_collected(pid)


def test_a_child_that_has_ended_before_is_told_and_collected(reaper: Reaper) -> None:
    pid = spawn_zombie("sh", "-c", "exit 7")

    assert reaper.reap(pid).get(timeout=LIMIT) == 7 << 8
    assert is_collected(pid)


def test_a_child_that_was_killed_before_is_told_by_its_signal(reaper: Reaper) -> None:
    pid = spawn_zombie("sh", "-c", "kill -TERM $$")

    assert reaper.reap(pid).get(timeout=LIMIT) == signal.SIGTERM


def test_a_child_that_gevent_has_collected_is_told_by_its_record(reaper: Reaper) -> None:
    child = launch("exit 7")
    child.status.get(timeout=LIMIT)  # somebody else's request
    pid = gevent.os.fork_and_watch()
    if pid == 0:
        os._exit(9)
    with get_hub().loop.child(pid) as watcher:
        get_hub().wait(watcher)

    assert reaper.reap(pid).get_nowait() == 9 << 8


def test_a_child_whose_status_gevent_is_about_to_record_is_told(
    reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with the loop of libuv, which hands statuses on some turns after it has taken them.
    pid = spawn_zombie("true")
    WAITPID(pid, 0)
    monkeypatch.setattr("gevent.os.waitpid", lambda pid, options: (0, 0))
    future = reaper.reap(pid)
    gevent.idle()
    assert future.is_pending

    monkeypatch.setattr("gevent.os.waitpid", lambda pid, options: (pid, 7 << 8))

    assert future.get(timeout=LIMIT) == 7 << 8


def test_others_who_watch_a_child_are_told_too(reaper: Reaper) -> None:
    pid = gevent.os.fork_and_watch()
    if pid == 0:
        os.execv("/bin/sleep", ["sleep", "1000"])
    future = reaper.reap(pid)
    os.kill(pid, signal.SIGKILL)

    assert gevent.os.waitpid(pid, 0) == (pid, signal.SIGKILL)
    assert future.get(timeout=LIMIT) == signal.SIGKILL


def test_other_children_are_left_alone(reaper: Reaper) -> None:
    child = waiter()
    future = reaper.reap(child.pid)
    other = spawn_zombie("true")

    child.kill()
    future.get(timeout=LIMIT)

    # gevent collects all children, but nobody here took this one's status from who asks later.
    assert child.status.get(timeout=LIMIT) == signal.SIGKILL
    assert is_collected(other) or WAITPID(other, 0)[0] == other


def test_a_status_that_somebody_else_takes_is_none(reaper: Reaper) -> None:
    pid = spawn_foreign("sleep", "1000")
    future = reaper.reap(pid)
    gevent.idle()
    assert future.is_pending

    os.kill(pid, signal.SIGKILL)
    assert WAITPID(pid, 0) == (pid, signal.SIGKILL)

    assert future.get(timeout=LIMIT) is None


def test_a_status_that_was_seen_is_kept_although_somebody_else_takes_it(
    reaper: Reaper,
) -> None:
    pid = spawn_zombie("sh", "-c", "exit 7")
    future = reaper.reap(pid)

    assert WAITPID(pid, 0) == (pid, 7 << 8)

    assert future.get(timeout=LIMIT) == 7 << 8


# Others


def test_the_end_of_a_process_that_is_no_child_is_none(reaper: Reaper) -> None:
    pid = orphan()
    future = reaper.reap(pid)
    gevent.idle()
    assert future.is_pending

    os.kill(pid, signal.SIGKILL)

    assert future.get(timeout=LIMIT) is None


def test_a_process_that_is_not_there_is_none_at_once(reaper: Reaper) -> None:
    pid = spawn_zombie("true")
    WAITPID(pid, 0)

    assert reaper.reap(pid).get_nowait() is None


def test_a_process_of_somebody_else_is_waited_for(reaper: Reaper) -> None:
    future = reaper.reap(1)
    gevent.idle()
    assert future.is_pending

    reaper.close()


# Without descriptors of processes


def test_without_descriptors_a_child_is_told_at_once(reaper: Reaper, no_pidfd: None) -> None:
    child = waiter()
    future = reaper.reap(child.pid)

    child.kill()

    assert future.get(timeout=LIMIT) == signal.SIGKILL
    child.status.get(timeout=LIMIT)


def test_without_descriptors_a_status_that_somebody_else_takes_is_found_missing_by_the_clock(
    time: Time, reaper: Reaper, no_pidfd: None
) -> None:
    time.clock.pause()
    pid = spawn_foreign("sleep", "1000")
    future = reaper.reap(pid)
    os.kill(pid, signal.SIGKILL)
    WAITPID(pid, 0)
    gevent.idle()
    assert future.is_pending

    time.advance(MIN_INTERVAL)

    assert future.get(timeout=LIMIT) is None


def test_without_descriptors_a_child_is_looked_at_again_and_again(
    time: Time, reaper: Reaper, no_pidfd: None
) -> None:
    time.clock.pause()
    child = waiter()
    future = reaper.reap(child.pid)
    for _ in range(3):
        time.advance(MIN_INTERVAL)
        assert time.timers == 1

    child.kill()

    assert future.get(timeout=LIMIT) == signal.SIGKILL
    assert time.timers == 0
    child.status.get(timeout=LIMIT)


def test_without_descriptors_others_are_looked_at_by_the_clock(
    time: Time, reaper: Reaper, no_pidfd: None
) -> None:
    time.clock.pause()
    # The shell is a parent that collects the one that is no child of ours.
    shell = launch("sleep 1000 </dev/null >/dev/null 2>&1 & echo $!; wait", stdout=PIPE)
    pid = int(os.read(shell.stdout.fileno(), 99))
    future = reaper.reap(pid)
    time.advance(MIN_INTERVAL)
    assert future.is_pending

    os.kill(pid, signal.SIGKILL)
    shell.status.get(timeout=LIMIT)
    assert future.is_pending

    time.advance(MIN_INTERVAL)
    assert future.get(timeout=LIMIT) is None


def test_without_descriptors_a_process_that_is_not_there_is_none_at_once(
    reaper: Reaper, no_pidfd: None
) -> None:
    pid = spawn_zombie("true")
    WAITPID(pid, 0)

    assert reaper.reap(pid).get_nowait() is None


@pytest.mark.parametrize(
    ("count", "seconds"),
    [
        (0, MIN_INTERVAL),
        (50, MIN_INTERVAL),
        (275, (MIN_INTERVAL + MAX_INTERVAL) / 2),
        (500, MAX_INTERVAL),
        (5000, MAX_INTERVAL),
    ],
)
def test_the_interval_grows_with_the_number_of_requests(
    reaper: Reaper, count: int, seconds: float
) -> None:
    reaper._watches.update(dict.fromkeys(range(-count, 0)))

    assert reaper.interval() == pytest.approx(seconds)

    reaper._watches.clear()


# The future and the reaper


def test_a_discard_request_does_nothing(reaper: Reaper) -> None:
    child = waiter()
    first, second = reaper.reap(child.pid), reaper.reap(child.pid)

    first.discard()
    gevent.idle()

    assert first.is_pending
    assert not second.has_discard
    child.kill()
    assert first.get(timeout=LIMIT) == second.get(timeout=LIMIT) == signal.SIGKILL


def test_closing_abandons_who_waits_and_leaves_the_child_alone(reaper: Reaper) -> None:
    child = waiter()
    future = reaper.reap(child.pid)

    reaper.close()

    assert future.is_abandoned
    with pytest.raises(Closed):
        reaper.reap(child.pid)
    assert child.status.is_pending
    child.kill()
    assert child.status.get(timeout=LIMIT) == signal.SIGKILL


@pytest.mark.parametrize("pid", [0, -1, True, None, "1", 1.0])
def test_what_is_no_pid_is_refused(reaper: Reaper, pid: object) -> None:
    with pytest.raises(InvalidArgument, match="expected the pid of a process"):
        reaper.reap(pid)


def test_other_threads_are_told_that_they_cannot_reap(reaper: Reaper) -> None:
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            reap(1)
        except StateError as error:
            errors.append(error)
        finally:
            get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()

    assert "expected the main thread" in str(errors[0])


def test_the_reaper_is_that_of_the_hub_outside_of_a_runtime() -> None:
    reaper = current_reaper()

    assert reaper is current_reaper() is hub_reaper()
    assert gevent.spawn(current_reaper).get() is reaper


def test_a_reaper_shows_what_it_watches(reaper: Reaper) -> None:
    assert repr(reaper) == "<Reaper, 0 watched>"
    reaper.close()
    assert repr(reaper) == "<Reaper closed, 0 watched>"


def test_nothing_is_left_when_a_child_has_ended() -> None:
    child = launch("echo hello", stdin=NULL, stdout=PIPE)

    assert output_of(child) == b"hello\n"
    child.status.get(timeout=LIMIT)

    assert child.pid not in current_reaper()._watches
    assert is_collected(child.pid)
