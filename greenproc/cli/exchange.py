"""One HTTP request to a node and its response, over a blocking socket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, Self

from gevent import Timeout, socket

from greenproc.address import split_host_port
from greenproc.errors import Broken, Failure, InvalidAddress, RemoteProtocolError, WaitTimeout
from greenproc.http.headers import Headers
from greenproc.http.parser import ResponseParser
from greenproc.http.raw_message import RawResponse, to_response
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.status import status_line_text
from greenproc.http.url import URL
from greenproc.http.writer import encode_request

READ_BYTES = 64 * 1024


def split_address(text: str) -> tuple[str, int]:
    """Split ``host:port``, or the address of a process ``id@host:port``, into host and port.

    Raises:
        InvalidAddress: *text* has neither form.
    """
    if "/" in text:
        raise InvalidAddress(f"expected host:port without a scheme or a path, got {text!r}")
    host, port = split_host_port(text.rpartition("@")[2])
    if not host or port == 0:
        raise InvalidAddress(f"expected host:port, such as 127.0.0.1:5050, got {text!r}")
    return host, port


class Exchange:
    """A connection for one request, closed on exit from its ``with`` block.

    Args:
        timeout: seconds for the connect and the response together.

    Raises:
        Broken: the connect failed, as without a listener at that port.
        WaitTimeout: the connect took longer than *timeout*.
    """

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self.where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._timeout = timeout
        self._deadline = monotonic() + timeout
        with self._limited("cannot be reached"):
            self._socket = socket.create_connection((host, port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    @property
    def local_ip(self) -> str:
        """The local address of the connection, which is the one that the node can reply to."""
        return str(self._socket.getsockname()[0])

    def ask(self, request: bytes) -> Response:
        """Send *request* and return the response.

        Raises:
            Broken: the connection closed before the response was complete.
            RemoteProtocolError: the bytes received are not HTTP.
            WaitTimeout: the response took longer than what remains of the timeout.
        """
        parser = ResponseParser()
        responses: list[RawResponse] = []
        with self._limited("gave no answer"):
            self._socket.sendall(request)
            while not responses and parser.error is None:
                received = self._socket.recv(READ_BYTES)
                if not received:
                    responses = parser.feed_eof()
                    break
                responses = parser.feed(received)
        if parser.error is not None:
            raise RemoteProtocolError(f"{self.where} does not speak HTTP: {parser.error}")
        if not responses:
            raise Broken(f"{self.where} closed the connection without an answer")
        return to_response(responses[0])

    @contextmanager
    def _limited(self, failure: str) -> Iterator[None]:
        """Bound the block by the remaining time, and translate socket errors.

        Raises:
            Broken: the socket failed; the system's error is the cause.
            WaitTimeout: no time remains.
        """
        limit = Timeout(max(self._deadline - monotonic(), 0.0))
        try:
            with limit:
                yield
        except Timeout as error:
            if error is not limit:
                raise
            raise WaitTimeout(
                f"{self.where} {failure} within {self._timeout:g} s; --timeout S waits longer"
            ) from None
        except OSError as error:
            raise Broken(f"{self.where} {failure}: {error.strerror or error}") from error


def get(exchange: Exchange, path: str) -> Response:
    """Send ``GET path`` and return the response; raises the errors of `Exchange.ask`."""
    headers = Headers({"Host": exchange.where, "Connection": "close"})
    return exchange.ask(encode_request(Request("GET", URL.parse(path), headers)))


def read_object(response: Response, where: str) -> dict[str, Any]:
    """Return the JSON object in the body of *response*, or ``{}`` if the body is no object.

    Args:
        where: the address that error messages name.

    Raises:
        Failure: the status is not 200.
    """
    if response.status != 200:
        raise Failure(
            f"{where} answered {status_line_text(response.status)}: is it a greenproc node?"
        )
    try:
        told = response.json()
    except RemoteProtocolError:
        return {}
    return told if isinstance(told, dict) else {}


def printable(text: str) -> str:
    """Return *text* without control characters: a remote node must not control the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print *rows*, the first of which has the titles, in columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        print("  ".join(map(str.ljust, cells, widths)).rstrip())
