"""The thread that reads faces: the newest frame, within the budget, and an end in order."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from edge_agent.config.vision import VisionSettings
from edge_agent.core import clock
from edge_agent.core.expression import Box, Face, Frame, Recognition
from edge_agent.core.threads import LatestValue
from edge_agent.vision.eyes import EyeWatch
from edge_agent.vision.governor import SLOWEST_S, WHOLE_FRAMES, Governor, Limit
from edge_agent.vision.movements import open_movements
from edge_agent.vision.reading_by_need import Effort
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from edge_agent.vision.worker import WEIGHTS, VisionWorker, skin_colour
from tests.support.clocks.simulated_time import Seconds
from tests.support.vision.portraits import detector, serious, smiling

DEADLINE_S = 60.0


def frame(number: int) -> Frame:
    return Frame(smiling(), clock.now(), number)


def reader(*, by_need: bool = False) -> Recognizer:
    options = VisionSettings(expression_model="expression-fast", confirm_frames=1)
    return open_recognizer(options, by_need=by_need)


def test_every_frame_is_read_and_counted_and_the_one_that_waits_at_end_too() -> None:
    latest_frame: LatestValue[Frame] = LatestValue()
    governor = Governor(8.0, 15)
    seen: list[int] = []
    read = threading.Event()

    def take(recognition: Recognition) -> None:
        seen.append(recognition.frame_number)
        if recognition.frame_number == 2:
            latest_frame.put(frame(3))
            vision.stop()
        read.set()

    vision = VisionWorker(latest_frame, reader(), governor, take)
    vision.start()
    for number in range(3):
        latest_frame.put(frame(number))
        assert read.wait(DEADLINE_S)
        read.clear()
    assert vision.join(DEADLINE_S)
    assert seen == [0, 1, 2, 3]
    assert vision.frames == 4
    assert governor.cost_s > 0


def test_beyond_the_budget_it_pauses_and_searches_whole_frames_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = Seconds()
    monkeypatch.setattr(clock, "boot_seconds", seconds)
    latest_frame: LatestValue[Frame] = LatestValue()
    governor = Governor(1e-6, 15)
    recognizer = reader()
    read: list[int] = []
    pauses: list[float] = []

    def take(recognition: Recognition) -> None:
        read.append(recognition.frame_number)
        seconds.now += 0.05
        if recognition.frame_number == 0:
            latest_frame.put(frame(1))

    def wait(pause_s: float) -> bool:
        pauses.append(pause_s)
        if len(pauses) == 2:
            vision.stop()
        else:
            latest_frame.put(frame(2))
            latest_frame.put(frame(3))
        return seconds.wait(pause_s)

    vision = VisionWorker(latest_frame, recognizer, governor, take)
    monkeypatch.setattr(vision.stopping, "wait", wait)
    latest_frame.put(frame(0))
    vision.work()
    assert read == [0, 1, 3]
    assert latest_frame.dropped == 1
    assert pauses == pytest.approx([SLOWEST_S - 0.05, SLOWEST_S - 0.05])
    assert governor.plan.limit is Limit.BUDGET
    assert recognizer.whole_s == governor.plan.whole_s == WHOLE_FRAMES * SLOWEST_S


def test_frames_in_which_faces_need_no_reading_are_passed_over_and_counted() -> None:
    seen: list[Recognition] = []
    vision = VisionWorker(LatestValue(), reader(by_need=True), Governor(8, 15), seen.append)
    start = clock.now()
    for number in range(30):
        vision._read(Frame(smiling(), start.shift(number / 15), number))
    assert vision.frames == 30
    assert 6 <= vision.readings == len(seen) <= 15
    assert vision.effort is Effort.BY_NEED


def test_callback_for_frames_gets_every_frame() -> None:
    shown: list[tuple[int, int]] = []
    vision = VisionWorker(
        LatestValue(),
        reader(by_need=True),
        Governor(8, 15),
        lambda _: None,
        lambda frame, seen: shown.append((frame.number, len(seen.observations) if seen else -1)),
        reads_every=True,
    )
    start = clock.now()
    for number in range(5):
        vision._read(Frame(smiling(), start.shift(number / 15), number))
    assert shown == [(number, 1) for number in range(5)]
    assert vision.effort is Effort.EVERY_FRAME


def test_eyes_are_read_in_each_frame_and_faces_by_need() -> None:
    closed: list[tuple[int | None, float | None]] = []
    eyes = EyeWatch(open_movements(1), lambda _at, track, value: closed.append((track, value)))
    vision = VisionWorker(
        LatestValue(), reader(by_need=True), Governor(8, 15), lambda _: None, eyes.add
    )
    start = clock.now()
    for number in range(30):
        vision._read(Frame(smiling(), start.shift(number / 15), number))
    assert vision.readings <= 15
    followed = [value for track, value in closed if track == 1 and value is not None]
    assert len(closed) == 30 and len(followed) >= 24, "all but the frames that confirm the face"
    assert max(followed) < 0.1, "her eyes are open"
    assert vision.effort is Effort.BY_NEED
    vision._read(Frame(np.zeros_like(smiling()), start.shift(3), 30))
    assert closed[-1] == (None, None)


# The mean colour of a face's skin


COINCIDING = Face(Box(100, 100, 80, 100), 0.9, ((140.0, 150.0),) * 5)


def test_a_plain_picture_has_its_own_colour_in_the_order_red_green_blue() -> None:
    image = np.full((480, 640, 3), (90, 120, 170), np.uint8)
    assert skin_colour(image, COINCIDING) == pytest.approx((170, 120, 90), abs=0.01)
    assert WEIGHTS.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("portrait", [smiling, serious])
def test_skin_is_redder_than_green_and_greener_than_blue(portrait: object) -> None:
    image = portrait()  # type: ignore[operator]
    red, green, blue = skin_colour(image, detector().detect(image)[0])
    assert red > green + 15 > blue + 15


def test_a_change_of_a_tenth_of_a_level_is_seen_through_rounding() -> None:
    image = smiling()
    face = detector().detect(image)[0]
    chance = np.random.default_rng(1)
    noise = chance.normal(0, 2, (8, *image.shape))
    means = []
    for change in (0.0, 0.1):
        seen = [
            np.clip(np.rint(image + change + grain), 0, 255).astype(np.uint8) for grain in noise
        ]
        means.append(np.mean([skin_colour(frame, face) for frame in seen], axis=0))
    assert np.allclose(means[1] - means[0], 0.1, atol=0.06)


def test_a_face_at_the_edge_of_the_picture_has_a_colour() -> None:
    image = np.full((480, 640, 3), 100, np.uint8)
    face = Face(
        Box(-40, -40, 100, 120),
        0.9,
        ((-10.0, 10.0), (30.0, 10.0), (10.0, 30.0), (-5.0, 50.0), (25.0, 50.0)),
    )
    assert skin_colour(image, face) == pytest.approx((100, 100, 100), abs=0.01)
