"""The samples of one stream, which pyxdf reads and whose times it corrects.

pyxdf believes what a file says: a length of 2^60 is memory that it asks for. So it gets a file of
one stream whose chunks were all checked, and whose description has nothing but what it needs.
"""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from edge_agent.core.errors import DataFileError
from edge_agent.core.texts import N_
from edge_agent.vitals.health.xdf.container import (
    CLOCK,
    LATEST_S,
    MAGIC,
    SAMPLES,
    XdfChannel,
    XdfStream,
)

if TYPE_CHECKING:
    import numpy as np
    from _typeshed import WriteableBuffer
    from numpy.typing import NDArray

_MOST_SAMPLES = 4_000_000
"""An hour at 1,000 Hz; each takes about 100 bytes while its time is corrected."""
_PAUSE_S = 5.0
_LEAST_PAUSE = 5
_PYXDF_PAUSE = 500
_MOST_VALUES = 16_000_000
_MOST_TEXTS = 200_000
_MOST_CHUNK = 64 << 20
_MOST_TEXT = 64 << 10
_LENGTH = {1: "<B", 4: "<I", 8: "<Q"}
_OF_ODD_FILES = (
    *(ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError),
    struct.error,
)
"""Errors of pyxdf and NumPy where times or measurements of clocks make no sense."""
MISSING = N_(
    "{file}: XDF files need the library pyxdf. On an appliance: sudo ./install.sh --with xdf. In a "
    "checkout: .venv/bin/pip install -e '.[xdf]'. With pipx: pipx inject affect-edge pyxdf. "
    "Nothing was imported."
)


class SamplesError(Exception):
    """A stream cannot be read; the text is the rest of a sentence."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of a stream, in the order of time.

    Attributes:
        times: by the clock of the recorder, seconds.
        values: a row for each sample with the channels that were asked for: an array of numbers, or
            a list of texts.
        shift_s: what was added to the time of the first sample for the clock of the recorder.
        damaged: number of chunks that were left out.
        untimed: number of samples that were left out: no clock that counts seconds has their time.
    """

    times: NDArray[np.float64]
    values: Any
    shift_s: float
    damaged: int
    untimed: int


def require_pyxdf(file: str) -> Any:
    """Return the library.

    Raises:
        DataFileError: it is not installed.
    """
    try:
        import pyxdf
    except ImportError as error:
        raise DataFileError(MISSING, file=file) from error
    # Its remarks are about every odd chunk; ours are about what is missing.
    logging.getLogger("pyxdf").setLevel(logging.CRITICAL)
    return pyxdf


def load_libraries() -> None:
    """Read a stream of three samples: libraries load at their first use what they need later.

    Raises:
        DataFileError: pyxdf is not installed.
    """
    rows = (b"\x08" + struct.pack("<dd", at_s, 0.0) for at_s in range(3))
    raw = bytes(6) + b"\x01\x03" + b"".join(rows)
    stream = XdfStream(
        1, "", rate_hz=1.0, form="double64", channels=(XdfChannel("", ""),), samples=3
    )
    stream.clocks.extend((0.0, 0.0, 1.0, 0.0, 2.0, 0.0))
    stream.places.extend((0, len(raw)))
    read_samples(require_pyxdf(""), io.BytesIO(raw), stream, (0,))


def read_samples(pyxdf: Any, file: BinaryIO, stream: XdfStream, places: Sequence[int]) -> Samples:
    """Return the samples of a stream with their times corrected.

    Args:
        pyxdf: the library.
        file: the recording, opened.
        stream: which one.
        places: its channels that are wanted.

    Raises:
        SamplesError: they are too many, or their times make no sense.
    """
    import numpy as np

    _refuse_many(stream, len(places))
    chunks = _Chunks(file, stream)
    first_s: list[float] = []
    untimed = 0

    def keep(values: Any, stamps: Any, info: Any, _: int) -> tuple[Any, Any, Any]:
        """Keep the wanted channels of the samples that have a time."""
        nonlocal untimed
        is_sound = np.abs(stamps) < LATEST_S
        untimed += int(len(stamps) - is_sound.sum())
        stamps = stamps[is_sound]
        if not first_s and len(stamps):
            first_s.append(float(stamps[0]))
        if stream.is_text:
            kept = zip(values, is_sound, strict=True)
            return (
                [[row[place] for place in places] for row, is_kept in kept if is_kept],
                stamps,
                info,
            )
        return values[is_sound][:, list(places)], stamps, info

    with _translate_errors(), np.errstate(all="ignore"):
        loaded, _ = pyxdf.load_xdf(
            io.BufferedReader(cast("io.RawIOBase", chunks), 1 << 16),
            on_chunk=keep,
            jitter_break_threshold_samples=_pause_samples(stream.rate_hz),
        )
        times, values = loaded[0]["time_stamps"], loaded[0]["time_series"]
        if not np.isfinite(times).all():
            raise ValueError("times without end")
    shift_s = float(times[0]) - first_s[0] if len(times) else 0.0
    order = np.argsort(times, kind="stable")  # a clock that was set goes back
    values = [values[place] for place in order] if stream.is_text else values[order]
    return Samples(times[order], values, shift_s, chunks.damaged, untimed)


def _pause_samples(rate_hz: float) -> int:
    """Return the samples that must be missing for a pause, which pyxdf does not smooth away.

    Its own number is 500: of a stream of 1 Hz it spread a pause of eight minutes over all samples.
    """
    return max(_LEAST_PAUSE, min(_PYXDF_PAUSE, round(_PAUSE_S * min(rate_hz, _PYXDF_PAUSE))))


def _refuse_many(stream: XdfStream, wanted: int) -> None:
    count = stream.samples
    most = min(_MOST_SAMPLES, _MOST_VALUES // max(1, wanted))
    if stream.is_text:
        most = _MOST_TEXTS // len(stream.channels)
    if count > most:
        raise SamplesError(
            f"has {count:,} samples, and at most {most:,} are read. Write it into several files, "
            "or with a lower rate"
        )


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _OF_ODD_FILES as error:
        raise SamplesError(f"has times or clocks that make no sense ({error})") from error


class _Chunks(io.RawIOBase):
    """A file of one stream, made of its chunks that are sound.

    Attributes:
        damaged: number of chunks that were left out.
    """

    def __init__(self, file: BinaryIO, stream: XdfStream) -> None:
        super().__init__()
        self.damaged = 0
        self._file = file
        self._stream = stream
        self._blocks = self._pieces()
        self._block = memoryview(b"")
        self._at = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._block:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._block = memoryview(block)
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._block))
        target[:count] = self._block[:count]
        self._block = self._block[count:]
        self._at += count
        return count

    def _pieces(self) -> Iterator[bytes]:
        stream = self._stream
        yield MAGIC
        yield _chunk(2, _header(stream))
        for place in range(0, len(stream.clocks), 2):
            yield _chunk(CLOCK, struct.pack("<dd", *stream.clocks[place : place + 2]))
        for place in range(0, len(stream.places), 2):
            begins, length = stream.places[place : place + 2]
            content = self._content(begins, length)
            if content is None:
                self.damaged += 1
            else:
                yield _chunk(SAMPLES, content)
        if stream.stated is not None:
            yield _chunk(6, f"<info><sample_count>{stream.stated}</sample_count></info>".encode())

    def _content(self, begins: int, length: int) -> bytes | None:
        """Return a chunk of samples behind the number of its stream; ``None``: it is damaged."""
        if length > _MOST_CHUNK:
            return None
        self._file.seek(begins + 6)
        content = self._file.read(length - 6)
        is_sound = _is_sound_text if self._stream.is_text else _is_sound
        return content if is_sound(content, self._stream) else None


def _chunk(tag: int, content: bytes) -> bytes:
    return b"\x08" + struct.pack("<QHI", len(content) + 6, tag, 1) + content


def _header(stream: XdfStream) -> bytes:
    """Return the part of a description that pyxdf needs."""
    can_drop = stream.about.text_at("desc", "synchronization", "can_drop_samples").lower()
    about = f"""<info><name>x</name><type>x</type>
        <channel_count>{len(stream.channels)}</channel_count>
        <nominal_srate>{stream.rate_hz!r}</nominal_srate>
        <channel_format>{stream.form}</channel_format><desc><synchronization><can_drop_samples>
        {"true" if can_drop == "true" else "false"}</can_drop_samples></synchronization></desc>
        </info>"""
    return "".join(map(str.strip, about.splitlines())).encode()


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Return a number with its own length before it, and the place behind it.

    Raises:
        ValueError: there is none.
    """
    form = _LENGTH.get(content[at]) if at < len(content) else None
    if form is None or at + 1 + struct.calcsize(form) > len(content):
        raise ValueError("no number")
    return int(struct.unpack_from(form, content, at + 1)[0]), at + 1 + struct.calcsize(form)


def _is_sound(content: bytes, stream: XdfStream) -> bool:
    """Return whether a chunk has exactly the numbers that it says."""
    try:
        count, at = _number(content, 0)
    except ValueError:
        return False
    room, size = len(content) - at, stream.sample_bytes
    if not count * (1 + size) <= room <= count * (9 + size):
        return False
    for _ in range(count):
        if at >= len(content):
            return False
        at += size + (9 if content[at] else 1)
    return at == len(content)


def _is_sound_text(content: bytes, stream: XdfStream) -> bool:
    """Return whether a chunk has exactly the texts that it says."""
    try:
        count, at = _number(content, 0)
        if count * (1 + stream.sample_bytes) > len(content) - at:
            return False
        for _ in range(count):
            at += 9 if content[at] else 1
            for _ in stream.channels:
                length, at = _number(content, at)
                at += length
                if length > _MOST_TEXT or at > len(content):
                    return False
    except (IndexError, ValueError):
        return False
    return at == len(content)
