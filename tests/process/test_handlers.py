"""What `install` and `route` declare on a class."""

from __future__ import annotations

from typing import Any

import pytest

from greenproc.errors import InvalidArgument
from greenproc.http.request import Request
from greenproc.pid import UPID
from greenproc.process.handlers import (
    RouteOptions,
    checked_path,
    declared_handlers,
    install,
    route,
)


class Base:
    @install("a")
    def on_a(self, sender: UPID, body: bytes) -> str:
        return "base a"

    @install("b")
    def on_b(self, sender: UPID, body: bytes) -> str:
        return "base b"

    @route("/x", help="X.", realm="r")
    def on_x(self, request: Request, principal: object) -> str:
        return "base x"


def test_declarations_are_gathered() -> None:
    declared = declared_handlers(Base)
    assert declared.messages == {"a": Base.on_a, "b": Base.on_b}
    assert declared.routes == {"x": (RouteOptions("/x", "X.", "r"), Base.on_x)}


def test_override_without_a_decorator_is_the_handler() -> None:
    class Derived(Base):
        def on_a(self, sender: UPID, body: bytes) -> str:
            return "derived a"

    declared = declared_handlers(Derived)
    assert declared.messages == {"a": Derived.on_a, "b": Base.on_b}


def test_most_derived_declaration_of_a_name_wins() -> None:
    class Derived(Base):
        @install("a")
        def another(self, sender: UPID, body: bytes) -> str:
            return "another"

    assert declared_handlers(Derived).messages["a"] is Derived.another


def test_one_method_may_handle_several_names_and_paths() -> None:
    class Several:
        @install("a")
        @install("b")
        @route("/a")
        @route("/")
        def on_any(self, *args: object) -> str:
            return "any"

    declared = declared_handlers(Several)
    assert set(declared.messages) == {"a", "b"}
    assert set(declared.routes) == {"a", ""}


def test_mixin_that_is_no_process_may_declare() -> None:
    class Mixin:
        @install("m")
        def on_m(self, sender: UPID, body: bytes) -> None: ...

    class Derived(Mixin, Base):
        pass

    assert set(declared_handlers(Derived).messages) == {"a", "b", "m"}


def test_decorated_function_stays_what_it_is() -> None:
    assert Base().on_a(UPID(), b"") == "base a"


def test_install_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"as in @install\('ping'\)"):
        install(lambda sender, body: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/", "/a", "/a/b"])
def test_path_with_a_slash_in_front_is_good(path: str) -> None:
    assert checked_path(path) == path


@pytest.mark.parametrize(
    "path", ["/a-b_c~d.txt", "/a%20b", "/a;b=c", "/*", "/a//b", "/a..b", "/@:!$&'()+,="]
)
def test_path_that_a_url_can_spell_is_good(path: str) -> None:
    assert checked_path(path) == path


@pytest.mark.parametrize(
    "path", ["/\xe9", "/a b", "/x?y", "/x#y", "/a\n", "/\x7f", "/..", "/a/../b", "/..."]
)
def test_path_that_no_request_reaches_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="expected a path like '/health'"):
        route(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("realm", 5),
        ("realm", ""),
        ("realm", b"r"),
        ("help", 5),
        ("help", b"Help."),
        ("streaming", "yes"),
        ("streaming", 1),
        ("streaming", None),
    ],
)
def test_option_of_another_kind_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"expected {name} to be .*, got {value!r}"):
        route("/a", **{name: value})


@pytest.mark.parametrize("path", ["", "a", "/a/", "//", None])
def test_other_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="expected a path like '/health'"):
        route(path)
