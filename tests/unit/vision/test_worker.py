"""The thread that reads faces: the newest frame, within the budget, and an end in order."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from edge_agent.core import clock
from edge_agent.core.expression import Frame, Recognition
from edge_agent.core.latest_value import LatestValue
from edge_agent.vision.governor import Governor, Limit
from edge_agent.vision.need import Effort
from edge_agent.vision.options import VisionOptions
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from edge_agent.vision.worker import VisionWorker
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


def worker(
    latest_frame: LatestValue[Frame], seen: Seen, budget: float = 8.0
) -> tuple[VisionWorker, Governor, Recognizer]:
    governor = Governor(budget, 15)
    recognizer = open_recognizer(VisionOptions("expression-fast", confirm_frames=1))
    return VisionWorker(latest_frame, recognizer, governor, seen.take), governor, recognizer


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
    vision, governor, _ = worker(latest_frame, seen)
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
    vision, _, _ = worker(latest_frame, seen)
    latest_frame.put(frame(7))
    vision.stop()
    vision.start()
    assert vision.join(DEADLINE_S)
    assert [r.frame_number for r in seen.recognitions] == [7]


def test_beyond_the_budget_it_pauses_and_searches_whole_frames_more_rarely() -> None:
    latest_frame: LatestValue[Frame] = LatestValue()
    seen = Seen()
    vision, governor, recognizer = worker(latest_frame, seen, budget=1e-6)
    vision.start()
    put_one_by_one(latest_frame, seen, 2)
    while governor.plan.limit is None:  # set just after the recognition was handed on
        seen.event.wait(0.001)
    begun = clock.boot_seconds()
    latest_frame.put(frame(2))
    latest_frame.put(frame(3))
    assert seen.event.wait(DEADLINE_S)
    vision.stop()
    assert vision.join(DEADLINE_S)
    assert clock.boot_seconds() - begun > 0.1
    assert [r.frame_number for r in seen.recognitions] == [0, 1, 3]
    assert latest_frame.dropped == 1
    assert governor.plan.limit is Limit.BUDGET
    assert recognizer.whole_s == governor.plan.whole_s == 4.0


def test_a_pause_ends_at_once_when_it_is_stopped() -> None:
    latest_frame: LatestValue[Frame] = LatestValue()
    seen = Seen()
    vision, _, _ = worker(latest_frame, seen, budget=1e-6)
    vision.start()
    put_one_by_one(latest_frame, seen, 2)
    vision.stop()
    assert vision.join(DEADLINE_S)


def test_who_wants_the_frame_itself_gets_it_with_what_was_seen() -> None:
    latest_frame: LatestValue[Frame] = LatestValue()
    shown: list[tuple[int, int]] = []
    vision = VisionWorker(
        latest_frame,
        open_recognizer(VisionOptions("expression-fast", confirm_frames=1)),
        Governor(8, 15),
        lambda _: None,
        lambda picture, seen: shown.append((picture.number, len(seen.observations))),
    )
    latest_frame.put(Frame(np.ascontiguousarray(smiling()), clock.now(), 3))
    vision.stop()
    vision.start()
    assert vision.join(DEADLINE_S)
    assert shown == [(3, 1)]


def test_frames_in_which_faces_need_no_reading_are_passed_over_and_counted() -> None:
    latest_frame: LatestValue[Frame] = LatestValue()
    seen = Seen()
    recognizer = open_recognizer(VisionOptions("expression-fast", confirm_frames=1, by_need=True))
    vision = VisionWorker(latest_frame, recognizer, Governor(8, 15), seen.take)
    start = clock.now()
    for number in range(30):
        vision._read(Frame(smiling(), start.shifted(number / 15), number))
    assert vision.frames == 30
    assert 6 <= vision.readings == len(seen.recognitions) <= 15
    assert vision.effort is Effort.BY_NEED


def test_who_wants_the_frame_itself_gets_all_of_them() -> None:
    recognizer = open_recognizer(VisionOptions("expression-fast", confirm_frames=1, by_need=True))
    shown: list[int] = []
    vision = VisionWorker(
        LatestValue(),
        recognizer,
        Governor(8, 15),
        lambda _: None,
        lambda frame, _: shown.append(frame.number),
    )
    start = clock.now()
    for number in range(5):
        vision._read(Frame(smiling(), start.shifted(number / 15), number))
    assert shown == [0, 1, 2, 3, 4]
    assert vision.effort is Effort.EVERY_FRAME
