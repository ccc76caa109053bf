"""Which algorithm a key means."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from greenproc.auth import JWTAuthenticator, parse_rsa_key
from greenproc.auth.signing import Signing
from greenproc.errors import InvalidArgument, InvalidToken
from tests.auth.keys import PRIVATE_KEY, PUBLIC_KEY


def forbid(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """Let imports of *library* fail as if it were not installed."""
    actual = builtins.__import__

    def import_(name: str, *args: Any) -> Any:
        if name == library:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return actual(name, *args)

    monkeypatch.setattr(builtins, "__import__", import_)


def test_key_decides_on_the_algorithm() -> None:
    pytest.importorskip("jwt")
    pytest.importorskip("cryptography")
    keys = [None, "secret", b"secret", parse_rsa_key(PUBLIC_KEY), parse_rsa_key(PRIVATE_KEY)]
    assert [Signing.of(key).algorithm for key in keys] == [
        "none",
        "HS256",
        "HS256",
        "RS256",
        "RS256",
    ]


@pytest.mark.parametrize("key", ["", PUBLIC_KEY, PRIVATE_KEY.encode()])
def test_secret_that_is_none_is_refused(key: str | bytes) -> None:
    pytest.importorskip("jwt")
    with pytest.raises(InvalidArgument, match="expected a key for HS256") as caught:
        Signing.of(key)
    assert "MII" not in str(caught.value)


@pytest.mark.parametrize("pem", ["", "x", b"\xff", PUBLIC_KEY.replace("A", "B")])
def test_text_that_holds_no_rsa_key_is_refused(pem: str | bytes) -> None:
    pytest.importorskip("jwt")
    pytest.importorskip("cryptography")
    with pytest.raises(InvalidArgument, match="expected a key for RS256"):
        parse_rsa_key(pem)


def test_key_of_another_kind_is_refused() -> None:
    pytest.importorskip("jwt")
    pytest.importorskip("cryptography")
    with pytest.raises(InvalidArgument, match="expected a key for RS256"):
        Signing.of(17)


def test_none_signs_nothing_and_takes_nothing() -> None:
    signing = Signing.of(None)
    assert signing.sign(b"data") == b""
    signing.check(b"data", b"")
    with pytest.raises(InvalidToken, match="Unsecured JWT contains a signature"):
        signing.check(b"data", b"x")


def test_private_rsa_key_checks_what_it_signed() -> None:
    pytest.importorskip("jwt")
    pytest.importorskip("cryptography")
    private, public = Signing.of(parse_rsa_key(PRIVATE_KEY)), Signing.of(parse_rsa_key(PUBLIC_KEY))
    signature = private.sign(b"data")
    public.check(b"data", signature)
    private.check(b"data", signature)
    with pytest.raises(InvalidToken, match="Failed to verify token"):
        public.check(b"other", signature)


def test_public_rsa_key_cannot_sign() -> None:
    pytest.importorskip("jwt")
    pytest.importorskip("cryptography")
    with pytest.raises(InvalidArgument, match="expected a private key"):
        Signing.of(parse_rsa_key(PUBLIC_KEY)).sign(b"data")


def test_error_without_pyjwt_tells_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "jwt")
    with pytest.raises(
        ModuleNotFoundError, match=r"pip install 'greenproc\[jwt\]', or .* '\.\[jwt\]'"
    ):
        JWTAuthenticator("realm", "secret")


def test_error_without_cryptography_tells_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jwt = pytest.importorskip("jwt")

    def find_algorithm(name: str) -> None:
        raise NotImplementedError(name)

    monkeypatch.setattr(jwt, "get_algorithm_by_name", find_algorithm)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'PyJWT\[crypto\]'"):
        parse_rsa_key(PUBLIC_KEY)
