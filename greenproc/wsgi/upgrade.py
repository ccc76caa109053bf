"""Protocol upgrades on a connection of another WSGI server, which must run on gevent."""

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
    """Return the gevent socket of a request; None if the server has none or hides it.

    Source: gunicorn 23 to 27, http/wsgi.py; gevent 26.9, pywsgi.py.
    """
    found = environ.get("gunicorn.socket")
    if found is None:
        file = environ.get("wsgi.input")
        raw = getattr(getattr(file, "rfile", file), "raw", None)
        found = getattr(raw, "_sock", None)
    return found if isinstance(found, socket.socket) else None


class UpgradedResult:
    """The result of an app that upgrades its connection; its iteration runs the new protocol.

    The iteration yields no block. It writes the head itself and shuts the socket down at its end,
    so that the server can neither write a head nor read another request.
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
        """Shut down a connection whose iteration never started."""
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
    """Return the result that runs the protocol of *response*.

    The status goes to start_response for the server's log. `find_socket` must return a socket.
    """
    connection = find_socket(environ)
    assert connection is not None
    headers = [line for line in response.headers.lines() if line[0].lower() != "connection"]
    start_response("101 Switching Protocols", headers)
    return UpgradedResult(response, connection, _read_ahead(environ, connection))


def _read_ahead(environ: Environ, source: socket.socket) -> bytes:
    """Return the bytes that the server has read from *source* beyond the head."""
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
    """Return the buffered bytes of a reader of *source*, without a blocking read."""
    timeout = source.gettimeout()
    source.settimeout(0.0)
    try:
        # peek() returns the buffer unless it is empty; then it reads the non-blocking socket.
        size = len(file.peek(1))
        taken: bytes = file.read1(size) if size else b""
    except OSError:
        return b""
    finally:
        source.settimeout(timeout)
    return taken
