"""What every test shares: the project's own pytest plugin, and that nothing is left behind."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from greenproc.testing import find_leaks, plugin, take_snapshot

pytest_plugins = ["pytester"]

MANY_BLOCKS = 20_000


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    # Where greenproc is installed, its entry point has registered the plugin already.
    if not pluginmanager.is_registered(plugin):
        pluginmanager.register(plugin, "greenproc")


def pytest_collection_finish() -> None:
    hide_objects()


def hide_objects() -> None:
    """Keep what is there now from being searched, when it is much.

    The search for what is left looks at every object that the collector knows. Those there are
    before the first test, some 200 000, are of no interest; nor is what caches come to hold later.
    """
    blocks = sys.getallocatedblocks()
    if blocks > hidden.blocks + MANY_BLOCKS:
        gc.collect()
        gc.freeze()
        hidden.blocks = sys.getallocatedblocks()


@dataclass
class Hidden:
    """How much memory was in use when the collector was last told to forget about it."""

    blocks: int = 0


hidden = Hidden()


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    hide_objects()
    before = take_snapshot()
    yield
    leaks = find_leaks(before)
    assert not leaks, "left behind:\n" + "\n".join(leaks)
