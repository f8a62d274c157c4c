"""Heart rate from the colour of skin over time, by POS, and how far it can be trusted.

Pure; NumPy alone.

With each beat the blood in the skin takes a little more of the green light than of the red. POS,
"plane orthogonal to skin", finds that change beneath the larger ones of light and motion, which are
alike in all three colours: Wang, den Brinker, Stuijk & de Haan 2017, "Algorithmic principles of
remote PPG", IEEE Transactions on Biomedical Engineering 64:1479–1491, algorithm 1. What is found is
a spectrum, and a spectrum always has a peak; whether that is a pulse is judged by two signs: the
signal-to-noise ratio of de Haan & Jeanne 2013 ("Robust pulse rate from chrominance-based rPPG",
same journal 60:2878–2886), and whether the parts of the window agree with the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

WINDOW_S = 20.0
"""Seconds that one estimate is made of: some 15 to 40 beats."""
LOWEST = 42.0
HIGHEST = 150.0
"""Rates that are looked for, 1/min; people who sit before a camera are rarely outside."""
LEAST_SNR_DB = 5.0
"""Signal-to-noise ratio from which an estimate counts: the pulse has three times the power of all
the rest.
"""
MOST_SPREAD = 5.0
"""How far, in 1/min, a part of the window may be from the whole."""

_HZ = 20.0  # of the evenly spaced samples
_POS_SAMPLES = 32  # 1.6 s, as the paper has it: at least one beat
_FFT = 4096  # zeros added until the spectrum's points lie 0.3 /min apart
# half widths around the rate and its double: of a Hann window's peak over 20 s
_PEAK_HZ = 0.12
_HARMONIC_HZ = 0.18
_NOISE_HZ = (0.6, 4.0)
_PARTS = 3


@dataclass(frozen=True, slots=True)
class Pulse:
    """What one window of colours gives.

    Attributes:
        rate: heart rate, 1/min.
        snr_db: power at the rate and at its double over the rest between 0.6 and 4 Hz, dB.
        spread: how far the rates of its first, middle and last half are from that of the whole,
            1/min, at most.
    """

    rate: float
    snr_db: float
    spread: float

    @property
    def is_clear(self) -> bool:
        """Whether it may be believed."""
        return self.snr_db >= LEAST_SNR_DB and self.spread <= MOST_SPREAD


def find_pulse(times_s: npt.ArrayLike, colours: npt.ArrayLike) -> Pulse | None:
    """Look for a pulse.

    Args:
        times_s: of n samples, rising, in seconds; ``WINDOW_S`` from first to last, or nearly so.
        colours: n × 3, red, green and blue in any unit that is linear enough (a camera's 0…255 is).

    Returns:
        What was found, clear or not; ``None`` where there is no colour to look at: a gray or a
        black picture.
    """
    samples = _evenly(np.asarray(times_s, np.float64), np.asarray(colours, np.float64))
    if samples.min() <= 0:
        return None
    signal = pulse_signal(samples)
    if not np.ptp(signal) > 0:
        return None
    frequencies, power = _spectrum(signal)
    rate = _peak(frequencies, power)
    half = len(signal) // 2
    starts = np.linspace(0, len(signal) - half, _PARTS).astype(int)
    parts = [_peak(*_spectrum(signal[start : start + half])) for start in starts]
    return Pulse(
        60 * rate, _snr_db(frequencies, power, rate), 60 * max(abs(part - rate) for part in parts)
    )


def pulse_signal(colours: Values) -> Values:
    """Return the pulse signal of evenly spaced colours: POS.

    Args:
        colours: n × 3, red, green, blue, positive; n ≥ 32.

    Returns:
        n values without unit, with mean near 0.
    """
    windows = np.lib.stride_tricks.sliding_window_view(colours, _POS_SAMPLES, axis=0)
    normalised = windows / windows.mean(axis=2, keepdims=True)
    red = normalised[:, 0]
    green = normalised[:, 1]
    blue = normalised[:, 2]
    first = green - blue
    second = green + blue - 2 * red
    deviation = second.std(axis=1)
    tuning = np.divide(
        first.std(axis=1), deviation, out=np.zeros_like(deviation), where=deviation > 0
    )
    parts = first + tuning[:, np.newaxis] * second
    parts -= parts.mean(axis=1, keepdims=True)
    signal = np.zeros(len(colours))
    for offset in range(_POS_SAMPLES):
        signal[offset : offset + len(parts)] += parts[:, offset]
    return signal


def _evenly(times_s: Values, colours: Values) -> Values:
    """Return the colours at even times: a camera's frames come when they come."""
    even = np.arange(times_s[0], times_s[-1], 1 / _HZ)
    return np.stack([np.interp(even, times_s, channel) for channel in colours.T], axis=1)


def _spectrum(signal: Values) -> tuple[Values, Values]:
    """Return frequencies in Hz and the power at each."""
    windowed = (signal - signal.mean()) * np.hanning(len(signal))
    power = np.abs(np.fft.rfft(windowed, _FFT)) ** 2
    return np.asarray(np.fft.rfftfreq(_FFT, 1 / _HZ), np.float64), np.asarray(power, np.float64)


def _peak(frequencies: Values, power: Values) -> float:
    """Return the frequency with most power among the rates that are looked for, Hz."""
    looked_at = (frequencies >= LOWEST / 60) & (frequencies <= HIGHEST / 60)
    return float(frequencies[looked_at][power[looked_at].argmax()])


def _snr_db(frequencies: Values, power: Values, rate: float) -> float:
    pulse = (abs(frequencies - rate) <= _PEAK_HZ) | (abs(frequencies - 2 * rate) <= _HARMONIC_HZ)
    in_band = (frequencies >= _NOISE_HZ[0]) & (frequencies <= _NOISE_HZ[1])
    signal = power[in_band & pulse].sum()
    noise = power[in_band & ~pulse].sum()
    return float(10 * np.log10(signal / max(noise, np.finfo(np.float64).tiny)))
