"""The chat by WebSocket, where wsproto is installed: ``pip install 'greenproc[websocket]'``."""

from __future__ import annotations

from weakref import WeakSet

from chat.front import MAX_VISITORS, MAX_WAITING_BYTES, Front
from chat.member import Member
from chat.words import COMMANDS, MAX_COMMAND_BYTES, decode
from greenproc import UPID, WebSocket, websocket
from greenproc.http import Response, ServiceUnavailable

NO_COMMAND = 4400  # a close code of our own


class SocketMember(Member):
    """A browser with a WebSocket; ends with it."""

    def __init__(self, hall: UPID, ws: WebSocket) -> None:
        super().__init__(hall, ws)
        self._ws = ws

    def initialize(self) -> None:
        super().initialize()
        self._ws.on_message(self.heard)

    def heard(self, ws: WebSocket, message: str | bytes) -> None:
        """Do what the browser wants."""
        body = message.encode("utf-8", "replace") if isinstance(message, str) else message
        command = decode(body, COMMANDS)
        if command is None:
            ws.close(NO_COMMAND, "that is no command")
        else:
            self.command(command)


class SocketFront(Front):
    """A `Front` that takes WebSockets, too."""

    def __init__(self, hall: UPID) -> None:
        super().__init__(hall)
        self._socket_members: WeakSet[SocketMember] = WeakSet()

    @websocket("/ws", max_message_bytes=MAX_COMMAND_BYTES, max_send_bytes=MAX_WAITING_BYTES)
    def on_socket(self, ws: WebSocket) -> Member | Response:
        if len(self._socket_members) >= MAX_VISITORS:
            return ServiceUnavailable()
        member = SocketMember(self.hall, ws)
        self._socket_members.add(member)
        return member
