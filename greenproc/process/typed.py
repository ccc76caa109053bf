"""Typed message handlers: bodies are decoded before the call, results are sent as answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from inspect import isclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from greenproc.errors import InvalidArgument, InvalidMessage
from greenproc.failures import FAILURES, FailureLog
from greenproc.future import Future
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.dropping import drop_message
from greenproc.typed import Codec, codec_of

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

logger = logging.getLogger("greenproc.process")
failure_log = FailureLog(logger)

T = TypeVar("T")
Handler: TypeAlias = Callable[[UPID, T], object]
"""A message handler: called with the sender and the body."""

MAX_NAME = 80  # characters of a message name in the log

UNDECODED: Final = "body not decoded"
"""The reason with which a message is dropped when its body does not decode."""


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """The name and the types of the messages of a handler.

    Without a codec, the handler receives the bodies as bytes.
    """

    name: str
    codec: Codec[Any] | None
    returns: Codec[Any] | None = None
    """The codec of the answer that the handler returns; None if it returns no answer."""

    @classmethod
    def checked(cls, name: Any, type: Any, returns: Any = None) -> MessageOptions:
        """Return the options of a handler after checking them.

        Args:
            name: the message name, or the type of the bodies if that determines the name.
            type: the type of the bodies; None for bytes.
            returns: the type of the answer; None for no answer.

        Raises:
            InvalidArgument: a type is not supported, or does not determine a name.
        """
        answers = None if returns is None else codec_of(returns)
        if isinstance(name, str):
            return cls(name, None if type is None else codec_of(type), answers)
        if type is not None or not isclass(name):
            raise InvalidArgument(
                "expected a message name, as in @install('ping'), or the class of its bodies, got "
                f"{name!r}"
            )
        codec: Codec[Any] = codec_of(name)
        return cls(codec.name, codec, answers)

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that decodes the body and then calls *function*.

        A message whose body does not decode is dropped and reported without that call.

        Args:
            function: called with the process, the sender and the decoded value.
        """
        if self.returns is not None:
            function = _answer_with(function, self.name, self.returns)
        if self.codec is None:
            return function
        codec, name, attempt = self.codec, self.name, self.codec.attempt

        @wraps(function)
        def handle(process: Any, sender: UPID, body: bytes) -> Any:
            try:
                value = attempt(body)
            except FAILURES as error:
                try:
                    value = codec.recover(body, error)
                except InvalidMessage as fault:
                    message = Message(name, sender, process.pid, body)
                    _report(process.runtime.processes, message, fault)
                    return None
            return function(process, sender, value)

        return handle

    def bind(self, handler: Callable[..., Any], process: Any) -> Callable[..., Any]:
        """Return a function that decodes the body and then calls *handler*.

        Args:
            handler: called with the sender and the decoded value.
            process: the process of the handler.
        """
        if self.codec is None and self.returns is None:
            return handler
        handle = self.wrap(lambda _, sender, value: handler(sender, value))
        return lambda sender, body: handle(process, sender, body)


def _report(manager: ProcessManager, message: Message, error: InvalidMessage) -> None:
    """Drop and report a message whose body does not decode, because of *error*.

    A malformed body is logged at debug level: any sender can produce one. An exception of the
    program's own classes during decoding is logged as a failure of the program.
    """
    name = message.name[:MAX_NAME]
    text = f"{message.to} dropped {name!r} from {message.sender}, at {error.path}: {error}"
    cause = error.__cause__
    if cause is None or isinstance(cause, (ValueError, RecursionError, OverflowError)):
        logger.debug("%s", text)
    else:
        failure_log.add(text, error)
    why = f"its handler cannot take the body, at {error.path}: {error}"
    drop_message(manager, message, UNDECODED, why)


def _answer_with(function: Callable[..., Any], name: str, codec: Codec[Any]) -> Callable[..., Any]:
    """Return a function that calls *function* and sends its result as the answer.

    A returned future is followed, and its value is sent in a turn of the process. An error fails
    the ask: the text of a `Failure` is sent with it, of other errors only the class.

    Args:
        function: called with the process, the sender and the body.
        name: the name of the answer.
        codec: encodes the answer.
    """

    @wraps(function)
    def handle(process: Any, sender: UPID, body: Any) -> None:
        try:
            result = function(process, sender, body)
            if not isinstance(result, Future):
                process.send(sender, name, codec.encode(result))
                return
        except FAILURES as error:
            process.runtime.processes.asks.refuse(process.pid, sender, name, error)
            raise
        late = partial(_answer_late, process, sender, name, codec)
        result.add_done_callback(process.defer(late))

    return handle


def _answer_late(
    process: Any, sender: UPID, name: str, codec: Codec[Any], result: Future[Any]
) -> None:
    """Send the value of *result* as the answer, or fail the ask if it has none."""
    try:
        process.send(sender, name, codec.encode(result.get()))
    except FAILURES as error:
        process.runtime.processes.asks.refuse(process.pid, sender, name, error)
        if result.is_ready:  # the value does not encode, which is an error of the handler
            raise
