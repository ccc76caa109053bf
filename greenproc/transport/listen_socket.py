"""Sockets that listen, at an address or the path of a Unix socket, and the names of sockets."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, TypeAlias

from gevent import socket

from greenproc.address import Address
from greenproc.errors import BindError

ListenAddress: TypeAlias = Address | str
"""An address, such as ``127.0.0.1:8080``, or the path of a Unix socket, which has a slash."""

BACKLOG = 500_000  # libprocess' LISTEN_BACKLOG; the kernel cuts it to net.core.somaxconn


def listen_on(where: ListenAddress, backlog: int = BACKLOG) -> socket.socket:
    """Return a socket that listens at *where*: an address, or the path of a Unix socket.

    A socket that a server left at the path, and that refuses connections, is replaced.

    Args:
        where: port 0 lets the system choose.
        backlog: how many connections the system completes before they are accepted.

    Raises:
        BindError: the system refuses: the address is in use, or not of this machine, or the path
            cannot be written.
    """
    listening = None
    try:
        if isinstance(where, Address):
            family = socket.AF_INET6 if where.is_ipv6 else socket.AF_INET
            listening = socket.socket(family, socket.SOCK_STREAM)
            # A restarted node gets its port although connections of the last one are in TIME_WAIT.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((where.ip, where.port))
        else:
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            _bind_path(listening, where)
        listening.listen(backlog)
    except (OSError, ValueError) as error:
        if listening is not None:
            listening.close()
        reason = getattr(error, "strerror", None) or error
        raise BindError(f"cannot listen on {where}: {reason}") from error
    return listening


def path_of(listening: socket.socket) -> str | None:
    """Return the path of a Unix socket; None for a socket of another family."""
    if listening.family != socket.AF_UNIX:
        return None
    path = listening.getsockname()
    return path if isinstance(path, str) and path else None


def remove_path(path: str) -> None:
    """Remove the Unix socket at *path* from its folder."""
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)  # noqa: PTH108 -- beside lstat
    except OSError:
        pass  # it is removed already


def address_of(name: Any) -> Address | None:
    """Return the address in the *name* of a socket; None for that of a Unix socket.

    An IPv6 zone is left out. An IPv4 address that came over an IPv6 socket is returned as an IPv4
    address, so that it compares equal to the one in the peer's messages.
    """
    if not isinstance(name, tuple):
        return None
    ip = str(name[0]).partition("%")[0]
    if ip.startswith("::ffff:") and "." in ip:
        ip = ip.removeprefix("::ffff:")
    return Address(ip, int(name[1]))


def _bind_path(listening: socket.socket, path: str) -> None:
    try:
        listening.bind(path)
    except OSError as error:
        # A server that was killed leaves its path behind: nothing else tells it from one that runs.
        if error.errno != errno.EADDRINUSE or _is_served(path):
            raise
        remove_path(path)
        listening.bind(path)


def _is_served(path: str) -> bool:
    """Return whether a server listens at *path*, or the file there is no socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            pass
    return True
