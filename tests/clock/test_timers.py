"""The queue of timers, without a clock."""

from __future__ import annotations

import random

import pytest

from greenproc.clock.timers import MIN_CANCELLED, MIN_DEAD, Timer, TimerQueue


class QueueClock:
    """A clock that only makes and cancels timers."""

    def __init__(self) -> None:
        self.queue = TimerQueue()

    def push(self, due: float) -> Timer:
        timer = Timer()
        timer._microseconds = due
        timer._thunk = print
        timer._maker = None
        timer._canceller = self.queue
        timer._is_queued = True
        self.queue.push(timer)
        return timer


@pytest.fixture
def clock() -> QueueClock:
    return QueueClock()


def test_an_empty_queue_has_nothing_due(clock: QueueClock) -> None:
    assert clock.queue.next_due() is None
    assert clock.queue.pop_due(10) == []
    assert len(clock.queue) == 0


def test_timers_come_out_by_due_time(clock: QueueClock) -> None:
    late, early, middle = clock.push(30), clock.push(10), clock.push(20)

    assert clock.queue.next_due() == 10
    assert clock.queue.pop_due(30) == [early, middle, late]
    assert len(clock.queue) == 0


def test_timers_of_one_due_time_come_out_by_age(clock: QueueClock) -> None:
    timers = [clock.push(10) for _ in range(5)]

    assert clock.queue.pop_due(10) == timers


def test_timers_of_one_due_time_keep_their_age_over_several_looks(clock: QueueClock) -> None:
    first = clock.push(10)
    clock.queue.next_due()
    earlier = clock.push(5)
    clock.queue.next_due()
    second = clock.push(10)

    assert clock.queue.pop_due(10) == [earlier, first, second]


def test_a_timer_that_is_not_due_stays(clock: QueueClock) -> None:
    due, later = clock.push(10), clock.push(11)

    assert clock.queue.pop_due(10) == [due]
    assert clock.queue.next_due() == 11
    assert len(clock.queue) == 1
    assert later.is_pending


def test_a_cancelled_timer_does_not_come_out(clock: QueueClock) -> None:
    first, second = clock.push(10), clock.push(20)

    assert first.cancel()
    assert clock.queue.next_due() == 20
    assert clock.queue.pop_due(20) == [second]


def test_cancelling_twice_is_told(clock: QueueClock) -> None:
    timer = clock.push(10)

    assert timer.cancel()
    assert not timer.cancel()
    assert not timer.is_pending


def test_cancelling_lets_go_of_the_function(clock: QueueClock) -> None:
    timer = clock.push(10)
    timer.cancel()

    assert timer._thunk is None


def test_a_popped_timer_can_still_be_cancelled(clock: QueueClock) -> None:
    timer, other = clock.push(10), clock.push(20)
    clock.queue.pop_due(10)

    assert timer.cancel()
    assert len(clock.queue) == 1
    assert other.is_pending


def test_the_length_counts_pending_timers_only(clock: QueueClock) -> None:
    timers = [clock.push(due) for due in range(6)]
    clock.queue.next_due()
    timers[1].cancel()
    timers.append(clock.push(6))
    timers[6].cancel()

    assert len(clock.queue) == 5
    clock.queue.next_due()
    assert len(clock.queue) == 5


def test_cancelled_timers_do_not_pile_up_before_anybody_looks(clock: QueueClock) -> None:
    for _ in range(10 * MIN_CANCELLED):
        clock.push(10).cancel()

    assert held(clock.queue) <= MIN_CANCELLED + 1


def test_cancelled_timers_do_not_pile_up_behind_an_earlier_one(clock: QueueClock) -> None:
    first = clock.push(1)
    for _ in range(10 * MIN_CANCELLED):
        timer = clock.push(10)
        clock.queue.next_due()
        timer.cancel()

    assert held(clock.queue) <= MIN_CANCELLED + 2
    assert clock.queue.pop_due(10) == [first]


def test_sweeping_keeps_the_order_of_the_others(clock: QueueClock) -> None:
    timers = [clock.push(due % 7) for due in range(4 * MIN_CANCELLED)]
    clock.queue.next_due()
    for timer in timers[::2]:
        timer.cancel()
    rest = sorted(timers[1::2], key=lambda timer: timer._microseconds)  # sorting is stable

    assert clock.queue.pop_due(7) == rest


def test_many_come_out_in_order_after_one_did(clock: QueueClock) -> None:
    timers = [clock.push(due) for due in range(100)]

    assert clock.queue.pop_due(0) == timers[:1]
    assert clock.queue.pop_due(50) == timers[1:51]
    assert clock.queue.pop_due(99) == timers[51:]


def test_many_come_out_in_order_after_the_first_was_cancelled(clock: QueueClock) -> None:
    timers = [clock.push(due) for due in range(100)]
    clock.queue.next_due()
    timers[0].cancel()

    assert clock.queue.next_due() == 1
    assert clock.queue.pop_due(50) == timers[1:51]


def test_timers_of_one_time_that_were_cancelled_in_front_are_dropped(clock: QueueClock) -> None:
    timers = [clock.push(10) for _ in range(MIN_CANCELLED)]
    for timer in timers[:-1]:
        timer.cancel()
        assert clock.queue.next_due() == 10

    assert held(clock.queue) <= MIN_DEAD
    assert len(clock.queue) == 1
    assert clock.queue.pop_due(10) == timers[-1:]
    assert len(clock.queue) == 0


def test_clearing_cancels_all(clock: QueueClock) -> None:
    placed = clock.push(10)
    clock.queue.next_due()
    young = clock.push(20)
    clock.queue.clear()

    assert not placed.is_pending
    assert not young.is_pending
    assert not young.cancel()
    assert len(clock.queue) == 0
    assert clock.queue.pop_due(20) == []


@pytest.mark.parametrize("seed", range(20))
def test_any_mixture_comes_out_as_from_a_sorted_list(clock: QueueClock, seed: int) -> None:
    chance = random.Random(seed)
    pending: list[Timer] = []
    now = 0
    for _ in range(300):
        match chance.choice(["push", "push", "push in order", "cancel", "look", "pop"]):
            case "push":
                pending.append(clock.push(now + chance.randrange(20)))
            case "push in order":
                pending.append(clock.push(now + 20))
            case "cancel" if pending:
                assert pending.pop(chance.randrange(len(pending))).cancel()
            case "look":
                earliest = min((timer._microseconds for timer in pending), default=None)
                assert clock.queue.next_due() == earliest
            case "pop":
                now += chance.randrange(10)
                pending.sort(key=lambda timer: timer._microseconds)
                due = [timer for timer in pending if timer._microseconds <= now]
                del pending[: len(due)]
                assert clock.queue.pop_due(now) == due
        assert len(clock.queue) == len(pending)


def test_a_timer_tells_whether_it_is_over(clock: QueueClock) -> None:
    timer = clock.push(1_500_000)
    assert repr(timer) == "<Timer due 1.5>"

    timer.cancel()
    assert repr(timer) == "<Timer over, was due 1.5>"


def test_timers_are_equal_to_themselves_only(clock: QueueClock) -> None:
    timer, twin = clock.push(10), clock.push(10)

    assert timer != twin
    assert len({timer, twin, timer}) == 2


def held(queue: TimerQueue) -> int:
    """How many timers the queue keeps in memory, cancelled ones included."""
    placed = sum(len(held) if isinstance(held, list) else 1 for held in queue._at.values())
    return placed + len(queue._young)


def test_a_timer_shows_just_what_programs_may_use() -> None:
    shown = [name for name in dir(Timer) if not name.startswith("_")]

    assert shown == ["cancel", "creator", "due", "is_pending"]
