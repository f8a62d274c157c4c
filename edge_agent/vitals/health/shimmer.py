r"""Readings of Shimmer sensors, from the tables that ConsensysPRO exports.

The first row may be ``"sep=\t"`` or ``sep=,``; then the names of the columns, then their units,
then the samples. A name is that of the device, a signal and ``CAL`` (calibrated) or ``RAW``:
``Shimmer_8A2F_Timestamp_Unix_CAL`` (``ms`` since 1970, UTC), ``…_Timestamp_FormattedUnix_CAL``
(``yyyy/mm/dd hh:mm:ss.000``, local), ``…_GSR_Skin_Conductance_CAL`` (``uS``), ``…_PPGtoHR_CAL``
(``BPM``). Of several devices in one table each has its own times. Signals and units are those of
Shimmer's Java driver and of public programs that read such tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from edge_agent.core.errors import DataFileError
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.health.files import ExportMember, ExportTable, RowValidator, has_header
from edge_agent.vitals.health.samples import SampleChannel, number_of
from edge_agent.vitals.passed_over import ColumnNotTaken, NotRead, Row, Rows

_LOCAL = "timestamp_formattedunix"
_TIMES = ("timestampsync_unix", "timestamp_unix", _LOCAL)
"""The best first: times that were compared with those of the other devices."""
_KINDS: Mapping[str, VitalKind] = {
    "gsr_skin_conductance": VitalKind.SKIN_CONDUCTANCE,
    "ppgtohr": VitalKind.HEART_RATE,
}
_NOT_TAKEN: Mapping[str, str] = {
    "gsr_skin_resistance": "is the inverse of the conductance",
    "ppg_ibi": "repeats an interval in many rows, so that it is not one for each beat",
    "temperature_bmp280": "is the temperature of the device, and not of the skin",
}
_NOTHING = (
    "has neither GSR_Skin_Conductance_CAL nor PPGtoHR_CAL. Choose them where ConsensysPRO exports "
    "the session."
)
_NO_VITAL = "is no vital sign that is kept"
_COLUMN = re.compile(rf"(?:(.+?)_)?({'|'.join((*_TIMES, *_KINDS, *_NOT_TAKEN))})_cal")
_TIME = re.compile(r"(?:.+_)?timestamp(?:sync)?(?:_unix|_formattedunix)?_(?:cal|raw)")

Places = Mapping[tuple[str, str], int]
"""Device and signal of each column that is known, with its place."""


class _Signal(NamedTuple):
    """A column that is taken.

    Attributes:
        place: of its values.
        at: place of its times.
        is_local: whether these are of a clock without a zone.
        channel: makes the readings.
    """

    place: int
    at: int
    is_local: bool
    channel: SampleChannel


def is_shimmer(_name: str, head: bytes) -> bool:
    """Recognise a table by the names of its columns, one of which has the times."""
    return has_header(head, _is_header)


def _is_header(names: tuple[str, ...]) -> bool:
    is_known = any(_COLUMN.fullmatch(name) for name in names)
    return is_known and any(_TIME.fullmatch(name) for name in names)


def read_shimmer(member: ExportMember, validator: RowValidator) -> Rows:
    """Read a table.

    Raises:
        DataFileError: it is no CSV, has no times of day, or a unit that is not known; or its times
            need a zone.
    """
    signals: list[_Signal] = []
    table = ExportTable(member, _is_header)
    places = _places(table.names)
    if not any(signal in _KINDS for _, signal in places):
        yield NotRead(member.name, _NOTHING)
        return
    yield from _not_taken(member.name, table.header, places)

    def read(where: str, cells: list[str]) -> Iterator[Row]:
        if not signals:  # the first row has the units
            signals.extend(_signals(member, table.header, places, cells, validator))
            return
        for signal in signals:
            at_s = _seconds(cells[signal.at], signal.is_local)
            yield from signal.channel.add(where, at_s, cells[signal.place])

    yield from table.readings(read)
    for signal in signals:
        yield from signal.channel.finish(member.name)


def _places(header: Sequence[str]) -> Places:
    matches = ((place, _COLUMN.fullmatch(name)) for place, name in enumerate(header))
    return {(match[1] or "", match[2]): place for place, match in matches if match}


def _times(places: Places, device: str) -> tuple[int, bool] | None:
    """Return the place of a device's times, and whether they are local; ``None``: it has none."""
    for name in _TIMES:
        if (device, name) in places:
            return places[device, name], name == _LOCAL
    return None


def _not_taken(file: str, names: Sequence[str], places: Places) -> Iterator[Row]:
    """Yield the columns that are not taken; of times those that are not needed, too."""
    devices = {device for device, _ in places}
    used = {times[0] for device in devices if (times := _times(places, device))}
    used |= {place for (_, signal), place in places.items() if signal in _KINDS}
    whys = {place: _NOT_TAKEN.get(signal) for (_, signal), place in places.items()}
    for place, name in enumerate(names):
        if name and place not in used:
            copied = "is a filtered copy" if "_LPF_" in name.upper() else _NO_VITAL
            yield ColumnNotTaken(file, name, whys.get(place) or copied)


def _signals(
    member: ExportMember,
    names: Sequence[str],
    places: Places,
    units: Sequence[str],
    validator: RowValidator,
) -> Iterator[_Signal]:
    """Yield the columns that are taken, with the units of the second row.

    Raises:
        DataFileError: one has no times of day, or a unit that is not known.
    """
    file, place_of_file = member.name, member.place
    for (device, signal), place in places.items():
        kind = _KINDS.get(signal)
        if kind is None:
            continue
        times = _times(places, device)
        if times is None or (not times[1] and units[times[0]].lower() != "ms"):
            raise DataFileError(
                f"{file}, column {names[place]}: has no times of day beside it. Choose the "
                "timestamp in the format Unix (ms) where ConsensysPRO exports the session. Nothing "
                "was imported."
            )
        if times[1]:
            validator.need_zone(file)
        scale = kind.spec.scale_of(units[place])
        if scale is None or not units[place]:
            raise DataFileError(
                f"{file}, column {names[place]}: its unit {units[place]!r} is none of "
                f"{kind.spec.name_in_text}. Known: {', '.join(kind.spec.units)}. Nothing was "
                "imported."
            )
        name = device.removeprefix("shimmer_")
        former = f"shimmer:{name}"
        # Without its name in the columns a device is told by the folder or archive.
        named = former if name else f"shimmer:{place_of_file}"
        source = validator.device(named, former, is_certain=bool(name))
        channel = SampleChannel(kind, source, validator, scale, is_local=times[1])
        yield _Signal(place, *times, channel)


def _seconds(text: str, is_local: bool) -> float:
    """Return a time in seconds since 1970, of its own clock; NaN where it is none."""
    if not is_local:
        return number_of(text) / 1000
    try:
        return datetime.fromisoformat(text.replace("/", "-")).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return math.nan
