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

The classes are named by cause: `Closed` for an operation of this side, `Broken` for the peer or
the network.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenproc.pid import UPID


class GreenprocError(Exception):
    """The base of all errors of greenproc."""


class InvalidArgument(GreenprocError, ValueError):
    """An argument has an invalid value; the text gives the expected and the actual one."""


class InvalidAddress(InvalidArgument):
    """A text or a pair is not an IP address with a port."""


class InvalidPID(InvalidArgument):
    """A text is not a UPID, or its host name has no address."""


class InvalidSettings(InvalidArgument):
    """A setting or an environment variable has a value out of its range."""


class InvalidToken(InvalidArgument):
    """A text is not a JSON Web Token, or the token is expired or its signature invalid."""


class InvalidURL(InvalidArgument):
    """A text is not a URL, or its percent-encoding is malformed."""


class WaitTimeout(GreenprocError, TimeoutError):
    """A wait ended by its timeout."""


class AskTimeout(WaitTimeout):
    """An ask had no answer before its timeout; the text names the message and the receiver."""


class TooManyAsks(GreenprocError):
    """An ask was not sent: the number of open asks has reached `Settings.max_open_asks`."""


class NotSettled(WaitTimeout):
    """`settle` reached its timeout; the text names the processes that were still busy."""


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
    """A supervisor terminated because its children exceeded the limit of restarts.

    The cause is the reason of the last termination of a child.

    Source: Erlang/OTP supervisor, ``reached_max_restart_intensity``. Differs: OTP uses the
    reason ``shutdown``, after which a transient supervisor is not restarted.
    """

    supervisor: UPID | None
    """The address of the supervisor."""
    child: str
    """The id of the child whose restart exceeded the limit."""
    restarts: int
    """The limit: this number of restarts ..."""
    within: float
    """... in this number of seconds."""

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
    """A wait that cannot end, such as that of a process for itself, was refused."""


class BindError(GreenprocError, OSError):
    """The server's address could not be bound."""


class Closed(GreenprocError):
    """An object was used after this side had closed it."""


class Broken(GreenprocError):
    """The peer or the network ended a connection or a stream."""


class ProtocolError(GreenprocError):
    """HTTP or the libprocess protocol was violated."""

    status: int
    """The HTTP status of a response to the violation."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class LocalProtocolError(ProtocolError):
    """This side was about to violate the protocol."""

    def __init__(self, message: str, *, status: int = 500) -> None:
        super().__init__(message, status=status)


class RemoteProtocolError(ProtocolError):
    """The peer violated the protocol or exceeded a limit."""


class InvalidBody(RemoteProtocolError, ValueError):
    """The body of a request or of a response cannot be parsed, for example as JSON.

    Raised by the handler of the same request, it is answered with 400 and its text.
    """

    def __init__(self, message: str, request: object = None) -> None:
        super().__init__(message)
        self.request = request


class InvalidMessage(RemoteProtocolError, ValueError):
    """The body of a message cannot be decoded to the type of its handler.

    Args:
        message: the expected and the actual value.
        path: where the decoding failed, such as ``$.port``; ``$`` is the whole value.
    """

    path: str
    """Where in the value the decoding failed."""

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
    """A future was discarded, usually on request."""

    def __init__(self, message: str = "the future was discarded") -> None:
        super().__init__(message)


class Abandoned(FutureError):
    """The promise of a future is gone, so that the future cannot complete.

    The text of a dispatch names the process that does not serve it, and the reason.
    """

    def __init__(self, message: str = "the future was abandoned") -> None:
        super().__init__(message)
