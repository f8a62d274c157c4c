"""Use of each stream of a recording by its description: readings, markers, faces, nothing.

Our own streams say what they are. A channel of another one is a vital by its name and unit, as a
column of a table is; where these leave a doubt it is listed, and people choose it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice, pairwise
from typing import NamedTuple

from edge_agent.core.errors import DataFileError
from edge_agent.core.lab_streams import EXPRESSION, MOVEMENTS
from edge_agent.core.readings import VitalFlag
from edge_agent.core.texts import N_
from edge_agent.core.vitals import UnitConversion, VitalKind
from edge_agent.vitals.column_names import how_to_choose, read_names
from edge_agent.vitals.health.files import ChannelChoice
from edge_agent.vitals.health.xdf.container import XdfChannel, XdfStream, is_ours, one_line

_MARKERS = frozenset(
    {"markers", "marker", "events", "event", "stim", "stimulus", "trigger", "triggers"}
)
"""Content types whose numbers are codes of events."""
_SHOWN = 12
_NO_CHANNEL = N_(
    "{file}: there is no channel {channel}. Channels found: {channels}. Nothing was imported."
)
_NO_KIND = N_(
    "{file}: {target} is nothing that a channel can be. Possible: {kinds}. Nothing was imported."
)
_NO_VITAL = "is no vital by its name"
_RESAMPLED = "its RR intervals are resampled to a rate, and are not one for each beat"


class StreamRole(StrEnum):
    """Use of a stream."""

    READINGS = "readings"
    MARKERS = "markers"
    SESSIONS = "sessions"
    EXPRESSION = "expressions"
    MOVEMENTS = "movements"
    NOTHING = "nothing"


class ChannelReading(NamedTuple):
    """A channel that becomes readings.

    Attributes:
        place: in its stream.
        kind: of its values.
        scale: conversion into the unit of the kind.
        is_chosen: whether a person said so; otherwise its values must be plausible.
    """

    place: int
    kind: VitalKind
    scale: UnitConversion
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """The use of a stream.

    Attributes:
        stream: the stream.
        role: what it becomes.
        source: of its readings.
        readings: the channels that become readings.
        not_taken: channels that become nothing, each with the reason as the rest of a sentence.
        why: why nothing becomes of it; empty: something does.
        is_ours: whether an appliance of ours sent it.
        flags: of our own readings: bit → flag.
        nature: of our own streams: measured, simulated …
    """

    stream: XdfStream
    role: StreamRole
    source: str = ""
    readings: tuple[ChannelReading, ...] = ()
    not_taken: tuple[tuple[str, str], ...] = ()
    why: str = ""
    is_ours: bool = False
    flags: Mapping[int, VitalFlag] = field(default_factory=dict)
    nature: str = ""

    @property
    def sentence(self) -> str:
        """Description of the stream and of its use, for people."""
        stream = self.stream
        rate = f"{stream.rate_hz:g} Hz" if stream.rate_hz else "irregular"
        about = [
            f"type {stream.content or 'empty'}",
            rate,
            "" if self.is_ours else _channel_list(stream.channels),
        ]
        count = f"{stream.samples:,} {'sample' if stream.samples == 1 else 'samples'}"
        becomes = ", ".join(dict.fromkeys(one.kind.value for one in self.readings))
        if self.role is StreamRole.NOTHING:
            becomes = f"not imported: {self.why}"
        elif self.role is not StreamRole.READINGS:
            becomes = self.role.value
        return f"stream {stream.title} ({', '.join(filter(None, about))}), {count}: {becomes}"


def _channel_list(channels: Sequence[XdfChannel]) -> str:
    """Return channels in words; of many, their number and the first."""
    if not channels:
        return ""
    shown = [
        f"{label or place} ({unit})" if unit else label or str(place)
        for place, (label, unit) in enumerate(channels[:_SHOWN])
    ]
    more = f" … {len(channels)} in all" if len(channels) > _SHOWN else ""
    word = "channel" if len(channels) == 1 else "channels"
    return f"{word} {', '.join(shown)}{more}"


def plan(file: str, streams: Iterable[XdfStream], chosen: ChannelChoice) -> list[StreamPlan]:
    """Return the use of each stream.

    Raises:
        DataFileError: a chosen channel is not there, or is chosen for something else than a vital.
    """
    streams = list(streams)
    _check(file, streams, chosen)
    return list(_of_one_camera(_plan(stream, chosen) for stream in streams))


def _of_one_camera(plans: Iterable[StreamPlan]) -> Iterator[StreamPlan]:
    """Yield plans; of faces only those of one appliance, for a timeline has one participant."""
    devices: dict[StreamRole, str] = {}
    for one in plans:
        device = one.stream.about.text_at("desc", "acquisition", "serial_number")
        is_face = one.role in {StreamRole.EXPRESSION, StreamRole.MOVEMENTS}
        if is_face and devices.setdefault(one.role, device) != device:
            why = f"a face is taken of one appliance, which is {devices[one.role] or 'another'}"
            yield replace(one, role=StreamRole.NOTHING, why=why)
        else:
            yield one


def part_sources(
    plans: Sequence[StreamPlan], span_of: Callable[[StreamPlan], tuple[float, float]]
) -> list[StreamPlan]:
    """Return plans in which streams of several senders are several sources.

    Streams of one name with readings of one kind are of one device only where one sender gives
    them, one behind the other: a program that was started again.

    Args:
        plans: of all streams.
        span_of: returns the times of the first and last sample of a stream.
    """
    of_kind: dict[tuple[str, VitalKind], list[StreamPlan]] = defaultdict(list)
    for one in plans:
        for kind in dict.fromkeys(reading.kind for reading in one.readings):
            of_kind[one.source, kind].append(one)
    marks: dict[str, _Mark] = {}
    for (source, _), together in of_kind.items():
        if len({_by_sender(one) for one in together}) > 1 and source not in marks:
            marks[source] = _by_sender
    for (source, _), together in of_kind.items():
        # Values of ours that are measured and estimated have streams of two names.
        of_sender: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        for one in together if len(together) > 1 else ():
            of_sender[_by_sender(one), one.stream.name].append(span_of(one))
        if any(
            begin < end
            for spans in of_sender.values()
            for (_, end), (begin, _) in pairwise(sorted(spans))
        ):
            marks[source] = _by_number
    return [
        replace(one, source=f"{one.source} ({mark(one) or _by_number(one)})")
        if one.readings and (mark := marks.get(one.source))
        else one
        for one in plans
    ]


_Mark = Callable[[StreamPlan], str]


def _by_sender(one: StreamPlan) -> str:
    """Return who sends a stream."""
    about = one.stream.about
    if one.is_ours:
        return about.text_at("desc", "acquisition", "serial_number") or one.stream.source_id
    return " @ ".join(filter(None, (one.stream.source_id, one_line(about.text_at("hostname")))))


def _by_number(one: StreamPlan) -> str:
    return f"stream {one.stream.number}"


def _check(file: str, streams: Sequence[XdfStream], chosen: ChannelChoice) -> None:
    names = dict.fromkeys(
        one.channel_name(place)
        for one in streams
        if not one.is_text
        for place in range(len(one.channels))
    )
    for name in chosen.columns.values():
        if name not in names:
            known = ", ".join([*names][:50]) or "none"
            raise DataFileError(_NO_CHANNEL, file=file, channel=repr(name), channels=known)
    for target in (*chosen.columns, *chosen.units):
        if target not in set(VitalKind):
            kinds = ", ".join(VitalKind)
            raise DataFileError(_NO_KIND, file=file, target=repr(target), kinds=kinds)


def _plan(stream: XdfStream, chosen: ChannelChoice) -> StreamPlan:
    if stream.problem or not stream.samples:
        return StreamPlan(stream, StreamRole.NOTHING, why=stream.problem or "it has no samples")
    if is_ours(stream):
        return _ours(stream)
    if _has_markers(stream):
        return StreamPlan(stream, StreamRole.MARKERS, not_taken=tuple(_beside_markers(stream)))
    if stream.is_text:
        return StreamPlan(
            stream, StreamRole.NOTHING, why="its texts come at a rate, and are no markers"
        )
    readings, others = _channels(stream, chosen)
    if readings:
        source = f"lsl:{stream.name or stream.content}"
        return StreamPlan(
            stream, StreamRole.READINGS, source, tuple(readings), tuple(others.items())
        )
    return StreamPlan(stream, StreamRole.NOTHING, why=_why_nothing(others))


def _has_markers(stream: XdfStream) -> bool:
    """Return whether samples are events: texts that come now and then, or what is called so."""
    content = stream.content.lower()
    if stream.is_text:
        return not stream.rate_hz or "marker" in content or "event" in content
    return not stream.rate_hz and content in _MARKERS


def _beside_markers(stream: XdfStream) -> Iterator[tuple[str, str]]:
    """Yield the channels that no marker has: numbers beside a code."""
    if not stream.is_text:
        for place in range(1, len(stream.channels)):
            yield stream.channel_name(place), "stands beside the code of a marker"


def _why_nothing(others: Mapping[str, str]) -> str:
    """Return why no channel of a stream becomes a reading."""
    reasons = dict.fromkeys(others.values())
    if len(reasons) > 1:
        return "; ".join(f"{name} {why}" for name, why in islice(others.items(), _SHOWN))
    what = "its channel" if len(others) == 1 else f"each of its {len(others)} channels"
    (reason,) = reasons
    more = f" (if one is: {how_to_choose('KIND', next(iter(others)))})" * (reason == _NO_VITAL)
    return f"{what} {reason}{more}"


def _ours(stream: XdfStream) -> StreamPlan:
    """Return the use of one of our own streams: what it was."""
    about = stream.about.at("desc")
    nature = about.text_at("source", "nature")
    labels = [channel.label for channel in stream.channels]
    roles = {EXPRESSION: StreamRole.EXPRESSION, MOVEMENTS: StreamRole.MOVEMENTS}
    if stream.content in roles:
        return StreamPlan(stream, roles[stream.content], is_ours=True, nature=nature)
    if labels in (["markers"], ["sessions"]):
        return StreamPlan(stream, StreamRole(labels[0]), is_ours=True)
    if len(labels) == 2 and labels[0] in set(VitalKind) and labels[1] == "flags":
        kind = VitalKind(labels[0])
        scale = kind.spec.scale_of(stream.channels[0].unit)
        if scale is not None:
            return StreamPlan(
                stream,
                StreamRole.READINGS,
                about.text_at("source", "name"),
                (ChannelReading(0, kind, scale, is_chosen=True),),
                is_ours=True,
                flags=dict(_flags(stream)),
                nature=nature,
            )
    return StreamPlan(stream, StreamRole.NOTHING, why="a stream of another release of Affect Edge")


def _flags(stream: XdfStream) -> Iterator[tuple[int, VitalFlag]]:
    """Yield the bits of the flags of one of our streams."""
    for node in stream.about.at("desc", "flags").each("flag"):
        bit, label = node.text_at("value"), node.text_at("label")
        if bit.isdecimal() and len(bit) < 10 and label in set(VitalFlag):
            yield int(bit), VitalFlag(label)


def _channels(
    stream: XdfStream, chosen: ChannelChoice
) -> tuple[list[ChannelReading], dict[str, str]]:
    """Return the channels of a stream that become readings, and why the others do not."""
    guessed, doubts = ({}, {}) if chosen.only else _guesses(stream)
    names = {place: stream.channel_name(place) for place in range(len(stream.channels))}
    of_name = {name: VitalKind(kind) for kind, name in chosen.columns.items()}
    readings: list[ChannelReading] = []
    others: dict[str, str] = {}
    for place, (_, unit) in enumerate(stream.channels):
        name = names[place]
        kind = of_name.get(name) or guessed.get(place)
        if kind is None:
            others[name] = doubts.get(place, _unknown(chosen))
            continue
        if name not in of_name and kind in of_name.values() and set(of_name) & set(names.values()):
            others[name] = f"was not chosen as {kind.spec.name_in_text}"
            continue
        scale, why = _scale(kind, chosen.units.get(kind, unit), name)
        if kind is VitalKind.RR_INTERVAL and stream.rate_hz > kind.spec.per_second:
            why = _RESAMPLED
        if scale is None or why:
            others[name] = why
        else:
            readings.append(ChannelReading(place, kind, scale, name in of_name))
    return readings, others


def other_units(plans: Iterable[StreamPlan], chosen: ChannelChoice) -> Iterator[str]:
    """Yield a sentence for each channel whose unit is another one than was given for its kind."""
    for one in plans:
        for reading in one.readings if not one.is_ours else ():
            spec, stated = reading.kind.spec, one.stream.channels[reading.place].unit
            given = chosen.units.get(reading.kind, "")
            scale = spec.scale_of_stream(stated) if given and stated else None
            if scale is not None and scale != spec.scale_of_stream(given):
                name = one.stream.channel_name(reading.place)
                yield (
                    f"channel {name} has the unit {stated}, and {given} was given for "
                    f"{reading.kind}: {given} is used (--unit)."
                )


def _unknown(chosen: ChannelChoice) -> str:
    return "is not named with --map" if chosen.only else _NO_VITAL


def _scale(kind: VitalKind, unit: str, name: str) -> tuple[UnitConversion | None, str]:
    """Return the conversion of a unit, or why there is none."""
    spec = kind.spec
    how = f"If it is {spec.name_in_text}, say so: {how_to_choose(kind, name)}"
    if not unit:
        if spec.unit_needed:
            return None, f"has no unit. {how} --unit {kind}={next(iter(spec.units))}"
        return UnitConversion(), ""
    scale = spec.scale_of_stream(unit)
    if scale is None:
        known = ", ".join(spec.stream_units)
        return None, f"has the unit {unit!r}, which is none of {spec.name_in_text} ({known}). {how}"
    return scale, ""


def _guesses(stream: XdfStream) -> tuple[dict[int, VitalKind], dict[int, str]]:
    """Return the kinds of channels by their names and units, and the doubts that these leave."""
    for names in _namings(stream):
        told = read_names(names)
        # a name that several channels have is in no guess
        kinds = {
            names.index(column): VitalKind(target)
            for target, column in told.columns.items()
            if target in set(VitalKind) and names.count(column) == 1
        }
        doubts = {
            place: _doubt(stream, place, target)
            for target, doubt in told.doubts.items()
            if target in set(VitalKind)
            for place, name in enumerate(names)
            if name in doubt.columns
        }
        if kinds or doubts:
            return kinds, doubts
    return {}, {}


def _namings(stream: XdfStream) -> Iterator[list[str]]:
    """Yield names of the channels, the best first, as a table would have them.

    A single channel is also what the stream is called.
    """
    ways = [[channel.label for channel in stream.channels]]
    if len(stream.channels) == 1:
        ways += [[stream.content], [stream.name]]
    for names in ways:
        units = (channel.unit for channel in stream.channels)
        yield [
            f"{name} ({unit})" if name and unit else name
            for name, unit in zip(names, units, strict=True)
        ]


def _doubt(stream: XdfStream, place: int, target: str) -> str:
    kind = VitalKind(target)
    how = how_to_choose(kind, stream.channel_name(place))
    return f"can be {kind.spec.name_in_text}, or something else. If it is, say so: {how}"
