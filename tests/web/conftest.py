"""Fixtures for the tests of the web."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peer import Acceptor


@pytest.fixture
def server() -> Iterator[Acceptor]:
    """A socket that listens on the loopback, in the hands of the test."""
    with Acceptor() as acceptor:
        yield acceptor
