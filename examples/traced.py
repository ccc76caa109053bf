"""One trace over two nodes: OpenTelemetry makes the spans, greenproc takes their context along.

It needs ``pip install 'greenproc[opentelemetry]'``. In one OS process::

    python examples/traced.py

In two, each in a terminal of its own. The first prints its address, which the second takes::

    cd examples; greenproc run traced:Warehouse
    python examples/traced.py warehouse@127.0.0.1:41234

Each prints its spans as they end. All are of one trace, each with the one above it as its parent.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import greenproc
from greenproc import UPID, Process, install
from greenproc.tracing import TraceContext, current_trace, use_trace


def describe(span: ReadableSpan) -> str:
    """Return the line that is printed for *span*."""
    context, parent = span.get_span_context(), span.parent
    above = f"{parent.span_id:016x}" if parent else "none"
    return f"{context.trace_id:032x} {span.name} {context.span_id:016x} parent {above}\n"


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=describe)))
tracer = provider.get_tracer("traced")
propagator = TraceContextTextMapPropagator()


@contextmanager
def span(name: str) -> Iterator[None]:
    """Make a span below the context that is current, and make that of the span current."""
    current = current_trace()
    parent = propagator.extract(current.headers if current else {}, Context())
    with tracer.start_as_current_span(name, context=parent):
        headers: dict[str, str] = {}
        propagator.inject(headers)
        with use_trace(TraceContext.parse(headers["traceparent"], headers.get("tracestate", ""))):
            yield


class Warehouse(Process):
    """Picks what is ordered."""

    def __init__(self) -> None:
        super().__init__("warehouse")

    @install("pick", returns=str)
    def on_pick(self, sender: UPID, body: bytes) -> str:
        with span("pick"):
            return f"picked: {body.decode('utf-8', 'replace')}"


class Shop(Process):
    """Takes orders, and asks a warehouse, here or on another node."""

    def order(self, what: str, warehouse: UPID) -> str:
        with span("order"):
            return self.ask(warehouse, "pick", what.encode(), returns=str, timeout=10.0).get()


if __name__ == "__main__":
    warehouse = UPID.parse(sys.argv[1]) if sys.argv[1:] else greenproc.spawn(Warehouse())
    shop = greenproc.spawn(Shop())
    with span("customer"):
        print(greenproc.dispatch(shop, Shop.order, "a lamp", warehouse).get())
    greenproc.finalize()
