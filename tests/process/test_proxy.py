"""Proxies: the methods and attributes of a process as futures."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

import greenproc
from greenproc import UPID, Address, Failure, Future, Process, Runtime
from greenproc.errors import Abandoned, InvalidArgument, StateError
from greenproc.future import after
from greenproc.process.current import current_process


class Counter(Process):
    """Has one of each kind of attribute."""

    total = 0
    declared: int
    kind = dict

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.own = [1]

    def initialize(self) -> None:
        self.added = 7

    def increment(self, number: int = 1, *, twice: bool = False) -> int:
        assert current_process() is self
        self.total += number * (1 + twice)
        return self.total

    def later(self) -> Future[int]:
        return after(0.0).then(lambda _: 3)

    def refuse(self) -> Failure:
        return Failure("refused")

    @property
    def double(self) -> int:
        assert current_process() is self
        return self.total * 2

    @classmethod
    def name_of_class(cls) -> str:
        return cls.__name__

    @staticmethod
    def add(one: int, two: int) -> int:
        return one + two


class Louder(Counter):
    def increment(self, number: int = 1, *, twice: bool = False) -> int:
        return 10 * super().increment(number, twice=twice)


def proxy(runtime: Runtime, target: Any) -> Any:
    with runtime.selected():
        return greenproc.proxy(target)


@pytest.fixture
def counter(runtime: Runtime) -> Any:
    return proxy(runtime, runtime.spawn(Counter("counter")))


def test_a_method_is_dispatched(counter: Any) -> None:
    assert counter.increment(5).get(timeout=15.0) == 5
    assert counter.increment(2, twice=True).get(timeout=15.0) == 9
    assert counter.later().get(timeout=15.0) == 3
    assert counter.refuse().repair(lambda future: future.failure()).get(timeout=15.0) == "refused"


def test_an_override_is_called(runtime: Runtime) -> None:
    assert proxy(runtime, runtime.spawn(Louder())).increment(1).get(timeout=15.0) == 10


def test_other_kinds_of_methods_are_called(counter: Any) -> None:
    assert counter.name_of_class().get(timeout=15.0) == "Counter"
    assert counter.add(1, two=2).get(timeout=15.0) == 3


def test_an_attribute_is_read_in_the_process(counter: Any) -> None:
    counter.increment(4)
    assert counter.total.get(timeout=15.0) == 4
    assert counter.double.get(timeout=15.0) == 8
    assert counter.own.get(timeout=15.0) == [1]
    assert counter.kind.get(timeout=15.0) is dict


def test_what_initialize_adds_is_read(runtime: Runtime, counter: Any) -> None:
    early = counter.added
    mistaken = counter.nothing  # which cannot be known yet
    runtime.settle()
    assert early.get() == counter.added.get(timeout=15.0) == 7
    with pytest.raises(AttributeError, match="nothing"):
        mistaken.get()


def test_what_is_only_declared_is_the_business_of_the_process(
    runtime: Runtime, counter: Any
) -> None:
    runtime.settle()
    with pytest.raises(AttributeError, match="declared"):
        counter.declared.get(timeout=15.0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("incremnt", "'Counter' process has no attribute 'incremnt'. Did you mean: 'increment'?"),
        ("xyzzy", "'Counter' process has no attribute 'xyzzy'$"),
        ("_secret", "'_secret' of process counter@.* is private"),
    ],
)
def test_a_name_that_is_not_there_is_refused_at_once(
    runtime: Runtime, counter: Any, name: str, told: str
) -> None:
    runtime.settle()
    with pytest.raises(AttributeError, match=told):
        getattr(counter, name)


def test_arguments_that_do_not_fit_are_told(counter: Any) -> None:
    with pytest.raises(TypeError, match=r"expected Counter.increment\("):
        counter.increment(1, 2).get(timeout=15.0)


def test_nothing_is_set_through_it(counter: Any) -> None:
    with pytest.raises(AttributeError, match="give the process a method"):
        counter.total = 5
    assert counter.total.get(timeout=15.0) == 0


def test_what_is_not_here_has_no_proxy(runtime: Runtime) -> None:
    with pytest.raises(InvalidArgument, match="of this node"):
        proxy(runtime, UPID("counter", Address("10.0.0.1", 5050)))
    with pytest.raises(StateError, match="no process nobody@"):
        proxy(runtime, UPID("nobody", runtime.address))
    with pytest.raises(StateError, match="the empty PID"):
        proxy(runtime, UPID())
    with pytest.raises(InvalidArgument):
        proxy(runtime, "counter")


def test_the_end_of_the_process_abandons_calls(runtime: Runtime, counter: Any) -> None:
    counter.terminate().get(timeout=15.0)
    runtime.settle()
    for future in (counter.increment(), counter.total, counter.unknown):
        with pytest.raises(Abandoned, match="counter@"):
            future.get(timeout=15.0)


def test_it_tells_whose_it_is(runtime: Runtime, counter: Any) -> None:
    runtime.settle()
    assert repr(counter) == f"<Proxy of counter@{runtime.address}>"
    same = proxy(runtime, UPID("counter", runtime.address))
    assert counter == same and hash(counter) == hash(same)
    assert counter != proxy(runtime, runtime.spawn(Counter()))
    names = dir(counter)
    assert {"increment", "total", "own", "added", "declared"} <= set(names)
    assert not [name for name in names if name.startswith("_")]
    assert copy.copy(counter) == counter
    assert copy.copy(counter).increment(3).get(timeout=15.0) == 3
    with pytest.raises((AttributeError, TypeError)):
        copy.deepcopy(counter)


def test_it_works_in_other_threads(runtime: Runtime, counter: Any) -> None:
    results: list[int] = []

    def use() -> None:
        results.append(counter.increment(2).get(timeout=15.0))
        results.append(counter.total.get(timeout=15.0))

    thread = threading.Thread(target=use)
    thread.start()
    while thread.is_alive():
        counter.name_of_class().get(timeout=15.0)
    thread.join()
    assert results == [2, 2]
