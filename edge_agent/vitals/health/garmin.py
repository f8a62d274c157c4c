"""FIT files, as watches of Garmin and others write them and Garmin Connect exports them.

Read by ``fitdecode``, which checks their checksums; the messages are those of the FIT profile.
Intervals between beats (message ``hrv``) have no times of their own and are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from edge_agent.core.errors import DataFileError
from edge_agent.core.vitals import SPECS, VitalKind
from edge_agent.vitals.health.members import Member
from edge_agent.vitals.health.rows import Rows, RowValidator

if TYPE_CHECKING:
    from fitdecode import FitDataMessage

_FIELDS: Mapping[str, tuple[tuple[str, VitalKind], ...]] = {
    name: tuple(
        (field, kind)
        for kind, spec in SPECS.items()
        for message, field in spec.fit
        if message == name
    )
    for name in {message for spec in SPECS.values() for message, _field in spec.fit}
}
"""The fields of each message that are readings, in the order of the kinds."""
_OF_ODD_MESSAGES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    struct.error,
)
"""What the library raises where a checksum is right and a message makes no sense."""


def is_ours(_name: str, head: bytes) -> bool:
    """Tell a FIT file by the mark in its header."""
    return head[8:12] == b".FIT"


def read(member: Member, validator: RowValidator) -> Rows:
    """Read a file message by message.

    Raises:
        DataFileError: it is damaged, or the library for FIT files is not installed.
    """
    with _translated(member.name):
        from fitdecode import CrcCheck, ErrorHandling, FitDataMessage, FitReader

        strict = {"check_crc": CrcCheck.RAISE, "error_handling": ErrorHandling.RAISE}
        with member.open() as file, FitReader(file, **strict) as fit:
            times = _Times()
            source = "fit"
            for number, message in enumerate(fit, start=1):
                if not isinstance(message, FitDataMessage):
                    continue
                if message.name == "file_id":
                    source = _source(message)
                at = times.of(message)
                for field, kind in _FIELDS.get(message.name, ()):
                    value = _value(message, field)
                    if value is not None and at is not None:
                        where = f"{member.name}, message {number}"
                        item = {"kind": kind.value, "value": value, "at": at.isoformat()}
                        yield validator.row(where, item, source)


class _Times:
    """The times of messages; those of a day's monitoring have only the low 16 bits of theirs."""

    def __init__(self) -> None:
        self._last: datetime | None = None

    def of(self, message: FitDataMessage) -> datetime | None:
        """Return the time of a message, UTC; ``None`` where it has none."""
        at = _value(message, "timestamp")
        if isinstance(at, datetime):
            self._last = at
            return at
        low = _value(message, "timestamp_16")
        if self._last is None or not isinstance(low, int):
            return None
        passed = round((self._last - _EPOCH).total_seconds())
        self._last += timedelta(seconds=(low - passed) & 0xFFFF)
        return self._last


_EPOCH = datetime(1989, 12, 31, tzinfo=UTC)
"""Where FIT begins to count seconds."""


def _value(message: FitDataMessage, field: str) -> object:
    """Return the value of a field; ``None`` where there is none."""
    value: object = message.get_value(field, fallback=None)
    return value


def _source(message: FitDataMessage) -> str:
    """Return who wrote the file: ``fit:garmin fenix6``."""
    names = [
        str(value)
        for field in ("manufacturer", "garmin_product", "product_name", "product")
        if (value := _value(message, field)) is not None
    ]
    return f"fit:{' '.join(names[:2])}" if names else "fit"


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        from fitdecode import FitError
    except ImportError as error:
        raise DataFileError(
            f"{name}: reading FIT files needs the library fitdecode. On an appliance: sudo "
            "./install.sh --with fit. In a checkout: .venv/bin/pip install -e '.[fit]'. "
            "With pipx: pipx inject affect-edge fitdecode."
        ) from error
    try:
        yield
    except (FitError, *_OF_ODD_MESSAGES) as error:
        raise DataFileError(
            f"{name}: is a damaged FIT file ({error}). Nothing was imported; export it again."
        ) from error
