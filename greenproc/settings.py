"""What can be set about a runtime, with every default, range and environment variable.

A runtime takes a `Settings` object; nothing but the default runtime reads the environment, by
`Settings.from_environ`. The variables follow from the fields: ``port`` is ``LIBPROCESS_PORT``,
``tls.cert_file`` is ``LIBPROCESS_SSL_CERT_FILE``.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import wraps
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from greenproc.address import MAX_PORT, canonical_ip
from greenproc.checks import check_origin
from greenproc.errors import InvalidArgument, InvalidSettings
from greenproc.timestamp import parse_duration

PREFIX = "LIBPROCESS_"
"""What the name of each variable starts with, in capital letters."""

MAX_FILE_BYTES = 1024 * 1024
"""How much a ``file://`` value may hold; no setting needs more than a few hundred bytes."""

_OTHERS = frozenset(("test_await_timeout",))
"""What libprocess and its tests read besides, with or without an effect here."""

_HOST_PATTERN = re.compile(r"(?:\*?\.)?[0-9a-z_\-]+(?:\.[0-9a-z_\-]+)*")

S = TypeVar("S")

_log = logging.getLogger("greenproc.settings")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of value: how a text becomes one, and which values are in range."""

    name: str
    expected: str
    read: Callable[[str], Any]
    check: Callable[[Any], Any]
    """Both return the value to use, or raise a ValueError or LookupError."""
    expected_in_code: str | None = None
    """What is expected of a value made in code, where that is no text as in the environment."""

    def apply(self, function: Callable[[Any], Any], variable: str, value: object) -> Any:
        """Return what *function* makes of *value*, and name *variable* when it refuses."""
        try:
            return function(value)
        except (ValueError, LookupError, TypeError) as error:
            told = f"{variable}={str(value)[:80]} is not {self.name}"
            in_code = self.expected_in_code if function is self.check else None
            expected, got = in_code or self.expected, repr(value)[:80]
            raise InvalidSettings(f"{told}: expected {expected}, got {got}") from error


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError("out of range")


def _whole(least: int, most: int | None = None, name: str = "valid") -> _Kind:
    def read(text: str) -> int:
        _require(re.fullmatch(r"-?[0-9]{1,20}", text) is not None)
        return check(int(text))

    def check(value: Any) -> int:
        _require(type(value) is int and value >= least and (most is None or value <= most))
        return int(value)

    limits = f"of at least {least}" if most is None else f"from {least} to {most}"
    return _Kind(name, f"a whole number {limits}", read, check)


def _seconds(value: Any) -> float:
    _require(type(value) in (int, float) and isfinite(value) and value >= 0)
    return float(value)


def _ip(family: str) -> _Kind:
    def check(value: Any) -> str:
        ip = canonical_ip(value)
        _require(not family or (":" in ip) == (family == "6"))
        return ip

    name = f"IPv{family}" if family else "IP"
    return _Kind("valid", f"an {name} address", check, check)


def _instance_of(cls: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        _require(isinstance(value, cls))
        return value

    return check


def parse_rate(text: str) -> tuple[int, float] | None:
    """Return requests and seconds of a rate such as ``2/1secs``; None, no limit, for no text.

    Raises:
        InvalidArgument: *text* is no rate, or allows nothing.

    Source: libprocess src/metrics/metrics.cpp.
    """
    if not text:
        return None
    requests, slash, interval = text.partition("/")
    if slash and re.fullmatch(r"[0-9]{1,9}", requests) and int(requests) > 0:
        seconds = parse_duration(interval)
        if seconds > 0:
            return int(requests), seconds
    form = "format is <number of requests>/<interval duration>"
    raise InvalidArgument(f"expected a rate ({form}), got {text!r}")


def parse_hosts(text: str) -> tuple[str, ...]:
    """Return the hosts, or origins, in a list with commas between them."""
    return tuple(word for part in text.split(",") if (word := part.strip()))


def _hosts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    _require(isinstance(value, (tuple, list, set, frozenset)))
    return tuple(_host(name) for name in value)


def _host(name: Any) -> str:
    """Return a host, or a pattern of hosts, in the form in which it is compared."""
    _require(isinstance(name, str))
    lower = str(name).lower().removesuffix(".")
    if lower == "*" or _HOST_PATTERN.fullmatch(lower):
        return lower
    return canonical_ip(lower.removeprefix("[").removesuffix("]"))


def _origins(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    _require(isinstance(value, (tuple, list, set, frozenset)))
    if "*" in value:
        _require(len(value) == 1)
        return ("*",)
    return tuple(check_origin(origin) for origin in value)


def _rate(value: Any) -> str:
    _require(isinstance(value, str))
    parse_rate(value)
    return str(value)


def _scheme(value: Any) -> str:
    _require(value in ("legacy", "openssl"))
    return str(value)


_is_bool = _instance_of(bool)
_is_text = _instance_of(str)

_PORT = _whole(0, MAX_PORT, "a valid port")
_PORT_TO_TELL = _whole(1, MAX_PORT, "a valid port")
_THREADS = _whole(1, 1024)
_POSITIVE = _whole(1)
_NATURAL = _whole(0)
_IP, _IPV4, _IPV6 = _ip(""), _ip("4"), _ip("6")
_TEXT = _Kind("valid", "a text", str, _is_text)
_SCHEME = _Kind("valid", "legacy or openssl", _scheme, _scheme)
_HOSTS = _Kind(
    "valid",
    "host names without ports, such as example.org, .example.org or *.example.org",
    lambda text: _hosts(parse_hosts(text)),
    _hosts,
    "a tuple of host names without ports, such as ('example.org', '*.example.org')",
)
_ORIGINS = _Kind(
    "valid",
    "* alone, or origins such as https://example.org:8443",
    lambda text: _origins(parse_hosts(text)),
    _origins,
)
_SECONDS = _Kind(
    "valid",
    "a duration such as 10secs, in ns, us, ms, secs, mins, hrs, days or weeks",
    parse_duration,
    _seconds,
    "a number of seconds, such as 10.0",
)
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_FLAG = _Kind("valid", "true, 1, false or 0", _TRUTH.__getitem__, _is_bool, "True or False")
# Not a flag of libprocess: its profiler looks at the variable itself, and for this value only.
_EXACTLY_1 = _Kind("valid", "1", lambda text: text == "1", _is_bool, "True or False")
_RATE = _Kind("valid", "<number of requests>/<interval duration> or no text", _rate, _rate)


def _setting(
    default: Any,
    kind: _Kind,
    *,
    environ: _Kind | None = None,
    aliases: tuple[str, ...] = (),
    forgiving: bool = False,
) -> Any:
    """A field of *kind*.

    Args:
        default: the value, or a function that finds it; a default of None allows None.
        environ: the kind that the environment is held to, when it is a narrower one.
        aliases: other names in the environment; the proper name wins.
        forgiving: whether a bad value in the environment is only warned of.
    """
    extra = {"kind": kind, "environ": environ or kind, "aliases": aliases, "forgiving": forgiving}
    if callable(default):
        return field(default_factory=default, metadata=extra)
    return field(default=default, metadata=extra)


def _explain_names(cls: type[S]) -> type[S]:
    """Let the constructor of *cls* say what was probably meant by a name that it does not know."""
    construct = cls.__init__

    @wraps(construct)
    def construct_by_name(self: S, *args: object, **values: object) -> None:
        if args:
            raise TypeError(
                f"{cls.__name__}() takes each value by its name, as in Settings(port=5050), "
                f"got {args[0]!r:.80}"
            )
        names = [setting.name for setting in fields(cls)]  # type: ignore[arg-type]
        for name in values.keys() - set(names):
            raise TypeError(f"{cls.__name__}() has no setting {name!r}: {_advise(name, names)}")
        construct(self, **values)

    cls.__init__ = construct_by_name  # type: ignore[assignment]
    return cls


def _advise(name: str, names: list[str]) -> str:
    """Return what to do about *name*, which is not among *names* of settings."""
    if nearest := _find_nearest(name, names):
        return f"did you mean {nearest}?"
    tls = [setting.name for setting in fields(TLSSettings)]
    if nearest := _find_nearest(name.removeprefix("ssl_"), tls):
        return f"did you mean tls=TLSSettings({nearest}=...)?"
    return "there is none with a name like it"


def _find_nearest(name: str, names: Iterable[str]) -> str | None:
    from difflib import get_close_matches  # rarely needed, and slow to import

    return next(iter(get_close_matches(name, sorted(names), 1, 0.6)), None)


def _check_fields(owner: Any, prefix: str = "") -> None:
    """Check each field of *owner* and replace it by its canonical form."""
    for setting in fields(owner):
        value = getattr(owner, setting.name)
        if setting.metadata and not (value is None and setting.default is None):
            kind: _Kind = setting.metadata["kind"]
            checked = kind.apply(kind.check, prefix + setting.name, value)
            object.__setattr__(owner, setting.name, checked)


@_explain_names
@dataclass(frozen=True, slots=True, kw_only=True)
class TLSSettings:
    """How connections are to be encrypted, which no runtime can do yet; off unless `enabled`.

    The values are read and checked, and a runtime or server given enabled ones refuses to start.

    Raises:
        InvalidSettings: a value is out of range, or TLS is enabled without certificate or key.

    Source: libprocess src/openssl.cpp.
    Differs: the default is OpenSSL's own choice of ciphers, with TLS 1.3, where libprocess
    keeps a list with RC4 from before that.
    """

    enabled: bool = _setting(False, _FLAG)
    """Whether TLS is used at all."""
    support_downgrade: bool = _setting(False, _FLAG)
    """Whether plain connections are accepted at the same port."""
    cert_file: str | None = _setting(None, _TEXT)
    """Path of the certificate chain, PEM."""
    key_file: str | None = _setting(None, _TEXT)
    """Path of the private key, PEM."""
    verify_server_cert: bool = _setting(False, _FLAG, aliases=("verify_cert",))
    """Whether a client verifies the certificate of its server."""
    require_client_cert: bool = _setting(False, _FLAG, aliases=("require_cert",))
    """Whether a server demands and verifies a certificate; implies `verify_server_cert`."""
    verify_ipadd: bool = _setting(False, _FLAG)
    """Whether a certificate may name the peer by its IP address."""
    verification_depth: int = _setting(4, _NATURAL, aliases=("verify_depth",))
    """How long a certificate chain may be."""
    ca_dir: str | None = _setting(None, _TEXT)
    """Folder of trusted certificates."""
    ca_file: str | None = _setting(None, _TEXT)
    """File of trusted certificates."""
    ciphers: str | None = _setting(None, _TEXT)
    """OpenSSL cipher list for TLS up to 1.2; None leaves the choice to OpenSSL."""
    ecdh_curves: str = _setting("auto", _TEXT, aliases=("ecdh_curve",))
    """Curves by preference, separated by colons; ``auto`` leaves the choice to OpenSSL."""
    hostname_validation_scheme: str = _setting("legacy", _SCHEME)
    """``openssl`` checks the name that was asked for, ``legacy`` the one DNS tells."""
    enable_ssl_v3: bool = _setting(False, _FLAG)
    enable_tls_v1_0: bool = _setting(False, _FLAG)
    enable_tls_v1_1: bool = _setting(False, _FLAG)
    enable_tls_v1_2: bool = _setting(True, _FLAG)
    enable_tls_v1_3: bool = _setting(True, _FLAG)

    def __post_init__(self) -> None:
        _check_fields(self, "tls.")
        if self.enabled and not self.cert_file:
            raise InvalidSettings(
                "SSL requires certificate! expected its path in LIBPROCESS_SSL_CERT_FILE, "
                f"got {self.cert_file!r}"
            )
        if self.enabled and not self.key_file:
            raise InvalidSettings(
                "SSL requires key! expected its path in LIBPROCESS_SSL_KEY_FILE, "
                f"got {self.key_file!r}"
            )
        if self.require_client_cert:
            object.__setattr__(self, "verify_server_cert", True)


def _default_workers() -> int:
    return max(8, os.cpu_count() or 1)


@_explain_names
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set about a runtime; values are checked when it is made.

    Raises:
        InvalidSettings: a value is of the wrong type or out of its range.

    Source: libprocess src/process.cpp, struct Flags, as far as the names are its own.
    Differs: *ip* is the loopback address, not every address, so that a program opens no port to
    the network without saying so.
    """

    ip: str = _setting("127.0.0.1", _IP, environ=_IPV4)
    """The address to bind and to tell others: ``0.0.0.0`` binds every address of the host. The
    environment may only say IPv4."""
    ip6: str | None = _setting(None, _IPV6)
    """An IPv6 address to tell others beside it; nothing is bound to it."""
    port: int = _setting(0, _PORT)
    """The port to bind; 0 lets the system choose."""
    advertise_ip: str | None = _setting(None, _IP)
    """The address to tell others when it is not the bound one."""
    advertise_port: int | None = _setting(None, _PORT_TO_TELL)
    """The port to tell others when it is not the bound one."""
    require_peer_address_ip_match: bool = _setting(False, _FLAG)
    """Whether a message must come from the IP address that it says its sender has."""
    allowed_hosts: tuple[str, ...] = _setting((), _HOSTS)
    """The hosts that requests and messages may be sent to, by their ``Host`` without the port; any
    when empty or ``*``. ``.example.org`` stands for ``example.org`` and all below it,
    ``*.example.org`` for those below it. ``localhost``, the loopback addresses and those of the
    node are always allowed; others are refused with 421. In the environment with commas."""
    cors: tuple[str, ...] = _setting((), _ORIGINS)
    """The origins whose pages may use all routes that say nothing of origins themselves, the
    built-in endpoints included, without cookies; none when empty, and any when ``*``. See
    `greenproc.http.CORS`. In the environment with commas."""
    memory_profiling: bool = _setting(False, _FLAG)
    """Whether the process ``memory-profiler`` runs."""
    num_worker_threads: int = _setting(_default_workers, _THREADS, forgiving=True)
    """What ``workers()`` returns, at most 1024: greenlets need no worker threads."""
    libev_num_io_threads: int = _setting(1, _THREADS)
    """Read and checked for libprocess' sake; one gevent hub does all I/O."""
    metrics_snapshot_endpoint_rate_limit: str = _setting("2/1secs", _RATE)
    """How often ``/metrics/snapshot`` answers; no text means no limit. See `parse_rate`."""
    enable_profiler: bool = _setting(False, _FLAG, environ=_EXACTLY_1)
    """Whether ``/profiler/start`` works."""
    tls: TLSSettings = field(default_factory=TLSSettings)
    """How connections are to be encrypted; with an enabled one no runtime or server starts."""

    max_body_bytes: int = _setting(64 * 1024 * 1024, _POSITIVE)
    """The largest body that is read into memory; a larger one is answered with 413."""
    max_header_bytes: int = _setting(80 * 1024, _POSITIVE)  # the limit of libprocess' parser
    """The largest head of a request; a larger one is answered with 431."""
    max_headers: int = _setting(256, _POSITIVE)
    """How many headers a request may have."""
    max_outgoing_bytes: int = _setting(64 * 1024 * 1024, _POSITIVE)
    """What may wait to be sent to one address; messages beyond it are dropped and reported. Where
    none waits, one of any size may."""
    max_mailbox_events: int = _setting(1_000_000, _POSITIVE)
    """How many events may wait in one mailbox."""
    max_mailbox_bytes: int = _setting(256 * 1024 * 1024, _POSITIVE)  # four of the largest bodies
    """How many bytes of messages and requests may wait in one mailbox; an empty one takes one of
    any size."""
    max_queued_bytes: int = _setting(1024 * 1024 * 1024, _POSITIVE)
    """How many bytes of messages and requests may wait in all mailboxes of a node together."""
    max_dead_letters: int = _setting(1000, _NATURAL)
    """How many of the last messages, dispatches and requests that were dropped are kept to be
    looked at, without their bodies."""
    max_open_asks: int = _setting(100_000, _POSITIVE)
    """How many asks of a node may wait for their answers; one more fails with `TooManyAsks`."""
    max_pipelined_requests: int = _setting(1000, _POSITIVE)
    """How many requests of one connection may be unanswered before reading pauses."""
    max_answer_bytes: int = _setting(8 * 1024 * 1024, _POSITIVE)
    """How many bytes of responses one connection may have unsent before reading pauses. Of
    requests whose responses are not known yet, as many are taken as would fit if each were as
    large as the largest before, 64 KiB at least."""
    max_unsent_bytes: int = _setting(1024 * 1024 * 1024, _POSITIVE)
    """How many bytes of responses all connections may hold for clients that do not take them, and
    again how many bytes of messages may wait for other nodes, 64 KiB for each not counted."""
    max_connections: int | None = _setting(None, _POSITIVE)
    """How many accepted connections may stand. When it is reached a silent one is closed for a new
    one, then one that has not sent a whole head yet, then an idle one; if there is none, the new
    one is refused. None means three
    quarters of the descriptors that the OS process may have open."""
    max_connections_per_address: int | None = _setting(None, _POSITIVE)
    """How many of them may come from one IP address; None means no limit but the one above."""
    max_temporary_connections: int | None = _setting(None, _POSITIVE)
    """How many connections without a link may be open or being opened to other nodes, with those
    being opened for links to senders of messages; further ones, and their messages, wait for
    `connect_timeout`. None means an eighth of the descriptors."""
    max_parked_greenlets: int = _setting(1000, _NATURAL)
    """How many greenlets of idle processes are kept for their next event."""
    connect_timeout: float = _setting(10.0, _SECONDS)
    """How long to try to connect to a peer."""
    temporary_idle: float = _setting(5.0, _SECONDS)
    """How long a connection without a link may be idle before it is closed."""
    answer_timeout: float = _setting(30.0, _SECONDS)
    """How long to wait for a peer to acknowledge messages before it counts as gone, and for a
    client that takes no responses, or that closed while its requests wait."""
    head_timeout: float = _setting(30.0, _SECONDS)  # Apache allows 20 to 40
    """How long the head of a request may take from its first byte on, that of a message included;
    0 is for ever."""
    body_timeout: float = _setting(30.0, _SECONDS)
    """How long the body of a request may stand still, that of a message included; 0 is for
    ever."""
    min_bytes_per_second: int = _setting(500, _NATURAL)  # as Apache's reqtimeout
    """How fast a client must send a body, and take its responses, on average, when `body_timeout`
    or `answer_timeout` is over; 0 is any rate."""
    refusal_timeout: float = _setting(10.0, _SECONDS)
    """How long a message that another node answers with 503 is sent again before it is dropped; 0 drops
    it at once."""
    link_timeout: float = _setting(30.0, _SECONDS)
    """How long a linked peer that vanished without a word may go unnoticed, by TCP keep-alive; to
    be told in whole seconds, and 0 is for ever."""
    idle_timeout: float = _setting(75.0, _SECONDS)  # the default of nginx
    """How long a connection is kept after its last HTTP request, unless a message that it brought
    was delivered, or it carried nothing at all, as links of a node do; 0 is for ever."""
    authentication_timeout: float = _setting(30.0, _SECONDS)
    """How long an authenticator may take for a request, and then an authorization callback; 0 is
    for ever."""
    stop_timeout: float = _setting(10.0, _SECONDS)
    """How long stopping may take."""
    blocked_after: float = _setting(1.0, _SECONDS)
    """After how long the log tells which process keeps the hub from turning, so that nothing else
    runs; 0 is never, and saves a native thread."""
    expose_errors: bool = _setting(False, _FLAG)
    """Whether a 500 tells the text of an unexpected exception, which may hold secrets."""
    debug: bool = _setting(False, _FLAG)
    """Whether a public method of a process that runs outside of it is warned of, once each."""

    def __post_init__(self) -> None:
        _check_fields(self)
        if not isinstance(self.tls, TLSSettings):
            raise InvalidSettings(f"tls is not valid: expected TLSSettings, got {self.tls!r}")

    def check_encryption(self) -> None:
        """Refuse to serve in plain what is to be encrypted.

        Raises:
            InvalidSettings: TLS is enabled.
        """
        if self.tls.enabled:
            raise InvalidSettings(
                "expected tls.enabled to be False, as connections cannot be encrypted yet: "
                "unset LIBPROCESS_SSL_ENABLED and put a proxy with TLS in front"
            )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the variables that start with ``LIBPROCESS_``; the rest may have any case.

        A variable that is none of these and none of libprocess is warned of, with the nearest
        name, since it is most likely misspelled. A value ``file:///path``
        stands for what the file holds, without white space around it. A bad number of worker
        threads is warned of, not refused.

        Raises:
            InvalidSettings: a value is out of range, or its file cannot be read.

        Source: libprocess' stout/flags/flags.hpp, src/process.cpp, src/openssl.cpp.
        Differs: variables ``SSL_*`` without the prefix are not read, since OpenSSL gives
        ``SSL_CERT_FILE`` another meaning.
        """
        found = {
            variable.removeprefix(PREFIX).lower(): (variable, text)
            for variable, text in sorted(environ.items())
            if variable.startswith(PREFIX)
        }
        if environ.get("SSL_ENABLED") in ("1", "true") and "ssl_enabled" not in found:
            _log.warning("SSL_ENABLED is not read; set LIBPROCESS_SSL_ENABLED instead")
        _warn_of_unknown(found)
        tls = TLSSettings(**_read_fields(TLSSettings, "ssl_", found))
        return cls(tls=tls, **_read_fields(cls, "", found))


def check_settings(value: object) -> None:
    """Refuse as *settings* what is none; None stands for the defaults.

    Raises:
        InvalidArgument: *value* is something else.
    """
    if value is not None and not isinstance(value, Settings):
        raise InvalidArgument(f"expected Settings, as in Settings(port=5050), got {value!r}")


def _warn_of_unknown(found: Mapping[str, tuple[str, str]]) -> None:
    """Warn of the variables in *found* that have an effect neither here nor in libprocess."""
    known = {
        prefix + name
        for owner, prefix in ((Settings, ""), (TLSSettings, "ssl_"))
        for setting in fields(owner)
        if setting.metadata
        for name in (setting.name, *setting.metadata["aliases"])
    }
    unknown = [found[name][0] for name in found if name not in known | _OTHERS]
    for variable in unknown:
        nearest = _find_nearest(variable.removeprefix(PREFIX).lower(), known)
        advice = (
            f"did you mean {PREFIX}{nearest.upper()}?" if nearest else "there is no such setting"
        )
        _log.warning("%s has no effect: %s", variable, advice)


def _read_fields(
    owner: type[Settings | TLSSettings], prefix: str, found: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """Return the fields of *owner* that *found* has a variable for, read and checked."""
    values: dict[str, Any] = {}
    for setting in fields(owner):
        for name in (*setting.metadata.get("aliases", ()), setting.name):
            # An old name of a flag can only turn it on, even against the proper name.
            if prefix + name in found and values.get(setting.name) is not True:
                _read_field(setting, *found[prefix + name], values)
    return values


def _read_field(setting: Field[Any], variable: str, text: str, values: dict[str, Any]) -> None:
    if not setting.metadata:
        return
    kind: _Kind = setting.metadata["environ"]
    try:
        values[setting.name] = kind.apply(kind.read, variable, _contents(variable, text))
    except InvalidSettings as error:
        if not setting.metadata["forgiving"]:
            raise
        _log.warning("%s; using the default", error)


def _contents(variable: str, text: str) -> str:
    """Return *text*, or what is in the file that it names."""
    path = text.removeprefix("file://")
    if path == text:
        return text
    try:
        with Path(path).open(encoding="utf-8") as file:
            contents = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"{variable}: expected a file to read, got {path!r}") from error
    if len(contents) > MAX_FILE_BYTES:
        raise InvalidSettings(f"{variable}: expected at most {MAX_FILE_BYTES} bytes in {path!r}")
    return contents.strip()
