"""Nodes of the chat, and visitors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chat import open_chat
from greenproc import Runtime
from greenproc.testing import RuntimeMaker
from tests.examples.chat_visitor import Visitor

Visit = Callable[..., Visitor]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "chat.sqlite"


@pytest.fixture
def node(runtime: Runtime, database: Path) -> Runtime:
    """A node with the rooms of the chat."""
    open_chat(runtime, database=database)
    return runtime


@pytest.fixture
def second(node: Runtime, make_runtime: RuntimeMaker) -> Runtime:
    """A node whose rooms are on the first one."""
    runtime = make_runtime()
    with runtime.selected():
        open_chat(runtime, rooms=node.address)
    return runtime


@pytest.fixture
def visit() -> Iterator[Visit]:
    """Let somebody connect to a node: ``visit(node, name, *rooms)``."""
    visitors: list[Visitor] = []

    def visit(node: Runtime, name: str, *rooms: str, key: str | None = None) -> Visitor:
        visitors.append(Visitor(node.address, name, *rooms, key=key))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.close()
