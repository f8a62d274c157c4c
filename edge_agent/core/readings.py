"""Readings as values, and their times. Pure.

Readings with a flag in ``UNUSABLE`` enter no mean. What others send becomes a reading in
``given_readings``.

A strap sends one time for a packet of intervals, and a cuff knows only the minute. The timeline
keeps one reading of a kind, source and millisecond, so a second one needs a time of its own.

Example::

    reading = VitalReading(at, VitalKind.HEART_RATE, 12.0, "csv:night.csv").flag_implausible()
    reading.flags              # {VitalFlag.OUT_OF_RANGE}
    reading.flags & UNUSABLE   # not empty: kept, and counted in no mean
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from edge_agent.core import bounds
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import DataFileError, ReadingError, shown_value
from edge_agent.core.texts import N_, Message, Worded
from edge_agent.core.vitals import PRESSURES, VitalKind

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
_SHORTENED = re.compile(
    r"\d(?:[.,](?P<shown>\d*))?E\+(?P<digits>\d{1,2})", re.IGNORECASE | re.ASCII
)
_SHOWN_MOST = 6
"""So many decimals of such a number a spreadsheet shows; programs write all that it has."""
_DEVICE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
MOST_OF_ONE_TIME = 1000
"""Most readings of a kind and source with one time; a sender with more has no clock."""
_TRIED_FREELY = 8
_STEPS_OF_TRY = 8
"""A look at whether a millisecond is free takes longer than a line of a file."""
LARGEST_ERROR = 1e6
"""Largest expected error of a reading: no sensor is that far off, and its square is a number."""
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
STARTING = "starting"
"""Reason of a gap in which a camera had been opened, and its first frame had not come."""


STOPPED = "stopped"
"""Reason of a gap in which a source had not failed, and yet nothing came: something stood still."""


FAILED = "failed"
"""Reason of a gap in which a source had died, and waited to begin again."""


class Bearing(StrEnum):
    """Kinds of flags, by what they say of their reading: all that is concluded follows from it.

    ``DOUBT`` and ``ESTIMATE`` readings are in no mean. Others are. Of ``UNRELIABLE`` ones (measured
    while the body moved, with a loose cuff) and ``IRREGULAR`` ones (the heart’s rhythm, so that one
    reading differs from the next) each conclusion says how many they are; a week is judged without
    the unreliable ones. ``ORIGIN`` is where a reading came from, ``BESIDE`` is of another reading.
    """

    DOUBT = "doubt"
    ESTIMATE = "estimate"
    UNRELIABLE = "unreliable"
    IRREGULAR = "irregular"
    ORIGIN = "origin"
    BESIDE = "beside"


class VitalFlag(Worded):
    """Remarks on a reading."""

    OUT_OF_RANGE = "out_of_range", N_("out of range")
    CONTACT_LOST = "contact_lost", N_("no contact")
    MANUAL = "manual", N_("entered by hand")
    ESTIMATED = "estimated", N_("estimated")
    SIMULATED = "simulated", N_("simulated")
    IMPORTED = "imported", N_("imported")
    BODY_MOVEMENT = "body_movement", N_("movement during the measurement")
    CUFF_LOOSE = "cuff_loose", N_("cuff too loose")
    IRREGULAR_PULSE = "irregular_pulse", N_("irregular pulse")
    PULSE_HIGH = "pulse_high", N_("pulse above the cuff’s range")
    PULSE_LOW = "pulse_low", N_("pulse below the cuff’s range")
    IMPROPER_POSITION = "improper_position", N_("wrong arm position")
    CLOCK_DIFFERS = "clock_differs", N_("late, or a clock is wrong")
    REPLAYED = "replayed", N_("replayed")
    POOR_SIGNAL = "poor_signal", N_("poor signal")
    ARTEFACT = "artefact", N_("far from its neighbours")

    @property
    def bearing(self) -> Bearing:
        """Its meaning for the reading that has it."""
        return _BEARINGS[self]


_BEARINGS: Mapping[VitalFlag, Bearing] = {
    VitalFlag.OUT_OF_RANGE: Bearing.DOUBT,
    VitalFlag.CONTACT_LOST: Bearing.DOUBT,
    VitalFlag.MANUAL: Bearing.ORIGIN,
    VitalFlag.ESTIMATED: Bearing.ESTIMATE,
    VitalFlag.SIMULATED: Bearing.ORIGIN,
    VitalFlag.IMPORTED: Bearing.ORIGIN,
    VitalFlag.BODY_MOVEMENT: Bearing.UNRELIABLE,
    VitalFlag.CUFF_LOOSE: Bearing.UNRELIABLE,
    VitalFlag.IRREGULAR_PULSE: Bearing.IRREGULAR,
    VitalFlag.PULSE_HIGH: Bearing.BESIDE,
    VitalFlag.PULSE_LOW: Bearing.BESIDE,
    VitalFlag.IMPROPER_POSITION: Bearing.UNRELIABLE,
    VitalFlag.CLOCK_DIFFERS: Bearing.DOUBT,
    VitalFlag.REPLAYED: Bearing.ORIGIN,
    VitalFlag.POOR_SIGNAL: Bearing.DOUBT,
    VitalFlag.ARTEFACT: Bearing.DOUBT,
}


DOUBTFUL = frozenset(flag for flag, one in _BEARINGS.items() if one is Bearing.DOUBT)
"""The value or the time of such a reading is in doubt."""
UNUSABLE = frozenset(
    flag for flag, one in _BEARINGS.items() if one in (Bearing.DOUBT, Bearing.ESTIMATE)
)
"""A reading with such a flag is kept, but enters no mean: it is in doubt, or no measurement."""
UNRELIABLE = frozenset(flag for flag, one in _BEARINGS.items() if one is Bearing.UNRELIABLE)
"""How it was measured makes such a reading unreliable, its device says; means have it."""
DOUBTED = frozenset(
    flag for flag, one in _BEARINGS.items() if one in (Bearing.UNRELIABLE, Bearing.IRREGULAR)
)
"""Its device itself doubts such a reading; means have it."""


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
        error: expected absolute error of the value, in its unit; ``None``: the sensor states none.
    """

    at: Instant
    kind: VitalKind
    value: float
    source: str
    flags: frozenset[VitalFlag] = field(default_factory=frozenset)
    device_time: str | None = None
    error: float | None = None

    def with_flag(self, flag: VitalFlag) -> VitalReading:
        """Return this reading with one more flag."""
        return replace(self, flags=self.flags | {flag})

    def flag_implausible(self) -> VitalReading:
        """Return this reading, flagged ``out_of_range`` when its value is implausible."""
        low, high = self.kind.plausible
        if low <= self.value <= high:
            return self
        return self.with_flag(VitalFlag.OUT_OF_RANGE)

    def flag_ahead(self, now_ms: int) -> VitalReading:
        """Return this reading, flagged ``clock_differs`` when its time is still to come."""
        flags = clock_flags(self.at.wall_ms, now_ms, live=False)
        return replace(self, flags=self.flags | flags) if flags else self


class GivenZone(tzinfo):
    """A time zone that a person gave, which knows whether a time without one was read by it.

    Args:
        zone: the time zone.

    Attributes:
        is_used: whether there was such a time.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self.is_used = False

    def utcoffset(self, at: datetime | None, /) -> timedelta | None:
        """Return the offset of a local time."""
        return self._zone.utcoffset(at)

    def dst(self, at: datetime | None, /) -> timedelta | None:
        """Return how far the clock was put forward."""
        return self._zone.dst(at)

    def tzname(self, at: datetime | None, /) -> str | None:
        """Return the name at a time."""
        return self._zone.tzname(at)

    def fromutc(self, at: datetime, /) -> datetime:
        """Return the local time of a moment."""
        return self._zone.fromutc(at.replace(tzinfo=self._zone)).replace(tzinfo=self)

    def __str__(self) -> str:
        """Return the name of the zone."""
        return str(self._zone)


def _note_use(zone: tzinfo | None) -> None:
    if isinstance(zone, GivenZone):
        zone.is_used = True


class LocalTimes:
    """Reads the local times of one file, in its order.

    In autumn one hour occurs twice. It is the second one if times go back within it, or, in a file
    with the newest rows first, if they come before the rows above. Which rows come first is known
    once a file was read: who reads it twice (``restart``) is right, too, if it begins in that hour.

    Args:
        zone: the time zone of the file; ``None``: that of this machine.

    Attributes:
        zone: the same.
        twice: number of times read that occur twice.
        first: the first of them, as written.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self.zone = zone
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

    def offsets_of(self, local: datetime) -> set[timedelta | None]:
        """Return the offsets that a local time may have: two in an hour that comes twice."""
        return {local.replace(tzinfo=self.zone, fold=fold).utcoffset() for fold in (0, 1)}

    def moment(self, local: datetime) -> datetime:
        """Return a local time with its zone.

        Raises:
            ReadingError: the time was skipped when clocks were put forward.
        """
        _note_use(self.zone)
        # Both readings of a local time, before and after the clocks are put back.
        early, late = (local.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        # PEP 495: fold 0 and 1 differ in an hour that is repeated or skipped; a skipped one has the
        # smaller offset first.
        change = (early.utcoffset() or timedelta()) - (late.utcoffset() or timedelta())
        if change < timedelta():
            raise ReadingError(
                "at",
                shown_value(local.isoformat()),
                f"never was in {self.zone}: clocks were put forward then. Correct it, or "
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
            f"{times} twice in {self.zone}, the first is {self.first}: the "
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
    if isinstance(value, str):
        _refuse_shortened(value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            seconds = _number(value)
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


def _number(value: str | float) -> float:
    """Return a number, also of a spreadsheet with a decimal comma; raises as ``float`` does."""
    return float(value.replace(",", ".", 1) if isinstance(value, str) else value)


def _refuse_shortened(text: str) -> None:
    """Refuse a number of which only the first digits are written, as ``1.79E+12``.

    Raises:
        ReadingError: it is one.
    """
    number = _SHORTENED.fullmatch(text.strip())
    if number is None:
        return
    lost = int(number["digits"]) - len(number["shown"] or "")
    units = (
        per_second for least, per_second in _UNITS_FROM if 10 ** int(number["digits"]) >= least
    )
    is_cut = len(number["shown"] or "") <= _SHOWN_MOST and lost > 0
    if is_cut and 10**lost > next(units, 1.0):  # more than a second
        raise ReadingError(
            "at",
            shown_value(text),
            "is a number that a spreadsheet has shortened: its last digits are lost. Take the file "
            "that the device wrote, or format the column as a number without decimals before you "
            "save it.",
        )


def is_without_zone(text: str) -> bool:
    """Return whether a text is a date and time of day that names no time zone.

    Example:
        >>> is_without_zone("2026-10-05 09:04:12"), is_without_zone("2026-10-05T09:04:12Z")
        (True, False)
    """
    with suppress(ValueError):
        float(text)  # seconds, which ``fromisoformat`` would take for a date
        return False
    with suppress(ValueError):
        return datetime.fromisoformat(text).tzinfo is None
    return False


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
                _note_use(zone)
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


def check_error(error: float | None) -> float | None:
    """Return the expected absolute error of a reading, in the unit of its kind.

    Raises:
        ReadingError: it is no number from 0 to ``LARGEST_ERROR``.
    """
    if error is not None and not 0 <= error <= LARGEST_ERROR:
        raise ReadingError(
            "error",
            shown_value(error),
            f"is not between 0 and {LARGEST_ERROR:,.0f}. Send the expected absolute error in the "
            "unit of the value, or leave it out.",
        )
    return error


class BeatTimes:
    """Spreads the intervals between beats of one packet.

    The last one ended at the time of the packet, and each earlier one when the next began. The
    order is kept: if a packet contains more time than has passed since the one before, its
    intervals move closer together. None lies before its source began (``begin``): what would gets
    ``clock_differs``, since when it was measured is not known.

    Example:
        >>> at = Instant(0, 1_700_000_000_000)
        >>> packet = [VitalReading(at, VitalKind.RR_INTERVAL, s, "strap") for s in (0.9, 0.8)]
        >>> [beat.at.wall_ms - at.wall_ms for beat in BeatTimes().spread(packet)]
        [-800, 0]
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._began: dict[str, int] = {}

    def begin(self, source: str, at: Instant) -> None:
        """Note that a source has given nothing before a time."""
        self._began[source] = at.wall_ms

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
                next_of[reading.source] = _with_time(reading, at_ms[place])
        spread = list(readings)
        for place in sorted(at_ms):
            reading = readings[place]
            last = self._last.get(reading.source)
            began = self._began.get(reading.source)
            if began is not None and at_ms[place] < min(began, reading.at.wall_ms):
                at_ms[place] = min(began, reading.at.wall_ms)
                reading = replace(reading, flags=reading.flags | {VitalFlag.CLOCK_DIFFERS})
            # The next packet begins at least one millisecond later, or two beats would have one
            # time.
            if last is not None and last <= reading.at.wall_ms:  # else the newest come first
                at_ms[place] = max(at_ms[place], last + 1)
            spread[place] = _with_time(reading, at_ms[place])
            self._last[reading.source] = at_ms[place]
        return spread

    def spread_all(self, readings: Iterable[VitalReading]) -> Iterator[VitalReading]:
        """Spread readings of many times; those of one packet must follow each other."""
        for packet in bounds.together(readings, lambda reading: reading.at.wall_ms):
            yield from self.spread(packet)


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


def place_in_time(
    readings: Iterable[VitalReading],
    there: Callable[[VitalReading], float | None],
    *,
    of_file: bool = False,
) -> Iterator[tuple[VitalReading, bool]]:
    """Move readings to the next free millisecond if their time has another value already.

    Args:
        readings: those of one measurement follow each other.
        there: returns the stored value for a reading's kind, source and time, or ``None``. It is
            called again after the readings yielded before were stored.
        of_file: whether a person can give the readings times of their own, and is told to.

    Returns:
        Each reading, and whether it is new; otherwise it is stored with the same value, or, where
            they are of no file, has no place in the second after its time.

    Raises:
        DataFileError: more readings of a file than ``MOST_OF_ONE_TIME`` have one time.
    """
    # All of one time together: which of them are one measurement shows only then.
    for together in bounds.together(readings, lambda reading: reading.at.wall_ms):
        if len(together) == 1:  # as most are: nothing of its time moves with it
            stored = there(together[0])
            if stored in {None, together[0].value}:
                yield together[0], stored is None
                continue
        done: dict[int, tuple[VitalReading, bool]] = {}
        own: dict[tuple[str, VitalKind, int], float] = {}
        for places in measurements(together):
            # The parts of one measurement move together, or their pressures would no longer fit.
            for later_ms in range(MOST_OF_ONE_TIME):
                if later_ms > _TRIED_FREELY:
                    bounds.add_work(_STEPS_OF_TRY)
                moved = [
                    _with_time(one, one.at.wall_ms + later_ms)
                    for one in map(together.__getitem__, places)
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
            else:
                if of_file:
                    first = together[places[0]]
                    raise DataFileError(
                        f"{first.source}: more than {MOST_OF_ONE_TIME} readings of "
                        f"{first.kind.spec.name_in_text} have the time "
                        f"{iso_utc(first.at.wall_ms)}: it is not that of each. Give each row a "
                        "time of its own. Nothing was imported."
                    )
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


def _with_time(reading: VitalReading, wall_ms: int) -> VitalReading:
    """Return a reading with another time; an unknown boot time stays unknown."""
    moved_ms = wall_ms - reading.at.wall_ms
    if not moved_ms:
        return reading
    boot_ms = reading.at.boot_ms and reading.at.boot_ms + moved_ms
    return replace(reading, at=Instant(boot_ms, wall_ms))


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
