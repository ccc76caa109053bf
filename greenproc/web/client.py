"""Requests to HTTP servers, each over a connection of its own: get, post and their like.

Persistent connections are in `greenproc.web.connection`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, TypeAlias, Unpack
from urllib.parse import urljoin

from gevent import socket

from greenproc.errors import (
    Closed,
    Discarded,
    GreenprocError,
    InvalidArgument,
    InvalidURL,
    LocalProtocolError,
    RemoteProtocolError,
)
from greenproc.future import Failure, Future, Promise
from greenproc.http.headers import Headers
from greenproc.http.json_body import encode_json
from greenproc.http.request import Request
from greenproc.http.response import Response, encode_body
from greenproc.http.url import URL
from greenproc.sync.pipe import Reader
from greenproc.web.dial import dial, spawn
from greenproc.web.exchange import Exchange, close_body
from greenproc.web.options import ClientLimits, RequestKeywords, RequestOptions
from greenproc.web.origin import Origin, Target, origin_of, parse_target
from greenproc.web.pipeline import Pipeline
from greenproc.web.timeouts import with_timeout

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
    """Send a request over a new connection, and return the future of the response.

    ::

        response = request("GET", "http://127.0.0.1:5050/counter/total", timeout=5.0).get()

    Waiting for the future blocks its own greenlet only. A discard request closes the connection,
    and so does closing, or losing, the reader of a streamed response.

    Args:
        method: such as ``GET``.
        target: a URL; a UPID for the root route of a process, or ``(upid, path)``; or the path of
            a Unix socket. In URLs such a socket is ``http+unix://%2Frun%2Fserver.sock/path``.
        headers: a mapping or pairs. The client writes ``Host``, ``Content-Length``,
            ``Transfer-Encoding`` and ``Connection`` itself, and ignores those given here.
        body: a str is sent as UTF-8. The `Reader` of a pipe, or another iterable of byte strings,
            is sent piece by piece, in chunks; a mapping or a set is refused.
        options: ``stream=True`` to read the body from ``response.reader`` as it arrives;
            ``timeout`` for everything; a limit for each phase in ``connect_timeout``,
            ``send_timeout``, ``first_byte_timeout`` and ``read_timeout``; ``max_body_bytes``;
            ``max_redirects`` to follow redirects. See `RequestOptions` and `ClientLimits`.

    Failures of the future:

    * `InvalidURL` and `InvalidArgument`: nothing was sent;
    * `LocalProtocolError`: the request cannot be encoded, or a redirect requires to send its
      streamed body again;
    * `Broken`: the connection was not established, or was lost; the text says which;
    * `WaitTimeout`: a phase, which the text names, or the whole took too long;
    * `RemoteProtocolError`: the response breaks HTTP, exceeds a limit, or redirects too often.

    An exception of a body that is sent piece by piece is the failure of the future. The reads of
    a streamed response fail with the errors that the future of a whole response would have.

    A body in gzip is decompressed, and the headers no longer mention its coding.

    Raises:
        TypeError: an option has an unknown name.

    Source: libprocess include/process/http.hpp, http::request.
    Differs: libprocess has no limits, follows no redirects, and ignores discard requests.
    """
    try:
        chosen = RequestOptions.of(options)
        prepared = Request(method, parse_target(target), Headers(headers))
        _put_body(prepared, body)
        future = _fetch(prepared, chosen, chosen.max_redirects)
    except GreenprocError as error:
        close_body(body)
        return Future.failed(error)
    return with_timeout(
        future, chosen.timeout, f"no response from {prepared.url.authority or target}"
    )


def get(
    target: Target, headers: HeaderItems = None, **options: Unpack[RequestKeywords]
) -> Future[Response]:
    """GET *target*; see `request`. Source: libprocess include/process/http.hpp, http::get."""
    return request("GET", target, headers, **options)


def head(
    target: Target, headers: HeaderItems = None, **options: Unpack[RequestKeywords]
) -> Future[Response]:
    """HEAD *target*: the response of GET without its body; see `request`."""
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
        target: see `request`.
        headers: see `request`.
        body: see `request`.
        content_type: replaces the header. Without a body the future fails.
        json: a value to encode as JSON, in place of *body*.
        options: see `request`.

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
                # The text of libprocess.
                raise Failure(f"Attempted to do a {method} with a Content-Type but no body")
            # The argument is more specific than a header that several requests may share.
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


def _put_body(prepared: Request, body: Body) -> None:
    if isinstance(body, (str, bytes, bytearray, memoryview)):
        prepared.body = encode_body(body)
    elif isinstance(body, Iterable) and not isinstance(body, (Mapping, AbstractSet)):
        prepared.reader = body
    else:
        raise InvalidArgument(
            "expected bytes, a text, a reader or an iterable of bytes as the body, "
            f"got {body!r}: post, put and patch write JSON with json="
        )


def _fetch(prepared: Request, options: RequestOptions, redirects: int) -> Future[Response]:
    future = send_once(prepared, options)
    if options.max_redirects:
        return future.then(partial(_follow, prepared, options, redirects))
    return future


def _follow(
    prepared: Request, options: RequestOptions, redirects: int, response: Response
) -> Future[Response]:
    if not is_redirect(response):
        return Future(response)
    if response.reader is not None:
        response.reader.close()  # the body of a redirect is for people, and its connection ends
    if redirects == 0:
        raise RemoteProtocolError(
            f"more than {options.max_redirects} redirects from {prepared.url}"
        )
    return _fetch(redirected(prepared, response), options, redirects - 1)


def send_once(request: Request, options: RequestOptions) -> Future[Response]:
    """Send *request* over a new connection, and return the future of its response.

    A discard request closes the connection.

    Args:
        request: the request; redirects are not followed.
        options: of the request.

    Raises:
        InvalidURL: the URL has no host, or another scheme.
        LocalProtocolError: the request cannot be encoded.
    """
    promise: Promise[Response] = Promise()
    origin = origin_of(request.url)
    exchange = Exchange(request, origin, promise, streamed=options.stream)
    one = _OneShotRequest(exchange, origin, options.limits)
    promise.future.on_discard(one.abort)
    # By a link, since a greenlet that is killed before it starts has no finally block.
    spawn(one.run).rawlink(one.clean_up)
    return promise.future


class _OneShotRequest:
    """One request, from connecting to the end of the response.

    It must not reference the promise once that is complete: the collection of a response's
    reader is the sign that the response is abandoned.
    """

    def __init__(self, exchange: Exchange, origin: Origin, limits: ClientLimits) -> None:
        self._exchange: Exchange | None = exchange
        self._origin = origin
        self._limits = limits
        self._is_aborted = False
        self._opening: Future[socket.socket] | None = None
        self._pipeline: Pipeline | None = None

    def run(self) -> None:
        """Connect, send, and read the response."""
        connected = self._connect()
        if connected is not None:
            self._pipeline = Pipeline(connected, self._origin, self._limits, self.abort)
            self._pipeline.submit(self._take())
            self._pipeline.run()

    def abort(self) -> None:
        """Close the connection: the response, or its reader, is abandoned."""
        self._is_aborted = True
        if self._pipeline is not None:
            self._pipeline.end(Discarded())
        elif self._opening is not None:
            self._opening.discard()

    def clean_up(self, _greenlet: object) -> None:
        """Fail a request that was not sent: its greenlet was killed, maybe before it started."""
        self._fail(Closed("Disconnected: the greenlet that connects was killed"))

    def _connect(self) -> socket.socket | None:
        try:
            if not self._is_aborted:
                self._opening = dial(self._origin, self._limits.connect_timeout)
                opened = self._opening.get()
                if not self._is_aborted:
                    return opened
            self._fail(Discarded())
        except GreenprocError as error:
            self._fail(error)
        return None

    def _take(self) -> Exchange:
        # Not kept here: see the class about the promise.
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        return exchange

    def _fail(self, error: GreenprocError) -> None:
        if self._exchange is None:
            return
        if self._opening is not None:
            # The socket may be connected at the moment of the abort.
            self._opening.on_ready(lambda opened: opened.close())
            self._opening.discard()
        exchange = self._take()
        exchange.close_body()
        exchange.promise.fail(Discarded() if self._is_aborted else error)


_REDIRECTS = frozenset((301, 302, 303, 307, 308))
# RFC 9110 section 15.4: credentials must not reach another server by a redirect.
_CREDENTIALS = ("Authorization", "Cookie", "Proxy-Authorization")
_ABOUT_BODY = ("Content-Encoding", "Content-Language", "Content-Location", "Content-Type")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_TO_ENCODE = re.compile(r"[^\x21-\x7e]")


def is_redirect(response: Response) -> bool:
    """Whether *response* redirects the client."""
    return response.status in _REDIRECTS and "Location" in response.headers


def redirected(request: Request, response: Response) -> Request:
    """Return the request that follows a redirect.

    A 303 is followed with GET, and so are 301 and 302 after a POST, without the body. Another
    server gets no credentials and no cookies.

    Args:
        request: the redirected request.
        response: the redirect.

    Raises:
        RemoteProtocolError: the location is not a URL, or has another scheme than http.
        LocalProtocolError: the streamed body cannot be sent again.

    Source: RFC 9110 section 15.4.
    """
    location = response.headers["Location"]
    try:
        url = _resolve(request.url, location)
    except (InvalidURL, ValueError) as error:
        raise RemoteProtocolError(f"redirected to {location!r}: {error}") from error
    headers = request.headers.copy()
    # An origin in the sense of RFC 6454: another port is another server.
    if (url.scheme, url.host, url.port) != (
        request.url.scheme,
        request.url.host,
        request.url.port,
    ):
        _drop(headers, _CREDENTIALS)
    method = request.method
    if _becomes_get(method, response.status):
        _drop(headers, _ABOUT_BODY)
        return request.replace(method="GET", url=url, headers=headers, body=b"", reader=None)
    if request.reader is not None:
        raise LocalProtocolError(f"redirected to {url}: a streamed body cannot be sent again")
    return request.replace(url=url, headers=headers)


def _becomes_get(method: str, status: int) -> bool:
    # RFC 9110 section 15.4.2: for historical reasons, clients change POST to GET.
    if status == 303:
        return method not in ("GET", "HEAD")
    return status in (301, 302) and method == "POST"


def _drop(headers: Headers, names: tuple[str, ...]) -> None:
    for name in names:
        headers.pop(name, None)


def _resolve(base: URL, location: str) -> URL:
    """Resolve *location* relative to *base*. Source: RFC 3986 section 5."""
    # Some servers do not encode names. A character of the header is a byte of theirs.
    location = _TO_ENCODE.sub(lambda found: f"%{ord(found[0]):02X}", location)
    if location.startswith("//"):
        location = f"{base.scheme or 'http'}:{location}"
    if _SCHEME.match(location):
        url = URL.absolute(location)
        # Any other scheme, such as that of a Unix socket, would reach what only this host can.
        if url.scheme != "http":
            raise InvalidURL(f"expected http, got {url.scheme!r}")
        return url
    # With an authority, which parse() drops: a path may begin with two slashes.
    target = URL.parse(urljoin(f"http://place{base.target}", location))
    return base.replace(path=target.path, query=target.query, fragment=target.fragment)
