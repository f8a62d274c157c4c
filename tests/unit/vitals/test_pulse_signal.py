"""A pulse in numbers: found where it is, doubted where there is none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.vitals.camera_pulse import WINDOW_S, Pulse, find_pulse, pulse_signal

SKIN = np.array([180.0, 130.0, 105.0])
PULSE = np.array([0.33, 0.77, 0.53])  # de Haan & Jeanne 2013: relative strength under white light
Values = npt.NDArray[np.float64]


def times(seed: int, fps: float = 15.0) -> Values:
    """When the frames of a camera come that is never quite on time."""
    chance = np.random.default_rng(seed)
    steps = 1 / fps + chance.normal(0, 0.008, int(WINDOW_S * fps * 1.2))
    at = np.cumsum(np.maximum(steps, 0.01))
    return np.asarray(at[at < WINDOW_S])


def colours(
    at: Values, seed: int, rate: float | None, noise: float = 0.05, light: float = 0.0
) -> Values:
    """Mean colours of skin whose green rises and falls by 0.5 % in all, in noise and in light that
    changes.
    """
    chance = np.random.default_rng(seed)
    beat = np.zeros_like(at) if rate is None else 0.0025 * np.sin(2 * np.pi * rate / 60 * at)
    shade = 1 + light * np.sin(2 * np.pi * 0.9 * at)
    seen = SKIN * (1 + beat[:, np.newaxis] * PULSE / PULSE[1]) * shade[:, np.newaxis]
    return np.asarray(seen + chance.normal(0, noise, seen.shape))


@pytest.mark.parametrize("rate", [48.0, 60.0, 75.0, 97.0, 120.0, 145.0])
def test_a_pulse_is_found_within_one_beat_a_minute(rate: float) -> None:
    at = times(1)
    found = find_pulse(at, colours(at, 2, rate))
    assert found is not None and found.is_clear
    assert found.rate == pytest.approx(rate, abs=1.0)


def test_light_that_swings_ten_times_as_much_as_the_pulse_does_not_hide_it() -> None:
    at = times(3)
    found = find_pulse(at, colours(at, 4, 72.0, light=0.025))
    assert found is not None and found.is_clear
    assert found.rate == pytest.approx(72.0, abs=1.0)


def test_noise_alone_has_a_peak_but_is_not_believed() -> None:
    clear = 0
    for seed in range(60):
        at = times(seed)
        found = find_pulse(at, colours(at, 1000 + seed, None))
        assert found is not None
        clear += found.is_clear
    assert clear == 0


@pytest.mark.parametrize(
    ("snr_db", "spread", "clear"), [(5.0, 5.0, True), (4.9, 0.0, False), (9.0, 5.1, False)]
)
def test_it_is_believed_only_above_the_noise_and_where_parts_agree(
    snr_db: float, spread: float, clear: bool
) -> None:
    assert Pulse(70.0, snr_db, spread).is_clear is clear


@pytest.mark.parametrize("colour", [(90.0, 90.0, 90.0), (0.0, 0.0, 0.0)], ids=["gray", "black"])
def test_where_there_is_no_colour_nothing_is_found(colour: tuple[float, float, float]) -> None:
    at = times(5)
    assert find_pulse(at, np.tile(colour, (len(at), 1))) is None


def test_a_gray_camera_that_flickers_gives_no_signal() -> None:
    at = np.arange(0, WINDOW_S, 0.05)
    gray = np.repeat(90 + 5 * np.sin(2 * np.pi * 1.2 * at)[:, np.newaxis], 3, axis=1)
    assert np.abs(pulse_signal(gray)).max() < 1e-9


def test_the_double_of_the_rate_belongs_to_the_pulse_and_other_waves_do_not() -> None:
    at = np.arange(0, WINDOW_S, 0.05)

    def ratio(other_hz: float) -> float:
        wave = 0.002 * np.sin(2 * np.pi * at) + 0.0015 * np.sin(2 * np.pi * other_hz * at)
        found = find_pulse(at, SKIN * (1 + wave[:, np.newaxis] * PULSE))
        assert found is not None
        assert found.rate == pytest.approx(60, abs=0.5)
        return found.snr_db

    assert ratio(2.0) > 20
    # The other wave has (15 / 20)² of the power: 2.5 dB less.
    assert ratio(1.6) == pytest.approx(2.5, abs=1)
    assert ratio(2.4) == pytest.approx(2.5, abs=1)


def test_the_signal_is_that_of_the_paper_step_by_step() -> None:
    chance = np.random.default_rng(9)
    colours_seen = SKIN + chance.normal(0, 3, (100, 3))
    expected = np.zeros(100)
    for start in range(100 - 32 + 1):  # algorithm 1, with the windows of 1.6 s at 20 Hz
        window = colours_seen[start : start + 32]
        red, green, blue = (window / window.mean(axis=0)).T
        first = green - blue
        second = -2 * red + green + blue
        signal = first + first.std() / second.std() * second
        expected[start : start + 32] += signal - signal.mean()
    assert np.allclose(pulse_signal(colours_seen), expected, rtol=0, atol=1e-12)
