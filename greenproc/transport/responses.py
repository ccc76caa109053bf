"""The response of a future, of a refusal, and of an error, and their bytes."""

from __future__ import annotations

import logging
from typing import Any

from greenproc.address import Address
from greenproc.errors import Abandoned, Discarded, Failure, InvalidBody, RemoteProtocolError
from greenproc.failures import FAILURES, FailureLog
from greenproc.future import Future
from greenproc.http.head import HEAD_END
from greenproc.http.request import Request
from greenproc.http.response import (
    NOSNIFF,
    BadRequest,
    InternalServerError,
    NotFound,
    Response,
    ServiceUnavailable,
)
from greenproc.http.status import Status
from greenproc.http.upgrade import UpgradeResponse
from greenproc.http.verbatim import VerbatimResponse, encode_verbatim
from greenproc.http.writer import encode_response
from greenproc.message import Message
from greenproc.process.ports import Delivery
from greenproc.transport.body_pipe import BodyFailure

log = logging.getLogger("greenproc.transport")
failure_log = FailureLog(log)


def response_of(future: Future[Any], request: Request, *, expose_errors: bool) -> Response:
    """Return the response for a completed or abandoned *future*.

    The text of a `Failure` is part of the contract with the client, and an `InvalidBody` of
    *request* is the client's mistake. Any other error is a bug here: it is logged, and its text
    is kept from the client unless *expose_errors* is set.

    Args:
        future: of the handler.
        request: the one to respond to.
        expose_errors: see `Settings.expose_errors`.

    Source: libprocess src/http_proxy.cpp, HttpProxy::process.
    Differs: discarded and abandoned futures give 503; in libprocess 500, and no response at all.
    """
    response = future.value
    if not isinstance(response, Response):
        response = _explain(future, request, expose_errors=expose_errors)
    # Every response has the lines of CORS, that of a failed handler too.
    lines = request.response_lines
    return response.with_lines(lines) if lines else response


def _explain(future: Future[Any], request: Request, *, expose_errors: bool) -> Response:
    """Return the response for a *future* that completed without one."""
    response = future.value
    error = future.exception
    if error is None:
        error = TypeError(f"expected a Response, got {response!r}")
    if isinstance(error, BodyFailure):
        # As for a body that is read whole: the rest of the connection cannot be parsed.
        return Response(error.status, str(error), dict((NOSNIFF, ("Connection", "close"))))
    if isinstance(error, InvalidBody) and error.request is request:
        log.debug("a request has the wrong body: %s", error)
        return Response(error.status, str(error), dict((NOSNIFF,)))
    if isinstance(error, Failure):
        return InternalServerError(str(error))
    # The handler gave up, or its process ended: the client may try again.
    if isinstance(error, (Discarded, Abandoned)):
        return ServiceUnavailable()
    failure_log.add("a request failed", error)
    return InternalServerError(str(error) if expose_errors else None)


def closes(response: Response, request: Request) -> bool:
    """Return whether *response* is the last one of the connection.

    A stream to a client of HTTP/1.0 ends with the connection.

    Source: libprocess src/process.cpp, SocketManager::send.
    Differs: ``Connection: close`` counts for files and streams, too, in upper or lower case.
    """
    if not request.keep_alive or isinstance(response, UpgradeResponse):
        return True
    connection = response.headers.by_key.get("connection")
    if connection is not None and connection.lower() == "close":
        return True
    if isinstance(response, VerbatimResponse):
        # A client waits for the final response behind an interim one; none follows here.
        return response.status < Status.OK or (
            response.length is None and request.version < (1, 1)
        )
    return response.reader is not None and request.version < (1, 1)


def encode(response: Response, request: Request) -> bytes:
    """Return the bytes of a whole *response*; what cannot be encoded becomes a 500."""
    try:
        if isinstance(response, VerbatimResponse):
            return encode_verbatim(response, request, is_last=closes(response, request))
        return encode_response(response, request)
    except FAILURES as error:
        failure_log.add(f"a response cannot be sent: {response!r}", error)
        return encode_response(InternalServerError(), request)


def refuse_delivery(delivery: Delivery) -> bytes:
    """Return the response to a message that no mailbox took."""
    return encode_response(NotFound() if delivery is Delivery.UNKNOWN else ServiceUnavailable())


def refuse_sender(message: Message, client: Address | None) -> bytes:
    """Return the response to a message whose sender claims another IP address.

    Source: libprocess src/process.cpp, ProcessManager::handle.
    """
    return encode_response(
        BadRequest(
            "UPID IP address validation failed:"
            f" Message from {message.sender} was sent from IP {client and client.ip}"
        )
    )


def refuse_request(error: RemoteProtocolError, *, last: bool, has_body: bool = True) -> bytes:
    """Return the response to a request that breaks the protocol.

    Args:
        error: gives the status and the text.
        last: whether no response can follow.
        has_body: whether the client expects a body. After HEAD it would take the body for the
            next response.

    Source: RFC 9110 section 9.3.2.
    """
    headers = dict((NOSNIFF, ("Connection", "close")) if last else (NOSNIFF,))
    data = encode_response(Response(error.status, str(error), headers))
    return data if has_body else data.partition(HEAD_END)[0] + HEAD_END
