"""Beats of an electrocardiogram, while it comes.

Method: two moving averages of the squared signal, one as long as a QRS complex and one as long as a
beat, after a band-pass of 8 to 20 Hz (Elgendi, Jonkman & De Boer 2010, *Frequency bands effects on
QRS detection*, BIOSIGNALS 428-431; Elgendi 2013, PLoS ONE 8:e73557). Ours: a band-pass of constant
delay, so that the result does not depend on how the signal is cut into frames; the time of a beat
between two samples, where a parabola through the largest ones has its top; and what is no signal of
a heart. Pure.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from edge_agent.core.process import Later

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples: TypeAlias = npt.NDArray[np.float64]
else:
    np = Later("numpy")

BAND_HZ = (8.0, 20.0)
QRS_S = 0.097
BEAT_S = 0.611
OFFSET = 0.08
"""Share of the mean of the squared signal by which its short average must exceed the long one."""
REFRACTORY_S = 0.25
"""Least time between two beats: 240 a minute. With the 0.3 s of the source, a heart above 200 a
minute has every second beat left out."""
WINDOW_S = 8.0
"""Signal that is kept and judged at a time."""
LEAST_S = 3.0
"""Signal without which nothing is decided."""
LATE_S = 0.9
"""Age at which a beat is decided: the filter and the long average must have passed it."""
_TAPS_S = 0.5
_LIKE_OTHERS = (0.3, 3.0)
"""A beat is this many times as high as the usual one of the last, or it is doubtful."""
_AROUND_S = 0.3
_SWING = 2.5
"""The raw signal around a beat spans no more than this multiple of the usual span: movement."""
_USUAL = 9
_MUCH = 1.5
"""So many times larger must bottoms be than tops before they are taken for the beats."""
_LEAST_UV = 15.0
"""Least height of a beat in the band, µV; below it is noise of the amplifier."""
_LEAST_TO_NOISE = 3.0
"""Least height of a beat as a multiple of the middle of the band's absolute value around it."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One beat.

    Attributes:
        at_s: its time, on the clock of the samples.
        good: whether it is as high as the beats around it, well above the noise, and without the
            swing of a movement.
    """

    at_s: float
    good: bool


def band_pass(hz: float) -> Samples:
    """Return the taps of a symmetric band-pass: a windowed sinc, whose delay is half its length."""
    half = round(_TAPS_S * hz / 2)
    n = np.arange(-half, half + 1)
    low, high = (2 * edge / hz * np.sinc(2 * edge / hz * n) for edge in BAND_HZ)
    taps: Samples = (high - low) * np.hamming(len(n))
    taps -= taps.mean()
    return taps


def _average(values: Samples, seconds: float, hz: float) -> Samples:
    """Return the moving average of an odd number of samples, of the same length."""
    width = 2 * round(seconds * hz / 2) + 1
    padded = np.pad(values, width // 2, mode="edge")
    sums = np.cumsum(np.concatenate(([0.0], padded)))
    result: Samples = (sums[width:] - sums[:-width]) / width
    return result


class BeatDetector:
    """Finds the beats of a signal that comes in pieces; each beat is reported once, in order.

    Args:
        hz: samples per second, nominal; their times may say otherwise.

    Example:
        >>> detector = BeatDetector(130.0)
        >>> detector.add([0.0] * 73, [number / 130 for number in range(73)])
        []
    """

    def __init__(self, hz: float) -> None:
        self._hz = hz
        self._taps = band_pass(hz)
        self._signal = np.zeros(0)
        self._times = np.zeros(0)
        self._heights: deque[float] = deque(maxlen=_USUAL)
        self._swings: deque[float] = deque(maxlen=_USUAL)
        self._last_s = -math.inf
        self._decided_s = -math.inf
        self._sign = 0.0

    def begin_anew(self) -> None:
        """Forget the signal, because samples are missing before what comes next."""
        self._signal, self._times = np.zeros(0), np.zeros(0)

    def add(self, samples: Sequence[float], times: Sequence[float]) -> list[Beat]:
        """Add samples (µV) with their times (s, rising); return the beats that are decided now."""
        keep = round(WINDOW_S * self._hz)
        self._signal = np.concatenate((self._signal, np.asarray(samples, np.float64)))[-keep:]
        self._times = np.concatenate((self._times, np.asarray(times, np.float64)))[-keep:]
        if len(self._signal) < LEAST_S * self._hz:
            return []
        # Where the signal begins, the filter has not seen what was before.
        self._decided_s = max(self._decided_s, self._times[0] + _TAPS_S / 2)
        return self._decide(self._times[-1] - LATE_S)

    def _decide(self, until_s: float) -> list[Beat]:
        padded = np.pad(self._signal, len(self._taps) // 2, mode="edge")
        filtered = np.convolve(padded, self._taps, "valid")
        blocks = _blocks(filtered, self._hz)
        self._choose_sign(filtered, blocks)
        filtered *= self._sign
        beats: list[Beat] = []
        noise = float(np.median(np.abs(filtered)))
        for place in (int(first + np.argmax(filtered[first:last])) for first, last in blocks):
            at_s, height = self._top(filtered, place)
            if at_s <= self._decided_s or at_s > until_s or at_s - self._last_s < REFRACTORY_S:
                continue
            beats.append(Beat(at_s, self._is_good(height, noise, self._swing(place))))
            self._last_s = at_s
        self._decided_s = max(self._decided_s, until_s)
        return beats

    def _choose_sign(self, filtered: Samples, blocks: Sequence[tuple[int, int]]) -> None:
        """Choose whether beats are tops or bottoms, and keep to it unless the other is much larger.

        Where both are alike, the largest would now be the R, now the S wave, some 30 ms later.
        """
        if not blocks:
            self._sign = self._sign or 1.0
            return
        top = float(np.median([filtered[first:last].max() for first, last in blocks]))
        bottom = -float(np.median([filtered[first:last].min() for first, last in blocks]))
        larger = 1.0 if top >= bottom else -1.0
        if not self._sign or max(top, bottom) > _MUCH * min(top, bottom):
            self._sign = larger

    def _top(self, filtered: Samples, place: int) -> tuple[float, float]:
        """Return time and height of the top of a parabola through a sample and its neighbours."""
        if not 0 < place < len(filtered) - 1:
            return float(self._times[place]), float(filtered[place])
        before, here, after = filtered[place - 1 : place + 2]
        bend = before - 2 * here + after
        shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
        step = (self._times[place + 1] - self._times[place - 1]) / 2
        return float(self._times[place] + shift * step), float(here)

    def _swing(self, place: int) -> float:
        """Return the span of the raw signal around a sample."""
        reach = round(_AROUND_S * self._hz)
        around = self._signal[max(0, place - reach) : place + reach + 1]
        return float(around.max() - around.min())

    def _is_good(self, height: float, noise: float, swing: float) -> bool:
        self._heights.append(height)
        self._swings.append(swing)
        usual, usual_swing = float(np.median(self._heights)), float(np.median(self._swings))
        low, high = _LIKE_OTHERS
        return (
            height >= max(_LEAST_UV, _LEAST_TO_NOISE * noise)
            and low * usual <= height <= high * usual
            and swing <= _SWING * usual_swing
        )


def _blocks(filtered: Samples, hz: float) -> list[tuple[int, int]]:
    """Return the first place of each QRS complex, and the first behind it."""
    squared = filtered**2
    short, long = _average(squared, QRS_S, hz), _average(squared, BEAT_S, hz)
    inside = short > long + OFFSET * squared.mean()
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False])).astype(np.int8)))
    return [
        (first, last)
        for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        if last - first >= QRS_S * hz
    ]
