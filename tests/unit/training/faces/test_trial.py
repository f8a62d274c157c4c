"""The detector evaluated beside YuNet: what counts as found, false and lost, and the table.

YuNet's weights are not ours to ship: detectors that say what they are told stand in for it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2lab

from edge_agent.config.vision import VisionSettings
from edge_agent.core.expression import Box, Face
from edge_agent.vision.faces.detector import Candidates
from edge_agent.vision.faces.finder import YuNetFile
from edge_agent.vision.models.card import MODELS_FOLDER, read_card
from edge_agent.vision.recognizer import open_recognizer
from tests.support.vision.portraits import detector, serious, smiling
from training.commands import main
from training.errors import DataError, RecipeError
from training.faces.groups import (
    ENOUGH,
    SeenFace,
    figures_of,
    groups_text,
    skin_group,
    typology_angle,
)
from training.faces.labelling import NAMES, LabelledFace, Shares, read_shares
from training.faces.photographs import FaceBoxes, PhotographArchive
from training.faces.sweep import STILLS, note_stills, sweep, sweep_text
from training.faces.trial import (
    ALL,
    MASK,
    NO_MASK,
    OURS,
    YUNET,
    DetectorTrial,
    PicturesFinding,
    Placing,
    Reading,
    evaluate_detections,
    read_covered,
)
from training.faces.trial_report import TrialReport, report_text, run_trial

Picture = NDArray[np.uint8]


WALL = np.full((480, 640, 3), 127, np.uint8)


ALL_OUT = (
    "[data.shares]\nportraits = { test = 0.99, valid = 0.0 }\nphotos_80px = { test = 0.99, "
    "valid = 0.0 }\n"
)


def face(x: float, y: float, side: float = 60.0, shift: float = 0.0) -> Face:
    points = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
    return Face(
        Box(x, y, side, side), 0.9, tuple((x + a * side + shift, y + b * side) for a, b in points)
    )


class Saying:
    """Says where faces are: of each frame what it is told, by a function."""

    card = YuNetFile("told", "0" * 64)

    def __init__(self, says: Callable[[Picture], list[Face]]) -> None:
        self.detect = says


def always(*faces: Face) -> Saying:
    return Saying(lambda _: list(faces))


def found(
    ours: Saying, yunet: Saying, confirming: Saying | None = None, name: str = "a.png"
) -> PicturesFinding:
    return DetectorTrial(ours, yunet, confirming or yunet).find([(name, WALL)])


def test_a_face_is_found_where_boxes_share_half_and_counted_by_its_size() -> None:
    result = found(
        always(face(110, 100), face(400, 300)),
        always(face(100, 100), face(300, 200), face(500, 50, 20)),
    )
    assert (result.pictures, result.counts[ALL].faces) == (1, 2)
    assert result.counts[ALL].hits == {OURS: 1, YUNET: 2}
    assert result.counts["48 to 64 px"].faces == 2
    assert result.counts["32 to 48 px"].faces == 0


def test_a_detection_that_nothing_confirms_is_false() -> None:
    ours = always(face(100, 100), face(200, 100), face(400, 300))
    result = found(
        ours, always(face(100, 100), face(500, 50)), always(face(210, 100), face(510, 50))
    )
    assert result.detections == {OURS: 3, YUNET: 2}
    assert result.false == {OURS: 1, YUNET: 1}


def test_false_face_that_gets_a_category_is_counted() -> None:
    nothing = always()
    chain = open_recognizer(VisionSettings(expression_model="expression-fast"))
    pictures = [("a.png", smiling()), ("b.png", WALL)]
    result = DetectorTrial(detector(), nothing, nothing, chain).find(pictures)
    assert (result.pictures, result.false[OURS], result.named) == (2, 1, 1)


def test_landmarks_are_measured_in_distances_of_the_marked_eyes() -> None:
    marked = {"a.png": np.array(face(290, 210).landmarks)}
    placed = DetectorTrial(always(face(290, 210, shift=2.4)), always(face(0, 0)), always()).place(
        [("a.png", WALL)], marked
    )
    assert placed.errors[OURS][ALL] == pytest.approx([0.1])
    assert not placed.errors[YUNET][ALL], "a face somewhere else is not this one"


def report(**changed: PicturesFinding) -> TrialReport:
    good = found(always(face(100, 100)), always(face(100, 100)))
    placed = Placing(1)
    placed.errors[OURS][ALL] = [0.04, 0.06]
    return TrialReport(
        "face-detector 1.0.0",
        0.5,
        {"portraits": good, "scenes": good, **changed},
        {"photos": placed},
    )


def test_the_bars_say_which_are_met() -> None:
    bad = found(always(face(300, 300)), always(face(100, 100)))
    bars = {bar.name: bar for bar in report(scenes=bad).bars()}
    assert bars["faces found in portraits"].met
    assert bars["faces found in scenes"].met is False
    assert bars["false faces a picture"].value == 0.5
    assert bars["landmark error, eye distances"].value == pytest.approx(0.05)
    assert bars["recall lost with a mask"].met is None, "nobody wore one"


def write_archives(folder: Path) -> Path:
    """Write portraits, small ones with marked points, and a recipe.

    The second of the small ones has points that are not to be trusted.
    """
    small = np.asarray(
        cv2.resize(smiling(), (80, 80), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    (seen,) = detector().detect(smiling())
    points = ",".join(f"{value * 80 / 512:.2f}" for point in seen.landmarks for value in point)
    pictures: dict[str, Picture] = {
        "portraits/with_mask/a.png": serious(),
        "portraits/without_mask/b.png": smiling(),
    }
    pictures |= {"photos_80px/lfw_5590/c.png": small, "photos_80px/net_7876/d.png": small}
    for name, picture in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), picture)
    header = ",".join(["file", *(f"{name}_{axis}" for name in NAMES for axis in "xy")])
    rows = "".join(f"{name},{points}\n" for name in ("lfw_5590/c.png", "net_7876/d.png"))
    (folder / "photos_80px" / "landmarks.csv").write_text(f"{header}\n{rows}", encoding="utf-8")
    recipe = folder / "recipe.toml"
    recipe.write_text(ALL_OUT, encoding="utf-8")
    return recipe


class Network:
    """OpenCV's part of YuNet, which here sees what the shipped detector sees."""

    def detect(self, picture: Picture) -> tuple[int, NDArray[np.float32] | None]:
        rows = [
            [f.box.x, f.box.y, f.box.width, f.box.height, *np.ravel(f.landmarks), f.score]
            for f in detector().detect(picture)
        ]
        return 1, np.array(rows, dtype=np.float32) if rows else None


def test_a_whole_trial_reads_the_archives_in_place_and_prints_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_archives(tmp_path)
    shutil.make_archive(str(tmp_path / "portraits"), "zip", tmp_path / "portraits")
    shutil.rmtree(tmp_path / "portraits")
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: Network())
    yunet = tmp_path / "yunet.onnx"
    yunet.write_bytes(b"weights")
    result = run_trial("face-detector", tmp_path, yunet, recipe)
    assert result.findings["portraits"].counts[ALL].faces == 2
    assert result.findings["portraits"].counts[MASK].share(OURS) == 1
    assert result.placings["photos_80px"].pictures == 1
    main.app(
        [
            "faces-evaluate",
            "--faces",
            str(tmp_path),
            "--yunet",
            str(yunet),
            "--recipe",
            str(recipe),
        ],
        standalone_mode=False,
    )
    printed = capsys.readouterr().out
    assert printed.startswith("face-detector ")
    assert "portraits: 2 pictures" in printed


def test_archives_that_are_missing_broken_or_all_learnt_from_are_named(tmp_path: Path) -> None:
    everything = Shares(test=0.99, valid=0.0)
    with pytest.raises(DataError, match=r"holds neither scenes\.zip nor a folder scenes"):
        PhotographArchive.find(tmp_path, "scenes", everything)
    (tmp_path / "scenes.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"scenes\.zip: is not a zip archive"):
        list(PhotographArchive.find(tmp_path, "scenes", everything).held_out())
    (tmp_path / "portraits").mkdir()
    cv2.imwrite(str(tmp_path / "portraits" / "a.png"), WALL)
    with pytest.raises(DataError, match="none of its 1 photographs is held out"):
        list(PhotographArchive.find(tmp_path, "portraits", Shares(test=0.0)).held_out())
    (tmp_path / "portraits" / "b.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"b\.png"):
        list(PhotographArchive.find(tmp_path, "portraits", everything).held_out())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[data.shares]\nportraits = { test = 2 }\n", r"data\.shares\.portraits\.test"),
        ("data = 3\n", r"has no \[data\.shares\]"),
        ("data =\n", "is not a TOML file"),
    ],
)
def test_a_recipe_has_to_say_what_is_held_out(tmp_path: Path, text: str, said: str) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=said):
        read_shares(recipe)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_shares(tmp_path / "absent.toml")


def test_scores_are_swept_on_a_part_and_the_chosen_one_is_noted(tmp_path: Path) -> None:
    there = always(face(100, 100))
    seen_alone = always(face(100, 100), face(400, 300))
    one = sweep([("a.png", WALL)], {0.5: seen_alone, 0.63: there}, there, [there, always()])
    assert (one.pictures, one.faces, one.hits[0.5], one.false[0.5], one.false[0.63]) == (
        *(1, 1, 1, 1, 0),
    )
    excused = sweep([("a.png", WALL)], {0.5: seen_alone}, there, [there, always(face(400, 300))])
    assert excused.false[0.5] == 0, "one of the two judges sees it"
    card = tmp_path / "face-detector.json"
    shutil.copy(MODELS_FOLDER / card.name, card)
    note_stills(card, {"scenes": one})
    assert read_card(card).metrics[STILLS] == {
        "score": 0.5,
        "faces found in scenes": 1.0,
        "false faces a picture": 1.0,
    }
    assert "100.0%" in sweep_text({"scenes": one})


def test_covered_faces_and_names_are_counted_by_the_folder_of_photograph() -> None:
    wall = np.full((100, 100, 3), 127, np.uint8)
    readings = read_covered(
        open_recognizer(VisionSettings(expression_model="expression-fast")),
        [
            ("without_mask/a.png", smiling()),
            ("without_mask/b.png", wall),
            ("elsewhere/c.png", smiling()),
        ],
    )
    assert readings == {NO_MASK: Reading(pictures=2, faces=1, covered=0, named=1)}
    assert (readings[NO_MASK].covered_share, Reading().named_share) == (0.0, None)
    whole = TrialReport("face-detector", 0.6, {}, {}, readings)
    assert [(bar.value, bar.met) for bar in whole.cover_bars()] == [(None, None), (0.0, True)]
    assert "without a mask" in report_text(whole)


POINTS = ((14.0, 18.0), (26.0, 18.0), (20.0, 25.0), (15.0, 32.0), (25.0, 32.0))


def seen(*boxes: tuple[float, float, float, float, float]) -> Candidates:
    """Detections: left, top, right, bottom, score.

    All with the points of `POINTS` moved by 1.2 to the right.
    """
    values = np.array(boxes, dtype=np.float32).reshape(-1, 5)
    points = np.array([POINTS] * len(values), dtype=np.float32).reshape(-1, 5, 2)
    points[:, :, 0] += 1.2
    return Candidates(values[:, 4], values[:, :4], points)


def faces(*boxes: tuple[float, float, float, float], ignored: int = 0) -> FaceBoxes:
    """Faces: x, y, width, height; the last ones are ignored regions."""
    labels = [
        LabelledFace(Box(*box), POINTS, i >= len(boxes) - ignored) for i, box in enumerate(boxes)
    ]
    return FaceBoxes.of(labels)


def test_recall_counts_faces_and_false_share_counts_detections() -> None:
    judged = evaluate_detections(
        [seen((10, 10, 30, 40, 0.9), (60, 60, 80, 90, 0.6)), seen((11, 10, 30, 40, 0.4))],
        [faces((10, 10, 20, 30)), faces((10, 10, 20, 30), (100, 100, 20, 20))],
    )
    low, middle, high = (judged.at(t) for t in (0.3, 0.5, 0.7))
    assert [low.recall, low.false_share] == pytest.approx([2 / 3, 1 / 3])
    assert [middle.recall, middle.false_share] == pytest.approx([1 / 3, 1 / 2])
    assert [high.recall, high.false_share, high.detections] == pytest.approx([1 / 3, 0, 1])
    assert low.landmark_error == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("colour", "group"),
    [
        ((240, 208, 188), "light (above 41°)"),
        ((198, 150, 122), "between (10° to 41°)"),
        ((110, 74, 54), "dark (below 10°)"),
    ],
)
def test_the_angle_of_a_skin_is_that_of_skimage(colour: tuple[int, int, int], group: str) -> None:
    lightness, _, b = rgb2lab(np.array([[colour]], dtype=np.uint8))[0, 0]
    angle = typology_angle(*colour)
    assert angle == pytest.approx(math.degrees(math.atan((lightness - 50) / b)), abs=0.5)
    assert skin_group(angle) == group


def those(label: str, right: int, wrong: int) -> list[SeenFace]:
    hit = SeenFace(detected=True, named=True, flawed=False, right=True, label=label)
    miss = SeenFace(detected=False, named=False, flawed=False, right=False, label=label)
    return [hit] * right + [miss] * wrong


def test_categories_count_alike_where_each_group_has_enough_of_them() -> None:
    groups = {
        "dark": those("anger", 10, ENOUGH - 10) + those("happiness", 60, 0) + those("fear", 0, 5),
        "light": those("anger", ENOUGH, 0) + those("happiness", 10, 10) + those("fear", 30, 0),
    }
    figures = figures_of(groups)
    assert figures["dark"]["evenly"] == 0.75
    assert figures["light"]["evenly"] == 0.75
    assert figures["dark"]["right"] == round(70 / 85, 4)
    assert figures["dark"]["found"] == figures["dark"]["named"] == round(70 / 85, 4)
    assert "75.0%" in groups_text({"skin": groups})
