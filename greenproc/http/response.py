"""An HTTP response, and one ready-made class for each usual status."""

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
"""The media type of every body that says nothing else."""

NOSNIFF = ("X-Content-Type-Options", "nosniff")
"""Keeps a browser from taking what is no page or script for one."""

_NO_HEADERS = Headers()
_TEXT_HEADERS = Headers({"Content-Type": TEXT})

_ABSENT: Any = object()

_FUNCTION = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}(\.[A-Za-z_$][A-Za-z0-9_$]{0,63}){0,7}")

_OK = Status.OK  # a global is read five times faster than a member

HeaderItems = Headers | Mapping[str, str] | Iterable[tuple[str, str]] | None


def encode_text(text: str) -> bytes:
    """Spell *text* as UTF-8, whatever is in it.

    Bytes of a request that were no UTF-8, which stand in text as lone surrogates, become those
    bytes again; lone surrogates that JSON brought become question marks.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def encode_body(body: object) -> bytes:
    """Spell a body that is given by whoever answers.

    Raises:
        InvalidArgument: it is neither text nor bytes.
    """
    if isinstance(body, str):
        return encode_text(body)
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    hint = ": JSON is sent by OK(json=...)" if isinstance(body, (dict, list, tuple)) else ""
    raise InvalidArgument(f"expected a body of str or bytes, got {body!r:.200}{hint}")


def check_list(name: str, texts: object) -> None:
    """Refuse a text, whose letters would be taken for what *name* says.

    Raises:
        InvalidArgument: *texts* is one.
    """
    if isinstance(texts, str):
        raise InvalidArgument(f"expected a list of {name}, got {texts!r:.200}")


class ResponseKind(Enum):
    """Where the body of a response comes from. Source: libprocess, Response::Type."""

    NONE = "none"
    BODY = "body"
    PATH = "path"
    PIPE = "pipe"


class Response:
    """What a server answers.

    Args:
        status: from 100 to 599; a number without a name is sent as such.
        body: text is sent as UTF-8; a response with a body is plain text unless its headers
            say something else. None means that there is no body, which unlike an empty one
            has no media type.
        path: the name of a file to send.
        reader: the reading end of a pipe whose pieces are sent as they come.

    Raises:
        InvalidArgument: *status* is no number, or *body* is neither text nor bytes.

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
        """The whole body; empty when there is none, or it comes from a file or a pipe."""
        return self._body or b""

    @body.setter
    def body(self, body: bytes | str) -> None:
        self._body = encode_body(body)
        if "Content-Length" in self.headers:
            self.headers["Content-Length"] = str(len(self._body))

    @property
    def kind(self) -> ResponseKind:
        """Where the body comes from."""
        if self.reader is not None:
            return ResponseKind.PIPE
        if self.path is not None:
            return ResponseKind.PATH
        return ResponseKind.NONE if self._body is None else ResponseKind.BODY

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are at hand."""
        return self.reader is None and self.path is None

    def json(self) -> Any:
        """Return what the body says in JSON.

        Raises:
            InvalidBody: it is no JSON.
        """
        return decode_json(self.body)

    def set_cookie(
        self, name: str, value: str = "", **attributes: Unpack[CookieAttributes]
    ) -> None:
        """Let the browser keep a cookie, in a line of its own. See `CookieAttributes`.

        Scripts do not see it and other sites do not send it unless *httponly* and *samesite* say
        so.

        Args:
            name: a token, such as ``session``.
            value: ASCII without blanks, quotes, commas, semicolons and backslashes.

        Raises:
            InvalidArgument: browsers would refuse the cookie, or read another one out of it.
            TypeError: there is no such attribute.
        """
        self.headers.add("Set-Cookie", encode_cookie(name, value, attributes))

    def delete_cookie(self, name: str, **attributes: Unpack[CookieAttributes]) -> None:
        """Let the browser forget a cookie.

        Its *path* and *domain*, and *secure* if its name begins with ``__Secure-`` or
        ``__Host-``, must be those that it was set with.

        Raises:
            InvalidArgument, TypeError: as for `set_cookie`.
        """
        self.headers.add("Set-Cookie", encode_cookie(name, "", attributes, is_deleted=True))

    def with_lines(self, lines: Fields) -> Self:
        """Return this with other header lines; an earlier line of a name goes, but for ``Vary``.

        What varies, varies with all that either says.
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
        json: a value to send as JSON.
        jsonp: the name of a function that the JSON becomes the argument of: identifiers joined
            by dots. Since it comes from the client, anything else makes this a 400.

    Raises:
        InvalidArgument: *body* is neither text nor bytes, or *json* holds what JSON has not.

    Source: libprocess include/process/http.hpp, struct OK.
    Differs: there any text is written in front of the JSON, a script of the client's included.
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
        # In this order, as libprocess' JSON responses have them.
        self.headers["Content-Length"] = str(len(self.body))
        self.headers.setdefault("Content-Type", "text/javascript" if jsonp else "application/json")
        self.headers.setdefault(*NOSNIFF)


class _Plain(Response):
    """A status with an optional body."""

    __slots__ = ()
    code: Status = Status.OK

    def __init__(self, body: bytes | str | None = None, *, headers: HeaderItems = None) -> None:
        super().__init__(self.code, body, headers)


class Created(_Plain):
    """201."""

    __slots__ = ()
    code = Status.CREATED


class Accepted(_Plain):
    """202."""

    __slots__ = ()
    code = Status.ACCEPTED


class NoContent(Response):
    """204, which cannot have a body."""

    __slots__ = ()

    def __init__(self, *, headers: HeaderItems = None) -> None:
        super().__init__(Status.NO_CONTENT, None, headers)


class TemporaryRedirect(Response):
    """307: the request is to be repeated at *url*."""

    __slots__ = ()

    def __init__(self, url: str, *, headers: HeaderItems = None) -> None:
        super().__init__(Status.TEMPORARY_REDIRECT, None, headers)
        self.headers["Location"] = url


class _Refusal(Response):
    """A status whose body says it again, such as ``404 Not Found.``, unless one is given."""

    __slots__ = ()
    code: Status = Status.INTERNAL_SERVER_ERROR

    def __init__(self, body: bytes | str | None = None, *, headers: HeaderItems = None) -> None:
        text = f"{status_line_text(self.code)}." if body is None else body
        super().__init__(self.code, text, headers)
        self.headers.setdefault(*NOSNIFF)


class BadRequest(_Refusal):
    """400."""

    __slots__ = ()
    code = Status.BAD_REQUEST


class Unauthorized(Response):
    """401.

    Args:
        challenges: what the client may prove who it is by, such as ``Basic realm="r"``.

    Raises:
        InvalidArgument: *challenges* is a text.
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


class Forbidden(_Refusal):
    """403."""

    __slots__ = ()
    code = Status.FORBIDDEN


class NotFound(_Refusal):
    """404."""

    __slots__ = ()
    code = Status.NOT_FOUND


class MethodNotAllowed(Response):
    """405.

    Args:
        allowed: the methods that would do.
        method: the one that came.

    Raises:
        InvalidArgument: *allowed* is a text.
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


class NotAcceptable(_Refusal):
    """406."""

    __slots__ = ()
    code = Status.NOT_ACCEPTABLE


class Conflict(_Refusal):
    """409."""

    __slots__ = ()
    code = Status.CONFLICT


class PreconditionFailed(_Refusal):
    """412."""

    __slots__ = ()
    code = Status.PRECONDITION_FAILED


class UnsupportedMediaType(_Refusal):
    """415."""

    __slots__ = ()
    code = Status.UNSUPPORTED_MEDIA_TYPE


class InternalServerError(_Refusal):
    """500."""

    __slots__ = ()
    code = Status.INTERNAL_SERVER_ERROR


class NotImplemented(_Refusal):
    """501."""

    __slots__ = ()
    code = Status.NOT_IMPLEMENTED


class ServiceUnavailable(_Refusal):
    """503."""

    __slots__ = ()
    code = Status.SERVICE_UNAVAILABLE
