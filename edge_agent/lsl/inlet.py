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
from typing import Any

from edge_agent.config.vitals import StreamSettings
from edge_agent.core import clock
from edge_agent.core.clock import Every, Instant
from edge_agent.core.errors import ReadingError, VitalsError, VitalsReason
from edge_agent.core.given_readings import ArrivalTimes, refuse_impossible, with_near_pressures
from edge_agent.core.readings import CLOCK_TOLERANCE_S, BeatTimes, Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import Scale, VitalKind
from edge_agent.lsl.outlet import PREFIX, StreamClock, load_pylsl
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
"""Samples in a second above which a stream without a rate is averaged, too."""
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

    def instant_of(self, stamp_s: float) -> Instant:
        """Return the time of a sample."""
        return self._stamps.instant_of(stamp_s + self._correction_s)

    def _measure(self) -> None:
        self._correction_s = self._inlet.time_correction(timeout=_CORRECTION_S)
        self._on_correction(self._correction_s)


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
        self._second = -1
        self._part = -1  # of a second, which becomes one reading
        self._values: list[float] = []
        self._stamps: list[float] = []
        self._count = 0

    def add(self, number: float, stamp_s: float) -> Iterator[tuple[float, float]]:
        """Add a sample; yield each value that is complete, with its stamp."""
        second, part = math.floor(stamp_s), math.floor(stamp_s * self.kind.spec.per_second)
        if part != self._part:
            yield from self.finish()
            self._part = part
        if second != self._second:
            self._second, self._count = second, 0
        if not math.isfinite(number):  # NaN is the usual mark of a missing value
            return
        self._count += 1
        if not self._is_averaged:
            yield self._scale.convert(number), stamp_s
            self._slow_down()
            return
        self._values.append(number)
        self._stamps.append(stamp_s)

    def finish(self) -> Iterator[tuple[float, float]]:
        """Yield the mean of the samples of the last part, at the mean of their stamps."""
        if self._values:
            # fsum: a mean of equal values is that value
            mean = math.fsum(self._values) / len(self._values)
            yield self._scale.convert(mean), math.fsum(self._stamps) / len(self._stamps)
        self._values, self._stamps = [], []

    def _slow_down(self) -> None:
        """Average from now on if far more samples come than a stream without a rate may have."""
        if self._count <= _FLOOD or self.kind is VitalKind.RR_INTERVAL:
            return
        self._is_averaged = True
        log.warning(
            "lsl: the stream %s says that it has no rate, and sends more than %d samples in a "
            "second; from now on it becomes %d a second, their means",
            self._name,
            _FLOOD,
            self.kind.spec.per_second,
        )


_Value = tuple[_Channel, tuple[float, float]]
"""A value with its stamp, of a channel."""


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
        self._beats = BeatTimes()
        self._arrivals = ArrivalTimes()
        self._told: set[str] = set()

    def work(self) -> None:
        """Record until stopped; look for the stream while it is away."""
        failures = 0
        while not self.stopping.is_set():
            if not (stream := self._find()):
                self._told.clear()  # it comes back as another one
                continue
            try:
                self._listen(self._pylsl.StreamInlet(stream, recover=False))
                failures = 0
            except VitalsError as error:
                self._tell(str(error))
                self.stopping.wait(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1
            except RuntimeError as error:
                log.warning("%s is lost (%s); it is looked for", self.source, error)
                self.stopping.wait(PAUSES_S[0])
            finally:
                self._silence.connection(False)
        self._silence.end(clock.now())

    def _find(self) -> Any:
        """Return the stream; ``None`` if nobody offers it now."""
        streams = self._pylsl.resolve_bypred(_question(self._chosen[0]), 1, _RESOLVE_S)
        if len(streams) > 1:
            self._tell(f"{len(streams)} streams fit, and one of them is taken")
        return streams[0] if streams else None

    def _listen(self, inlet: Any) -> None:
        """Record until the stream is lost, falls silent for long, or the agent stops."""
        try:
            stream = _describe(inlet.info(_OPEN_S), self._pylsl)
            channels = [_Channel(stream, chosen) for chosen in self._chosen]
            inlet.open_stream(timeout=_OPEN_S)
            times = CorrectedTimes(inlet, self._stamps)
            continuous = any(channel.kind.spec.stream for channel in channels)
            self._is_steady = stream.rate_hz >= _STEADY_HZ or (not stream.rate_hz and continuous)
            self._silence.connection(True)
            log.info("%s: listening to %s", self.source, stream)
            try:
                self._pull(inlet, times, channels)
            finally:
                self._record(times, ((one, done) for one in channels for done in one.finish()))
        finally:
            inlet.close_stream()

    def _pull(self, inlet: Any, times: CorrectedTimes, channels: Sequence[_Channel]) -> None:
        patience = Every(STALL_S)
        while not self.stopping.is_set():
            samples, stamps = inlet.pull_chunk(timeout=_PULL_S)
            times.follow()
            values: list[_Value] = []
            for sample, stamp_s in zip(samples, stamps, strict=True):
                for channel in channels:
                    done = channel.add(sample[channel.number], stamp_s)
                    values += [(channel, value) for value in done]
            if any(math.isfinite(one[channel.number]) for one in samples for channel in channels):
                self._silence.end(clock.now())
                patience = Every(STALL_S)
            self._record(times, values)
            # One that sends now and then may be silent for hours, as long as it is offered.
            if patience.due() and (self._is_steady or not self._find()):
                self._tell(f"no value for {STALL_S:.0f} s; it is connected anew")
                return

    def _record(self, times: CorrectedTimes, values: Iterable[_Value]) -> None:
        """Send values on as readings."""
        present = clock.now()
        readings = []
        for channel, (value, stamp_s) in values:
            try:
                refuse_impossible(channel.kind, value)
            except ReadingError as error:
                self._tell(str(error))
                continue
            at, flags = times.instant_of(stamp_s), frozenset[VitalFlag]()
            ahead_s = at.seconds_since(present)
            if not -CLOCK_TOLERANCE_S <= ahead_s <= _LATEST_S:
                self._tell(
                    f"a sample has a time {ahead_s:+.0f} s from now; such readings get the time of "
                    "their arrival and clock_differs. Let the program stamp its samples with "
                    "local_clock(), or leave the stamp out"
                )
                at = self._arrivals.stamp(self.source, channel.kind, present)
                flags = frozenset({VitalFlag.CLOCK_DIFFERS})
            readings.append(VitalReading(at, channel.kind, value, self.source, flags))
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
        if info.name().startswith(f"{PREFIX} "):
            continue
        inlet = pylsl.StreamInlet(info, recover=False)
        try:
            streams.append(_describe(inlet.info(_OPEN_S), pylsl))
        except RuntimeError as error:
            log.warning("lsl: the stream %s does not answer (%s)", info.name(), error)
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
        channels.append((node.child_value("label"), node.child_value("unit")))
        node = node.next_sibling("channel")
    is_text = info.channel_format() == pylsl.cf_string
    return OfferedStream(info.name(), info.type(), info.nominal_srate(), is_text, tuple(channels))


def _scale(stream: OfferedStream, number: int, chosen: StreamSettings) -> Scale:
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
