"""The plugin seen by somebody who uses it: each test here runs a test of theirs."""

from __future__ import annotations

import pytest

HEAD = """
import gevent
import pytest
import threading
from gevent import socket
from greenproc import Process, install
from greenproc.errors import NoRuntime
from greenproc.testing import *
"""

QUICK = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:timeout")


@pytest.fixture
def run(pytester: pytest.Pytester):
    """Run the text of a test module under the plugin; the result tells how it went."""

    def run(text: str, *options: str) -> pytest.RunResult:
        pytester.makeconftest(
            """
            from greenproc.testing import plugin

            def pytest_addoption(pluginmanager):
                if not pluginmanager.is_registered(plugin):
                    pluginmanager.register(plugin, "greenproc")
            """
        )
        pytester.makepyfile(HEAD + text)
        return pytester.runpytest_inprocess(*QUICK, *options)

    return run


def test_runtime_is_started_on_the_loopback_and_selected(run) -> None:
    result = run(
        """
import greenproc

def test_it(runtime):
    assert runtime.address.ip == "127.0.0.1"
    assert greenproc.current_runtime() is runtime
    assert greenproc.spawn(Process("a")).address == runtime.address
"""
    )
    result.assert_outcomes(passed=1)


def test_make_runtime_makes_several_nodes(run) -> None:
    result = run(
        """
def test_it(make_runtime):
    first, second = make_runtime(), make_runtime(delegate="master")
    assert first.address != second.address
    assert second.delegate == "master"
"""
    )
    result.assert_outcomes(passed=1)


def test_paused_clock_and_filter_are_taken_back(run) -> None:
    result = run(
        """
seen = []

def test_it(runtime):
    seen.append(runtime)
    runtime.clock.pause()
    drop_messages()

def test_after_it():
    assert not seen[0].clock.paused
    assert seen[0].processes.filter is None
"""
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("leak", "told"),
    [
        ("kept.append(gevent.spawn(gevent.sleep, 100)); gevent.sleep(0)", "greenlet <Greenlet"),
        ("kept.append(socket.create_server(('127.0.0.1', 0)))", "AF_INET ('127.0.0.1', "),
        ("kept.extend(socket.socketpair())", "AF_UNIX"),
        (
            "timer = gevent.get_hub().loop.timer(100); kept.append(timer); timer.start(print)",
            "timer <",
        ),
        (
            "kept.append((original('Thread')(target=stop.wait), stop)); kept[0][0].start()",
            "thread <Thread",
        ),
        (
            "import gevent.subprocess as s; kept.append(s.Popen(['sleep', '100']))",
            "child process ",
        ),
    ],
    ids=["greenlet", "listener", "socket pair", "timer", "thread", "child"],
)
def test_what_a_test_leaves_behind_fails_it(run, monkeypatch, leak: str, told: str) -> None:
    monkeypatch.setattr("greenproc.testing.leaks.find_leaks.__kwdefaults__", {"grace": 0.0})
    result = run(
        f"""
from functools import partial
from gevent.monkey import get_original

original = partial(get_original, "threading")
stop = original("Event")()
kept = []

def test_it(runtime):
    {leak}

def teardown_module():
    for thing in kept:
        if isinstance(thing, gevent.Greenlet) or hasattr(thing, "poll"):
            thing.kill()
        if hasattr(thing, "poll"):
            thing.wait()
        if hasattr(thing, "close"):
            thing.close()
        if isinstance(thing, tuple):
            thing[1].set()
            thing[0].join()
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"*leaked: *{glob_escape(told)}*"])


def glob_escape(text: str) -> str:
    return "".join(f"[{character}]" if character in "[*?" else character for character in text)


def test_error_of_a_greenlet_fails_the_test(run) -> None:
    result = run(
        """
def fail():
    raise ValueError("nobody sees me")

def test_it(runtime):
    gevent.spawn(fail).join()
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*unexpected error: *", "*ValueError: nobody sees me"])


def test_error_of_a_callback_of_the_hub_fails_the_test(run) -> None:
    result = run(
        """
def fail():
    raise ValueError("nobody sees me")

def test_it(runtime):
    gevent.get_hub().loop.run_callback(fail)
    gevent.sleep(0)
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*unexpected error: *", "*ValueError: nobody sees me"])


FAILING = """
class Failing(Process):
    @install("fail")
    def fail(self, sender, body):
        raise ValueError("on purpose")
"""


def test_error_of_a_process_fails_the_test(run) -> None:
    result = run(
        FAILING
        + """
def test_it(runtime):
    runtime.post(runtime.spawn(Failing()), "fail")
    runtime.settle()
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*unexpected error: *", "*ValueError: on purpose"])


def test_expected_error_of_a_process_does_not_fail_the_test(run) -> None:
    result = run(
        FAILING
        + """
def test_it(runtime):
    with expect_failure(ValueError, "on purpose") as errors:
        runtime.post(runtime.spawn(Failing()), "fail")
        runtime.settle()
    assert len(errors) == 1
"""
    )
    result.assert_outcomes(passed=1)


def test_another_error_than_the_expected_one_fails_the_test(run) -> None:
    result = run(
        FAILING
        + """
def test_it(runtime):
    with expect_failure(KeyError):
        runtime.post(runtime.spawn(Failing()), "fail")
        runtime.settle()
"""
    )
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["*expected KeyError to happen, got *on purpose*"])


def test_error_of_a_timer_fails_the_test(run) -> None:
    result = run(
        """
def test_it(runtime):
    runtime.clock.timer(0.0, lambda: 1 / 0)
    runtime.settle()
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError*"])


def test_process_that_does_not_end_fails_the_test(run) -> None:
    result = run(
        """
from greenproc import Settings

class Stubborn(Process):
    def stay(self):
        gevent.sleep(1000)

def test_it(make_runtime):
    node = make_runtime(Settings(ip="127.0.0.1", stop_timeout=0.05))
    node.dispatch(node.spawn(Stubborn("stubborn")), Stubborn.stay)
    gevent.sleep(0)
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*process stubborn@127.0.0.1:* had to be killed"])


def test_forbidden_message_fails_the_test(run) -> None:
    result = run(
        """
def test_it(runtime):
    expect_no_messages("bad")
    runtime.post(runtime.spawn(Process("a")), "bad")
    runtime.settle()
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*expected no message 'bad'*"])


def test_default_runtime_does_not_start_by_itself(run) -> None:
    result = run(
        """
import greenproc

def test_it():
    with pytest.raises(NoRuntime):
        greenproc.spawn(Process("a"))
"""
    )
    result.assert_outcomes(passed=1)


def test_default_runtime_can_be_started_on_purpose(run) -> None:
    result = run(
        """
import greenproc

def test_it(monkeypatch):
    monkeypatch.setenv("LIBPROCESS_IP", "127.0.0.1")
    assert greenproc.initialize()
    greenproc.spawn(Process("a"))
    greenproc.finalize()
"""
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("options", [("--greenproc-stacks-after=0.4",), ()], ids=["option", "ini"])
def test_hanging_test_prints_all_stacks(run, pytester, capfd, options) -> None:
    pytester.makeini("[pytest]\ngreenproc_stacks_after = 0.4")
    result = run(
        """
def test_it(make_runtime):  # which a busy machine has at once
    gevent.sleep(0.8)
""",
        *options,
    )
    result.assert_outcomes(passed=1)
    told = capfd.readouterr().err
    assert "::test_it takes more than 0.4 s; all stacks:" in told
    assert "gevent.sleep(0.8)" in told


def test_quick_test_prints_no_stacks(run, capfd) -> None:
    run("def test_it(runtime): pass").assert_outcomes(passed=1)
    assert "all stacks" not in capfd.readouterr().err


def test_help_names_the_option(run) -> None:
    run("", "--help").stdout.fnmatch_lines(["*--greenproc-stacks-after=SECONDS*"])


OUTSIDE = """
import dataclasses
import warnings
from greenproc.testing.runtimes import SETTINGS

class Counter(Process):
    def add(self):
        return 1

def calls_from_outside(node):
    counter = Counter()
    node.spawn(counter)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        counter.add()
    return len(caught)
"""


@pytest.mark.parametrize(("options", "warned"), [((), 0), (("--greenproc-debug",), 1)])
def test_an_option_warns_of_methods_outside_of_their_process(
    run, options: tuple[str, ...], warned: int
) -> None:
    result = run(
        f"""{OUTSIDE}
def test_it(runtime, make_runtime):
    assert calls_from_outside(runtime) == {warned}
    assert calls_from_outside(make_runtime(dataclasses.replace(SETTINGS))) == {warned}
""",
        *options,
    )
    result.assert_outcomes(passed=1)
