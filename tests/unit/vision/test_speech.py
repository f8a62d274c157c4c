"""Lips and jaw that move to and fro are speech; a movement that goes one way is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_agent.vision.speech import HOLDS_S, WINDOW_S, SpeechWatch
from tests.support.timeline import instant, movements


def answers(jaw_at: Callable[[float], float], fps: int = 15, until_s: float = 4.0) -> list[bool]:
    """Return whether a face speaks, frame by frame."""
    watch = SpeechWatch()
    times = [number / fps for number in range(round(until_s * fps))]
    jaws = [jaw_at(at) for at in times]
    return [
        watch.speaks(1, instant(at), movements(jaw_open=jaw, lower_lip_down=jaw))
        for at, jaw in zip(times, jaws, strict=True)
    ]


def syllables(at: float) -> float:
    return 0.4 * abs(math.sin(2 * math.pi * 1.7 * at))


@pytest.mark.parametrize("fps", [5, 15, 30])
def test_jaw_that_opens_and_closes_speaks_at_any_frame_rate(fps: int) -> None:
    said = answers(syllables, fps)
    assert not said[0]
    assert all(said[2 * fps :])


def test_mouth_that_opens_once_does_not_speak() -> None:
    assert not any(answers(lambda at: min(max(at - 1, 0.0), 0.9)))


@pytest.mark.parametrize("fps", [5, 30])
def test_noise_of_the_readings_is_no_speech(fps: int) -> None:
    random = np.random.default_rng(0)
    assert not any(answers(lambda _: abs(random.normal(0, 0.02)), fps))


def test_speech_ends_after_the_window_and_the_hold() -> None:
    said = answers(
        lambda at: syllables(at) if at < 2 else 0.0, until_s=2 + WINDOW_S + HOLDS_S + 0.5
    )
    assert said[29]
    assert not said[-1]


def test_faces_are_watched_apart_and_forgotten() -> None:
    watch = SpeechWatch()

    def frames() -> Iterator[bool]:
        for number in range(20):
            at = instant(number / 5)
            watch.speaks(1, at, movements(jaw_open=number % 2))
            yield watch.speaks(2, at, movements())

    assert not any(frames())
    assert not watch.speaks(1, instant(4 + 2 * WINDOW_S), movements(jaw_open=1))
