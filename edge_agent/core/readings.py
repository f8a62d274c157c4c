"""Readings as values, and one set of rules for those that others send. Pure.

Those whose flags are in ``UNUSABLE`` count in no mean. What can be understood is taken: an
implausible value is flagged ``out_of_range``, a time that the clock of its sender cannot have got
right ``clock_differs``. What cannot be understood is refused by a ``ReadingError`` that names
field, value and what is allowed.

A strap stamps a packet of intervals once, a cuff knows only the minute. The timeline keeps one
reading of a kind, source and millisecond; without a time of its own the second one would be lost.

Example::

    reading = VitalReading(at, VitalKind.HEART_RATE, 12.0, "csv:night.csv").checked()
    reading.flags              # {VitalFlag.OUT_OF_RANGE}
    reading.flags & UNUSABLE   # not empty: kept, and counted in no mean
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.core.clock import Instant
from edge_agent.core.errors import ReadingError, shown_value
from edge_agent.core.vitals import PRESSURES, Scale, VitalKind


class VitalFlag(StrEnum):
    """What is special about a reading."""

    OUT_OF_RANGE = "out_of_range"
    CONTACT_LOST = "contact_lost"
    MANUAL = "manual"
    ESTIMATED = "estimated"
    SIMULATED = "simulated"
    IMPORTED = "imported"
    BODY_MOVEMENT = "body_movement"
    CUFF_LOOSE = "cuff_loose"
    IRREGULAR_PULSE = "irregular_pulse"
    PULSE_HIGH = "pulse_high"
    PULSE_LOW = "pulse_low"
    IMPROPER_POSITION = "improper_position"
    CLOCK_DIFFERS = "clock_differs"
    REPLAYED = "replayed"
    POOR_SIGNAL = "poor_signal"


# What such a reading says, or when it was so, is in doubt.
DOUBTFUL = frozenset(
    {VitalFlag.OUT_OF_RANGE, VitalFlag.CONTACT_LOST, VitalFlag.CLOCK_DIFFERS, VitalFlag.POOR_SIGNAL}
)
# A reading flagged so is kept, and counts in no mean: it is in doubt, or no measurement.
UNUSABLE = DOUBTFUL | {VitalFlag.ESTIMATED}


@dataclass(frozen=True, slots=True)
class VitalReading:
    """One physiological value.

    Attributes:
        at: when it was measured.
        kind: what was measured.
        value: in the unit of the kind.
        source: who said it, such as ``simulated``, ``csv:morning.csv``, ``ble:AA:BB:…``.
        flags: what is special about it.
        device_time: the time that the device itself stamped, as it stamped it
            (``2026-11-20T08:15:00``, its own local time, parts that it does not know 0); ``None``
            when it stamped none.
    """

    at: Instant
    kind: VitalKind
    value: float
    source: str
    flags: frozenset[VitalFlag] = field(default_factory=frozenset)
    device_time: str | None = None

    def with_flag(self, flag: VitalFlag) -> VitalReading:
        """Return this reading with one more flag."""
        return replace(self, flags=self.flags | {flag})

    def checked(self) -> VitalReading:
        """Return this reading, flagged ``out_of_range`` when its value is implausible."""
        low, high = self.kind.plausible
        if low <= self.value <= high:
            return self
        return self.with_flag(VitalFlag.OUT_OF_RANGE)


CLOCK_TOLERANCE_S = 300.0
"""A clock that differs from ours by more is wrong."""
AHEAD_S = 60.0
"""Largest lead of a reading's time over this clock; it allows for the error of two clocks."""
OLDEST_LIVE_S = 31 * 86_400.0
"""A device that sends something older as it happens has a clock that is wrong."""

_EARLIEST_S = 946_684_800  # the year 2000
_LATEST_S = 4_102_444_800  # the year 2100
_SECONDS_BELOW = 1e11  # epoch numbers below are seconds, from there on milliseconds
_DEVICE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)


class LocalTimes:
    """Reads the local times of one file, in its order.

    In autumn an hour comes twice. Where times go back within it, or come before the ones above in
    a file that has the newest first, the second one is meant.

    Args:
        zone: the time zone of the file.

    Attributes:
        twice: how many times were read that come twice.
        first: the first of them, as it was written.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self.restart()

    def restart(self) -> None:
        """Begin at the first row again."""
        self.twice = 0
        self.first = ""
        self._last_s: float | None = None
        self._last_local: datetime | None = None
        self._steps = 0

    def moment(self, local: datetime) -> datetime:
        """Return a local time with its zone.

        Raises:
            ReadingError: the clock was put forward over it.
        """
        early, late = (local.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        change = (early.utcoffset() or timedelta()) - (late.utcoffset() or timedelta())
        if change < timedelta():
            raise ReadingError(
                "at",
                shown_value(local.isoformat()),
                f"never was in {self._zone}: clocks were put forward over it. Correct it, or "
                "name the zone of the device's clock.",
            )
        if self._last_local is not None:
            self._steps += (local > self._last_local) - (local < self._last_local)
        chosen = early
        if change:
            self.twice += 1
            self.first = self.first or local.isoformat()
            chosen = self._next_of(early, late)
        self._last_local = local
        self._last_s = chosen.timestamp()
        return chosen

    def _next_of(self, early: datetime, late: datetime) -> datetime:
        """Return which of two times follows the one before in a file of this direction."""
        if self._steps < 0:
            is_late = self._last_s is None or late.timestamp() <= self._last_s
        else:
            is_late = self._last_s is not None and early.timestamp() < self._last_s
        return late if is_late else early

    @property
    def sentence(self) -> str:
        """Sentence about the local times that come twice, for people; empty where none does."""
        if not self.twice:
            return ""
        return (
            f"{self.twice} local times come twice in {self._zone}, the first is {self.first}: the "
            "order of the file decided which of the two is meant."
        )


def time_ms(value: object, zone: tzinfo | LocalTimes | None) -> int:
    """Return epoch milliseconds of ISO 8601 text or of an epoch number.

    Args:
        value: what the sender wrote.
        zone: time zone of text that names none; ``None`` refuses such text.

    Raises:
        ReadingError: no time, without a zone, or not between the years 2000 and 2100.
    """
    seconds = math.nan
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
        except ValueError:
            seconds = _iso_seconds(str(value), zone)
        else:
            if abs(seconds) >= _SECONDS_BELOW:  # milliseconds
                seconds = seconds / 1000
    if not _EARLIEST_S <= seconds < _LATEST_S:
        raise ReadingError(
            "at", shown_value(value), "is not a time between the years 2000 and 2100."
        )
    return round(seconds * 1000)


def _iso_seconds(text: str, zone: tzinfo | LocalTimes | None) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReadingError(
            "at",
            shown_value(text),
            "is not a time. Write 2026-11-20T08:15:00Z, 2026-11-20 09:15:00+01:00, or epoch "
            "seconds.",
        ) from error
    if moment.tzinfo is None:
        if zone is None:
            raise ReadingError(
                "at",
                shown_value(text),
                "has no time zone. Write Z or +01:00 behind it, or name the zone of the file.",
            )
        if isinstance(zone, LocalTimes):
            moment = zone.moment(moment)
        else:
            moment = moment.replace(tzinfo=zone)
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):  # the years 1 and 9999, shifted by their zone
        return math.nan


def clock_flags(at_ms: int, arrived_ms: int, live: bool) -> frozenset[VitalFlag]:
    """Return ``clock_differs`` for a time that is still to come, or far too old for what is sent as
    it happens.
    """
    ahead_s = (at_ms - arrived_ms) / 1000
    wrong = ahead_s > AHEAD_S or (live and ahead_s < -OLDEST_LIVE_S)
    return frozenset({VitalFlag.CLOCK_DIFFERS} if wrong else ())


def device_time(value: object) -> str | None:
    """Return the time that a device stamped, as it stands: its own clock may have been wrong.

    Raises:
        ReadingError: it is no time such as 2026-11-20T08:15:00.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _DEVICE_TIME.fullmatch(value):
        raise ReadingError(
            "device_time",
            shown_value(value),
            "is not a time such as 2026-11-20T08:15:00, without a zone.",
        )
    return value


MOST_OF_ONE_TIME = 1000
"""Readings of a kind and source that can share a time; a sender with more has no clock."""


class BeatTimes:
    """Spreads the intervals between beats of one packet: the last ended at the time of the packet,
    each one before it by the following ones earlier.

    An interval never comes before one that stood above it: where a packet says more than passed
    since the one before, its intervals move together.

    Example:
        >>> at = Instant(0, 1_700_000_000_000)
        >>> packet = [VitalReading(at, VitalKind.RR_INTERVAL, s, "strap") for s in (0.9, 0.8)]
        >>> [beat.at.wall_ms - at.wall_ms for beat in BeatTimes().spread(packet)]
        [-800, 0]
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def spread(self, readings: Sequence[VitalReading]) -> list[VitalReading]:
        """Return readings of one time, all others than intervals as they are."""
        at_ms: dict[int, int] = {}
        next_of: dict[str, VitalReading] = {}
        for place in range(len(readings) - 1, -1, -1):
            reading = readings[place]
            if reading.kind is VitalKind.RR_INTERVAL:
                at_ms[place] = reading.at.wall_ms
                if later := next_of.get(reading.source):
                    at_ms[place] = later.at.wall_ms - _length_ms(later)
                next_of[reading.source] = _at(reading, at_ms[place])
        spread = list(readings)
        for place in sorted(at_ms):
            reading = readings[place]
            last = self._last.get(reading.source)
            if last is not None and last <= reading.at.wall_ms:  # else the newest come first
                at_ms[place] = max(at_ms[place], last + 1)
            spread[place] = _at(reading, at_ms[place])
            self._last[reading.source] = at_ms[place]
        return spread

    def spread_all(self, readings: Iterable[VitalReading]) -> Iterator[VitalReading]:
        """Spread readings of many times; those of one packet follow each other."""
        for _, together in groupby(readings, key=lambda reading: reading.at.wall_ms):
            yield from self.spread(list(together))


def measurements(readings: Sequence[VitalReading]) -> list[list[int]]:
    """Return the places of the readings that were measured together, of readings of one time.

    The pressures of a source that a cuff gave at once belong together: the first systolic and the
    first diastolic, then the second ones. Any other reading stands for itself.
    """
    count: defaultdict[tuple[str, VitalKind], int] = defaultdict(int)
    together: dict[object, list[int]] = {}
    for place, reading in enumerate(readings):
        key: object = place
        if reading.kind in PRESSURES:
            key = (reading.source, count[reading.source, reading.kind])
            count[reading.source, reading.kind] += 1
        together.setdefault(key, []).append(place)
    return list(together.values())


def placed(
    readings: Iterable[VitalReading], there: Callable[[VitalReading], float | None]
) -> Iterator[tuple[VitalReading, bool]]:
    """Give a reading whose time another one of its kind and source has, with another value, the
    next free millisecond.

    Args:
        readings: those of one measurement follow each other.
        there: returns the value that is kept of a reading's kind, source and time; ``None``:
            there is none. Asked again after what was given before has been kept.

    Returns:
        Each reading and whether it is new: else it is kept already, with the same value.
    """
    for _, group in groupby(readings, key=lambda reading: reading.at.wall_ms):
        together = list(group)
        done: dict[int, tuple[VitalReading, bool]] = {}
        own: dict[tuple[str, VitalKind, int], float] = {}
        for places in measurements(together):
            for later_ms in range(MOST_OF_ONE_TIME):
                moved = [
                    _at(one, one.at.wall_ms + later_ms) for one in map(together.__getitem__, places)
                ]
                keys = [(one.source, one.kind, one.at.wall_ms) for one in moved]
                kept_values = [
                    own[key] if key in own else there(one)
                    for key, one in zip(keys, moved, strict=True)
                ]
                if all(
                    value in {None, one.value}
                    for value, one in zip(kept_values, moved, strict=True)
                ):
                    break
            own |= {key: one.value for key, one in zip(keys, moved, strict=True)}
            done |= {
                place: (one, value is None)
                for place, one, value in zip(places, moved, kept_values, strict=True)
            }
        yield from (done[place] for place in range(len(together)))


def _length_ms(interval: VitalReading) -> int:
    """Return how long an interval lasted; one that cannot be moves others by no more than one that
    can.
    """
    _, longest = interval.kind.plausible
    return max(1, round(1000 * min(max(interval.value, 0.0), longest)))


def _at(reading: VitalReading, wall_ms: int) -> VitalReading:
    """Return a reading with another time; a boot clock that is not known stays so."""
    moved_ms = wall_ms - reading.at.wall_ms
    if not moved_ms:
        return reading
    boot_ms = reading.at.boot_ms and reading.at.boot_ms + moved_ms
    return replace(reading, at=Instant(boot_ms, wall_ms))


LEAST_PULSE_PRESSURE_MMHG = 10.0
MAX_READINGS = 1000
MAX_BYTES = 256 * 1024
SOURCE_LENGTH = 64
# a file may come from an export, where a source has its prefix and a file's name
_FILE_SOURCE_LENGTH = 400

Name = Annotated[str, Field(max_length=SOURCE_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _units_of_kinds() -> list[str]:
    """Return for each different set of units its words, the one that is kept first."""
    return list(dict.fromkeys(", ".join(kind.spec.units) for kind in VitalKind))


class GivenReading(BaseModel):
    """A reading as another device or program hands it in; ``read_given`` judges it."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of this form")
    kind: VitalKind = Field(description="What was measured")
    value: float = Field(
        description="In the unit given; an implausible one is kept and flagged out_of_range"
    )
    unit: str | None = Field(
        None,
        description=f"{'; '.join(_units_of_kinds())}. Left out: the first one; "
        "an RR interval needs one",
    )
    at: int | str | None = Field(
        None,
        description="When it was measured: ISO 8601 with Z or offset, or milliseconds (or seconds) "
        "since 1970 UTC. Left out: when it arrives",
    )
    source: Name | None = Field(
        None, description="Which sensor measured, where the sender has several; empty: it has one"
    )
    flags: list[VitalFlag] | None = Field([], description="What is special about it")
    device_time: str | None = Field(
        None, description="Time that the sensor's own clock showed: 2026-11-20T08:15:00"
    )
    id: str | int | None = Field(
        None, description="The sender's own number or name of it; comes back with the answer"
    )


FIELDS = frozenset(field.alias or name for name, field in GivenReading.model_fields.items())


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of readings: who hands them in, and how what they leave open is to be taken.

    Attributes:
        source: goes into ``VitalReading.source`` where the reading names none.
        prefix: goes before a source that the reading names, so that nobody speaks in another's
            name.
        flags: what all of these readings are.
        zone: time zone of times that name none; ``None`` refuses such times.
        decimal_comma: whether ``72,5`` is a number.
        live: whether they are handed in as they are measured, so that an old one is the mark of a
            wrong clock.
        units_needed: whether an RR interval must say its unit: 0.8 s and 800 ms are both in use.
        as_text: whether a value and flags may be texts, as in files; JSON has numbers and lists.
    """

    source: str
    prefix: str = ""
    flags: frozenset[VitalFlag] = frozenset()
    zone: tzinfo | LocalTimes | None = None
    decimal_comma: bool = False
    live: bool = True
    units_needed: bool = True
    as_text: bool = True


class ArrivalTimes:
    """Gives each reading that names no time the moment of its arrival, but none of one kind and
    source twice.

    The timeline keeps one reading of a kind, source and millisecond; of a burst none is lost this
    way. May be asked from several threads.

    Example:
        >>> times = ArrivalTimes()
        >>> at = Instant(1_000, 1_700_000_000_000)
        >>> times.stamp("strap", VitalKind.HEART_RATE, at) == at
        True
        >>> times.stamp("strap", VitalKind.HEART_RATE, at).wall_ms  # the same moment again
        1700000000001
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest_ms = 0
        self._given: dict[tuple[str, VitalKind], int] = {}

    def stamp(self, source: str, kind: VitalKind, at: Instant) -> Instant:
        """Return ``at``, or the first free millisecond after it."""
        with self._lock:
            if at.boot_ms > self._newest_ms:
                self._given.clear()  # nothing that was given can be met again
            late_ms = max(0, self._given.get((source, kind), at.boot_ms - 1) + 1 - at.boot_ms)
            self._given[source, kind] = at.boot_ms + late_ms
            self._newest_ms = max(self._newest_ms, at.boot_ms + late_ms)
        return at.shifted(late_ms / 1000)


def parse_payload(payload: bytes) -> list[object]:
    """Return the readings of a JSON payload, one object or a list of them, not judged yet.

    Raises:
        ReadingError: too large, no JSON, something else than objects, none or too many.
    """
    if len(payload) > MAX_BYTES:
        raise ReadingError(
            "payload",
            f"of {len(payload)} bytes",
            f"is too large. Send at most {MAX_BYTES} at a time.",
        )
    try:
        given = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ReadingError("payload", "", f"is not UTF-8 text (byte {error.start}).") from error
    except RecursionError as error:
        raise ReadingError(
            "payload", "", "is nested too deeply. Send a reading, or a list of readings."
        ) from error
    except ValueError as error:
        raise ReadingError("payload", "", f"is not JSON ({error}).") from error
    items = given if isinstance(given, list) else [given]
    if not 1 <= len(items) <= MAX_READINGS:
        raise ReadingError(
            "payload", f"of {len(items)} readings", f"is not allowed. Send 1 to {MAX_READINGS}."
        )
    return items


def read_given(
    items: Iterable[object], arrived: Instant, origin: Origin, arrivals: ArrivalTimes
) -> list[VitalReading | ReadingError]:
    """Judge readings that came together.

    Return for each the reading, flagged, or why it is refused.
    """
    given = list(items)
    judged: list[VitalReading | ReadingError] = []
    for item in given:
        try:
            judged.append(reading_of(item, arrived, origin))
        except ReadingError as error:
            judged.append(error)
    taken = _at_own_times([one for one in judged if isinstance(one, VitalReading)])
    flagged = iter(flag_near_pressures(taken))
    for place, item in enumerate(given):
        if isinstance(judged[place], VitalReading):
            one = next(flagged)
            if not has_time(item):
                one = replace(one, at=arrivals.stamp(one.source, one.kind, one.at))
            judged[place] = one
    return judged


def _at_own_times(readings: Sequence[VitalReading]) -> list[VitalReading]:
    """Return readings in their order; intervals of one time end one after the other."""
    places = sorted(range(len(readings)), key=lambda place: readings[place].at.wall_ms)
    spread = BeatTimes().spread_all(readings[place] for place in places)
    return [one for _, one in sorted(zip(places, spread, strict=True), key=lambda pair: pair[0])]


def reading_of(item: object, arrived: Instant, origin: Origin) -> VitalReading:
    """Judge one reading; its boot clock is 0, not known, unless it is that of its arrival.

    Raises:
        ReadingError: it cannot be understood.
    """
    given = _fields_of(item)
    kind = _kind(given.get("kind"))
    value, unit = given.get("value"), given.get("unit")
    if origin.as_text and isinstance(value, str):
        value, unit = _without_unit(kind, value, unit)
    scale = _scale(kind, unit, origin.units_needed)
    value = _number(value, origin, scale)
    _refuse_impossible(kind, value)
    flags = _flags(given.get("flags"), origin) | origin.flags
    at = arrived
    if has_time(given):
        at = Instant(boot_ms=0, wall_ms=time_ms(given["at"], origin.zone))
        flags |= clock_flags(at.wall_ms, arrived.wall_ms, origin.live)
    source = _source(given.get("source"), origin)
    return VitalReading(
        at, kind, value, source, flags, device_time(given.get("device_time"))
    ).checked()


def flag_near_pressures(readings: Sequence[VitalReading]) -> list[VitalReading]:
    """Return the readings; systolic and diastolic of one measurement that are 10 mmHg or less apart
    are flagged.
    """
    flagged = list(readings)
    of_time: defaultdict[int, list[int]] = defaultdict(list)
    for place, reading in enumerate(readings):
        of_time[reading.at.wall_ms].append(place)
    for places in of_time.values():
        for together in measurements([readings[place] for place in places]):
            measured = [places[place] for place in together]
            if are_near({readings[place].kind: readings[place].value for place in measured}):
                for place in measured:
                    if readings[place].kind in _PRESSURES:
                        flagged[place] = readings[place].with_flag(VitalFlag.OUT_OF_RANGE)
    return flagged


def with_near_pressures(readings: Iterable[VitalReading]) -> Iterator[VitalReading]:
    """Flag pressures as ``flag_near_pressures`` does, however many readings there are.

    Those of one measurement follow each other.
    """
    for _, together in groupby(readings, key=lambda reading: (reading.source, reading.at.wall_ms)):
        yield from flag_near_pressures(list(together))


_PRESSURES = (VitalKind.SYSTOLIC, VitalKind.DIASTOLIC)


def are_near(values: Mapping[VitalKind, float | None]) -> bool:
    """Tell whether a systolic and a diastolic value are too near to each other to be true."""
    high, low = (values.get(kind) for kind in _PRESSURES)
    return high is not None and low is not None and high - low <= LEAST_PULSE_PRESSURE_MMHG


def id_of(item: object) -> str | int | None:
    """Return the sender's own name or number of a reading, where it has given a usable one."""
    match item.get("id") if isinstance(item, Mapping) else None:
        case str(text) if len(text) <= SOURCE_LENGTH and text.isprintable():
            return text
        case int(number) if not isinstance(number, bool) and abs(number) < 2**63:
            return number
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _fields_of(item: object) -> Mapping[str, object]:
    """Return the fields of a reading after refusing unknown ones."""
    if not isinstance(item, Mapping):
        raise ReadingError("reading", shown_value(item), "is no object with kind and value.")
    unknown = next((key for key in item if key not in FIELDS), None)
    if unknown is not None:
        raise ReadingError(
            shown_value(unknown),
            "",
            f"is no field of a reading. Known: {', '.join(sorted(FIELDS))}.",
        )
    version = item.get("schema", 1)
    if version != 1 or isinstance(version, bool):
        raise ReadingError(
            "schema", shown_value(version), "is not spoken here. Send version 1, or leave it out."
        )
    if item.get("id") is not None and id_of(item) is None:
        raise ReadingError(
            "id",
            shown_value(item["id"]),
            f"is no whole number or text of up to {SOURCE_LENGTH} characters.",
        )
    return item


def has_time(item: object) -> bool:
    """Tell whether a reading, not judged yet, says when it was measured."""
    return isinstance(item, Mapping) and item.get("at") is not None


def _kind(value: object) -> VitalKind:
    try:
        return VitalKind(value.strip().lower() if isinstance(value, str) else "")
    except ValueError as error:
        raise ReadingError(
            "kind", shown_value(value), f"is not one of {', '.join(VitalKind)}."
        ) from error


def _scale(kind: VitalKind, unit: object, needed: bool) -> Scale:
    """Return how a value becomes one in the unit of its kind."""
    spec = kind.spec
    allowed = ", ".join(spec.units)
    if unit is None or unit == "":
        if needed and spec.unit_needed:
            missing = (
                f"is missing: an {spec.name_in_text} may be in {' / '.join(spec.unit_choices)}. "
                f"Allowed: {allowed}."
            )
            raise ReadingError("unit", "", missing)
        return Scale()
    scale = spec.units.get(unit.strip().lower()) if isinstance(unit, str) else None
    if scale is None:
        unknown = f"is no unit of {kind.value}. Allowed: {allowed}, or empty for {kind.unit}."
        raise ReadingError("unit", shown_value(unit), unknown)
    return scale


def _without_unit(kind: VitalKind, text: str, unit: object) -> tuple[str, object]:
    """Return number and unit of a text such as ``104 mmHg``, whose unit is one of the kind."""
    number, _, word = text.strip().partition(" ")
    if word.strip().lower() not in kind.spec.units:
        return text, unit
    if unit and str(unit).strip().lower() != word.strip().lower():
        raise ReadingError("unit", shown_value(unit), f"is not the unit of {text}.")
    return number, word


def _refuse_impossible(kind: VitalKind, value: float) -> None:
    """Refuse what cannot be a measurement; what is only implausible is flagged later."""
    spec = kind.spec
    if not spec.is_possible(value):
        low, high = spec.possible
        impossible = (
            f"cannot be {spec.name_in_text}. Possible: {low:g} to {high:g} {spec.unit_shown}."
        )
        raise ReadingError("value", f"{value:g} {spec.unit_shown}", impossible)


def _number(value: object, origin: Origin, scale: Scale) -> float:
    """Return the number that is given, in the unit of its kind."""
    number = math.nan
    with suppress(ValueError, OverflowError):
        if isinstance(value, str) and origin.as_text and "_" not in value:  # 1_000 is Python alone
            text = value.replace(",", ".") if origin.decimal_comma else value
            number = scale.convert(float(text))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = scale.convert(value)
    if not math.isfinite(number):
        raise ReadingError("value", shown_value(value), "is not a number.")
    return float(number)


def _source(value: object, origin: Origin) -> str:
    if value is None or value == "":
        return origin.source
    longest = SOURCE_LENGTH if origin.live else _FILE_SOURCE_LENGTH
    if (
        not isinstance(value, str)
        or len(value) > longest
        or not value.replace("\t", " ").isprintable()
    ):
        too_long = f"is no name of up to {longest} printable characters."
        raise ReadingError("source", shown_value(value), too_long)
    return origin.prefix + value


def _flags(value: object, origin: Origin) -> frozenset[VitalFlag]:
    words: object = [] if value is None else value
    if isinstance(value, str) and origin.as_text:
        words = value.split()
    try:
        if not isinstance(words, list):
            raise ValueError("no list")
        return frozenset(VitalFlag(word.strip().lower()) for word in words)
    except (ValueError, AttributeError) as error:
        known = f"is not made of {', '.join(VitalFlag)}."
        raise ReadingError("flags", shown_value(value), known) from error


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval in which a source that was expected to send did not, and why.

    Attributes:
        source: ``camera``, ``mqtt`` or a vital's source.
        reason: a short word such as ``stalled``, ``no_face`` or ``disconnected``.
    """

    source: str
    start: Instant
    end: Instant
    reason: str
