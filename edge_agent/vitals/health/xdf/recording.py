"""A recording of the Lab Streaming Layer: its readings, markers, sessions and faces."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from edge_agent.core import bounds
from edge_agent.core.bounds import printable
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import DataFileError, StudyError
from edge_agent.core.lab_streams import MarkerSample, MarkerSamples
from edge_agent.core.readings import BeatSums, BeatTimes, VitalReading
from edge_agent.core.study import (
    LABEL_LENGTH,
    SESSION_END,
    SESSION_START,
    MarkerKind,
    NewMarker,
    read_order,
)
from edge_agent.core.texts import N_, Message
from edge_agent.core.unmet import unmet_choices
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.column_names import how_to_choose
from edge_agent.vitals.health.files import ExportMember, RowValidator, readable
from edge_agent.vitals.health.samples import SampleChannel
from edge_agent.vitals.health.xdf.container import Container, XdfStream, is_xdf, walk
from edge_agent.vitals.health.xdf.samples import Samples, SamplesError, read_samples, require_pyxdf
from edge_agent.vitals.health.xdf.streams import (
    ChannelReading,
    StreamPlan,
    StreamRole,
    other_units,
    part_sources,
    plan,
)
from edge_agent.vitals.health.xdf.times import (
    OtherClocks,
    OwnClock,
    Spot,
    WallClock,
    first_samples,
    measurements,
    other_clocks,
    own_clock,
    wall_clock,
)
from edge_agent.vitals.passed_over import ColumnNotTaken, Remark, Row, Rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STREAMS_SHOWN = 200
_FLOOD_HZ = 10.0
"""A stream without a rate that is faster is averaged, as a live one is."""
_AT_ONCE = 65_536
_SAME_MS = 100
"""A marker that two streams have at nearly one time is one: ours passes on those of programs."""
_CLOCK_SET_S = 1.0
"""A clock whose distance to that of the recorder changes by more at once was set."""
_PAUSE_S = 5.0
_SHARED = N_(
    "{file}: --marker {text}=… is a text of several streams: {streams}. Say of which: {ways}. "
    "Nothing was imported."
)
_NOTHING = N_("{file}: has no streams. Nothing was imported.")


@dataclass(frozen=True, slots=True)
class RecordedMarker:
    """A marker of a recording.

    Attributes:
        at_ms: UTC milliseconds.
        kind: what happened.
        label: condition or note.
    """

    at_ms: int
    kind: MarkerKind
    label: str


@dataclass(frozen=True, slots=True)
class RecordedFace:
    """The mean of the samples of a face in a second.

    Attributes:
        at_ms: time of the last of them, UTC milliseconds.
        samples: how many samples.
        values: mean by channel; NaN: none of them has it.
        last: the last sample by channel.
        is_simulated: whether nobody was there.
    """

    at_ms: int
    samples: int
    values: Mapping[str, float]
    last: Mapping[str, float]
    is_simulated: bool


@dataclass(slots=True)
class XdfRecording:
    """A recording, opened.

    Attributes:
        name: of its file.
        container: its chunks.
        plans: the use of each stream.
        remarks: sentences about what was read, filled while it is.
        unmet: sentences about orders of markers that no text met.
    """

    name: str
    container: Container
    plans: list[StreamPlan]
    _pyxdf: Any
    _file: BinaryIO
    _clock: WallClock | None = None
    _left: dict[int, str] = field(default_factory=dict)
    _shifts: dict[int, float] = field(default_factory=dict)
    _damaged: set[int] = field(default_factory=set)
    _untimed: set[int] = field(default_factory=set)
    _home: Container = field(init=False)
    _others: dict[int, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    unmet: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._home = self.container

    @property
    def clock(self) -> WallClock:
        """The times of day."""
        assert self._clock is not None, "open_recording sets it"
        return self._clock

    def of(self, role: StreamRole) -> list[StreamPlan]:
        """Return the streams that become something."""
        return [
            one for one in self.plans if one.role is role and one.stream.number not in self._left
        ]

    def heads(self) -> list[str]:
        """Return sentences about the whole file and each of its streams."""
        told = [self.clock.sentence]
        if self.container.is_cut:
            told.append("the file ends within a chunk: it was read up to there.")
        if self.container.damaged:
            places = (
                "one place" if self.container.damaged == 1 else f"{self.container.damaged} places"
            )
            told.append(
                f"it is damaged at {places}; what lies up to the next boundary is left out."
            )
        return told + self._streams()

    def _streams(self) -> list[str]:
        told = [f"{one.sentence}." for one in self.plans[:_STREAMS_SHOWN]]
        if len(self.plans) > _STREAMS_SHOWN:
            told.append(f"… and {len(self.plans) - _STREAMS_SHOWN} more streams.")
        return told

    def channels_not_taken(self) -> list[str]:
        """Return sentences about channels beside those that become readings."""
        return [f"{name} {why}." for one in self.plans for name, why in one.not_taken]

    def samples(self, one: StreamPlan, places: Sequence[int]) -> Samples | None:
        """Return the samples of a stream; ``None``: they cannot be read, which is remarked."""
        stream = one.stream
        try:
            samples = self._read(stream, places)
        except SamplesError as error:
            if stream.number not in self._left:
                self._left[stream.number] = str(error)
                self.remarks.append(f"stream {stream.title} {error}; it is left out.")
            return None
        self._shifts[stream.number] = samples.shift_s
        if samples.damaged and stream.number not in self._damaged:
            self._damaged.add(stream.number)
            chunks = "1 chunk" if samples.damaged == 1 else f"{samples.damaged} chunks"
            self.remarks.append(
                f"stream {stream.title}: {chunks} of samples are damaged, and left out."
            )
        if samples.untimed and stream.number not in self._untimed:
            self._untimed.add(stream.number)
            self.remarks.append(
                f"stream {stream.title}: samples whose time is none in seconds, left out: "
                f"{samples.untimed}."
            )
        return samples

    def _read(self, stream: XdfStream, places: Sequence[int]) -> Samples:
        """Return samples with times by the clock of the recorder.

        Raises:
            SamplesError: they cannot be read.
        """
        apart_s = self._others.get(stream.number)
        if apart_s is None:
            return read_samples(self._pyxdf, self._file, stream, places)
        samples = self._read_unmeasured(stream, places)
        return replace(samples, times=samples.times + apart_s)

    def _read_unmeasured(self, stream: XdfStream, places: Sequence[int]) -> Samples:
        """Return samples with the times that the sender gave them.

        Raises:
            SamplesError: they cannot be read.
        """
        unmeasured = replace(stream, clocks=array("d"))
        return read_samples(self._pyxdf, self._file, unmeasured, places)

    def find_clock(self, validator: RowValidator) -> None:
        """Find out when it took place.

        Raises:
            DataFileError: nothing tells it.
        """
        others = self._other_clocks()
        if others is not None:
            self._home = others.without(self.container)
        if validator.start_ms is not None and not any(first_samples(self._home)):
            others, self._home = None, self.container  # the time that is given is that of all
        own: list[OwnClock] = []
        if validator.start_ms is None:
            for one in self.plans:
                if one.is_ours and (told := own_clock(one.stream, 0.0)) is not None:
                    samples = self.samples(one, range(len(one.stream.channels)))
                    if samples is not None and len(samples.times):
                        told = own_clock(one.stream, samples.shift_s)
                        own += [told] if told else []
        # the clock is set from the network some time after the start: the last one knows best
        own.sort(key=lambda clock: (clock.is_set, clock.stamp_s))
        self._clock = wall_clock(
            self.name,
            self._home,
            own,
            start_ms=validator.start_ms,
            zone=validator.zone,
            streams="\n".join(self._streams()),
        )
        if validator.start_ms is not None:
            zero_s = self._first_s(self._clock.zero_s)
            self._clock = replace(self._clock, zero_s=zero_s)
        if others is not None:
            self._place(others)

    def _other_clocks(self) -> OtherClocks | None:
        """Return the streams with another clock than that of the recording; mostly none."""
        measured = [*measurements(self.container)]
        firsts = [Spot(at_s, at_s, stream.number) for at_s, stream in first_samples(self.container)]
        if other_clocks([*measured, *firsts]) is None:
            return None
        # A recording can last for days: where its streams begin is not yet where they lie.
        lasting = []
        for spot in firsts:
            with suppress(SamplesError):
                stream = self.container.streams[spot.number or 0]
                times = self._read_unmeasured(stream, [0]).times
                lasted_s = float(times[-1] - times[0]) if len(times) else 0.0
                lasting.append(spot._replace(last_s=spot.first_s + lasted_s))
        return other_clocks([*measured, *lasting])

    def _place(self, others: OtherClocks) -> None:
        """Place the streams with another clock by their times of day, or leave them out."""
        for number in sorted(others.numbers):
            stream = self.container.streams[number]
            first_s = stream.first_s or 0.0
            apart = f"{abs(first_s - others.first_s):,.0f} s"
            sentence = (
                f"stream {stream.title}: its clock is another one than that of the recording: its "
                f"times lie {apart} apart"
            )
            if others.are_times_of_day(first_s, self.clock):
                self._others[number] = self.clock.zero_s - self.clock.wall_ms / 1000
                self.remarks.append(
                    f"{sentence}. They count from 1970, are times of day, and are stored as such."
                )
            else:
                self._left[number] = "has another clock"
                self.remarks.append(
                    f"{sentence}, and no day is known for them; it is left out. Write it into a "
                    "file of its own, and give the time of its first sample."
                )

    def _first_s(self, sent_s: float) -> float:
        """Return the time of the first sample of all as it is read: smoothed by its rate.

        Args:
            sent_s: its time as it was sent, for a stream that cannot be read.
        """
        firsts = min(first_samples(self._home), default=None, key=itemgetter(0))
        if firsts is not None:
            with suppress(SamplesError):
                times = read_samples(self._pyxdf, self._file, firsts[1], [0]).times
                return float(times[0]) if len(times) else sent_s
        return sent_s

    def remark_on_times(self, stream: XdfStream, times: NDArray[np.float64]) -> None:
        """Remark on a clock that began anew, and on the longest pause of a stream with a rate."""
        pairs = stream.clocks
        apart = [pairs[at] - pairs[at - 2] for at in range(2, len(pairs), 2)]
        moved = [pairs[at] - pairs[at - 2] for at in range(3, len(pairs), 2)]
        resets = sum(
            passed < 0 or abs(by) > _CLOCK_SET_S
            for passed, by in zip(apart, moved, strict=True)
            if bounds.is_number(passed) and bounds.is_number(by)
        )
        if resets:
            often = "once" if resets == 1 else f"{resets} times"
            self.remarks.append(
                f"stream {stream.title}: its clock began anew or was set {often}; the measurements "
                "of the recorder put its parts in order."
            )
        steps = times[1:] - times[:-1]
        longest_s = float(steps.max()) if stream.rate_hz and len(steps) else 0.0
        if longest_s > max(_PAUSE_S, 10 / (stream.rate_hz or 1.0)):
            from_ms = round(self.clock.at_ms(float(times[int(steps.argmax())])))
            self.remarks.append(
                f"stream {stream.title}: no samples for {longest_s:.0f} s from {iso_utc(from_ms)}; "
                "no longer pause is in it."
            )

    def span_of(self, one: StreamPlan) -> tuple[float, float]:
        """Return the times of a stream's first and last sample; 0 where it has none."""
        samples = self.samples(one, [0])
        if samples is None or not len(samples.times):
            return 0.0, 0.0
        return float(samples.times[0]), float(samples.times[-1])

    def span_ms(self) -> tuple[int, int]:
        """Return from when to when it has samples or measurements of a clock, the last included."""
        stamps = [first_s for first_s, _ in first_samples(self._home)]
        stamps += [spot.first_s for spot in measurements(self._home)]
        for one in self.plans:
            if one.role is not StreamRole.NOTHING and one.stream.number not in self._left:
                samples = self.samples(one, [0])
                if samples is not None and len(samples.times):
                    stamps += [float(samples.times[0]), float(samples.times[-1])]
        times = [self.clock.at_ms(stamp) for stamp in stamps] or [0.0]
        return math.floor(min(times)), math.floor(max(times)) + 1

    def readings(self, validator: RowValidator) -> Rows:
        """Yield the readings of all streams, and what of them gives none."""
        for one in self.of(StreamRole.READINGS):
            yield from (
                _own_readings(self, one, validator)
                if one.is_ours
                else _readings(self, one, validator)
            )

    def markers(self, orders: Mapping[str, str]) -> list[RecordedMarker]:
        """Return the markers in the order of time.

        Args:
            orders: text of a sample → what it means, as programs order it.
        """
        return _Markers(self, orders).in_order()

    def sessions(self) -> list[tuple[int, int]]:
        """Return start and end of the sessions that our own stream tells."""
        return _sessions(self)

    def faces(self, role: StreamRole) -> Iterator[RecordedFace]:
        """Yield the means of each second of the samples of a face."""
        for one in self.of(role):
            yield from _faces(self, one)


def is_recording_at(path: Path) -> bool:
    """Tell whether a path is a file with a recording."""
    if not path.is_file():
        return False
    with readable(str(path)), path.open("rb") as file:
        return is_xdf(file.read(4))


def is_recording(_name: str, head: bytes) -> bool:
    """Recognise a recording by its first bytes."""
    return is_xdf(head)


@contextmanager
def open_recording(member: ExportMember, validator: RowValidator) -> Iterator[XdfRecording]:
    """Open a recording and find out when it took place.

    Raises:
        DataFileError: pyxdf is missing, it is no recording, has no stream, or tells no time of day.
    """
    pyxdf = require_pyxdf(member.name)
    with readable(member.name), member.open() as file:
        container = walk(member.name, file, member.size)
        if not container.streams:
            raise DataFileError(_NOTHING, file=member.name)
        plans = plan(member.name, container.streams.values(), validator.channels)
        recording = XdfRecording(member.name, container, plans, pyxdf, file)
        recording.remarks += other_units(plans, validator.channels)
        recording.find_clock(validator)
        recording.plans = part_sources(recording.plans, recording.span_of)
        yield recording


def read_recording(member: ExportMember, validator: RowValidator) -> Rows:
    """Read the readings of a recording, and say for each stream how it is used.

    Raises:
        DataFileError: as ``open_recording``.
    """
    with open_recording(member, validator) as recording:
        for sentence in recording.heads():
            yield Remark(member.name, sentence)
        for one in recording.plans:
            yield from _not_taken(member.name, one)
        yield from recording.readings(validator)
        for sentence in recording.remarks:
            yield Remark(member.name, sentence)


def _not_taken(file: str, one: StreamPlan) -> Iterator[Row]:
    """Yield what of a stream gives no reading."""
    if one.role is StreamRole.NOTHING:
        yield ColumnNotTaken(file, one.stream.title, one.why)
    elif one.role is not StreamRole.READINGS:
        yield ColumnNotTaken(file, one.stream.title, f"has {one.role}, which import-study takes")
    for name, why in one.not_taken:
        yield ColumnNotTaken(file, name, why)


def _own_readings(recording: XdfRecording, one: StreamPlan, validator: RowValidator) -> Rows:
    """Yield the readings of one of our own streams, with their flags."""
    samples = recording.samples(one, (0, 1))
    if samples is None:
        return
    (reading,) = one.readings
    source = validator.device(one.source, one.source, is_certain=True)
    for number, (stamp_s, (value, bits)) in enumerate(
        zip(samples.times, samples.values, strict=True)
    ):
        if math.isnan(value):
            continue
        flags = frozenset(
            flag for bit, flag in one.flags.items() if bounds.is_number(bits) and int(bits) & bit
        )
        where = f"{recording.name}, {one.stream.title}, sample {number}"
        item = {
            "kind": reading.kind.value,
            "value": reading.scale.convert(float(value)),
            "unit": reading.kind.unit,
            "at": _time(recording, float(stamp_s)),
        }
        yield validator.row(where, item, source, flags)


def _time(recording: XdfRecording, stamp_s: float) -> int:
    return round(recording.clock.at_ms(stamp_s))


def _readings(recording: XdfRecording, one: StreamPlan, validator: RowValidator) -> Rows:
    """Yield the readings of the channels of a stream of another program."""
    places = [reading.place for reading in one.readings]
    samples = recording.samples(one, places)
    if samples is None:
        return
    recording.remark_on_times(one.stream, samples.times)
    source = validator.device(one.source, one.source)
    for column, reading in enumerate(one.readings):
        name = one.stream.channel_name(reading.place)
        values = samples.values[:, column].astype(float)
        if why := _doubt_of_values(reading, values, name):
            yield ColumnNotTaken(recording.name, name, why)
            continue
        rows = _of_channel(recording, one.stream, reading, (samples, values), (source, validator))
        if reading.kind is not VitalKind.RR_INTERVAL:
            yield from rows
            continue
        beats = _spread(list(rows))
        sums = BeatSums()
        sums.add(row for row in beats if isinstance(row, VitalReading))
        if sums.problem:
            yield ColumnNotTaken(recording.name, name, sums.problem.rstrip("."))
        else:
            yield from beats


def _spread(rows: list[Row]) -> list[Row]:
    """Spread beats of one time over the seconds that they lasted."""
    beats = [row for row in rows if isinstance(row, VitalReading)]
    others = [row for row in rows if not isinstance(row, VitalReading)]
    return [*BeatTimes().spread_all(beats), *others]


def _doubt_of_values(reading: ChannelReading, values: NDArray[np.float64], name: str) -> str:
    """Return why values are none of a kind that was only guessed; empty: they may be."""
    low, high = reading.kind.plausible
    converted = (reading.scale.convert(float(value)) for value in values if math.isfinite(value))
    if reading.is_chosen or any(low <= value <= high for value in converted):
        return ""
    what = reading.kind.spec.name_in_text
    return (
        f"has a name of {what}, and no plausible value of it. If it is, say so: "
        f"{how_to_choose(reading.kind, name)}"
    )


def _of_channel(
    recording: XdfRecording,
    stream: XdfStream,
    reading: ChannelReading,
    given: tuple[Samples, NDArray[np.float64]],
    made_by: tuple[str, RowValidator],
) -> Rows:
    """Yield the readings of a channel; samples without a value are gaps."""
    samples, values = given
    times = samples.times
    lasting_s = float(times[-1] - times[0]) if len(times) else 0.0
    is_even = bool(stream.rate_hz) or len(times) > _FLOOD_HZ * max(lasting_s, 1.0)
    is_even &= reading.kind is not VitalKind.RR_INTERVAL
    channel = SampleChannel(reading.kind, *made_by, reading.scale, is_even=is_even)
    name = f"{recording.name}, {stream.channel_name(reading.place)}"
    for number, (stamp_s, value) in enumerate(_pairs(times, values)):
        if value == value:  # noqa: PLR0124 - NaN is XDF's mark of a missing value
            at_s = recording.clock.at_ms(stamp_s) / 1000
            yield from channel.add(f"{name}, sample {number}", at_s, repr(value))
    yield from channel.finish(name)


def _pairs(
    times: NDArray[np.float64], values: NDArray[np.float64]
) -> Iterator[tuple[float, float]]:
    """Yield time and value of each sample; never all of them as objects."""
    for place in range(0, len(times), _AT_ONCE):
        part = slice(place, place + _AT_ONCE)
        yield from zip(times[part].tolist(), values[part].tolist(), strict=True)


class _Text(NamedTuple):
    """A sample of a stream of markers.

    Attributes:
        at_ms: when, UTC milliseconds.
        stream: whose sample.
        text: what it says.
        is_note: whether it stands beside the text that can be an order.
    """

    at_ms: int
    stream: XdfStream
    text: str
    is_note: bool = False

    @property
    def ways(self) -> tuple[str, str, str]:
        """How it can be named, the narrowest first."""
        text = self.text
        return f"stream {self.stream.number}/{text}", f"{self.stream.title}/{text}", text


class _Markers:
    """Makes markers of the texts of streams.

    Args:
        recording: the recording.
        orders: text of a sample → what it means; a text can stand behind its stream and a slash.
    """

    def __init__(self, recording: XdfRecording, orders: Mapping[str, str]) -> None:
        self._recording = recording
        self._orders = orders
        self._cut = 0
        self._empty = 0

    def in_order(self) -> list[RecordedMarker]:
        """Return the markers of all streams in the order of time.

        Raises:
            DataFileError: an order is for a text that two streams have.
        """
        streams = self._recording.of(StreamRole.MARKERS)
        texts = [text for one in streams for text in self._texts(one)]
        self._check_orders(texts)
        markers: list[RecordedMarker] = []
        seen: dict[tuple[MarkerKind, str], tuple[int, int]] = {}
        twice = 0
        open_label = ""
        for text in sorted(texts, key=lambda text: (text.at_ms, text.stream.number)):
            marker = self._marker(text, open_label)
            if marker is None:
                continue
            if marker.kind is MarkerKind.STIMULUS_START:
                open_label = marker.label
            key = (marker.kind, marker.label)
            at_ms, stream = text.at_ms, text.stream.number
            before_ms, other = seen.get(key, (-_SAME_MS, stream))
            seen[key] = (at_ms, stream)
            if other != stream and at_ms - before_ms < _SAME_MS:
                twice += 1
                continue
            markers.append(marker)
        self._tell(twice)
        return markers

    def _texts(self, one: StreamPlan) -> Iterator[_Text]:
        """Yield the texts of a stream."""
        repeated = 0
        for at_ms, sample in _events(self._recording, one):
            if sample is None:
                repeated += 1
                continue
            if sample.text or not sample.notes:
                yield _Text(at_ms, one.stream, sample.text)
            yield from (_Text(at_ms, one.stream, note, is_note=True) for note in sample.notes)
        if repeated:
            self._recording.remarks.append(
                f"stream {one.stream.title}: its samples come at a rate, so a text is a marker "
                f"where it changes; samples without a change: {repeated}."
            )

    def _way(self, text: _Text) -> str | None:
        """Return the order's name of a text, the narrowest that was given."""
        ways = () if text.is_note else text.ways
        return next((way for way in ways if way in self._orders), None)

    def _check_orders(self, texts: Sequence[_Text]) -> None:
        """Ask where one order is for the texts of several streams; report one for none."""
        of_way: dict[str | None, dict[int, list[_Text]]] = {}
        of_text: dict[str, set[str]] = {}
        for text in texts:
            of_way.setdefault(self._way(text), {}).setdefault(text.stream.number, []).append(text)
            if text.text and not text.is_note:
                of_text.setdefault(text.text, set()).add(text.stream.title)
        spans: dict[int, tuple[int, int]] = {}
        for text in texts:
            first_ms, last_ms = spans.get(text.stream.number, (text.at_ms, text.at_ms))
            spans[text.stream.number] = min(first_ms, text.at_ms), max(last_ms, text.at_ms)
        for way in self._orders:
            of_stream = sorted(of_way.get(way, {}).values(), key=lambda ones: ones[0].at_ms)
            for place, ones in enumerate(of_stream[1:]):
                for others in (of_stream[0], of_stream[place]):
                    if not _are_of_one(ones, others, spans):
                        self._refuse(way, others[0], ones[0])
        there = {
            way
            for text, titles in of_text.items()
            for way in ([text] if len(titles) == 1 else [f"{title}/{text}" for title in titles])
        }
        named = {f"{title}/{text}" for text, titles in of_text.items() for title in titles}
        for way in self._orders:
            if way not in of_way:
                # Who names a stream sees the streams.
                known = named if "/" in way else there
                self._recording.unmet += unmet_choices("--marker", [way], known)

    def _refuse(self, way: str, *texts: _Text) -> None:
        titles = {text.stream.title for text in texts}
        names = [text.ways[1] if len(titles) == len(texts) else text.ways[0] for text in texts]
        raise DataFileError(
            _SHARED,
            file=self._recording.name,
            text=way,
            streams=", ".join(text.stream.title for text in texts),
            ways=", ".join(f"--marker '{name}=…'" for name in names),
        )

    def _marker(self, text: _Text, open_label: str) -> RecordedMarker | None:
        way = self._way(text)
        line = printable((text.text if way is None else self._orders[way]).strip())
        try:
            order = read_order(f"{MarkerKind.NOTE}/{line}" if text.is_note else line)
        except StudyError:
            if not line:
                self._empty += 1
                return None
            self._cut += 1
            order = NewMarker(MarkerKind.NOTE, f"{line[: LABEL_LENGTH - 1]}…")
        if not isinstance(order, NewMarker):
            return None  # the start or the end of a session
        label = order.label
        if not label and order.kind is MarkerKind.STIMULUS_END:
            label = open_label
        if not label and order.kind is MarkerKind.BASELINE:
            label = "neutral"
        if not label:
            self._empty += 1
            return None
        return RecordedMarker(text.at_ms, order.kind, label)

    def _tell(self, twice: int) -> None:
        for count, what in (
            (twice, "markers that two streams have at one time, stored once"),
            (self._cut, f"markers with more than {LABEL_LENGTH} signs, which are cut"),
            (self._empty, "samples of markers without a text or label, left out"),
        ):
            if count:
                self._recording.remarks.append(f"{what}: {count}.")


def _are_of_one(
    ones: Sequence[_Text], others: Sequence[_Text], spans: Mapping[int, tuple[int, int]]
) -> bool:
    """Return whether the same texts of two streams are of one sender.

    It is so where both have each of them at nearly one time (ours passes on those of programs), and
    where a stream of the same name begins after the other: a program that was started again.
    """
    few, many = sorted(([text.at_ms for text in ones], [text.at_ms for text in others]), key=len)
    if all(_is_near(at_ms, many) for at_ms in few):
        return True
    first, second = ones[0].stream, others[0].stream
    (_, first_end), (second_begin, _) = sorted((spans[first.number], spans[second.number]))
    return first.title == second.title and first_end <= second_begin


def _is_near(at_ms: int, times: Sequence[int]) -> bool:
    """Return whether one of some times, which are in their order, is nearly this one."""
    place = bisect_left(times, at_ms)
    return any(abs(at_ms - near_ms) < _SAME_MS for near_ms in times[max(0, place - 1) : place + 1])


def _events(recording: XdfRecording, one: StreamPlan) -> Iterator[tuple[int, MarkerSample | None]]:
    """Yield time and content of each sample of a stream of markers; ``None``: it is no event."""
    samples = recording.samples(one, range(len(one.stream.channels)))
    if samples is None:
        return
    is_text, values = one.stream.is_text, samples.values
    known, rows = ((row if is_text else row.tolist() for row in values) for _ in range(2))
    decoded = MarkerSamples(MarkerSamples.first_of(known) if len(one.stream.channels) > 1 else 0)
    for stamp_s, row in zip(samples.times, rows, strict=True):
        yield _time(recording, float(stamp_s)), decoded.read(row, one.stream.rate_hz)


def _sessions(recording: XdfRecording) -> list[tuple[int, int]]:
    texts = sorted(
        (at_ms, sample.text)
        for one in recording.of(StreamRole.SESSIONS)
        for at_ms, sample in _events(recording, one)
        if sample is not None
    )
    if not texts:
        return []
    first_ms, last_ms = recording.span_ms()
    spans: dict[str, list[int]] = {}
    for at_ms, text in texts:
        word, _, number = text.partition("/")
        if word == SESSION_START:
            spans.setdefault(number, [at_ms, last_ms])
        elif word == SESSION_END:
            spans.setdefault(number, [first_ms, at_ms])[1] = at_ms
    return sorted((start, end) for start, end in spans.values() if start < end)


def _faces(recording: XdfRecording, one: StreamPlan) -> Iterator[RecordedFace]:
    """Yield one mean a second, at the time of its last sample, so that it lies in its session."""
    labels = [channel.label for channel in one.stream.channels]
    is_simulated = one.nature == "simulated"
    samples = _of_faces(recording, one, labels)
    for pairs in bounds.together(samples, lambda sample: sample[0] // 1000):
        rows = [values for _, values in pairs]
        last = dict(zip(labels, rows[-1], strict=True))
        yield RecordedFace(pairs[-1][0], len(rows), _mean(labels, rows), last, is_simulated)


def _of_faces(
    recording: XdfRecording, one: StreamPlan, labels: Sequence[str]
) -> Iterator[tuple[int, list[float]]]:
    """Yield time and values of the samples in which a face was read."""
    samples = recording.samples(one, range(len(labels)))
    if samples is None:
        return
    rejected = labels.index("rejected") if "rejected" in labels else None
    refused = 0
    for stamp_s, row in zip(samples.times.tolist(), samples.values, strict=True):
        values = [float(value) for value in row]
        if rejected is not None and values[rejected] == 1:
            refused += 1
        elif not all(map(math.isnan, values)):
            yield _time(recording, stamp_s), values
    if refused:
        recording.remarks.append(
            f"stream {one.stream.title}: samples in which the face could not be read, for a reason "
            f"that the stream does not tell; they are left out: {refused}."
        )


def _mean(labels: Sequence[str], rows: list[list[float]]) -> dict[str, float]:
    means = {}
    for label, column in zip(labels, zip(*rows, strict=True), strict=True):
        finite = [value for value in column if math.isfinite(value)]
        means[label] = math.fsum(finite) / len(finite) if finite else math.nan
    return means
