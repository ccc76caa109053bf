"""`Codec`: encodes values as message bodies, and decodes and validates them."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.inspect import CustomType
from msgspec.msgpack import Decoder, Encoder

from greenproc.errors import InvalidArgument, InvalidMessage
from greenproc.failures import FAILURES, text_of
from greenproc.typed.extensions import (
    BigIntegerFound,
    BoundedExtensions,
    from_extension,
    is_known,
    to_extension,
    to_type,
    with_big_integers,
)
from greenproc.typed.protobuf import decode_protobuf, encode_protobuf, full_name, is_protobuf

T = TypeVar("T")

_PATH = re.compile(r" - at `(?:key in )?(\$[^`]*)`$")
_BUILTIN = bytes, bytearray, memoryview, datetime
_MAX_CODECS = 1024

_encode = Encoder(enc_hook=to_extension).encode


class Codec(Generic[T]):
    """Encodes and decodes bodies of one type.

    Args:
        type: a `msgspec.Struct`, a dataclass, a ``TypedDict``, a built-in type or a composition
            such as ``dict[str, int]``, or a union of tagged Structs, which are encoded as
            MessagePack; or a class of protobuf messages, encoded as such.

    Raises:
        InvalidArgument: msgspec does not support the type.
    """

    __slots__ = ("_decoder", "type")

    def __init__(self, type: type[T] | Any) -> None:
        self.type = type
        self._decoder: Decoder[Any] | None = None
        if is_protobuf(type):
            return
        with suppress(NameError):  # a forward reference, which `decode` resolves later
            self._decoder = _decoder(type)

    @property
    def name(self) -> str:
        """The name of messages with bodies of this type.

        This is the tag of a Struct, the full name of a protobuf message, or the class name.

        Raises:
            InvalidArgument: the type is not a Struct, a dataclass or a protobuf message.
        """
        return _name(self.type)

    @property
    def attempt(self) -> Callable[[bytes], T]:
        """The fast path of `decode`; an exception that it raises must be passed to `recover`."""
        return self.decode if self._decoder is None else self._decoder.decode

    def encode(self, value: T) -> bytes:
        """Encode *value*. See the function `encode`."""
        return encode(value)

    def decode(self, body: bytes) -> T:
        """Decode *body* and validate it against the type.

        Raises:
            InvalidMessage: *body* is malformed or of another type; the error has the path of the
                offending value.
            NameError: the type has an unresolved forward reference.
        """
        decoder = self._decoder
        if decoder is None:
            if is_protobuf(self.type):
                message: T = decode_protobuf(self.type, body)
                return message
            decoder = self._decoder = _decoder(self.type)
        try:
            value: T = decoder.decode(body)
        except FAILURES as error:
            return self.recover(body, error)
        return value

    def recover(self, body: bytes, error: BaseException) -> T:
        """Decode *body* after `attempt` has failed: by the slow path, or with the final error.

        Args:
            body: the body that was decoded.
            error: the exception of `attempt`.

        Raises:
            InvalidMessage: *body* is malformed or of another type.
        """
        if isinstance(error, InvalidMessage):
            raise error
        is_ext = isinstance(error, msgspec.ValidationError) and "got `ext`" in text_of(error)
        if is_ext or isinstance(error, BigIntegerFound):
            try:
                return self._decode_big(body)
            except FAILURES as second:
                error = second
        raise _explain(error, body) from error

    def _decode_big(self, body: bytes) -> T:
        """Decode *body* in two steps: msgspec accepts no extension in the place of an integer."""
        tree = msgspec.msgpack.decode(body, ext_hook=BoundedExtensions())
        value: T = msgspec.convert(tree, self.type, builtin_types=_BUILTIN, dec_hook=to_type)
        return value

    def __repr__(self) -> str:
        return f"<Codec of {self.type!r}>"


@lru_cache(_MAX_CODECS)
def _cached(type: Any) -> Codec[Any]:
    return Codec(type)


def codec_of(type: type[T] | Any) -> Codec[T]:
    """Return the codec of *type*; codecs of hashable types are cached.

    Raises:
        InvalidArgument: the type is not supported.
    """
    cached: Callable[[Any], Codec[T]] = _cached
    try:
        hash(type)
    except TypeError:
        return Codec(type)
    return cached(type)


def encode(value: object) -> bytes:
    """Encode *value* as MessagePack, or a protobuf message as such.

    A `UPID` and an integer beyond 64 bits are encoded as extensions, a ``datetime`` with a time
    zone as a timestamp, and a naive one as text.

    Raises:
        InvalidArgument: *value* or a part of it cannot be encoded.
    """
    try:
        try:
            return _encode(value)
        except OverflowError:
            return _encode(with_big_integers(value))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        if is_protobuf(type(value)):
            return encode_protobuf(value)
        raise InvalidArgument(
            f"expected a value for a body, got {type(value).__name__}: {error}"
        ) from error


def _decoder(type: Any) -> Decoder[Any]:
    """Return the MessagePack decoder of *type*.

    Raises:
        InvalidArgument: msgspec does not support the type.
        NameError: the type has an unresolved forward reference.
    """
    try:
        told = msgspec.inspect.type_info(type)
        if isinstance(told, CustomType) and not is_known(told.cls):
            raise TypeError(f"{told.cls!r} is not supported")
        return Decoder(type, dec_hook=to_type, ext_hook=from_extension)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"expected a Struct, a dataclass or a type such as list[int], got {type!r}: {error}"
        ) from error


def _name(type: Any) -> str:
    if is_protobuf(type):
        return full_name(type)
    config = getattr(type, "__struct_config__", None)
    tag = getattr(config, "tag", None)
    if isinstance(tag, str):
        return tag
    if config is not None or hasattr(type, "__dataclass_fields__"):
        return str(type.__name__)
    raise InvalidArgument(
        f"{type!r} gives its messages no name: use @install('name', ...) and send(to, 'name', ...)"
    )


def _explain(error: BaseException, body: bytes) -> InvalidMessage:
    """Return the error for *body*, with the path that msgspec gives in the text of *error*."""
    text = (
        "expected a value in MessagePack, got an empty body"
        if not body
        else text_of(error) or type(error).__name__
    )
    found = _PATH.search(text)
    return InvalidMessage(text, found[1] if found else "$")
