"""The protocols by which processes use the floors above them.

The process manager knows no sockets and no composition root; `greenproc.runtime` plugs both in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from gevent import Greenlet

from greenproc.address import Address
from greenproc.http.request import Request
from greenproc.message import Message
from greenproc.pid import UPID

if TYPE_CHECKING:
    from greenproc.process.recording import Recorder


class RemoteConnection(Enum):
    """Which connection a remote link uses.

    Source: libprocess include/process/process.hpp, ProcessBase::RemoteConnection.
    """

    REUSE = "reuse"
    """Use the connection to the address if there is one."""
    RECONNECT = "reconnect"
    """Open a new connection and move every link of the address onto it."""


class Delivery(Enum):
    """What became of a message or request that was handed to the local processes."""

    ACCEPTED = "accepted"
    """It is in a mailbox. Nothing tells whether a handler will run."""
    UNKNOWN = "unknown"
    """No running process has that id."""
    FULL = "full"
    """The mailbox is at its bound."""


ACCEPTED, UNKNOWN, FULL = Delivery  # a global is read five times faster than a member


UNKNOWN_RECEIVER = "no such process"
LATE_ANSWER = "late answer"
TERMINATED = "process terminated"
NOT_ACCEPTING = "takes no requests"

NO_ROOM = "its mailbox is full"
"""Why an ask ends, in words that follow those about it."""


class Transport(Protocol):
    """Carries messages to other nodes."""

    def send(self, message: Message) -> None:
        """Queue *message* for its address. Never waits for the peer and never raises."""

    def link(self, address: Address, mode: RemoteConnection, *, is_claimed: bool = False) -> None:
        """Keep a connection to *address* and report its loss.

        If it *is_claimed*, only the sender of a message has given the address, and opening the
        connection may have to wait until there are fewer of that kind.

        Raises:
            Broken: no socket could be made, or too many wait; existing connections are untouched.
        """


class ClientConnection(Protocol):
    """The connection that a request came on, as far as a handler may need it."""

    @property
    def local(self) -> Address | None:
        """The address that accepted it; None at a Unix socket."""

    def proceed(self) -> None:
        """Send ``100 Continue`` if the client still waits for that."""


class Gatekeeper(Protocol):
    """Authenticates and authorizes requests. It is called in a turn of the process, so both may return
    futures, and neither may wait.
    """

    @property
    def authorizes(self) -> bool:
        """Whether an authorization callback is set."""

    def authenticate(self, request: Request, realm: str) -> Any:
        """Return the principal of *request*, the `Response` that refuses it, or a future of either.

        The principal is None if *realm* requires no authentication.
        """

    def authorize(self, request: Request, principal: Any, id: str, path: str) -> Any:
        """Return whether *principal* may use the route *path* of the process *id*, or a future of it.

        Anything but True means no.
        """


class Supervised(Protocol):
    """One incarnation of a supervised process, as its supervisor keeps it. Nothing here waits."""

    @property
    def owner(self) -> object:
        """The same object for all incarnations."""

    @property
    def supervisor(self) -> UPID:
        """The address of the supervisor."""

    def keep_greenlet(self, greenlet: Greenlet[..., Any]) -> None:
        """Let *greenlet*, which helps the process, end with it."""

    def started(self) -> None:
        """``initialize`` has returned."""

    def hold(self) -> None:
        """The process ends: take the queued events that the next incarnation is to serve."""

    def ended(self, reason: BaseException | None) -> None:
        """The process is out of the registry, and its linkers were told."""


class Supervising(Protocol):
    """The children of a supervisor. Nothing here waits."""

    def asked_to_terminate(self) -> None:
        """A terminate event was queued for the supervisor, which may be waiting in a handler."""

    def ended(self) -> None:
        """The supervisor is out of the registry: no child outlives it."""

    def describe(self) -> Iterator[Any]:
        """Tell what there is to know about each child, in the order of their starts."""

    def count(self) -> Any:
        """Count the children."""

    def describe_limit(self) -> dict[str, Any]:
        """Return how children are restarted, and how often they were lately."""


class Observer(Protocol):
    """Is told what happens to processes, messages and links. Must neither raise nor wait."""

    @property
    def wants_sent(self) -> bool:
        """Whether `message_sent` is to be called."""

    @property
    def wants_delivered(self) -> bool:
        """Whether `message_delivered` is to be called."""

    @property
    def recorder(self) -> Recorder | None:
        """What looks at every event; then `wants_sent` and `wants_delivered` are true, too."""

    def use_recorder(self, recorder: Recorder | None) -> None:
        """Let *recorder* look at every event from now on; None ends that."""

    def watch_wants(self, changed: Callable[[], None]) -> None:
        """Call *changed* each time that these three may have changed."""

    def message_sent(self, message: Message) -> None:
        """A process, or the program, sends a message."""

    def message_delivered(self, message: Message) -> None:
        """A message is in the mailbox of a process."""

    def process_spawned(self, pid: UPID) -> None:
        """A process was registered; its `initialize` has not run yet."""

    def process_terminated(self, pid: UPID, reason: BaseException | None) -> None:
        """A process is out of the registry; *reason* is the error that ended it, if one did."""

    def process_failed(self, pid: UPID, event: object, error: BaseException) -> None:
        """A handler raised *error* while it served *event* (None: `initialize` or a stray throw)."""

    def message_dropped(self, message: Message, reason: str) -> None:
        """A message will not be handled."""

    def event_dropped(self, to: UPID, event: Any, sender: UPID, reason: str) -> None:
        """A dispatch or request for the process *to* will not be served; *sender* may be empty."""

    def mailbox_full(self, pid: UPID, policy: str) -> None:
        """The mailbox of *pid* is at its own limit, and *policy* decides what happens."""

    def link_made(self, linker: UPID, linkee: UPID) -> None:
        """*linker* watches *linkee*."""

    def link_lost(self, linker: UPID, linkee: UPID) -> None:
        """*linker* was told that *linkee* is gone."""
