"""RMSSD of the last five minutes: what counts, when there is a number, and what its limits hold."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.variability import (
    LiveVariability,
    Variability,
    limits_of_rmssd,
    limits_of_sdnn,
    rms_without_errors,
)
from edge_agent.core.vitals import VitalKind

START_MS = 1_790_000_000_000


def beats_of(lengths: list[float], error: float | None = None) -> list[VitalReading]:
    """Readings of intervals that follow each other."""
    at_s = 0.0
    found: list[VitalReading] = []
    for seconds in lengths:
        at_s += seconds
        at = Instant(round(1000 * at_s), START_MS + round(1000 * at_s))
        found.append(VitalReading(at, VitalKind.RR_INTERVAL, seconds, "ble:strap", error=error))
    return found


def after(readings: list[VitalReading]) -> Variability:
    live = LiveVariability()
    for one in readings:
        live.add(one)
    found = live.now(readings[-1].at.wall_ms)
    assert found is not None
    return found


def test_rmssd_of_alternating_intervals_is_their_difference() -> None:
    found = after(beats_of([0.8, 0.84] * 200))
    assert found.rmssd_ms == pytest.approx(40.0)
    assert found.share == pytest.approx(1.0, abs=0.01)
    assert (found.low_ms, found.high_ms) == (None, None)


def test_rmssd_has_no_number_before_80_percent_of_five_minutes() -> None:
    early = after(beats_of([0.8] * 299))
    assert (early.rmssd_ms, round(early.share, 3)) == (None, 0.797)
    assert after(beats_of([0.8] * 301)).rmssd_ms == pytest.approx(0.0)


@pytest.mark.parametrize("flag", [VitalFlag.CONTACT_LOST, VitalFlag.POOR_SIGNAL])
def test_rmssd_leaves_out_flagged_beats_and_counts_them(flag: VitalFlag) -> None:
    readings = beats_of([0.8, 0.84] * 200)
    some = [one.with_flag(flag) if n % 10 == 0 else one for n, one in enumerate(readings)]
    found = after(some)
    assert found.rmssd_ms == pytest.approx(40.0)
    assert found.share == pytest.approx(0.9, abs=0.01)
    many = [one.with_flag(flag) if n % 4 == 0 else one for n, one in enumerate(readings)]
    assert after(many).rmssd_ms is None


def test_value_whose_square_overflows_is_no_good_beat() -> None:
    readings = beats_of([0.8, 0.84] * 200)
    readings[200] = replace(readings[200], value=1e200)
    assert after(readings).rmssd_ms == pytest.approx(40.0)
    worst = [
        replace(one, value=value)
        for one, value in zip(readings, [1e308, -1e308] * 200, strict=True)
    ]
    assert after(worst).rmssd_ms is None


def test_sources_of_one_sender_keep_no_sensor_and_no_other_sender_out() -> None:
    live = LiveVariability()
    for number in range(40):
        for one in beats_of([0.8] * 3):
            live.add(replace(one, source=f"http:evil:{number}"))
            live.add(replace(one, source=f"mqtt:{number}"))
    for one in beats_of([0.8, 0.84] * 200):
        live.add(replace(one, source="ble:strap"))
        live.add(replace(one, source="http:good:watch"))
    now = live.now(START_MS + 328_000)
    assert now is not None
    assert now.source == "ble:strap"
    assert now.rmssd_ms == pytest.approx(40.0)


def test_break_in_the_intervals_is_no_difference() -> None:
    readings = beats_of([0.8] * 200 + [0.9] * 200)
    later = [
        one if n < 200 else replace(one, at=one.at.shift(10)) for n, one in enumerate(readings)
    ]
    assert after(later).rmssd_ms == pytest.approx(0.0)


def test_clock_that_is_set_back_leaves_no_old_beats() -> None:
    live = LiveVariability()
    for one in beats_of([0.8] * 100):
        live.add(replace(one, at=one.at.shift(86_400)))
    for one in beats_of([0.8] * 400):
        live.add(one)
    found = live.now(START_MS + 320_000)
    assert found is not None
    assert found.share > 0.9


@pytest.mark.parametrize("of_beats", [False, True])
@pytest.mark.parametrize(("beats", "noise_s", "error_s"), [(350, 0.020, 0.008), (70, 0.040, 0.003)])
def test_limits_hold_the_true_rmssd_in_95_percent_or_a_little_more(
    beats: int, noise_s: float, error_s: float, *, of_beats: bool
) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(600):
        true = 0.85 + np.cumsum(rng.normal(0, noise_s / 3, beats)) + rng.normal(0, noise_s, beats)
        # The mean absolute value of a normal distribution is 0.7979 standard deviations.
        spread = error_s / 0.7979
        errors = rng.normal(0, spread, beats)
        if of_beats:
            errors = np.diff(rng.normal(0, spread / math.sqrt(2), beats + 1))
        given = np.diff(true + errors).tolist()
        low, high = limits_of_rmssd([given], [[error_s] * len(given)])
        held += low <= math.sqrt(float(np.mean(np.diff(true) ** 2))) <= high
    assert 0.935 <= held / 600 <= 0.995


def test_limits_hold_the_true_sdnn_in_95_percent() -> None:
    rng = np.random.default_rng(1)
    for of_beats in (False, True):
        held = 0
        for _ in range(400):
            true = 0.85 + 0.025 * np.sin(np.arange(350) * 1.3 + rng.uniform(0, 6))
            true += rng.normal(0, 0.015, 350)
            error_s = 0.008
            spread = error_s / 0.7979
            errors = rng.normal(0, spread, 350)
            if of_beats:
                errors = np.diff(rng.normal(0, spread / math.sqrt(2), 351))
            off = true + errors - (true + errors).mean()
            low, high = limits_of_sdnn([off.tolist()], [[error_s] * 350])
            held += low <= float(true.std(ddof=1)) <= high
        assert 0.92 <= held / 400 <= 0.98


def test_errors_larger_than_the_differences_give_no_limits_of_zero() -> None:
    # Errors of 30 ms alone would give 59 ms: an armband states more than it has.
    found = after(beats_of([0.8, 0.82] * 200, error=0.030))
    assert found.low_ms == 0.0
    assert found.high_ms == pytest.approx(20.0)


def test_limits_come_with_errors_of_all_beats() -> None:
    readings = beats_of([0.8, 0.84] * 200, error=0.005)
    found = after(readings)
    assert found.low_ms is not None
    assert found.high_ms is not None
    assert found.rmssd_ms is not None
    # The errors alone would give 9.9 ms: sqrt(2.5) times 6.27 ms.
    assert found.low_ms < 38.8 < found.high_ms
    some = [replace(one, error=None) if n == 200 else one for n, one in enumerate(readings)]
    assert after(some).low_ms is None


def test_rms_without_stated_errors_equals_r() -> None:
    # R 4.2.2: sqrt(mean(d^2) - mean(pi / 2 * (e[-1]^2 + e[-8]^2))), and the same of x - mean(x)
    x, e = (812, 845, 790, 860, 835, 801, 870, 822), (5, 12, 8, 5, 9, 12, 6, 7)
    differences = [float(b - a) for a, b in pairwise(x)]
    of_pairs = [math.sqrt((a**2 + b**2) / 2) for a, b in pairwise(e)]
    found = rms_without_errors(differences, of_pairs, of_differences=True)
    assert found == pytest.approx(48.094868007992908, rel=1e-9)
    off = [one - sum(x) / len(x) for one in x]
    found = rms_without_errors(off, [float(one) for one in e], of_differences=False)
    assert found == pytest.approx(24.196235984085671, rel=1e-9)
    assert rms_without_errors([1.0, -1.0], [5.0, 5.0], of_differences=True) is None
