"""`JSONBody`: JSON bodies of requests that are validated against a type."""

from __future__ import annotations

from typing import Any

import msgspec

from greenproc.errors import InvalidArgument, InvalidBody
from greenproc.http.request import Request
from greenproc.http.response import Response, UnsupportedMediaType


class JSONBody:
    """Decodes bodies as values of one type.

    Args:
        type: a `msgspec.Struct`, a dataclass, a ``TypedDict``, or a composition of the usual
            types, such as ``list[int]`` and ``dict[str, float]``.

    Raises:
        InvalidArgument: msgspec cannot decode JSON as that type.
    """

    __slots__ = ("type", "_decoder")

    def __init__(self, type: Any) -> None:
        self.type = type
        self._decoder: msgspec.json.Decoder[Any] | None = None
        try:
            info = msgspec.inspect.type_info(type)
            if isinstance(info, msgspec.inspect.CustomType):
                raise TypeError(f"Type {self.name!r} is not supported")
            self._decoder = msgspec.json.Decoder(type)
        except NameError:
            return  # a forward reference to a class that is defined later: see `decode`
        except (TypeError, ValueError) as error:
            raise InvalidArgument(
                "expected json to be a Struct, a dataclass or a type such as list[int], got "
                f"{type!r}: {error}"
            ) from error

    @property
    def name(self) -> str:
        """The name of the type, for help pages and errors."""
        is_class = isinstance(self.type, type) and not hasattr(self.type, "__args__")
        return str(self.type.__name__) if is_class else str(self.type)

    def refuse(self, request: Request) -> Response | None:
        """Return the refusal of *request* if its ``Content-Type`` is not JSON, else None.

        A missing type is refused, too: a page of another site can send such a request without a
        preflight, but not one of type JSON.
        """
        line = request.headers.get("Content-Type", "")
        media_type = line.partition(";")[0].strip().lower()
        if media_type == "application/json":
            return None
        # RFC 6839 section 3.1: the suffix marks types whose syntax is JSON.
        if media_type.startswith("application/") and media_type.endswith("+json"):
            return None
        got = f"{line!r:.200}" if line else "none"
        return UnsupportedMediaType(f"expected a Content-Type of application/json, got {got}.\n")

    def decode(self, request: Request) -> Any:
        """Decode the body of *request*.

        Raises:
            InvalidBody: it is not JSON, or not of the type; the text names the path of the fault.
        """
        if self._decoder is None:
            self._decoder = msgspec.json.Decoder(self.type)
        try:
            return self._decoder.decode(request.body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            fault = error if request.body else "an empty body"
            raise InvalidBody(f"expected JSON: {fault}", request) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JSONBody) and self.type == other.type

    def __repr__(self) -> str:
        return f"<JSONBody {self.name}>"
