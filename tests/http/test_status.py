from __future__ import annotations

import pytest

from greenproc.http.status import Status, status_line_text


def test_usual_codes_are_known_and_others_are_not() -> None:
    """HTTPTest.Statuses."""
    assert status_line_text(200) == "200 OK" and Status(404).phrase == "Not Found"
    with pytest.raises(ValueError, match="1337"):
        Status(1337)


def test_every_name_has_a_phrase() -> None:
    assert all(status.phrase for status in Status)


def test_the_words_are_those_of_libprocess() -> None:
    assert status_line_text(202) == "202 Accepted"
    assert Status.REQUEST_TIMEOUT.phrase == "Request Time-out"
    assert Status.REQUEST_URI_TOO_LARGE.phrase == "Request-URI Too Large"
    assert status_line_text(416) == "416 Requested range not satisfiable"
    assert status_line_text(Status.HTTP_VERSION_NOT_SUPPORTED) == "505 HTTP Version not supported"


def test_an_unknown_code_is_just_its_number() -> None:
    assert status_line_text(418) == "418"
    assert status_line_text(999) == "999"
