"""The camera's pulse speaks every five seconds where it is clear, and each silence is a gap with
its reason.
"""

from __future__ import annotations

import math

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.camera_pulse import CameraPulse, Colour

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
        return START.shifted(self.frame / FPS)

    def show(
        self, seconds: float, rate: float | None = 72.0, track: int | None = 1, every: int = 1
    ) -> None:
        """Show a face with a pulse, without one (0) or no face (``None``)."""
        for _ in range(round(seconds * FPS)):
            if self.frame % every == 0:
                self.pulse.see(self.at, track, None if rate is None else self.colour(rate))
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


def test_it_speaks_every_five_seconds_of_its_windows_middle_and_says_that_it_estimates() -> None:
    scene = Scene()
    scene.show(60)
    assert [round(r.at.seconds_since(START)) for r in scene.readings] == list(range(10, 50, 5))
    for reading in scene.readings:
        assert (reading.kind, reading.source) == (VitalKind.HEART_RATE, "camera_pulse")
        assert reading.flags == {VitalFlag.ESTIMATED}
        assert reading.value == pytest.approx(72.0, abs=1.0)
        assert reading.at.wall_ms - reading.at.boot_ms == START.wall_ms - START.boot_ms
    assert scene.gaps == []


def test_a_face_without_a_pulse_leaves_nothing_but_a_gap() -> None:
    scene = Scene()
    scene.show(60, rate=0)
    scene.pulse.close()
    assert scene.readings == []
    assert scene.said == [("unclear", 0, 60)]


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


def test_too_few_frames_are_not_interpreted() -> None:
    scene = Scene()
    scene.show(60, every=3)
    scene.pulse.close()
    assert scene.readings == []
    assert scene.said == [("few_frames", 0, 60)]


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


def test_what_a_demonstration_shows_is_simulated_too() -> None:
    scene = Scene(simulated=True)
    scene.show(30)
    assert scene.readings[0].flags == {VitalFlag.ESTIMATED, VitalFlag.SIMULATED}


def test_closing_twice_or_before_the_first_frame_does_nothing() -> None:
    scene = Scene()
    scene.pulse.close()
    scene.show(15, rate=0)
    scene.pulse.close()
    scene.pulse.close()
    assert scene.said == [("gathering", 0, 15)]
