"""Which functions can be handlers: what they are called with, and what would never run.

A class is checked when it is made, and a handler of one process when it is installed, so that a
mistake is found there and not at the first message.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import CoroutineType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from greenproc.errors import InvalidArgument
from greenproc.pid import name_methods
from greenproc.process.arguments import label

if TYPE_CHECKING:
    from greenproc.process.route_options import RouteOptions

_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_NEEDS_A_LOOK = _ASYNC | inspect.CO_GENERATOR

_BRACES = re.compile(r"\{(\w+)\}")
"""Parameters as other frameworks write them in a path."""

_BLOCK_INSTEAD = (
    "nothing here runs coroutines: make it a plain def, which may block, as only its own process "
    "waits; greenproc.future.from_asyncio() waits for what an asyncio loop does"
)


@dataclass(frozen=True, slots=True)
class Role:
    """What a handler is for, how it is called, and whether it may be a generator."""

    purpose: str
    arguments: tuple[str, ...]
    keywords: tuple[str, ...] = ()
    advice: str = ""
    may_yield: bool = False


def check_message_handler(
    handler: object, message: str, *, name: str = "", of_class: bool = False
) -> None:
    """Refuse *handler* if a call with sender and body would fail or run nothing.

    What has no signature, such as some functions written in C, is not refused. A decorated
    function is taken as it is called, not as what it wraps.

    Args:
        message: the name of the messages that it is for.
        name: what the handler is called in the error, such as ``Counter.on_increment``.
        of_class: whether it is called with its process first, as a function of a class is.

    Raises:
        InvalidArgument: it is no such function, or *message* is no name.
    """
    if not isinstance(message, str) or not message:
        raise InvalidArgument(
            f"expected the name of a message as a text of one character or more, got {message!r}"
        )
    if not _clearly_fits(handler, 3 if of_class else 2):
        _check(handler, Role(f"messages {message!r}", ("sender", "body")), name, of_class)


def check_action(function: object, purpose: str, name: str) -> None:
    """Refuse *function*, of a class, if a call with its process alone would fail or run nothing.

    Args:
        purpose: what it is for, and *name* what it is called, in the error.

    Raises:
        InvalidArgument: it is no such function.
    """
    if not _clearly_fits(function, 1):
        _check(function, Role(purpose, ()), name, of_class=True)


def check_route_handler(
    handler: object, options: RouteOptions, *, name: str = "", of_class: bool = False
) -> None:
    """Refuse *handler* if a call with what a route of these *options* gives it would fail.

    As `check_message_handler`, but a generator is fine: its pieces are the response.

    Raises:
        InvalidArgument: it is no such function, or a parameter of the path has another type than
            that of the function says.
    """
    arguments, parameters = options.arguments, options.parameters
    if parameters or not _clearly_fits(handler, len(arguments) + of_class):
        realm = "" if options.realm is None else f" in realm {options.realm!r}"
        plain = options.upgrade is None
        what = "requests for" if plain else "clients of"
        advice = "".join(
            f"; write <{name}> for {{{name}}}" for name in _BRACES.findall(options.path)
        )
        role = Role(f"{what} {options.path!r}{realm}", arguments, tuple(parameters), advice, plain)
        _check(handler, role, name, of_class)
        _check_types(handler, parameters, name or _name_of(handler))


def _check_types(handler: object, parameters: Mapping[str, type[Any]], name: str) -> None:
    """Refuse a number for what the path gives as a text, and the other way round."""
    signature = find_signature(handler)
    for parameter, type in parameters.items():
        told = None if signature is None else signature.parameters.get(parameter)
        given = "" if told is None else getattr(told.annotation, "__name__", told.annotation)
        if given in ("int", "str") and given != type.__name__:
            kind = "int:" if given == "int" else ""
            raise InvalidArgument(
                f"{name} expects {parameter} as {given}, and the path gives it as "
                f"{type.__name__}: use <{kind}{parameter}>"
            )


def _check(handler: object, role: Role, name: str, of_class: bool) -> None:
    arguments = ("self", *role.arguments) if of_class else role.arguments
    name = name or _name_of(handler)
    shown = ", ".join((*arguments, *role.keywords))
    expected = f"{name} cannot handle {role.purpose}: expected {name}({shown})"
    if not callable(handler):
        raise InvalidArgument(f"{expected}, got {handler!r}")
    check_no_coroutine(handler, name)
    if not role.may_yield and inspect.isgeneratorfunction(handler):
        raise InvalidArgument(f"{expected}, got a generator function, whose body never runs")
    signature = find_signature(handler)
    if signature is None:
        return
    try:
        signature.bind(*arguments, **dict.fromkeys(role.keywords))
    except TypeError as error:
        raise InvalidArgument(f"{expected}, got {name}{signature}: {error}{role.advice}") from None


def check_no_coroutine(function: object, name: str) -> None:
    """Refuse an ``async def``, also one that yields; *name* is for the error.

    Raises:
        InvalidArgument: *function* is one.
    """
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidArgument(f"{name} is an async def, and {_BLOCK_INSTEAD}")


def refused_coroutine(coroutine: CoroutineType[Any, Any, Any]) -> InvalidArgument:
    """Close what a dispatched function has returned, and return the error that says why."""
    coroutine.close()
    return InvalidArgument(
        f"{_short(coroutine.__qualname__)} is an async def, and {_BLOCK_INSTEAD}"
    )


def new_methods(cls: type, process: type) -> dict[str, object]:
    """Return the public attributes that *cls*, a subclass of *process*, adds with its mixins.

    Private methods are only for the class itself, which may give a coroutine to an asyncio loop.
    """
    return {
        name: value
        for base in reversed(cls.__mro__)
        if base is cls or not (issubclass(base, process) or issubclass(process, base))
        for name, value in vars(base).items()
        if not name.startswith("_")
    }


def name_functions(methods: Mapping[str, object]) -> None:
    """Let a UPID say how those of *methods* are called that are functions."""
    name_methods(name for name, value in methods.items() if isinstance(value, FunctionType))


def check_methods(cls: type, process: type, methods: Mapping[str, object]) -> None:
    """Refuse *methods* of *cls*, a subclass of *process*, whose bodies would never run.

    Raises:
        InvalidArgument: one is an ``async def``, an override of a method of *process* is a
            generator, or *cls* has something else where processes have a property.
    """
    for name in ("pid", "runtime", "mailbox"):
        if name in vars(cls) and not isinstance(vars(cls)[name], property):
            raise InvalidArgument(
                f"{cls.__name__}.{name} takes the place of what a Process has by that name: "
                "choose another name"
            )
    for name, value in methods.items():
        _check_method(value, f"{cls.__name__}.{name}", inherited=hasattr(process, name))


def _check_method(value: object, name: str, *, inherited: bool) -> None:
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, FunctionType):
        if not value.__code__.co_flags & _NEEDS_A_LOOK:
            return
    elif not isinstance(value, partial):
        return
    check_no_coroutine(value, name)
    if inherited and inspect.isgeneratorfunction(value):
        raise InvalidArgument(f"{name} is a generator function, whose body never runs: return")


def explain_arguments(
    error: TypeError, method: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str
) -> None:
    """Add the parameters of *method* to *error* if the arguments of its call do not fit them.

    Args:
        target: the class of the process that called it.
    """
    signature = find_signature(method)
    if signature is None:
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        name = _name_of(method)
        owner = name.rpartition(".")[0]
        told = f"{error}: expected {name}{signature}"
        if (
            owner
            and type(method) is FunctionType
            and next(iter(signature.parameters), "") == "self"
        ):
            told += f"; {name} is a method of {owner}, and the target is a {target}: "
            told += f"dispatch it to a process of {owner}"
        error.args = (told,)


def find_signature(function: Any) -> inspect.Signature | None:
    """Return the parameters that *function* itself is called with; None when it tells none."""
    try:
        return inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return None


def _clearly_fits(handler: object, count: int) -> bool:
    """Whether *handler* is a plain function or method that takes *count* arguments.

    That is nearly every handler, and a hundred times faster than `inspect`.
    """
    if type(handler) is MethodType:
        handler = handler.__func__
        count += 1
    if type(handler) is not FunctionType:
        return False
    code = handler.__code__
    fits = code.co_argcount == count and not code.co_kwonlyargcount
    return fits and not code.co_flags & _NEEDS_A_LOOK


def _name_of(function: object) -> str:
    return _short(label(function))


def _short(name: str) -> str:
    return name.rpartition("<locals>.")[2]
