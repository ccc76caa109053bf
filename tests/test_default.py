"""The default runtime and the functions bound to the current one."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

import gevent
import pytest

import greenproc
from greenproc import Process, Runtime, Settings
from greenproc.current import default
from greenproc.errors import InvalidArgument, InvalidSettings, NoRuntime
from greenproc.hub.lifetime import ENDED
from greenproc.testing.runtimes import RuntimeMaker
from tests.shell import Program


class Adder(Process):
    """Adds up."""

    def __init__(self) -> None:
        super().__init__("adder")
        self.total = 0

    def add(self, number: int) -> int:
        self.total += number
        return self.total


@pytest.fixture
def finalized() -> Iterator[None]:
    """End the default runtime after the test."""
    yield
    greenproc.finalize()


def bound_ip(runtime: Runtime) -> str:
    """Return where *runtime* listens, which may be another address than the one it tells."""
    return runtime._parts().listener.address.ip


def test_without_a_runtime_the_error_says_what_to_do() -> None:
    with pytest.raises(NoRuntime, match=r"greenproc\.initialize\(\)"):
        greenproc.current_runtime()
    with pytest.raises(NoRuntime, match=r"greenproc\.initialize\(\)"):
        greenproc.spawn(Adder())
    with pytest.raises(NoRuntime, match="Adder"):
        _ = Adder().pid


MISPLACED = {
    "a port": (5050, "got 5050: give it by its name, as in initialize(port=5050)"),
    "an address": ("10.0.0.1", "give it by its name, as in initialize(ip='127.0.0.1')"),
    "both": ("10.0.0.1:5050", "give it by its name, as in initialize(ip="),
    "an address of IPv6": ("::1", "give it by its name, as in initialize(ip="),
    "settings": (Settings(), "give it by its name, as in initialize(settings=Settings(...))"),
    "something else": (b"help", "expected the id of a process as delegate, got b'help'"),
}


@pytest.mark.usefixtures("finalized")
@pytest.mark.parametrize(("given", "told"), MISPLACED.values(), ids=MISPLACED)
def test_initialize_says_where_what_is_no_delegate_belongs(given: object, told: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(told)):
        greenproc.initialize(given)  # type: ignore[arg-type]
    with pytest.raises(NoRuntime):
        greenproc.current_runtime()


@pytest.mark.usefixtures("finalized")
@pytest.mark.parametrize("start", [greenproc.initialize, greenproc.start_in_thread])
def test_what_is_no_settings_is_refused_before_anything_starts(
    start: Callable[..., object],
) -> None:
    with pytest.raises(InvalidArgument, match=r"^expected Settings, as in .*, got 5050$"):
        start(settings=5050)


@pytest.mark.usefixtures("finalized")
def test_initialize_tells_whether_it_started_the_default_runtime() -> None:
    assert greenproc.initialize() is True
    assert greenproc.initialize() is False
    assert greenproc.current_runtime() is default.runtime
    assert greenproc.address() == default.runtime.address


@pytest.mark.usefixtures("finalized")
def test_who_calls_initialize_while_another_does_waits_for_it() -> None:
    starting = [gevent.spawn(greenproc.initialize) for _ in range(3)]

    assert sorted(start.get() for start in starting) == [False, False, True]
    assert default.runtime.state.value == "running"


@pytest.mark.usefixtures("finalized")
def test_arguments_that_come_too_late_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    greenproc.initialize()
    greenproc.initialize()
    assert not caplog.records

    assert greenproc.initialize(ip="0.0.0.0") is False

    (record,) = caplog.records
    assert record.getMessage() == (
        "initialize() ignored its arguments, as the default runtime runs already: "
        "call it before the first spawn(), or finalize() first"
    )


@pytest.mark.usefixtures("finalized")
def test_default_runtime_listens_on_the_loopback_address() -> None:
    greenproc.initialize()

    assert greenproc.address().ip == bound_ip(default.runtime) == "127.0.0.1"


@pytest.mark.usefixtures("finalized")
def test_environment_opens_the_default_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBPROCESS_IP", "0.0.0.0")
    monkeypatch.setenv("LIBPROCESS_ADVERTISE_IP", "127.0.0.1")
    greenproc.initialize()

    assert bound_ip(default.runtime) == "0.0.0.0"


@pytest.mark.usefixtures("finalized")
def test_initialize_takes_the_settings_instead_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIBPROCESS_PORT", "99999")
    settings = Settings(advertise_port=80, port=99)

    assert greenproc.initialize(settings=settings, ip="127.0.0.2", port=0) is True

    assert str(greenproc.address()) == "127.0.0.2:80"
    assert default.runtime.settings == Settings(ip="127.0.0.2", port=0, advertise_port=80)


@pytest.mark.usefixtures("finalized")
def test_address_given_to_initialize_comes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIBPROCESS_IP", "127.0.0.3")
    monkeypatch.setenv("LIBPROCESS_ADVERTISE_PORT", "80")

    greenproc.initialize(ip="127.0.0.2")

    assert str(greenproc.address()) == "127.0.0.2:80"


def test_initialize_refuses_an_address_that_is_none() -> None:
    with pytest.raises(InvalidSettings, match="ip=nowhere"):
        greenproc.initialize(ip="nowhere")
    assert default.runtime is None


@pytest.mark.usefixtures("finalized")
def test_after_finalize_a_new_default_runtime_can_be_started() -> None:
    greenproc.initialize()
    first = default.runtime
    greenproc.finalize()
    assert default.runtime is None

    assert greenproc.initialize() is True
    assert default.runtime is not first


def test_finalize_without_a_default_runtime_does_nothing() -> None:
    greenproc.finalize()

    assert default.runtime is None


def test_the_default_runtime_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBPROCESS_PORT", "99999")

    with pytest.raises(InvalidSettings, match="LIBPROCESS_PORT=99999 is not a valid port"):
        greenproc.initialize()
    assert default.runtime is None


def test_a_runtime_of_ones_own_does_not_read_it(
    monkeypatch: pytest.MonkeyPatch, make_runtime: RuntimeMaker
) -> None:
    monkeypatch.setenv("LIBPROCESS_PORT", "99999")

    assert make_runtime(Settings(ip="127.0.0.1")).address.port != 99999


@pytest.mark.usefixtures("finalized")
def test_functions_act_on_the_default_runtime() -> None:
    greenproc.initialize(delegate="adder")
    adder = greenproc.spawn(Adder())

    assert greenproc.dispatch(adder, Adder.add, 2).get() == 2
    assert greenproc.defer(adder, Adder.add)(3).get() == 5
    assert greenproc.run_async(sum, [1, 2]).get() == 3
    assert greenproc.absolute_path("/total") == "/adder/total"
    assert greenproc.workers() == default.runtime.settings.num_worker_threads
    assert greenproc.signals() is default.runtime.signals
    greenproc.terminate(adder)
    assert greenproc.wait(adder) is True


def test_a_selected_runtime_comes_before_the_default_one(
    runtime: Runtime, finalized: None
) -> None:
    greenproc.initialize()

    assert greenproc.current_runtime() is runtime
    assert gevent.spawn(greenproc.current_runtime).get() is default.runtime


def test_handlers_act_on_the_runtime_of_their_process(make_runtime: RuntimeMaker) -> None:
    first, second = make_runtime(), make_runtime()

    def which(node: Runtime) -> object:
        return node.dispatch(node.spawn(Process()), greenproc.current_runtime).get()

    assert which(first) is first
    assert which(second) is second


PROGRAM = """
import greenproc
class Adder(greenproc.Process):
    def add(self, number): return number + 1
print(greenproc.dispatch(greenproc.spawn(Adder()), Adder.add, 1).get())
greenproc.finalize()
"""


def test_the_first_use_starts_the_default_runtime() -> None:
    with Program(sys.executable, "-c", PROGRAM) as program:
        result = program.finish()

    assert (result.code, result.out, result.err) == (0, "2\n", "")


ENDED_THREAD = """
import threading, greenproc
thread = threading.Thread(target=lambda: greenproc.spawn(greenproc.Process()))
thread.start()
thread.join()
try:
    greenproc.current_runtime()
except greenproc.errors.NoRuntime as error:
    print(error)
print(bool(greenproc.spawn(greenproc.Process())))
greenproc.finalize()
"""


def test_a_default_runtime_whose_thread_has_ended_is_none() -> None:
    with Program(sys.executable, "-c", ENDED_THREAD) as program:
        result = program.finish()
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{ENDED}\nTrue\n"
