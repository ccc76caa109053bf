"""What every test shares: the project's own pytest plugin, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from greenproc.testing import find_leaks, plugin, take_snapshot

pytest_plugins = ["pytester"]


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    # Where greenproc is installed, its entry point has registered the plugin already.
    if not pluginmanager.is_registered(plugin):
        pluginmanager.register(plugin, "greenproc")


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    before = take_snapshot()
    yield
    leaks = find_leaks(before)
    assert not leaks, "left behind:\n" + "\n".join(leaks)
