"""The pytest plugin: fixtures for runtimes that are checked for errors and leaks.

pytest loads it by its entry point. The implicit start of the default runtime is disabled while
tests run, so that no test leaks a node; ``greenproc.initialize()`` still works.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from greenproc.current import default
from greenproc.runtime import Runtime
from greenproc.testing.hang import stacks_after
from greenproc.testing.runtimes import RuntimeMaker

DEBUG = "greenproc_debug"
OPTION = "greenproc_stacks_after"
STACKS_AFTER = "60"
STDERR = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options: the limit of the hang watchdog, and `Settings.debug` of the runtimes."""
    what = "seconds after which a test with a runtime prints the stacks of all greenlets; 0: never"
    parser.getgroup("greenproc").addoption(
        "--greenproc-stacks-after", dest=OPTION, metavar="SECONDS", help=what
    )
    parser.addini(OPTION, what, default=STACKS_AFTER)
    what = "warn when a public method of a process runs outside of it"
    parser.getgroup("greenproc").addoption(
        "--greenproc-debug", dest=DEBUG, action="store_true", help=what
    )
    parser.addini(DEBUG, what, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Duplicate stderr before pytest captures it, so that the watchdog can write to it."""
    config.stash[STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the duplicate of stderr."""
    os.close(config.stash[STDERR])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    """Disable the implicit start of the default runtime while a test runs."""
    before, default.implicit_start = default.implicit_start, False
    try:
        return (yield)
    finally:
        default.implicit_start = before


@pytest.fixture
def make_runtime(request: pytest.FixtureRequest) -> Iterator[RuntimeMaker]:
    """A factory of runtimes: ``make_runtime(settings=None, **options)``.

    It selects none of them: use ``with node.selected():``. The teardown stops and checks all of
    them, see `RuntimeMaker`.
    """
    seconds, write = _seconds(request.config), _writer(request.config)
    debug = request.config.getoption(DEBUG) or request.config.getini(DEBUG)
    maker = RuntimeMaker(debug=debug)
    with stacks_after(seconds, write, request.node.nodeid), maker:
        yield maker


@pytest.fixture
def runtime(make_runtime: RuntimeMaker) -> Iterator[Runtime]:
    """A runtime on an ephemeral loopback port, selected for the module-level functions."""
    node = make_runtime()
    with node.selected():
        yield node


def _seconds(config: pytest.Config) -> float:
    given = config.getoption(OPTION)
    return float(config.getini(OPTION) if given is None else given)


def _writer(config: pytest.Config) -> Any:
    descriptor = config.stash[STDERR]
    return lambda text: os.write(descriptor, text.encode(errors="replace"))
