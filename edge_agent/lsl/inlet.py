"""Numeric streams of the Lab Streaming Layer as sources of readings, and the search for them.

A laboratory's program sends heart rate, respiration or temperature as a stream; which channel is
what stands in the configuration. ``CorrectedTimes`` are the times of any stream that is read here.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from edge_agent.config.vitals import StreamSettings
from edge_agent.core import bounds, clock
from edge_agent.core.bounds import printable
from edge_agent.core.clock import Every, Instant
from edge_agent.core.errors import ReadingError, VitalsError, VitalsReason
from edge_agent.core.given_readings import ArrivalTimes, refuse_impossible, with_near_pressures
from edge_agent.core.lab_streams import PREFIX
from edge_agent.core.pauses import Pauses
from edge_agent.core.readings import CLOCK_TOLERANCE_S, BeatTimes, Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import UnitConversion, VitalKind
from edge_agent.lsl.outlet import StreamClock, load_pylsl
from edge_agent.vitals.sensor import PAUSES_S, STALL_S, Silence
from edge_agent.vitals.sources import Sink, VitalSource

log = logging.getLogger(__name__)

_RESOLVE_S = 1.0
_OPEN_S = 5.0
_PULL_S = 0.25
_CLOCK_S = 10.0
_CORRECTION_S = 2.0
_LATEST_S = 2.0
"""Lead of a time stamp above which it is a fault of the sender."""
_FLOOD = 10
"""Samples in a second above which a stream is averaged, whatever rate it says."""
_PACKET_S = 0.5
"""Seconds within which all samples of one packet arrive."""
_BEATS_HZ = 5.0
_BEATS_AT_ONCE = 300
"""A heart beats no faster; so many intervals may come at once, of a minute without a connection."""
_LONGEST_PACKET_S = 3600.0
"""More than the beats of one packet last."""
_MOST_HZ = 20_000.0
_MOST_CHANNELS = 1_024
"""No laboratory's stream has more; the library's room for 100,000 Hz took 1.2 GB of memory."""
_LEAST_HZ = 0.001
_BUFFERED_S = 360
_BUFFERED = 100_000
_LEAST_BUFFERED = 1_000
"""Seconds of samples that wait for this thread in the library, and about the most and the fewest.
"""
_NAME_LENGTH = 200
"""Characters of a stranger's name that are shown."""
_STEADY_HZ = 0.5
"""A stream with such a rate is never silent for long."""


class CorrectedTimes:
    """The times of one stream's samples as instants, corrected for the clock of its sender.

    Args:
        inlet: of the stream, opened.
        stamps: converts from the clock of the Lab Streaming Layer on this machine.
        on_correction: called with each new correction, seconds.

    Raises:
        RuntimeError: the sender does not answer.
    """

    def __init__(
        self,
        inlet: Any,
        stamps: StreamClock,
        on_correction: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._inlet = inlet
        self._stamps = stamps
        self._on_correction = on_correction
        self._timer = Every(_CLOCK_S)
        self._correction_s = 0.0
        self._measure()

    def follow(self) -> None:
        """Measure the correction again when it is time; the last one stays without an answer."""
        if self._timer.due():
            try:
                self._measure()
            except RuntimeError as error:  # pylsl has a TimeoutError of its own, which is one
                log.debug("lsl: a sender does not tell its clock (%s)", error)

    def ahead_s(self, stamp_s: float) -> float:
        """Return how far a stamp lies ahead of now, seconds; of no number it is no number."""
        return stamp_s + self._correction_s - self._stamps.present_s()

    def instant_of(self, stamp_s: float) -> Instant:
        """Return the time of a sample, whose stamp must be near to now (``ahead_s``)."""
        return self._stamps.instant_of(stamp_s + self._correction_s)

    def _measure(self) -> None:
        correction_s = self._inlet.time_correction(timeout=_CORRECTION_S)
        if not math.isfinite(correction_s):
            raise RuntimeError(f"its clock says {correction_s}")
        self._correction_s = correction_s
        self._on_correction(correction_s)


def from_now(ahead_s: float) -> str:
    """Return where a sample's time lies, for a message about a wrong one."""
    if not math.isfinite(ahead_s):
        return "no time"
    return f"a time {ahead_s:+.0f} s from now" if abs(ahead_s) < bounds.LARGEST else "no date"


@dataclass(frozen=True, slots=True)
class OfferedStream:
    """A stream that is offered in the network.

    Attributes:
        name: its name.
        content: its content type.
        rate_hz: nominal rate; 0: samples come irregularly.
        is_text: whether its samples are texts.
        channels: label and unit of each channel, empty where the sender says none.
    """

    name: str
    content: str
    rate_hz: float
    is_text: bool
    channels: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Return the stream in words, with its channels."""
        rate = f"{self.rate_hz:g} Hz" if self.rate_hz else "irregular"
        return f"{self.name or '(no name)'} (type {self.content or 'empty'}, {rate}): {self.listed}"

    @property
    def listed(self) -> str:
        """The channels in words: number, label and unit."""
        told = [
            " ".join(part for part in (str(number), label, f"({unit})" if unit else "") if part)
            for number, (label, unit) in enumerate(self.channels)
        ]
        return ", ".join(told)

    def config_lines(self) -> list[str]:
        """Return the lines for ``streams`` in the configuration, one for each channel.

        The kind is empty where neither the label nor the content type of a single channel tells it.
        """
        content = self.content if len(self.channels) == 1 else ""
        found_by = f"name = {_toml(self.name)}" if self.name else f"type = {_toml(self.content)}"
        return [
            f"{{ {found_by}, channel = {_toml(label or number)}, unit = {_toml(unit)}, "
            f"kind = {_toml(_kind_of(label) or _kind_of(content))} }},"
            for number, (label, unit) in enumerate(self.channels)
        ]

    def number_of(self, channel: int | str | None) -> int:
        """Return the number of a channel, from 0.

        Raises:
            VitalsError: the stream has none of this label or number, or several to choose from.
        """
        if channel is None and len(self.channels) == 1:
            return 0
        labels = [label for label, _ in self.channels]
        if isinstance(channel, str) and channel in labels:
            return labels.index(channel)
        if isinstance(channel, int) and channel < len(labels):
            return channel
        problem = f"The stream {self.name} has no channel {channel!r}."
        if channel is None:
            problem = f"The stream {self.name} has {len(labels)} channels, and none is chosen."
        raise VitalsError(
            VitalsReason.UNSUPPORTED,
            problem,
            f"Write one of these as channel, number or label: {self.listed}.",
        )


class _Sample(NamedTuple):
    """A number of one channel.

    Attributes:
        number: as it was sent.
        stamp_s: its time by the clock of the sender.
        is_believed: whether that time is near to now.
        arrived_s: its arrival by our boot clock.
    """

    number: float
    stamp_s: float
    is_believed: bool
    arrived_s: float


class _Done(NamedTuple):
    """A value that becomes a reading.

    Attributes:
        value: in the unit of its kind.
        stamp_s: its time by the clock of the sender; NaN: not known.
        is_doubtful: whether it is implausible, or a mean of which one sample is.
    """

    value: float
    stamp_s: float
    is_doubtful: bool


class _Means:
    """The means of the samples of each part of a second, in the order of time.

    Args:
        kind: of the values.
    """

    def __init__(self, kind: VitalKind) -> None:
        self._per_second = kind.spec.per_second
        self.part: float = -math.inf
        self._values: list[float] = []
        self._stamps: list[float] = []
        self._is_doubtful = False

    def part_of(self, at_s: float) -> int:
        """Return the number of the part in which a time lies."""
        return math.floor(at_s * self._per_second)

    def begin_part(self, at_s: float) -> Iterator[_Done]:
        """Yield the mean of the last part if a time lies in a later one."""
        part = self.part_of(at_s)
        if part > self.part:
            yield from self.finish()
            self.part = part

    def add(self, value: float, stamp_s: float, is_doubtful: bool) -> None:
        """Add a sample of the part."""
        self._is_doubtful |= is_doubtful
        if bounds.is_number(value):
            self._values.append(value)
            self._stamps.append(stamp_s)

    def finish(self) -> Iterator[_Done]:
        """Yield the mean of the samples of the part, at the mean of their stamps."""
        if self._values:
            # fsum: a mean of equal values is that value
            count = len(self._values)
            mean, stamp_s = math.fsum(self._values) / count, math.fsum(self._stamps) / count
            yield _Done(mean, stamp_s, self._is_doubtful)
        self._values, self._stamps, self._is_doubtful = [], [], False


class _Channel:
    """One channel of a stream: gives values in the unit of its kind, with their stamps.

    Args:
        stream: the stream.
        chosen: which channel it is, and what it measures.

    Raises:
        VitalsError: there is no such channel, or its unit is not known.
    """

    def __init__(self, stream: OfferedStream, chosen: StreamSettings) -> None:
        self.kind = chosen.kind
        self.number = stream.number_of(chosen.channel)
        self._scale = _scale(stream, self.number, chosen)
        self._is_averaged = stream.rate_hz > self.kind.spec.per_second
        if self._is_averaged and self.kind is VitalKind.RR_INTERVAL:
            raise VitalsError(
                VitalsReason.UNSUPPORTED,
                f"The stream {stream.name} gives RR intervals {stream.rate_hz:g} times a second, "
                "so they are resampled, and not one for each beat.",
                "Let its program send each beat once, in a stream with irregular rate.",
            )
        self._name = stream.name
        self._low, self._high = self.kind.plausible
        self._sent, self._arrived = _Means(self.kind), _Means(self.kind)
        self._second = -1
        self._count = 0
        self._beats = _BEATS_AT_ONCE * 1.0
        self._beats_at_s = -math.inf
        self._last: _Sample | None = None

    def add(self, sample: _Sample) -> Iterator[_Done]:
        """Add a sample; yield each value that is complete.

        The means of samples whose time is believed, and of others, are kept apart, and neither goes
        back in time: there are never more of them than time has passed, whatever the stamps are. A
        sample that comes again with its old time is none.
        """
        if self._is_old(sample):
            return
        means = self._sent
        if not (sample.is_believed and means.part_of(sample.stamp_s) >= means.part):
            means, sample = self._arrived, sample._replace(stamp_s=math.nan)
        place_s = sample.stamp_s if means is self._sent else sample.arrived_s
        yield from means.begin_part(place_s)
        if not math.isfinite(sample.number):  # NaN is the usual mark of a missing value
            return
        value = self._scale.convert(sample.number)
        is_doubtful = not self._low <= value <= self._high
        if self._is_averaged:
            means.add(value, sample.stamp_s, is_doubtful)
        elif self.kind is VitalKind.RR_INTERVAL:
            yield from self._beat(_Done(value, sample.stamp_s, is_doubtful), sample.arrived_s)
        else:
            yield _Done(value, sample.stamp_s, is_doubtful)
            self._slow_down(math.floor(place_s))

    def _is_old(self, sample: _Sample) -> bool:
        last = self._last
        if last is None or (last.number, last.stamp_s) != (sample.number, sample.stamp_s):
            self._last = sample
            return False
        # Beats of one packet may have one time; a sender that has stopped sends on and on.
        return sample.is_believed and sample.arrived_s - last.arrived_s > _PACKET_S

    def finish(self) -> Iterator[_Done]:
        """Yield the means of the samples that wait for the end of their part of a second."""
        yield from self._sent.finish()
        yield from self._arrived.finish()

    def _slow_down(self, second: int) -> None:
        """Average from now on if far more samples come than the stream may have."""
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        if self._count <= _FLOOD:
            return
        self._is_averaged = True
        log.warning(
            "lsl: the stream %s says that it has no rate, or a low one, and sends more than %d "
            "samples in a second; from now on it becomes %d a second, their means",
            self._name,
            _FLOOD,
            self.kind.spec.per_second,
        )

    def _beat(self, beat: _Done, arrived_s: float) -> Iterator[_Done]:
        """Yield an interval between beats, unless no heart has so many: they have no mean.

        Raises:
            ReadingError: it is left out.
        """
        regained = max(0.0, arrived_s - self._beats_at_s) * _BEATS_HZ
        self._beats = min(_BEATS_AT_ONCE * 1.0, self._beats + regained)
        self._beats_at_s = arrived_s
        if self._beats < 1:
            raise ReadingError(
                "rr_interval",
                "",
                f"comes more than {_BEATS_HZ:g} times a second, which no heart beats; such ones "
                "are left out.",
            )
        self._beats -= 1
        yield beat


_Value = tuple[_Channel, _Done]
"""A value of a channel."""


class OneSender:
    """Chooses the stream of one sender among those that fit, so that one source stays one device.

    A sender that is offered beside the chosen one is another device, also while that one is away.
    A program that was started again may have another source id: nothing stood beside it.
    """

    def __init__(self) -> None:
        self._own: tuple[str, str] | None = None
        self._others: set[tuple[str, str]] = set()

    def choose(self, streams: Sequence[Any]) -> Any:
        """Return the stream to record; ``None``: none, or only those of other senders."""
        senders = [(_text(one.source_id), _text(one.hostname)) for one in streams]
        known = [place for place, sender in enumerate(senders) if sender not in self._others]
        if not known:
            return None
        place = next((place for place in known if senders[place] == self._own), known[0])
        self._own = senders[place]
        self._others |= {*senders} - {self._own}
        return streams[place]


class LslVitals(VitalSource):
    """Records channels of one stream, which may come and go.

    A stream with a rate above ``per_second`` of its kind becomes so many readings a second, the
    means of its samples; others are recorded sample by sample. Samples have the stamps of their
    sender, corrected for its clock.

    Args:
        sink: as in ``VitalSource``.
        on_gap: called with every silence longer than 10 s when it is over.
        chosen: the channels, all of the same name and type.

    Raises:
        ServerError: pylsl or its native library is missing.
    """

    def __init__(
        self, sink: Sink, on_gap: Callable[[Gap], None], chosen: Sequence[StreamSettings]
    ) -> None:
        super().__init__(f"lsl:{chosen[0].name or chosen[0].type}", sink)
        self._pylsl = load_pylsl()
        self._chosen = chosen
        self._on_gap = on_gap
        self._stamps = StreamClock(self._pylsl.local_clock)
        self._silence = Silence(self.source, clock.now(), self._tell_gap)
        self._is_steady = True
        self._pauses = Pauses(PAUSES_S)
        self._beats = BeatTimes()
        self._arrivals = ArrivalTimes()
        self._told: set[str] = set()
        self._sender = OneSender()

    def work(self) -> None:
        """Record until stopped; look for the stream while it is away."""
        self._pauses.reset()
        while not self.stopping.is_set():
            if not (stream := self._find()):
                self._told.clear()  # it comes back as another one
                continue
            try:
                self._listen(open_inlet(self._pylsl, stream))
            except VitalsError as error:
                self._tell(str(error))
                self.stopping.wait(self._pauses.after_failure())
            except RuntimeError as error:
                if self._pauses.failures:
                    self._tell(f"cannot be listened to ({error})")
                else:
                    log.warning("%s is lost (%s); it is looked for", self.source, error)
                self.stopping.wait(self._pauses.after_failure())
            finally:
                self._silence.connection(False)
        self._silence.end(clock.now())

    def _find(self) -> Any:
        """Return the stream; ``None`` if nobody offers it now."""
        streams = self._pylsl.resolve_bypred(_question(self._chosen[0]), 1, _RESOLVE_S)
        stream = self._sender.choose(streams)
        if streams and stream is None:
            self._tell("only streams of other senders fit; the one that was recorded is away")
        elif len(streams) > 1:
            self._tell(f"{len(streams)} streams fit, and one of them is recorded")
        return stream

    def _listen(self, inlet: Any) -> None:
        """Record until the stream is lost, falls silent for long, or the agent stops."""
        try:
            info = inlet.info(_OPEN_S)
            stream = _describe(info, self._pylsl)
            channels = [_Channel(stream, chosen) for chosen in self._chosen]
            inlet.open_stream(timeout=_OPEN_S)
            times = CorrectedTimes(inlet, self._stamps)
            self._begin_beats(times.ahead_s(info.created_at()))
            continuous = any(channel.kind.spec.stream for channel in channels)
            self._is_steady = stream.rate_hz >= _STEADY_HZ or (not stream.rate_hz and continuous)
            self._silence.connection(True)
            self._pauses.reset()
            log.info("%s: listening to %s", self.source, stream)
            try:
                self._pull(inlet, times, channels)
            finally:
                self._record(times, ((one, done) for one in channels for done in one.finish()))
        finally:
            inlet.close_stream()

    def _begin_beats(self, ahead_s: float) -> None:
        """Let no beat end before its stream was made, so many seconds ahead of now."""
        if ahead_s <= 0:  # else its sender does not say
            began = clock.now().shift(max(ahead_s, -_LONGEST_PACKET_S))
            self._beats.begin(self.source, began)

    def _pull(self, inlet: Any, times: CorrectedTimes, channels: Sequence[_Channel]) -> None:
        patience = Every(STALL_S)
        while not self.stopping.is_set():
            samples, stamps = inlet.pull_chunk(timeout=_PULL_S)
            times.follow()
            values: list[_Value] = []
            arrived_s = clock.boot_seconds()
            for sample, stamp_s in zip(samples, stamps, strict=True):
                is_believed = self._believe(times.ahead_s(stamp_s))
                for channel in channels:
                    number = sample[channel.number]
                    values += self._add(channel, _Sample(number, stamp_s, is_believed, arrived_s))
            if any(math.isfinite(one[channel.number]) for one in samples for channel in channels):
                self._silence.end(clock.now())
                patience = Every(STALL_S)
            self._record(times, values)
            # One that sends now and then may be silent for hours, as long as it is offered.
            if patience.due() and (self._is_steady or not self._find()):
                self._tell(f"no value for {STALL_S:.0f} s; it is connected anew")
                return

    def _believe(self, ahead_s: float) -> bool:
        """Return whether a stamp is near enough to now to be the time of its sample."""
        if -CLOCK_TOLERANCE_S <= ahead_s <= _LATEST_S:
            return True
        self._tell(
            f"a sample has {from_now(ahead_s)}; such readings get the time of their arrival and "
            "clock_differs. Let the program stamp its samples with local_clock(), or leave the "
            "stamp out"
        )
        return False

    def _add(self, channel: _Channel, sample: _Sample) -> list[_Value]:
        """Add a sample to a channel; return the values that are complete."""
        try:
            return [(channel, done) for done in channel.add(sample)]
        except ReadingError as error:
            self._tell(str(error))
            return []

    def _record(self, times: CorrectedTimes, values: Iterable[_Value]) -> None:
        """Send values on as readings."""
        present = clock.now()
        readings = []
        for channel, (value, stamp_s, is_doubtful) in values:
            try:
                refuse_impossible(channel.kind, value)
            except ReadingError as error:
                self._tell(str(error))
                continue
            flags = {VitalFlag.OUT_OF_RANGE} if is_doubtful else set[VitalFlag]()
            if math.isfinite(stamp_s):
                at = times.instant_of(stamp_s)
            else:
                at = self._arrivals.stamp(self.source, channel.kind, present)
                flags.add(VitalFlag.CLOCK_DIFFERS)
            readings.append(VitalReading(at, channel.kind, value, self.source, frozenset(flags)))
        for reading in with_near_pressures(self._beats.spread_all(readings)):
            self.emit(reading)

    def _tell_gap(self, gap: Gap) -> None:
        """Pass a gap on, unless the stream only sends now and then and was there."""
        if self._is_steady or gap.reason == "disconnected":
            self._on_gap(gap)

    def _tell(self, problem: str) -> None:
        """Log a problem once, until the stream is listened to anew."""
        # without its numbers, which differ from sample to sample
        if (kind := re.sub(r"[-+\d.]+", "", problem)) not in self._told:
            log.warning("%s: %s", self.source, problem)
        self._told.add(kind)


def configured_lsl(
    streams: Sequence[StreamSettings], sink: Sink, on_gap: Callable[[Gap], None]
) -> list[LslVitals]:
    """Return a source for each configured stream, with all of its channels, not yet started.

    Raises:
        ServerError: pylsl or its native library is missing.
    """
    together: dict[tuple[str | None, str | None], list[StreamSettings]] = {}
    for chosen in streams:
        together.setdefault((chosen.name, chosen.type), []).append(chosen)
    return [LslVitals(sink, on_gap, group) for group in together.values()]


def offered_streams(seconds: float) -> list[OfferedStream]:
    """Return the streams of other programs that are offered in the network, by name.

    Args:
        seconds: how long is listened for them.

    Raises:
        ServerError: pylsl or its native library is missing.
    """
    pylsl = load_pylsl()
    streams = []
    for info in pylsl.resolve_streams(seconds):
        if _text(info.name).startswith(f"{PREFIX} "):
            continue
        try:
            inlet = open_inlet(pylsl, info)
            streams.append(_describe(inlet.info(_OPEN_S), pylsl))
        except RuntimeError as error:
            log.warning("lsl: the stream %s does not answer (%s)", _text(info.name), error)
    return sorted(streams, key=lambda stream: (stream.name, stream.content))


def check_streams(chosen: Sequence[StreamSettings], offered: Sequence[OfferedStream]) -> list[str]:
    """Return the names of configured streams that nobody offers.

    Raises:
        VitalsError: one is offered, and does not have the configured channel or a known unit.
    """
    away = []
    for one in chosen:
        fitting = [
            stream
            for stream in offered
            if one.name in {None, stream.name} and one.type in {None, stream.content}
        ]
        if fitting:
            _Channel(fitting[0], one)
        else:
            away.append(one.name or f"of type {one.type}")
    return list(dict.fromkeys(away))


def _question(chosen: StreamSettings) -> str:
    """Return the XPath question for a stream that is not one of our own."""
    conditions = [f'name="{chosen.name}"'] if chosen.name is not None else []
    conditions += [f'type="{chosen.type}"'] if chosen.type is not None else []
    return " and ".join([*conditions, f'not(starts-with(name,"{PREFIX} "))'])


def _describe(info: Any, pylsl: Any) -> OfferedStream:
    """Return a stream with the channels of its full description."""
    channels = []
    node = info.desc().child("channels").child("channel")
    for _ in range(info.channel_count()):  # the description may be shorter than the samples
        label, unit = (_text(partial(node.child_value, key)) for key in ("label", "unit"))
        channels.append((label, unit))
        node = node.next_sibling("channel")
    is_text = info.channel_format() == pylsl.cf_string
    rate_hz = info.nominal_srate()
    return OfferedStream(
        _text(info.name),
        _text(info.type),
        rate_hz if 0 < rate_hz < math.inf else 0.0,
        is_text,
        tuple(channels),
    )


def open_inlet(pylsl: Any, stream: Any) -> Any:
    """Return an inlet of a stream; it is lost with its sender, and then searched anew.

    The recovery of the library waits for the same source id, which the next run of a program need
    not have.

    Raises:
        RuntimeError: its description is none, such as one whose rate is no number, or it says that
            it has far more samples than any sensor.
    """
    rate_hz, channels = stream.nominal_srate(), stream.channel_count()
    is_sound = rate_hz == 0 or _LEAST_HZ <= rate_hz <= _MOST_HZ
    if not (is_sound and channels <= _MOST_CHANNELS):
        raise RuntimeError(
            f"it says {channels} channels at {rate_hz:g} Hz; at most {_MOST_CHANNELS} at "
            f"{_LEAST_HZ:g} to {_MOST_HZ:g} Hz, or without a rate, are read"
        )
    # The library makes room for all of them at once, before the first one comes. Without room for
    # any, it hangs.
    buffered_s = _BUFFERED_S
    if rate_hz > 0:
        least_s, most_s = math.ceil(_LEAST_BUFFERED / rate_hz), int(_BUFFERED / rate_hz)
        buffered_s = max(least_s, min(_BUFFERED_S, most_s))
    try:
        return pylsl.StreamInlet(stream, max_buflen=buffered_s, recover=False)
    except (TypeError, ValueError, LookupError) as error:
        raise RuntimeError(f"its description cannot be understood: {error}") from error


def _text(get: Callable[[], str]) -> str:
    """Return a text of a stranger's stream that can be shown in one line."""
    try:
        text = get()
    except UnicodeDecodeError as error:
        text = error.object.decode(errors="backslashreplace")
    text = printable(text)
    return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 1]}…"


def _scale(stream: OfferedStream, number: int, chosen: StreamSettings) -> UnitConversion:
    """Return the conversion of a channel: its configured unit counts before that of the stream.

    Raises:
        VitalsError: the samples are texts, or the unit is neither configured nor known.
    """
    spec = chosen.kind.spec
    label, unit = stream.channels[number]
    if stream.is_text:
        raise VitalsError(
            VitalsReason.UNSUPPORTED,
            f"The stream {stream.name} gives texts, and no numbers.",
            f"Name another stream under [vitals.lsl] for {chosen.kind}.",
        )
    scale = spec.scale_of_stream(chosen.unit or unit)
    if scale is None:
        told = f"the unit {unit!r}, which is none of {chosen.kind}" if unit else "no unit"
        raise VitalsError(
            VitalsReason.UNSUPPORTED,
            f"Channel {label or number} of the stream {stream.name} has {told}.",
            f"Write the unit of its values: {', '.join(spec.stream_units)}; or choose another "
            f"channel: {stream.listed}.",
        )
    declared = spec.scale_of_stream(unit)
    if chosen.unit and declared not in {None, scale}:
        log.warning(
            "lsl: the stream %s gives its unit as %s, the configuration as %s, which counts",
            stream.name,
            unit,
            chosen.unit,
        )
    return scale


def _kind_of(label: str) -> str:
    """Return the kind that a channel's label names; empty: none."""
    name = re.sub(r"[^\w]+|_", " ", label).strip().lower()
    return next((kind for kind in VitalKind if re.fullmatch(kind.spec.headers, name)), "")


def _toml(value: str | int) -> str:
    """Return a value as TOML writes it, which is here as in JSON."""
    return json.dumps(value, ensure_ascii=False)
