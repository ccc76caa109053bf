"""`Front`: the page, and what it connects to."""

from __future__ import annotations

import secrets
from pathlib import Path
from string import Template

from chat.member import Member
from chat.words import MAX_BATCH_BYTES, Batch, decode, encode
from greenproc import UPID, Process, dispatch, route, terminate
from greenproc.http import OK, BadRequest, MethodNotAllowed, NoContent, NotFound, Request, Response
from greenproc.web import EventStream, StreamLimits, Subscriber

FRONT = "chat"
PAGE = Path(__file__).parent / "page"
FILES = {
    "chat.css": "text/css; charset=utf-8",
    "chat.js": "text/javascript; charset=utf-8",
    "connection.js": "text/javascript; charset=utf-8",
    "messages.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
MAX_VISITORS = 5000
MAX_WAITING_BYTES = 512 * 1024  # for one browser; beyond it the browser has to come again

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
# Nothing from elsewhere, and no script or style within the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Front(Process):
    """Serves the page, and has a `Member` for each browser.

    Args:
        hall: where rooms are found, on any node.
    """

    def __init__(self, hall: UPID) -> None:
        super().__init__(FRONT)
        self.hall = hall
        self._members: dict[str, Member] = {}
        self._sessions: dict[Subscriber, str] = {}

    def initialize(self) -> None:
        self._events = EventStream(
            limits=StreamLimits(
                history_events=0, waiting_bytes=MAX_WAITING_BYTES, subscribers=MAX_VISITORS
            ),
            on_gone=self.defer(Front.leave),
        )

    def finalize(self) -> None:
        self._events.end()

    @route("/", help="The page of the chat.")
    def on_page(self, request: Request) -> Response:
        # So that it works behind a prefix, and with a slash at its end.
        base = "" if request.url.path.endswith("/") else f"{FRONT}/"
        page = Template((PAGE / "index.html").read_text("utf-8")).substitute(base=base)
        headers = {"Content-Type": "text/html; charset=utf-8", **SAFE}
        return OK(page, headers={**headers, "Content-Security-Policy": POLICY})

    @route("/static", help="")
    def on_static(self, request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        if name not in FILES:
            return NotFound()
        return Response(path=str(PAGE / name), headers={"Content-Type": FILES[name], **SAFE})

    @route("/events", help="What a browser without WebSocket gets.")
    def on_events(self, request: Request) -> Response:
        return self._events.respond(request, on_open=self._enter)

    @route("/send", help="What a browser without WebSocket says.")
    def on_send(self, request: Request) -> Response:
        if request.method != "POST":
            return MethodNotAllowed(["POST"], request.method)
        batch = None
        if len(request.body) <= MAX_BATCH_BYTES:
            batch = decode(request.body, Batch)
        if batch is None:
            return BadRequest()
        member = self._members.get(batch.session)
        if member is None:
            return NotFound()
        for command in batch.commands:
            dispatch(member, Member.command, command)
        return NoContent()

    def leave(self, subscriber: Subscriber) -> None:
        """Let the member of a browser that is gone end."""
        member = self._members.pop(self._sessions.pop(subscriber, ""), None)
        if member is not None:
            terminate(member.pid, inject=False)

    def _enter(self, subscriber: Subscriber) -> None:
        session = secrets.token_urlsafe(18)
        self._sessions[subscriber] = session
        member = self._members[session] = Member(self.hall, subscriber)
        self.runtime.spawn(member)
        subscriber.send(encode(do="session", session=session).decode())
