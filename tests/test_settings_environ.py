"""Settings from the environment: every variable with its valid, invalid and boundary values."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.errors import InvalidSettings
from greenproc.settings import MAX_FILE_BYTES, Settings, TLSSettings

TLS_FILES = {"LIBPROCESS_SSL_CERT_FILE": "/cert", "LIBPROCESS_SSL_KEY_FILE": "/key"}


def read(variable: str, text: str, **others: str) -> Settings:
    return Settings.from_environ({f"LIBPROCESS_{variable}": text, **others})


def value_of(settings: Settings, name: str) -> object:
    owner, _, field = name.rpartition(".")
    return getattr(getattr(settings, owner) if owner else settings, field)


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environ({}) == Settings()


# Each variable

VALID = [
    ("IP", "10.0.0.1", "ip", "10.0.0.1"),
    ("IP", "0.0.0.0", "ip", "0.0.0.0"),
    ("IP6", "::1", "ip6", "::1"),
    ("IP6", "2001:DB8::0:1", "ip6", "2001:db8::1"),
    ("ADVERTISE_IP", "10.0.0.1", "advertise_ip", "10.0.0.1"),
    ("ADVERTISE_IP", "::1", "advertise_ip", "::1"),
    ("PORT", "0", "port", 0),
    ("PORT", "5050", "port", 5050),
    ("PORT", "65535", "port", 65535),
    ("ADVERTISE_PORT", "1", "advertise_port", 1),
    ("ADVERTISE_PORT", "65535", "advertise_port", 65535),
    ("NUM_WORKER_THREADS", "1", "num_worker_threads", 1),
    ("NUM_WORKER_THREADS", "1024", "num_worker_threads", 1024),
    ("LIBEV_NUM_IO_THREADS", "1", "libev_num_io_threads", 1),
    ("LIBEV_NUM_IO_THREADS", "1024", "libev_num_io_threads", 1024),
    ("METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT", "10/1mins", None, "10/1mins"),
    ("METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT", "", None, ""),
    ("ALLOWED_HOSTS", "", None, ()),
    ("CORS", "*", "cors", ("*",)),
    ("CORS", "https://A.org:443, http://b:81", "cors", ("https://a.org", "http://b:81")),
    ("ALLOWED_HOSTS", "A.org, *.B.org,.c.org.,", "allowed_hosts", ("a.org", "*.b.org", ".c.org")),
    ("ALLOWED_HOSTS", "10.0.0.1,[::01]", "allowed_hosts", ("10.0.0.1", "::1")),
    ("ENABLE_PROFILER", "1", "enable_profiler", True),
    # The profiler compares with "1" and complains of nothing.
    ("ENABLE_PROFILER", "true", "enable_profiler", False),
    ("ENABLE_PROFILER", "", "enable_profiler", False),
    ("SSL_CERT_FILE", "/c.pem", "tls.cert_file", "/c.pem"),
    ("SSL_KEY_FILE", "/k.pem", "tls.key_file", "/k.pem"),
    ("SSL_CA_DIR", "/ca", "tls.ca_dir", "/ca"),
    ("SSL_CA_FILE", "/ca.pem", "tls.ca_file", "/ca.pem"),
    ("SSL_CIPHERS", "ECDHE+AESGCM", "tls.ciphers", "ECDHE+AESGCM"),
    ("SSL_ECDH_CURVES", "P-256:P-384", "tls.ecdh_curves", "P-256:P-384"),
    ("SSL_VERIFICATION_DEPTH", "0", "tls.verification_depth", 0),
    ("SSL_VERIFICATION_DEPTH", "9", "tls.verification_depth", 9),
    ("SSL_HOSTNAME_VALIDATION_SCHEME", "openssl", None, "openssl"),
    ("SSL_HOSTNAME_VALIDATION_SCHEME", "legacy", None, "legacy"),
    ("MAX_BODY_BYTES", "1", "max_body_bytes", 1),
    ("MAX_PARKED_GREENLETS", "0", "max_parked_greenlets", 0),
    ("CONNECT_TIMEOUT", "500ms", "connect_timeout", 0.5),
]


@pytest.mark.parametrize(("variable", "text", "name", "value"), VALID)
def test_a_variable_is_read(variable: str, text: str, name: str | None, value: object) -> None:
    prefix = "tls." if variable.startswith("SSL_") else ""
    name = name or prefix + variable.removeprefix("SSL_").lower()

    assert value_of(read(variable, text), name) == value


BOOLEANS = {
    "REQUIRE_PEER_ADDRESS_IP_MATCH": "require_peer_address_ip_match",
    "MEMORY_PROFILING": "memory_profiling",
    "EXPOSE_ERRORS": "expose_errors",
    "SSL_ENABLED": "tls.enabled",
    "SSL_SUPPORT_DOWNGRADE": "tls.support_downgrade",
    "SSL_VERIFY_SERVER_CERT": "tls.verify_server_cert",
    "SSL_VERIFY_CERT": "tls.verify_server_cert",
    "SSL_REQUIRE_CLIENT_CERT": "tls.require_client_cert",
    "SSL_REQUIRE_CERT": "tls.require_client_cert",
    "SSL_VERIFY_IPADD": "tls.verify_ipadd",
    "SSL_ENABLE_SSL_V3": "tls.enable_ssl_v3",
    "SSL_ENABLE_TLS_V1_0": "tls.enable_tls_v1_0",
    "SSL_ENABLE_TLS_V1_1": "tls.enable_tls_v1_1",
    "SSL_ENABLE_TLS_V1_2": "tls.enable_tls_v1_2",
    "SSL_ENABLE_TLS_V1_3": "tls.enable_tls_v1_3",
}


@pytest.mark.parametrize(("variable", "name"), BOOLEANS.items(), ids=BOOLEANS.keys())
@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False)]
)
def test_a_boolean_is_read(variable: str, name: str, text: str, *, value: bool) -> None:
    assert value_of(read(variable, text, **TLS_FILES), name) is value


@pytest.mark.parametrize("variable", BOOLEANS)
@pytest.mark.parametrize("text", ["", "True", "TRUE", "yes", "on", "2", " 1", "1 "])
def test_a_boolean_has_four_spellings(variable: str, text: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        read(variable, text)

    assert str(caught.value) == (
        f"LIBPROCESS_{variable}={text} is not valid: expected true, 1, false or 0, got {text!r}"
    )


PORT = "a valid port: expected a whole number from"
DURATION = "a duration such as 10secs, in ns, us, ms, secs, mins, hrs, days or weeks"
RATE = "<number of requests>/<interval duration> or no text"
INVALID = [
    *[("IP", text, "valid: expected an IPv4 address") for text in ("", "::1", "1.2.3", "host")],
    *[("IP6", text, "valid: expected an IPv6 address") for text in ("", "127.0.0.1", "[::1]")],
    *[("ADVERTISE_IP", text, "valid: expected an IP address") for text in ("", "host", "1.2")],
    *[("PORT", text, f"{PORT} 0 to 65535") for text in ("-1", "65536", "", "x", "1.5", "+1")],
    *[("PORT", text, f"{PORT} 0 to 65535") for text in (" 1", "1 ", "0x1F", "1_0", "٣", "9" * 30)],
    *[("ADVERTISE_PORT", text, f"{PORT} 1 to 65535") for text in ("0", "-1", "65536", "", "x")],
    *[
        ("LIBEV_NUM_IO_THREADS", text, "valid: expected a whole number from 1 to 1024")
        for text in ("0", "1025", "-1", "", "x")
    ],
    *[
        ("METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT", text, f"valid: expected {RATE}")
        for text in ("2", "/", "2/", "/1secs", "0/1secs", "-1/1secs", "2/0secs", "2/1s", "a/1secs")
    ],
    *[
        ("SSL_VERIFICATION_DEPTH", text, "valid: expected a whole number of at least 0")
        for text in ("-1", "", "x")
    ],
    *[
        ("SSL_HOSTNAME_VALIDATION_SCHEME", text, "valid: expected legacy or openssl")
        for text in ("", "LEGACY", "none")
    ],
    ("MAX_BODY_BYTES", "0", "valid: expected a whole number of at least 1"),
    *[("STOP_TIMEOUT", text, f"valid: expected {DURATION}") for text in ("5", "", "-1secs", "1s")],
]


@pytest.mark.parametrize(("variable", "text", "told"), INVALID)
def test_a_bad_value_is_refused_with_what_was_expected_and_what_came(
    variable: str, text: str, told: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        read(variable, text)

    assert str(caught.value) == f"LIBPROCESS_{variable}={text} is not {told}, got {text!r}"


def test_a_bad_port_is_told_in_libprocess_words() -> None:
    with pytest.raises(InvalidSettings, match=r"^LIBPROCESS_PORT=99999 is not a valid port: "):
        read("PORT", "99999")
    with pytest.raises(InvalidSettings, match=r"^LIBPROCESS_ADVERTISE_PORT=0 is not a valid port"):
        read("ADVERTISE_PORT", "0")


@pytest.mark.parametrize("text", ["0", "1025", "-3", "", "many"])
def test_a_bad_number_of_worker_threads_is_only_warned_of(
    caplog: pytest.LogCaptureFixture, text: str
) -> None:
    settings = read("NUM_WORKER_THREADS", text)

    assert settings == Settings()
    assert caplog.record_tuples == [
        (
            "greenproc.settings",
            logging.WARNING,
            (
                f"LIBPROCESS_NUM_WORKER_THREADS={text} is not valid: expected a whole number"
                f" from 1 to 1024, got {text!r}; using the default"
            ),
        )
    ]


def test_an_endless_value_is_told_short() -> None:
    with pytest.raises(InvalidSettings) as caught:
        read("PORT", "9" * 100_000)

    assert len(str(caught.value)) < 300


# Names


@pytest.mark.parametrize("name", ["PORT", "port", "Port"])
def test_the_name_after_the_prefix_may_have_any_case(name: str) -> None:
    assert read(name, "7").port == 7


@pytest.mark.parametrize(
    "name", ["libprocess_PORT", "Libprocess_PORT", "PORT", "XLIBPROCESS_PORT"]
)
def test_the_prefix_may_not(name: str) -> None:
    assert Settings.from_environ({name: "7"}) == Settings()


@pytest.mark.parametrize(
    "name",
    ["", "NOTHING", "PORT_", "TLS", "TLS_PORT", "SSL_PORT", "CERT_FILE", "SSL_ENABLE_DOWNGRADE"],
)
def test_an_unknown_name_is_ignored(name: str) -> None:
    assert read(name, "x") == Settings()


def test_of_two_spellings_the_choice_does_not_depend_on_the_order() -> None:
    one = {"LIBPROCESS_port": "1", "LIBPROCESS_PORT": "2"}

    assert Settings.from_environ(one) == Settings.from_environ(dict(reversed(one.items())))


def test_every_field_has_a_variable() -> None:
    flags = {field.name for field in dataclasses.fields(Settings)} - {"tls"}
    ssl_flags = {f"ssl_{field.name}" for field in dataclasses.fields(TLSSettings)}

    for name in flags | ssl_flags:
        # A NUL is valid in texts only; each other field must refuse it, so it was looked at.
        environ = {f"LIBPROCESS_{name}": "\0"}
        if name == "enable_profiler":
            environ = {f"LIBPROCESS_{name}": "1"}
        try:
            assert Settings.from_environ(environ) != Settings() or name == "num_worker_threads"
        except InvalidSettings as error:
            assert name in str(error)  # noqa: PT017 -- either is right


# Old names


def test_an_old_name_can_turn_verification_on_but_not_off() -> None:
    assert read(
        "SSL_VERIFY_CERT", "1", LIBPROCESS_SSL_VERIFY_SERVER_CERT="0"
    ).tls.verify_server_cert
    assert read(
        "SSL_VERIFY_CERT", "0", LIBPROCESS_SSL_VERIFY_SERVER_CERT="1"
    ).tls.verify_server_cert
    assert not read("SSL_VERIFY_CERT", "0").tls.verify_server_cert


def test_requiring_client_certificates_implies_verifying() -> None:
    assert read("SSL_REQUIRE_CERT", "1", LIBPROCESS_SSL_VERIFY_SERVER_CERT="0").tls == TLSSettings(
        require_client_cert=True, verify_server_cert=True
    )
    assert TLSSettings(require_client_cert=True).verify_server_cert


def test_the_names_that_libprocess_documents_but_never_read_are_read() -> None:
    assert read("SSL_VERIFY_DEPTH", "7").tls.verification_depth == 7
    assert read("SSL_ECDH_CURVE", "P-256").tls.ecdh_curves == "P-256"


def test_the_proper_name_wins_over_the_other() -> None:
    settings = read("SSL_VERIFY_DEPTH", "7", LIBPROCESS_SSL_VERIFICATION_DEPTH="1")

    assert settings.tls.verification_depth == 1


def test_variables_of_openssl_are_not_read(caplog: pytest.LogCaptureFixture) -> None:
    environ = {"SSL_CERT_FILE": "/etc/ssl/bundle.pem", "SSL_CERT_DIR": "/etc", "SSL_ENABLED": "0"}

    assert Settings.from_environ(environ) == Settings()
    assert caplog.records == []


def test_who_turned_tls_on_by_the_bare_name_is_warned(caplog: pytest.LogCaptureFixture) -> None:
    assert not Settings.from_environ({"SSL_ENABLED": "true"}).tls.enabled
    assert [record.message for record in caplog.records] == [
        "SSL_ENABLED is not read; set LIBPROCESS_SSL_ENABLED instead"
    ]


# Files


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("5050\n")

    assert read("PORT", f"file://{path}").port == 5050


def test_what_stands_in_the_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("x")

    with pytest.raises(InvalidSettings, match="LIBPROCESS_PORT=x is not a valid port"):
        read("PORT", f"file://{path}")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = f"{tmp_path}/none"

    with pytest.raises(InvalidSettings) as caught:
        read("PORT", f"file://{path}")

    assert str(caught.value) == f"LIBPROCESS_PORT: expected a file to read, got {path!r}"
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize("content", [b"\xff\xfe", b""])
def test_a_file_that_holds_no_value_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "port"
    path.write_bytes(content)

    with pytest.raises(InvalidSettings):
        read("PORT", f"file://{path}")


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(InvalidSettings, match=f"expected at most {MAX_FILE_BYTES} bytes"):
        read("SSL_CIPHERS", "file:///dev/zero")


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("LIBPROCESS_PROT", "did you mean LIBPROCESS_PORT?"),
        ("LIBPROCESS_SSL_CERTFILE", "did you mean LIBPROCESS_SSL_CERT_FILE?"),
        ("LIBPROCESS_ssl_require_certs", "did you mean LIBPROCESS_SSL_REQUIRE_CERT?"),
        ("LIBPROCESS_XYZZY", "there is no such setting"),
        ("LIBPROCESS_TLS", "there is no such setting"),
    ],
)
def test_a_variable_without_effect_is_warned_of_with_the_nearest_name(
    caplog: pytest.LogCaptureFixture, variable: str, advice: str
) -> None:
    assert Settings.from_environ({variable: "5050"}) == Settings()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"{variable} has no effect: {advice}"


def test_variables_of_libprocess_and_of_others_are_not_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Settings.from_environ(
        {
            "LIBPROCESS_TEST_AWAIT_TIMEOUT": "5secs",
            "LIBPROCESS_LIBEV_NUM_IO_THREADS": "1",
            "LIBPROCESS_SSL_VERIFY_IPADD": "1",
            "LIBPROCESS_SSL_REQUIRE_CERT": "0",
            "LIBPROCES_PORT": "1",
            "PATH": "/bin",
        }
    )
    assert not caplog.records


def test_a_file_of_an_unknown_variable_is_not_opened() -> None:
    assert read("NOTHING", "file:///nonexistent") == Settings()


@given(st.dictionaries(st.sampled_from(["LIBPROCESS_PORT", "LIBPROCESS_IP"]), st.text()))
def test_reading_raises_only_its_own_error(environ: dict[str, str]) -> None:
    try:
        settings = Settings.from_environ(environ)
    except InvalidSettings:
        return
    assert 0 <= settings.port <= 65535
