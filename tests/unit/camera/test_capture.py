"""The latest frame and the thread that reads the camera: newest first, reopened, gaps recorded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from edge_agent.camera import capture
from edge_agent.camera.base import Camera
from edge_agent.camera.capture import CaptureWorker
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError, CameraReason
from edge_agent.core.expression import Frame
from edge_agent.core.readings import Gap
from edge_agent.core.threads import LatestValue
from tests.support.broker import wait_until
from tests.support.clocks.simulated_time import START, Seconds

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

STALLED = CameraError(CameraReason.STALLED, "No frame came.", "Check the cable.")
NOT_FOUND = CameraError(CameraReason.NOT_FOUND, "There is no camera.", "Plug one in.")
END = CameraError(CameraReason.END_OF_FILE, "The file has ended.", "Set loop.")


class ScriptedCamera(Camera):
    """Plays a list of frames and failures; what a driver does cannot be ordered otherwise."""

    repeats = True

    def __init__(self, script: Iterator[CameraError | None], closed: list[str]) -> None:
        super().__init__("scripted", 0)
        self._script = script
        self._closings = closed

    def _next_frame(self) -> tuple[Image, Instant]:
        step = next(self._script, END)
        if step is not None:
            raise step
        return np.zeros((4, 4, 3), np.uint8), clock.now()

    def _release(self) -> None:
        self._closings.append("closed")


class Playing(ScriptedCamera):
    """Takes the time for each frame that the script gives, or fails after it; seconds."""

    def __init__(
        self, script: Iterator[tuple[float, CameraError | None]], seconds: Seconds, sets_pace: bool
    ) -> None:
        super().__init__(iter([]), [])
        self._timed = script
        self._seconds = seconds
        self.sets_pace = sets_pace

    def _next_frame(self) -> tuple[Image, Instant]:
        waited, error = next(self._timed, (0.0, END))
        self._seconds.now += waited
        if error is not None:
            raise error
        return np.zeros((4, 4, 3), np.uint8), clock.now()


class Scene:
    """A capture worker over a script, and what came of it."""

    made: ClassVar[list[Scene]] = []

    def __init__(
        self,
        script: list[CameraError | None],
        may_capture: Callable[[], bool] = lambda: True,
        gap_reason: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.latest_frame: LatestValue[Frame] = LatestValue()
        self.gaps: list[Gap] = []
        self.closed: list[str] = []
        self.opened = 0
        self.ended = threading.Event()
        self._script = iter(script)
        self.worker = CaptureWorker(
            self._open, self.latest_frame, self.gaps.append, self.ended.set, may_capture, gap_reason
        )
        self.made.append(self)

    def _open(self) -> ScriptedCamera:
        self.opened += 1
        return ScriptedCamera(self._script, self.closed)

    def play(self) -> None:
        self.worker.start()
        assert self.ended.wait(60)
        assert self.worker.join(60)


@pytest.fixture(autouse=True)
def _no_worker_stays() -> Iterator[None]:
    yield
    while Scene.made:
        worker = Scene.made.pop().worker
        worker.stop()
        assert worker.join(60)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "PAUSES_S", (0.01, 0.02))
    monkeypatch.setattr(capture, "CLOSED_POLL_S", 0.01)


def test_the_newest_item_replaces_one_that_nobody_took_and_taking_waits() -> None:
    box: LatestValue[str] = LatestValue()
    box.put("old")
    box.put("new")
    assert box.take(0) == "new"
    assert box.take(0) is None
    assert box.dropped == 1
    threading.Timer(0.05, box.put, ["late"]).start()
    assert box.take(3600) == "late", "it is woken, and does not look only when its time is up"


def test_a_file_is_read_to_its_end_and_its_camera_closed() -> None:
    scene = Scene([None, None, None])
    scene.play()
    assert scene.worker.frames == 3
    assert scene.worker.ended
    assert scene.worker.is_idle
    assert (scene.opened, scene.closed, scene.gaps) == (1, ["closed"], [])
    newest = scene.latest_frame.take(0)
    assert newest is not None
    assert newest.number == 2


def test_a_camera_that_fails_is_reopened_and_its_silence_is_one_gap(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene([None, STALLED, NOT_FOUND, NOT_FOUND, None])
    with caplog.at_level(logging.ERROR):
        scene.play()
    assert scene.opened == 4
    assert [(g.source, g.reason) for g in scene.gaps] == [("camera", "stalled")]
    assert scene.gaps[0].end.boot_ms >= scene.gaps[0].start.boot_ms
    assert scene.worker.failure is None
    assert len([r for r in caplog.records if "no frames" in r.message]) == 2, (
        "each kind of failure is logged once"
    )


def test_the_time_in_which_the_camera_is_switched_off_is_a_gap_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = Seconds()
    monkeypatch.setattr(clock, "now", lambda: START.shift(seconds.now))
    off = threading.Event()
    off.set()
    asked: list[bool] = []

    def reason() -> str | None:
        asked.append(True)
        return "switched_off" if off.is_set() else None

    scene = Scene([NOT_FOUND, STALLED, None], lambda: not off.is_set(), reason)
    scene.worker.start()
    wait_until(lambda: len(asked) > 1, "the gap to begin")
    assert (scene.opened, scene.gaps, scene.worker.is_idle) == (0, [], True)
    seconds.now += 60
    off.clear()
    assert scene.ended.wait(60)
    assert scene.worker.join(60)
    first, second = scene.gaps
    assert (first.reason, second.reason) == ("switched_off", "not_found")
    assert first.end.seconds_since(first.start) == 60
    assert second.start.seconds_since(first.end) >= 0


def test_a_failure_that_somebody_switches_off_is_two_gaps() -> None:
    reason: list[str | None] = [None]
    asked: list[str | None] = []

    def gap_reason() -> str | None:
        asked.append(reason[0])
        return reason[0]

    allowed = threading.Event()
    allowed.set()
    scene = Scene([NOT_FOUND] * 1000, may_capture=allowed.is_set, gap_reason=gap_reason)
    scene.worker.start()
    wait_until(lambda: scene.worker.failure is not None, "a failure")
    reason[0] = "switched_off"
    allowed.clear()
    wait_until(lambda: len(scene.gaps) == 1, "the end of the failure")
    assert scene.worker.failure is None
    wait_until(lambda: len(asked) > 2, "the reason to be asked for again")
    assert [gap.reason for gap in scene.gaps] == ["not_found"]
    reason[0] = None  # nothing is to be recorded any more
    wait_until(lambda: len(scene.gaps) == 2, "the end of what was switched off")
    allowed.set()
    wait_until(lambda: scene.worker.failure is not None, "another failure")
    scene.worker.stop()
    assert scene.worker.join(60)
    reasons = [gap.reason for gap in scene.gaps]
    assert reasons == ["not_found", "switched_off", "not_found"], "the open one is recorded, too"


def test_pauses_grow_to_half_a_minute_and_are_short_again_after_a_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()  # the pauses as they are in use; they are noted down here and not waited for
    pauses: list[float] = []
    scene = Scene([NOT_FOUND] * 7 + [None] + [STALLED] * 2)
    monkeypatch.setattr(scene.worker, "_wait", pauses.append)
    scene.play()
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 1, 2]


class BlockingCamera(ScriptedCamera):
    """Waits for a frame that never comes, until it is closed."""

    def __init__(self) -> None:
        super().__init__(iter([]), [])
        self.read_on = threading.Event()
        self.shut = threading.Event()

    def _next_frame(self) -> tuple[Image, Instant]:
        self.read_on.set()
        self.shut.wait(3600)
        raise STALLED

    def _release(self) -> None:
        self.shut.set()


def test_a_read_that_waits_for_a_frame_ends_with_the_worker() -> None:
    camera = BlockingCamera()
    gaps: list[Gap] = []
    box: LatestValue[Frame] = LatestValue()
    worker = CaptureWorker(lambda: camera, box, gaps.append, lambda: None, lambda: True)
    worker.start()
    assert camera.read_on.wait(60)
    worker.stop()
    assert worker.join(60)
    assert (worker.failure, gaps, worker.name) == (None, [], "capture")


@pytest.mark.parametrize(
    ("period_s", "sets_pace", "waits", "told"),
    [
        (1 / 15, False, [0.1, 60.0, 0.1], [60.0]),
        (1 / 15, False, [3.0, 2.9], []),
        (10.0, False, [10.0, 30.0, 31.0], [31.0]),
        (1 / 15, True, [0.1, 4.0, 4.0, 12.0, 60.0, 0.1, 60.0], [4.0, 60.0, 60.0]),
    ],
)
def test_capture_that_stood_tells_gap_from_three_periods_and_three_seconds(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    period_s: float,
    sets_pace: bool,
    waits: list[float],
    told: list[float],
) -> None:
    caplog.set_level(logging.INFO)
    seconds = Seconds()
    monkeypatch.setattr(clock, "now", lambda: START.shift(seconds.now))
    camera = Playing(((waited, None) for waited in [0.1, *waits]), seconds, sets_pace)
    gaps: list[Gap] = []
    latest: LatestValue[Frame] = LatestValue()
    worker = CaptureWorker(
        lambda: camera, latest, gaps.append, lambda: None, lambda: True, period_s=period_s
    )
    worker.work()
    assert [gap.end.seconds_since(gap.start) for gap in gaps] == pytest.approx(told)
    assert {(gap.source, gap.reason) for gap in gaps} <= {("camera", "stopped")}
    assert caplog.text.count("no frames came for") == len(told)


def test_camera_whose_first_frame_is_late_was_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = Seconds()
    monkeypatch.setattr(clock, "now", lambda: START.shift(seconds.now))
    gaps: list[Gap] = []
    camera = Playing(iter([(4.0, None), (0.1, None), (9.0, None)]), seconds, sets_pace=False)
    CaptureWorker(
        lambda: camera, LatestValue(), gaps.append, lambda: None, lambda: True, period_s=0.1
    ).work()
    assert [gap.reason for gap in gaps] == ["starting", "stopped"]
    assert [gap.end.seconds_since(gap.start) for gap in gaps] == pytest.approx([4.0, 9.0])


def test_a_camera_that_fails_after_silence_has_one_gap_from_its_last_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = Seconds()
    monkeypatch.setattr(clock, "now", lambda: START.shift(seconds.now))
    steps = [(1.0, None), (60.0, STALLED), (5.0, NOT_FOUND), (20.0, None), (2.0, None)]
    camera = Playing(iter(steps), seconds, sets_pace=False)
    gaps: list[Gap] = []
    latest: LatestValue[Frame] = LatestValue()
    worker = CaptureWorker(lambda: camera, latest, gaps.append, lambda: None, lambda: True)
    monkeypatch.setattr(camera, "close", lambda: None)  # the same one is opened again
    worker.work()
    assert [(gap.reason, gap.end.seconds_since(gap.start)) for gap in gaps] == [("stalled", 85.0)]


def test_a_freeze_while_the_camera_is_switched_off_is_in_that_gap_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = Seconds()
    monkeypatch.setattr(clock, "now", lambda: START.shift(seconds.now))
    looks = iter([True, True, False, False, False])  # work, read, then twice closed
    gaps: list[Gap] = []
    camera = Playing(iter([(1.0, None)]), seconds, sets_pace=False)
    latest: LatestValue[Frame] = LatestValue()
    worker = CaptureWorker(
        lambda: camera,
        latest,
        gaps.append,
        lambda: None,
        lambda: next(looks, True),
        lambda: "switched_off",
    )
    monkeypatch.setattr(worker.stopping, "wait", lambda _pause: seconds.wait(40.0))
    worker.work()
    assert [(gap.reason, gap.end.seconds_since(gap.start)) for gap in gaps] == [
        ("switched_off", 80.0)
    ]


class Sensor(Playing):
    """Gives its pictures by name, each after some seconds; equal names, equal pixels."""

    repeats = False

    def __init__(
        self, shown: Iterator[tuple[float, str]], seconds: Seconds, sets_pace: bool
    ) -> None:
        super().__init__(iter([]), seconds, sets_pace)
        self._shown = shown

    def _next_frame(self) -> tuple[Image, Instant]:
        step = next(self._shown, None)
        if step is None:
            raise END
        waited, name = step
        self._seconds.now += waited
        if name == "away":
            raise NOT_FOUND
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:24] = 0 if name == "dark" else 200
        picture[40, 33] = sum(name.encode()) % 251 if name != "dark" else 0
        return picture, clock.now()


def watched(
    monkeypatch: pytest.MonkeyPatch, *shown: tuple[float, str], sets_pace: bool = False
) -> tuple[CaptureWorker, list[tuple[str, float]], list[CameraReason | None]]:
    """Play pictures; return the worker, its gaps, and its failure at each opening."""
    seconds = Seconds()
    monkeypatch.setattr(capture, "PAUSES_S", (1.0, 30.0))
    monkeypatch.setattr(clock, "now", lambda: START.shift(seconds.now))
    gaps: list[tuple[str, float]] = []
    failures: list[CameraReason | None] = []
    steps = iter(shown)

    def open_sensor() -> Camera:
        failures.append(None if worker.failure is None else worker.failure.reason)
        return Sensor(steps, seconds, sets_pace)

    def note(gap: Gap) -> None:
        gaps.append((gap.reason, round(gap.end.seconds_since(gap.start), 1)))

    latest: LatestValue[Frame] = LatestValue()
    worker = CaptureWorker(
        open_sensor, latest, note, lambda: None, lambda: True, period_s=0.1, still_s=5.0
    )
    monkeypatch.setattr(worker, "_wait", lambda _pause_s: None)
    worker.work()
    return worker, gaps, failures


def test_picture_that_stands_still_is_no_frame_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    live = [(0.5, f"live {number}") for number in range(10)]
    still = [(0.5, "the last")] * 40
    worker, gaps, failures = watched(monkeypatch, *live, *still, *live)
    assert worker.frames == 9 + 1 + 10, "the first picture of all may be old"
    assert gaps == [("stands_still", 20.0)]
    assert failures[:2] == [None, CameraReason.STANDS_STILL]
    assert worker.failure is None


def test_picture_that_stands_still_from_the_start_is_never_a_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, gaps, failures = watched(monkeypatch, *[(1.0, "an old upload")] * 100)
    assert worker.frames == 0
    assert gaps == [("stands_still", 100.0)]
    assert 2 < len(failures) < 10, "it is opened again, and stays open for longer each time"


def test_camera_that_waits_for_its_next_picture_has_not_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twice = [(0.1, f"live {number // 3}") for number in range(300)]
    worker, gaps, failures = watched(monkeypatch, *twice)
    assert (worker.frames, gaps, failures) == (99, [], [None])


def test_stream_of_rare_pictures_is_not_still_from_its_second_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = [(1.0, f"live {number // 8}") for number in range(80)]
    _, gaps, failures = watched(monkeypatch, *slow, sets_pace=True)
    assert len(gaps) == 1
    assert failures == [None, CameraReason.STANDS_STILL]


def test_short_standstill_is_a_gap_with_its_own_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    _, gaps, failures = watched(
        monkeypatch, (0.1, "a"), (0.1, "b"), *[(1.0, "b")] * 4, (0.1, "c"), (9.0, "d")
    )
    assert gaps == [("stands_still", 4.1), ("stopped", 9.0)]
    assert failures == [None]


def test_camera_of_one_colour_has_a_covered_lens(monkeypatch: pytest.MonkeyPatch) -> None:
    _, gaps, failures = watched(monkeypatch, (0.1, "a"), (0.1, "b"), *[(0.5, "dark")] * 30)
    assert gaps == [("lens_covered", 14.5)]
    assert failures[1] is CameraReason.LENS_COVERED


def test_camera_that_comes_back_with_its_old_picture_is_still_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, gaps, _ = watched(
        monkeypatch, (0.1, "a"), (0.1, "b"), (2.0, "away"), *[(0.5, "b")] * 8, (0.5, "c")
    )
    assert gaps == [("not_found", 6.5)]
