"""The data of a process page: its mailbox, links, handlers, memory and stack."""

from __future__ import annotations

import gc
import sys
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any, Final

from gevent import getcurrent

from greenproc.builtin.help import is_builtin, route_options
from greenproc.builtin.mailbox_summary import served
from greenproc.builtin.recorder import MAX_TEXT, Watch, call_name
from greenproc.hub.iteration_budget import yield_if_spent
from greenproc.message import Message
from greenproc.patterns.state_machine import StateMachine, behaviours_of
from greenproc.pid import UPID
from greenproc.process.base import Process
from greenproc.process.event import DispatchEvent, HttpEvent
from greenproc.process.mailbox import Item
from greenproc.process.manager import ProcessManager
from greenproc.process.quota import weigh_item
from greenproc.process.record import BLOCKED, BOTTOM, TERMINATING, ProcessRecord

MAX_COUNTED = 10_000
"""The number of queued events that are classified and sized, the oldest ones: about 5 ms."""

MAX_NAMES = 10
"""The number of event names with a count of their own, the most frequent ones."""

MAX_LISTED = 100
"""The maximum length of each list of links, handlers, routes or delegates."""

MAX_FRAMES = 12
"""The maximum number of stack frames, the innermost ones."""

MAX_OBJECTS = 5_000
"""The maximum number of measured objects: about 2 ms."""

_CALLER: Final = "greenproc.process.runner"
"""The module that calls handlers; frames outside of that call belong to the runtime."""

_OWN: Final = "greenproc.process."

_UNMEASURED: Final = (type, ModuleType, FunctionType, BuiltinFunctionType)

_CONTAINERS: Final = {dict, list, tuple, set, frozenset, deque}

_BUILTIN: Final = _CONTAINERS | {str, bytes, bytearray, int, float, complex, bool}


def describe_process(
    manager: ProcessManager, record: ProcessRecord, process: Process, watch: Watch | None
) -> dict[str, Any]:
    """Return the state of *process*, read without a dispatch, so that a busy one is shown too.

    Yields to the hub between the slow parts, so the process may end meanwhile.

    Args:
        watch: the recording of the process; None without one.
    """
    now = manager.clock.now(None)
    mailbox = _mailbox(record, watch, now)
    yield_if_spent()
    memory = object_bytes(process)
    yield_if_spent()
    return {
        "id": record.pid.id,
        "upid": str(record.pid),
        "class": f"{type(process).__module__}.{type(process).__qualname__}"[:MAX_TEXT],
        "time": now,
        "state": record.state.value,
        "doing": doing(record),
        "builtin": is_builtin(process),
        "supervisor": None if record.supervised is None else record.supervised.supervisor.id,
        "supervises": record.supervising is not None,
        "served": served(record),
        "handling": _handling(record),
        "stack": stack_of(record),
        "mailbox": mailbox,
        "links": _links(manager, record),
        "in_state": process.state.name[:MAX_TEXT] if isinstance(process, StateMachine) else None,
        "handlers": _part(_handlers(record, process)),
        "routes": _part(_routes(process)),
        "delegates": _part(
            {"name": name[:MAX_TEXT], **_peer(manager, pid)}
            for name, pid in (record.delegates or {}).items()
        ),
        "memory": memory,
        "recording": None if watch is None else watch.to_json(now),
    }


def doing(record: ProcessRecord) -> str:
    """Return the scheduling state of *record* in one word."""
    if record.state is TERMINATING:
        return "ending"
    if record.greenlet is getcurrent():
        return "running"
    if record.serving:
        return "waiting"  # inside a handler
    if record.state is BOTTOM:
        return "starting"
    return "idle" if record.state is BLOCKED else "ready"


def stack_of(record: ProcessRecord) -> list[str] | None:
    """Return the stack of the handler that the greenlet of *record* waits in, innermost first.

    None if no handler waits: the process is idle, ready, or running this function.
    """
    greenlet = record.greenlet
    frame: FrameType | None = getattr(greenlet, "gr_frame", None)
    if frame is None or not (record.serving or record.state in (BOTTOM, TERMINATING)):
        return None
    frames = list(islice(_frames(frame), MAX_FRAMES))
    while len(frames) > 1 and frames[-1][0].startswith(_OWN):
        frames.pop()  # the caller of the handler
    return [f"{module}.{function}"[-MAX_TEXT:] for module, function in frames]


def _frames(frame: FrameType | None) -> Iterator[tuple[str, str]]:
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if module == _CALLER:
            return
        yield str(module)[:MAX_TEXT], f"{frame.f_code.co_qualname}:{frame.f_lineno}"
        frame = frame.f_back


def _handling(record: ProcessRecord) -> dict[str, str] | None:
    message = record.message
    if message is None:
        return None
    sender = "" if message.sender.is_empty else str(message.sender)
    return {"name": message.name[:MAX_TEXT], "from": sender[:MAX_TEXT]}


def _mailbox(record: ProcessRecord, watch: Watch | None, now: float) -> dict[str, Any]:
    queued = record.events or ()
    # No switch occurs here, so the queue cannot change.
    counted = list(islice(queued, MAX_COUNTED))
    names = Counter(map(name_of, counted))
    age = None if watch is None or not queued else watch.arrivals.age(len(queued), now)
    limit = None if record.bound is None else record.bound.limit
    return {
        "queued": len(queued),
        "counted": len(counted),
        "by_kind": dict(Counter(kind_of(item) for item in counted)),
        "by_name": [
            {"kind": kind, "name": name, "queued": count}
            for (kind, name), count in names.most_common(MAX_NAMES)
        ],
        "bytes": sum(map(weigh_item, counted)),
        "postponed": 0 if record.postponed is None else len(record.postponed.messages),
        "oldest_secs": None if age is None else age[0],
        "oldest_is_older": age is not None and not age[1],
        "limit": None
        if limit is None
        else {"events": limit.events, "bytes": limit.bytes, "when_full": limit.when_full},
    }


def kind_of(item: Item) -> str:
    """Return the kind of *item*, as in its JSON form."""
    return "MESSAGE" if isinstance(item, Message) else item.kind


def name_of(item: Item) -> tuple[str, str]:
    """Return the kind of *item*, and its message name, method or path."""
    if isinstance(item, Message):
        return "MESSAGE", item.name[:MAX_TEXT]
    if isinstance(item, DispatchEvent):
        return item.kind, call_name(item.method)[:MAX_TEXT]
    if isinstance(item, HttpEvent):
        return item.kind, f"{item.request.method} {item.request.url.path}"[:MAX_TEXT]
    return item.kind, ""


def _links(manager: ProcessManager, record: ProcessRecord) -> dict[str, Any]:
    table = manager.linking.table
    linkees, linkers = table.linkees(record), table.linkers(record.pid)
    return {
        "to": _part((_peer(manager, pid) for pid in linkees), linkees),
        "from": _part((_peer(manager, linker.pid) for linker in linkers), linkers),
    }


def _peer(manager: ProcessManager, pid: UPID) -> dict[str, Any]:
    """Return *pid* for the page; only a process of this node gets a link to its page."""
    return {
        "upid": str(pid)[:MAX_TEXT],
        "id": pid.id[:MAX_TEXT],
        "is_here": manager.find_record(pid) is not None,
    }


def _part(items: Iterable[Any], all_of_them: Collection[Any] | None = None) -> dict[str, Any]:
    """Return the first 100 of *items* and their total number."""
    if all_of_them is None:
        items = all_of_them = list(items)
    return {"listed": list(islice(items, MAX_LISTED)), "total": len(all_of_them)}


def _handlers(record: ProcessRecord, process: Process) -> list[str]:
    names = {*record.declared, *(record.handlers or ())}
    if isinstance(process, StateMachine):
        for state, behaviour in behaviours_of(process).items():
            names.update(f"{name[:MAX_TEXT]} in {state.name}" for name in behaviour.handlers)
    return sorted(name[:MAX_TEXT] for name in names)


def _routes(process: Process) -> Iterator[dict[str, Any]]:
    for one in sorted(route_options(process), key=lambda one: one.path):
        methods = None if one.methods is None else list(one.methods)
        yield {"path": one.path[:MAX_TEXT], "methods": methods, "realm": one.realm}


def object_bytes(process: Process) -> dict[str, Any]:
    """Return the size of *process*, its attributes and, recursively, the items of containers.

    An object of another class counts without its referents, which the whole program may share.
    No method of the program is called, and no switch occurs.
    """
    seen = {id(process)}
    pending: deque[Any] = deque(gc.get_referents(process))
    total = object.__sizeof__(process)
    while pending and len(seen) < MAX_OBJECTS:
        one = pending.popleft()
        kind = type(one)
        if one is None or id(one) in seen or issubclass(kind, _UNMEASURED):
            continue
        seen.add(id(one))
        # Other types may define __sizeof__, which would be code of the program.
        total += sys.getsizeof(one) if kind in _BUILTIN else object.__sizeof__(one)
        if kind in _CONTAINERS:
            items = chain(one.keys(), one.values()) if kind is dict else one
            # One above the limit, so that truncation is detected.
            pending.extend(islice(items, MAX_OBJECTS - len(seen) + 1))
    return {"object_bytes": total, "objects": len(seen), "is_partial": bool(pending)}


def as_text(told: dict[str, Any]) -> str:
    """Return the result of `describe_process` as plain text for a terminal."""
    mailbox, memory, links = told["mailbox"], told["memory"], told["links"]
    lines = [
        f"process {told['upid']}, {told['class']}",
        f"{told['state']}, {told['doing']}; {told['served']} events served",
        *([] if told["in_state"] is None else [f"in state {told['in_state']}"]),
        f"{mailbox['queued']} events queued, {mailbox['bytes']} bytes",
        f"the object has {memory['object_bytes']} bytes",
    ]
    sections: list[tuple[str, list[str]]] = [
        ("QUEUED", [f"{one['queued']} {one['kind']} {one['name']}" for one in mailbox["by_name"]]),
        ("WAITS IN", told["stack"] or []),
        ("LINKS TO", [one["upid"] for one in links["to"]["listed"]]),
        ("LINKED BY", [one["upid"] for one in links["from"]["listed"]]),
        ("HANDLERS", told["handlers"]["listed"]),
        ("ROUTES", [one["path"] for one in told["routes"]["listed"]]),
        ("DELEGATES", [f"{one['name']} {one['upid']}" for one in told["delegates"]["listed"]]),
    ]
    for title, listed in sections:
        if listed:
            lines += ["", title, *(f"  {one}".rstrip() for one in listed)]
    return "\n".join(map(_printable, lines)) + "\n"


def _printable(line: str) -> str:
    """Return *line* without control characters, which a terminal would execute."""
    return "".join(one if one.isprintable() else "\ufffd" for one in line)
