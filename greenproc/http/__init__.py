"""HTTP as values and bytes, without any I/O: requests, responses, parsers and writers."""

from __future__ import annotations

from greenproc.http.auth_header import WWWAuthenticate
from greenproc.http.body import BodySink
from greenproc.http.cors import CORS
from greenproc.http.event_text import EVENT_STREAM, encode_event
from greenproc.http.head import RequestHead, ResponseHead
from greenproc.http.head_cache import HeadCache
from greenproc.http.headers import Headers
from greenproc.http.limits import DEFAULT_LIMITS, ParserLimits
from greenproc.http.parser import RequestParser, ResponseParser
from greenproc.http.raw_message import RawRequest, RawResponse, to_request, to_response
from greenproc.http.request import Request
from greenproc.http.response import (
    OK,
    Accepted,
    BadRequest,
    Conflict,
    Created,
    Forbidden,
    InternalServerError,
    MethodNotAllowed,
    NoContent,
    NotAcceptable,
    NotFound,
    NotImplemented,
    PreconditionFailed,
    Response,
    ResponseKind,
    ServiceUnavailable,
    TemporaryRedirect,
    Unauthorized,
    UnsupportedMediaType,
)
from greenproc.http.response_counter import ResponseCounter
from greenproc.http.status import Status
from greenproc.http.url import URL
from greenproc.http.writer import encode_request, encode_response, encode_response_head

__all__ = [
    "CORS",
    "DEFAULT_LIMITS",
    "EVENT_STREAM",
    "OK",
    "URL",
    "Accepted",
    "BadRequest",
    "BodySink",
    "Conflict",
    "Created",
    "Forbidden",
    "HeadCache",
    "Headers",
    "InternalServerError",
    "MethodNotAllowed",
    "NoContent",
    "NotAcceptable",
    "NotFound",
    "NotImplemented",
    "ParserLimits",
    "PreconditionFailed",
    "RawRequest",
    "RawResponse",
    "Request",
    "RequestHead",
    "RequestParser",
    "Response",
    "ResponseCounter",
    "ResponseHead",
    "ResponseKind",
    "ResponseParser",
    "ServiceUnavailable",
    "Status",
    "TemporaryRedirect",
    "Unauthorized",
    "UnsupportedMediaType",
    "WWWAuthenticate",
    "encode_event",
    "encode_request",
    "encode_response",
    "encode_response_head",
    "to_request",
    "to_response",
]
