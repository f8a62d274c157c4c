"""Functions of ours that may change the timeline, also when they are called through the gate.

Marked by :func:`trusted`, they run where they are called, or, given a connection or a path of the
gate, in its process. Arguments and results are checked by the types of the function.
"""

from __future__ import annotations

import functools
import inspect
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, get_type_hints

from edge_agent.store.database.gate.client import GateConnection, call_on, gate_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

P = ParamSpec("P")
R = TypeVar("R")


class TrustedFunction:
    """A function, and how its arguments and its result are told to another process.

    Args:
        function: its first argument is a connection in a transaction, or the path of the database.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = function.__name__
        self._signature = inspect.signature(function)

    @functools.cached_property
    def takes_path(self) -> bool:
        """Whether it opens the database itself."""
        first = next(iter(self._signature.parameters))
        return self._types[first] is Path

    def encode(self, *args: object, **named: object) -> dict[str, Any]:
        """Return the arguments but the first as JSON values by name."""
        bound = self._signature.bind(None, *args, **named).arguments
        _, *rest = bound.items()
        return {name: self._adapter(name).dump_python(value, mode="json") for name, value in rest}

    def run(self, first: sqlite3.Connection | Path, arguments: dict[str, Any]) -> Any:
        """Check the arguments, call the function, and return the result as JSON values.

        Raises:
            ValueError: the arguments are not those of the function.
        """
        known = list(self._signature.parameters)[1:]
        if unknown := arguments.keys() - set(known):
            raise ValueError(f"{self.name} takes no {', '.join(sorted(unknown))}")
        checked = {
            name: self._adapter(name).validate_python(value, strict=False)
            for name, value in arguments.items()
        }
        result = self.function(first, **checked)
        return self._adapter("return").dump_python(result, mode="json")

    def decode(self, result: Any) -> Any:
        """Return what ``run`` gave, as the function gives it."""
        return self._adapter("return").validate_python(result)

    @functools.cached_property
    def _types(self) -> dict[str, Any]:
        return get_type_hints(self.function)

    @functools.cache  # noqa: B019 - as many as there are functions, for the life of the process
    def _adapter(self, name: str) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter  # only where there is a gate

        return TypeAdapter(self._types[name])


TRUSTED: dict[str, TrustedFunction] = {}
"""Name → function; filled by the modules that define them."""


def trusted(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function change the timeline for a program that may not.

    Example:
        >>> @trusted
        ... def remove_gap(connection: sqlite3.Connection, number: int) -> None:
        ...     connection.execute("DELETE FROM gap WHERE id = ?", (number,))
    """
    known = TrustedFunction(function)
    TRUSTED[known.name] = known

    @functools.wraps(function)
    def call(*args: P.args, **named: P.kwargs) -> R:
        first: object = args[0]
        if isinstance(first, GateConnection):
            result: R = known.decode(first.call(known.name, known.encode(*args[1:], **named)))
            return result
        if isinstance(first, Path) and (gate := gate_of(first)) is not None:
            made: R = known.decode(
                call_on(gate, first, known.name, known.encode(*args[1:], **named))
            )
            return made
        return function(*args, **named)

    return call
