"""Values of a message that fit the tables; one that does not is refused before it is written."""

from __future__ import annotations

import math
from typing import Any

from collector.database.schema import column_type, is_nullable
from edge_agent.fleet.chunks import MessageError, TimelineMessage
from edge_agent.fleet.tables import BY_NAME, TIMELINE, SentTable

_RANGES = {"int2": 2**15, "int8": 2**63}
_TIMES = ("at", "started", "ended")
_BOUNDS = {"frames": 2**31, **dict.fromkeys(_TIMES, 2**53)}
"""Limits of values that are summed, far from the limits of their types."""
# Sums of many values must stay within the range of a double.
_LARGEST = 2**1000


_Limits = tuple[bool, bool, bool, int, int]
"""Of a column: whether it is text, real, nullable; its least number, and the end of its range."""


def check_values(message: TimelineMessage) -> None:
    """Raise ``MessageError`` for a value that does not fit its table."""
    for _position, name, what, values in message.changes:
        if name == "":
            _check_special(what, values)
            continue
        table = BY_NAME[name]
        if what == "gone":
            _check_key(table, values)
        elif table.time is None:
            _check_study(table, values)
        elif not _is_well(values, _LIMITS[name]):
            for column, value in zip(table.columns, values, strict=True):
                _check(f"{name}.{column}", column_type(column), value, nullable=is_nullable(column))
                _check_bound(f"{name}.{column}", value, _BOUNDS.get(column))


def _limits(column: str) -> _Limits:
    kind = column_type(column)
    most = 0 if kind == "text" else _BOUNDS.get(column, _RANGES.get(kind, _LARGEST))
    return kind == "text", kind == "float8", is_nullable(column), -most, most


def _is_well(values: list[Any], limits: tuple[_Limits, ...]) -> bool:
    """Return whether the values of a row surely fit; a cheap check for nearly every row."""
    for value, (is_text, is_real, may_be_empty, least, end) in zip(values, limits, strict=True):
        # By exact type: isinstance would take True for a number, and is slower in this hot loop.
        kind = type(value)
        if kind is int:
            well = least <= value < end
        elif kind is float:
            well = is_real and least < value < end
        elif kind is str:
            well = is_text and value.isascii() and "\0" not in value
        else:
            well = value is None and may_be_empty
        if not well:
            return False
    return True


def _check(where: str, kind: str, value: Any, *, nullable: bool = False) -> None:
    if value is None and nullable:
        return
    if kind == "text":
        fits = isinstance(value, str) and "\0" not in value and _is_unicode(value)
    elif kind == "float8":
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        fits = fits and abs(value) < _LARGEST and math.isfinite(value)
    else:
        fits = isinstance(value, int) and not isinstance(value, bool)
        fits = fits and -_RANGES[kind] <= value < _RANGES[kind]
    if not fits:
        raise MessageError(f"has {where} = {value!r:.80}, which is no {kind}")


def _check_bound(where: str, value: Any, bound: int | None) -> None:
    if bound is not None and value is not None and not -bound <= value < bound:
        raise MessageError(f"has {where} = {value!r:.80}, which cannot be")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_key(table: SentTable, values: list[Any]) -> None:
    where = f"the key of {table.name}"
    if len(table.key) == 1:
        _check(where, "int8", values[0])
        _check(where, "int8", values[1], nullable=table.time is None)
    else:
        for kind, value in zip(("int8", "text", "text"), values, strict=True):
            _check(where, kind, value)


def _check_study(table: SentTable, values: list[Any]) -> None:
    for column, value in zip(table.columns, values, strict=True):
        where = f"{table.name}.{column}"
        if column == "id" or isinstance(value, int) or value is None:
            _check(where, "int8", value, nullable=column != "id")
        else:
            _check(where, "float8" if isinstance(value, float) else "text", value)


def _check_special(what: str, values: dict[Any, Any]) -> None:
    if what == "erase":
        _check("erase.participant", "int8", values.get("participant"))
        _check("erase.epoch", "text", values.get("epoch"))
        spans = values.get("spans")
        if not isinstance(spans, list) or not all(_is_span(span) for span in spans):
            raise MessageError(f"has erase.spans = {spans!r:.80}, no list of [start, end]")
    elif what == "copied":
        for name in ("from", "to"):
            _check(f"copied.{name}", "int8", values.get(name), nullable=True)
    elif what == "begin" and values.get("follows") is not None:
        _check("begin.follows", "text", values["follows"])
    elif what == "gap":
        _check("gap.first", "int8", values.get("first"))


def _is_span(span: object) -> bool:
    return (
        isinstance(span, list)
        and len(span) == 2
        and all(isinstance(at, int) and abs(at) < 2**53 for at in span)
    )


_LIMITS = {table.name: tuple(map(_limits, table.columns)) for table in TIMELINE}
