"""A peer that is no libprocess node, run as a program of its own: ``python linkee.py UPID``.

It listens, sends the message ``Alive`` to the UPID from id ``(1)`` at its own address, keeps every
connection it gets, and exits with 0 as soon as one brings a byte. What libprocess' tests of remote
links use: src/tests/test_linkee.cpp.
"""

from __future__ import annotations

import selectors
import socket
import sys


def send_alive(upid: str, own_address: str) -> socket.socket:
    """Send ``Alive`` and return the connection, which stays open."""
    id, _, address = upid.partition("@")
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(
        f"POST /{id}/Alive HTTP/1.1\r\nUser-Agent: libprocess/(1)@{own_address}\r\n"
        f"Libprocess-From: (1)@{own_address}\r\nConnection: Keep-Alive\r\nHost: {address}\r\n"
        "\r\n".encode()
    )
    return connection


def main() -> int:
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    alive = send_alive(sys.argv[1], f"{host}:{port}")
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    kept = [alive]
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection = listener.accept()[0]
                kept.append(connection)
                selector.register(connection, selectors.EVENT_READ)
            elif _has_byte(key.fileobj):
                return 0
            else:
                selector.unregister(key.fileobj)  # at its end, but it is not closed


def _has_byte(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1))
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
