"""Blinks: which closures of made-up eyes are some, and windows that have a count or a reason."""

from __future__ import annotations

import math

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.camera_blinks import CameraBlinks

START = Instant(boot_ms=5_000_000, wall_ms=1_790_000_000_000)
OPEN, SHUT = 0.1, 0.7


class Eyes:
    """Eyes in simulated time, and what was reported of them."""

    def __init__(self, fps: float = 30.0, *, simulated: bool = False) -> None:
        self.readings: list[VitalReading] = []
        self.gaps: list[Gap] = []
        self.blinks = CameraBlinks(self.readings.append, self.gaps.append, simulated=simulated)
        self.fps = fps
        self.frame = 0

    def show(self, seconds: float, closed: float | None = OPEN, track: int | None = 1) -> None:
        """Show eyes that stay as they are; ``None``: no face."""
        for _ in range(round(seconds * self.fps)):
            wobble = 0.01 * math.sin(self.frame * self.frame * 0.37)
            value = None if closed is None else closed + wobble
            at = START.shift(self.frame / self.fps)
            self.blinks.add_frame(at, None if closed is None else track, value)
            self.frame += 1

    def blink(self, lasting_s: float, *, then_s: float) -> None:
        """Close the eyes and open them again."""
        self.show(lasting_s, SHUT)
        self.show(then_s)

    def of(self, kind: VitalKind) -> list[tuple[float, float]]:
        """Second since the start and value of each reading of a kind."""
        return [
            (round(one.at.seconds_since(START), 1), one.value)
            for one in self.readings
            if one.kind is kind
        ]

    @property
    def told_gaps(self) -> list[tuple[str, int, int]]:
        """Reason, begin and end of each gap, in seconds since the start."""
        return [
            (g.reason, round(g.start.seconds_since(START)), round(g.end.seconds_since(START)))
            for g in self.gaps
        ]


@pytest.mark.parametrize("fps", [15.0, 30.0])
def test_blinks_of_known_times_are_counted_with_their_durations(fps: float) -> None:
    eyes = Eyes(fps)
    eyes.show(3)
    for lasting_s in (2 / 15, 4 / 15, 6 / 15):
        eyes.blink(lasting_s, then_s=2)
    eyes.show(3)
    begins, lasting = zip(*eyes.of(VitalKind.BLINK_DURATION), strict=True)
    assert begins == pytest.approx([3.0, 5.1, 7.4], abs=0.15)
    # The edges lie between two frames, on both sides.
    assert lasting == pytest.approx([133, 267, 400], abs=1000 / fps + 15)
    [(at, rate)] = eyes.of(VitalKind.BLINK_RATE)
    # The first second only shows how open the eyes are.
    assert at == 10.0
    assert rate == pytest.approx(3 / 9 * 60, abs=0.3)


def test_closures_that_are_too_short_or_too_long_are_no_blinks() -> None:
    eyes = Eyes(60)
    eyes.show(3)
    eyes.blink(1 / 60, then_s=2)
    eyes.blink(0.7, then_s=2)
    eyes.show(4)
    assert eyes.of(VitalKind.BLINK_DURATION) == []
    assert [rate for _, rate in eyes.of(VitalKind.BLINK_RATE)] == [0.0]


@pytest.mark.parametrize("fps", [15.0, 30.0])
@pytest.mark.parametrize("each_s", [0.5, 1 / 3, 0.25, 0.2])
@pytest.mark.parametrize("closed_s", [0.0, 1.5, 3.0])
def test_blinks_of_a_burst_are_found_also_after_a_long_closure(
    fps: float, each_s: float, closed_s: float
) -> None:
    eyes = Eyes(fps)
    eyes.show(4)
    eyes.blink(closed_s, then_s=0.5)
    shut_s = 0.1 if fps == 30 else 1 / 15
    for _ in range(11):
        eyes.blink(shut_s, then_s=each_s - shut_s)
    eyes.show(11)
    assert len(eyes.of(VitalKind.BLINK_DURATION)) == 11


def test_window_in_which_blinks_may_be_missed_is_flagged() -> None:
    def flags_of(eyes: Eyes) -> list[bool]:
        rates = [one for one in eyes.readings if one.kind is VitalKind.BLINK_RATE]
        return [VitalFlag.POOR_SIGNAL in one.flags for one in rates]

    drowsy, restless, steady = Eyes(), Eyes(), Eyes()
    for eyes in (drowsy, restless, steady):
        eyes.show(10)
    for _ in range(3):
        drowsy.blink(2.5, then_s=0.8)
    for number in range(300):
        restless.show(1 / 30, OPEN + 0.12 * math.sin(number))
    for _ in range(5):
        steady.blink(0.1, then_s=1.9)
    for eyes in (drowsy, restless, steady):
        eyes.show(1)
    assert [flags_of(eyes) for eyes in (drowsy, restless, steady)] == [
        [False, True],
        [False, True],
        [False, False],
    ]


def test_eyes_that_stay_closed_or_half_closed_give_no_blinks() -> None:
    eyes = Eyes()
    eyes.show(5)
    eyes.show(10, SHUT)
    eyes.show(15, (OPEN + SHUT) / 2)
    assert [rate for _, rate in eyes.of(VitalKind.BLINK_RATE)] == [0.0, 0.0]


@pytest.mark.parametrize(("fps", "counts"), [(15.0, 3), (12.0, 0), (5.0, 0), (1.0, 0)])
def test_blinks_at_a_low_rate_are_not_counted_and_the_gap_says_so(fps: float, counts: int) -> None:
    eyes = Eyes(fps)
    eyes.show(5)
    eyes.blink(max(0.2, 1 / fps), then_s=28)
    eyes.blinks.close()
    assert len(eyes.of(VitalKind.BLINK_RATE)) == counts
    assert [reason for reason, *_ in eyes.told_gaps] == ([] if counts else ["few_frames"])
    assert bool(eyes.of(VitalKind.BLINK_DURATION)) == bool(counts)


def test_blinks_of_a_face_that_was_away_are_not_counted_as_none() -> None:
    eyes = Eyes()
    eyes.show(20.1)
    eyes.show(29.9, None)
    eyes.show(21)
    assert [at for at, _ in eyes.of(VitalKind.BLINK_RATE)] == [10.0, 20.0, 60.0, 70.0]
    assert eyes.told_gaps == [("no_face", 20, 50)]


def test_another_face_is_no_blink_and_its_open_eyes_are_learnt_anew() -> None:
    eyes = Eyes()
    eyes.show(5)
    eyes.show(0.3, SHUT, track=2)
    eyes.show(5, OPEN, track=1)
    assert eyes.of(VitalKind.BLINK_DURATION) == []


def test_a_camera_that_stands_still_is_not_a_silence_of_blinks() -> None:
    eyes = Eyes()
    eyes.show(11)
    eyes.frame += 600 * 30
    eyes.show(11)
    eyes.blinks.close()
    assert eyes.told_gaps == []
    assert [at for at, _ in eyes.of(VitalKind.BLINK_RATE)] == [10.0, 621.0]


def test_blinks_of_a_demonstration_are_flagged_and_others_are_not() -> None:
    for simulated, flags in ((True, {VitalFlag.SIMULATED}), (False, set())):
        eyes = Eyes(simulated=simulated)
        eyes.show(3)
        eyes.blink(0.2, then_s=8)
        assert {(one.source, one.flags) for one in eyes.readings} == {
            ("camera_blinks", frozenset(flags))
        }
        assert len(eyes.readings) == 2
