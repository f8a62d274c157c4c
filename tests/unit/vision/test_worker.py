"""The thread that reads faces: the newest frame, within the budget, and an end in order."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from edge_agent.config.vision import VisionSettings
from edge_agent.core import clock
from edge_agent.core.expression import Frame, Recognition
from edge_agent.core.threads import LatestValue
from edge_agent.vision.governor import SLOWEST_S, WHOLE_FRAMES, Governor, Limit
from edge_agent.vision.need import Effort
from edge_agent.vision.recognizer import open_recognizer
from edge_agent.vision.worker import VisionWorker
from tests.support.clocks.simulated_time import Seconds
from tests.support.vision.portraits import smiling

DEADLINE_S = 30.0


@dataclass
class Seen:
    """Gathers what a worker hands on."""

    recognitions: list[Recognition] = field(default_factory=list)
    event: threading.Event = field(default_factory=threading.Event)

    def take(self, recognition: Recognition) -> None:
        self.recognitions.append(recognition)
        self.event.set()


def worker(latest_frame: LatestValue[Frame], seen: Seen) -> tuple[VisionWorker, Governor]:
    governor = Governor(8.0, 15)
    recognizer = open_recognizer(
        VisionSettings(expression_model="expression-fast", confirm_frames=1)
    )
    return VisionWorker(latest_frame, recognizer, governor, seen.take), governor


def frame(number: int) -> Frame:
    return Frame(smiling(), clock.now(), number)


def put_one_by_one(latest_frame: LatestValue[Frame], seen: Seen, count: int) -> None:
    for number in range(count):
        latest_frame.put(frame(number))
        assert seen.event.wait(DEADLINE_S)
        seen.event.clear()


def test_every_frame_that_it_gets_to_is_read_and_counted() -> None:
    latest_frame: LatestValue[Frame] = LatestValue()
    seen = Seen()
    vision, governor = worker(latest_frame, seen)
    vision.start()
    put_one_by_one(latest_frame, seen, 3)
    vision.stop()
    assert vision.join(DEADLINE_S)
    assert [r.frame_number for r in seen.recognitions] == [0, 1, 2]
    assert vision.frames == 3
    assert governor.cost_s > 0


def test_the_frame_that_waits_when_it_is_stopped_is_still_read() -> None:
    latest_frame: LatestValue[Frame] = LatestValue()
    seen = Seen()
    vision, _ = worker(latest_frame, seen)
    latest_frame.put(frame(7))
    vision.stop()
    vision.start()
    assert vision.join(DEADLINE_S)
    assert [r.frame_number for r in seen.recognitions] == [7]


def test_beyond_the_budget_it_pauses_and_searches_whole_frames_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = Seconds()
    monkeypatch.setattr(clock, "boot_seconds", seconds)
    latest_frame: LatestValue[Frame] = LatestValue()
    governor = Governor(1e-6, 15)
    recognizer = open_recognizer(
        VisionSettings(expression_model="expression-fast", confirm_frames=1)
    )
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
    latest_frame: LatestValue[Frame] = LatestValue()
    seen = Seen()
    recognizer = open_recognizer(
        VisionSettings(expression_model="expression-fast", confirm_frames=1), by_need=True
    )
    vision = VisionWorker(latest_frame, recognizer, Governor(8, 15), seen.take)
    start = clock.now()
    for number in range(30):
        vision._read(Frame(smiling(), start.shifted(number / 15), number))
    assert vision.frames == 30
    assert 6 <= vision.readings == len(seen.recognitions) <= 15
    assert vision.effort is Effort.BY_NEED


def test_who_wants_the_frame_itself_gets_all_of_them() -> None:
    recognizer = open_recognizer(
        VisionSettings(expression_model="expression-fast", confirm_frames=1), by_need=True
    )
    shown: list[tuple[int, int]] = []
    vision = VisionWorker(
        LatestValue(),
        recognizer,
        Governor(8, 15),
        lambda _: None,
        lambda frame, seen: shown.append((frame.number, len(seen.observations))),
    )
    start = clock.now()
    for number in range(5):
        vision._read(Frame(smiling(), start.shifted(number / 15), number))
    assert shown == [(number, 1) for number in range(5)]
    assert vision.effort is Effort.EVERY_FRAME
