"""Every exception that greenproc raises on purpose.

::

    GreenprocError
    ├── InvalidArgument          (also ValueError)
    │   ├── InvalidAddress
    │   ├── InvalidPID
    │   ├── InvalidSettings
    │   ├── InvalidToken
    │   └── InvalidURL
    ├── WaitTimeout              (also TimeoutError)
    │   ├── AskTimeout
    │   └── NotSettled
    ├── TooManyAsks
    ├── NoRuntime                (also RuntimeError)
    ├── StateError               (also RuntimeError)
    │   └── ChildError
    ├── Deadlock                 (also RuntimeError)
    ├── BindError                (also OSError)
    ├── Closed
    ├── Broken
    ├── StartFailed
    ├── RestartLimit
    ├── ProtocolError            (carries an HTTP status)
    │   ├── LocalProtocolError
    │   └── RemoteProtocolError
    │       ├── InvalidBody      (also ValueError)
    │       └── InvalidMessage   (also ValueError)
    └── FutureError
        ├── Failure
        ├── Discarded            (also concurrent.futures.CancelledError)
        └── Abandoned

They are named by cause: `Closed` is what you did, `Broken` what the peer or the network did.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenproc.pid import UPID


class GreenprocError(Exception):
    """The base of all errors of greenproc."""


class InvalidArgument(GreenprocError, ValueError):
    """An argument has a value that nothing can be done with."""


class InvalidAddress(InvalidArgument):
    """A text or a pair is no IP address with a port."""


class InvalidPID(InvalidArgument):
    """A text is no UPID, or its host name has no address."""


class InvalidSettings(InvalidArgument):
    """A setting or an environment variable has a value out of its range."""


class InvalidToken(InvalidArgument):
    """A text is no JSON Web Token, or one that is expired or not signed as it should be."""


class InvalidURL(InvalidArgument):
    """A text is no URL, or its percent-encoding is broken."""


class WaitTimeout(GreenprocError, TimeoutError):
    """What was waited for did not happen in the time given."""


class AskTimeout(WaitTimeout):
    """An ask had no answer in its time; the message names what was asked, and of which process."""


class TooManyAsks(GreenprocError):
    """An ask was not sent, since as many are open as `Settings.max_open_asks` allows."""


class NotSettled(WaitTimeout):
    """Settling gave up; the message names who was still busy."""


class NoRuntime(GreenprocError, RuntimeError):
    """A function needs a runtime, and there is neither a current nor a default one."""


class StateError(GreenprocError, RuntimeError):
    """An operation does not fit the state of its object, such as a start after a stop."""


class ChildError(StateError):
    """A call to a supervisor does not fit the state of the child that it names."""


class StartFailed(GreenprocError):
    """A child of a supervisor did not start; the cause is what its factory or process raised.

    Source: Erlang/OTP supervisor, the reason ``failed_to_start_child``.
    """

    child: str
    """The id of the child."""
    supervisor: UPID | None
    """The address of its supervisor."""

    def __init__(self, message: str, *, child: str = "", supervisor: UPID | None = None) -> None:
        super().__init__(message)
        self.child = child
        self.supervisor = supervisor


class RestartLimit(GreenprocError):
    """A supervisor gave up: one of its children needed more restarts than are allowed.

    The cause is the reason of the last end.

    Source: Erlang/OTP supervisor, ``reached_max_restart_intensity``. Differs: that ends with the
    reason ``shutdown``, which a transient supervisor is not restarted after.
    """

    supervisor: UPID | None
    """Its address."""
    child: str
    """The id of the child that is not restarted any more."""
    restarts: int
    """How many were allowed ..."""
    within: float
    """... in so many seconds."""

    def __init__(
        self,
        message: str,
        *,
        supervisor: UPID | None = None,
        child: str = "",
        restarts: int = 0,
        within: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.supervisor = supervisor
        self.child = child
        self.restarts = restarts
        self.within = within


class Deadlock(GreenprocError, RuntimeError):
    """A wait could never end, such as a process waiting for itself."""


class BindError(GreenprocError, OSError):
    """The server's address could not be bound."""


class Closed(GreenprocError):
    """An object was used after this side had closed it."""


class Broken(GreenprocError):
    """The peer or the network ended a connection or a stream."""


class ProtocolError(GreenprocError):
    """Somebody broke the rules of HTTP or of the libprocess protocol."""

    status: int
    """The HTTP status that suits the mistake."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class LocalProtocolError(ProtocolError):
    """This side asked for something that must not be put on the wire."""

    def __init__(self, message: str, *, status: int = 500) -> None:
        super().__init__(message, status=status)


class RemoteProtocolError(ProtocolError):
    """The peer sent something that breaks the protocol or exceeds a limit."""


class InvalidBody(RemoteProtocolError, ValueError):
    """The body of a request or of a response is not what it was read as, such as JSON.

    Out of the handler of that very request it is a 400 to the client, with its text.
    """

    def __init__(self, message: str, request: object = None) -> None:
        super().__init__(message)
        self.request = request


class InvalidMessage(RemoteProtocolError, ValueError):
    """The body of a message is not a value of the type that its receiver takes.

    Args:
        message: what was expected and what came.
        path: where in the value the fault is, such as ``$.port``; ``$`` is the whole of it.
    """

    path: str
    """Where in the value the fault is."""

    def __init__(self, message: str, path: str = "$") -> None:
        super().__init__(message)
        self.path = path

    def __reduce__(self) -> tuple[type[InvalidMessage], tuple[str, str]]:
        return type(self), (str(self), self.path)


class FutureError(GreenprocError):
    """A future ended without a value."""


class Failure(FutureError):
    """A future failed for the reason that the text gives.

    It may be raised, returned by a continuation, or made by ``Promise.fail("text")``.

    Source: libprocess include/process/future.hpp, struct Failure.
    """


class Discarded(FutureError, CancelledError):
    """A future was discarded, usually because somebody asked for it."""

    def __init__(self, message: str = "the future was discarded") -> None:
        super().__init__(message)


class Abandoned(FutureError):
    """The promise of a future is gone, so the future can never complete by itself.

    That of a dispatch says which process does not serve it, and why.
    """

    def __init__(self, message: str = "the future was abandoned") -> None:
        super().__init__(message)
