"""Reports that are made after their request was answered: no broker, no second program.

In the folder of this file, with gunicorn or without::

    gunicorn -k greenproc.wsgi.GreenprocWorker celery_free_jobs:app
    greenproc serve celery_free_jobs:app --port 8000 --monkey-patch

Then open http://127.0.0.1:8000/, or::

    curl -d rows=100 http://127.0.0.1:8000/reports         202, with the path of the report
    curl http://127.0.0.1:8000/reports/1                   how far it is
    curl "http://127.0.0.1:8000/reports/1/text?wait=20"    the report; 202 when it takes longer
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import flask
import gevent
from gevent.lock import Semaphore
from gevent.pool import Group

import greenproc
from greenproc import UPID, Future, Process, Promise, Runtime, dispatch, route
from greenproc.errors import WaitTimeout
from greenproc.http import Request, Response
from greenproc.web import EventStream
from greenproc.wsgi import Middleware

RUNNING = 4  # reports at once; the others wait
KEPT = 1000  # reports

PAGE = """<!doctype html><title>Reports</title>
<button onclick="fetch('/reports', {method: 'POST', body: new URLSearchParams({rows: 100})})">
  make a report</button>
<ul id=list></ul>
<script>
  new EventSource("/jobs/events").onmessage = (event) => {
    const {number, done, rows} = JSON.parse(event.data);
    const line = document.getElementById(number) || list.appendChild(document.createElement("li"));
    line.id = number;
    line.innerHTML = `report ${number} <progress value=${done} max=${rows}></progress>`;
  };
</script>"""


def make_report(rows: int, tell: Callable[[int], object]) -> str:
    """Stand for what takes its time, and waits for databases and other servers meanwhile."""
    for done in range(1, rows + 1):
        gevent.sleep(0.02)
        tell(done)
    return f"a report of {rows} rows\n"


@dataclass
class Job:
    """A report that was asked for."""

    number: int
    rows: int
    done: int = 0
    report: Promise[str] = field(default_factory=Promise)

    def show(self) -> dict[str, int]:
        return {"number": self.number, "rows": self.rows, "done": self.done}


class Jobs(Process):
    """Lets jobs run beside it, in greenlets of their own, so that it can be asked about them."""

    def __init__(self) -> None:
        super().__init__("jobs")
        self.jobs: dict[int, Job] = {}
        self.numbers = count(1)
        self.greenlets = Group()
        self.slots = Semaphore(RUNNING)
        self.events = EventStream()

    def start(self, rows: int) -> int:
        job = Job(next(self.numbers), rows)
        self.jobs[job.number] = job
        self.jobs.pop(job.number - KEPT, None)
        self.greenlets.spawn(self.run, job)
        return job.number

    def run(self, job: Job) -> None:
        def tell(done: int) -> None:
            job.done = done
            self.events.publish(json=job.show())

        with self.slots:
            try:
                job.report.set(make_report(job.rows, tell))
                print(f"report {job.number} is done", flush=True)
            except Exception as error:
                job.report.fail(error)
                raise  # so that it is in the log

    def find(self, number: int) -> dict[str, int] | None:
        return self.jobs[number].show() if number in self.jobs else None

    def report(self, number: int) -> Future[str]:
        return self.jobs[number].report.future

    @route("/events")
    def on_events(self, request: Request) -> Response:
        return self.events.respond(request)

    def finalize(self) -> None:
        """Finish what was begun; the node waits for it, as long as its ``stop_timeout``."""
        self.greenlets.join()


def spawn_processes(runtime: Runtime) -> None:
    """Spawn what the app works with; each worker calls this once, before the first request."""
    runtime.spawn(Jobs())


app = flask.Flask(__name__)
app.greenproc = spawn_processes
app.wsgi_app = Middleware(app.wsgi_app)  # gives /jobs/events to the process


def jobs() -> UPID:
    """Return the address of the process in this worker."""
    return UPID("jobs", greenproc.address())


@app.get("/")
def page() -> str:
    """Return a page that follows all reports."""
    return PAGE


@app.post("/reports")
def start() -> flask.Response:
    """Answer at once; the report is made by and by."""
    rows = min(flask.request.form.get("rows", 100, int), 10_000)
    number = dispatch(jobs(), Jobs.start, rows).get(timeout=5.0)
    path = f"/reports/{number}"
    return flask.Response(f"{path}\n", 202, {"Location": path})


@app.get("/reports/<int:number>")
def show(number: int) -> dict[str, int]:
    """Tell how far a report is."""
    return dispatch(jobs(), Jobs.find, number).get(timeout=5.0) or flask.abort(404)


@app.get("/reports/<int:number>/text")
def text(number: int) -> tuple[str, int]:
    """Wait for a report, up to 25 s, without holding a thread."""
    show(number)
    try:
        seconds = min(flask.request.args.get("wait", 0.0, float), 25.0)
        return dispatch(jobs(), Jobs.report, number).get(timeout=seconds), 200
    except WaitTimeout:
        return "", 202
