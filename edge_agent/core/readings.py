"""Readings as values, and one set of rules for those that others send. Pure.

Readings with a flag in ``UNUSABLE`` enter no mean. Every reading that can be understood is
accepted: an implausible value gets the flag ``out_of_range``, a time that must come from a wrong
clock ``clock_differs``. Others are refused with a ``ReadingError`` that contains field, value and
the allowed values.

A strap sends one time for a packet of intervals, and a cuff knows only the minute. The timeline
keeps one reading of a kind, source and millisecond, so a second one needs a time of its own.

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

from edge_agent.core import bounds
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ReadingError, shown_value
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import PRESSURES, Scale, VitalKind

CLOCK_TOLERANCE_S = 300.0
"""A clock that differs from ours by more is wrong."""
AHEAD_S = 60.0
"""Largest lead of a reading's time over this clock; it allows for the error of two clocks."""
OLDEST_LIVE_S = 31 * 86_400.0
"""A device that sends live readings with older times has a wrong clock."""
# Numbers since 1970: 1e11 seconds are the year 5138, and 1e11 milliseconds were in 1973, before the
# earliest time allowed; so it is with micro- and nanoseconds.
_UNITS_FROM = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
_DAY_NUMBERS = (36_526.0, 73_051.0)  # the years 2000 to 2100 in a spreadsheet, whose day 1 is 1900
_SINCE_A_START_BELOW = 1e8  # as seconds since 1970 it would be 1973
_DEVICE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
MOST_OF_ONE_TIME = 1000
"""Most readings of a kind and source with one time; a sender with more has no clock."""
_PAUSE_S = 30.0
"""A longer time without a beat is a pause of the recording, which no interval fills."""
_FITTING = 1.1
_SPARE_S = 5.0
_LEAST_BEATS = 20
_NO_BEATS = N_(
    "the RR intervals of {source} last {lasting} s together, but {passed} s pass between their "
    "times. Such values are resampled, or stand in the file twice, and give a wrong heart-rate "
    "variability. Export the beats themselves (one row for each beat), or leave the column out."
)
LEAST_PULSE_PRESSURE_MMHG = 10.0
NO_VALUE = frozenset({"", "na", "n/a", "nan", "null", "none", ".", "-", "--", "#n/a", "missing"})
"""What programs write in small or capital letters where there is no value."""
MAX_READINGS = 1000
MAX_BYTES = 256 * 1024
SOURCE_LENGTH = 64
# a file may come from an export, where a source has its prefix and a file's name
_FILE_SOURCE_LENGTH = 400
_THOUSANDS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_PRESSURES = (VitalKind.SYSTOLIC, VitalKind.DIASTOLIC)
STOPPED = "stopped"
"""Reason of a gap in which a source had not failed, and yet nothing came: something stood still."""


class VitalFlag(StrEnum):
    """Remarks on a reading."""

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
    ARTEFACT = "artefact"


# The value or the time of such a reading is in doubt.
DOUBTFUL = frozenset(
    {
        VitalFlag.OUT_OF_RANGE,
        VitalFlag.CONTACT_LOST,
        VitalFlag.CLOCK_DIFFERS,
        VitalFlag.POOR_SIGNAL,
        VitalFlag.ARTEFACT,
    }
)
# A reading with such a flag is kept, but enters no mean: it is in doubt, or no measurement.
UNUSABLE = DOUBTFUL | {VitalFlag.ESTIMATED}


@dataclass(frozen=True, slots=True)
class VitalReading:
    """One physiological value.

    Attributes:
        at: when it was measured.
        kind: what was measured.
        value: in the unit of the kind.
        source: origin, such as ``simulated``, ``csv:morning.csv``, ``ble:AA:BB:…``.
        flags: remarks.
        device_time: the device's own time stamp, unchanged (``2026-11-20T08:15:00``, its local
            time, unknown parts are 0); ``None`` without one.
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


class LocalTimes:
    """Reads the local times of one file, in its order.

    In autumn one hour occurs twice. It is the second one if times go back within it, or, in a file
    with the newest rows first, if they come before the rows above. Which rows come first is known
    once a file was read: who reads it twice (``restart``) is right, too, if it begins in that hour.

    Args:
        zone: the time zone of the file; ``None``: that of this machine.

    Attributes:
        twice: number of times read that occur twice.
        first: the first of them, as written.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self._steps = 0
        self.restart()

    def restart(self) -> None:
        """Begin at the first row again."""
        # Rows upwards against rows downwards in the whole file; 0: it was not read yet.
        self._steps_before = self._steps
        self.twice = 0
        self.first = ""
        self._last_s: float | None = None
        self._last_local: datetime | None = None
        self._steps = 0
        self._steps_outside = 0
        self._last_twice = False

    def moment(self, local: datetime) -> datetime:
        """Return a local time with its zone.

        Raises:
            ReadingError: the time was skipped when clocks were put forward.
        """
        # Both readings of a local time, before and after the clocks are put back.
        early, late = (local.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        # PEP 495: fold 0 and 1 differ in an hour that is repeated or skipped; a skipped one has the
        # smaller offset first.
        change = (early.utcoffset() or timedelta()) - (late.utcoffset() or timedelta())
        if change < timedelta():
            raise ReadingError(
                "at",
                shown_value(local.isoformat()),
                f"never was in {self._zone}: clocks were put forward over it. Correct it, or "
                "name the zone of the device's clock.",
            )
        # Rows upwards against rows downwards: above 0 the file begins with the oldest.
        if self._last_local is not None:
            step = (local > self._last_local) - (local < self._last_local)
            self._steps += step
            # Within the hour that comes twice a step down may be the change itself.
            self._steps_outside += 0 if change and self._last_twice else step
        self._last_twice = bool(change)
        chosen = early
        if change:
            self.twice += 1
            # The first is shown, and later ones are only counted.
            self.first = self.first or local.isoformat()
            chosen = self._next_of(early, late)
        self._last_local = local
        self._last_s = chosen.timestamp()
        return chosen

    def _next_of(self, early: datetime, late: datetime) -> datetime:
        """Return the one of two times that fits the order of the file."""
        if (self._steps_before or self._steps_outside) < 0:
            is_late = self._last_s is None or late.timestamp() <= self._last_s
        else:
            is_late = self._last_s is not None and early.timestamp() < self._last_s
        return late if is_late else early

    @property
    def sentence(self) -> str:
        """A sentence for people about local times that occur twice; empty without any."""
        if not self.twice:
            return ""
        times = "1 local time comes" if self.twice == 1 else f"{self.twice} local times come"
        return (
            f"{times} twice in {self._zone}, the first is {self.first}: the "
            "order of the file decided which of the two is meant."
        )


def time_ms(value: object, zone: tzinfo | LocalTimes | None) -> int:
    """Return epoch milliseconds of ISO 8601 text or of an epoch number.

    Args:
        value: text or number of the sender.
        zone: time zone of text without one; ``None`` refuses such text.

    Raises:
        ReadingError: it is no time, has no zone, or is not between the years 2000 and 2100.
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
            units = (per_second for least, per_second in _UNITS_FROM if abs(seconds) >= least)
            seconds = seconds / next(units, 1.0)
    if not bounds.is_time(seconds * 1000):
        raise ReadingError("at", shown_value(value), _why_no_time(seconds))
    return round(seconds * 1000)


def _why_no_time(number: float) -> str:
    """Return why a number is no time, as the rest of a sentence."""
    if _DAY_NUMBERS[0] <= number < _DAY_NUMBERS[1]:
        return (
            "is the number that a spreadsheet keeps for a day. Format the column as "
            "yyyy-mm-dd hh:mm:ss.000, and save the file again."
        )
    if 0 <= number < _SINCE_A_START_BELOW:
        return "counts from a start. Add the time of the start to it, such as 2026-11-20T08:15:00Z."
    return "is not a time between the years 2000 and 2100."


def _iso_seconds(text: str, zone: tzinfo | LocalTimes | None) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        with suppress(ValueError):  # a spreadsheet's number with a decimal comma
            return float(text.replace(",", ".", 1))
        example = "2026-11-27 or 2026-11-27 14:30"
        if zone is None:
            example = "2026-11-20T08:15:00Z, 2026-11-20 09:15:00+01:00, or epoch seconds"
        raise ReadingError("at", shown_value(text), f"is not a time. Write {example}.") from error
    if moment.tzinfo is None and zone is None:
        raise ReadingError(
            "at",
            shown_value(text),
            "has no time zone. Write Z or +01:00 behind it, or name the zone of the file "
            "(--timezone Europe/Berlin).",
        )
    try:
        if moment.tzinfo is None:
            if isinstance(zone, LocalTimes):
                moment = zone.moment(moment)
            else:
                moment = moment.replace(tzinfo=zone)
        return moment.timestamp()
    except (OverflowError, ValueError):  # the years 1 and 9999, shifted by their zone
        return math.nan


def clock_flags(at_ms: int, arrived_ms: int, live: bool) -> frozenset[VitalFlag]:
    """Return ``clock_differs`` for a time in the future, or far too old for a live reading."""
    ahead_s = (at_ms - arrived_ms) / 1000
    wrong = ahead_s > AHEAD_S or (live and ahead_s < -OLDEST_LIVE_S)
    return frozenset({VitalFlag.CLOCK_DIFFERS} if wrong else ())


def device_time(value: object) -> str | None:
    """Return a device's time stamp unchanged, since its clock may be wrong.

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


class BeatTimes:
    """Spreads the intervals between beats of one packet.

    The last one ended at the time of the packet, and each earlier one when the next began. The
    order is kept: if a packet contains more time than has passed since the one before, its
    intervals move closer together.

    Example:
        >>> at = Instant(0, 1_700_000_000_000)
        >>> packet = [VitalReading(at, VitalKind.RR_INTERVAL, s, "strap") for s in (0.9, 0.8)]
        >>> [beat.at.wall_ms - at.wall_ms for beat in BeatTimes().spread(packet)]
        [-800, 0]
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def spread(self, readings: Sequence[VitalReading]) -> list[VitalReading]:
        """Spread the intervals among readings of one time; return the others unchanged."""
        at_ms: dict[int, int] = {}
        next_of: dict[str, VitalReading] = {}
        # Backwards, for each interval ends where the next one begins.
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
            # The next packet begins at least one millisecond later, or two beats would have one
            # time.
            if last is not None and last <= reading.at.wall_ms:  # else the newest come first
                at_ms[place] = max(at_ms[place], last + 1)
            spread[place] = _at(reading, at_ms[place])
            self._last[reading.source] = at_ms[place]
        return spread

    def spread_all(self, readings: Iterable[VitalReading]) -> Iterator[VitalReading]:
        """Spread readings of many times; those of one packet must follow each other."""
        for _, together in groupby(readings, key=lambda reading: reading.at.wall_ms):
            yield from self.spread(list(together))


@dataclass(slots=True)
class _BeatRun:
    """The intervals of a source, with the time that passed between them."""

    last_ms: int
    step_ms: int = 0
    beats: int = 0
    lasting_s: float = 0.0
    passed_s: float = 0.0
    even: bool = True
    counts: bool = False

    def add(self, at_ms: int, seconds: float) -> None:
        passed_ms = abs(at_ms - self.last_ms)  # the newest may come first
        if passed_ms:
            self.counts = passed_ms <= 1000 * _PAUSE_S
            self.last_ms = at_ms
        else:  # of one packet
            self.even = False
        if not self.counts:
            return
        if passed_ms:
            self.step_ms = self.step_ms or passed_ms
            self.even &= abs(passed_ms - self.step_ms) <= 1
            self.passed_s += passed_ms / 1000
        self.beats += 1
        self.lasting_s += seconds

    @property
    def fits(self) -> bool:
        """Tell whether the intervals last as long as the time in which they lie."""
        most_s = _FITTING * self.passed_s + _SPARE_S
        # Beats may be missing; but not of a series whose rows all have the same distance.
        is_held = self.even and self.beats >= _LEAST_BEATS
        return self.lasting_s <= most_s and not (
            is_held and _FITTING * self.lasting_s + _SPARE_S < self.passed_s
        )


class BeatSums:
    """Finds intervals between beats that cannot be beats, for they do not fit into their time.

    Programs resample intervals to an even grid, such as four values a second. Such values look like
    intervals, and have next to no variability from one to the next.
    """

    def __init__(self) -> None:
        self._runs: dict[str, _BeatRun] = {}

    def add(self, readings: Iterable[VitalReading]) -> None:
        """Add readings in the order of their file; kinds other than intervals are passed over."""
        for reading in readings:
            if reading.kind is VitalKind.RR_INTERVAL:
                at_ms = reading.at.wall_ms
                run = self._runs.get(reading.source)
                if run is None:
                    self._runs[reading.source] = _BeatRun(at_ms)
                else:
                    run.add(at_ms, reading.value)

    @property
    def problem(self) -> str:
        """A sentence for people about the first source whose intervals do not fit; else empty."""
        for source, run in self._runs.items():
            if not run.fits:
                return Message(
                    _NO_BEATS,
                    source=source,
                    lasting=f"{run.lasting_s:.0f}",
                    passed=f"{run.passed_s:.0f}",
                )
        return ""


def measurements(readings: Sequence[VitalReading]) -> list[list[int]]:
    """Group readings of one time by measurement; return the places of each group.

    Pressures of one source that a cuff measured together form a group: the first systolic with the
    first diastolic, then the second ones. Any other reading is a group by itself.
    """
    count: defaultdict[tuple[str, VitalKind], int] = defaultdict(int)
    together: dict[object, list[int]] = {}
    for place, reading in enumerate(readings):
        # A reading of its own group has its place as key.
        key: object = place
        if reading.kind in PRESSURES:
            key = (reading.source, count[reading.source, reading.kind])
            count[reading.source, reading.kind] += 1
        together.setdefault(key, []).append(place)
    return list(together.values())


def placed(
    readings: Iterable[VitalReading], there: Callable[[VitalReading], float | None]
) -> Iterator[tuple[VitalReading, bool]]:
    """Move readings to the next free millisecond if their time has another value already.

    Args:
        readings: those of one measurement follow each other.
        there: returns the stored value for a reading's kind, source and time, or ``None``. It is
            called again after the readings yielded before were stored.

    Returns:
        Each reading, and whether it is new; otherwise it is stored with the same value.
    """
    for _, group in groupby(readings, key=lambda reading: reading.at.wall_ms):
        # All of one time together: which of them are one measurement shows only then.
        together = list(group)
        done: dict[int, tuple[VitalReading, bool]] = {}
        own: dict[tuple[str, VitalKind, int], float] = {}
        for places in measurements(together):
            # The parts of one measurement move together, or their pressures would no longer fit.
            for later_ms in range(MOST_OF_ONE_TIME):
                moved = [
                    _at(one, one.at.wall_ms + later_ms) for one in map(together.__getitem__, places)
                ]
                keys = [(one.source, one.kind, one.at.wall_ms) for one in moved]
                kept_values = [
                    own[key] if key in own else there(one)
                    for key, one in zip(keys, moved, strict=True)
                ]
                # Free, or taken by the same value: then it is the same reading sent again.
                if all(
                    value in {None, one.value}
                    for value, one in zip(kept_values, moved, strict=True)
                ):
                    break
            # Remembered here: the caller stores them only after they were yielded.
            own |= {key: one.value for key, one in zip(keys, moved, strict=True)}
            done |= {
                place: (one, value is None)
                for place, one, value in zip(places, moved, kept_values, strict=True)
            }
        yield from (done[place] for place in range(len(together)))


def _length_ms(interval: VitalReading) -> int:
    """Return the length of an interval, limited to a plausible one."""
    _, longest = interval.kind.plausible
    # Limited, so that one broken interval does not spread the others over hours.
    return max(1, round(1000 * min(max(interval.value, 0.0), longest)))


def _at(reading: VitalReading, wall_ms: int) -> VitalReading:
    """Return a reading with another time; an unknown boot time stays unknown."""
    moved_ms = wall_ms - reading.at.wall_ms
    if not moved_ms:
        return reading
    boot_ms = reading.at.boot_ms and reading.at.boot_ms + moved_ms
    return replace(reading, at=Instant(boot_ms, wall_ms))


Name = Annotated[str, Field(max_length=SOURCE_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _units_of_kinds() -> list[str]:
    """Return the names of each different set of units, the stored unit first."""
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
    """The origin of readings, with the rules for details that they leave out.

    Attributes:
        source: for ``VitalReading.source`` if a reading has none.
        prefix: added to the source of a reading, so that no sender can use another's name.
        flags: flags of all of these readings.
        zone: time zone of times without one; ``None`` refuses such times.
        decimal_comma: whether ``72,5`` is a number.
        live: whether they are sent as they are measured, so that an old one means a wrong clock.
        units_needed: whether an RR interval needs a unit: 0.8 s and 800 ms are both in use.
        as_text: whether value and flags may be texts, as in files; JSON has numbers and lists.
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
    """Stamps readings without a time with their arrival, each moment once per kind and source.

    The timeline keeps one reading of a kind, source and millisecond, so a burst loses none. May be
    called from several threads.

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
    """Parse a JSON payload into one or several readings, not yet validated.

    Raises:
        ReadingError: the payload is too large, no JSON, empty, or has too many readings.
    """
    if len(payload) > MAX_BYTES:
        raise ReadingError(
            "payload",
            f"of {len(payload)} bytes",
            f"is too large. Send at most {MAX_BYTES} at a time.",
        )
    if not payload.strip():
        raise ReadingError("payload", "", "is empty. Send a reading, or a list of readings.")
    try:
        # Python accepts NaN and Infinity, which are no JSON and no values.
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
    """Validate readings that came together; return each reading with flags, or its error."""
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
    """Spread intervals of one time, keeping the order of the readings."""
    places = sorted(range(len(readings)), key=lambda place: readings[place].at.wall_ms)
    spread = BeatTimes().spread_all(readings[place] for place in places)
    return [one for _, one in sorted(zip(places, spread, strict=True), key=lambda pair: pair[0])]


def reading_of(item: object, arrived: Instant, origin: Origin) -> VitalReading:
    """Validate one reading; its boot time is 0 (unknown), unless it has the time of its arrival.

    Raises:
        ReadingError: it cannot be understood.
    """
    given = _fields_of(item)
    kind = _kind(given.get("kind"))
    value, unit = given.get("value"), given.get("unit")
    if origin.as_text and isinstance(value, str):
        value, unit = _without_unit(kind, value, unit)
    scale = _scale(kind, unit, origin.units_needed)
    value = _number(value, origin, scale, kind)
    refuse_impossible(kind, value)
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
    """Flag systolic and diastolic pressures of one measurement that differ by 10 mmHg or less."""
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
    """Flag pressures as ``flag_near_pressures`` does, without keeping all readings in memory.

    Those of one measurement must follow each other.
    """
    for _, together in groupby(readings, key=lambda reading: (reading.source, reading.at.wall_ms)):
        yield from flag_near_pressures(list(together))


def are_near(values: Mapping[VitalKind, float | None]) -> bool:
    """Return whether a systolic and a diastolic value are implausibly near to each other."""
    high, low = (values.get(kind) for kind in _PRESSURES)
    return high is not None and low is not None and high - low <= LEAST_PULSE_PRESSURE_MMHG


def id_of(item: object) -> str | int | None:
    """Return the sender's identifier of a reading, if it is usable."""
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
            "schema", shown_value(version), "is not supported. Send version 1, or leave it out."
        )
    if item.get("id") is not None and id_of(item) is None:
        raise ReadingError(
            "id",
            shown_value(item["id"]),
            f"is no whole number or text of up to {SOURCE_LENGTH} characters.",
        )
    return item


def has_time(item: object) -> bool:
    """Return whether a reading, not yet validated, has a time."""
    return isinstance(item, Mapping) and item.get("at") is not None


def _kind(value: object) -> VitalKind:
    try:
        return VitalKind(value.strip().lower() if isinstance(value, str) else "")
    except ValueError as error:
        raise ReadingError(
            "kind", shown_value(value), f"is not one of {', '.join(VitalKind)}."
        ) from error


def _scale(kind: VitalKind, unit: object, needed: bool) -> Scale:
    """Return the conversion of a value to the unit of its kind."""
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
    scale = spec.scale_of(unit) if isinstance(unit, str) else None
    if scale is None:
        unknown = f"is no unit of {kind.value}. Allowed: {allowed}, or empty for {kind.unit}."
        raise ReadingError("unit", shown_value(unit), unknown)
    return scale


def _without_unit(kind: VitalKind, text: str, unit: object) -> tuple[str, object]:
    """Split a text such as ``104 mmHg`` into number and unit, if the unit is one of the kind."""
    number, _, word = text.strip().partition(" ")
    if kind.spec.scale_of(word) is None:
        return text, unit
    if unit and str(unit).strip().lower() != word.strip().lower():
        raise ReadingError("unit", shown_value(unit), f"is not the unit of {text}.")
    return number, word


def is_no_value(text: str) -> bool:
    """Return whether a cell of a table is empty, or says that there is no value."""
    return text.strip().lower() in NO_VALUE


def refuse_impossible(kind: VitalKind, value: float) -> None:
    """Refuse impossible values; implausible ones are flagged later.

    Raises:
        ReadingError: it is so.
    """
    spec = kind.spec
    if not (spec.is_possible(value) and bounds.is_number(value)):
        low, high = max(spec.possible[0], -bounds.LARGEST), min(spec.possible[1], bounds.LARGEST)
        impossible = (
            f"cannot be {spec.name_in_text}. Possible: {low:g} to {high:g} {spec.unit_shown}."
        )
        raise ReadingError("value", f"{value:g} {spec.unit_shown}", impossible)


def _number(value: object, origin: Origin, scale: Scale, kind: VitalKind) -> float:
    """Return a value as a number in the unit of its kind."""
    number = math.nan
    with suppress(ValueError, OverflowError):
        if isinstance(value, str) and origin.as_text and "_" not in value:  # 1_000 is Python alone
            text = value.replace(",", ".") if origin.decimal_comma else value
            number = scale.convert(float(text))
            _refuse_thousands(value, number, scale, kind)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = scale.convert(value)
    if not math.isfinite(number):
        raise ReadingError("value", shown_value(value), "is not a number.")
    return float(number)


def _refuse_thousands(text: str, number: float, scale: Scale, kind: VitalKind) -> None:
    """Refuse ``1.012`` or ``1,012`` where only 1012 is plausible: its mark may be one of thousands.

    Raises:
        ReadingError: it is so.
    """
    if not _THOUSANDS.fullmatch(text.strip()):
        return
    whole = text.strip().replace(",", "").replace(".", "")
    low, high = kind.plausible
    if low <= scale.convert(float(whole)) <= high and not low <= number <= high:
        raise ReadingError(
            "value",
            shown_value(text),
            f"has a mark of thousands, or of decimals. Write {whole} if it is meant.",
        )


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
        reason: a short word such as ``stalled``, ``stopped`` or ``disconnected``.
    """

    source: str
    start: Instant
    end: Instant
    reason: str
