"""Leaving HTTP on a connection of another WSGI server, which has to be one on gevent."""

from __future__ import annotations

import logging
from typing import Any

from gevent import socket

from greenproc.http.request import Request
from greenproc.http.upgrade import UpgradedConnection, UpgradeResponse
from greenproc.wsgi.environ import Environ
from greenproc.wsgi.to_wsgi import StartResponse

READ_BYTES = 64 * 1024

log = logging.getLogger("greenproc.wsgi")


def find_socket(environ: Environ) -> socket.socket | None:
    """Return the socket of a request; None where the server has none of gevent, or hides it.

    Source: gunicorn 23 to 27, http/wsgi.py; gevent 26.9, pywsgi.py.
    """
    found = environ.get("gunicorn.socket")
    if found is None:
        file = environ.get("wsgi.input")
        raw = getattr(getattr(file, "rfile", file), "raw", None)
        found = getattr(raw, "_sock", None)
    return found if isinstance(found, socket.socket) else None


class UpgradedResult:
    """The result of an app whose connection speaks another protocol; that runs in its iteration.

    The server gets no piece. The socket is shut down behind it, so that the server can neither
    write the head, which went out here, nor read another request.
    """

    def __init__(self, response: UpgradeResponse, to: socket.socket, ahead: bytes) -> None:
        self._response: UpgradeResponse | None = response
        self._socket = to
        self._ahead = ahead

    def __iter__(self) -> UpgradedResult:
        return self

    def __next__(self) -> bytes:
        response, self._response = self._response, None
        if response is not None:
            try:
                self._speak(response)
            except OSError as error:
                log.debug("an upgraded connection was lost: %s", error)
            finally:
                response.protocol.close()
                self._shut_down()
        raise StopIteration

    def close(self) -> None:
        """Let the connection end that was never iterated over."""
        response, self._response = self._response, None
        if response is not None:
            response.protocol.close()
            self._shut_down()

    def _speak(self, response: UpgradeResponse) -> None:
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(response.encode())
        response.protocol.run(UpgradedConnection(self._socket, self._read, self._ahead))

    def _read(self) -> bytes:
        return self._socket.recv(READ_BYTES)

    def _shut_down(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            log.debug("an upgraded connection was lost: %s", error)


def switch(
    response: UpgradeResponse, request: Request, environ: Environ, start_response: StartResponse
) -> UpgradedResult:
    """Return the result that speaks what *response* has agreed on.

    The server logs its status; `find_socket` must have found a socket.
    """
    connection = find_socket(environ)
    assert connection is not None
    headers = [line for line in response.headers.lines() if line[0].lower() != "connection"]
    start_response("101 Switching Protocols", headers)
    return UpgradedResult(response, connection, _read_ahead(environ, connection))


def _read_ahead(environ: Environ, source: socket.socket) -> bytes:
    """Return what the server has read behind the head from *source*."""
    file: Any = environ.get("wsgi.input")
    if "gunicorn.socket" in environ:
        unreader = getattr(getattr(file, "reader", None), "unreader", None)
        buffer = getattr(unreader, "buf", None)
        if buffer is None:
            return b""
        ahead: bytes = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return ahead
    return _buffered(getattr(file, "rfile", file), source)


def _buffered(file: Any, source: socket.socket) -> bytes:
    """Return the bytes that a buffered reader of *source* holds, without waiting for more."""
    timeout = source.gettimeout()
    source.settimeout(0.0)
    try:
        # Looks into the buffer if there is something, else tries the socket, which does not wait.
        size = len(file.peek(1))
        taken: bytes = file.read1(size) if size else b""
    except OSError:
        return b""
    finally:
        source.settimeout(timeout)
    return taken
