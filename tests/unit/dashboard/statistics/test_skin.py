"""Responses of skin conductance against NeuroKit2, and what gives none."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import TooShortError
from dashboard.statistics.skin import (
    LEAST_US,
    Peaks,
    TooSlowError,
    find_peaks,
    find_responses,
    phasic,
    without_noise,
)

# Ten recordings of a minute by NeuroKit2 0.3.0: the sum of two of ``eda_simulate``, with seeds 0 to
# 9 and 50 to 59, 4 to 20 samples a second and noise up to 0.1, in steps of 0.1 nS; peaks and
# amplitudes by its ``eda_process``, null where it has none.
SIMULATED: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("skin_by_neurokit.json").read_text(encoding="utf-8")
)


def signal_of(recording: dict[str, Any]) -> Values:
    return np.array(recording["values"]) / 10_000


def amplitudes_of(recording: dict[str, Any]) -> Values:
    known = [math.nan if one is None else one for one in recording["amplitudes"]]
    return np.array(known, dtype=np.float64)


def peaks_of(signal: Values, hz: float) -> Peaks:
    return find_peaks(phasic(without_noise(signal, hz), hz))


@pytest.mark.parametrize("recording", SIMULATED, ids=lambda one: f"{one['hz']} Hz")
def test_responses_of_simulated_conductance_are_those_of_neurokit(
    recording: dict[str, Any],
) -> None:
    hz, expected = recording["hz"], amplitudes_of(recording)
    found = peaks_of(signal_of(recording), hz)
    assert found.at.tolist() == recording["peaks"]
    assert found.amplitude == pytest.approx(expected, abs=1e-9, nan_ok=True)
    clean = without_noise(signal_of(recording), hz)
    counted = (expected >= LEAST_US) & (clean[found.at] - clean[found.begins] >= LEAST_US)
    own = find_responses(np.arange(60 * hz) / hz, signal_of(recording))
    assert own.at_s * hz == pytest.approx(found.at[counted], abs=1e-6)
    assert own.amplitude == pytest.approx(expected[counted], abs=1e-9)


@pytest.mark.deep
def test_responses_are_those_that_neurokit_finds_now() -> None:
    neurokit = pytest.importorskip("neurokit2", reason="pip install neurokit2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns below 7 samples a second
        for recording in SIMULATED:
            known = neurokit.eda_process(signal_of(recording), sampling_rate=recording["hz"])[1]
            assert known["SCR_Peaks"].tolist() == recording["peaks"]
            assert known["SCR_Amplitude"] == pytest.approx(
                amplitudes_of(recording), abs=1e-9, nan_ok=True
            )
        for seed, hz in enumerate((4, 7, 25, 32, 50, 64, 100, 128, 250, 1000)):
            made = neurokit.eda_simulate(
                duration=90, sampling_rate=hz, scr_number=7, noise=0.02 * seed, random_state=seed
            )
            known = neurokit.eda_process(made, sampling_rate=hz)[1]
            found = peaks_of(np.asarray(made, dtype=np.float64), hz)
            assert found.at.tolist() == known["SCR_Peaks"].tolist()
            assert found.amplitude == pytest.approx(known["SCR_Amplitude"], abs=1e-9, nan_ok=True)


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
    assert len(peaks_of(noisy, 8).at) > 100
    assert len(find_responses(np.arange(8 * 120) / 8, noisy).at_s) == 0


def test_responses_the_echo_of_the_filter_is_none() -> None:
    signal = rises(4, 20.0, 50.0, 80.0)
    assert peaks_of(signal, 4).at.tolist() == [85, 152, 205, 272, 325]  # those at 38 and 68 s
    assert find_responses(np.arange(480) / 4, signal).at_s.tolist() == [21.25, 51.25, 81.25]


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
    found = find_responses(np.arange(300 * hz) / hz, means)
    assert len(found.at_s) == pytest.approx(20, abs=1)
    assert found.amplitude.mean() == pytest.approx(0.97 * heights.mean(), abs=0.03)


def test_responses_of_uneven_times_with_lost_samples_are_found() -> None:
    rng = np.random.default_rng(5)
    at = np.round(np.arange(4 * 120) * 250 + rng.uniform(-40, 40, 4 * 120)) / 1000
    kept = rng.random(len(at)) > 0.05
    since = np.interp(at, np.arange(480) / 4, rises(4, 20.0, 50.0, 80.0))
    found = find_responses(at[kept], since[kept])
    assert found.at_s == pytest.approx([21.5, 51.5, 81.5], abs=0.6)
    assert found.amplitude == pytest.approx([0.48] * 3, abs=0.02)
    assert found.spans == ((at[kept][0], at[kept][-1]),)


def test_responses_a_gap_parts_two_recordings() -> None:
    at = np.arange(480) / 4
    there = (at < 50) | (at >= 60)
    found = find_responses(at[there], rises(4, 20.0, 55.0, 80.0)[there])
    assert found.spans == ((0.0, 49.75), (60.0, 119.75))
    assert found.at_s == pytest.approx([21.5, 81.5], abs=0.6)


def test_responses_with_a_reading_a_second_say_why_there_are_none() -> None:
    with pytest.raises(TooSlowError, match=r"at least 4 samples .* a second; there are 1\.0"):
        find_responses(np.arange(120.0), rises(1, 20.0))
    with pytest.raises(TooSlowError, match="there are 0"):
        find_responses(np.array([]), np.array([]))


def test_responses_of_short_pieces_say_how_long_the_longest_is() -> None:
    at = np.concatenate([np.arange(60) / 4, 30 + np.arange(60) / 4])
    with pytest.raises(TooShortError, match=r"at least 20 s .* the longest time has 15"):
        find_responses(at, np.full(120, 4.0))
