"""``greenproc run``: runs one process class as a node."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import signal
import sys
import traceback
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import gevent

from greenproc.cli.options import Commands, add_command, port, port_to_tell, seconds
from greenproc.cli.stop import StopSignals
from greenproc.errors import BindError, Failure, InvalidArgument
from greenproc.failures import FAILURES
from greenproc.logs import JSONFormatter, ProcessFilter
from greenproc.pid import UPID
from greenproc.process.base import Process
from greenproc.runtime.runtime import Runtime
from greenproc.settings import Settings

STOP_TIMEOUT = 8.0
"""Seconds; below the 10 that Docker waits before SIGKILL."""

LAST_SECONDS = 1.5
"""Seconds for the killing of processes after that; then the OS process exits in any case."""

logger = logging.getLogger("greenproc.cli")

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: [%(upid)s] %(message)s"

EPILOG = """\
examples:
  greenproc run counter:Counter --ip 127.0.0.1 --port 5050
  greenproc run shop.orders:Orders --advertise-ip 203.0.113.7

The current folder is searched for MODULE first. CLASS is made without arguments. The first line
on standard output is the address of the process, id@ip:port, when its initialize() has returned.

The node runs until its process ends, or until SIGTERM, Ctrl-C or SIGHUP, which stop it in order:
its processes serve what they have and finalize; those that take longer than --stop-timeout are
killed. A second SIGTERM or Ctrl-C kills it at once. Under nohup it ignores SIGHUP.

The exit code is 0 after a stop and when the process terminated, 1 when a process failed or was
killed.

What the flags do not say is read from the environment, variables LIBPROCESS_*, such as
LIBPROCESS_PORT.
"""

FORM = "expected MODULE:CLASS, such as counter:Counter for the class Counter of counter.py"

ADVICE = {
    errno.EADDRINUSE: "choose another --port, or none to get a free one",
    errno.EADDRNOTAVAIL: "--ip must be an address of this host",
    errno.EACCES: "ports below 1024 need the rights of root",
}
"""The advice for each error number of ``bind``."""


def add_parser(commands: Commands) -> None:
    """Register the subcommand and its options."""
    parser = add_command(commands, "run", "run a process class as a node", EPILOG)
    parser.add_argument("target", metavar="MODULE:CLASS", help="the class to run")
    add_node_flags(parser)
    parser.set_defaults(command=command)


def add_node_flags(parser: argparse.ArgumentParser) -> None:
    """Add the options of a node: addresses, stop timeout and log."""
    parser.add_argument(
        "--ip", help="address to listen at; 127.0.0.1 when not given, 0.0.0.0 is all of them"
    )
    parser.add_argument("--port", type=port, help="port to listen at; a free one when not given")
    parser.add_argument("--advertise-ip", metavar="IP", help="address to tell others instead")
    parser.add_argument(
        "--advertise-port", metavar="PORT", type=port_to_tell, help="port to tell others instead"
    )
    parser.add_argument(
        "--stop-timeout",
        metavar="S",
        type=seconds,
        help=f"how many seconds stopping may take; {STOP_TIMEOUT:g} when not given",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="log what the node does, on standard error"
    )
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="how the log is written: lines of text, or one JSON object a line",
    )


def command(arguments: argparse.Namespace) -> int:
    """Run the node until a signal stops it or its process ends; return the exit code.

    Raises:
        Failure: the process failed or was killed, or the stop killed a process.
    """
    settings = read_settings(arguments)
    process_class = load(arguments.target)
    set_up_log(arguments)
    runtime = Runtime(settings)
    with StopSignals(settings.stop_timeout + LAST_SECONDS) as stop:
        start(runtime)
        with runtime.selected():
            run_node(runtime, process_class, stop)
    return 0


def set_up_log(arguments: argparse.Namespace) -> None:
    """Log to standard error with the id of the process, warnings only without ``--verbose``."""
    handler = logging.StreamHandler()
    handler.addFilter(ProcessFilter())
    if arguments.log_format == "json":
        handler.setFormatter(JSONFormatter())
    else:
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
    level = logging.DEBUG if arguments.verbose else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler])


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings of the environment, overridden by the options."""
    names = ("ip", "port", "advertise_ip", "advertise_port", "stop_timeout")
    flags = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in flags.items() if value is not None}
    defaults = {"LIBPROCESS_STOP_TIMEOUT": f"{STOP_TIMEOUT:g}secs"}
    return replace(Settings.from_environ({**defaults, **os.environ}), **given)


def load(target: str) -> type[Process]:
    """Import the process class *target*, which has the form ``MODULE:CLASS``.

    Raises:
        InvalidArgument: the module does not exist, or has no such process class.
        Failure: the import of the module raised; the traceback is on standard error.
    """
    module_name, _, class_name = target.partition(":")
    is_path = "/" in module_name or module_name.endswith(".py")
    if not module_name or not class_name.isidentifier() or is_path:
        raise InvalidArgument(f"{FORM}, got {target!r}")
    module = load_module(module_name)
    found = getattr(module, class_name, None)
    if isinstance(found, type) and issubclass(found, Process):
        return found
    known = ", ".join(process_classes(module)) or "none"
    what = "is no Process" if hasattr(module, class_name) else "does not exist"
    raise InvalidArgument(f"{class_name} {what} in {module_name}; process classes there: {known}")


def load_module(name: str) -> ModuleType:
    """Import module *name*; the current folder comes first on the path.

    Raises:
        InvalidArgument: the module, or a module that it imports, does not exist.
        Failure: the import raised; the traceback is on standard error.
    """
    folder = os.getcwd()  # noqa: PTH109 -- sys.path holds texts
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise InvalidArgument(
                f"no module named {error.name!r} in {folder} or on the path of Python: "
                "change to its folder, or set PYTHONPATH"
            ) from None
        raise failed_import(name, error) from error
    except FAILURES as error:
        raise failed_import(name, error) from error


def failed_import(name: str, error: BaseException) -> Failure:
    """Print the traceback of *error* and return the `Failure` to raise."""
    traceback.print_exception(error)
    return Failure(f"importing {name} failed: {type(error).__name__}: {error}")


def process_classes(module: ModuleType) -> list[str]:
    """Return the names of the process classes that *module* defines."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Process)
        and value.__module__ == module.__name__
    ]


def start(runtime: Runtime) -> None:
    """Start *runtime*.

    Raises:
        BindError: the address cannot be bound; the message ends with advice.
    """
    try:
        runtime.start()
    except BindError as error:
        number = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
        if number not in ADVICE:
            raise
        raise BindError(f"{error}; {ADVICE[number]}") from error


def run_node(runtime: Runtime, process_class: type[Process], stop: StopSignals) -> None:
    """Run the process until it ends or a signal arrives, then stop the node.

    Raises:
        Failure: the process failed or was killed, or the stop killed a process.
    """
    node = Node(runtime, stop)
    try:
        node.spawn(make(process_class))
        node.announce()
        stop.event.wait()
        if stop.received is not None:
            logger.info("stopping after %s", signal.Signals(stop.received).name)
    finally:
        killed = runtime.stop()
    if killed:
        names = ", ".join(map(str, killed))
        raise Failure(f"killed after {runtime.settings.stop_timeout:g} s of stopping: {names}")
    if node.reason is not None:
        raise Failure(f"{node.pid} {describe(node.reason)}")


class Node:
    """The process of the command and the reason of its end."""

    def __init__(self, runtime: Runtime, stop: StopSignals) -> None:
        self.pid = UPID()
        self.reason: BaseException | None = None
        """The reason of the end; None while the process runs and after a normal termination."""
        self._runtime = runtime
        self._stop = stop
        runtime.signals.process_terminated.connect(self._end)

    def spawn(self, process: Process) -> None:
        """Spawn *process* and observe its end.

        Raises:
            Failure: another process has the same id.
        """
        self.pid = self._runtime.spawn(process)
        if not self.pid:
            raise Failure(f"{type(process).__name__} was not spawned: its id is taken")

    def announce(self) -> None:
        """Print the address once the process is initialized; a failed one prints nothing."""
        # A process serves its first event after initialize() has returned.
        initialized = self._runtime.dispatch(self.pid, nothing)
        either: list[Any] = [initialized, self._stop.event]
        gevent.wait(either, count=1)
        is_stopped = self._stop.received is not None
        if self.reason is None and not (is_stopped and initialized.is_pending):
            print(self.pid, flush=True)

    def _end(self, _: object, pid: UPID, reason: BaseException | None) -> None:
        if pid == self.pid:
            self.reason = reason
            self._stop.event.set()


def nothing() -> None:
    """Do nothing; its dispatch proves that the process serves events."""


def describe(reason: BaseException) -> str:
    """Return *reason* as the predicate of an error message."""
    if isinstance(reason, gevent.GreenletExit):
        return "was killed"
    return f"failed: {type(reason).__name__}: {reason}"


def make(process_class: type[Process]) -> Process:
    """Construct *process_class* without arguments.

    Raises:
        Failure: the constructor raised; the traceback is on standard error.
    """
    try:
        return process_class()
    except FAILURES as error:
        traceback.print_exception(error)
        raise Failure(
            f"{process_class.__name__}() failed, which is called without arguments: "
            f"{type(error).__name__}: {error}"
        ) from error
