"""Shielding a future from discard requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, overload

from greenproc.errors import InvalidArgument
from greenproc.future.core import register
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.state import ANY

T = TypeVar("T")
P = ParamSpec("P")


@overload
def undiscardable(target: Future[T]) -> Future[T]: ...
@overload
def undiscardable(target: Callable[P, Future[T]]) -> Callable[P, Future[T]]: ...
def undiscardable(target: Any) -> Any:
    """Return a future that completes as *target* does, but does not pass discard requests on.

    Abandonment is passed on only when *target* itself is garbage. Given a function that returns
    a future, return a function whose futures are so.

    Raises:
        InvalidArgument: *target* is neither.

    Source: libprocess include/process/future.hpp, undiscardable.
    """
    if isinstance(target, Future):
        promise: Promise[Any] = Promise()
        register(target, ANY, promise)  # holds the promise, so it ends with *target*
        return promise.future
    if not callable(target):
        raise InvalidArgument(f"expected a future, or a function that returns one, got {target!r}")

    @wraps(target)
    def shielded(*args: Any, **kwargs: Any) -> Future[Any]:
        future = target(*args, **kwargs)
        if not isinstance(future, Future):
            raise InvalidArgument(f"expected {target!r} to return a future, got {future!r}")
        return undiscardable(future)

    return shielded
