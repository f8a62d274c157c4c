"""XDF files, chunk by chunk, as LabRecorder writes them; and what is wrong with some."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from html import escape

from edge_agent.core.movements import NAMES
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.lsl.streams import EXPRESSION_CHANNELS

BOUNDARY = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
_FORMS = {"int8": "b", "int16": "h", "int32": "i", "int64": "q", "float32": "f", "double64": "d"}
Row = tuple[float | None, Sequence[float | str]]
"""Time by the clock of the sender (``None``: by the rate), and a value for each channel."""


def length(number: int) -> bytes:
    """A number with its own length before it."""
    for size, form in ((1, "<B"), (4, "<I")):
        if number < 1 << 8 * size:
            return bytes([size]) + struct.pack(form, number)
    return b"\x08" + struct.pack("<Q", number)


def chunk(tag: int, content: bytes) -> bytes:
    """A chunk of any tag."""
    return length(len(content) + 2) + struct.pack("<H", tag) + content


class Xdf:
    """A recording that grows.

    Args:
        written: date and time in its head; empty: it has none.
    """

    def __init__(self, written: str = "2026-11-20T09:00:00+0100") -> None:
        told = f"<datetime>{written}</datetime>" if written else ""
        head = f'<?xml version="1.0"?><info><version>1.0</version>{told}</info>'
        self.content = b"XDF:" + chunk(1, head.encode())
        self._forms: dict[int, str] = {}

    def stream(
        self,
        number: int,
        name: str,
        content: str,
        channels: Iterable[tuple[str, str]] = (("", ""),),
        *,
        rate: float = 0.0,
        form: str = "double64",
        about: str = "",
    ) -> Xdf:
        """Add the head of a stream; ``about`` is XML of its description beside the channels."""
        listed = [*channels]
        told = "".join(
            f"<channel><label>{escape(label)}</label><unit>{escape(unit)}</unit></channel>"
            for label, unit in listed
        )
        return self.head(
            number,
            f"<info><name>{escape(name)}</name><type>{escape(content)}</type>"
            f"<channel_count>{len(listed)}</channel_count><channel_format>{form}</channel_format>"
            f"<nominal_srate>{rate}</nominal_srate><source_id>test</source_id>"
            f"<desc><channels>{told}</channels>{about}</desc></info>",
            form,
        )

    def head(self, number: int, xml: str, form: str = "double64") -> Xdf:
        """Add the head of a stream as it is given."""
        self._forms[number] = form
        return self.add(2, struct.pack("<I", number) + xml.encode())

    def samples(self, number: int, rows: Iterable[Row]) -> Xdf:
        """Add a chunk of samples."""
        given = [*rows]
        packed = b"".join(_packed(self._forms[number], *row) for row in given)
        return self.add(3, struct.pack("<I", number) + length(len(given)) + packed)

    def clock(self, number: int, at_s: float, ahead_s: float) -> Xdf:
        """Add a measurement of a clock."""
        return self.add(4, struct.pack("<Idd", number, at_s, ahead_s))

    def boundary(self) -> Xdf:
        """Add a boundary."""
        return self.add(5, BOUNDARY)

    def footer(self, number: int, samples: int) -> Xdf:
        """Add the end of a stream."""
        told = f"<info><sample_count>{samples}</sample_count></info>"
        return self.add(6, struct.pack("<I", number) + told.encode())

    def add(self, tag: int, content: bytes) -> Xdf:
        """Add any chunk."""
        self.content += chunk(tag, content)
        return self


def _packed(form: str, at_s: float | None, values: Sequence[float | str]) -> bytes:
    stamp = b"\0" if at_s is None else b"\x08" + struct.pack("<d", at_s)
    if form == "string":
        texts = [str(value).encode() for value in values]
        return stamp + b"".join(length(len(text)) + text for text in texts)
    return stamp + struct.pack(f"<{len(values)}{_FORMS[form]}", *values)


def our_clock(utc: str, local_clock: float, synchronised: int = 1) -> str:
    """One time on both clocks, as our streams describe it."""
    return (
        f"<clock><utc>{utc}</utc><local_clock>{local_clock:.6f}</local_clock>"
        f"<synchronised>{synchronised}</synchronised></clock>"
    )


def ours(source: str, nature: str = "measured", clock: str = "") -> str:
    """The description of a stream of ours, beside its channels."""
    return (
        "<acquisition><manufacturer>Affect Edge</manufacturer></acquisition>"
        f"<source><name>{escape(source)}</name><nature>{nature}</nature></source>{clock}"
    )


def our_readings(
    xdf: Xdf, number: int, kind: VitalKind, source: str, rows: Iterable[Row], clock: str = ""
) -> Xdf:
    """Add a stream of readings as the agent offers it: value and flags."""
    flags = "".join(
        f"<flag><value>{1 << bit}</value><label>{flag.value}</label></flag>"
        for bit, flag in enumerate(VitalFlag)
    )
    about = ours(source, clock=clock) + f"<flags>{flags}</flags>"
    channels = [(kind.value, kind.unit), ("flags", "1")]
    name = f"AffectEdge {kind.value} {source}"
    return xdf.stream(number, name, "Vitals", channels, about=about).samples(number, rows)


def laboratory() -> Xdf:
    """Ten seconds with a face, our strap, a clip of somebody else, and markers of two programs."""
    clock = our_clock("2026-11-20T12:00:00.000Z", 100.0)
    xdf = Xdf("2026-11-20T12:00:00+0000")
    face = [0.8, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.9, 0.0]
    nobody = [math.nan] * len(EXPRESSION_CHANNELS)
    refused = [*face[:-1], 1.0]
    faces = [(100.1 + n / 5, face) for n in range(25)]
    faces += [(105.1, nobody), (105.3, refused), (106.5, [0.2, 0.8, *face[2:]])]
    channels = [(name, "1") for name in EXPRESSION_CHANNELS]
    about = ours("camera", clock=clock)
    xdf.stream(1, "AffectEdge expression", "Expression", channels, about=about).samples(1, faces)
    moved = [math.nan if name == "look_x" else 0.5 for name in NAMES]
    xdf.stream(2, "AffectEdge movements", "Movements", [(n, "1") for n in NAMES], about=about)
    xdf.samples(2, [(100.1 + n / 5, moved) for n in range(10)])
    beats = [(100.0 + n, [60.0 + n, 0.0]) for n in range(10)]
    our_readings(xdf, 3, VitalKind.HEART_RATE, "ble:A0", beats, clock)
    xdf.stream(4, "Clip", "SpO2", [("SpO2", "%")], rate=1.0)
    xdf.samples(4, [(100.0 + n, [97.0]) for n in range(10)])
    events = ours("Affect Edge", clock=clock)
    xdf.stream(
        5, "AffectEdge markers", "Markers", [("markers", "")], form="string", about=events
    ).samples(5, [(102.0, ["stimulus_start/anger"]), (108.0, ["stimulus_end/anger"])])
    xdf.stream(
        6, "AffectEdge sessions", "Markers", [("sessions", "")], form="string", about=events
    ).samples(6, [(100.0, ["session_start/12"]), (110.0, ["session_end/12"])])
    xdf.stream(7, "EEG", "EEG", [("Cz", "uV")], rate=100.0, form="int16")
    return xdf.samples(7, [(100.0 + n / 100, [n]) for n in range(1000)]).footer(7, 1000)
