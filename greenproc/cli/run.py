"""``greenproc run``: one process class as a node."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import traceback
from dataclasses import replace
from importlib import import_module
from types import ModuleType

from greenproc.cli.options import Commands, add_command
from greenproc.cli.stop import StopSignals
from greenproc.errors import BindError, Failure, InvalidArgument
from greenproc.pid import UPID
from greenproc.process.base import Process
from greenproc.runtime.runtime import Runtime
from greenproc.settings import Settings

EPILOG = """\
examples:
  greenproc run counter:Counter --ip 127.0.0.1 --port 5050
  greenproc run shop.orders:Orders --advertise-ip 203.0.113.7

The current folder is searched for MODULE first. CLASS is made without arguments. The first line
on standard output is the address of the process, id@ip:port.

The node runs until its process ends, or until SIGTERM or Ctrl-C, which stop it in order: its
processes serve what they have and finalize. A second signal kills it at once. The exit code is
0 after a stop and when the process terminated, 1 when it failed.

What the flags do not say is read from the environment, variables LIBPROCESS_*, such as
LIBPROCESS_PORT.
"""

FORM = "expected MODULE:CLASS, such as counter:Counter for the class Counter of counter.py"

ADVICE = {
    errno.EADDRINUSE: "choose another --port, or none to get a free one",
    errno.EADDRNOTAVAIL: "--ip must be an address of this host",
    errno.EACCES: "ports below 1024 need the rights of root",
}
"""What to do when the system refuses an address."""


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(commands, "run", "run a process class as a node", EPILOG)
    parser.add_argument("target", metavar="MODULE:CLASS", help="the class to run")
    parser.add_argument("--ip", help="address to listen at; 0.0.0.0, all of them, when not given")
    parser.add_argument("--port", type=int, help="port to listen at; a free one when not given")
    parser.add_argument("--advertise-ip", metavar="IP", help="address to tell others instead")
    parser.add_argument(
        "--advertise-port", metavar="PORT", type=int, help="port to tell others instead"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="log what the node does, on standard error"
    )
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Run the node until it is asked to stop, or its process ends."""
    settings = read_settings(arguments)
    process_class = load(arguments.target)
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    runtime = Runtime(settings)
    with StopSignals() as stop:
        start(runtime)
        with runtime.selected():
            try:
                return serve(runtime, process_class, stop)
            finally:
                runtime.stop()


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Return what the environment says, and the flags in its place where they are given."""
    names = ("ip", "port", "advertise_ip", "advertise_port")
    flags = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in flags.items() if value is not None}
    return replace(Settings.from_environ(os.environ), **given)


def load(target: str) -> type[Process]:
    """Import the class that *target* names.

    Raises:
        InvalidArgument: there is no such module, or no such process class in it.
        Failure: the module failed; its traceback was printed.
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
    """Import module *name*, from the current folder if it is there."""
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
    except Exception as error:
        raise failed_import(name, error) from error


def failed_import(name: str, error: Exception) -> Failure:
    """Print where *error* came from, and return what to raise."""
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
        BindError: with what to do about it.
    """
    try:
        runtime.start()
    except BindError as error:
        number = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
        if number not in ADVICE:
            raise
        raise BindError(f"{error}; {ADVICE[number]}") from error


def serve(runtime: Runtime, process_class: type[Process], stop: StopSignals) -> int:
    """Spawn the process, tell its address, and wait for its end or for a signal."""
    own = UPID()
    reasons: list[BaseException | None] = []

    def ended(_: object, pid: UPID, reason: BaseException | None) -> None:
        if pid == own:
            reasons.append(reason)
            stop.event.set()

    runtime.signals.process_terminated.connect(ended)
    own = runtime.spawn(make(process_class))
    if not own:
        raise Failure(f"{process_class.__name__} was not spawned: its id is taken")
    print(own, flush=True)
    stop.event.wait()
    if reasons and reasons[0] is not None:
        raise Failure(f"{own} failed: {type(reasons[0]).__name__}: {reasons[0]}")
    return 0


def make(process_class: type[Process]) -> Process:
    """Return a new object of *process_class*.

    Raises:
        Failure: its constructor raised; the traceback was printed.
    """
    try:
        return process_class()
    except Exception as error:
        traceback.print_exception(error)
        raise Failure(
            f"{process_class.__name__}() failed, which is called without arguments: "
            f"{type(error).__name__}: {error}"
        ) from error
