"""Bytes that a client of a node may send, and what it must get: the table of `test_http_safety`.

The node has a process ``probe`` with a root route and one at ``/probe/dump``, and takes bodies of
4096 bytes. Requests that must not be understood are followed by one that smuggles itself in: it is
meant to be served by a server that finds an end where there is none.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass

MAX_BODY_BYTES = 4096

SMUGGLED = b"GET /probe/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

BAD_REQUEST = "400 Bad Request"
NOT_FOUND = "404 Not Found"
TOO_LARGE = "413 Request Entity Too Large"
TARGET_TOO_LARGE = "414 Request-URI Too Large"
HEAD_TOO_LARGE = "431 Request Header Fields Too Large"
NOT_IMPLEMENTED = "501 Not Implemented"
VERSION = "505 HTTP Version not supported"

# What follows the blank is said by llhttp, whose words differ from version to version.
HEAD = b"malformed head: "
REQUEST_LINE = b"malformed request line"
TUNNEL = b"no tunnels here"
TARGET = b"malformed request target"
BARE_LF = b"a line ends with a bare LF"
CODING = b"expected no transfer coding but chunked"
CHUNK_SIZE = b"malformed chunk size"
CHUNK_END = b"expected CRLF after a chunk"
TRAILER = b"malformed trailer"
CUT_SHORT = b"connection closed within a request"
BODY_FAILED = b"failed to decode body"
NOWHERE = b"404 Not Found."

BOMB = gzip.compress(bytes(1024 * 1024))

Answer = tuple[str, bytes]
"""What follows the version in the status line, and the body."""

CONTINUE: Answer = ("100 Continue", b"")


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent over one connection, and everything that comes back."""

    data: bytes
    answers: tuple[Answer, ...]
    closed: bool = False
    """Whether the node ends the connection; else it must serve another request."""
    served: tuple[str, ...] = ()
    """What handlers of the probe saw: method, path, and length of the body."""
    half_closed: bool = False
    """Whether the client says after the data that it sends no more."""


def refused(
    data: bytes, text: bytes, status: str = BAD_REQUEST, *, half_closed: bool = False
) -> Case:
    """Return the case of *data* that ends a connection."""
    behind = b"" if half_closed else SMUGGLED
    return Case(data + behind, ((status, text),), closed=True, half_closed=half_closed)


def served(data: bytes, *texts: str, closed: bool = False, half_closed: bool = False) -> Case:
    """Return the case of *data* that is served: the probe answers with what it saw."""
    answers = tuple(("200 OK", text.encode()) for text in texts)
    return Case(data, answers, closed, served=texts, half_closed=half_closed)


def not_found(path: bytes) -> Case:
    """Return the case of a *path* that leads nowhere."""
    return Case(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n", ((NOT_FOUND, NOWHERE),))


def post(lines: bytes, rest: bytes = b"") -> bytes:
    """Return a request to the probe with more header lines and what is behind its head."""
    return b"POST /probe/dump HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n\r\n" + rest


def chunked(rest: bytes) -> bytes:
    """Return a request to the probe whose body comes in chunks."""
    return post(b"Transfer-Encoding: chunked", rest)


def streamed(lines: bytes, rest: bytes = b"") -> bytes:
    """Return a request whose body a handler reads as it comes."""
    return post(lines, rest).replace(b"/dump", b"/size", 1)


def message(lines: bytes, path: bytes = b"/probe/note", rest: bytes = b"") -> bytes:
    """Return a message to a process."""
    return b"POST " + path + b" HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n\r\n" + rest


def get(target: bytes, lines: bytes = b"") -> bytes:
    """Return a GET."""
    return b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n"


LENGTHS = {
    "two lengths": refused(post(b"Content-Length: 0\r\nContent-Length: 41"), HEAD),
    "the same length twice": refused(post(b"Content-Length: 0\r\ncontent-length: 0"), HEAD),
    "two lengths on one line": refused(post(b"Content-Length: 0, 41"), HEAD),
    "length before chunks": refused(
        post(b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"), HEAD
    ),
    "length behind chunks": refused(
        post(b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"), HEAD
    ),
    "signed length": refused(post(b"Content-Length: +0"), HEAD),
    "negative length": refused(post(b"Content-Length: -41"), HEAD),
    "length in hexadecimal": refused(post(b"Content-Length: 0x29"), HEAD),
    "length with an exponent": refused(post(b"Content-Length: 4e1"), HEAD),
    "length in two parts": refused(post(b"Content-Length: 4 1"), HEAD),
    "length in wide digits": refused(post("Content-Length: \uff14\uff11".encode()), HEAD),
    "length with a NUL": refused(post(b"Content-Length: 4\x001"), HEAD),
    "length behind a vertical tab": refused(post(b"Content-Length:\x0b41"), HEAD),
    "length of nothing": refused(post(b"Content-Length: "), HEAD),
    "length beyond 64 bits": refused(post(b"Content-Length: 18446744073709551657"), HEAD),
    "length with a blank before the colon": refused(post(b"Content-Length : 41"), HEAD),
    "length on a folded line": refused(post(b"Content-Length:\r\n 41"), HEAD),
    "length behind a bare CR": refused(post(b"X: y\rContent-Length: 41"), HEAD),
    "length behind a bare LF": refused(post(b"X: y\nContent-Length: 41"), BARE_LF),
}

CODINGS = {
    "quoted coding": refused(post(b'Transfer-Encoding: "chunked"'), CODING, NOT_IMPLEMENTED),
    "coding with a parameter": refused(
        post(b"Transfer-Encoding: chunked;q=1"), CODING, NOT_IMPLEMENTED
    ),
    "comma before chunked": refused(post(b"Transfer-Encoding: ,chunked"), CODING, NOT_IMPLEMENTED),
    "comma behind chunked": refused(post(b"Transfer-Encoding: chunked,"), HEAD),
    "word before chunked": refused(post(b"Transfer-Encoding: x chunked"), CODING, NOT_IMPLEMENTED),
    "identity alone": refused(post(b"Transfer-Encoding: identity"), CODING, NOT_IMPLEMENTED),
    "identity and a length": refused(
        post(b"Transfer-Encoding: identity\r\nContent-Length: 0"), HEAD
    ),
    "packed and chunked": refused(
        post(b"Transfer-Encoding: deflate, chunked"), CODING, NOT_IMPLEMENTED
    ),
    "chunked and packed": refused(post(b"Transfer-Encoding: chunked, deflate"), HEAD),
    "chunked on two lines": refused(
        post(b"Transfer-Encoding: chunked\r\ntransfer-encoding: chunked"), HEAD
    ),
    "identity on another line": refused(
        post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), HEAD
    ),
    "wide blank before chunked": refused(
        post(b"Transfer-Encoding: \xa0chunked"), CODING, NOT_IMPLEMENTED
    ),
    "form feed behind chunked": refused(post(b"Transfer-Encoding: chunked\x0c"), HEAD),
    "NUL in chunked": refused(post(b"Transfer-Encoding: chun\x00ked"), HEAD),
    "NUL behind the name": refused(post(b"Transfer-Encoding\x00: chunked"), HEAD),
    "coding with a blank before the colon": refused(post(b"Transfer-Encoding : chunked"), HEAD),
    "coding on a folded line": refused(post(b"Transfer-Encoding:\r\n chunked"), HEAD),
    "fold that hides a coding": refused(post(b"X: y\r\n Transfer-Encoding: chunked"), HEAD),
    "coding behind a bare LF": refused(post(b"X: y\nTransfer-Encoding: chunked"), BARE_LF),
    "chunks of HTTP/1.0": refused(
        b"POST /probe/dump HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"expected no Transfer-Encoding with HTTP/1.0",
    ),
}

CHUNKS = {
    "negative chunk": refused(chunked(b"-1\r\n"), CHUNK_SIZE),
    "chunk size beyond 64 bits": refused(chunked(b"10000000000000000\r\n"), CHUNK_SIZE),
    "chunk size with a suffix": refused(chunked(b"5h\r\nhello\r\n0\r\n\r\n"), CHUNK_SIZE),
    "chunk size in wide digits": refused(chunked("\uff15\r\nhello".encode()), CHUNK_SIZE),
    "chunk size before a bare LF": refused(chunked(b"5\nhello\r\n0\r\n\r\n"), CHUNK_SIZE),
    "chunk size before a bare CR": refused(chunked(b"5\rhello\r\n0\r\n\r\n"), CHUNK_SIZE),
    "extension with a line end in quotes": refused(
        chunked(b'5;a="\r\n0\r\n\r\n"\r\nhello\r\n0\r\n\r\n'), CHUNK_SIZE
    ),
    "extension that ends with a bare LF": refused(chunked(b"2;\nxx\r\n0\r\n\r\n"), CHUNK_SIZE),
    "chunk that is too long": refused(chunked(b"5\r\nhello!\r\n0\r\n\r\n"), CHUNK_END),
    "chunk that is too short": refused(chunked(b"7\r\nhello\r\n0\r\n\r\n"), CHUNK_END),
    "folded trailer": refused(chunked(b"0\r\nA: b\r\n c\r\n\r\n"), TRAILER),
    "trailer that changes the host": refused(chunked(b"0\r\nHost: evil\r\n\r\n"), TRAILER),
    "trailer that changes the length": refused(
        chunked(b"0\r\nContent-Length: 41\r\n\r\n"), TRAILER
    ),
    "trailer with a bare LF": refused(chunked(b"0\r\nA: b\n\r\n"), TRAILER),
}

LINES = {
    "nothing but LF": refused(b"GET /probe/dump HTTP/1.1\nHost: h\n\n", REQUEST_LINE),
    "nothing but CR": refused(b"GET /probe/dump HTTP/1.1\rHost: h\r\r", REQUEST_LINE),
    "LF before the empty line": refused(b"GET /probe/dump HTTP/1.1\r\nHost: h\n\r\n", BARE_LF),
    "LF as the empty line": refused(b"GET /probe/dump HTTP/1.1\r\nHost: h\r\n\n", BARE_LF),
    "folded header": refused(post(b"A: b\r\n\tc\r\nContent-Length: 0"), HEAD),
    "fold before the first header": refused(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", HEAD),
    "header without a colon": refused(post(b"Content-Length 41"), HEAD),
    "header without a name": refused(post(b": 41"), HEAD),
    "quotes around a name": refused(post(b'"Content-Length": 41'), HEAD),
    "name with a letter beyond ASCII": refused(post("Contént-Length: 41".encode()), HEAD),
    "NUL in a value": refused(post(b"A: b\x00c"), HEAD),
    "DEL in a value": refused(post(b"A: b\x7fc"), HEAD),
    "no host": refused(b"GET /probe/dump HTTP/1.1\r\n\r\n", b"expected one Host, got 0"),
    "two hosts": refused(get(b"/probe/dump", b"host: evil\r\n"), b"expected one Host, got 2"),
}

FIRST_LINES = {
    "NUL in the target": refused(get(b"/probe/dump\x00"), REQUEST_LINE),
    "CR in the target": refused(get(b"/probe\r/dump"), REQUEST_LINE),
    "blank in the target": refused(get(b"/probe/a b"), REQUEST_LINE),
    "tab in the target": refused(get(b"/probe/\tdump"), REQUEST_LINE),
    "target without a slash": refused(get(b"probe/dump"), TARGET),
    "target that is a query": refused(get(b"?x=/probe/dump"), TARGET),
    "no version": refused(b"GET /probe/dump\r\n\r\n", REQUEST_LINE),
    "version of one digit": refused(b"GET /probe/dump HTTP/1\r\nHost: h\r\n\r\n", REQUEST_LINE),
    "version 1.2": refused(
        b"GET /probe/dump HTTP/1.2\r\nHost: h\r\n\r\n", b"expected HTTP/1.1 or HTTP/1.0", VERSION
    ),
    "HTTP/2 with prior knowledge": refused(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"expected HTTP/1.1 or HTTP/1.0", VERSION
    ),
    "unknown method": refused(b"SMUGGLE / HTTP/1.1\r\nHost: h\r\n\r\n", HEAD, NOT_IMPLEMENTED),
    "method in small letters": refused(
        b"post /probe/dump HTTP/1.1\r\nHost: h\r\n\r\n", HEAD, NOT_IMPLEMENTED
    ),
    "method of a kilobyte": refused(b"G" * 1024 + b" / HTTP/1.1\r\n\r\n", REQUEST_LINE),
    "no method": refused(b" /probe/dump HTTP/1.1\r\nHost: h\r\n\r\n", REQUEST_LINE),
    "tunnel": refused(b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", TUNNEL, NOT_IMPLEMENTED),
    "tunnel to a path": refused(
        b"CONNECT /probe/dump HTTP/1.1\r\nHost: h\r\n\r\n", TUNNEL, NOT_IMPLEMENTED
    ),
    "tunnel to a URL": refused(
        b"CONNECT http://h/probe HTTP/1.1\r\nHost: h\r\n\r\n", TUNNEL, NOT_IMPLEMENTED
    ),
    "greeting of TLS": refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", REQUEST_LINE),
    "greeting of SSH": refused(b"SSH-2.0-OpenSSH_9.6\r\n", REQUEST_LINE),
    "greeting of SOCKS": refused(b"\x05\x01\x00", REQUEST_LINE),
    "answer instead of a request": refused(b"HTTP/1.1 200 OK\r\n\r\n", REQUEST_LINE),
    "NUL bytes": refused(b"\x00" * 100, REQUEST_LINE),
}

# RFC 9112 section 3.2: what is no host is refused, whoever sent it.
HOSTS = {
    f"host {host!r}": refused(
        b"GET /probe HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", b"malformed Host"
    )
    for host in (b"a b", b"a, b", b"a/b", b"a@b", b"\xff", b"a:b:c", b"h:80x", b"[::1", b"a?b")
}

# Ways to spell a path above the process, or around its route, that some server has fallen for.
DOTS = {
    path.decode("latin-1"): not_found(path)
    for path in (
        b"/..",
        b"/../../etc/passwd",
        b"/probe/..",
        b"/probe/../probe/dump",
        b"/probe/..;/dump",
        b"/probe/..\\dump",
        b"/probe\\..\\dump",
        b"/probe/%2e%2e/probe/dump",
        b"/probe/%2E./dump",
        b"/probe/.%2e/dump",
        b"/probe/..%2fdump",
        b"/probe/..%5cdump",
        b"/probe%2f..%2fdump",
        b"/probe/%252e%252e/dump",
        b"/probe/%c0%ae%c0%ae/dump",
        b"/probe/%u002e%u002e/dump",
        b"/probe/....//dump",
        b"/probe/.%00./dump",
        b"/probe/..%00/dump",
        b"/probe/./dump",
        b"/./probe/dump",
        b"/%2e/probe/dump",
        b"/%2e%2e/probe/dump",
        b"//probe/dump",
        b"/probe%2fdump",
        b"/probe%00/dump",
        b"/probe%0d%0a/dump",
        b"/\xc0\xae\xc0\xae/probe/dump",
        b"/\xff\xfe",
        b"/%ff%fe",
        b"/%zz/dump",
        b"/probe/files/../../secret",
        b"/probe/files/%2e%2e/secret",
        b"/probe/files/..%2fsecret",
        b"/probe/files/%2e%2e%2fsecret",
        b"/probe/files/..%5csecret",
        b"/probe/files/%252e%252e/secret",
        b"/probe/files/%2fetc/passwd",
        b"/probe/files//etc/passwd",
        b"/probe/files/file/../../secret",
        b"/probe/files/file%00.txt",
        b"/probe/files/%c0%ae%c0%ae/secret",
        b"/probe/files/" + b"a" * 5000,
        b"/probe/files/" + b"a/" * 5000,
        b"/probe/%66iles/../secret",
    )
}

HUGE = {
    "header of 80 KiB": refused(
        post(b"A: " + b"a" * 81920), b"head of more than 81920 bytes", HEAD_TOO_LARGE
    ),
    "name of 80 KiB": refused(
        post(b"a" * 81920 + b": b"), b"head of more than 81920 bytes", HEAD_TOO_LARGE
    ),
    "header of 80 KiB without an end": refused(
        b"GET / HTTP/1.1\r\nA: " + b"a" * 81920, b"head of more than 81920 bytes", HEAD_TOO_LARGE
    ),
    "target of 80 KiB": refused(
        get(b"/" + b"a" * 81920), b"head of more than 81920 bytes", TARGET_TOO_LARGE
    ),
    "257 header lines": refused(
        post(b"A: b\r\n" * 255 + b"A: b"), b"more than 256 headers", HEAD_TOO_LARGE
    ),
    "length over the limit": refused(
        post(b"Content-Length: 4097"), b"body of 4097 bytes", TOO_LARGE
    ),
    "length of 64 bits": refused(
        post(b"Content-Length: 18446744073709551615"),
        b"body of 18446744073709551615 bytes",
        TOO_LARGE,
    ),
    "chunk over the limit": refused(
        chunked(b"1001\r\n" + b"x" * 4097 + b"\r\n0\r\n\r\n"),
        b"body of more than 4096 bytes",
        TOO_LARGE,
    ),
    "chunks over the limit": refused(
        chunked(b"10\r\n0123456789abcdef\r\n" * 257 + b"0\r\n\r\n"),
        b"body of more than 4096 bytes",
        TOO_LARGE,
    ),
    "chunk of 16 EiB": refused(
        chunked(b"ffffffffffffffff\r\n"), b"body of more than 4096 bytes", TOO_LARGE
    ),
    "extension of 4 KiB": refused(
        chunked(b"1;" + b"a" * 4096 + b"\r\n"), b"chunk extensions too large", HEAD_TOO_LARGE
    ),
    "extensions on many chunks": refused(
        chunked((b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 82),
        b"chunk extensions and trailers too large",
        HEAD_TOO_LARGE,
    ),
    "trailers without an end": refused(
        chunked(b"0\r\n" + b"A: b\r\n" * 13654),
        b"chunk extensions and trailers too large",
        HEAD_TOO_LARGE,
    ),
    "body that unpacks to a megabyte": refused(
        post(b"Content-Encoding: gzip\r\nContent-Length: %d" % len(BOMB), BOMB),
        b"body of more than 4096 bytes",
        TOO_LARGE,
    ),
    "ten thousand blank lines": served(
        b"\r\n" * 10_000 + get(b"/probe/dump"), "GET /probe/dump 0"
    ),
    "query of 70 KB": served(get(b"/probe/dump?" + b"a=b&" * 17_500), "GET /probe/dump 0"),
    "zeros before a length": served(
        post(b"Content-Length: " + b"0" * 1000 + b"2", b"hi"), "POST /probe/dump 2"
    ),
}

ENDS = {
    "nothing and the end": Case(b"", (), closed=True, half_closed=True),
    "blank line and the end": Case(b"\r\n", (), closed=True, half_closed=True),
    "request and the end": served(
        get(b"/probe/dump"), "GET /probe/dump 0", closed=True, half_closed=True
    ),
    "half a request line": refused(b"GET /pro", CUT_SHORT, half_closed=True),
    "half a head": refused(b"GET / HTTP/1.1\r\nHost:", CUT_SHORT, half_closed=True),
    "half a body": refused(post(b"Content-Length: 5", b"he"), CUT_SHORT, half_closed=True),
    "half a chunk": refused(chunked(b"5\r\nhe"), CUT_SHORT, half_closed=True),
    "no last chunk": refused(chunked(b"5\r\nhello\r\n"), CUT_SHORT, half_closed=True),
    "half a last chunk": refused(chunked(b"0\r\n"), CUT_SHORT, half_closed=True),
    "request with Connection: close": Case(
        get(b"/probe/dump", b"Connection: close\r\n") + SMUGGLED,
        (("200 OK", b"GET /probe/dump 0"),),
        closed=True,
        served=("GET /probe/dump 0",),
    ),
    "close among other options": Case(
        get(b"/probe/dump", b"Connection: keep-alive\r\nConnection: x, CLOSE\r\n") + SMUGGLED,
        (("200 OK", b"GET /probe/dump 0"),),
        closed=True,
        served=("GET /probe/dump 0",),
    ),
    "HTTP/1.0": served(b"GET /probe/dump HTTP/1.0\r\n\r\n", "GET /probe/dump 0", closed=True),
    "good requests before garbage": Case(
        get(b"/probe/dump") * 2 + b"garbage\r\n\r\n" + SMUGGLED,
        (
            ("200 OK", b"GET /probe/dump 0"),
            ("200 OK", b"GET /probe/dump 0"),
            (BAD_REQUEST, REQUEST_LINE),
        ),
        closed=True,
        served=("GET /probe/dump 0", "GET /probe/dump 0"),
    ),
}

# What looks wrong and has one meaning only: the request behind it is served as such.
ODD = {
    "body that is a request": served(post(b"Content-Length: 41", SMUGGLED), "POST /probe/dump 41"),
    "chunk that is a request": served(
        chunked(b"29\r\n" + SMUGGLED + b"\r\n0\r\n\r\n"), "POST /probe/dump 41"
    ),
    "trailer that looks like a request": served(
        chunked(b"0\r\nGET: /probe/smuggled\r\n\r\n"), "POST /probe/dump 0"
    ),
    "GET with a body": served(
        get(b"/probe/dump", b"Content-Length: 41\r\n") + SMUGGLED, "GET /probe/dump 41"
    ),
    "coding with an underscore": served(
        post(b"Transfer_Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"),
        "POST /probe/dump 5",
    ),
    "coding in other letters behind a tab": served(
        post(b"tRANSFER-eNCODING:\tcHUNKED", b"0\r\n\r\n"), "POST /probe/dump 0"
    ),
    "upgrade with a request behind it": served(
        get(b"/probe/dump", b"Connection: Upgrade\r\nUpgrade: h2c\r\n") + get(b"/probe"),
        "GET /probe/dump 0",
        "GET /probe 0",
    ),
    "upgrade with a body": served(
        post(b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 41", SMUGGLED),
        "POST /probe/dump 41",
    ),
    "another server's URL": served(get(b"http://evil/probe/dump?a"), "GET /probe/dump 0"),
    "escaped id": served(get(b"/%70%72obe/dump"), "GET /%70%72obe/dump 0"),
    "dots behind a route": served(
        get(b"/probe/dump/%2e%2e/%2e%2e/smuggled"), "GET /probe/dump/%2e%2e/%2e%2e/smuggled 0"
    ),
    "dots in a query": served(get(b"/probe/dump?/../="), "GET /probe/dump 0"),
    "dots in a fragment": served(get(b"/probe/dump#/../x"), "GET /probe/dump 0"),
    "line end in a query": served(get(b"/probe/dump?a=%0d%0aX:%20y"), "GET /probe/dump 0"),
    "bytes that are no UTF-8": Case(
        get(b"/probe/dump/\xff\xed\xa0\x80"),
        (("200 OK", b"GET /probe/dump/\xff\xed\xa0\x80 0"),),
        served=("GET /probe/dump/\udcff\udced\udca0\udc80 0",),
    ),
    "unknown expectation": served(
        post(b"Expect: 200-ok\r\nContent-Length: 2", b"hi"), "POST /probe/dump 2"
    ),
}

MEANINGS = {
    "broken escape in a query": Case(
        get(b"/probe/dump?a=%zz") + SMUGGLED,
        ((BAD_REQUEST, b"Malformed % escape in '%zz': '%zz'"),),
        closed=True,
    ),
    "broken escape behind a byte that is no UTF-8": Case(
        get(b"/probe?x=\xff%zz") + SMUGGLED,
        ((BAD_REQUEST, b"Malformed % escape in '\xff%zz': '%zz'"),),
        closed=True,
    ),
    "star": Case(
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        ((BAD_REQUEST, b"Request URL path must start with '/'"),),
    ),
    "URL without a path": Case(
        get(b"http://probe"), ((BAD_REQUEST, b"Request URL path must start with '/'"),)
    ),
    "body that is not packed": refused(
        post(b"Content-Encoding: gzip\r\nContent-Length: 5", b"hello"), b"failed to decode body"
    ),
    "packed body of nothing": refused(
        post(b"Content-Encoding: gzip\r\nContent-Length: 0"), b"Failed to decompress body"
    ),
    "message to nobody": Case(
        message(b"Libprocess-From: a@1.2.3.4:5\r\nContent-Length: 0", b"/nobody/note"),
        ((NOT_FOUND, NOWHERE),),
    ),
    "message to a broken escape": Case(
        message(b"Libprocess-From: a@1.2.3.4:5\r\nContent-Length: 0", b"/pro%zz/note"),
        (
            (
                BAD_REQUEST,
                b"Failed to decode URL path: Malformed % escape in 'pro%zz': '%zz'",
            ),
        ),
    ),
    "message to bytes that are no UTF-8": Case(
        message(b"Libprocess-From: a@1.2.3.4:5\r\nContent-Length: 0", b"/\xff%zz/note"),
        ((BAD_REQUEST, b"Failed to decode URL path: Malformed % escape in '\xff%zz': '%zz'"),),
    ),
    "message from nowhere": Case(
        message(b"Libprocess-From: \xff\xfe\r\nContent-Length: 0"), (("202 Accepted", b""),)
    ),
    "message with a framing of two kinds": refused(
        message(
            b"Libprocess-From: a@1.2.3.4:5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            rest=b"0\r\n\r\n",
        ),
        HEAD,
    ),
    "message over the limit": refused(
        message(b"User-Agent: libprocess/a@1.2.3.4:5\r\nContent-Length: 4097"),
        b"body of 4097 bytes",
        TOO_LARGE,
    ),
    "message that is a GET": Case(
        get(b"/probe/note", b"Libprocess-From: a@1.2.3.4:5\r\n"), ((NOT_FOUND, NOWHERE),)
    ),
}

IN_CHUNKS = b"Transfer-Encoding: chunked"
WAITING = b"Expect: 100-continue\r\nContent-Length: 10"

# Bodies that a handler reads as they come are refused as others are, in the words it was told.
STREAMED = {
    "streamed chunk of no size": refused(streamed(IN_CHUNKS, b"2\r\nhi\r\nzz\r\n"), BODY_FAILED),
    "streamed chunk without an end": refused(streamed(IN_CHUNKS, b"2\r\nhi!\r\n"), BODY_FAILED),
    "streamed trailer with a length": refused(
        streamed(IN_CHUNKS, b"0\r\nContent-Length: 41\r\n\r\n"), BODY_FAILED
    ),
    "streamed extension of 4 KiB": refused(
        streamed(IN_CHUNKS, b"1;" + b"a" * 4096 + b"\r\n"), BODY_FAILED, HEAD_TOO_LARGE
    ),
    "streamed body that is not packed": refused(
        streamed(b"Content-Encoding: gzip\r\nContent-Length: 6", b"hello"), BODY_FAILED
    ),
    "streamed body cut short": refused(
        streamed(b"Content-Length: 10", b"half"), BODY_FAILED, half_closed=True
    ),
}

# What a client that waits to be told to send its body gets, and nothing behind that.
EXPECTATIONS = {
    "waiting for a refusal": Case(
        post(b"Expect: 100-continue\r\nContent-Length: 4097"),
        ((TOO_LARGE, b"body of 4097 bytes"),),
        closed=True,
    ),
    "waiting and the end": Case(
        post(WAITING), (CONTINUE, (BAD_REQUEST, CUT_SHORT)), closed=True, half_closed=True
    ),
    "waiting with a broken query": Case(
        post(WAITING).replace(b"/dump", b"/size?a=%zz"),
        (CONTINUE, (BAD_REQUEST, CUT_SHORT)),
        closed=True,
        half_closed=True,
    ),
    "streaming and the end": Case(
        streamed(WAITING), (CONTINUE, (BAD_REQUEST, BODY_FAILED)), closed=True, half_closed=True
    ),
}

CASES = {
    **LENGTHS,
    **CODINGS,
    **CHUNKS,
    **LINES,
    **FIRST_LINES,
    **HOSTS,
    **DOTS,
    **HUGE,
    **ENDS,
    **ODD,
    **MEANINGS,
    **STREAMED,
    **EXPECTATIONS,
}
