"""The warning about methods that run outside of their process."""

from __future__ import annotations

import gc
import warnings
from dataclasses import replace

import pytest

from greenproc.errors import StateError
from greenproc.http.request import Request
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.process.debug import MethodWatch
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker
from greenproc.testing.runtimes import SETTINGS

DEBUG = replace(SETTINGS, debug=True)
OUTSIDE = r"Counter\.add of .* runs outside of its process.* dispatch\(pid, Counter\.add, \.\.\.\)"


class Counter(Process):
    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self.own = lambda: self.total

    def initialize(self) -> None:
        self.add(0)
        self.install("more", self.on_more)

    def add(self, number: int, *, twice: bool = False) -> int:
        self.total += number * (2 if twice else 1)
        return self.total

    def add_twice(self, number: int) -> int:
        self.add(number)
        return self.add(number)

    def add_beside(self) -> object:
        return self.spawn_greenlet(self.add, 1)

    @install("add")
    def on_add(self, sender: UPID, body: bytes) -> None:
        self.add(int(body))

    def on_more(self, sender: UPID, body: bytes) -> None:
        self.add(int(body))

    @route("/total")
    def on_total(self, request: Request) -> str:
        return str(self.add(0))

    def _private(self) -> int:
        return self.total

    @staticmethod
    def parse(text: str) -> int:
        return int(text)

    @property
    def double(self) -> int:
        return self.total * 2


@pytest.fixture
def node(make_runtime: RuntimeMaker) -> Runtime:
    return make_runtime(DEBUG)


@pytest.fixture
def counter(node: Runtime) -> Counter:
    counter = Counter()
    node.spawn(counter)
    node.settle()
    return counter


def test_a_method_called_from_outside_warns_at_its_call(counter: Counter) -> None:
    with pytest.warns(RuntimeWarning, match=OUTSIDE) as caught:
        assert counter.add(1, twice=True) == 2

    assert caught[0].filename == __file__


def test_it_warns_once_for_a_method(node: Runtime, counter: Counter) -> None:
    another = Counter()
    node.spawn(another)
    with pytest.warns(RuntimeWarning, match=OUTSIDE):
        counter.add(1)

    counter.add(1)
    another.add(1)
    with pytest.warns(RuntimeWarning, match=r"Counter\.add_twice"):
        counter.add_twice(1)


def test_what_a_process_does_in_its_turn_is_no_reason(node: Runtime, counter: Counter) -> None:
    node.post(counter.pid, "add", b"1")
    node.post(counter.pid, "more", b"2")

    assert node.dispatch(counter, Counter.add, 3).get() == 6
    assert node.dispatch(counter, counter.add_twice, 1).get() == 8
    assert node.defer(counter, Counter.add)(1, 2, 3).get() == 9


def test_a_greenlet_beside_the_process_is_outside(node: Runtime, counter: Counter) -> None:
    with pytest.warns(RuntimeWarning, match=OUTSIDE):
        node.dispatch(counter, Counter.add_beside).get().get()  # type: ignore[attr-defined]


def test_what_is_no_public_method_is_not_watched(counter: Counter) -> None:
    assert counter._private() == counter.double == counter.own() == 0
    assert counter.parse("1") == 1
    assert counter.event_count  # a method of greenproc's own


def test_before_its_spawn_and_after_its_end_a_process_is_an_object(node: Runtime) -> None:
    counter = Counter()
    counter.add(1)
    node.spawn(counter)
    node.terminate(counter)
    node.wait(counter)

    assert counter.add(1) == 2


def test_a_stand_in_looks_like_its_method(counter: Counter) -> None:
    assert counter.add.__name__ == "add"
    assert counter.add.__qualname__ == "Counter.add"


def test_a_stand_in_does_not_keep_its_process() -> None:
    counter = Counter()
    MethodWatch().watch(counter)
    add = counter.add

    del counter
    gc.collect()

    with pytest.raises(StateError, match=r"add\(\) was called of a process that is gone"):
        add(1)


def test_a_process_without_a_dict_is_left_as_it_is(node: Runtime) -> None:
    class Small(Process):
        __slots__ = ()

        def one(self) -> int:
            return 1

    small = Small()
    node.spawn(small)

    assert small.one() == 1


def test_without_debug_a_process_is_left_as_it_is(runtime: Runtime) -> None:
    counter = Counter()
    before = set(vars(counter))
    runtime.spawn(counter)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counter.add(1)
    assert set(vars(counter)) == before
