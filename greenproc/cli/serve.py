"""``greenproc serve``: serves a WSGI app as a node."""

from __future__ import annotations

import argparse
import logging
import signal
import traceback
from operator import attrgetter
from typing import Any

from gevent import monkey

from greenproc.cli.options import Commands, add_command
from greenproc.cli.run import (
    LAST_SECONDS,
    add_node_flags,
    failed_import,
    load_module,
    read_settings,
    set_up_log,
    start,
)
from greenproc.cli.stop import StopSignals
from greenproc.errors import Failure, InvalidArgument
from greenproc.failures import FAILURES
from greenproc.process.base import Process
from greenproc.runtime.runtime import Runtime
from greenproc.wsgi import WSGIProcess

APP_ID = "__app__"
"""The id of the process of the app; underscores keep it clear of the app's URLs."""

logger = logging.getLogger("greenproc.cli")

EPILOG = """\
examples:
  greenproc serve shop:app --ip 127.0.0.1 --port 8000
  greenproc serve mysite.wsgi:application --monkey-patch
  greenproc serve "shop:create_app()"

The current folder is searched for MODULE first. APP is a WSGI callable, or with () behind it a
function that makes one. The first line on standard output is the URL, when the app can be reached.
Requests that name a process of the node, such as /help and /metrics, go there; all others go to
the app. When APP has an attribute "greenproc", it is called with the runtime before the first
request, to spawn the processes that the app works with.

Each request runs in a greenlet. So what waits in the app has to be gevent's: --monkey-patch makes
the standard library so, before the app is imported.

The node runs until SIGTERM, Ctrl-C or SIGHUP, which stop it in order: requests that are running
get three quarters of --stop-timeout to end; the signal runtime_draining tells those that wait that
they should. The exit code is 0 then, and 1 when something had to
be killed.

What the flags do not say is read from the environment, variables LIBPROCESS_*, such as
LIBPROCESS_PORT.
"""

FORM = "expected MODULE:APP, such as shop:app for the WSGI callable app of shop.py"


def add_parser(commands: Commands) -> None:
    """Register the subcommand and its options."""
    parser = add_command(commands, "serve", "serve a WSGI app as a node", EPILOG)
    parser.add_argument("target", metavar="MODULE:APP", help="the app to serve")
    parser.add_argument(
        "--monkey-patch",
        action="store_true",
        help="make the standard library cooperative before the app is imported",
    )
    add_node_flags(parser)
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Serve the app until a signal arrives; return the exit code.

    Raises:
        Failure: the stop killed a process.
    """
    settings = read_settings(arguments)
    if arguments.monkey_patch:
        monkey.patch_all()
    app = load_app(arguments.target)
    set_up_log(arguments)
    runtime = Runtime(settings, delegate=APP_ID)
    with StopSignals(settings.stop_timeout + LAST_SECONDS) as stop:
        start(runtime)
        try:
            with runtime.selected():
                spawn_app(runtime, app)
                print(f"http://{runtime.address}/", flush=True)
                stop.event.wait()
            if stop.received is not None:
                logger.info("stopping after %s", signal.Signals(stop.received).name)
        finally:
            runtime.signals.runtime_draining.emit(runtime)
            killed = runtime.stop()
    if killed:
        names = ", ".join(map(str, killed))
        raise Failure(f"killed after {settings.stop_timeout:g} s of stopping: {names}")
    return 0


def spawn_app(runtime: Runtime, app: Any) -> None:
    """Call the hook ``greenproc`` of *app*, which spawns its processes, then spawn the app.

    Raises:
        Failure: the hook raised; the traceback is on standard error.
    """
    spawn = getattr(app, "greenproc", None)
    if callable(spawn):
        try:
            spawn(runtime)
        except FAILURES as error:
            traceback.print_exception(error)
            raise Failure(
                f"the function greenproc of the app failed: {type(error).__name__}: {error}"
            ) from error
    runtime.spawn(WSGIProcess(APP_ID, app))


def load_app(target: str) -> Any:
    """Import the app *target*, which has the form ``MODULE:APP`` or ``MODULE:FACTORY()``.

    Raises:
        InvalidArgument: the module does not exist, or has no such callable.
        Failure: the import or the factory raised; the traceback is on standard error.
    """
    module_name, _, name = target.partition(":")
    is_path = "/" in module_name or module_name.endswith(".py")
    attribute = name.removesuffix("()")
    is_named = all(part.isidentifier() for part in attribute.split("."))
    if not module_name or not is_named or is_path:
        raise InvalidArgument(f"{FORM}, got {target!r}")
    module = load_module(module_name)
    try:
        found = attrgetter(attribute)(module)
    except AttributeError:
        callables = sorted(
            key for key, value in vars(module).items() if callable(value) and key[0] != "_"
        )
        there = f"; there are {', '.join(callables[:10])}" if callables else ""
        raise InvalidArgument(f"{attribute} does not exist in {module_name}{there}") from None
    if isinstance(found, type) and issubclass(found, Process):
        raise InvalidArgument(
            f"{name} of {module_name} is a Process, no WSGI app: use greenproc run "
            f"{module_name}:{attribute}"
        )
    if attribute != name:
        try:
            found = found()
        except FAILURES as error:
            raise failed_import(f"{target}, which makes the app,", error) from error
    if not callable(found):
        raise InvalidArgument(f"{name} of {module_name} is no WSGI app, got {found!r:.80}")
    return found
