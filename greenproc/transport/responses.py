"""What is answered to a request, and the first bytes of it."""

from __future__ import annotations

import logging
from copy import copy
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
    """Return the response that a complete or abandoned *future* stands for.

    The text of a `Failure` is part of the contract with the client, and a body of *request* that
    is not what its handler read it as is the client's mistake. Any other error is ours: it is
    logged here, and its text is kept from the client unless *expose_errors* is set.

    Source: libprocess src/http_proxy.cpp, HttpProxy::process.
    Differs: discarded and abandoned futures give 503; there 500, and no answer at all.
    """
    response = future.value
    if not isinstance(response, Response):
        response = _explain(future, request, expose_errors=expose_errors)
    lines = request.response_lines
    return response.with_lines(lines) if lines else response


def _explain(future: Future[Any], request: Request, *, expose_errors: bool) -> Response:
    """Return the response that a *future* without one stands for."""
    response = future.value
    error = future.exception
    if error is None:
        error = TypeError(f"expected a Response, got {response!r}")
    if isinstance(error, BodyFailure):
        # As for a body that came whole, after which nothing is taken from this client.
        return Response(error.status, str(error), dict((NOSNIFF, ("Connection", "close"))))
    if isinstance(error, InvalidBody) and error.request is request:
        log.debug("a request has the wrong body: %s", error)
        return Response(error.status, str(error), dict((NOSNIFF,)))
    if isinstance(error, Failure):
        return InternalServerError(str(error))
    if isinstance(error, (Discarded, Abandoned)):
        return ServiceUnavailable()
    failure_log.add("a request failed", error)
    return InternalServerError(str(error) if expose_errors else None)


def closes(response: Response, request: Request) -> bool:
    """Whether nothing is answered on the connection after this.

    A stream to a client of HTTP/1.0 ends with the connection.

    Source: libprocess src/process.cpp, SocketManager::send.
    Differs: ``Connection: close`` counts for files and streams, too, in any case.
    """
    if not request.keep_alive or isinstance(response, UpgradeResponse):
        return True
    connection = response.headers.by_key.get("connection")
    if connection is not None and connection.lower() == "close":
        return True
    if isinstance(response, VerbatimResponse):
        # Clients take an interim response for one that another follows; there is none here.
        return response.status < Status.OK or (
            response.length is None and request.version < (1, 1)
        )
    return response.reader is not None and request.version < (1, 1)


def closing(response: Response) -> Response:
    """Return *response* with the news that it is the last one of the connection."""
    last = copy(response)
    last.headers = response.headers.copy()
    last.headers["Connection"] = "close"
    return last


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
    """Return the answer to a message that is in no mailbox."""
    return encode_response(NotFound() if delivery is Delivery.UNKNOWN else ServiceUnavailable())


def refuse_sender(message: Message, client: Address | None) -> bytes:
    """Return the answer to a message whose sender claims to live at another address.

    Source: libprocess src/process.cpp, ProcessManager::handle.
    """
    return encode_response(
        BadRequest(
            "UPID IP address validation failed:"
            f" Message from {message.sender} was sent from IP {client and client.ip}"
        )
    )


def refuse_request(error: RemoteProtocolError, *, last: bool, has_body: bool = True) -> bytes:
    """Return the answer to a request that breaks the protocol.

    Args:
        last: whether none can follow.
        has_body: whether the client expects a body; not if it asked with HEAD, since it would
            take the body for the next response.

    Source: RFC 9110 section 9.3.2.
    """
    headers = dict((NOSNIFF, ("Connection", "close")) if last else (NOSNIFF,))
    data = encode_response(Response(error.status, str(error), headers))
    return data if has_body else data.partition(HEAD_END)[0] + HEAD_END
