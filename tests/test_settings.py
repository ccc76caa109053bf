"""Settings as values: defaults, ranges, and what holds between fields."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
from dataclasses import replace

import pytest

from greenproc.errors import InvalidArgument, InvalidSettings
from greenproc.settings import Settings, TLSSettings, parse_rate

# Defaults


def test_the_defaults_are_those_of_libprocess() -> None:
    settings = Settings()

    assert settings.ip == "127.0.0.1"
    assert settings.port == 0
    assert settings.ip6 is None
    assert settings.advertise_ip is None
    assert settings.advertise_port is None
    assert settings.require_peer_address_ip_match is False
    assert settings.memory_profiling is False
    assert settings.libev_num_io_threads == 1
    assert settings.metrics_snapshot_endpoint_rate_limit == "2/1secs"
    assert settings.enable_profiler is False
    assert settings.tls.enabled is False
    assert settings.tls.verification_depth == 4
    assert settings.tls.ecdh_curves == "auto"
    assert settings.tls.hostname_validation_scheme == "legacy"


def test_the_tls_versions_and_ciphers_are_those_of_today() -> None:
    tls = TLSSettings()

    assert tls.ciphers is None
    assert (tls.enable_ssl_v3, tls.enable_tls_v1_0, tls.enable_tls_v1_1) == (False, False, False)
    assert (tls.enable_tls_v1_2, tls.enable_tls_v1_3) == (True, True)


def test_the_limits_have_defaults() -> None:
    settings = Settings()

    assert settings.max_body_bytes == 64 * 1024 * 1024
    assert settings.max_header_bytes == 80 * 1024
    assert settings.max_headers == 256
    assert settings.max_outgoing_bytes == 64 * 1024 * 1024
    assert settings.max_mailbox_events == 1_000_000
    assert settings.max_pipelined_requests == 1000
    assert settings.max_parked_greenlets == 1000
    assert settings.connect_timeout == 10.0
    assert settings.temporary_idle == 5.0
    assert settings.answer_timeout == 30.0
    assert settings.stop_timeout == 10.0
    assert settings.expose_errors is False


@pytest.mark.parametrize(("cpus", "workers"), [(1, 8), (8, 8), (9, 9), (64, 64), (None, 8)])
def test_there_are_as_many_workers_as_cpus_but_at_least_eight(
    monkeypatch: pytest.MonkeyPatch, cpus: int | None, workers: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)

    assert Settings().num_worker_threads == workers


# TLS as a whole


def test_tls_needs_a_certificate() -> None:
    with pytest.raises(InvalidSettings, match="SSL requires certificate!"):
        TLSSettings(enabled=True, key_file="/key")


@pytest.mark.parametrize("key_file", [None, ""])
def test_tls_needs_a_key(key_file: str | None) -> None:
    with pytest.raises(InvalidSettings, match="SSL requires key!"):
        TLSSettings(enabled=True, cert_file="/cert", key_file=key_file)


def test_without_tls_no_certificate_is_needed() -> None:
    assert TLSSettings(enabled=False, cert_file=None).enabled is False


# Made in code


def test_settings_may_bind_ipv6_when_made_in_code() -> None:
    assert Settings(ip="0:0:0:0:0:0:0:1").ip == "::1"


BAD_VALUES = {
    "ip": [None, "", "host", 1],
    "ip6": ["127.0.0.1", "", 6],
    "advertise_ip": ["", "host", 1],
    "port": [-1, 65536, "80", None, True, 1.0],
    "advertise_port": [0, -1, 65536, "80", True],
    "require_peer_address_ip_match": [None, 1, "true"],
    "num_worker_threads": [0, 1025, None, "8"],
    "libev_num_io_threads": [0, 1025, None],
    "metrics_snapshot_endpoint_rate_limit": [None, "2", 2],
    "enable_profiler": [1, None],
    "tls": [None, {}, True],
    "cors": [
        "https://a.org",
        ("",),
        ("a.org",),
        ("https://a.org/",),
        ("*", "https://a.org"),
        (1,),
    ],
    "allowed_hosts": ["a.org", ("",), ("a:80",), ("a/b",), ("*a.org",), ("a..b",), (1,), ("[x]",)],
    "max_body_bytes": [0, -1, None, 1.5],
    "max_parked_greenlets": [-1, None],
    "connect_timeout": [-1, None, "10secs", float("inf"), float("nan"), True],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_VALUES.items() for value in values]
)
def test_a_bad_value_made_in_code_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings(**{name: value})  # type: ignore[arg-type]

    assert str(caught.value).startswith(name)
    assert ": expected " in str(caught.value)
    assert str(caught.value).endswith(f", got {value!r}")


IN_CODE = {
    "stop_timeout": ("10secs", "expected a number of seconds, such as 10.0, got '10secs'"),
    "debug": ("true", "expected True or False, got 'true'"),
    "enable_profiler": (1, "expected True or False, got 1"),
    "allowed_hosts": ("a.org", "expected a tuple of host names without ports, such as ('exam"),
}


@pytest.mark.parametrize("name", IN_CODE)
def test_code_is_told_of_values_and_not_of_texts_of_the_environment(name: str) -> None:
    value, told = IN_CODE[name]
    with pytest.raises(InvalidSettings, match=re.escape(told)):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_a_bad_tls_value_made_in_code_is_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"^tls\.verification_depth=-1 is not valid: "):
        TLSSettings(verification_depth=-1)


def test_a_whole_number_of_seconds_becomes_a_float() -> None:
    assert isinstance(Settings(connect_timeout=3).connect_timeout, float)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]


def test_a_changed_copy_is_checked_too() -> None:
    assert dataclasses.replace(Settings(port=1), port=2).port == 2
    with pytest.raises(InvalidSettings):
        dataclasses.replace(Settings(), port=-1)


# Rates


@pytest.mark.parametrize(
    ("text", "rate"),
    [("", None), ("2/1secs", (2, 1.0)), ("10/1.5mins", (10, 90.0)), ("1/1ns", (1, 1e-9))],
)
def test_a_rate_is_parsed(text: str, rate: tuple[int, float] | None) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["2", "0/1secs", "1.5/1secs", "2/1secs/3", "2/0secs", "9" * 20 + "/1secs"]
)
def test_a_bad_rate_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_rate(text)


def test_a_bad_rate_is_told_in_libprocess_words() -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_rate("2")

    assert "(format is <number of requests>/<interval duration>)" in str(caught.value)


# Mistaken names


MISTAKEN = {
    "a slip": (Settings, {"prot": 5}, "Settings() has no setting 'prot': did you mean port?"),
    "a setting of TLS": (
        Settings,
        {"cert_file": "x"},
        "did you mean tls=TLSSettings(cert_file=...)?",
    ),
    "a variable": (Settings, {"ssl_enabled": True}, "did you mean tls=TLSSettings(enabled=...)?"),
    "nothing like it": (Settings, {"zebra": 1}, "'zebra': there is none with a name like it"),
    "a slip of TLS": (
        TLSSettings,
        {"kye_file": "x"},
        "TLSSettings() has no setting 'kye_file': did",
    ),
}


@pytest.mark.parametrize(("kind", "given", "told"), MISTAKEN.values(), ids=MISTAKEN)
def test_a_mistaken_name_is_refused_with_the_nearest_one(
    kind: type, given: dict[str, object], told: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(told)):
        kind(**given)
    if kind is Settings:
        with pytest.raises(TypeError, match=re.escape(told)):
            replace(Settings(), **given)


def test_a_setting_without_its_name_is_refused_with_how_to_give_it() -> None:
    with pytest.raises(
        TypeError, match=re.escape("by its name, as in Settings(port=5050), got 5")
    ):
        Settings(5)  # type: ignore[misc]


def test_a_constructor_that_explains_names_still_shows_them() -> None:
    assert "port" in inspect.signature(Settings).parameters
