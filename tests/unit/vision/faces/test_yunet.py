"""YuNet from one's own file: what it answers becomes faces, and a file that is not YuNet is refused
with the cure.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.config.vision import VisionSettings
from edge_agent.core.errors import ModelError
from edge_agent.vision.faces.finder import NEAR_SIZE, SIZE, YuNet, open_finder, open_near_finder

SMALL = (10, 20, 30, 40, 15, 30, 35, 30, 25, 40, 17, 50, 33, 50, 0.75)
LARGE = (100, 60, 80, 100, 120, 90, 160, 90, 140, 110, 122, 130, 158, 130, 0.9)


class Network:
    """OpenCV's detector with made-up answers; the weights are not ours to ship."""

    def __init__(self, rows: tuple[tuple[float, ...], ...]) -> None:
        self.seen: list[tuple[int, ...]] = []
        self._rows = rows

    def detect(self, picture: NDArray[np.uint8]) -> tuple[int, NDArray[np.float32] | None]:
        self.seen.append(picture.shape)
        return 1, np.array(self._rows, dtype=np.float32) if self._rows and picture.any() else None


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network((SMALL, LARGE))
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: made)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_yunet.onnx"
    path.write_bytes(b"weights")
    return path


def picture(width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 90, dtype=np.uint8)


def test_faces_are_told_in_pixels_of_the_picture_surest_first(network: Network, file: Path) -> None:
    large, small = YuNet(file).detect(picture())
    assert (large.box.x, large.box.width, small.box.height) == (200, 160, 80)
    assert large.landmarks[0] == (240, 180)
    assert large.score == pytest.approx(0.9)
    assert set(network.seen) == {(240, 320, 3)}


def test_gray_pictures_and_pictures_without_a_face_are_answered(
    network: Network, file: Path
) -> None:
    assert len(YuNet(file).detect(picture()[:, :, 0])) == 2
    assert YuNet(file).detect(np.zeros((48, 64, 3), np.uint8)) == []


def test_small_faces_and_faces_beyond_the_number_are_left_out(network: Network, file: Path) -> None:
    assert [face.box.x for face in YuNet(file, min_face_px=100).detect(picture())] == [200]
    assert [face.box.x for face in YuNet(file, max_faces=1).detect(picture())] == [200]


def test_the_card_names_the_file_and_its_hash(network: Network, file: Path) -> None:
    card = open_finder(VisionSettings(detector_model=str(file), detector="yunet")).card
    assert (card.kind, card.name, card.sha256) == (
        "face-detector",
        "my_yunet",
        hashlib.sha256(b"weights").hexdigest(),
    )


def test_a_followed_face_is_searched_in_a_small_piece(network: Network, file: Path) -> None:
    near = open_near_finder(VisionSettings(detector_model=str(file), detector="yunet"))
    assert near is not None
    near.detect(picture(200, 200))
    assert network.seen[-1] == (*NEAR_SIZE, 3)
    assert SIZE != NEAR_SIZE


def test_a_missing_file_is_named_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"yunet\.onnx: does not exist. .*model zoo"):
        open_finder(VisionSettings(detector_model=str(tmp_path / "yunet.onnx"), detector="yunet"))


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be read: Is a directory"):
        YuNet(tmp_path)


def test_a_file_that_is_no_network_is_refused(file: Path) -> None:
    with pytest.raises(
        ModelError, match=r"my_yunet\.onnx: is not YuNet's ONNX file, or is damaged. Fetch"
    ):
        YuNet(file)
