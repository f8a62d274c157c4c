"""The JSON lines of ``affect-edge classify``, on real pictures with the committed models."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from edge_agent.core.expression import EMOTIONS
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from edge_agent.vision.stills import classify_pictures, load_picture
from tests.support.vision.portraits import SERIOUS_FILE, smiling


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return open_recognizer()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a picture, a broken one and a text."""
    assert cv2.imwrite(str(tmp_path / "smiling.png"), smiling())
    (tmp_path / "broken.jpg").write_bytes(SERIOUS_FILE.read_bytes()[:5000])
    (tmp_path / "notes.txt").write_text("not looked at")
    return tmp_path


def test_a_line_has_exactly_the_documented_keys_and_survives_json(
    folder: Path, recognizer: Recognizer
) -> None:
    (line,) = classify_pictures([folder / "smiling.png"], recognizer)
    assert json.loads(json.dumps(line)) == line
    assert list(line) == ["file", "width", "height", "field_of_view_deg", "faces"]
    assert (line["file"], line["width"], line["height"]) == (str(folder / "smiling.png"), 512, 512)
    (face,) = line["faces"]
    assert list(face) == [
        *("box", "score", "landmarks", "probabilities", "emotion", "uncertain"),
        *("quality", "flaw"),
    ]
    assert list(face["probabilities"]) == [e.value for e in EMOTIONS]
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert (face["emotion"], face["uncertain"], face["flaw"]) == ("happiness", False, None)
    assert 0.3 < face["quality"] <= 1
    x, y, width, height = face["box"]
    assert 0 <= x < x + width <= 512 and 0 <= y < y + height <= 512
    assert len(face["landmarks"]) == 5
    assert all(
        x < point[0] < x + width and y < point[1] < y + height for point in face["landmarks"]
    )


def test_a_broken_picture_gives_a_line_with_its_error_and_the_rest_is_read(
    folder: Path, recognizer: Recognizer
) -> None:
    lines = list(classify_pictures([folder, folder / "missing.png", SERIOUS_FILE], recognizer))
    assert [Path(line["file"]).name for line in lines] == [
        "broken.jpg",
        "smiling.png",
        "missing.png",
        "grace_hopper.jpg",
    ]
    assert list(lines[0]) == list(lines[2]) == ["file", "error"]
    assert "broken" in lines[0]["error"] and "no such file" in lines[2]["error"]
    assert len(lines[1]["faces"]) == len(lines[3]["faces"]) == 1


def test_a_face_that_the_edge_cuts_off_is_told_with_its_flaw_and_not_named(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    (whole,) = recognizer.read_picture(smiling())
    middle = round(whole.face.box.center[1])
    assert cv2.imwrite(str(tmp_path / "cut.png"), smiling()[:middle])
    (line,) = classify_pictures([tmp_path / "cut.png"], recognizer)
    (named,) = classify_pictures([tmp_path / "cut.png"], recognizer, name_all=True)
    for face, is_named in ((line["faces"][0], False), (named["faces"][0], True)):
        assert face["flaw"] == "cut_off"
        assert (face["emotion"] is not None) == is_named
    assert json.loads(json.dumps(line)) == line


def test_a_picture_of_many_people_is_read_to_the_last(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    (whole,) = recognizer.read_picture(smiling())
    box = whole.face.box
    rows = slice(0, round(box.y + 1.7 * box.height))
    columns = slice(round(box.x - 0.7 * box.width), round(box.x + 1.7 * box.width))
    portrait = cv2.resize(smiling()[rows, columns], (160, 160))
    assert cv2.imwrite(str(tmp_path / "crowd.png"), cv2.hconcat([cv2.vconcat([portrait] * 4)] * 4))
    (line,) = classify_pictures([tmp_path / "crowd.png"], recognizer)
    assert len(line["faces"]) == 16


def test_a_photograph_of_another_format_is_named_and_not_passed_over(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (line,) = classify_pictures([tmp_path], recognizer)
    assert "IMG_1.HEIC: is not a picture that can be read" in line["error"]
    assert "Save it as JPEG first" in line["error"]


def test_the_box_is_in_pixels_of_the_picture_as_it_is_seen(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    large = cv2.resize(load_picture(SERIOUS_FILE), None, fx=3, fy=3)
    assert cv2.imwrite(str(tmp_path / "large.jpg"), large)
    small, big = classify_pictures([SERIOUS_FILE, tmp_path / "large.jpg"], recognizer)
    assert big["faces"][0]["box"] == pytest.approx(
        [3 * side for side in small["faces"][0]["box"]], abs=20
    )
