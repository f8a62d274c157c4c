"""The values of one row as the file holds them.

Their format: https://sqlite.org/fileformat2.html#record_format
"""

from __future__ import annotations

import struct

from edge_agent.store.salvage.pages import PageError

Value = int | float | str | bytes | None
_WIDTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
_LAST_INTEGER = 6
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
        kind = payload[at]
        if kind < 0x80:  # nearly all: a call for each would double the time of a long timeline
            at += 1
        else:
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
    if kind in {10, 11}:
        raise PageError("a value has no known kind")
    width = _WIDTHS[kind] if kind <= _ONE else (kind - 12) // 2
    end = at + width
    data = payload[at:end]
    if len(data) != width:
        raise PageError("a value is cut off")
    if kind == 0:
        return None, end
    if kind <= _LAST_INTEGER:
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
