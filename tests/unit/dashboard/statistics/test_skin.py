"""Responses of skin conductance against NeuroKit2, and what gives none."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import TooShortError
from dashboard.statistics.skin import (
    Responses,
    TooSlowError,
    at_ceiling,
    fast_changes,
    find_responses,
    find_rises,
    quarters,
)

# Ten recordings of a minute by NeuroKit2 0.3.0: the sum of two of ``eda_simulate``, with seeds 0 to
# 9 and 50 to 59, 4 to 20 samples a second and noise up to 0.1, in steps of 0.1 nS. Of the means of
# quarters of a second (``quarters``): peaks and their heights above the onset by its ``eda_peaks``
# with ``amplitude_min=0``, where it has an onset.
SIMULATED: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("skin_by_neurokit.json").read_text(encoding="utf-8")
)


def level_of(recording: dict[str, Any]) -> Values:
    signal = np.array(recording["values"]) / 10_000
    return quarters(np.arange(len(signal)) / recording["hz"], signal)[1]


def responses(values: Values, hz: float, least_us: float = 0.05) -> Responses:
    return find_responses(np.arange(len(values)) / hz, values, least_us)


def found_of(own: Responses, peaks: Values, heights: Values) -> npt.NDArray[np.bool_]:
    """Return which rises are responses: all but small ones, which a climbing level may make."""
    # the middle of the first quarter that has a neighbour
    found = np.isclose(peaks[:, np.newaxis] / 4 + 0.375, own.at_s).any(axis=1)
    assert np.count_nonzero(found) == len(own.at_s)
    assert np.all(heights[~found] < 0.08)
    return np.asarray(found)


@pytest.mark.parametrize("least_us", [0.05, 0.3])
@pytest.mark.parametrize("recording", SIMULATED, ids=lambda one: f"{one['hz']} Hz")
def test_responses_of_simulated_conductance_are_those_of_neurokit(
    recording: dict[str, Any], least_us: float
) -> None:
    height = np.array(recording["rises"])
    counted = height >= least_us
    own = responses(np.array(recording["values"]) / 10_000, recording["hz"], least_us)
    height = height[counted]
    height = height[found_of(own, np.array(recording["peaks"])[counted], height)]
    # a rise that begins no faster than its level climbs begins a quarter of a second later here
    assert own.amplitude + own.drift == pytest.approx(height, abs=0.001)
    assert np.sum(np.abs(own.amplitude + own.drift - height) > 1e-9) <= 1


@pytest.mark.deep
def test_responses_are_those_that_neurokit_finds_now() -> None:
    neurokit = pytest.importorskip("neurokit2", reason="pip install neurokit2")
    signals = [(np.array(one["values"]) / 10_000, one["hz"]) for one in SIMULATED]
    for seed, hz in enumerate((4, 7, 25, 32, 50, 64, 100, 128, 250, 1000)):
        made = neurokit.eda_simulate(
            duration=90, sampling_rate=hz, scr_number=7, noise=0.02 * seed, random_state=seed
        )
        signals.append((np.asarray(made, dtype=np.float64), hz))
    for signal, hz in signals:
        level = quarters(np.arange(len(signal)) / hz, signal)[1]
        known = neurokit.eda_peaks(level, sampling_rate=4, method="neurokit", amplitude_min=0)[1]
        counted = known["SCR_Amplitude"] >= 0.05
        own = responses(signal, hz)
        height = known["SCR_Amplitude"][counted]
        height = height[found_of(own, known["SCR_Peaks"][counted], height)]
        assert own.amplitude + own.drift == pytest.approx(height, abs=0.005)


def test_quarters_are_the_means_of_the_line_through_the_samples() -> None:
    # by hand, with a lost sample at 10.5 s
    at, values = np.array([10.0, 10.125, 10.25, 10.75]), np.array([0.0, 4.0, 0.0, 8.0])
    middle, means = quarters(at, values)
    assert middle.tolist() == [10.375]
    assert means == pytest.approx([(2.0 + 2 * 2.0 + 6.0) / 4])
    # in the middle of quarters: a mean has six eighths of its sample, an eighth of each neighbour
    middle, means = quarters(np.arange(8) / 4 + 0.125, np.array([0, 0, 0, 32.0, 0, 0, 0, 0]))
    assert middle.tolist() == [0.625, 0.875, 1.125, 1.375]
    assert means == pytest.approx([8.0, 14.0, 8.0, 1.0])


def rises(hz: float, *starts_s: float, seconds: float = 120.0, height: float = 0.5) -> Values:
    """A level of 4 µS with responses, differences of two exponentials."""
    at = np.arange(round(seconds * hz)) / hz
    signal = np.full(len(at), 4.0)
    for start in starts_s:
        since = np.clip(at - start, 0, None)
        signal += 2.88 * height * (np.exp(-since / 2) - np.exp(-since / 0.75))
    return signal


def test_responses_of_a_flat_recording_are_none_though_its_noise_has_peaks() -> None:
    noisy = rises(8) + np.random.default_rng(3).normal(0, 0.005, 8 * 120)
    assert len(find_rises(noisy, fast_changes(noisy))[0]) > 200
    assert len(responses(noisy, 8).at_s) == 0


def test_responses_of_a_level_that_climbs_slowly_are_none() -> None:
    at = np.arange(480) / 4
    climbing = rises(4, 60.0) + 2.0 / (1 + np.exp(-(at - 40) / 5))  # 2 µS within some 20 s
    assert responses(climbing, 4).at_s == pytest.approx([61.25], abs=0.25)


@pytest.mark.parametrize("gap_s", [0.0, 5.0])
def test_responses_beside_a_start_a_hundred_times_larger_are_found(gap_s: float) -> None:
    small = [20.0, 32, 44, 56, 68, 80, 92, 104, 116]
    signal = rises(4, *small, seconds=150, height=0.08) + rises(4, 74.5, seconds=150, height=8) - 4
    at = np.arange(600) / 4
    kept = (at < 62) | (at >= 62 + gap_s)
    found = find_responses(at[kept], signal[kept], 0.05)
    # the one at 80 s rises while the start still falls faster than it
    peaks = [20.0, 32, 44, 56, 68, 74.5, 92, 104, 116]
    assert found.at_s == pytest.approx([second + 1.1 for second in peaks], abs=0.25)


@pytest.mark.parametrize("slope", [-0.02, 0.002, 0.01, 0.02])
def test_responses_on_a_level_that_drifts_are_found(slope: float) -> None:
    at = np.arange(480) / 4
    found = find_responses(at, rises(4, 20.0, 50.0, 80.0) + slope * at, 0.05)
    assert found.at_s == pytest.approx([21.1, 51.1, 81.1], abs=0.25)
    assert found.amplitude == pytest.approx([0.5] * 3, abs=0.11)


@pytest.mark.parametrize("slope", [-0.05, -0.02, 0.0, 0.02, 0.05])
@pytest.mark.parametrize("height", [0.1, 0.3])
def test_amplitude_of_a_response_is_without_the_drift_of_the_level(
    slope: float, height: float
) -> None:
    at = np.arange(480) / 4
    signal = rises(4, 20.0, 40.0, 60.0, 80.0, 100.0, height=height) + slope * at + 10
    found = find_responses(at, signal, 0.05)
    # Beside a steep level a small one is no rise, or less than half of it is faster than the level.
    if height > 0.1 or abs(slope) < 0.05:
        assert found.amplitude == pytest.approx([0.97 * height] * 5, rel=0.08)


@pytest.mark.parametrize("slope", [-0.02, 0.02, 0.05])
def test_amplitude_of_dense_responses_is_without_a_drift_that_begins(slope: float) -> None:
    starts = np.cumsum([4.0, 9.0, 5.0, 8.0] * 9)
    at = np.arange(960) / 4
    level = slope * np.clip(at - 120, 0, None)
    found = find_responses(at, rises(4, *starts, seconds=240, height=0.3) + level, 0.05)
    flat, drifting = (found.amplitude[(found.at_s >= 120) == late] for late in (False, True))
    assert np.mean(drifting) == pytest.approx(np.mean(flat), rel=0.1)


@pytest.mark.parametrize("slope", [-0.01, -0.001, 0.0, 0.0001, 0.001, 0.01])
def test_responses_begin_where_they_rise_whatever_the_level_does(slope: float) -> None:
    at = np.arange(480) / 4
    found = find_responses(at, rises(4, 20.0, 50.0, 80.0) + slope * at, 0.05)
    assert found.began_s == pytest.approx([20.0, 50.0, 80.0], abs=0.2)


@pytest.mark.parametrize("hz", [4, 20, 100])
def test_responses_begin_in_time_though_a_rising_level_has_noise(hz: int) -> None:
    events = np.arange(20.0, 560.0, 37.0)
    at = np.arange(600 * hz) / hz
    noise = np.random.default_rng(1).normal(0, 0.002, len(at))
    found = find_responses(at, rises(hz, *events, seconds=600.0) + 0.003 * at + noise, 0.05)
    assert found.began_s == pytest.approx(events, abs=0.5)


def test_responses_below_the_threshold_are_none() -> None:
    signal = rises(4, 20.0, height=0.04) + rises(4, 50.0, 80.0, height=0.2) - 4
    counts = [len(responses(signal, 4, least).at_s) for least in (0.01, 0.05, 0.19, 0.21)]
    assert counts == [3, 2, 2, 0]


def test_responses_of_a_flat_beginning_count_and_of_a_rising_one_do_not() -> None:
    assert len(responses(rises(4, 20.0), 4).at_s) == 1  # flat to the last digit before it
    assert len(responses(rises(4, 20.0)[81:], 4).at_s) == 0


@pytest.mark.parametrize("seed", range(10))
def test_responses_of_one_recording_are_as_many_at_each_rate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts = 5 + np.cumsum(rng.exponential(6.0, 20)) + np.arange(20)
    heights = 0.2 * np.exp(rng.normal(0, 0.8, 20))
    seconds = math.ceil(starts[-1]) + 20
    every = [
        rises(100, start, seconds=seconds, height=height) - 4
        for start, height in zip(starts, heights, strict=True)
    ]
    signal = 4 + np.sum(every, axis=0) + rng.normal(0, 0.002, seconds * 100)
    at = np.arange(len(signal)) / 100
    rates = {hz: np.interp(np.arange(seconds * hz) / hz, at, signal) for hz in (4, 8, 32, 100)}
    counts = {hz: len(responses(values, hz).at_s) for hz, values in rates.items()}
    means = signal.reshape(-1, 25).mean(axis=1)  # as streams and makers' files are recorded
    counted = len(find_responses(np.arange(len(means)) / 4 + 0.12, means, 0.05).at_s)
    assert {*counts.values(), counted} <= {counts[100] + more for more in (-1, 0, 1)}
    assert counts[100] >= 12


@pytest.mark.parametrize("hz", [4, 20, 100])
def test_responses_at_four_samples_a_second_are_as_many_as_at_a_hundred(hz: int) -> None:
    rng = np.random.default_rng(8)
    starts = 10 + np.cumsum(rng.uniform(8, 14, 20))
    heights = rng.uniform(0.2, 1, 20)
    every = [
        rises(100, start, seconds=300, height=height)
        for start, height in zip(starts, heights, strict=True)
    ]
    noisy = np.sum(every, axis=0) + rng.normal(0, 0.005, 300 * 100)
    means = noisy.reshape(300 * hz, 100 // hz).mean(axis=1)
    found = responses(means, hz)
    assert len(found.at_s) == 20
    assert found.amplitude.mean() == pytest.approx(0.97 * heights.mean(), abs=0.01)


def test_responses_of_uneven_times_with_lost_samples_are_found() -> None:
    rng = np.random.default_rng(5)
    at = np.round(np.arange(4 * 120) * 250 + rng.uniform(-40, 40, 4 * 120)) / 1000
    kept = rng.random(len(at)) > 0.05
    since = np.interp(at, np.arange(480) / 4, rises(4, 20.0, 50.0, 80.0))
    found = find_responses(at[kept], since[kept], 0.05)
    assert found.at_s == pytest.approx([21.5, 51.5, 81.5], abs=0.6)
    assert found.amplitude == pytest.approx([0.48] * 3, abs=0.02)
    assert found.spans == ((at[kept][0], at[kept][-1]),)


def test_ceiling_of_a_sensor_is_a_plateau_of_its_largest_value() -> None:
    at = np.arange(480) / 4
    signal = rises(4, 20.0, 50.0, 80.0)
    # 5 s at the top of the second response, and one sample of that value at another time
    clipped = np.minimum(signal + 8 * (rises(4, 50.0, height=1) - 4), 8.0)
    clipped[300] = 8.0
    is_top = at_ceiling(at, clipped)
    assert at[is_top].tolist() == at[(clipped == 8.0) & (at < 60)].tolist()
    assert 2 <= is_top.sum() / 4 <= 6
    assert not at_ceiling(at, signal).any()
    assert not at_ceiling(at, np.full(480, 5.0)).any()
    assert not at_ceiling(at[:0], signal[:0]).any()


def test_responses_a_gap_parts_two_recordings() -> None:
    at = np.arange(480) / 4
    there = (at < 50) | (at >= 60)
    found = find_responses(at[there], rises(4, 20.0, 55.0, 80.0)[there], 0.05)
    assert found.spans == ((0.0, 49.75), (60.0, 119.75))
    assert found.at_s == pytest.approx([21.5, 81.5], abs=0.6)


def test_responses_with_a_reading_a_second_say_why_there_are_none() -> None:
    with pytest.raises(TooSlowError, match=r"at least 4 samples .* a second; there are 1\.0"):
        find_responses(np.arange(120.0), rises(1, 20.0), 0.05)
    with pytest.raises(TooSlowError, match="there are 0"):
        find_responses(np.array([]), np.array([]), 0.05)


def test_responses_of_short_pieces_say_how_long_the_longest_is() -> None:
    at = np.concatenate([np.arange(60) / 4, 30 + np.arange(60) / 4])
    with pytest.raises(TooShortError, match=r"at least 20 s .* the longest time has 15"):
        find_responses(at, np.full(120, 4.0), 0.05)
