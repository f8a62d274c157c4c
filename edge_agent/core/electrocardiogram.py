"""Stretches of an electrocardiogram as they are recorded, and their compact form. Pure.

The compact form is the difference of each sample from the one before, in µV, the first from 0: each
as a whole number of seven bits an octet, the sign in the lowest bit (as Protocol Buffers' sint32),
all of them compressed by zlib (RFC 1950).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.core.clock import Instant

ECG_HZ = 130
"""Nominal samples a second of a Polar H10; times are those of the sensor's clock."""
ECG_ERROR_S = 0.0005
"""Expected error of an interval from the electrocardiogram, rounded up: 0.3 to 0.4 ms on two public
recordings at 130 Hz, 1 mV high and with 0 to 20 µV of noise, beside NeuroKit2 at 1,000 Hz."""
MOST_SAMPLES = 100_000
"""More in one stretch are refused: a damaged row could ask for any memory."""
_LARGEST_UV = 2**31 - 1
_MOST_BITS = 35  # of a difference, in five octets


@dataclass(frozen=True, slots=True)
class EcgStretch:
    """Samples that follow each other at one rate.

    Attributes:
        at: time of the end: of the last sample.
        source: of the sensor.
        seconds: what the samples last, by the sensor's clock.
        samples: µV.
    """

    at: Instant
    source: str
    seconds: float
    samples: tuple[int, ...]

    def within(self, from_ms: float, until_ms: float) -> EcgStretch | None:
        """Return the part between two times, in ms after the end; ``None``: no sample is there."""
        count = len(self.samples)
        # As it is recorded: a sensor whose clock stands gives many samples in no time.
        step_ms = max(1.0, 1000 * self.seconds) / count
        first = max(0, math.ceil(count - 1 + from_ms / step_ms))
        last = min(count, math.floor(count - 1 + until_ms / step_ms) + 1)
        if first >= last:
            return None
        return EcgStretch(
            self.at.shift((last - count) * step_ms / 1000),
            self.source,
            (last - first) * step_ms / 1000,
            self.samples[first:last],
        )


def pack(samples: Sequence[int]) -> bytes:
    """Return samples in their compact form."""
    octets = bytearray()
    before = 0
    for sample in samples:
        change, before = sample - before, sample
        left = change << 1 if change >= 0 else (-change << 1) - 1
        while left >= 0x80:
            octets.append(left & 0x7F | 0x80)
            left >>= 7
        octets.append(left)
    return zlib.compress(bytes(octets), 9)


def unpack(packed: bytes, count: int) -> list[int]:
    """Return the samples of a compact form.

    Args:
        packed: of ``pack``.
        count: how many samples there are.

    Raises:
        ValueError: it is damaged.
    """
    if not 0 < count <= MOST_SAMPLES:
        raise ValueError(f"a stretch of {count} samples; from 1 to {MOST_SAMPLES} are possible")
    try:
        octets = zlib.decompressobj().decompress(packed, 5 * count)
        samples = list(_samples(octets))
    except zlib.error as error:
        raise ValueError(f"the stretch is damaged: {error}") from error
    if len(samples) != count:
        raise ValueError(f"the stretch is damaged: {len(samples)} samples instead of {count}")
    return samples


def _samples(octets: bytes) -> Iterator[int]:
    sample = number = shift = 0
    for octet in octets:
        number |= (octet & 0x7F) << shift
        shift += 7
        if shift > _MOST_BITS:
            raise ValueError("the stretch is damaged: a difference of more than five octets")
        if octet < 0x80:
            sample += -((number + 1) >> 1) if number & 1 else number >> 1
            if abs(sample) > _LARGEST_UV:
                raise ValueError(f"the stretch is damaged: a sample of {sample} µV")
            yield sample
            number = shift = 0
