from __future__ import annotations

from array import array
from functools import partial
from typing import Any

import pytest

from greenproc.errors import InvalidArgument
from greenproc.http.response import (
    OK,
    Accepted,
    BadRequest,
    Conflict,
    Created,
    Forbidden,
    InternalServerError,
    MethodNotAllowed,
    NoContent,
    NotAcceptable,
    NotFound,
    NotImplemented,
    PreconditionFailed,
    Response,
    ResponseKind,
    ServiceUnavailable,
    TemporaryRedirect,
    Unauthorized,
    UnsupportedMediaType,
)

TEXT = "text/plain; charset=utf-8"


def test_a_text_is_sent_as_utf_8() -> None:
    response = Response(200, "\xe9")
    assert response.body == b"\xc3\xa9" and response.headers == {"Content-Type": TEXT}
    assert response.kind is ResponseKind.BODY


def test_an_empty_body_is_a_body_and_none_is_not() -> None:
    assert OK(b"").kind is ResponseKind.BODY and OK(b"").headers == {"Content-Type": TEXT}
    assert OK().kind is ResponseKind.NONE and OK().headers == {}


def test_responses_do_not_share_their_headers() -> None:
    first, second, bare = OK("a"), OK("b"), OK()
    first.headers["Content-Type"] = "text/html"
    bare.headers["A"] = "1"
    assert second.headers == OK("c").headers == {"Content-Type": TEXT}
    assert OK().headers == {}


def test_the_media_type_of_the_handler_stays() -> None:
    assert OK(b"<p>", headers={"content-type": "text/html"}).headers == {
        "Content-Type": "text/html"
    }


def test_a_value_is_sent_as_compact_json() -> None:
    response = OK(json={"a": 1, "b": "text"})
    assert response.body == b'{"a":1,"b":"text"}'
    assert response.headers.lines() == [
        ("Content-Length", "18"),
        ("Content-Type", "application/json"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    assert response.json() == {"a": 1, "b": "text"}
    assert OK(json=None).body == b"null"


def test_a_value_is_sent_as_the_argument_of_a_function() -> None:
    response = OK(json={"a": 1, "b": "text"}, jsonp="cb")
    assert response.body == b'cb({"a":1,"b":"text"})'
    assert response.headers["Content-Type"] == "text/javascript"


def test_a_number_that_json_has_not_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"got a float at \$ \(nan\): .* use None"):
        OK(json=float("nan"))


@pytest.mark.parametrize("body", [{"a": 1}, [1], (1,)])
def test_a_body_that_is_meant_as_json_is_told_how_to_be_it(body: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"got .*: JSON is sent by OK\(json=\.\.\.\)$"):
        OK(body)
    with pytest.raises(InvalidArgument, match=r"expected a body of str or bytes, got 5$"):
        OK(5)  # type: ignore[arg-type]


def test_a_new_body_corrects_the_length_that_stands_in_the_headers() -> None:
    response = OK(json=[])
    response.body = "longer"
    assert response.headers["Content-Length"] == "6"


@pytest.mark.parametrize(
    ("response", "status", "body"),
    [
        (Created(), 201, b""),
        (Created("new"), 201, b"new"),
        (Accepted(), 202, b""),
        (NoContent(), 204, b""),
        (BadRequest(), 400, b"400 Bad Request."),
        (BadRequest("why"), 400, b"why"),
        (Unauthorized(['Basic realm="r"']), 401, b"401 Unauthorized."),
        (Forbidden(), 403, b"403 Forbidden."),
        (NotFound(), 404, b"404 Not Found."),
        (NotAcceptable(), 406, b"406 Not Acceptable."),
        (Conflict(), 409, b"409 Conflict."),
        (PreconditionFailed(), 412, b"412 Precondition Failed."),
        (UnsupportedMediaType(), 415, b"415 Unsupported Media Type."),
        (InternalServerError(), 500, b"500 Internal Server Error."),
        (NotImplemented(), 501, b"501 Not Implemented."),
        (ServiceUnavailable(), 503, b"503 Service Unavailable."),
        (
            MethodNotAllowed(["GET", "POST"]),
            405,
            b"405 Method Not Allowed. Expecting one of { 'GET', 'POST' }.",
        ),
        (
            MethodNotAllowed(["GET", "POST"], "PUT"),
            405,
            b"405 Method Not Allowed. Expecting one of { 'GET', 'POST' }, but received 'PUT'.",
        ),
    ],
)
def test_ready_made_responses_have_the_bodies_of_libprocess(
    response: Response, status: int, body: bytes
) -> None:
    assert (response.status, response.body) == (status, body)


def test_some_ready_made_responses_have_headers() -> None:
    assert TemporaryRedirect("/x").headers == {"Location": "/x"}
    assert MethodNotAllowed(["GET", "POST"]).headers["Allow"] == "GET, POST"
    challenges = Unauthorized(['Basic realm="a"', 'Bearer realm="b"'])
    assert challenges.headers["WWW-Authenticate"] == 'Basic realm="a", Bearer realm="b"'


@pytest.mark.parametrize("body", [{"a": 1}, 5, ["a"], object(), True])
def test_a_body_that_is_no_text_and_no_bytes_is_refused(body: Any) -> None:
    response = OK("a")
    for make in (OK, NotFound, partial(Response, 200), partial(Unauthorized, ["Basic"])):
        with pytest.raises(InvalidArgument, match="expected a body of str or bytes, got"):
            make(body)
    with pytest.raises(InvalidArgument, match="expected a body of str or bytes, got"):
        response.body = body
    assert response.body == b"a"


@pytest.mark.parametrize(
    "body", [bytearray(b"abcd"), memoryview(b"abcd"), memoryview(array("H", b"abcd"))]
)
def test_a_body_that_is_like_bytes_is_taken_as_it_is_now(body: Any) -> None:
    response = OK("a")
    response.body = body
    assert OK(body) == response == OK(b"abcd")
    assert type(response.body) is bytes


@pytest.mark.parametrize("refuse", [Unauthorized, MethodNotAllowed])
def test_a_single_text_is_not_many(refuse: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"expected a list of .*, got 'GET'"):
        refuse("GET")


def test_the_kind_says_where_the_body_comes_from() -> None:
    assert Response(path="/etc/hostname").kind is ResponseKind.PATH
    assert Response(reader=object()).kind is ResponseKind.PIPE
    assert repr(NotFound()) == "<Response 404 Not Found, body>"


def test_responses_with_the_same_content_are_equal() -> None:
    assert OK("a") == Response(200, b"a") and OK("a") != OK("b") and OK() != OK("")
    assert OK() != 200


def test_a_response_does_not_change_the_headers_it_is_given() -> None:
    headers = {"A": "1"}
    OK("a", headers=headers)
    assert headers == {"A": "1"}


@pytest.mark.parametrize("name", ["cb", "a.b.c", "$", "_x1", "jQuery123.cb_4"])
def test_a_function_is_named_by_identifiers_and_dots(name: str) -> None:
    response = OK(json=[1], jsonp=name)
    assert (response.status, response.body) == (200, f"{name}([1])".encode())


@pytest.mark.parametrize(
    "name",
    [
        "alert(1)//",
        "a b",
        "a;b",
        "1a",
        "a.",
        ".a",
        "a..b",
        "a[0]",
        "<script>",
        "cb\n",
        "é",
        "a" * 65,
    ],
)
def test_what_names_no_function_is_refused(name: str) -> None:
    response = OK(json=[1], jsonp=name)
    assert response.status == 400
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.body == b"expected the name of a function in 'jsonp'.\n"
    assert response.headers["Content-Length"] == str(len(response.body))
