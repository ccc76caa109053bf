"""What every test shares: the project's own pytest plugin, and that nothing is left behind."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from greenproc.testing import find_leaks, plugin, take_snapshot

pytest_plugins = ["pytester"]


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    # Where greenproc is installed, its entry point has registered the plugin already.
    if not pluginmanager.is_registered(plugin):
        pluginmanager.register(plugin, "greenproc")


def pytest_collection_finish() -> None:
    # The search for what is left looks at every object that the collector knows. Those there are
    # before the first test, some 200 000, are of no interest.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    before = take_snapshot()
    yield
    leaks = find_leaks(before)
    assert not leaks, "left behind:\n" + "\n".join(leaks)
