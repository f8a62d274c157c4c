"""The camera's pulse: found where it is, doubted where there is none, each silence a gap."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.camera_pulse import (
    WINDOW_S,
    CameraPulse,
    Colour,
    Pulse,
    find_pulse,
    pulse_signal,
)

FPS = 20
START = Instant(boot_ms=5_000_000, wall_ms=1_790_000_000_000)


class Scene:
    """A face in simulated time, and what was said of it."""

    def __init__(self, simulated: bool = False) -> None:
        self.readings: list[VitalReading] = []
        self.gaps: list[Gap] = []
        self.frame = 0
        self.pulse = CameraPulse(self.readings.append, self.gaps.append, simulated=simulated)

    @property
    def at(self) -> Instant:
        return START.shift(self.frame / FPS)

    def show(
        self, seconds: float, rate: float | None = 72.0, track: int | None = 1, every: int = 1
    ) -> None:
        """Show a face with a pulse, without one (0) or no face (``None``)."""
        for _ in range(round(seconds * FPS)):
            if self.frame % every == 0:
                self.pulse.add_frame(self.at, track, None if rate is None else self.colour(rate))
            self.frame += 1

    def colour(self, rate: float) -> Colour:
        beat = math.sin(2 * math.pi * rate / 60 * self.frame / FPS) if rate else 0.0
        noise = 0.1 * math.sin(self.frame * self.frame * 0.37)
        return 180 + 0.2 * beat, 130 + 0.35 * beat + noise, 105 + 0.2 * beat - noise

    @property
    def said(self) -> list[tuple[str, float, float]]:
        """Reason, start and end of each gap, in seconds since the start."""
        return [
            (g.reason, round(g.start.seconds_since(START)), round(g.end.seconds_since(START)))
            for g in self.gaps
        ]


@pytest.mark.parametrize(
    ("simulated", "flags"),
    [(False, {VitalFlag.ESTIMATED}), (True, {VitalFlag.ESTIMATED, VitalFlag.SIMULATED})],
)
def test_pulse_is_reported_every_five_seconds_for_its_windows_middle(
    simulated: bool, flags: set[VitalFlag]
) -> None:
    scene = Scene(simulated)
    scene.show(60)
    assert [round(r.at.seconds_since(START)) for r in scene.readings] == list(range(10, 50, 5))
    for reading in scene.readings:
        assert (reading.kind, reading.source) == (VitalKind.HEART_RATE, "camera_pulse")
        assert reading.flags == flags
        assert reading.value == pytest.approx(72.0, abs=1.0)
        assert reading.at.wall_ms - reading.at.boot_ms == START.wall_ms - START.boot_ms
    assert scene.gaps == []


@pytest.mark.parametrize(
    ("rate", "every", "reason"), [(0.0, 1, "unclear"), (72.0, 3, "few_frames")]
)
def test_no_pulse_or_too_few_frames_leave_nothing_but_a_gap(
    rate: float, every: int, reason: str
) -> None:
    scene = Scene()
    scene.show(60, rate=rate, every=every)
    scene.pulse.close()
    assert scene.readings == []
    assert scene.said == [(reason, 0, 60)]


def test_a_face_that_was_away_is_waited_for_again() -> None:
    scene = Scene()
    scene.show(40)
    scene.show(60, rate=None, track=None)
    scene.show(40)
    assert scene.said == [("no_face", 40, 110)]
    spoken = [round(r.at.seconds_since(START)) for r in scene.readings]
    assert spoken == [10, 15, 20, 25, 30, 110, 115, 120, 125]


def test_a_blink_of_the_detector_is_bridged_and_another_face_is_not() -> None:
    scene = Scene()
    scene.show(30)
    scene.show(0.3, rate=None)
    scene.show(29.7)
    assert scene.gaps == []
    assert round(scene.readings[-1].at.seconds_since(START)) == 45
    scene.show(15, track=2)
    assert round(scene.readings[-1].at.seconds_since(START)) == 45, (
        "the second face was not there for 20 s yet"
    )


def test_a_camera_that_stands_still_is_not_the_silence_of_the_pulse() -> None:
    scene = Scene()
    scene.show(40)
    scene.frame += 600 * FPS
    scene.show(40)
    assert scene.said == []
    spoken = [round(r.at.seconds_since(START)) for r in scene.readings]
    assert spoken == [10, 15, 20, 25, 650, 655, 660, 665]


def test_a_long_silence_is_written_down_while_it_lasts() -> None:
    scene = Scene()
    scene.show(640, rate=0)
    assert scene.said == [("unclear", 0, 300), ("unclear", 300, 600)]


def test_closing_twice_or_before_the_first_frame_does_nothing() -> None:
    scene = Scene()
    scene.pulse.close()
    scene.show(15, rate=0)
    scene.pulse.close()
    scene.pulse.close()
    assert scene.said == [("gathering", 0, 15)]


# The pulse in numbers


SKIN = np.array([180.0, 130.0, 105.0])
PULSE = np.array([0.33, 0.77, 0.53])  # de Haan & Jeanne 2013: relative strength under white light
Values = npt.NDArray[np.float64]


def times(seed: int, fps: float = 15.0) -> Values:
    """When the frames of a camera come that is never quite on time."""
    chance = np.random.default_rng(seed)
    steps = 1 / fps + chance.normal(0, 0.008, int(WINDOW_S * fps * 1.2))
    at = np.cumsum(np.maximum(steps, 0.01))
    return np.asarray(at[at < WINDOW_S])


def colours(at: Values, seed: int, rate: float | None, light: float = 0.0) -> Values:
    """Mean colours of skin whose green rises and falls by 0.5 % in all, in noise and in light that
    changes.
    """
    chance = np.random.default_rng(seed)
    beat = np.zeros_like(at) if rate is None else 0.0025 * np.sin(2 * np.pi * rate / 60 * at)
    shade = 1 + light * np.sin(2 * np.pi * 0.9 * at)
    seen = SKIN * (1 + beat[:, np.newaxis] * PULSE / PULSE[1]) * shade[:, np.newaxis]
    return np.asarray(seen + chance.normal(0, 0.05, seen.shape))


@pytest.mark.parametrize(
    ("rate", "light"),
    [(48.0, 0.0), (75.0, 0.0), (145.0, 0.0), (72.0, 0.025)],  # light ten times as strong as it
)
def test_a_pulse_is_found_within_one_beat_a_minute(rate: float, light: float) -> None:
    at = times(1)
    found = find_pulse(at, colours(at, 2, rate, light=light))
    assert found is not None and found.is_clear
    assert found.rate == pytest.approx(rate, abs=1.0)


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
def test_pulse_counts_only_above_the_noise_and_where_parts_agree(
    snr_db: float, spread: float, clear: bool
) -> None:
    assert Pulse(70.0, snr_db, spread).is_clear is clear


def test_where_there_is_no_colour_nothing_is_found() -> None:
    at = np.arange(0, WINDOW_S, 0.05)
    gray = np.repeat(90 + 5 * np.sin(2 * np.pi * 1.2 * at)[:, np.newaxis], 3, axis=1)
    assert np.abs(pulse_signal(gray)).max() < 1e-9  # a lamp that flickers
    for level in (90.0, 0.0):
        assert find_pulse(at, np.full((len(at), 3), level)) is None


def test_the_double_of_the_rate_belongs_to_pulse_and_other_waves_do_not() -> None:
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
