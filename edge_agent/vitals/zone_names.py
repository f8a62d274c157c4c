"""Time zones by their names, and in the names of columns of times: ``timestamp_utc``. Pure.

``Time (GMT+2)`` names the zone of times that are written without one. A zone that somebody gives
beside it must be the same at these times, or it is refused: one of the two would move all readings
by hours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import LocalTimes
from edge_agent.core.texts import N_

_OFFSET = r"(?: ?(?P<sign>[+-]) ?(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?(?!\d))?"
_WORD = r"(?<![a-z])(?:utc|gmt|zulu)(?![a-z])"
_ATTACHED = r"(?<=time|date|hora|zeit)(?:utc|gmt)(?![a-z])|(?<=stamp)(?:utc|gmt)(?![a-z])"
_BEFORE = r"(?<![a-z])(?:utc|gmt)(?=time|date|zeit)"
_ZONE = re.compile(rf"(?:{_WORD}|{_ATTACHED}|{_BEFORE}){_OFFSET}")
_LOCAL = re.compile(
    r"(?<![a-z])(?:local|lokal|locale?)(?![a-z])|(?<=time)local|(?<=stamp)local|"
    r"(?<![a-z])local(?=time|date)"
)
# offsets of zones are quarters of an hour, from -12 to +14 hours
_STEP = timedelta(minutes=15)
_LEAST, _MOST = timedelta(hours=-12), timedelta(hours=14)
_SAME = timedelta(seconds=2)
"""Two columns of one moment may be rounded differently."""
_TWO_ZONES = N_(
    "columns {columns} name different times, and only one can be that of a reading. Choose a "
    "column with date and time of day for `at`."
)
_OTHER_ZONE = N_(
    "row {row}, column {column}: the column names {named}, and {text} is another moment in the "
    "time zone {zone} that was given. Leave the time zone out, or choose another column for `at`."
)
_NOT_BESIDE = N_(
    "row {row}: {text} of column {column} and {other_text} of column {other} are not one moment. "
    "Correct them, or remove the column that is wrong."
)


def _plain(column: str) -> str:
    name = unicodedata.normalize("NFKC", column).replace("\u2212", "-").replace("_", " ")
    return " ".join(name.lower().split())


def zone_in_name(column: str) -> tzinfo | None:
    """Return the zone that the name of a column tells; ``None``: it tells none.

    Example:
        >>> zone_in_name("timestamp_utc"), zone_in_name("Time (GMT+2)"), zone_in_name("Time")
        (datetime.timezone.utc, datetime.timezone(datetime.timedelta(seconds=7200)), None)
    """
    match = _ZONE.search(_plain(column))
    if match is None:
        return None
    offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    if not offset or offset > _MOST:
        return UTC
    return timezone(-offset if match["sign"] == "-" else offset)


def says_local(column: str) -> bool:
    """Return whether the name of a column says that its times are local."""
    return _LOCAL.search(_plain(column)) is not None


def without_zone(name: str) -> str:
    """Return the name of a column in small letters without words about its zone."""
    bare = " ".join(_LOCAL.sub(" ", _ZONE.sub(" ", _plain(name))).split())
    # of a column that is named UTC nothing is left
    return bare or ("timestamp" if zone_in_name(name) else "")


def zone_of_columns(columns: Sequence[str]) -> tzinfo | None:
    """Return the zone that the columns of date and time of day name; ``None``: they name none.

    Raises:
        DataFileError: they name different ones.
    """
    zones = [zone_in_name(one) for one in columns]
    told = dict.fromkeys(zone for zone in zones if zone is not None)
    is_mixed = told and any(says_local(one) for one in columns)
    if len(told) > 1 or is_mixed:
        raise DataFileError(_TWO_ZONES, columns=", ".join(columns))
    return next(iter(told), None)


def refuse_other_zone(
    column: str, named: tzinfo, zone: tzinfo | None, times: Iterable[tuple[int, datetime, datetime]]
) -> None:
    """Refuse a zone that was given beside that of a column's name, where it is another one.

    Args:
        column: its name.
        named: the zone in it.
        zone: that was given; ``None``: that of this machine.
        times: rows with their times, as they are written, and those of another column.

    Raises:
        DataFileError: a time without a zone is another moment in the zone that was given.
    """
    for row, at, _ in times:
        if at.tzinfo is None and differ(at, named, zone):
            raise DataFileError(
                _OTHER_ZONE,
                row=row,
                column=column,
                named=str(named),
                text=at.isoformat(),
                zone=str(zone),
            )


def differ(at: datetime, zone: tzinfo, other: tzinfo | None) -> bool:
    """Return whether a local time is another moment in another zone (``None``: this machine's)."""
    return _offset(at, zone) != _offset(at, other)


def is_zone(zone: tzinfo, named: tzinfo) -> bool:
    """Return whether a zone has the offset of a column's name in winter and in summer."""
    days = (datetime.fromisoformat(day) for day in ("2026-01-01", "2026-07-01"))
    return all(_offset(day, zone) == _offset(day, named) for day in days)


def refuse_different(
    columns: tuple[str, str],
    local: tzinfo | None,
    rows: Iterable[tuple[int, datetime, datetime]],
    named: tzinfo,
) -> bool:
    """Refuse two columns, one of which names its zone and one of which is local, that differ.

    Returns:
        Whether there was a row with both.

    Args:
        columns: the one that names its zone, and the local one.
        local: zone of the local times; ``None``: any whole quarter of an hour will do.
        rows: number of the row, and both times as they are written.
        named: the zone in the name.

    Raises:
        DataFileError: a row has two moments.
    """
    compared = False
    for row, first, second in rows:
        compared = True
        at = first if first.tzinfo else first.replace(tzinfo=named)
        if second.tzinfo is not None:
            same = abs(second - at) <= _SAME
        elif local is not None:  # of an hour that comes twice either is right
            folds = (second.replace(tzinfo=local, fold=fold) for fold in (0, 1))
            same = any(abs(one - at) <= _SAME for one in folds)
        else:
            ahead = second - at.astimezone(UTC).replace(tzinfo=None)
            rest = abs(ahead - round(ahead / _STEP) * _STEP)
            same = rest <= _SAME and _LEAST <= ahead <= _MOST
        if not same:
            raise DataFileError(
                _NOT_BESIDE,
                row=row,
                text=first.isoformat(),
                column=columns[0],
                other_text=second.isoformat(),
                other=columns[1],
            )
    return compared


def _offset(at: datetime, zone: tzinfo | None) -> timedelta | None:
    return at.replace(tzinfo=zone).utcoffset() if zone else at.astimezone().utcoffset()


def zone_named(name: str) -> tzinfo | None:
    """Return the time zone of a name such as ``Europe/Berlin``; ``None`` for an empty name.

    Raises:
        DataFileError: the time zone is unknown.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise DataFileError(
            f"{name!r} is no known time zone; write UTC or one such as Europe/Berlin."
        ) from error


def local_times(name: str) -> LocalTimes | None:
    """Return the local times of a zone; ``None`` for an empty name."""
    zone = zone_named(name)
    return None if zone is None else LocalTimes(zone)
