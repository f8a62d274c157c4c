"""What all cameras share: turning, pace, calls that may hang."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_agent.camera.base import Camera, Helper, Pace, turn_clockwise
from edge_agent.config.camera import Rotation
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError, CameraReason
from tests.support.clocks.simulated_time import Seconds

if TYPE_CHECKING:
    from edge_agent.core.expression import Image


class OneColour(Camera):
    """A camera that always sees one picture."""

    def __init__(self, image: Image, rotate: Rotation = 0) -> None:
        super().__init__("one colour", rotate)
        self.image = image
        self.releases = 0

    def _next_frame(self) -> tuple[Image, Instant]:
        return self.image, clock.now()

    def _release(self) -> None:
        self.releases += 1


def corner_picture() -> Image:
    """Two rows, three columns; only the upper left pixel is lit."""
    image = np.zeros((2, 3, 3), dtype=np.uint8)
    image[0, 0] = 255
    return image


@pytest.mark.parametrize(
    ("degrees", "shape", "lit"),
    [(0, (2, 3), (0, 0)), (90, (3, 2), (0, 1)), (180, (2, 3), (1, 2)), (270, (3, 2), (2, 0))],
)
def test_pictures_are_turned_clockwise(
    degrees: Rotation, shape: tuple[int, int], lit: tuple[int, int]
) -> None:
    image = turn_clockwise(corner_picture(), degrees)
    assert image.shape == (*shape, 3)
    assert image[lit].tolist() == [255, 255, 255]
    assert image.sum() == 3 * 255
    assert image.flags.c_contiguous
    assert image.dtype == np.uint8


def test_frames_are_counted_stamped_and_contiguous_until_camera_is_closed() -> None:
    mirrored = corner_picture()[:, ::-1]
    assert not mirrored.flags.c_contiguous
    before = clock.now()
    with OneColour(mirrored) as camera:
        frames = [camera.read() for _ in range(3)]
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert all(frame.image.flags.c_contiguous for frame in frames)
    assert before <= frames[0].at <= frames[2].at <= clock.now()
    camera.close()
    assert camera.releases == 1
    with pytest.raises(CameraError, match="one colour: the camera was closed") as caught:
        camera.read()
    assert caught.value.reason is CameraReason.END_OF_FILE


def test_pace_lets_one_tick_pass_each_period(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = Seconds()
    closed = threading.Event()
    monkeypatch.setattr(clock, "boot_seconds", seconds)
    monkeypatch.setattr(closed, "wait", seconds.wait)
    pace = Pace(50, closed)
    ticks = []
    for _ in range(6):
        assert pace.wait()
        ticks.append(seconds.now)
    # the first comes at once
    assert ticks == pytest.approx([100.0, 100.02, 100.04, 100.06, 100.08, 100.1])


def test_pace_never_follows_a_pause_with_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [100.0]
    waits: list[float] = []
    closed = threading.Event()
    monkeypatch.setattr(clock, "boot_seconds", lambda: present[0])
    monkeypatch.setattr(closed, "wait", lambda seconds: waits.append(round(seconds, 6)))
    pace = Pace(10, closed)
    for at in (100.0, 100.0, 100.25, 160.0, 160.0):
        # on time, early, a little late, a minute late, early again
        present[0] = at
        assert pace.wait()
    assert waits == [0.1, 0.1]


def test_closing_ends_the_wait_for_a_slow_tick() -> None:
    closed = threading.Event()
    pace = Pace(0.001, closed)
    assert pace.wait()
    threading.Timer(0.05, closed.set).start()
    assert not pace.wait()


def test_the_helper_returns_results_and_raises_errors_in_the_caller() -> None:
    helper = Helper("test helper")
    assert helper.call(lambda: threading.current_thread().name, 5) == "test helper"

    def broken() -> None:
        raise OSError("no such device")

    with pytest.raises(OSError, match="no such device"):
        helper.call(broken, 5)
    helper.stop()


def test_the_helper_gives_up_on_a_hung_call() -> None:
    helper = Helper("test helper")
    hangs = threading.Event()
    let_go = threading.Event()
    done = threading.Event()
    begun: list[str] = []

    def hang() -> None:
        hangs.set()
        let_go.wait()

    with pytest.raises(TimeoutError):
        helper.call(hang, 0.5)
    assert hangs.is_set(), "on a busy machine it had not begun after 0.02 s, and was left out"
    with pytest.raises(TimeoutError):
        helper.call(lambda: begun.append("second"), 0.02)
    let_go.set()
    helper.call(done.set, 5)
    assert done.is_set()
    assert begun == []
    helper.stop()
