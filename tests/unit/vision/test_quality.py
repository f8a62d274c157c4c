"""The quality of a real face falls with whatever makes it harder to read, and names what makes it
unreadable.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.expression import Box, Face, RejectReason
from edge_agent.vision.align import TEMPLATE, Picture, align_face
from edge_agent.vision.quality import MOST_OUTSIDE, MOST_YAW, face_quality, pose_of
from tests.support.vision.portraits import smiling

MARKS = ((200.0, 102.0), (247.0, 103.0), (223.0, 127.0), (204.0, 146.0), (243.0, 147.0))
"""Of the astronaut: eyes as another detector (YuNet) finds them, nose and mouth by hand."""


def face(height: float = 122, landmarks: tuple[tuple[float, float], ...] = MARKS) -> Face:
    return Face(Box(172, 66, height * 0.8, height), 0.9, landmarks)


def head(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Face:
    """A made head of five points in space, turned by angles in degrees and seen from far away."""
    points = np.array([[-31, -38, 0], [31, -38, 0], [0, 0, -20], [-24, 31, 0], [24, 31, 0]], float)
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    turn = np.array([[math.cos(y), 0, -math.sin(y)], [0, 1, 0], [math.sin(y), 0, math.cos(y)]])
    nod = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    lean = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    seen = points @ turn.T @ nod.T @ lean.T
    return face(landmarks=tuple((300 + float(x), 200 + float(y)) for x, y, _ in seen))


@pytest.fixture(scope="module")
def crop() -> Picture:
    return align_face(smiling(), MARKS, 48)


def spoilt(crop: Picture, gain: float = 1, shift: float = 0, blur: float = 0) -> Picture:
    pixels = crop.astype(np.float64)
    if blur:
        pixels = np.asarray(cv2.GaussianBlur(crop, (0, 0), blur), np.float64)
    return np.clip(pixels * gain + shift, 0, 255).astype(np.uint8)


def moved_along(crop: Picture, length: int, degrees: int) -> Picture:
    """Return a picture of a face that moved by ``length`` pixels while it was taken."""
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1.0
    if degrees % 90:
        kernel = np.eye(length, dtype=np.float32)
    turned = np.rot90(kernel, degrees // 90)
    return np.asarray(cv2.filter2D(crop, -1, turned / turned.sum()), np.uint8)


def test_a_large_sharp_well_lit_face_that_looks_at_camera_has_full_quality(crop: Picture) -> None:
    quality = face_quality(crop, face())
    assert quality.score > 0.95
    assert quality.reject_reason is None


def test_a_small_face_has_the_share_of_the_pixels_it_would_need(crop: Picture) -> None:
    assert face_quality(crop, face(36)).score == pytest.approx(0.75)
    assert face_quality(crop, face(24)).reject_reason is None
    assert face_quality(crop, face(23.9)).reject_reason is RejectReason.TOO_SMALL


def test_more_of_a_face_lies_outside_less_fit_it_is_until_it_is_cut_off(crop: Picture) -> None:
    shares = (0.0, 0.1, 0.15, MOST_OUTSIDE, 0.21, 0.32)
    qualities = [face_quality(crop, face(), outside) for outside in shares]
    scores = [quality.score for quality in qualities]
    assert scores[2:] == pytest.approx([0.75, 0.5, 0.45, 0], abs=0.001)
    assert scores[0] == scores[1]
    reasons = [quality.reject_reason for quality in qualities]
    assert reasons == [None] * 4 + [RejectReason.CUT_OFF] * 2


def test_blur_that_grows_lowers_sharpness_until_the_face_is_blurred(crop: Picture) -> None:
    qualities = [face_quality(spoilt(crop, blur=s), face()) for s in (0.6, 0.8, 1.5, 2.5, 3.5)]
    values = [quality.sharpness for quality in qualities]
    assert values == sorted(values, reverse=True)
    reasons = [quality.reject_reason for quality in qualities]
    assert reasons == [None] * 2 + [RejectReason.BLURRED] * 3


@pytest.mark.parametrize("degrees", [0, 45, 90, 135])
def test_face_moved_in_any_direction_is_blurred(crop: Picture, degrees: int) -> None:
    moved = moved_along(crop, 7, degrees)
    assert face_quality(moved, face()).reject_reason is RejectReason.BLURRED


def test_small_face_is_as_sharp_as_its_pixels_allow(crop: Picture) -> None:
    few = cv2.resize(crop, (24, 24), interpolation=cv2.INTER_AREA)
    enlarged = np.asarray(cv2.resize(few, (48, 48), interpolation=cv2.INTER_LINEAR), np.uint8)
    assert face_quality(enlarged, face(24)).reject_reason is None
    assert face_quality(moved_along(enlarged, 7, 0), face(24)).reject_reason is RejectReason.BLURRED


def test_half_of_the_contrast_leaves_sharpness_as_it_is(crop: Picture) -> None:
    blurred = spoilt(crop, blur=1)
    whole, half = (face_quality(one, face()) for one in (blurred, spoilt(blurred, 0.5, 100)))
    assert half.sharpness == pytest.approx(whole.sharpness, rel=0.2)


@pytest.mark.parametrize(
    ("gain", "shift", "reason"),
    [
        (0.25, 0, None),
        (0.1, 0, None),
        (0.05, 0, RejectReason.TOO_DARK),
        (0.25, 190, None),
        (0.1, 225, RejectReason.TOO_BRIGHT),
        (1.2, 0, None),
        (5, 0, RejectReason.TOO_BRIGHT),
        (1, -170, RejectReason.TOO_DARK),
    ],
    ids=[
        "a quarter",
        "a tenth",
        "a twentieth",
        "haze",
        "fog",
        "bright",
        "burnt out",
        "lost in shadow",
    ],
)
def test_bad_light_lowers_the_quality_and_is_a_flaw_when_little_is_left(
    crop: Picture, gain: float, shift: float, reason: RejectReason | None
) -> None:
    quality = face_quality(spoilt(crop, gain, shift), face())
    assert quality.reject_reason is reason
    assert quality.score < face_quality(crop, face()).score


@pytest.mark.parametrize(
    ("value", "reason"),
    [(0, RejectReason.TOO_DARK), (127, RejectReason.TOO_DARK), (255, RejectReason.TOO_BRIGHT)],
)
def test_a_plain_surface_has_no_quality(value: int, reason: RejectReason) -> None:
    quality = face_quality(np.full((48, 48), value, np.uint8), face(200))
    assert (quality.score, quality.reject_reason) == (0.0, reason)


def test_of_several_flaws_the_one_that_explains_the_others_is_named(crop: Picture) -> None:
    away = head(yaw=70)
    small = face(20, away.landmarks)
    dark_and_blurred = spoilt(crop, 0.05, blur=3)
    for shown, outside, reason in (
        (face(), 0.0, RejectReason.TOO_DARK),
        (away, 0.0, RejectReason.TURNED_AWAY),
        (small, 0.0, RejectReason.TOO_SMALL),
        (small, 0.5, RejectReason.CUT_OFF),
    ):
        assert face_quality(dark_and_blurred, shown, outside).reject_reason is reason


def test_the_template_of_the_crop_looks_at_the_camera() -> None:
    pose = pose_of(face(landmarks=tuple((float(x), float(y)) for x, y in TEMPLATE)))
    assert pose is not None
    assert (pose.roll, pose.yaw) == pytest.approx((0, 0), abs=1e-6)
    assert (pose.pitch, pose.breadth) == pytest.approx((0.57, 0.976), abs=0.005)


@given(st.floats(-170, 170), st.floats(-60, 60))
def test_a_turn_moves_the_nose_and_narrows_the_face_whatever_its_roll(
    roll: float, yaw: float
) -> None:
    pose = pose_of(head(yaw=yaw, roll=roll))
    assert pose is not None
    assert pose.roll == pytest.approx(roll, abs=1e-6)
    assert pose.yaw == pytest.approx(20 / 31 * math.tan(math.radians(yaw)), abs=1e-6)
    assert pose.breadth == pytest.approx(62 / 69 * math.cos(math.radians(yaw)))


def test_a_nod_moves_the_nose_up_and_down_and_widens_the_face() -> None:
    up, straight, down = (pose_of(head(pitch=angle)) for angle in (-30, 0, 30))
    assert up is not None and straight is not None and down is not None
    assert up.pitch < straight.pitch < down.pitch
    assert up.breadth == pytest.approx(straight.breadth / math.cos(math.radians(30)))


@pytest.mark.parametrize(
    ("turned", "reason"),
    [
        (head(yaw=25), None),
        (head(yaw=-25, roll=30), None),
        (head(yaw=45), None),
        (head(yaw=-45, roll=30), None),
        (head(yaw=55), RejectReason.TURNED_AWAY),
        (head(yaw=-55), RejectReason.TURNED_AWAY),
        (head(pitch=30), None),
        (head(pitch=65), RejectReason.TURNED_AWAY),
    ],
    ids=["a little", "rolled", "half", "half, rolled", "right", "left", "bent", "bent down"],
)
def test_a_face_that_is_turned_away_is_not_fit_for_reading(
    crop: Picture, turned: Face, reason: RejectReason | None
) -> None:
    quality = face_quality(crop, turned)
    assert quality.reject_reason is reason
    assert quality.pose is not None
    assert quality.reject_reason is RejectReason.TURNED_AWAY or abs(quality.pose.yaw) <= MOST_YAW


def test_landmarks_that_coincide_have_no_pose_and_are_no_flaw(crop: Picture) -> None:
    broken = face(landmarks=((200.0, 120.0),) * 5)
    assert pose_of(broken) is None
    assert face_quality(crop, broken).reject_reason is None
