"""What `install` and `route` declare on a class."""

from __future__ import annotations

from typing import Any

import pytest

from greenproc.errors import InvalidArgument
from greenproc.http.request import Request
from greenproc.pid import UPID
from greenproc.process.handlers import declared_handlers, install, route
from greenproc.process.route_options import RouteOptions, checked_path


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
    assert declared.routes == ((RouteOptions("/x", "X.", "r"), Base.on_x),)


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
    assert [options.path for options, _ in declared.routes] == ["/", "/a"]


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


# Methods and parameters


def routes_of(cls: type) -> list[tuple[str, Any, Any]]:
    return [(one.path, one.methods, function) for one, function in declared_handlers(cls).routes]


class Methods:
    @route("/x", methods=["get", "POST"])
    def on_x(self, request: Request) -> str:
        return "x"

    @route("/x", methods=("DELETE",))
    def on_x_deleted(self, request: Request) -> str:
        return "deleted"

    @route("/rooms/<name>")
    def on_room(self, request: Request, name: str) -> str:
        return name


def test_two_methods_of_a_class_may_share_a_path() -> None:
    assert routes_of(Methods) == [
        ("/x", ("GET", "POST"), Methods.on_x),
        ("/x", ("DELETE",), Methods.on_x_deleted),
        ("/rooms/<name>", None, Methods.on_room),
    ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"path": "/x", "methods": ["GET", "PUT"]}, {"path": "/x", "methods": ["put"]}),
        ({"path": "/x"}, {"path": "/x", "methods": ["PUT"]}),
        ({"path": "/r/<a>"}, {"path": "/r/<a>", "methods": ["PUT"]}),
        ({"path": "/r/<a>"}, {"path": "/r/<string:b>"}),
    ],
)
def test_two_for_one_path_and_method_are_refused(one: Any, two: Any) -> None:
    def take(self: object, request: Request, **names: str) -> None: ...

    def take_too(self: object, request: Request, **names: str) -> None: ...

    members = {"one": route(**one)(take), "two": route(**two)(take_too)}
    with pytest.raises(InvalidArgument, match=r"two handlers of requests for '/.*one and"):
        declared_handlers(type("Twice", (), members))


def test_a_subclass_replaces_one_method_of_a_path() -> None:
    class Derived(Methods):
        @route("/x", methods=["GET"])
        def on_get(self, request: Request) -> str:
            return "got"

        @route("/rooms/<id>")
        def on_id(self, request: Request, id: str) -> str:
            return id

    assert routes_of(Derived) == [
        ("/x", ("GET", "POST"), Methods.on_x),
        ("/x", ("DELETE",), Methods.on_x_deleted),
        ("/x", ("GET",), Derived.on_get),
        ("/rooms/<id>", None, Derived.on_id),
    ]


def test_a_subclass_that_takes_all_methods_replaces_the_others() -> None:
    class Derived(Methods):
        @route("/x")
        def on_all(self, request: Request) -> str:
            return "all"

    assert ("/x", None, Derived.on_all) in routes_of(Derived)
    assert len(routes_of(Derived)) == 2


def test_one_path_is_streaming_or_not() -> None:
    class Both:
        @route("/x", methods=["PUT"], streaming=True)
        def on_put(self, request: Request) -> None: ...

        @route("/x", methods=["GET"])
        def on_get(self, request: Request) -> None: ...

    with pytest.raises(InvalidArgument, match="all handlers of '/x' of Both to be streaming"):
        declared_handlers(Both)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"methods": "GET"}, "expected a list of methods"),
        ({"methods": 5}, "expected a list of methods"),
        ({"methods": []}, "expected at least one method"),
        ({"methods": ["GET "]}, "expected the name of a method, got 'GET '"),
        ({"methods": [None]}, "expected the name of a method, got None"),
        ({"json": 5}, "expected json to be a Struct, a dataclass"),
        ({"json": Methods}, "expected json to be a Struct, a dataclass"),
        ({"json": int, "streaming": True}, "expected no json with streaming"),
        ({"cors": "https://a/"}, "expected an origin as browsers send it"),
        ({"cors": 5}, "expected origins"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: Any, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        route("/x", **options)


def test_an_option_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="a route has no option method, name"):
        route("/x", name="x", method="GET")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("path", "options", "function", "told"),
    [
        ("/r/<name>", {}, lambda self, request: 1, "expected H.on_it(self, request, name), got"),
        (
            "/r/<name>",
            {},
            lambda self, request, room: 1,
            "got H.on_it(self, request, room): missing a",
        ),
        ("/r/<name>", {}, lambda self, request, name, /: 1, "positional"),
        ("/r/<request>", {}, lambda self, request: 1, "multiple values for argument 'request'"),
        ("/r/<name>", {"realm": "r"}, lambda self, request, name: 1, "multiple values"),
        (
            "/r",
            {"json": int},
            lambda self, request: 1,
            "expected H.on_it(self, request, body), got",
        ),
        (
            "/r/<name>",
            {"json": int, "realm": "r"},
            lambda self, request, principal, name: 1,
            "expected H.on_it(self, request, principal, body, name), got",
        ),
    ],
)
def test_a_handler_that_does_not_take_the_parameters_is_refused(
    path: str, options: Any, function: Any, told: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        declared_handlers(type("H", (), {"on_it": route(path, **options)(function)}))
    assert told in str(caught.value)


def test_a_parameter_of_another_type_than_the_path_gives_is_refused() -> None:
    class Texts:
        @route("/r/<number>")
        def on_it(self, request: Request, number: int) -> None: ...

    class Numbers:
        @route("/r/<int:number>")
        def on_it(self, request: Request, *, number: str) -> None: ...

    with pytest.raises(InvalidArgument, match=r"expects number as int, .* use <int:number>"):
        declared_handlers(Texts)
    with pytest.raises(InvalidArgument, match=r"expects number as str, .* use <number>"):
        declared_handlers(Numbers)


def test_parameters_may_be_taken_by_any_form_of_argument() -> None:
    class Forms:
        @route("/a/<x>/<int:y>")
        def on_names(self, request: Request, y: int, x: str) -> None: ...

        @route("/b/<x>")
        def on_keyword(self, request: Request, *, x: str) -> None: ...

        @route("/c/<x>")
        def on_all(self, request: Request, **names: object) -> None: ...

        @route("/d/<x>")
        @route("/d")
        def on_default(self, request: Request, x: str = "") -> None: ...

    assert len(routes_of(Forms)) == 5
