"""Frames of Polar's protocol as a strap and an armband send them, and a heart to fill them with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

ECG_HZ = 130
FRAME = 73
"""Samples of one frame of an electrocardiogram: as many as a notification of 229 octets holds."""
SETTINGS_OF_H10 = bytes.fromhex(
    "f0 01 02 00 00 00 04 19 00 32 00 64 00 c8 00 01 01 10 00 02 03 02 00 04 00 08 00"
)
"""Its answer for acceleration: 25, 50, 100, 200 Hz; 16 bits; 2, 4, 8 g."""
SETTINGS_OF_ARMBAND = bytes.fromhex("f0 01 02 00 00 00 01 34 00 01 01 10 00 02 01 08 00 04 01 03")
"""Its answer for acceleration: 52 Hz; 16 bits; 8 g; 3 channels."""
SINCE_2000_S = 843_000_000.0
"""Seconds of a sensor's clock, which begins in 2000: a day in September 2026."""


def ecg_frame(samples: Sequence[int], last_s: float) -> bytes:
    """One notification of an electrocardiogram: µV, and the time of the last sample."""
    head = bytes([0]) + round(last_s * 1e9).to_bytes(8, "little") + bytes([0])
    return head + b"".join(one.to_bytes(3, "little", signed=True) for one in samples)


def ppi_frame(intervals: Iterable[tuple[int, int, int]]) -> bytes:
    """One notification of pulse-to-pulse intervals: ms, expected error in ms, bits."""
    return (
        bytes([3])
        + bytes(9)
        + b"".join(
            bytes([60_000 // ms if ms else 0])
            + ms.to_bytes(2, "little")
            + error.to_bytes(2, "little")
            + bytes([bits])
            for ms, error, bits in intervals
        )
    )


Sample = tuple[int, int, int]


def raw_acceleration(samples: Sequence[Sample], last_s: float) -> bytes:
    """One notification of an H10's acceleration: mg, and the time of the last sample."""
    head = bytes([2]) + round(last_s * 1e9).to_bytes(8, "little") + bytes([1])
    return head + b"".join(_signed(axis) for sample in samples for axis in sample)


def compressed_acceleration(samples: Sequence[Sample], last_s: float, form: int = 0x81) -> bytes:
    """One notification of an armband's acceleration, with all differences in one block."""
    bits = 16
    head = bytes([2]) + round(last_s * 1e9).to_bytes(8, "little") + bytes([form])
    packed = 0
    changes = (b - a for first, then in pairwise(samples) for a, b in zip(first, then, strict=True))
    for place, change in enumerate(changes):
        packed |= (change & (1 << bits) - 1) << place * bits
    count = len(samples) - 1
    octets = packed.to_bytes(count * 3 * bits // 8, "little")
    return head + b"".join(map(_signed, samples[0])) + bytes([bits, count]) + octets


def _signed(axis: int) -> bytes:
    return axis.to_bytes(2, "little", signed=True)


def ecg_of(beats_s: Sequence[float], seconds: float) -> list[int]:
    """An electrocardiogram in µV at 130 Hz with a P, QRS and T wave at each beat."""
    waves = (
        *((-0.16, 0.025, 90.0), (-0.025, 0.009, -110.0), (0.0, 0.011, 1100.0)),
        *((0.028, 0.010, -240.0), (0.25, 0.045, 240.0)),
    )
    signal = [0.0] * round(seconds * ECG_HZ)
    for beat in beats_s:
        for delay, width, height in waves:
            middle = beat + delay
            first = max(0, math.floor((middle - 5 * width) * ECG_HZ))
            last = min(len(signal), math.ceil((middle + 5 * width) * ECG_HZ))
            for place in range(first, last):
                x = (place / ECG_HZ - middle) / width
                signal[place] += height * math.exp(-x * x / 2)
    return [round(one) for one in signal]


def frames_of(signal: Sequence[int], start_s: float = SINCE_2000_S) -> Iterator[bytes]:
    """The notifications of a signal, whole ones only."""
    for first in range(0, len(signal) - FRAME + 1, FRAME):
        samples = signal[first : first + FRAME]
        yield ecg_frame(samples, start_s + (first + FRAME - 1) / ECG_HZ)
