"""Numbered ids."""

from __future__ import annotations

from greenproc.process import Process
from greenproc.process.names import Names
from greenproc.testing import RuntimeMaker


def test_each_prefix_counts_from_one() -> None:
    names = Names()
    assert [names.generate("a"), names.generate("b"), names.generate("a")] == [
        "a(1)",
        "b(1)",
        "a(2)",
    ]


def test_empty_prefix_is_a_prefix() -> None:
    assert Names().generate() == "(1)"


def test_process_without_an_id_is_called_after_its_class(make_runtime: RuntimeMaker) -> None:
    class Counter(Process):
        pass

    node = make_runtime()
    assert [node.spawn(Counter()).id for _ in range(2)] == ["Counter(1)", "Counter(2)"]
    assert make_runtime().spawn(Counter()).id == "Counter(1)"
