"""Handlers that take the bodies of messages as values of a type, and whose results are answers."""

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
"""Is called with the sender and the body of a message."""

MAX_NAME = 80  # how much of a name is logged

UNDECODED: Final = "body not decoded"
"""Why a message is dropped that its handler cannot take."""


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """Which messages a handler takes.

    Without a codec their bodies are handed over as they are.
    """

    name: str
    codec: Codec[Any] | None
    returns: Codec[Any] | None = None
    """What encodes the answer, which the handler returns; None if it returns none."""

    @classmethod
    def checked(cls, name: Any, type: Any, returns: Any = None) -> MessageOptions:
        """Return the options for messages called *name*, or as *type* says if *name* is a type.

        Raises:
            InvalidArgument: there is no codec for a type, or the type gives no name.
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
        """Return *function*, called with process, sender and value, as what takes the body.

        A message that cannot be decoded does not reach it, and is reported as dropped.
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
        """Return *handler*, called with sender and value, as what takes the body.

        Args:
            process: that of the handler.
        """
        if self.codec is None and self.returns is None:
            return handler
        handle = self.wrap(lambda _, sender, value: handler(sender, value))
        return lambda sender, body: handle(process, sender, body)


def _report(manager: ProcessManager, message: Message, error: InvalidMessage) -> None:
    """Report a message whose body its handler cannot take, because of *error*.

    What its sender has done wrong is logged for debugging only. What a class of the program raises
    while it is made of the body is one of the program's own failures.
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
    """Return *function*, called with process, sender and body, which sends what it returns.

    A future is followed, and what it brings is sent in a turn of the process. What asks is told
    when there is no answer; the text of a `Failure` is meant for it, that of other errors is not.

    Args:
        name: of the answer.
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
    """Send what *result* brought, or say to what asks that there is nothing."""
    try:
        process.send(sender, name, codec.encode(result.get()))
    except FAILURES as error:
        process.runtime.processes.asks.refuse(process.pid, sender, name, error)
        if result.is_ready:  # it has no form, which is the fault of the handler
            raise
