"""The views. Each runs in a greenlet of its own: one that waits holds up nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

import greenproc
from django_rooms.rooms import Porter, Room
from greenproc import UPID, dispatch
from greenproc.errors import WaitTimeout

SECONDS = 5.0  # that a view waits for an answer that needs no waiting


def ask(
    name: str, method: Callable[..., Any], *arguments: object, timeout: float = SECONDS
) -> Any:
    """Call *method* in the room *name*, and wait for what it returns.

    Raises:
        Http404: there are too many rooms.
        WaitTimeout: it took longer than *timeout*.
    """
    porter = UPID("porter", greenproc.address())
    room = dispatch(porter, Porter.open, name).get(timeout=SECONDS)
    if room is None:
        raise Http404("there are too many rooms")
    return dispatch(room, method, *arguments).get(timeout=timeout)


@require_GET
def page(request: HttpRequest, name: str) -> HttpResponse:
    """Show a room; its lines come by /room-<name>/events."""
    ask(name, Room.lines_after, 0)  # so that the room is there
    return render(request, "room.html", {"name": name})


@require_POST
def say(request: HttpRequest, name: str) -> HttpResponse:
    """Say something."""
    who, text = request.POST.get("name", "")[:20], request.POST.get("text", "")[:500]
    return JsonResponse(ask(name, Room.say, who or "a guest", text), status=201)


@require_GET
def lines(request: HttpRequest, name: str) -> HttpResponse:
    """Return the lines after the number ``after``, which a client without SSE asks for in a loop."""
    after = request.GET.get("after", "0")
    if not after.isdecimal():
        return HttpResponse("after: expected a number", status=400)
    try:
        found = ask(name, Room.wait_for_lines, int(after), timeout=25.0)
    except WaitTimeout:
        found = []  # to be asked again: proxies give up after 30 to 60 s
    return JsonResponse(found, safe=False)
