"""All rows, in the order of the table."""

from __future__ import annotations

from benchmarks.harness import Row
from benchmarks.rows import (
    dispatch,
    future_chain,
    future_collect,
    future_thread,
    http_client,
    http_idle,
    http_route,
    http_stream,
    local_burst,
    local_round_trip,
    memory,
    million,
    mutex,
    offload,
    queue,
    remote_burst,
    remote_round_trip,
    spawn,
    timers_cancel,
    timers_fire,
    websocket,
    wsgi,
)

ROWS: tuple[Row, ...] = (
    local_round_trip.ROW,
    local_burst.ROW,
    dispatch.ROW,
    spawn.ROW,
    memory.ROW,
    million.ROW,
    timers_cancel.ROW,
    timers_fire.ROW,
    future_chain.ROW,
    future_collect.ROW,
    future_thread.ROW,
    offload.ROW,
    mutex.ROW,
    queue.ROW,
    remote_burst.LINKED,
    remote_burst.UNLINKED,
    remote_round_trip.ONE,
    remote_round_trip.MANY,
    http_route.KEPT,
    http_route.PIPELINED,
    http_idle.ROW,
    http_stream.DOWN,
    http_stream.UP,
    http_client.ONE,
    http_client.GREENLETS,
    http_client.PIPELINED,
    websocket.ROW,
    wsgi.NODE,
    wsgi.WORKER_ROW,
)

BY_NAME = {row.name: row for row in ROWS}
