"""A counter in a Flask app: a process holds the number, and every open page sees it change.

In the folder of this file, with gunicorn or without::

    gunicorn -k greenproc.wsgi.GreenprocWorker flask_counter:app
    greenproc serve flask_counter:app --port 8000 --monkey-patch

Then open http://127.0.0.1:8000/ twice, or::

    curl -X POST http://127.0.0.1:8000/add        the new number
    curl http://127.0.0.1:8000/wait?seen=1        the number, as soon as it is not 1
"""

import flask

import greenproc
from greenproc import UPID, Future, Process, Promise, Runtime, dispatch, route
from greenproc.errors import WaitTimeout
from greenproc.http import Request, Response
from greenproc.web import EventStream
from greenproc.wsgi import Middleware

PAGE = """<!doctype html><title>Counter</title>
<h1 id=total aria-live=polite></h1>
<button onclick="fetch('/add', {method: 'POST'})">add</button>
<script>
  new EventSource("/counter/events").onmessage = (event) => { total.textContent = event.data; };
</script>"""


class Counter(Process):
    """Counts for all requests of its worker. It does one thing at a time, so it needs no lock."""

    def __init__(self) -> None:
        super().__init__("counter")
        self.total = 0
        self.changed: Promise[int] = Promise()
        self.events = EventStream()
        self.is_draining = False

    def add(self) -> int:
        self.total += 1
        self.events.publish(json=self.total)
        self.wake()
        return self.total

    def wake(self) -> None:
        changed, self.changed = self.changed, Promise()
        changed.set(self.total)

    def wait(self, seen: int) -> Future[int]:
        """Return the future of another total than *seen*; the process goes on meanwhile."""
        is_over = self.total != seen or self.is_draining
        return Future(self.total) if is_over else self.changed.future

    def drain(self) -> None:
        """Answer what waits, since the worker is about to end."""
        self.is_draining = True
        self.wake()

    @route("/events")
    def on_events(self, request: Request) -> Response:
        return self.events.respond(request, on_open=lambda page: page.send(str(self.total)))


def spawn_processes(runtime: Runtime) -> None:
    """Spawn what the app works with; each worker calls this once, before the first request."""
    counter = runtime.spawn(Counter())
    drain = runtime.defer(counter, Counter.drain)
    runtime.signals.runtime_draining.connect(lambda _runtime: drain())


app = flask.Flask(__name__)
app.greenproc = spawn_processes
app.wsgi_app = Middleware(app.wsgi_app)  # gives /counter/events to the process


def counter() -> UPID:
    """Return the address of the process in this worker."""
    return UPID("counter", greenproc.address())


@app.get("/")
def page() -> str:
    """Return a page that shows the number."""
    return PAGE


@app.post("/add")
def add() -> str:
    """Let the process count, and wait for its answer, but not for ever."""
    return f"{dispatch(counter(), Counter.add).get(timeout=5.0)}\n"


@app.get("/wait")
def wait() -> tuple[str, int]:
    """Wait for a change. That takes a greenlet, a few KiB, and no thread."""
    seen = flask.request.args.get("seen", 0, int)
    try:
        return f"{dispatch(counter(), Counter.wait, seen).get(timeout=25.0)}\n", 200
    except WaitTimeout:
        return "", 204  # ask again: proxies give up after 30 to 60 s
