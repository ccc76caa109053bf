"""Requests to HTTP servers, each over a connection of its own: get, post and their like.

Connections that are kept for many requests are in `greenproc.web.connection`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, TypeAlias, Unpack

from greenproc.errors import GreenprocError, InvalidArgument, RemoteProtocolError
from greenproc.future import Failure, Future
from greenproc.http.headers import Headers
from greenproc.http.json_body import encode_json
from greenproc.http.request import Request
from greenproc.http.response import Response, encode_body
from greenproc.sync.pipe import Reader
from greenproc.web.endpoint import Target, parse_target
from greenproc.web.exchange import close_body
from greenproc.web.one_shot import exchange
from greenproc.web.options import RequestKeywords, RequestOptions
from greenproc.web.patience import limited
from greenproc.web.redirect import is_redirect, redirected

HeaderItems: TypeAlias = Headers | Mapping[str, str] | Iterable[tuple[str, str]] | None
Body: TypeAlias = bytes | bytearray | memoryview | str | Reader | Iterable[bytes]

_ABSENT: Any = object()


def request(
    method: str,
    target: Target,
    headers: HeaderItems = None,
    body: Body = b"",
    **options: Unpack[RequestKeywords],
) -> Future[Response]:
    """Make a request over a new connection, and return the future of the response.

    ::

        response = request("GET", "http://127.0.0.1:5050/counter/total", timeout=5.0).get()

    A wait for the future holds up its own greenlet only. A discard request closes
    the connection, and so does closing, or losing, the reader of a streamed response.

    Args:
        target: a URL; a UPID for the root route of a process, or ``(upid, path)``; or the path of
            a Unix socket. In URLs such a socket is ``http+unix://%2Frun%2Fserver.sock/path``.
        headers: the client writes ``Host``, ``Content-Length``, ``Transfer-Encoding`` and
            ``Connection`` itself; of these, what is given here is left out.
        body: a text is sent as UTF-8. The `Reader` of a pipe or any other iterable of byte
            strings is sent piece by piece, in chunks; a mapping or a set is refused.
        options: ``stream=True`` to read the body from ``response.reader`` as it comes;
            ``timeout`` for everything; a limit for each phase in ``connect_timeout``,
            ``send_timeout``, ``first_byte_timeout`` and ``read_timeout``; ``max_body_bytes``;
            ``max_redirects`` to follow redirects. See `RequestOptions` and `ClientLimits`.

    Failures of the future:

    * `InvalidURL` and `InvalidArgument`: nothing was sent;
    * `LocalProtocolError`: the request cannot be put on the wire, or its streamed body cannot be
      sent again where a redirect asks for it;
    * `Broken`: no connection could be made, or it was lost; the text tells which;
    * `WaitTimeout`: a phase, which the text names, or the whole took too long;
    * `RemoteProtocolError`: the response breaks HTTP, exceeds a limit, or redirects too often.

    An exception of a body that is sent piece by piece is passed on. The reads of a streamed
    response fail like the future of one that is read whole.

    A body that came packed with gzip is unpacked, and the headers say nothing of it any more.

    Raises:
        TypeError: there is no such option.

    Source: libprocess include/process/http.hpp, http::request.
    Differs: libprocess has no limits, follows no redirects, and ignores discard requests.
    """
    try:
        chosen = RequestOptions.of(options)
        asked = Request(method, parse_target(target), Headers(headers))
        _put_body(asked, body)
        future = _fetch(asked, chosen, chosen.max_redirects)
    except GreenprocError as error:
        close_body(body)
        return Future.failed(error)
    return limited(future, chosen.timeout, f"no response from {asked.url.authority or target}")


def get(
    target: Target, headers: HeaderItems = None, **options: Unpack[RequestKeywords]
) -> Future[Response]:
    """GET *target*; see `request`. Source: libprocess include/process/http.hpp, http::get."""
    return request("GET", target, headers, **options)


def head(
    target: Target, headers: HeaderItems = None, **options: Unpack[RequestKeywords]
) -> Future[Response]:
    """Get what GET would, without the body; see `request`."""
    return request("HEAD", target, headers, **options)


def delete(
    target: Target, headers: HeaderItems = None, **options: Unpack[RequestKeywords]
) -> Future[Response]:
    """DELETE *target*; see `request`.

    Source: libprocess include/process/http.hpp, http::requestDelete.
    """
    return request("DELETE", target, headers, **options)


def post(
    target: Target,
    headers: HeaderItems = None,
    body: Body | None = None,
    content_type: str | None = None,
    json: Any = _ABSENT,
    **options: Unpack[RequestKeywords],
) -> Future[Response]:
    """POST *body*, or *json* as JSON, to *target*; see `request`.

    Args:
        content_type: overrides the header. Without a body it makes no sense, and the future fails.
        json: any value that JSON has a form for.

    Source: libprocess include/process/http.hpp, http::post.
    """
    return _send("POST", target, headers, (body, content_type, json), options)


def put(
    target: Target,
    headers: HeaderItems = None,
    body: Body | None = None,
    content_type: str | None = None,
    json: Any = _ABSENT,
    **options: Unpack[RequestKeywords],
) -> Future[Response]:
    """PUT *body*, or *json* as JSON, to *target*; see `post`."""
    return _send("PUT", target, headers, (body, content_type, json), options)


def patch(
    target: Target,
    headers: HeaderItems = None,
    body: Body | None = None,
    content_type: str | None = None,
    json: Any = _ABSENT,
    **options: Unpack[RequestKeywords],
) -> Future[Response]:
    """PATCH *target* with *body*, or *json* as JSON; see `post`."""
    return _send("PATCH", target, headers, (body, content_type, json), options)


def _send(
    method: str,
    target: Target,
    headers: HeaderItems,
    content: tuple[Body | None, str | None, Any],
    options: RequestKeywords,
) -> Future[Response]:
    body, content_type, json = content
    try:
        lines = _headers(headers)
        if json is not _ABSENT:
            if body is not None:
                raise InvalidArgument("expected either a body or json, got both")
            body = encode_json(json).encode()
            content_type = content_type or lines.get("Content-Type") or "application/json"
        if content_type is not None:
            if body is None:
                # libprocess' words.
                raise Failure(f"Attempted to do a {method} with a Content-Type but no body")
            lines["Content-Type"] = content_type
    except GreenprocError as error:
        return Future.failed(error)
    return request(method, target, lines, b"" if body is None else body, **options)


def _headers(headers: HeaderItems) -> Headers:
    try:
        return Headers(headers)
    except InvalidArgument as error:
        advice = "headers come second, a body is given as body=... or json=..."
        raise InvalidArgument(f"{error}: {advice}") from error


def _put_body(asked: Request, body: Body) -> None:
    if isinstance(body, (str, bytes, bytearray, memoryview)):
        asked.body = encode_body(body)
    elif isinstance(body, Iterable) and not isinstance(body, (Mapping, AbstractSet)):
        asked.reader = body
    else:
        raise InvalidArgument(
            "expected bytes, a text, a reader or an iterable of bytes as the body, "
            f"got {body!r}: post, put and patch write JSON with json="
        )


def _fetch(asked: Request, options: RequestOptions, redirects: int) -> Future[Response]:
    future = exchange(asked, options)
    if options.max_redirects:
        return future.then(partial(_follow, asked, options, redirects))
    return future


def _follow(
    asked: Request, options: RequestOptions, redirects: int, response: Response
) -> Future[Response]:
    if not is_redirect(response):
        return Future(response)
    if response.reader is not None:
        response.reader.close()
    if redirects == 0:
        raise RemoteProtocolError(f"more than {options.max_redirects} redirects from {asked.url}")
    return _fetch(redirected(asked, response), options, redirects - 1)
