"""One request to a node and its response, over a plain socket."""

from __future__ import annotations

from collections.abc import Iterator
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
    """Return host and port of ``host:port``, or of a process, ``id@host:port``.

    Raises:
        InvalidAddress: *text* is neither.
    """
    if "/" in text:
        raise InvalidAddress(f"expected host:port without a scheme or a path, got {text!r}")
    host, port = split_host_port(text.rpartition("@")[2])
    if not host or port == 0:
        raise InvalidAddress(f"expected host:port, such as 127.0.0.1:5050, got {text!r}")
    return host, port


class Exchange:
    """A connection for one request; a context manager that closes it.

    Args:
        timeout: seconds for connecting and for the response together.

    Raises:
        Broken: nothing listens there.
        WaitTimeout: nobody answers.
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
        """The address of this host that the node sees, so the one that it can answer to."""
        return str(self._socket.getsockname()[0])

    def ask(self, request: bytes) -> Response:
        """Send *request* and return the first response.

        Raises:
            Broken: the connection ended first.
            RemoteProtocolError: what came is no HTTP.
            WaitTimeout: it took too long.
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
        """Turn errors of the network, and what is left of the time, into errors of our own."""
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
    """Return what the node answers to a GET of *path*. See `Exchange.ask` about errors."""
    headers = Headers({"Host": exchange.where, "Connection": "close"})
    return exchange.ask(encode_request(Request("GET", URL.parse(path), headers)))


def read_object(response: Response, where: str) -> dict[str, Any]:
    """Return the JSON object in *response*, which came from *where*; empty if there is none.

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
    """Return *text* without what would move the cursor: a stranger's node sent it."""
    return "".join(char if char.isprintable() else "?" for char in text)
