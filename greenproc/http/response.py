"""`Response`: an HTTP response, and a class for each usual status."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from enum import Enum
from typing import Any, Self, Unpack

from greenproc.errors import InvalidArgument
from greenproc.http.cookies import CookieAttributes, encode_cookie
from greenproc.http.headers import Fields, Headers
from greenproc.http.json_body import decode_json, encode_json
from greenproc.http.status import Status, status_line_text

TEXT = "text/plain; charset=utf-8"
"""The default media type of a body."""

NOSNIFF = ("X-Content-Type-Options", "nosniff")
"""Keeps browsers from guessing a media type, such as HTML for an error that quotes the request."""

_NO_HEADERS = Headers()
_TEXT_HEADERS = Headers({"Content-Type": TEXT})

_ABSENT: Any = object()

# Identifiers joined by dots, of a length that no page exceeds: the client sends it.
_FUNCTION = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}(\.[A-Za-z_$][A-Za-z0-9_$]{0,63}){0,7}")

_OK = Status.OK  # on the hot path: a global is five times faster than a member of an Enum

HeaderItems = Headers | Mapping[str, str] | Iterable[tuple[str, str]] | None


def encode_text(text: str) -> bytes:
    """Encode *text* as UTF-8; never raises.

    Lone surrogates of a request's bytes that are not UTF-8 become these bytes again; those of
    JSON escapes become question marks.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def encode_body(body: object) -> bytes:
    """Return a body as bytes.

    Args:
        body: a str, which is encoded as UTF-8, or bytes.

    Raises:
        InvalidArgument: it is neither.
    """
    if isinstance(body, str):
        return encode_text(body)
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    hint = ": JSON is sent by OK(json=...)" if isinstance(body, (dict, list, tuple)) else ""
    raise InvalidArgument(f"expected a body of str or bytes, got {body!r:.200}{hint}")


def check_list(name: str, texts: object) -> None:
    """Refuse a single str, whose characters would count as the items of a list.

    Args:
        name: of the items, for the error.
        texts: the argument to check.

    Raises:
        InvalidArgument: *texts* is a str.
    """
    if isinstance(texts, str):
        raise InvalidArgument(f"expected a list of {name}, got {texts!r:.200}")


class ResponseKind(Enum):
    """The source of the body of a response. Source: libprocess, Response::Type."""

    NONE = "none"
    BODY = "body"
    PATH = "path"
    PIPE = "pipe"


class Response:
    """An HTTP response.

    Args:
        status: from 100 to 599; one without a name is sent as a bare number.
        body: a str is sent as UTF-8. The media type of a body is plain text unless *headers* has
            another one. None is no body, which has no media type, unlike an empty body.
        headers: a mapping or pairs.
        path: the file that is the body.
        reader: the reading end of a pipe that is the body; its pieces are sent as they arrive.

    Raises:
        InvalidArgument: *status* is not an int, or *body* is neither a str nor bytes.

    Source: libprocess include/process/http.hpp, struct Response.
    """

    __slots__ = ("status", "headers", "path", "reader", "_body")

    def __init__(
        self,
        status: int = Status.OK,
        body: bytes | str | None = None,
        headers: HeaderItems = None,
        *,
        path: str | None = None,
        reader: Any = None,
    ) -> None:
        if not isinstance(status, int):
            raise InvalidArgument(
                f"expected a status as the first argument, such as 200, got {status!r:.200}: "
                "OK(body) has 200"
            )
        self.status = status
        self.path = path
        self.reader = reader
        self._body = body if body is None or type(body) is bytes else encode_body(body)
        if headers is None:
            self.headers = (_NO_HEADERS if body is None else _TEXT_HEADERS).copy()
            return
        self.headers = Headers(headers)
        if body is not None and "Content-Type" not in self.headers:
            self.headers.add("Content-Type", TEXT)

    @property
    def body(self) -> bytes:
        """The whole body; empty without one, and for the body of a file or a pipe."""
        return self._body or b""

    @body.setter
    def body(self, body: bytes | str) -> None:
        self._body = encode_body(body)
        # A stale length would truncate the new body.
        if "Content-Length" in self.headers:
            self.headers["Content-Length"] = str(len(self._body))

    @property
    def kind(self) -> ResponseKind:
        """The source of the body."""
        if self.reader is not None:
            return ResponseKind.PIPE
        if self.path is not None:
            return ResponseKind.PATH
        return ResponseKind.NONE if self._body is None else ResponseKind.BODY

    @property
    def is_whole(self) -> bool:
        """Whether the body is in memory, rather than in a file or a pipe."""
        return self.reader is None and self.path is None

    def json(self) -> Any:
        """Decode the body as JSON.

        Raises:
            InvalidBody: it is not JSON.
        """
        return decode_json(self.body)

    def set_cookie(
        self, name: str, value: str = "", **attributes: Unpack[CookieAttributes]
    ) -> None:
        """Set a cookie in the browser, by a header line of its own.

        By default scripts cannot read it, and requests of other sites do not carry it; see
        *httponly* and *samesite*.

        Args:
            name: a token, such as ``session``.
            value: ASCII without blanks, quotes, commas, semicolons and backslashes.
            attributes: see `CookieAttributes`.

        Raises:
            InvalidArgument: browsers would refuse the cookie, or parse another one from the line.
            TypeError: an attribute has an unknown name.
        """
        self.headers.add("Set-Cookie", encode_cookie(name, value, attributes))

    def delete_cookie(self, name: str, **attributes: Unpack[CookieAttributes]) -> None:
        """Delete a cookie in the browser.

        Args:
            name: of the cookie.
            attributes: *path* and *domain* must be those of `set_cookie`, and *secure*, too, if
                the name begins with ``__Secure-`` or ``__Host-``.

        Raises:
            InvalidArgument, TypeError: as for `set_cookie`.
        """
        self.headers.add("Set-Cookie", encode_cookie(name, "", attributes, is_deleted=True))

    def with_lines(self, lines: Fields) -> Self:
        """Return a copy with other header lines.

        Args:
            lines: each one replaces the earlier lines of its name, except for ``Vary``, whose
                values are joined: the response varies with all of them.
        """
        response = copy(self)
        response.headers = self.headers.copy()
        for name, value in lines:
            before = response.headers.getall(name) if name == "Vary" else []
            response.headers[name] = ", ".join((*before, value))
        return response

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Response) and self._key() == other._key()

    def __repr__(self) -> str:
        return f"<Response {status_line_text(self.status)}, {self.kind.value}>"

    def _key(self) -> tuple[object, ...]:
        return self.status, self._body, self.headers, self.path, self.reader


class OK(Response):
    """200, with a body, with JSON, or with neither.

    Args:
        body: a str or bytes.
        json: a value that is encoded as JSON, see `greenproc.http.json_body.encode_json`.
        jsonp: the function that the JSON becomes the argument of: identifiers joined by dots. The
            client sends it, so anything else makes this a 400.
        headers: a mapping or pairs.

    Raises:
        InvalidArgument: *body* is neither a str nor bytes, or a value in *json* has no JSON.

    Source: libprocess include/process/http.hpp, struct OK.
    Differs: libprocess writes any text before the JSON, a script of an attacker included.
    """

    __slots__ = ()

    def __init__(
        self,
        body: bytes | str | None = None,
        *,
        json: Any = _ABSENT,
        jsonp: str | None = None,
        headers: HeaderItems = None,
    ) -> None:
        super().__init__(_OK, body, headers)
        if json is _ABSENT:
            return
        text = encode_json(json)
        if jsonp and not _FUNCTION.fullmatch(jsonp):
            self.status = Status.BAD_REQUEST
            self.headers["Content-Type"] = TEXT
            text, jsonp = "expected the name of a function in 'jsonp'.\n", None
        elif jsonp:
            text = f"{jsonp}({text})"
        self.body = text
        # In the order of libprocess' JSON responses.
        self.headers["Content-Length"] = str(len(self.body))
        self.headers.setdefault("Content-Type", "text/javascript" if jsonp else "application/json")
        self.headers.setdefault(*NOSNIFF)


class _WithBody(Response):
    """A status with an optional body."""

    __slots__ = ()
    code: Status = Status.OK

    def __init__(self, body: bytes | str | None = None, *, headers: HeaderItems = None) -> None:
        super().__init__(self.code, body, headers)


class Created(_WithBody):
    """201."""

    __slots__ = ()
    code = Status.CREATED


class Accepted(_WithBody):
    """202."""

    __slots__ = ()
    code = Status.ACCEPTED


class NoContent(Response):
    """204, which cannot have a body."""

    __slots__ = ()

    def __init__(self, *, headers: HeaderItems = None) -> None:
        super().__init__(Status.NO_CONTENT, None, headers)


class TemporaryRedirect(Response):
    """307: the client should repeat the request at *url*."""

    __slots__ = ()

    def __init__(self, url: str, *, headers: HeaderItems = None) -> None:
        super().__init__(Status.TEMPORARY_REDIRECT, None, headers)
        self.headers["Location"] = url


class _ErrorResponse(Response):
    """A status whose default body is its phrase, such as that of ``404 Not Found``."""

    __slots__ = ()
    code: Status = Status.INTERNAL_SERVER_ERROR

    def __init__(self, body: bytes | str | None = None, *, headers: HeaderItems = None) -> None:
        text = f"{status_line_text(self.code)}." if body is None else body
        super().__init__(self.code, text, headers)
        self.headers.setdefault(*NOSNIFF)


class BadRequest(_ErrorResponse):
    """400."""

    __slots__ = ()
    code = Status.BAD_REQUEST


class Unauthorized(Response):
    """401.

    Args:
        challenges: the accepted schemes, such as ``Basic realm="r"``.
        body: a str or bytes.
        headers: a mapping or pairs.

    Raises:
        InvalidArgument: *challenges* is a single str.
    """

    __slots__ = ()

    def __init__(
        self,
        challenges: Sequence[str],
        body: bytes | str | None = None,
        *,
        headers: HeaderItems = None,
    ) -> None:
        check_list("challenges", challenges)
        lines = Headers({"WWW-Authenticate": ", ".join(challenges)})
        for name, value in Headers(headers).lines():
            lines.add(name, value)
        super().__init__(Status.UNAUTHORIZED, body or "401 Unauthorized.", lines)
        self.headers.setdefault(*NOSNIFF)


class Forbidden(_ErrorResponse):
    """403."""

    __slots__ = ()
    code = Status.FORBIDDEN


class NotFound(_ErrorResponse):
    """404."""

    __slots__ = ()
    code = Status.NOT_FOUND


class MethodNotAllowed(Response):
    """405.

    Args:
        allowed: the methods of the route.
        method: of the request.
        headers: a mapping or pairs.

    Raises:
        InvalidArgument: *allowed* is a single str.
    """

    __slots__ = ()

    def __init__(
        self, allowed: Iterable[str], method: str | None = None, *, headers: HeaderItems = None
    ) -> None:
        check_list("methods", allowed)
        allowed = list(allowed)
        expected = ", ".join(f"'{one}'" for one in allowed)
        received = "" if method is None else f", but received '{method}'"
        super().__init__(
            Status.METHOD_NOT_ALLOWED,
            f"405 Method Not Allowed. Expecting one of {{ {expected} }}{received}.",
            headers,
        )
        self.headers["Allow"] = ", ".join(allowed)
        self.headers.setdefault(*NOSNIFF)


class NotAcceptable(_ErrorResponse):
    """406."""

    __slots__ = ()
    code = Status.NOT_ACCEPTABLE


class Conflict(_ErrorResponse):
    """409."""

    __slots__ = ()
    code = Status.CONFLICT


class PreconditionFailed(_ErrorResponse):
    """412."""

    __slots__ = ()
    code = Status.PRECONDITION_FAILED


class UnsupportedMediaType(_ErrorResponse):
    """415."""

    __slots__ = ()
    code = Status.UNSUPPORTED_MEDIA_TYPE


class InternalServerError(_ErrorResponse):
    """500."""

    __slots__ = ()
    code = Status.INTERNAL_SERVER_ERROR


class NotImplemented(_ErrorResponse):
    """501."""

    __slots__ = ()
    code = Status.NOT_IMPLEMENTED


class ServiceUnavailable(_ErrorResponse):
    """503."""

    __slots__ = ()
    code = Status.SERVICE_UNAVAILABLE
