"""The tree of errors."""

from __future__ import annotations

import concurrent.futures
import inspect
import pickle
import re

import pytest

from greenproc import errors
from greenproc.errors import (
    Abandoned,
    BindError,
    Broken,
    Closed,
    Deadlock,
    Discarded,
    Failure,
    FutureError,
    GreenprocError,
    InvalidAddress,
    InvalidArgument,
    InvalidMessage,
    InvalidPID,
    InvalidSettings,
    InvalidURL,
    LocalProtocolError,
    NoRuntime,
    NotSettled,
    ProtocolError,
    RemoteProtocolError,
    StateError,
    WaitTimeout,
)

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value)]
OWN = [cls for cls in CLASSES if cls.__module__ == "greenproc.errors"]


@pytest.mark.parametrize(
    ("error", "parents"),
    [
        (InvalidArgument, (GreenprocError, ValueError)),
        (InvalidAddress, (InvalidArgument,)),
        (InvalidPID, (InvalidArgument,)),
        (InvalidSettings, (InvalidArgument,)),
        (InvalidURL, (InvalidArgument,)),
        (WaitTimeout, (GreenprocError, TimeoutError)),
        (NotSettled, (WaitTimeout,)),
        (NoRuntime, (GreenprocError, RuntimeError)),
        (StateError, (GreenprocError, RuntimeError)),
        (Deadlock, (GreenprocError, RuntimeError)),
        (BindError, (GreenprocError, OSError)),
        (Closed, (GreenprocError,)),
        (Broken, (GreenprocError,)),
        (ProtocolError, (GreenprocError,)),
        (LocalProtocolError, (ProtocolError,)),
        (RemoteProtocolError, (ProtocolError,)),
        (InvalidMessage, (RemoteProtocolError, ValueError)),
        (FutureError, (GreenprocError,)),
        (Failure, (FutureError,)),
        (Discarded, (FutureError, concurrent.futures.CancelledError)),
        (Abandoned, (FutureError,)),
    ],
)
def test_an_error_can_be_caught_as_its_parents(
    error: type[Exception], parents: tuple[type[Exception], ...]
) -> None:
    assert error.__bases__ == parents


def test_the_drawing_shows_every_error_in_order() -> None:
    drawing = (errors.__doc__ or "").partition("::")[2].partition("The classes")[0]
    drawn = re.findall(r"^[ │├└─]*(\w+)", drawing, re.MULTILINE)

    assert sorted(name for name in drawn if name) == sorted(cls.__name__ for cls in OWN)


@pytest.mark.parametrize("error", OWN)
def test_an_error_tells_its_text(error: type[Exception]) -> None:
    assert str(error("the text")) == "the text"


@pytest.mark.parametrize("error", OWN)
def test_an_error_survives_pickling(error: type[Exception]) -> None:
    copy = pickle.loads(pickle.dumps(error("the text")))

    assert type(copy) is error
    assert str(copy) == "the text"


def test_protocol_errors_suggest_a_status() -> None:
    assert RemoteProtocolError("x").status == 400
    assert LocalProtocolError("x").status == 500
    assert RemoteProtocolError("x", status=413).status == 413
    assert pickle.loads(pickle.dumps(RemoteProtocolError("x", status=413))).status == 413


def test_discarded_and_abandoned_need_no_text() -> None:
    assert str(Discarded()) == "the future was discarded"
    assert str(Abandoned()) == "the future was abandoned"
