"""What a WSGI app costs: on a node, and in the worker of gunicorn that has one."""

from __future__ import annotations

from benchmarks.children import measure_other, serving
from benchmarks.harness import Goal, Other, Row, Sample
from benchmarks.load import alternating
from benchmarks.nodes import running, say, wait_for_end_of_input
from benchmarks.others.wsgi_servers import application, gunicorn, gunicorn_route, pywsgi_route
from greenproc.wsgi import WSGIProcess

ID = "app"
FLASK = "flask_app()"
WORKER = "greenproc.wsgi.GreenprocWorker"


def serve_on_node() -> None:
    """Run a node that serves the app for the parent, as ``greenproc serve`` does."""
    with running(delegate=ID) as runtime:
        runtime.spawn(WSGIProcess(ID, application))
        say(runtime.address)
        wait_for_end_of_input()


def on_node(count: int) -> Sample:
    """Ask the node."""
    with serving(serve_on_node) as address:
        return alternating(address, "/", count)


def under_worker(count: int) -> Sample:
    """Ask the worker of greenproc."""
    with gunicorn(FLASK, WORKER) as address:
        return alternating(address, "/", count)


def under_gevent(count: int) -> Sample:
    """Ask the worker of gevent."""
    with gunicorn(FLASK) as address:
        return alternating(address, "/", count)


NODE = Row(
    name="wsgi-node",
    title="requests to a plain WSGI app on a node, over 32 connections",
    against="gevent.pywsgi",
    subject=on_node,
    baseline=pywsgi_route,
    goal=Goal(2.0),
    count=20_000,
    quick_count=500,
    others=(
        Other("gunicorn", 20_000, lambda count: measure_other("gunicorn", gunicorn_route, count)),
    ),
)

WORKER_ROW = Row(
    name="wsgi-worker",
    title="requests to an app of Flask under gunicorn with the worker of greenproc",
    against="its worker of gevent",
    subject=under_worker,
    baseline=under_gevent,
    goal=Goal(0.95),
    count=5_000,
    quick_count=200,
    needs=("gunicorn", "flask"),
)
