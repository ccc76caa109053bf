"""WebSockets of processes: RFC 6455 on the connections that a node serves."""

from greenproc.websockets.codes import CloseCode
from greenproc.websockets.connection import WebSocket
from greenproc.websockets.decorator import websocket
from greenproc.websockets.registry import WebSocketRegistry

__all__ = ["CloseCode", "WebSocket", "WebSocketRegistry", "websocket"]
