"""Handlers of messages whose result is the answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from greenproc.errors import Failure
from greenproc.failures import FAILURES
from greenproc.future import Future
from greenproc.pid import UPID
from greenproc.process.asking import ASK_FAILED, PREFIX
from greenproc.typed import Codec


def answer_with(function: Callable[..., Any], name: str, codec: Codec[Any]) -> Callable[..., Any]:
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
            _refuse(process, sender, name, error)
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
        _refuse(process, sender, name, error)
        if result.is_ready:  # it has no form, which is the fault of the handler
            raise


def _refuse(process: Any, sender: UPID, name: str, error: BaseException) -> None:
    """Let the ask *sender*, if it is one, fail because of *error*."""
    if not sender.id.startswith(PREFIX):
        return
    if isinstance(error, Failure) or process.runtime.settings.expose_errors:
        text = str(error)
    else:
        text = f"{process.pid} has no answer to {name!r}: {type(error).__name__}"
    process.send(sender, ASK_FAILED, text.encode("utf-8", "replace"))
