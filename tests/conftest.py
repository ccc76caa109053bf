"""What every test shares: the project's own pytest plugin, and that nothing is left behind."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import hypothesis
import pytest

from greenproc.current import default
from greenproc.failures import FailureLog
from greenproc.testing import find_leaks, plugin, take_snapshot
from greenproc.tracing import TRACING, TraceContext, use_trace
from tests.generated import Thoroughness
from tests.polls import Polls, no_time
from tests.turns import OPTION, parse_limits, states_checked, turns_limited

pytest_plugins = ["pytester"]

MANY_BLOCKS = 5_000


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # Where greenproc is installed, its entry point has registered the plugin already.
    if not pluginmanager.is_registered(plugin):
        pluginmanager.register(plugin, "greenproc")
    parser.addoption("--slow", action="store_true", help="run the tests marked as slow, too")
    parser.addoption(
        "--turn-limits",
        dest=OPTION,
        metavar="NAME=NUMBER,...",
        help="run with these limits of turns (events, turns, parked), states checked at each turn",
    )
    parser.addoption(
        "--traced",
        action="store_true",
        help="run each test in a trace context, so that all is sent and served on the longer paths",
    )


def pytest_configure(config: pytest.Config) -> None:
    Thoroughness.takes_all = config.getoption("--slow")
    keep_bytecode(config)
    # No limit on the real time of an example: on a busy machine any may take long.
    hypothesis.settings.register_profile("greenproc", deadline=None)
    hypothesis.settings.load_profile("greenproc")


def keep_bytecode(config: pytest.Config) -> None:
    """Let programs that tests start find compiled modules also where none are to be written.

    Some hundreds are started, and half the time of each would be spent on compiling the package.
    """
    cache = getattr(config, "cache", None)  # not there when its plugin is switched off
    if sys.dont_write_bytecode and cache is not None:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(cache.mkdir("bytecode")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


def pytest_collection_finish() -> None:
    hide_objects()


def hide_objects() -> None:
    """Keep what is there now from being searched, when it is much.

    The search for what is left looks at every object that the collector knows. Those there are
    before the first test, some 200 000, are of no interest; nor is what caches come to hold later.
    """
    blocks = sys.getallocatedblocks()
    # What was freed since makes room for as much that would be searched at each test.
    hidden.blocks = min(hidden.blocks, blocks)
    if blocks > hidden.blocks + MANY_BLOCKS:
        gc.collect()
        gc.freeze()
        hidden.blocks = sys.getallocatedblocks()


@dataclass
class Hidden:
    """How much memory was in use when the collector was last told to forget about it."""

    blocks: int = 0


hidden = Hidden()


@pytest.fixture(scope="session", autouse=True)
def _turns(pytestconfig: pytest.Config) -> Iterator[None]:
    """Check the states of processes; with ``--turn-limits`` also at each turn, within these."""
    limits = pytestconfig.getoption(OPTION)
    with ExitStack() as stack:
        stack.enter_context(states_checked(at_each_turn=bool(limits)))
        if limits:
            stack.enter_context(turns_limited(**parse_limits(limits)))
        yield


@pytest.fixture(scope="session", autouse=True)
def _every_failure() -> Iterator[None]:
    """Log failures of users' code however often they come."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FailureLog, "is_limited", False)
        yield


@pytest.fixture
def usual_turns() -> Iterator[None]:
    """Give the runtimes of this test the usual limits, which it is about, in every run."""
    with turns_limited():
        yield


@pytest.fixture
def limit_turns() -> Iterator[Callable[..., None]]:
    """Give runtimes that are made from now on other limits: ``limit_turns(events=1)``."""
    with ExitStack() as stack:
        yield lambda **limits: stack.enter_context(turns_limited(**limits))


@pytest.fixture
def polls() -> Iterator[Polls]:
    """Count polls of descriptors, in a test where each piece of work takes a whole iteration."""
    with no_time() as counted:
        yield counted


@pytest.fixture(autouse=True)
def _stopped_runtimes() -> None:
    """Forget the runtimes of earlier tests: the system may give their ports to the peers of this one."""
    default.stopped.clear()


@pytest.fixture(autouse=True)
def _trace(pytestconfig: pytest.Config) -> Iterator[None]:
    """Begin each test as if there had been no trace context, or with ``--traced`` in one."""
    TRACING.is_active = False
    if not pytestconfig.getoption("--traced"):
        yield
        return
    with use_trace(TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1)):
        yield


@pytest.fixture
def untraced() -> Iterator[None]:
    """Leave the trace context of a run with ``--traced``, for a test about what is not traced."""
    with use_trace(None):
        TRACING.is_active = False
        yield


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    hide_objects()
    before = take_snapshot()
    yield
    leaks = find_leaks(before)
    assert not leaks, "left behind:\n" + "\n".join(leaks)
