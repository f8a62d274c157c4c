"""The demo camera: a schedule to rely on, pictures that hold what it says, one look for one
seed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_agent.camera.demo import PORTRAITS, SERIOUS, SMILING, DemoCamera, load_portrait, shown_at
from edge_agent.core import clock
from edge_agent.core.errors import CameraError, CameraReason


@pytest.fixture(scope="module")
def camera() -> Iterator[DemoCamera]:
    with DemoCamera(width=640, height=480, fps=15) as opened:
        yield opened


def moments(end: float, step: float) -> list[float]:
    return [float(at) for at in np.arange(0, end, step)]


def test_schedule_shows_each_portrait_for_twelve_seconds_with_two_between() -> None:
    for turn in range(3):
        start = 28.0 * turn
        assert {shown_at(start + at) for at in moments(12, 0.5)} == {SMILING}
        assert {shown_at(start + 12 + at) for at in moments(2, 0.25)} == {None}
        assert {shown_at(start + 14 + at) for at in moments(12, 0.5)} == {SERIOUS}
        assert {shown_at(start + 26 + at) for at in moments(2, 0.25)} == {None}


def test_a_shown_face_lies_wholly_in_picture_and_is_neither_small_nor_huge(
    camera: DemoCamera,
) -> None:
    heights = []
    for at in moments(280, 0.1):
        if shown_at(at) is None:
            continue
        view = camera.view_at(at)
        face = view.face * 480
        heights.append(face)
        home = 0.0 if shown_at(at) == SMILING else 7.0
        x = 320 + (home - view.x) * face
        y = 240 - view.y * face
        reach = face * 0.75  # half a face and the way its corners move when it tilts
        assert reach < x < 640 - reach
        assert reach < y < 480 - reach
    assert 90 < min(heights) < 130
    assert 200 < max(heights) < 260


def test_between_two_portraits_nobody_is_in_picture_for_most_of_a_second(
    camera: DemoCamera,
) -> None:
    for start in (12.0, 26.0, 40.0, 54.0):
        for at in moments(0.6, 0.05):
            view = camera.view_at(start + 0.7 + at)
            half_width = 640 / (2 * view.face * 480)
            assert all(abs(home - view.x) > half_width for home in (0.0, 7.0))


def test_the_same_seed_shows_the_same_and_another_one_differs(camera: DemoCamera) -> None:
    same, other = (DemoCamera(width=640, height=480, fps=15, seed=seed) for seed in (1, 2))
    for at in (0.0, 8.3, 12.9, 20.0):
        assert np.array_equal(camera.picture_at(at), same.picture_at(at))
    assert not np.array_equal(camera.picture_at(3.0), other.picture_at(3.0))
    assert same.view_at(3.0).face != other.view_at(3.0).face


@pytest.mark.parametrize(("width", "height"), [(160, 120), (480, 640), (641, 479)])
def test_any_size_can_be_asked_for(width: int, height: int) -> None:
    demo = DemoCamera(width=width, height=height, fps=15)
    picture = demo.picture_at(2.0)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert picture.std() > 20


def test_frames_follow_the_clock_and_say_that_they_are_simulated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        DemoCamera(width=160, height=120, fps=100, rotate=90) as camera,
    ):
        frames = [camera.read() for _ in range(5)]
    assert camera.simulated
    assert camera.name == "demo"
    assert frames[0].image.shape == (160, 120, 3)
    assert camera.started <= frames[0].at <= clock.now()
    assert next(line for line in caplog.messages if "shows" in line) == (
        "demo camera shows astronaut"
    )
    with pytest.raises(CameraError, match="the camera was closed"):
        camera.read()


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_portrait_that_is_missing_or_damaged_is_named(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "astronaut.jpg").write_bytes(content)
    with pytest.raises(CameraError, match=r"astronaut\.jpg is missing or damaged") as caught:
        load_portrait(PORTRAITS[0], tmp_path)
    assert caught.value.reason is CameraReason.NOT_FOUND
    assert "Install Affect Edge again" in str(caught.value.cure)
