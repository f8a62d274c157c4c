"""One set of rules for the readings that others send, by message, page or file.

Every reading that can be understood is accepted: an implausible value gets the flag
``out_of_range``, a time that must come from a wrong clock ``clock_differs``. Others are refused
with a ``ReadingError`` that contains field, value and the allowed values.
"""

from __future__ import annotations

import math
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import tzinfo
from functools import cache
from typing import Annotated, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.core import bounds
from edge_agent.core.brought_values import ValuesError, parse_json
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ImpossibleError, ReadingError, shown_value
from edge_agent.core.readings import (
    BeatTimes,
    LocalTimes,
    VitalFlag,
    VitalReading,
    check_error,
    clock_flags,
    device_time,
    measurements,
    time_ms,
)
from edge_agent.core.vitals import UnitConversion, VitalKind

LEAST_PULSE_PRESSURE_MMHG = 10.0
NO_VALUE = frozenset(
    {"", "na", "n/a", "nan", "null", "none", ".", "-", "--", "#n/a", "missing"}
    | {"unavailable", "unknown"}
)
"""What programs write in small or capital letters where there is no value."""
MAX_READINGS = 1000
MAX_BYTES = 256 * 1024
SOURCE_LENGTH = 64
# a file may come from an export, where a source has its prefix and a file's name
_FILE_SOURCE_LENGTH = 400
_THOUSANDS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_PRESSURES = (VitalKind.SYSTOLIC, VitalKind.DIASTOLIC)


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
    error: float | None = Field(
        None,
        description="Expected absolute error of the value, in the same unit, as an armband gives "
        "it for each beat; left out: not known",
    )
    id: str | int | None = Field(
        None, description="The sender's own number or name of it; comes back with the answer"
    )


@dataclass(frozen=True, slots=True)
class ReadingOrigin:
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
        self._given: dict[tuple[str, VitalKind], Instant] = {}

    def stamp(self, source: str, kind: VitalKind, at: Instant) -> Instant:
        """Return ``at``, or the first free millisecond after it."""
        with self._lock:
            if at.boot_ms > self._newest_ms + 1:
                self._given.clear()  # nothing that was given can be met again
            last = self._given.get((source, kind))
            late_ms = 0 if last is None else max(0, last.boot_ms + 1 - at.boot_ms)
            # Each clock is rounded by itself: the next moment of one may be the same of the other.
            if last is not None and at.wall_ms + late_ms == last.wall_ms:
                late_ms += 1
            free = at.shift(late_ms / 1000)
            self._given[source, kind] = free
            self._newest_ms = max(self._newest_ms, free.boot_ms)
        return free


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
        text = payload.decode("utf-8")
        given = parse_json(text, MAX_BYTES, _refuse_constant)
    except UnicodeDecodeError as error:
        raise ReadingError("payload", "", f"is not UTF-8 text (byte {error.start}).") from error
    except ValuesError as error:
        raise ReadingError("payload", "", f"is not JSON ({error}).") from error
    items = given if isinstance(given, list) else [given]
    if not 1 <= len(items) <= MAX_READINGS:
        raise ReadingError(
            "payload", f"of {len(items)} readings", f"is not allowed. Send 1 to {MAX_READINGS}."
        )
    return items


def read_given(
    items: Iterable[object], arrived: Instant, origin: ReadingOrigin, arrivals: ArrivalTimes
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


def reading_of(item: object, arrived: Instant, origin: ReadingOrigin) -> VitalReading:
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
    stamped = device_time(given.get("device_time"))
    error = _error(given.get("error"), origin, scale)
    return VitalReading(at, kind, value, source, flags, stamped, error).flag_implausible()


def flag_near_pressures(readings: Sequence[VitalReading]) -> list[VitalReading]:
    """Flag systolic and diastolic pressures of one measurement that differ by 10 mmHg or less."""
    flagged = list(readings)
    if len(flagged) < len(_PRESSURES):
        return flagged
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
    for of_time in bounds.together(readings, lambda one: (one.source, one.at.wall_ms)):
        yield from flag_near_pressures(of_time)


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


@cache
def known_fields() -> frozenset[str]:
    """Return the names by which others send the fields of a reading."""
    return frozenset(field.alias or name for name, field in GivenReading.model_fields.items())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _fields_of(item: object) -> Mapping[str, object]:
    """Return the fields of a reading after refusing unknown ones."""
    if not isinstance(item, Mapping):
        raise ReadingError("reading", shown_value(item), "is no object with kind and value.")
    fields = known_fields()
    unknown = next((key for key in item if key not in fields), None)
    if unknown is not None:
        raise ReadingError(
            shown_value(unknown),
            "",
            f"is no field of a reading. Known: {', '.join(sorted(fields))}.",
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
        if value is None:
            raise ReadingError(
                "kind", "", f"is missing. Write one of {', '.join(VitalKind)}."
            ) from error
        raise ReadingError(
            "kind", shown_value(value), f"is not one of {', '.join(VitalKind)}."
        ) from error


def _scale(kind: VitalKind, unit: object, needed: bool) -> UnitConversion:
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
        return UnitConversion()
    scale = spec.scale_of(unit) if isinstance(unit, str) else None
    if scale is None:
        unknown = f"is no unit of {kind.value}. Allowed: {allowed}, or empty for {kind.unit}."
        raise ReadingError("unit", shown_value(unit), unknown)
    return scale


def _without_unit(kind: VitalKind, text: str, unit: object) -> tuple[str, object]:
    """Split a text such as ``104 mmHg`` into number and unit, if the unit is one of the kind."""
    number, _, word = text.strip().partition(" ")
    if not word:
        return text, unit
    if kind.spec.scale_of(word) is None:
        return text, unit
    if unit and (not isinstance(unit, str) or kind.spec.scale_of(unit) != kind.spec.scale_of(word)):
        raise ReadingError("unit", shown_value(unit), f"is not the unit of {text}.")
    return number, word


def is_no_value(text: str) -> bool:
    """Return whether a cell of a table is empty, or says that there is no value."""
    return text.strip().lower() in NO_VALUE


def refuse_impossible(kind: VitalKind, value: float) -> None:
    """Refuse impossible values; implausible ones are flagged later.

    Raises:
        ImpossibleError: it is so.
    """
    spec = kind.spec
    if not (spec.is_possible(value) and bounds.is_number(value)):
        low, high = max(spec.possible[0], -bounds.LARGEST), min(spec.possible[1], bounds.LARGEST)
        impossible = (
            f"cannot be {spec.name_in_text}. Possible: {low:g} to {high:g} {spec.unit_shown}."
        )
        raise ImpossibleError("value", f"{value:g} {spec.unit_shown}", impossible)


def _number(value: object, origin: ReadingOrigin, scale: UnitConversion, kind: VitalKind) -> float:
    """Return a value as a number in the unit of its kind."""
    number = math.nan
    with suppress(ValueError, OverflowError):
        if isinstance(value, str) and origin.as_text and "_" not in value:  # 1_000 is Python alone
            text = value.replace(",", ".") if origin.decimal_comma else value
            number = scale.convert(float(text))
            _refuse_thousands(value, number, scale, kind)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = scale.convert(value)
    if math.isinf(number) and scale.is_inverse:
        none = "is no resistance of skin. Leave it out where the sensor had no contact."
        raise ReadingError("value", shown_value(value), none)
    if not math.isfinite(number):
        raise ReadingError("value", *_no_number(value, origin))
    return float(number)


def _error(value: object, origin: ReadingOrigin, scale: UnitConversion) -> float | None:
    """Return an expected error in the unit of its kind; of a resistance there is none."""
    if value is None or value == "" or scale.is_inverse:
        return None
    number = math.nan
    with suppress(ValueError, OverflowError):
        if isinstance(value, str) and origin.as_text and "_" not in value:
            number = float(value.replace(",", ".") if origin.decimal_comma else value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
    if math.isnan(number):
        raise ReadingError("error", shown_value(value), "is not a number.")
    # A difference of two values: the zero of the unit does not matter.
    return check_error(number * scale.factor)


def _no_number(value: object, origin: ReadingOrigin) -> tuple[str, str]:
    """Return a value for a message, and why it is no number."""
    if value is None:
        return "", "is missing. Send a number."
    if isinstance(value, str) and not origin.as_text:
        with suppress(ValueError):
            float(value)
            return shown_value(value), "is text. Send the number without quotation marks."
    return shown_value(value), "is not a number."


def _refuse_thousands(text: str, number: float, scale: UnitConversion, kind: VitalKind) -> None:
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


def _source(value: object, origin: ReadingOrigin) -> str:
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


def _flags(value: object, origin: ReadingOrigin) -> frozenset[VitalFlag]:
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
