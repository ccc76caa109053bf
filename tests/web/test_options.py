"""What may be said about a request or a connection."""

from __future__ import annotations

from dataclasses import fields

import pytest

from greenproc.errors import InvalidArgument
from greenproc.web import connect, post
from greenproc.web.options import (
    ClientLimits,
    LimitKeywords,
    RequestKeywords,
    RequestOptions,
    check_seconds,
)


def test_options_and_keyword_arguments_have_the_same_names() -> None:
    limits = {one.name for one in fields(ClientLimits)}

    assert LimitKeywords.__annotations__.keys() == limits
    assert RequestKeywords.__annotations__.keys() == {
        *limits,
        *(one.name for one in fields(RequestOptions) if one.name != "limits"),
    }


def test_arguments_go_where_they_belong() -> None:
    options = RequestOptions.of(
        {"stream": True, "timeout": 1, "read_timeout": None, "max_body_bytes": 5}
    )

    assert options == RequestOptions(
        stream=True, timeout=1, limits=ClientLimits(read_timeout=None, max_body_bytes=5)
    )


def test_what_is_not_said_has_its_default() -> None:
    assert RequestOptions.of({}) == RequestOptions()
    assert RequestOptions().limits == ClientLimits()
    assert (RequestOptions().timeout, RequestOptions().max_redirects, RequestOptions().stream) == (
        None,
        0,
        False,
    )
    assert ClientLimits() == ClientLimits(
        connect_timeout=10.0,
        send_timeout=30.0,
        first_byte_timeout=None,
        read_timeout=None,
        max_body_bytes=64 * 1024 * 1024,
    )


@pytest.mark.parametrize("seconds", [0, 0.5, 10, float("inf"), None])
def test_these_are_times(seconds: object) -> None:
    check_seconds("timeout", seconds)


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), True, "1", [1]])
def test_these_are_none(seconds: object) -> None:
    with pytest.raises(InvalidArgument, match="as some_timeout"):
        check_seconds("some_timeout", seconds)


@pytest.mark.parametrize(
    "limits", [{"max_body_bytes": -1}, {"max_body_bytes": 1.5}, {"connect_timeout": -1}], ids=str
)
def test_limits_out_of_range(limits: dict[str, float]) -> None:
    with pytest.raises(InvalidArgument):
        ClientLimits(**limits)  # type: ignore[arg-type]


def test_redirects_are_counted() -> None:
    with pytest.raises(InvalidArgument, match="max_redirects"):
        RequestOptions(max_redirects=-1)


def test_an_argument_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(TypeError) as caught:
        post("http://127.0.0.1:1/", timeoot=1)  # type: ignore[call-arg]
    assert str(caught.value) == (
        "request() got an unexpected keyword argument 'timeoot': expected connect_timeout, "
        "first_byte_timeout, max_body_bytes, max_redirects, read_timeout, send_timeout, stream "
        "or timeout"
    )


def test_a_connection_has_no_timeout_for_everything() -> None:
    with pytest.raises(TypeError) as caught:
        connect("http://127.0.0.1:1/", timeout=1)  # type: ignore[call-arg]
    assert str(caught.value) == (
        "connect() got an unexpected keyword argument 'timeout': expected connect_timeout, "
        "first_byte_timeout, max_body_bytes, read_timeout or send_timeout"
    )
