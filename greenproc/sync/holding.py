"""Work that is done while a lock is held, as a future."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

from gevent import Timeout

from greenproc.checks import check_callable
from greenproc.future.delivery import call_all, is_outermost
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.state import register_request, request_weakly

GiveBack = Callable[[], object]


def run_holding(
    take: Callable[[], Future[None]],
    give_back: GiveBack,
    function: Callable[..., Any],
    /,
    *args: Any,
    **kwargs: Any,
) -> Future[Any]:
    """Call *function* once what *take* returns is ready, and *give_back* when its result is over.

    Nothing is given back that was not taken, whoever discards what at which moment: that is what
    ``lock().then(work).on_any(unlock)`` gets wrong.

    Raises:
        InvalidArgument: *function* cannot be called.
    """
    check_callable(function)
    turn = take()
    promise: Promise[Any] = Promise()
    result = promise.future
    register_request(result, request_weakly, ref(turn))
    turn.add_done_callback(partial(_work, promise, give_back, partial(function, *args, **kwargs)))
    return result


def _work(
    promise: Promise[Any], give_back: GiveBack, call: Callable[[], Any], turn: Future[None]
) -> None:
    if not turn.is_ready:
        promise(turn)
        return
    if promise.future.has_discard:
        call_all((give_back, promise.discard))
        return
    try:
        value = call()
    except Exception as error:
        call_all((give_back, partial(promise.fail, error)))
    except Timeout as error:
        call_all((give_back, partial(promise.fail, error)))
        if not is_outermost():
            raise  # it may be one that is set where this is called, or where the lock is unlocked
    except BaseException:
        call_all((give_back, promise.abandon))
        raise
    else:
        if isinstance(value, Future):
            value.add_done_callback(lambda _: give_back())
            promise.associate(value)
        else:
            call_all((give_back, partial(promise.set, value)))
