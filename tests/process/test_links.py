"""The table of who watches whom."""

from __future__ import annotations

import pytest

from greenproc.address import Address
from greenproc.pid import UPID
from greenproc.process.links import LinkTable

HERE = Address("127.0.0.1", 1)
THERE = Address("127.0.0.1", 2)
LOCAL = UPID("local", HERE)
FIRST = UPID("first", THERE)
SECOND = UPID("second", THERE)


@pytest.fixture
def table() -> LinkTable[str]:
    return LinkTable()


def is_empty(table: LinkTable[str]) -> bool:
    """Say whether no entry is left, not even one without links."""
    return not (table._linkers or table._linkees or table._remotes)


def test_link_is_new_once(table: LinkTable[str]) -> None:
    assert table.add("a", LOCAL, remote=False) is True
    assert table.add("a", LOCAL, remote=False) is False
    assert len(table) == 1


def test_linkers_are_taken_in_the_order_of_their_links(table: LinkTable[str]) -> None:
    for linker in ("c", "a", "b"):
        table.add(linker, LOCAL, remote=False)
    assert table.take_linkers(LOCAL) == ["c", "a", "b"]
    assert table.take_linkers(LOCAL) == []
    assert is_empty(table)


def test_taken_linker_keeps_its_other_links(table: LinkTable[str]) -> None:
    table.add("a", LOCAL, remote=False)
    table.add("a", FIRST, remote=True)
    table.take_linkers(LOCAL)
    assert table.take_address(THERE) == [(FIRST, ["a"])]
    assert is_empty(table)


def test_address_gives_each_linkee_with_its_linkers(table: LinkTable[str]) -> None:
    table.add("a", FIRST, remote=True)
    table.add("b", SECOND, remote=True)
    table.add("b", FIRST, remote=True)
    table.add("b", LOCAL, remote=False)
    assert table.take_address(THERE) == [(FIRST, ["a", "b"]), (SECOND, ["b"])]
    assert table.take_address(THERE) == []
    assert len(table) == 1


def test_local_linkee_is_not_taken_with_its_address(table: LinkTable[str]) -> None:
    table.add("a", LOCAL, remote=False)
    assert table.take_address(HERE) == []
    assert len(table) == 1


def test_removed_linker_is_forgotten_everywhere(table: LinkTable[str]) -> None:
    for linkee, remote in ((LOCAL, False), (FIRST, True), (SECOND, True)):
        table.add("a", linkee, remote=remote)
        table.add("b", linkee, remote=remote)
    table.remove_linker("a")
    assert table.take_address(THERE) == [(FIRST, ["b"]), (SECOND, ["b"])]
    table.remove_linker("b")
    assert is_empty(table)


def test_removing_an_unknown_linker_does_nothing(table: LinkTable[str]) -> None:
    table.remove_linker("a")
    assert is_empty(table)


def test_removed_link_can_be_made_again(table: LinkTable[str]) -> None:
    table.add("a", FIRST, remote=True)
    table.remove("a", FIRST)
    assert is_empty(table)
    assert table.add("a", FIRST, remote=True) is True


def test_link_to_oneself_goes_with_the_linker(table: LinkTable[str]) -> None:
    table.add("a", LOCAL, remote=False)
    table.remove_linker("a")
    assert table.take_linkers(LOCAL) == []


def test_repr_counts(table: LinkTable[str]) -> None:
    table.add("a", LOCAL, remote=False)
    table.add("b", LOCAL, remote=False)
    assert repr(table) == "<LinkTable 2 links to 1 processes>"
