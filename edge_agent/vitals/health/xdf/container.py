"""The chunks of a recording: each stream with its description, and where its samples lie.

A file is ``XDF:`` and chunks: the length of what follows, a tag, for some tags the number of a
stream, and content (https://github.com/sccn/xdf/wiki/Specifications). Nothing that a chunk claims
is believed before it was compared with the size of the file. Behind a damaged chunk the next
boundary is looked for, which LabRecorder writes every few seconds.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from edge_agent.core.bounds import printable
from edge_agent.core.errors import DataFileError
from edge_agent.core.lab_streams import MAKER, PREFIX
from edge_agent.core.texts import N_
from edge_agent.vitals.health.xdf.description import DescriptionError, XdfNode, read_xml

MAGIC = b"XDF:"
SIZES: Mapping[str, int] = {
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "float32": 4,
    "double64": 8,
    "string": 2,
}
"""Bytes of a value by format; of a text at least."""
_FILE_HEADER, _STREAM_HEADER, SAMPLES, CLOCK, _BOUNDARY, _FOOTER = range(1, 7)
_OF_STREAM = frozenset({_STREAM_HEADER, SAMPLES, CLOCK, _FOOTER})
_UUID = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
_LENGTHS: Mapping[int, str] = {1: "<B", 4: "<I", 8: "<Q"}
_BLOCK = 1 << 16
_MOST_XML = 4 << 20
_ALL_XML = 64 << 20
MOST_STREAMS = 1_000
MOST_CHANNELS = 4_096
_MOST_CHUNKS = 4_000_000
"""A day of 20 streams; each place is kept."""
_MOST_DAMAGED = 1_000
"""A recording that was cut off, or a copy with bad blocks, is damaged at a few places."""
_MOST_ELEMENTS = 500_000
"""Of the descriptions of all streams, which are kept: those of a thousand channels have 10,000."""
_MOST_CLOCKS = 100_000
"""LabRecorder measures each five seconds; pyxdf looks at each a thousand times."""
_MOST_HZ = 1e6
_LEAST_S = 1e-6
"""LabRecorder writes bits of no number, such as 6.9e-310, where a sender did not answer in time."""
LATEST_S = 1e11
"""Times of a clock that counts seconds since any start lie below it; NaN does not."""
_NAME_LENGTH = 120
_MANY_STREAMS = N_(
    "{file}: has more than {most} streams, which no recording has. Nothing was imported. Write the "
    "streams that are needed into a file of their own."
)
_MANY_CHUNKS = N_(
    "{file}: has more than {most} chunks, which no recording has. Nothing was imported. Write the "
    "streams that are needed into a file of their own."
)
_LONG_XML = N_(
    "{file}: its descriptions have more than {most} bytes, which no recording has. Nothing was "
    "imported. Write the streams that are needed into a file of their own."
)

_MANY_ELEMENTS = N_(
    "{file}: its descriptions have more than {most} elements, which no recording has. Nothing was "
    "imported. Write the streams that are needed into a file of their own."
)
_MANY_DAMAGED = N_(
    "{file}: is damaged at more than {most} places. Nothing was imported. Copy it again."
)


class XdfChannel(NamedTuple):
    """A channel of a stream.

    Attributes:
        label: its name; may be empty.
        unit: as the sender writes it; may be empty.
    """

    label: str
    unit: str


@dataclass(slots=True)
class XdfStream:
    """A stream of a recording.

    Attributes:
        number: in the file.
        name, content, source_id: who it is, on one line each.
        rate_hz: nominal rate; 0: samples come irregularly.
        form: format of its values, a key of ``SIZES``.
        channels: of each sample.
        repeated: labels that several channels have.
        about: its whole description.
        problem: why it cannot be read, as the rest of a sentence; empty: it can.
        samples: how many samples its chunks say that they have.
        stated: how many its footer says; ``None``: it has none.
        clocks: measurements of its clock, one behind the other: when, by the clock of the sender,
            and what must be added for the clock of the recorder, seconds.
        first_s: time of the first sample by the clock of the sender; ``None``: it has no own time.
        places: place and length of each chunk of samples.
    """

    number: int
    name: str
    content: str = ""
    source_id: str = ""
    rate_hz: float = 0.0
    form: str = ""
    channels: tuple[XdfChannel, ...] = ()
    repeated: frozenset[str] = frozenset()
    about: XdfNode = field(default_factory=lambda: XdfNode("info"))
    problem: str = ""
    samples: int = 0
    stated: int | None = None
    clocks: array[float] = field(default_factory=lambda: array("d"))
    first_s: float | None = None
    places: array[int] = field(default_factory=lambda: array("q"))

    @property
    def is_text(self) -> bool:
        """True where its samples are texts."""
        return self.form == "string"

    @property
    def sample_bytes(self) -> int:
        """Bytes of the values of a sample; of texts at least."""
        return SIZES[self.form] * len(self.channels)

    @property
    def title(self) -> str:
        """The stream for people."""
        return self.name or f"stream {self.number}"

    def channel_name(self, place: int) -> str:
        """Return the name by which a channel is chosen: that of the stream, and its own.

        A label that several channels have gets its place.
        """
        label = self.channels[place].label or str(place)
        if label in self.repeated:
            label = f"{label} ({place})"
        return self.title if len(self.channels) == 1 else f"{self.title}/{label}"


@dataclass(slots=True)
class Container:
    """Contents of the chunks of a file.

    Attributes:
        written: date and time in the head of the file, as text; empty: it has none.
        streams: by number.
        damaged: number of places at which chunks were damaged.
        is_cut: whether the file ends within a chunk.
    """

    written: str = ""
    streams: dict[int, XdfStream] = field(default_factory=dict)
    damaged: int = 0
    is_cut: bool = False


class _CutError(Exception):
    """The file ends here."""


class _DamageError(Exception):
    """A chunk is none."""


def is_xdf(head: bytes) -> bool:
    """Recognise a recording by its first bytes."""
    return head.startswith(MAGIC)


def walk(name: str, file: BinaryIO, size: int) -> Container:
    """Return what the chunks of a file say; samples are left where they are.

    Args:
        name: of the file.
        file: opened; can be read from its middle.
        size: its bytes.

    Raises:
        DataFileError: it is no recording, or has far more streams or chunks than one has.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise DataFileError(f"{name}: is no XDF file. Nothing was imported.")
    walker = _Walker(name, file, size)
    walker.walk()
    return walker.container


class _Walker:
    """Walks the chunks of a file."""

    def __init__(self, name: str, file: BinaryIO, size: int) -> None:
        self.container = Container()
        self._name = name
        self._file = file
        self._size = size
        self._at = len(MAGIC)
        self._chunks = 0
        self._xml = 0
        self._elements = 0

    def walk(self) -> None:
        """Walk to the end."""
        while self._at < self._size:
            try:
                self._chunk()
            except (_DamageError, _CutError) as error:
                is_cut = isinstance(error, _CutError)
                if self._go_to_boundary():
                    self.container.damaged += 1
                    if self.container.damaged > _MOST_DAMAGED:
                        self._refuse(_MANY_DAMAGED, _MOST_DAMAGED)
                else:
                    self.container.is_cut |= is_cut
                    self.container.damaged += not is_cut
                    return

    def _chunk(self) -> None:
        """Read the next chunk.

        Raises:
            _CutError, _DamageError: it is not whole, or none.
        """
        self._file.seek(self._at)
        length = self._number()
        begins = self._file.tell()
        if begins + length > self._size:
            raise _CutError
        if length < 2:
            raise _DamageError
        (tag,) = struct.unpack("<H", self._read(2))
        number = None
        if tag in _OF_STREAM:
            if length < 6:
                raise _DamageError
            (number,) = struct.unpack("<I", self._read(4))
        elif not _FILE_HEADER <= tag <= _FOOTER:
            raise _DamageError
        self._count(length if tag in {_FILE_HEADER, _STREAM_HEADER, _FOOTER} else 0)
        content = length - (2 if number is None else 6)
        if number is None:
            if tag == _FILE_HEADER:
                self._file_header(content)
        elif tag == _STREAM_HEADER:
            self._stream_header(number, content)
        elif number in self.container.streams:
            self._of_stream(self.container.streams[number], tag, content, (begins, length))
        self._at = begins + length

    def _count(self, xml: int) -> None:
        self._chunks += 1
        self._xml += xml
        if self._chunks > _MOST_CHUNKS:
            self._refuse(_MANY_CHUNKS, _MOST_CHUNKS)
        if self._xml > _ALL_XML:
            self._refuse(_LONG_XML, _ALL_XML)

    def _refuse(self, problem: str, most: int) -> None:
        raise DataFileError(problem, file=self._name, most=f"{most:,}")

    def _read(self, count: int) -> bytes:
        raw = self._file.read(count)
        if len(raw) < count:
            raise _CutError
        return raw

    def _number(self) -> int:
        """Return a number, in front of which stands its own length."""
        form = _LENGTHS.get(self._read(1)[0])
        if form is None:
            raise _DamageError
        return int(struct.unpack(form, self._read(struct.calcsize(form)))[0])

    def _file_header(self, content: int) -> None:
        if content <= _MOST_XML:
            try:
                about = read_xml(self._read(content))
            except DescriptionError:
                return
            self.container.written = printable(about.text_at("datetime"))[:_NAME_LENGTH]

    def _stream_header(self, number: int, content: int) -> None:
        streams = self.container.streams
        if number in streams:
            return
        if len(streams) == MOST_STREAMS:
            self._refuse(_MANY_STREAMS, MOST_STREAMS)
        streams[number] = XdfStream(number, "", problem="its description is too long to be read")
        if content <= _MOST_XML:
            try:
                raw = self._read(content)
                self._elements += raw.count(b"<")
                if self._elements > 2 * _MOST_ELEMENTS:
                    self._refuse(_MANY_ELEMENTS, _MOST_ELEMENTS)
                streams[number] = stream_of(number, read_xml(raw))
            except DescriptionError as error:
                streams[number].problem = f"its description {error}"

    def _of_stream(self, stream: XdfStream, tag: int, content: int, place: tuple[int, int]) -> None:
        if tag == CLOCK:
            if content != 16:
                raise _DamageError
            at_s, ahead_s = struct.unpack("<dd", self._read(16))
            if _LEAST_S < abs(at_s) < LATEST_S and abs(ahead_s) < LATEST_S:
                stream.clocks.extend((at_s, ahead_s))
            if len(stream.clocks) > 2 * _MOST_CLOCKS:
                stream.problem = f"its clock was measured more than {_MOST_CLOCKS:,} times"
        elif tag == _FOOTER and content <= _MOST_XML:
            try:
                told = read_xml(self._read(content)).text_at("sample_count")
            except DescriptionError:
                return
            stream.stated = int(told) if told.isdecimal() and len(told) < 16 else None
        elif tag == SAMPLES and not stream.problem:
            self._samples(stream, content, place)

    def _samples(self, stream: XdfStream, content: int, place: tuple[int, int]) -> None:
        begins = self._file.tell()
        count = self._number()
        room = content - (self._file.tell() - begins)
        if count * (1 + stream.sample_bytes) > room:
            raise _DamageError
        if stream.first_s is None and not stream.samples and count and self._read(1) != b"\0":
            (first_s,) = struct.unpack("<d", self._read(8))
            stream.first_s = first_s if abs(first_s) < LATEST_S else None
        stream.samples += count
        stream.places.extend(place)

    def _go_to_boundary(self) -> bool:
        """Go on behind the next boundary; return whether there is one."""
        at = self._at + 1
        kept = b""
        self._file.seek(at)
        while block := self._file.read(_BLOCK):
            place = (kept + block).find(_UUID)
            if place >= 0:
                self._at = at - len(kept) + place + len(_UUID)
                return True
            at += len(block)
            kept = (kept + block)[1 - len(_UUID) :]
        return False


def stream_of(number: int, about: XdfNode) -> XdfStream:
    """Return a stream by its description, without samples."""
    stream = XdfStream(
        number,
        one_line(about.text_at("name")),
        one_line(about.text_at("type")),
        one_line(about.text_at("source_id")),
        about=about,
    )
    stream.form = about.text_at("channel_format")
    count = about.text_at("channel_count")
    try:
        rate_hz = float(about.text_at("nominal_srate") or 0)
    except ValueError:
        rate_hz = math.nan
    if stream.form not in SIZES:
        stream.problem = f"its format {one_line(stream.form) or '(none)'} is not known"
    elif not (count.isdecimal() and len(count) < 7 and 1 <= int(count) <= MOST_CHANNELS):
        stream.problem = (
            f"it says {one_line(count) or 'no'} channels; 1 to {MOST_CHANNELS} are read"
        )
    elif not 0 <= rate_hz <= _MOST_HZ:
        stream.problem = f"its rate {one_line(about.text_at('nominal_srate'))} is none"
    else:
        stream.rate_hz = rate_hz
        stream.channels = tuple(_channels(about, int(count)))
        labels = Counter(one.label for one in stream.channels)
        stream.repeated = frozenset(label for label, n in labels.items() if label and n > 1)
    return stream


def is_ours(stream: XdfStream) -> bool:
    """Return whether an appliance of ours sent a stream."""
    maker = stream.about.text_at("desc", "acquisition", "manufacturer")
    return stream.name.startswith(f"{PREFIX} ") and maker == MAKER


def _channels(about: XdfNode, count: int) -> Iterator[XdfChannel]:
    """Yield the channels; the description may have fewer of them than the samples."""
    told = [*about.at("desc", "channels").each("channel")][:count]
    for place in range(count):
        node = told[place] if place < len(told) else XdfNode("channel")
        yield XdfChannel(one_line(node.text_at("label")), one_line(node.text_at("unit")))


def one_line(text: str) -> str:
    """Return a stranger's text that can be shown in one line."""
    text = printable(text)
    return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 1]}…"
