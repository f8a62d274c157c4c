"""One message of the stream: CBOR (RFC 8949), compressed with zlib (RFC 1950).

The map inside has these keys:

``schema``: 1. ``device``: who sends. ``epoch``: which stream, 16 hexadecimal digits.
``first``, ``last``: the positions that it covers. ``sent``: when, in ms since 1970, by the device's
clock, and ``synchronised`` whether that clock was set. ``boot``: how the kernel's name of this
start of the machine begins, and ``boot_ms`` the ms since then; both are left out where it is not
known. ``absent``: rows that were gone before they were sent. ``changes``: a list of ``[position,
table, "row", values]`` with the columns of ``edge_agent.fleet.tables``; ``[position, table, "gone",
key]``; and with an empty table ``begin``, ``copied``, ``erase`` and ``gap`` with a map.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cbor2

from edge_agent.core.errors import AffectEdgeError
from edge_agent.fleet.tables import BOOT_CHARACTERS, BY_NAME, SCHEMA

LARGEST_BYTES = 16 * 1024 * 1024
"""Of a message that is unpacked; a larger one is refused: nobody can fill a collector's memory."""
_SPECIAL = frozenset({"begin", "copied", "erase", "gap"})
_LARGEST_NUMBER = 2**63 - 1


class MessageError(AffectEdgeError):
    """A message cannot be read; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class TimelineMessage:
    """A message of the stream, as the module describes it."""

    device: str
    epoch: str
    first: int
    last: int
    sent: int
    synchronised: bool
    absent: int
    changes: tuple[list[Any], ...]
    boot: str = ""
    boot_ms: int = 0


def encode(message: TimelineMessage) -> bytes:
    """Return a message as it is sent."""
    content = {
        "schema": SCHEMA,
        "device": message.device,
        "epoch": message.epoch,
        "first": message.first,
        "last": message.last,
        "sent": message.sent,
        "synchronised": message.synchronised,
        "absent": message.absent,
        "changes": list(message.changes),
    }
    if message.boot:
        content |= {"boot": message.boot, "boot_ms": message.boot_ms}
    return zlib.compress(cbor2.dumps(content), level=6)


def decode(payload: bytes) -> TimelineMessage:
    """Return what a message says.

    Raises:
        MessageError: it is no message of this stream, is of a newer schema, or is too large.
    """
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(payload, LARGEST_BYTES)
    except zlib.error as error:
        raise MessageError(f"is not compressed with zlib: {error}") from error
    if not unpacker.eof:
        raise MessageError(f"is cut off, or has more than {LARGEST_BYTES} bytes unpacked")
    try:
        content = cbor2.load(BytesIO(raw))
    except (cbor2.CBORDecodeError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise MessageError(f"is no CBOR: {error}") from error
    if not isinstance(content, dict):
        raise MessageError("is no map")
    if content.get("schema") != SCHEMA:
        raise MessageError(
            f"has the schema {content.get('schema')!r}, this collector reads {SCHEMA}; update it"
        )
    return _checked(content)


def _checked(content: dict[Any, Any]) -> TimelineMessage:
    device = content.get("device")
    epoch = content.get("epoch")
    if not (isinstance(device, str) and 0 < len(device) <= 200 and "\0" not in device):
        raise MessageError(f"has no device, but {device!r:.80}")
    if not (isinstance(epoch, str) and len(epoch) == 16 and epoch.isalnum()):
        raise MessageError(f"has no epoch, but {epoch!r:.80}")
    first, last, sent, absent = (_number(content, key) for key in _NUMBERS)
    if not 0 < first <= last:
        raise MessageError(f"covers the positions {first} to {last}")
    changes = content.get("changes")
    if not isinstance(changes, list):
        raise MessageError("has no list of changes")
    at = first
    for change in changes:
        _check_change(change, at, last)
        at = change[0]
    synchronised = content.get("synchronised") is True
    start = _start_of_machine(content)
    return TimelineMessage(
        device, epoch, first, last, sent, synchronised, absent, tuple(changes), *start
    )


def _start_of_machine(content: dict[Any, Any]) -> tuple[str, int]:
    """Return which start and how long ago; nothing where that is no answer.

    It only serves to measure the clock: no row is refused for it.
    """
    boot, boot_ms = content.get("boot"), content.get("boot_ms")
    is_name = isinstance(boot, str) and 0 < len(boot) <= BOOT_CHARACTERS and boot.isprintable()
    if not is_name or isinstance(boot_ms, bool) or not isinstance(boot_ms, int):
        return "", 0
    return str(boot), boot_ms


_NUMBERS = ("first", "last", "sent", "absent")


def _number(content: dict[Any, Any], key: str) -> int:
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST_NUMBER:
        raise MessageError(f"has no number in {key!r}, but {value!r:.80}")
    return value


def _check_change(change: object, at: int, last: int) -> None:
    if not (isinstance(change, list) and len(change) == 4 and isinstance(change[0], int)):
        raise MessageError(f"has a change that is none: {change!r:.80}")
    position, table, what, values = change
    if not (isinstance(table, str) and isinstance(what, str)):
        raise MessageError(f"has a change of {table!r:.40} that is called {what!r:.40}")
    if not at <= position <= last:
        raise MessageError(f"has a change at {position}, out of order")
    if table == "" and what in _SPECIAL and isinstance(values, dict):
        return
    sent = BY_NAME.get(table)
    if sent is None or what not in {"row", "gone"} or not isinstance(values, list):
        raise MessageError(f"has a change of {table!r:.40} that is called {what!r:.40}")
    wanted = len(sent.columns)
    if what == "gone":
        wanted = 3 if len(sent.key) == 3 else 2
    if len(values) != wanted:
        raise MessageError(f"has {len(values)} values of {table}, not {wanted}")
