"""Experimental estimate of the heart rate from the colour of the participant's face.

It gives no reading in doubt. It receives three numbers for each frame, never a picture.

With each beat the blood in the skin absorbs a little more of the green light than of the red. POS,
"plane orthogonal to skin", finds that change beneath the larger changes of light and motion, which
are alike in all three colours: Wang, den Brinker, Stuijk & de Haan 2017, "Algorithmic principles of
remote PPG", IEEE Transactions on Biomedical Engineering 64:1479–1491, algorithm 1. The rate is the
peak of a spectrum, but every spectrum has a peak. Two criteria decide whether it is a pulse: the
signal-to-noise ratio of de Haan & Jeanne 2013 ("Robust pulse rate from chrominance-based rPPG",
same journal 60:2878–2886), and the agreement of the parts of the window with the whole.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_agent.core.clock import Instant
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.camera_silence import CameraSilence
from edge_agent.vitals.sources import Sink

log = logging.getLogger(__name__)

Values = npt.NDArray[np.float64]

WINDOW_S = 20.0
"""Seconds of one estimate: some 15 to 40 beats."""
LOWEST = 42.0
HIGHEST = 150.0
"""Range of the rate, 1/min; people who sit in front of a camera are rarely outside it."""
LEAST_SNR_DB = 5.0
"""Signal-to-noise ratio from which an estimate counts: the pulse has three times the power of all
the rest.
"""
MOST_SPREAD = 5.0
"""Most difference between a part of the window and the whole, 1/min."""

_HZ = 20.0  # of the evenly spaced samples
_POS_SAMPLES = 32  # 1.6 s, as the paper has it: at least one beat
_FFT = 4096  # zeros added until the spectrum's points lie 0.3 /min apart
# half widths around the rate and its double: of a Hann window's peak over 20 s
_PEAK_HZ = 0.12
_HARMONIC_HZ = 0.18
_NOISE_HZ = (0.6, 4.0)
_PARTS = 3
SOURCE = "camera_pulse"
STEP_S = 5.0
"""Seconds from one estimate to the next; their windows overlap."""
SILENCE_S = 10.0
"""Longest time without a reading that is no gap."""
LEAST_PER_S = 10.0
"""Frames per second with the face, below which the pulse's shape is lost.

Its second harmonic reaches 5 Hz.
"""
_HOLE_S = 0.5  # frames without the face that are bridged
_PAUSE_S = 3.0  # without any frame: the camera stands still, which is its own gap


@dataclass(frozen=True, slots=True)
class Pulse:
    """The pulse in one window of colours.

    Attributes:
        rate: heart rate, 1/min.
        snr_db: power at the rate and at its double over the rest between 0.6 and 4 Hz, dB.
        spread: largest difference of the rates of its first, middle and last half from that of the
            whole, 1/min.
    """

    rate: float
    snr_db: float
    spread: float

    @property
    def is_clear(self) -> bool:
        """Whether the estimate is reliable enough to be reported."""
        return self.snr_db >= LEAST_SNR_DB and self.spread <= MOST_SPREAD


def find_pulse(times_s: npt.ArrayLike, colours: npt.ArrayLike) -> Pulse | None:
    """Look for a pulse.

    Args:
        times_s: of n samples, rising, in seconds; ``WINDOW_S`` from first to last, or nearly so.
        colours: n × 3, red, green and blue in any unit that is linear enough (a camera's 0…255 is).

    Returns:
        The pulse, clear or not; ``None`` for a picture without colour, gray or black.
    """
    samples = _evenly(np.asarray(times_s, np.float64), np.asarray(colours, np.float64))
    # A colour of 0 cannot be normalised: the picture is gray, black or wrong.
    if samples.min() <= 0:
        return None
    signal = pulse_signal(samples)
    if not np.ptp(signal) > 0:
        return None
    frequencies, power = _spectrum(signal)
    rate = _peak(frequencies, power)
    half = len(signal) // 2
    # The halves begin at 0, a quarter and a half of the window, so that they overlap.
    starts = np.linspace(0, len(signal) - half, _PARTS).astype(int)
    parts = [_peak(*_spectrum(signal[start : start + half])) for start in starts]
    spread = max(abs(part - rate) for part in parts)
    return Pulse(60 * rate, _snr_db(frequencies, power, rate), 60 * spread)


def pulse_signal(colours: Values) -> Values:
    """Return the pulse signal of evenly spaced colours: POS.

    Args:
        colours: n × 3, red, green, blue, positive; n ≥ 32.

    Returns:
        n values without unit, with mean near 0.
    """
    # Algorithm 1 of the paper, for all windows at once instead of in a loop over frames.
    windows = np.lib.stride_tricks.sliding_window_view(colours, _POS_SAMPLES, axis=0)
    normalised = windows / windows.mean(axis=2, keepdims=True)
    red, green, blue = np.moveaxis(normalised, 1, 0)
    first = green - blue
    second = green + blue - 2 * red
    deviation = second.std(axis=1)
    none = np.zeros_like(deviation)
    # The paper's α = σ(S1) / σ(S2): it weighs the signals so that the share of light and motion in
    # both cancels.
    tuning = np.divide(first.std(axis=1), deviation, out=none, where=deviation > 0)
    parts = first + tuning[:, np.newaxis] * second
    parts -= parts.mean(axis=1, keepdims=True)
    # Overlapping windows are added up, as in the algorithm's last step.
    signal = np.zeros(len(colours))
    for offset in range(_POS_SAMPLES):
        signal[offset : offset + len(parts)] += parts[:, offset]
    return signal


def _evenly(times_s: Values, colours: Values) -> Values:
    """Return the colours at even times."""
    # The FFT needs even spacing; a camera's frames come early or late, or are skipped.
    even = np.arange(times_s[0], times_s[-1], 1 / _HZ)
    return np.stack([np.interp(even, times_s, channel) for channel in colours.T], axis=1)


def _spectrum(signal: Values) -> tuple[Values, Values]:
    """Return frequencies in Hz and the power at each."""
    # Hann: without a window the slow drift of light would leak into the rates that are looked for.
    windowed = (signal - signal.mean()) * np.hanning(len(signal))
    power = np.abs(np.fft.rfft(windowed, _FFT)) ** 2
    return np.asarray(np.fft.rfftfreq(_FFT, 1 / _HZ), np.float64), np.asarray(power, np.float64)


def _peak(frequencies: Values, power: Values) -> float:
    """Return the frequency with most power among the rates that are looked for, Hz."""
    looked_at = (frequencies >= LOWEST / 60) & (frequencies <= HIGHEST / 60)
    return float(frequencies[looked_at][power[looked_at].argmax()])


def _snr_db(frequencies: Values, power: Values, rate: float) -> float:
    # The second harmonic belongs to the signal: the pulse wave is steeper on one side.
    pulse = (abs(frequencies - rate) <= _PEAK_HZ) | (abs(frequencies - 2 * rate) <= _HARMONIC_HZ)
    in_band = (frequencies >= _NOISE_HZ[0]) & (frequencies <= _NOISE_HZ[1])
    signal = power[in_band & pulse].sum()
    noise = power[in_band & ~pulse].sum()
    # The smallest number keeps a signal without any noise from dividing by 0.
    return float(10 * np.log10(signal / max(noise, np.finfo(np.float64).tiny)))


Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Sample:
    at: Instant
    colour: Colour


class CameraPulse:
    """Makes readings of the colours of one face.

    A reading has the time of the middle of its 20 s and the flag ``estimated``; a silence lasts
    from the end of these to the middle of the next. Called from one thread.

    Args:
        sink: called with every reading.
        on_gap: called with every silence longer than 10 s. Its reason is the most frequent one:
            ``no_face``, ``few_frames``, ``gathering`` (the face was not there for 20 s yet) or
            ``unclear`` (no pulse above the noise).
        simulated: whether the frames show no person who is present now.

    Example:
        >>> pulse = CameraPulse(recorder.submit, recorder.submit)
        >>> pulse.see(frame.at, track, colour)  # a reading follows after 20 s of one face
        >>> pulse.close()
    """

    def __init__(
        self, sink: Sink, on_gap: Callable[[Gap], None], *, simulated: bool = False
    ) -> None:
        self._sink = sink
        # Without any try the silence was shorter than a step.
        self._silence = CameraSilence(SOURCE, on_gap, SILENCE_S, "gathering")
        self._flags = frozenset({VitalFlag.ESTIMATED})
        if simulated:
            self._flags |= {VitalFlag.SIMULATED}
        self._samples: deque[_Sample] = deque()
        self._track: int | None = None
        self._last: Instant | None = None
        self._tried: Instant | None = None

    def add_frame(self, at: Instant, track: int | None, colour: Colour | None) -> None:
        """Take in one frame.

        Args:
            at: when it was taken; later than the one before.
            track: number of the participant's face; ``None`` without one.
            colour: mean red, green and blue of its skin; ``None`` where it cannot be seen well.
        """
        if self._last is None or at.seconds_since(self._last) > _PAUSE_S:
            self._begin(at)
        self._last = at
        if colour is not None:
            self._add(_Sample(at, colour), track)
        if self._tried is not None and at.seconds_since(self._tried) >= STEP_S:
            self._tried = at
            self._speak(at)

    def close(self) -> None:
        """Record the last silence, at the end of the frames."""
        if self._last is not None:
            self._silence.end(self._last)
        self._last = None

    def _begin(self, at: Instant) -> None:
        """Start again after a time without frames."""
        self.close()
        self._samples.clear()
        # The first estimate is tried a step later, when there may be something to see.
        self._silence.begin(at)
        self._tried = at

    def _add(self, sample: _Sample, track: int | None) -> None:
        hole = bool(self._samples) and sample.at.seconds_since(self._samples[-1].at) > _HOLE_S
        if hole or track != self._track:  # another face has another colour: a step that is no pulse
            self._samples.clear()
        self._track = track
        self._samples.append(sample)
        while sample.at.seconds_since(self._samples[0].at) > WINDOW_S:
            self._samples.popleft()

    def _speak(self, at: Instant) -> None:
        """Emit the heart rate of the last 20 s, or count the reason why there is none."""
        rate = self._estimate(at)
        middle = at.shift(-WINDOW_S / 2)
        if not isinstance(rate, str):
            self._silence.end(middle)
            self._silence.begin(at)  # so far the window reaches
            kind = VitalKind.HEART_RATE
            reading = VitalReading(middle, kind, round(rate, 1), SOURCE, self._flags)
            self._sink(reading.flag_implausible())
            return
        self._silence.count(rate, middle)

    def _estimate(self, at: Instant) -> float | str:
        """Return the rate in 1/min, or the reason why there is none."""
        samples = self._samples
        if not samples or at.seconds_since(samples[-1].at) > _HOLE_S:
            return "no_face"
        # Nearly the whole window: the frames at its edges may have been bridged.
        if at.seconds_since(samples[0].at) < WINDOW_S - _HOLE_S:
            return "gathering"
        if len(samples) < LEAST_PER_S * WINDOW_S:
            return "few_frames"
        first = samples[0].at
        times = [sample.at.seconds_since(first) for sample in samples]
        pulse = find_pulse(times, [sample.colour for sample in samples])
        if pulse is not None and pulse.is_clear:
            return pulse.rate
        return "unclear"
