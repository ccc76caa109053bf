"""Names of processes: text, truth, equality and percent-encoding."""

from __future__ import annotations

import copy
import pickle
import socket
from contextvars import copy_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.address import ADDRESS_EMPTY, Address
from greenproc.current import RUNTIME
from greenproc.errors import InvalidPID, InvalidURL
from greenproc.pid import PID, UPID, ClaimedUPID, decode_id, encode_id
from greenproc.process import Process
from greenproc.runtime import Runtime

LOCAL = Address("127.0.0.1", 5050)

ids = st.text(st.characters(exclude_characters="@ \t\n\v\f\r"))
addresses = st.builds(Address, st.ip_addresses().map(str), st.integers(0, 65535))
pids = st.builds(UPID, ids, addresses)


class Resolver:
    """Stands for a runtime that knows one host."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.asked: list[str] = []

    def resolve(self, host: str) -> str:
        self.asked.append(host)
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.known[host]

    def run(self, text: str) -> UPID:
        """Parse *text* where this is the runtime."""

        def parse() -> UPID:
            RUNTIME.set(self)
            return UPID.parse(text)

        return copy_context().run(parse)


# Text


@pytest.mark.parametrize(
    ("text", "id", "address"),
    [
        ("echo@127.0.0.1:5050", "echo", "127.0.0.1:5050"),
        ("(1)@127.0.0.1:5050", "(1)", "127.0.0.1:5050"),
        ("@10.0.0.1:5050", "", "10.0.0.1:5050"),
        ("@0.0.0.0:0", "", "0.0.0.0:0"),
        ("a/b%20:c@127.0.0.1:1", "a/b%20:c", "127.0.0.1:1"),
        ("ü@127.0.0.1:1", "ü", "127.0.0.1:1"),
        ("nbsp\u00a0@127.0.0.1:1", "nbsp\u00a0", "127.0.0.1:1"),
        ("  \t\r\n\v\fecho@127.0.0.1:5050", "echo", "127.0.0.1:5050"),
        ("echo@127.0.0.1:5050 and more", "echo", "127.0.0.1:5050"),
        ("echo@127.0.0.1:5050\nx@1.2.3.4:5", "echo", "127.0.0.1:5050"),
        ("echo@[::1]:5050", "echo", "[::1]:5050"),
        ("echo@::1:5050", "echo", "[::1]:5050"),
        ("echo@127.0.0.1:65535", "echo", "127.0.0.1:65535"),
    ],
)
def test_a_upid_is_parsed(text: str, id: str, address: str) -> None:
    for pid in (UPID.parse(text), UPID.lenient(text)):
        assert pid.id == id
        assert str(pid.address) == address
        assert pid.host is None


MALFORMED = [
    "",
    " ",
    "echo",
    "echo@",
    "@",
    "@:",
    "echo@127.0.0.1",
    "echo@:5050",
    "echo @127.0.0.1:5050",
    "echo@127.0.0.1:",
    "echo@127.0.0.1: 5050",
    "echo@127.0.0.1:5050abc",
    "echo@127.0.0.1:65536",
    "echo@127.0.0.1:-1",
    "echo@127.0.0.1:99999999999999999999",
    "echo@::1",
    "echo@[::1",
    "echo@[::1]5050",
    "echo@[127.0.0.1]:5050",
    "echo@12345::1:5050",
    "echo@[fe80::1%lo]:5050",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_upid_is_refused(text: str) -> None:
    with pytest.raises(InvalidPID) as caught:
        Resolver().run(text)

    assert "expected id@ip:port" in str(caught.value)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", [*MALFORMED, "echo@localhost:5050", "a@b@127.0.0.1:5050"])
def test_from_the_wire_a_malformed_upid_is_the_empty_one(text: str) -> None:
    assert UPID.lenient(text) == UPID()


@given(st.text())
def test_from_the_wire_nothing_raises(text: str) -> None:
    assert isinstance(UPID.lenient(text), UPID)


@given(ids, addresses)
def test_what_prints_can_be_parsed(id: str, address: Address) -> None:
    pid = UPID(id, address)

    assert UPID.parse(str(pid)) == UPID.lenient(str(pid)) == pid


def test_the_empty_upid_prints_as_nobody_nowhere() -> None:
    assert str(UPID()) == "@0.0.0.0:0"


def test_the_id_prints_as_it_is() -> None:
    assert str(UPID("a b/%c", LOCAL)) == "a b/%c@127.0.0.1:5050"


def test_ipv6_prints_with_brackets() -> None:
    assert str(UPID("x", Address("::1", 5050))) == "x@[::1]:5050"


# Host names


def test_a_host_name_is_resolved_by_the_runtime_and_kept() -> None:
    resolver = Resolver(example="10.0.0.7")

    pid = resolver.run("echo@example:5050")

    assert pid == UPID("echo", Address("10.0.0.7", 5050))
    assert pid.host == "example"
    assert str(pid) == "echo@10.0.0.7:5050"


def test_an_ip_address_is_not_resolved() -> None:
    resolver = Resolver()

    resolver.run("echo@127.0.0.1:5050")
    resolver.run("echo@::1:5050")

    assert resolver.asked == []


def test_from_the_wire_no_host_name_is_resolved() -> None:
    resolver = Resolver(example="10.0.0.7")

    def parse() -> UPID:
        RUNTIME.set(resolver)
        return UPID.lenient("echo@example:5050")

    assert copy_context().run(parse) == UPID()
    assert resolver.asked == []


def test_a_host_name_without_an_address_is_refused() -> None:
    with pytest.raises(InvalidPID, match="expected a host name with an IPv4 address") as caught:
        Resolver().run("echo@example:5050")

    assert isinstance(caught.value.__cause__, socket.gaierror)


def test_without_a_runtime_the_system_resolves_to_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(host: str, port: None, family: int, kind: int) -> list[tuple[object, ...]]:
        assert (host, port, family, kind) == ("example", None, socket.AF_INET, socket.SOCK_STREAM)
        return [
            (family, kind, 6, "", ("10.0.0.8", 0)),
            (family, kind, 6, "", ("10.0.0.9", 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    assert UPID.parse("echo@example:5050").address == Address("10.0.0.8", 5050)


def test_a_host_name_that_dns_cannot_spell_is_refused() -> None:
    with pytest.raises(InvalidPID):
        UPID.parse("echo@" + "x" * 64 + ".example:5050")


# Truth


@pytest.mark.parametrize(
    ("pid", "truth", "is_empty"),
    [
        ("echo@127.0.0.1:5050", True, False),
        ("echo@[::1]:5050", True, False),
        ("@0.0.0.0:0", False, True),
        ("@[::]:0", False, True),
        ("@10.0.0.1:5050", False, False),
        ("@10.0.0.1:0", False, False),
        ("@0.0.0.0:5050", False, False),
        ("echo@0.0.0.0:0", False, False),
        ("echo@0.0.0.0:5050", False, False),
        ("echo@10.0.0.1:0", False, False),
    ],
)
def test_truth_asks_for_everything_and_emptiness_for_nothing(
    pid: str, *, truth: bool, is_empty: bool
) -> None:
    parsed = UPID.parse(pid)

    assert (bool(parsed), parsed.is_empty) == (truth, is_empty)


# Equality and order


def test_the_host_is_no_part_of_the_identity() -> None:
    one, two = UPID("echo", LOCAL, "localhost"), UPID("echo", LOCAL)

    assert one == two
    assert hash(one) == hash(two)


def test_a_typed_pid_equals_the_plain_one() -> None:
    typed: PID[int] = PID("echo", LOCAL)
    plain = UPID("echo", LOCAL)

    assert typed == plain
    assert plain == typed
    assert hash(typed) == hash(plain)
    assert {plain: "found"}[typed] == "found"


def test_a_typed_pid_can_be_made_with_its_type() -> None:
    assert PID[int]("echo", LOCAL) == UPID("echo", LOCAL)


@pytest.mark.parametrize(
    "other",
    [
        UPID("other", LOCAL),
        UPID("echo", Address("127.0.0.1", 5051)),
        UPID(),
        "echo@127.0.0.1:5050",
    ],
)
def test_other_names_are_not_equal(other: object) -> None:
    assert UPID("echo", LOCAL) != other


@given(st.lists(pids))
def test_order_is_by_address_then_id(found: list[UPID]) -> None:
    assert sorted(found) == sorted(found, key=lambda pid: (pid.address, pid.id))


def test_order_compares_numbers_as_numbers() -> None:
    assert UPID("z", Address("9.0.0.1", 1)) < UPID("a", Address("10.0.0.1", 1))
    assert UPID("a", LOCAL) < UPID("b", LOCAL)
    assert UPID("a", LOCAL) <= UPID("a", LOCAL)


def test_a_upid_is_not_ordered_with_text() -> None:
    with pytest.raises(TypeError):
        assert UPID("a", LOCAL) < "a@127.0.0.1:5050"


# A value


@pytest.mark.parametrize("cls", [UPID, PID])
def test_a_upid_cannot_be_changed(cls: type[UPID]) -> None:
    pid = cls("echo", LOCAL)

    for name in ("id", "address", "host", "other"):
        with pytest.raises(AttributeError):
            setattr(pid, name, "x")
        with pytest.raises(AttributeError):
            delattr(pid, name)


@pytest.mark.parametrize("cls", [UPID, PID])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda pid: pickle.loads(pickle.dumps(pid))]
)
def test_a_copy_keeps_class_and_host(cls: type[UPID], copied) -> None:
    pid = cls("echo", LOCAL, "localhost")

    assert copied(pid) == pid
    assert type(copied(pid)) is cls
    assert copied(pid).host == "localhost"


def test_repr_names_class_and_text() -> None:
    assert repr(UPID("echo", LOCAL)) == "UPID('echo@127.0.0.1:5050')"
    assert repr(PID("echo", LOCAL)) == "PID('echo@127.0.0.1:5050')"


def test_a_upid_without_arguments_is_empty() -> None:
    assert UPID() == UPID("", ADDRESS_EMPTY, None)
    assert UPID().is_empty


# Percent-encoding, by the table of libprocess' http::encode


@pytest.mark.parametrize("char", '$&+,/:;=?@ "<>#%{}|\\^~[]`\x7f')
def test_a_reserved_character_is_encoded(char: str) -> None:
    assert encode_id(f"a{char}b") == f"a%{ord(char):02X}b"


@pytest.mark.parametrize("char", "()*-._!'azAZ09")
def test_a_plain_character_stays(char: str) -> None:
    assert encode_id(char) == char


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("", ""),
        ("Counter(1)", "Counter(1)"),
        ("\0\n\x1f", "%00%0A%1F"),
        ("ü€", "%C3%BC%E2%82%AC"),
    ],
)
def test_an_id_is_encoded(text: str, encoded: str) -> None:
    assert encode_id(text) == encoded
    assert decode_id(encoded) == text


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("a+b", "a b"),
        ("a%20b", "a b"),
        ("a%2Bb", "a+b"),
        ("%2f%2F", "//"),
        ("%25", "%"),
        ("%2525", "%25"),
        ("ü", "ü"),
        ("ü%C3%BC", "üü"),
        ("%ff", "\udcff"),
        ("~()", "~()"),
    ],
)
def test_an_id_is_decoded(text: str, decoded: str) -> None:
    assert decode_id(text) == decoded


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("%", "%"),
        ("a%2", "%2"),
        ("a%zz", "%zz"),
        ("a%2g", "%2g"),
        ("a%%20", "%%2"),
        ("a+%+", "%+"),
        ("a% 1", "% 1"),
        ("a%-1b", "%-1"),
        ("ü%20%xyz", "%xy"),
        ("\udcff%x", "%x"),
    ],
)
def test_a_broken_escape_is_told_in_libprocess_words(text: str, shown: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        decode_id(text)

    assert str(caught.value) == f"Malformed % escape in '{text}': '{shown}'"


@given(st.text())
def test_what_is_encoded_can_be_decoded(text: str) -> None:
    encoded = encode_id(text)

    assert encoded.isascii()
    assert decode_id(encoded) == text


@given(st.binary())
def test_bytes_that_are_no_text_survive(data: bytes) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in data)

    assert decode_id(encode_id(decode_id(encoded))) == decode_id(encoded)


@pytest.mark.parametrize("kind", [UPID, PID])
def test_the_text_of_a_upid_is_no_id(kind: type[UPID]) -> None:
    with pytest.raises(InvalidPID) as caught:
        kind("echo@127.0.0.1:5050")

    assert str(caught.value) == (
        "expected an id and an Address, got 'echo@127.0.0.1:5050': "
        "use UPID.parse('echo@127.0.0.1:5050')"
    )
    assert UPID("echo@127.0.0.1:5050", Address("10.0.0.1", 1)).id == "echo@127.0.0.1:5050"
    assert UPID("me@home").id == "me@home"


def test_what_is_no_text_is_not_parsed() -> None:
    with pytest.raises(InvalidPID, match="expected id@ip:port as a text, got b"):
        UPID.parse(b"a@1.2.3.4:1")  # type: ignore[arg-type]


# The address is not the process


class Adder(Process):
    def add(self, number: int) -> int:
        return number


def test_a_method_of_the_process_is_not_one_of_its_address(runtime: Runtime) -> None:
    pid = runtime.spawn(Adder())

    with pytest.raises(AttributeError) as caught:
        pid.add(1)  # type: ignore[attr-defined]
    assert str(caught.value) == (
        "'PID' object has no attribute 'add': a PID is an address, not the process; to call a "
        "method of the process use dispatch(pid, Adder.add, ...)"
    )
    assert (caught.value.name, caught.value.obj) == ("add", pid)


def test_the_class_of_an_unknown_process_is_not_named(runtime: Runtime) -> None:
    for pid in (UPID("echo", Address("10.0.0.1", 5050)), runtime.spawn(Process())):
        with pytest.raises(AttributeError, match=r"dispatch\(pid, Class\.add, \.\.\.\)"):
            _ = pid.add  # type: ignore[attr-defined]
    with Runtime().selected(), pytest.raises(AttributeError, match=r"Class\.add"):
        _ = PID("a", Address("10.0.0.1", 5050)).add  # type: ignore[attr-defined]


def test_a_method_of_every_process_is_told_of_too(runtime: Runtime) -> None:
    with pytest.raises(AttributeError, match=r"dispatch\(pid, Adder\.terminate, \.\.\.\)"):
        runtime.spawn(Adder()).terminate()  # type: ignore[attr-defined]


def test_what_no_process_has_is_just_not_there() -> None:
    with pytest.raises(AttributeError, match=r"^'UPID' object has no attribute 'substract'$"):
        _ = UPID().substract  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"^'UPID' object has no attribute 'add'$"):
        _ = UPID.add  # type: ignore[attr-defined]


def test_methods_of_processes_are_no_attributes_of_an_address() -> None:
    assert not hasattr(PID(), "add")
    assert "add" not in dir(PID())
    assert {"id", "address", "host", "parse", "is_empty"} <= set(dir(PID()))


def test_a_method_that_has_the_name_of_a_field_leaves_the_field_alone() -> None:
    class Named(Process):
        def address(self) -> str:
            return "here"

        def host(self) -> str:
            return "here"

    assert Named()
    assert UPID("a", Address("10.0.0.1", 5050), "here").host == "here"


def test_classes_without_end_do_not_change_the_address_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("greenproc.pid.MAX_CHANGES", 0)

    type("Late", (Process,), {"method_of_the_last_class": lambda self: None})

    assert "method_of_the_last_class" not in vars(UPID)


def test_a_upid_from_the_wire_remembers_that_it_is_only_claimed() -> None:
    claimed = UPID.lenient("echo@10.0.0.1:5050")

    assert isinstance(claimed, ClaimedUPID)
    assert isinstance(pickle.loads(pickle.dumps(claimed)), ClaimedUPID)
    assert not isinstance(UPID.parse("echo@10.0.0.1:5050"), ClaimedUPID)
    assert repr(claimed) == "UPID('echo@10.0.0.1:5050')"
