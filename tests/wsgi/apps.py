"""WSGI apps that tests have in common."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.validate import validator

TEXT = [("Content-Type", "text/plain")]


def answering(body: bytes = b"ok", status: str = "200 OK", headers: Any = None) -> Any:
    """Return an app that always answers with one piece."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, list(headers or TEXT))
        return [body]

    return app


def returning(make: Callable[[], Any], headers: Any = None, status: str = "200 OK") -> Any:
    """Return an app that answers with what *make* returns."""

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response(status, list(headers or TEXT))
        return make()

    return app


def reading(read: Callable[[Any], object]) -> Any:
    """Return an app that answers with the ``repr`` of what *read* makes of the input."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        text = repr(read(environ["wsgi.input"])).encode()
        start_response("200 OK", TEXT)
        return [text]

    return app


class Seen:
    """An app that keeps the environ of its last call."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.environ = environ
        start_response("200 OK", TEXT)
        return [b"seen"]


class Pieces:
    """An iterable that counts how often it was closed."""

    def __init__(self, pieces: Any) -> None:
        self.pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        self.closed += 1


def strict(app: Any) -> Any:
    """Return *app* under the validator, whose warnings are errors."""
    checked = validator(app)

    def run(environ: dict[str, Any], start_response: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return checked(environ, start_response)

    return run
