"""``/help``; the texts are those of libprocess' help.cpp where nothing else is said."""

from __future__ import annotations

import json

import msgspec
import pytest

from greenproc.http.request import Request
from greenproc.process import HELP, TLDR, Process, route
from greenproc.process.base import record_of
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker
from tests.builtin.asking import BROWSER, CURL, ask, text
from tests.peer import Peer


class Counter(Process):
    """Has routes with and without help."""

    def __init__(self, id: str | None = "counter") -> None:
        super().__init__(id)

    @route("/total", help=HELP(TLDR("Current total.")))
    def on_total(self, request: Request) -> str:
        return "0"

    @route("/deep/er", help="Says nothing.\n")
    def on_deep(self, request: Request) -> str:
        return ""

    @route("/bare")
    def on_bare(self, request: Request) -> str:
        return ""


class Rooted(Process):
    """Has a root route only."""

    def __init__(self) -> None:
        super().__init__("rooted")

    @route("/", help="The root.\n")
    def on_root(self, request: Request) -> str:
        return ""


@pytest.fixture
def counter(runtime: Runtime) -> Counter:
    process = Counter()
    runtime.spawn(process)
    return process


def test_the_index_lists_processes_with_routes(runtime: Runtime, counter: Counter) -> None:
    runtime.spawn(Process("mute"))
    answer = ask(runtime, "/help", CURL)
    assert answer.header("Content-Type") == "text/x-markdown"
    assert text(answer) == (
        "## HELP\n"
        "> [/__node__][__node__]\n"
        "> [/__processes__][__processes__]\n"
        "> [/counter][counter]\n"
        "> [/dead-letters][dead-letters]\n"
        "> [/help][help]\n"
        "> [/logging][logging]\n"
        "> [/metrics][metrics]\n"
        "> [/profiler][profiler]\n"
        "> [/system][system]\n"
        "\n"
        "[__node__]: help/__node__\n"
        "[__processes__]: help/__processes__\n"
        "[counter]: help/counter\n"
        "[dead-letters]: help/dead-letters\n"
        "[help]: help/help\n"
        "[logging]: help/logging\n"
        "[metrics]: help/metrics\n"
        "[profiler]: help/profiler\n"
        "[system]: help/system\n"
        "\n"
    )


def test_the_index_of_a_process_lists_its_endpoints(runtime: Runtime, counter: Counter) -> None:
    assert text(ask(runtime, "/help/counter", CURL)) == (
        "## `/counter` ##\n"
        "> [/counter/bare][counter/bare]\n"
        "> [/counter/deep/er][counter/deep/er]\n"
        "> [/counter/total][counter/total]\n"
        "\n"
        "[counter/bare]: counter/bare\n"
        "[counter/deep/er]: counter/deep/er\n"
        "[counter/total]: counter/total\n"
        "\n"
    )


def test_the_page_of_an_endpoint_begins_with_its_usage(runtime: Runtime, counter: Counter) -> None:
    assert text(ask(runtime, "/help/counter/total", CURL)) == (
        "### USAGE ###\n>        /counter/total\n\n### TL;DR; ###\nCurrent total.\n\n"
    )
    assert text(ask(runtime, "/help/counter/deep/er/", CURL)).endswith("Says nothing.\n\n")


def test_an_endpoint_without_help_says_so(runtime: Runtime, counter: Counter) -> None:
    assert text(ask(runtime, "/help/counter/bare", CURL)) == (
        "## No help page for `/counter/bare`\n\n"
    )


def test_what_pages_are_made_of_is_not_listed(runtime: Runtime) -> None:
    for path in ("/help?format=json", "/help/__node__"):
        told = text(ask(runtime, path, CURL))
        assert "node.js" not in told
        assert "style.css" not in told


def test_an_endpoint_with_an_empty_text_of_help_is_not_listed(runtime: Runtime) -> None:
    shy = Process("shy")
    shy.route("/x", lambda request: "x", help="")
    runtime.spawn(shy)

    assert "shy" not in text(ask(runtime, "/help"))
    assert ask(runtime, "/help/shy/x").code == 400
    assert text(ask(runtime, "/shy/x")) == "x"


def test_endpoints_of_the_delegate_are_told_without_its_id_first(
    make_runtime: RuntimeMaker,
) -> None:
    runtime = make_runtime(delegate="counter")
    runtime.spawn(Counter())
    assert text(ask(runtime, "/help/counter/total", CURL)).startswith(
        "### USAGE ###\n>        /total\n>        /counter/total\n\n"
    )


def test_the_root_of_a_process_is_told_with_its_endpoints(runtime: Runtime) -> None:
    runtime.spawn(Rooted())
    assert text(ask(runtime, "/help/rooted", CURL)) == (
        "## `/rooted` ##\n> /rooted\n\n### USAGE ###\n>        /rooted\n\nThe root.\n\n\n"
    )


def test_everything_is_had_as_json(runtime: Runtime, counter: Counter) -> None:
    answer = ask(runtime, "/help?format=json", BROWSER)
    assert answer.header("Content-Type") == "application/json"
    told = {one["id"]: one["endpoints"] for one in json.loads(text(answer))["processes"]}
    assert list(told) == sorted(told)
    assert told["counter"] == [
        {"name": "/bare", "text": "## No help page for `/counter/bare`\n"},
        {
            "name": "/deep/er",
            "text": "### USAGE ###\n>        /counter/deep/er\n\nSays nothing.\n",
        },
        {
            "name": "/total",
            "text": ("### USAGE ###\n>        /counter/total\n\n### TL;DR; ###\nCurrent total.\n"),
        },
    ]


@pytest.mark.parametrize(
    "path", ["nobody", "counter/none", "counter/tot", "counter/total/x", "mute", "counter/%zz"]
)
def test_where_there_is_no_help_is_a_bad_request(
    runtime: Runtime, counter: Counter, path: str
) -> None:
    runtime.spawn(Process("mute"))
    answer = ask(runtime, f"/help/{path}", CURL)
    assert answer.code == 400
    assert answer.body == f"No help available for '/{path}'.\n".encode()


def test_help_goes_with_its_process(runtime: Runtime, counter: Counter) -> None:
    assert ask(runtime, "/help/counter/total").code == 200
    runtime.terminate(counter)
    runtime.wait(counter)
    assert ask(runtime, "/help/counter/total").code == 400
    assert ask(runtime, "/help/counter").code == 400


def test_a_route_made_later_has_help_at_once(runtime: Runtime, counter: Counter) -> None:
    assert ask(runtime, "/help/counter/late").code == 400
    runtime.dispatch(
        counter, lambda: counter.route("/late", counter.on_total, help="Late.\n")
    ).get()
    assert text(ask(runtime, "/help/counter/late", CURL)).endswith("Late.\n\n")


def test_looking_makes_no_tables_for_idle_processes(runtime: Runtime, counter: Counter) -> None:
    ask(runtime, "/help")
    assert record_of(counter).routes is None


def test_odd_ids_are_found_by_their_links(runtime: Runtime) -> None:
    runtime.spawn(Counter("a]b/c <d>"))
    index = text(ask(runtime, "/help", CURL))
    assert "> [/a\\]b/c <d>][a\\]b/c <d>]\n" in index
    link = next(
        line.partition(": ")[2] for line in index.splitlines() if line.startswith("[a\\]b/c <d>]:")
    )
    assert ask(runtime, f"/{link}", CURL).code == 200
    page = text(ask(runtime, "/help", BROWSER))
    assert f'<a href="{link}">a]b/c &lt;d&gt;</a>' in page


def test_browsers_get_pages_that_need_nothing_from_elsewhere(
    runtime: Runtime, counter: Counter
) -> None:
    for path in ("/help", "/help/counter", "/help/counter/total"):
        answer = ask(runtime, path, BROWSER)
        assert answer.header("Content-Type") == "text/html; charset=utf-8"
        assert "default-src 'none'" in str(answer.header("Content-Security-Policy"))
        assert 'src="http' not in text(answer)


@pytest.mark.parametrize(
    ("path", "style"),
    [
        ("/help", "__node__/style.css"),
        ("/help/", "../__node__/style.css"),
        ("/help/counter", "../__node__/style.css"),
        ("/help/counter/deep/er", "../../../__node__/style.css"),
    ],
)
def test_pages_find_their_style_from_where_they_are(
    runtime: Runtime, counter: Counter, path: str, style: str
) -> None:
    assert f'href="{style}"' in text(ask(runtime, path, BROWSER))


def test_the_page_of_the_index_tells_what_endpoints_are_for(
    runtime: Runtime, counter: Counter
) -> None:
    page = text(ask(runtime, "/help", BROWSER))
    assert (
        '<dt class="mono"><a href="help/counter/total">/counter/total</a></dt>'
        "<dd>Current total.</dd>"
    ) in page
    assert page.index("help/counter/total") < page.index("Built in") < page.index("help/metrics")


def test_a_long_index_has_an_end(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenproc.builtin.help.MAX_LISTED", 2)
    for id in "abc":
        runtime.spawn(Counter(id))
    assert "\n> and 9 more\n" in text(ask(runtime, "/help", CURL))
    assert ask(runtime, "/help/c", CURL).code == 200


def test_what_an_endpoint_is_for_is_no_markup(runtime: Runtime) -> None:
    process = Process("marked")
    process.route("/x", lambda request: "", help=HELP(TLDR("Is <b>x</b>.")))
    runtime.spawn(process)
    for path in ("/help", "/help/marked/x"):
        assert "Is &lt;b&gt;x&lt;/b&gt;." in text(ask(runtime, path, BROWSER))


def test_a_path_of_slashes_gives_no_larger_a_page(runtime: Runtime) -> None:
    with Peer.connect(runtime.address) as peer:
        sizes = []
        for slashes in (1, 70_000):
            path = b"/help" + b"/" * slashes
            peer.send(b"GET %b HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n" % path)
            sizes.append(len(peer.read_answer().body))

    assert abs(sizes[1] - sizes[0]) < 2000


def test_a_part_of_the_index_can_be_asked_for(runtime: Runtime) -> None:
    with Peer.connect(runtime.address) as peer:

        def ids(query: bytes) -> list[str]:
            peer.send(b"GET /help?format=json%b HTTP/1.1\r\nHost: x\r\n\r\n" % query)
            return [one["id"] for one in json.loads(peer.read_answer().body)["processes"]]

        everything = ids(b"")
        assert ids(b"&limit=2") + ids(b"&offset=2") == everything

        peer.send(b"GET /help?limit=1001 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.read_answer().status == "HTTP/1.1 400 Bad Request"


class Note(msgspec.Struct):
    text: str


class Rooms(Process):
    """Has routes with methods, parameters and bodies."""

    def __init__(self) -> None:
        super().__init__("rooms")

    @route("/<name>/<int:seat>", methods=["GET"], help=HELP(TLDR("Who sits there.")))
    def on_seat(self, request: Request, name: str, seat: int) -> str:
        return ""

    @route("/<name>/<int:seat>", methods=["PUT", "POST"], json=Note, help=HELP(TLDR("Sit down.")))
    def on_sit(self, request: Request, note: Note, name: str, seat: int) -> str:
        return ""

    @route("/<path:rest>", methods=["GET"])
    def on_rest(self, request: Request, rest: str) -> str:
        return ""


SEAT = (
    "### USAGE ###\n>        GET /rooms/<name>/<int:seat>\n\n"
    "### TL;DR; ###\nWho sits there.\n\n"
    "### USAGE ###\n>        PUT, POST /rooms/<name>/<int:seat>\n\n"
    "### TL;DR; ###\nSit down.\n\n"
    "### BODY ###\nJSON: `Note`.\n\n"
)


@pytest.mark.parametrize("path", ["<name>/<int:seat>", "%3Cname%3E/%3cint:seat%3e"])
def test_help_tells_methods_parameters_and_bodies(runtime: Runtime, path: str) -> None:
    runtime.spawn(Rooms())
    assert text(ask(runtime, f"/help/rooms/{path}", CURL)) == SEAT
    assert ask(runtime, "/help/rooms/%3Cname%3E", CURL).code == 400


def test_parameters_are_links_that_lead_to_their_help(runtime: Runtime) -> None:
    runtime.spawn(Rooms())
    told = text(ask(runtime, "/help/rooms", CURL))
    assert "> [/rooms/<name>/<int:seat>][rooms/<name>/<int:seat>]\n" in told
    assert "[rooms/<name>/<int:seat>]: rooms/%3Cname%3E/%3Cint:seat%3E\n" in told
    seen = text(ask(runtime, "/help/rooms", BROWSER))
    assert (
        'href="rooms/%3Cname%3E/%3Cint:seat%3E">/rooms/&lt;name&gt;/&lt;int:seat&gt;</a>' in seen
    )
    index = text(ask(runtime, "/help", BROWSER))
    assert "/rooms/&lt;path:rest&gt;</a>" in index
    assert "<name>" not in seen + index
    assert "## No help page for `GET /rooms/<path:rest>`\n" in text(
        ask(runtime, "/help/rooms/<path:rest>", CURL)
    )
