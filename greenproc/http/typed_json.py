"""Bodies of requests in JSON that are checked against a type."""

from __future__ import annotations

from typing import Any

import msgspec

from greenproc.errors import InvalidArgument, InvalidBody
from greenproc.http.request import Request
from greenproc.http.response import Response, UnsupportedMediaType


class JSONBody:
    """Reads bodies as values of one type.

    Args:
        type: a `msgspec.Struct`, a dataclass, a ``TypedDict``, or a type made of the usual ones,
            such as ``list[int]`` and ``dict[str, float]``.

    Raises:
        InvalidArgument: msgspec cannot make that of JSON.
    """

    __slots__ = ("type", "_decoder")

    def __init__(self, type: Any) -> None:
        self.type = type
        self._decoder: msgspec.json.Decoder[Any] | None = None
        try:
            told = msgspec.inspect.type_info(type)
            if isinstance(told, msgspec.inspect.CustomType):
                raise TypeError(f"Type {self.name!r} is not supported")
            self._decoder = msgspec.json.Decoder(type)
        except NameError:
            return  # a class that it refers to is not there yet: see `decode`
        except (TypeError, ValueError) as error:
            raise InvalidArgument(
                "expected json to be a Struct, a dataclass or a type such as list[int], got "
                f"{type!r}: {error}"
            ) from error

    @property
    def name(self) -> str:
        """What the type is called."""
        is_class = isinstance(self.type, type) and not hasattr(self.type, "__args__")
        return str(self.type.__name__) if is_class else str(self.type)

    def refuse(self, request: Request) -> Response | None:
        """Return the refusal of *request* if its ``Content-Type`` is another one than JSON.

        One without is refused, too: a page of another site can make a browser send that.
        """
        line = request.headers.get("Content-Type", "")
        media_type = line.partition(";")[0].strip().lower()
        if media_type == "application/json":
            return None
        if media_type.startswith("application/") and media_type.endswith("+json"):
            return None
        got = f"{line!r:.200}" if line else "none"
        return UnsupportedMediaType(f"expected a Content-Type of application/json, got {got}.\n")

    def decode(self, request: Request) -> Any:
        """Return the body of *request* as a value of the type.

        Raises:
            InvalidBody: it is no JSON, or not of the type; the text names the path of the fault.
        """
        if self._decoder is None:
            self._decoder = msgspec.json.Decoder(self.type)
        try:
            return self._decoder.decode(request.body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            told = error if request.body else "an empty body"
            raise InvalidBody(f"expected JSON: {told}", request) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JSONBody) and self.type == other.type

    def __repr__(self) -> str:
        return f"<JSONBody {self.name}>"
