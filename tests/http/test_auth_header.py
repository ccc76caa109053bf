"""What a server says about how to prove who one is; see also HTTPTest.WWWAuthenticateHeader."""

from __future__ import annotations

import pytest

from greenproc.errors import InvalidArgument
from greenproc.http import Headers, Unauthorized, WWWAuthenticate


@pytest.mark.parametrize(
    ("text", "scheme", "parameters"),
    [
        ('Basic realm="a"', "Basic", {"realm": "a"}),
        ("Basic realm=a", "Basic", {"realm": "a"}),
        ('  basic \t realm="a" ', "basic", {"realm": "a"}),
        ('Basic realm=""', "Basic", {"realm": ""}),
        ('Basic Realm="A", CHARSET="UTF-8"', "Basic", {"realm": "A", "charset": "UTF-8"}),
        ('Basic realm = "a" ,x\t=\tb', "Basic", {"realm": "a", "x": "b"}),
        ('Basic realm="a",', "Basic", {"realm": "a"}),
        (r'Basic realm="a \"b\" \\ c"', "Basic", {"realm": 'a "b" \\ c'}),
        ('Basic realm="a", realm="b"', "Basic", {"realm": "b"}),
        ("Bearer realm=https://a.org/t?b:c", "Bearer", {"realm": "https://a.org/t?b:c"}),
        ('Digest realm="a", qop="auth,auth-int", stale=TRUE', "Digest", None),
        ('Basic realm="\xe9"', "Basic", {"realm": "\xe9"}),
    ],
)
def test_a_challenge_is_read_and_written_again(
    text: str, scheme: str, parameters: dict[str, str] | None
) -> None:
    challenge = WWWAuthenticate.parse(text)
    assert challenge.scheme == scheme
    if parameters is not None:
        assert challenge.parameters == parameters
    assert WWWAuthenticate.parse(str(challenge)) == challenge


def test_a_challenge_prints_as_a_header_has_it() -> None:
    challenge = WWWAuthenticate("Bearer", {"realm": 'the "gate"', "scope": "a b"})
    assert str(challenge) == r'Bearer realm="the \"gate\"", scope="a b"'
    response = Unauthorized([str(challenge)])
    assert WWWAuthenticate.parse(response.headers["WWW-Authenticate"]) == challenge


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Digest realm=a realm=b", "at 'realm=a realm=b'"),
        ('Basic realm="a', "at 'realm=\"a'"),
        ('Basic realm="a"b', "at 'realm=\"a\"b'"),
        ("Basic realm=a=b", "at 'realm=a=b'"),
        ('Basic realm="a", Bearer realm="b"', "at 'Bearer realm=\"b\"'"),
        ('Basic realm="a",,x=b', "at ',x=b'"),
        ('Basic realm="a"\n', "at 'realm=\"a\"\\n'"),
        ("Negotiate YWJj==", "at 'YWJj=='"),
        ('Basic charset="UTF-8"', "expected a realm"),
    ],
)
def test_what_is_no_challenge_is_refused_where_it_goes_wrong(text: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        WWWAuthenticate.parse(text)
    assert told in str(caught.value)


@pytest.mark.parametrize("scheme", ["", "a b", "a,", "\xe9"])
def test_a_scheme_must_be_a_token(scheme: str) -> None:
    with pytest.raises(InvalidArgument, match="expected the name of a scheme"):
        WWWAuthenticate(scheme, {"realm": "a"})


@pytest.mark.parametrize("name", ["", "a b", "a=", '"a"'])
def test_the_name_of_a_parameter_must_be_a_token(name: str) -> None:
    with pytest.raises(InvalidArgument, match="expected the name of a parameter"):
        WWWAuthenticate("Basic", {"realm": "a", name: "b"})


def test_a_challenge_cannot_smuggle_in_a_line() -> None:
    with pytest.raises(InvalidArgument):
        Headers({"WWW-Authenticate": str(WWWAuthenticate("Basic", {"realm": "a\r\nX: y"}))})


def test_parameters_cannot_be_changed_behind_its_back() -> None:
    given = {"realm": "a"}
    challenge = WWWAuthenticate("Basic", given)
    given["realm"] = "b"
    assert challenge.parameters == {"realm": "a"}


@pytest.mark.parametrize(
    "text", ["Basic " + " " * 80_000, 'Basic a="' + "\\" * 80_000, "Basic " + "a=b," * 20_000]
)
def test_a_long_header_is_refused_in_a_short_text(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        WWWAuthenticate.parse(text)
    assert len(str(caught.value)) < 300
