"""From values to the bytes of a body, and back."""

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
    """Encodes values of one type, and decodes bodies that are to be of it.

    Args:
        type: a `msgspec.Struct`, a dataclass, a ``TypedDict``, a type made of the usual ones such
            as ``dict[str, int]``, or a union of Structs with tags, all of which are MessagePack;
            or a class of protobuf messages.

    Raises:
        InvalidArgument: msgspec cannot make that of MessagePack.
    """

    __slots__ = ("_decoder", "type")

    def __init__(self, type: type[T] | Any) -> None:
        self.type = type
        self._decoder: Decoder[Any] | None = None
        if is_protobuf(type):
            return
        with suppress(NameError):  # a class that it refers to may come later: see `decode`
            self._decoder = _decoder(type)

    @property
    def name(self) -> str:
        """The name of messages with such bodies.

        That is the tag of a Struct, the full name of a protobuf message, else the class' own name.

        Raises:
            InvalidArgument: the type is no Struct and no dataclass, and has no name of its own.
        """
        return _name(self.type)

    @property
    def attempt(self) -> Callable[[bytes], T]:
        """What decodes most bodies; what it raises is for `recover`. The two make up `decode`."""
        return self.decode if self._decoder is None else self._decoder.decode

    def encode(self, value: T) -> bytes:
        """Return *value* as a body. See the function `encode`."""
        return encode(value)

    def decode(self, body: bytes) -> T:
        """Return *body* as a value of the type.

        Raises:
            InvalidMessage: it is no such value; the error has the path of the fault.
            NameError: the type refers to a class that is not there.
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
        """Return *body* as a value of the type, which `attempt` could not because of *error*.

        Raises:
            InvalidMessage: it is no such value.
        """
        if isinstance(error, InvalidMessage):
            raise error
        if isinstance(error, msgspec.ValidationError) and "got `ext`" in text_of(error):
            try:
                return self._decode_big(body)
            except FAILURES as second:
                error = second
        raise _explain(error, body) from error

    def _decode_big(self, body: bytes) -> T:
        """Decode *body* in two steps: msgspec takes no extension for an integer."""
        tree = msgspec.msgpack.decode(body, ext_hook=from_extension)
        value: T = msgspec.convert(tree, self.type, builtin_types=_BUILTIN, dec_hook=to_type)
        return value

    def __repr__(self) -> str:
        return f"<Codec of {self.type!r}>"


@lru_cache(_MAX_CODECS)
def _cached(type: Any) -> Codec[Any]:
    return Codec(type)


def codec_of(type: type[T] | Any) -> Codec[T]:
    """Return the codec of *type*, the same one each time if it can be hashed.

    Raises:
        InvalidArgument: there is none.
    """
    cached: Callable[[Any], Codec[T]] = _cached
    try:
        hash(type)
    except TypeError:
        return Codec(type)
    return cached(type)


def encode(value: object) -> bytes:
    """Return *value* as `Codec.decode` takes it: as MessagePack, but for a protobuf message.

    A `UPID` and an integer beyond 64 bits are extensions. A ``datetime`` with a time zone is a
    timestamp; one without is a text.

    Raises:
        InvalidArgument: *value* is or holds what has no such form.
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
    """Return what decodes values of *type*.

    Raises:
        InvalidArgument: msgspec cannot make that of MessagePack.
        NameError: a class that it refers to is not there yet.
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
    """Return the error that says where *body* is at fault, because of *error*."""
    text = (
        "expected a value in MessagePack, got an empty body"
        if not body
        else text_of(error) or type(error).__name__
    )
    found = _PATH.search(text)
    return InvalidMessage(text, found[1] if found else "$")
