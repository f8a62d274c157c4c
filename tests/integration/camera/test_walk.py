"""A made-up video through the whole chain: who is followed, who is the participant, and what is
said of them when.

At 15 frames per second, with the committed models: a smiling woman looks at the camera; a serious
one walks past behind her; she is hidden for a second; the light falls to a quarter and then to an
eleventh; she leaves. The other woman comes, turns her head away and leaves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.expression import (
    ExpressionRow,
    Frame,
    Recognition,
    RejectedFrames,
    RejectReason,
)
from edge_agent.timeline.write.recorder import Intervals
from edge_agent.vision import quality
from edge_agent.vision.align import Picture
from edge_agent.vision.recognizer import open_recognizer
from tests.support.vision.portraits import serious, smiling
from tests.support.vision.walk import head_of, paste, turned, wall

FPS = 15
START = Instant(boot_ms=60_000, wall_ms=1_800_000_000_000)
WALKS = (1.5, 4.5)
HIDDEN = (5.0, 6.0)
QUARTER = (6.5, 8.0)
ELEVENTH = (8.0, 10.0)
COMES = 11.7
TURNS = 13.0
LENGTH = 16.0
LEAVES = ELEVENTH[1]
GOES = 14.5


def video() -> Iterator[Picture]:
    """The frames."""
    smiling_head = head_of(smiling(), (223, 120), 113, 130)
    walking_head = head_of(serious(), (268, 227), 212, 95)
    serious_head = head_of(serious(), (268, 227), 212, 140)
    for number in range(round(LENGTH * FPS)):
        t = number / FPS
        light = 1.0
        frame = wall()
        if WALKS[0] <= t < WALKS[1]:
            paste(frame, walking_head, -60 + 250 * (t - WALKS[0]), 230)
        if t < LEAVES and not HIDDEN[0] <= t < HIDDEN[1]:
            paste(frame, smiling_head, 330 + 8 * math.sin(2 * t), 240 + 5 * math.cos(3 * t))
        if COMES <= t < GOES:
            angle = min(max(t - TURNS, 0.0), 1.0) * -50
            paste(frame, turned(serious_head, angle) if angle else serious_head, 310)
        if QUARTER[0] <= t < ELEVENTH[1]:
            light = 0.25 if t < QUARTER[1] else 0.09
        yield np.asarray(frame * light, np.uint8)


@pytest.fixture(scope="module")
def walk() -> list[Recognition]:
    """Read the video with a stricter bound of the yaw.

    A computer turns a portrait by 50 degrees at the most: beyond, too little of it is left.
    """
    cv2.setNumThreads(1)
    recognizer = open_recognizer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "MOST_YAW", 0.4)
        return [
            recognizer.recognize(Frame(image, START.shift(number / FPS), number))
            for number, image in enumerate(video())
        ]


def during(walk: list[Recognition], start: float, end: float) -> list[Recognition]:
    return [seen for seen in walk if start <= seen.at.seconds_since(START) < end]


def states(walk: list[Recognition], start: float, end: float) -> list[str]:
    """The states of a stretch of time in order, each once for a run of it."""
    found = [seen.state for seen in during(walk, start, end)]
    return [state for index, state in enumerate(found) if index == 0 or state != found[index - 1]]


def tracks(walk: list[Recognition], start: float, end: float) -> list[list[int]]:
    return [sorted(o.track for o in seen.observations) for seen in during(walk, start, end)]


def test_a_face_counts_after_three_frames_and_is_the_participant(walk: list[Recognition]) -> None:
    assert tracks(walk, 0, WALKS[0]) == [[], [], *[[1]] * 21]
    assert states(walk, 0, WALKS[0]) == ["no_face", "happiness"]
    assert all(seen.primary for seen in walk[2:20])


def test_who_walks_past_behind_is_one_other_face_before_and_after(walk: list[Recognition]) -> None:
    before = tracks(walk, 2.2, 2.6)
    behind = tracks(walk, 3.0, 3.2)
    after = tracks(walk, 3.8, 4.2)
    assert before == [[1, 2]] * len(before)
    assert behind == [[1]] * len(behind)
    assert after == [[1, 2]] * len(after)
    assert {seen.primary.track for seen in during(walk, *WALKS) if seen.primary} == {1}
    assert states(walk, *WALKS) == ["happiness"]
    walker = [o for seen in during(walk, *WALKS) for o in seen.observations if o.track == 2]
    assert all(
        not o.primary and (o.emotion is None or o.emotion.value != "happiness") for o in walker
    )


def test_face_hidden_for_a_second_keeps_its_track(walk: list[Recognition]) -> None:
    assert tracks(walk, *HIDDEN) == [[]] * FPS
    assert states(walk, *HIDDEN) == ["happiness", "no_face"], "held for half a second"
    assert tracks(walk, HIDDEN[1], QUARTER[0]) == [[1]] * 8
    assert states(walk, HIDDEN[1], QUARTER[0]) == ["happiness"]
    assert all(seen.primary for seen in during(walk, HIDDEN[1], QUARTER[0]))


def test_a_quarter_of_the_light_changes_nothing(walk: list[Recognition]) -> None:
    found = during(walk, *QUARTER)
    assert [[o.track for o in seen.observations] for seen in found] == [[1]] * len(found)
    assert {o.reject_reason for seen in found for o in seen.observations} == {None}
    assert states(walk, *QUARTER) == ["happiness"]


def test_an_eleventh_of_the_light_is_too_dark_and_uncertain_after_a_second(
    walk: list[Recognition],
) -> None:
    found = [o for seen in during(walk, *ELEVENTH) for o in seen.observations]
    assert {o.track for o in found} == {1}
    assert {o.reject_reason for o in found} == {RejectReason.TOO_DARK}
    assert states(walk, *ELEVENTH) == ["happiness", "uncertain"]
    assert states(walk, ELEVENTH[0] + 1.1, ELEVENTH[1]) == ["uncertain"]


def test_who_left_is_gone_and_next_one_is_another_track_and_participant(
    walk: list[Recognition],
) -> None:
    assert states(walk, LEAVES + 0.6, COMES) == ["no_face"]
    assert tracks(walk, COMES + 0.2, TURNS) == [[3]] * len(tracks(walk, COMES + 0.2, TURNS))
    (state,) = states(walk, COMES + 0.2, TURNS)
    assert state in {"neutral", "sadness", "anger", "uncertain"}


def test_face_turned_away_keeps_its_track_and_label_until_it_is_gone(
    walk: list[Recognition],
) -> None:
    turning = [o for seen in during(walk, TURNS, GOES) for o in seen.observations]
    assert {o.track for o in turning} == {3}
    assert turning[0].reject_reason is None
    away = [o for o in turning if o.reject_reason is RejectReason.TURNED_AWAY]
    assert away, "turned by 50 degrees she is turned away"
    assert {o.reject_reason for o in turning} == {None, RejectReason.TURNED_AWAY}
    assert {o.smoothed for o in away} <= {o.smoothed for o in turning if o.reject_reason is None}
    assert states(walk, GOES, LENGTH)[-1] == "no_face"


def test_recording_counts_unreadable_frames_by_reason(walk: list[Recognition]) -> None:
    intervals = Intervals(1.0)
    rows = [row for seen in walk for row in intervals.add(seen)] + intervals.finish()
    read = [row for row in rows if isinstance(row, ExpressionRow)]
    rejected = [row for row in rows if isinstance(row, RejectedFrames)]
    assert {(row.track, row.reject_reason, row.primary) for row in rejected} == {
        (1, RejectReason.TOO_DARK, True),
        (2, RejectReason.CUT_OFF, False),  # who comes in and leaves at the edge of the frame
        (3, RejectReason.TURNED_AWAY, True),
    }
    assert sum(row.frames for row in read + rejected) == sum(
        len(seen.observations) for seen in walk
    )
    assert all(row.quality > 0.4 for row in read if row.primary)
    assert [
        row
        for row in read
        if ELEVENTH[0] + 0.1 < row.at.seconds_since(START) < COMES and row.track == 1
    ] == []
