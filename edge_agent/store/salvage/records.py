"""The values of one row as the file holds them: https://sqlite.org/fileformat2.html#record_format."""

from __future__ import annotations

import struct

from edge_agent.store.salvage.pages import PageError

Value = int | float | str | bytes | None
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_REAL = 7
_ZERO = 8
_ONE = 9
_LONGEST_NUMBER = 9


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of variable length, and where the next byte is.

    Raises:
        PageError: the bytes end within it.
    """
    value = 0
    for count in range(1, _LONGEST_NUMBER + 1):
        if at >= len(data):
            raise PageError("a number is cut off")
        byte = data[at]
        at += 1
        if count == _LONGEST_NUMBER:
            return (value << 8) | byte, at
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, at
    raise PageError("a number is too long")


def read_record(payload: bytes) -> list[Value]:
    """Return the values of a row.

    Raises:
        PageError: the bytes are no row; lengths that do not add up tell.
    """
    length, at = read_number(payload, 0)
    if not at <= length <= len(payload):
        raise PageError("the header of a row has an impossible length")
    kinds = []
    while at < length:
        kind, at = read_number(payload, at)
        kinds.append(kind)
    values = []
    for kind in kinds:
        value, at = _read_value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise PageError("the lengths of a row do not add up")
    return values


def _read_value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    width = _width(kind)
    data = payload[at : at + width]
    if len(data) != width:
        raise PageError("a value is cut off")
    end = at + width
    if kind == 0:
        return None, end
    if kind in _INTEGERS:
        return int.from_bytes(data, "big", signed=True), end
    if kind == _REAL:
        return float(struct.unpack(">d", data)[0]), end
    if kind in {_ZERO, _ONE}:
        return kind - _ZERO, end
    if kind % 2 == 0:
        return data, end
    try:
        return data.decode("utf-8"), end
    except UnicodeDecodeError as error:
        raise PageError("a text is no text") from error


def _width(kind: int) -> int:
    """Return the bytes of a value."""
    if kind in {0, _ZERO, _ONE}:
        return 0
    if kind == _REAL:
        return 8
    if kind in _INTEGERS:
        return _INTEGERS[kind]
    if kind < 12:
        raise PageError("a value has no known kind")
    return (kind - 12) // 2
