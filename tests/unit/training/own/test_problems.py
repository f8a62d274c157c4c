"""What is said of doubtful faces before anything is learnt from them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.vision.align import Picture
from tests.support.vision.portraits import serious, smiling
from training.data.crops import FaceCutter
from training.data.datasets import EDGE, read_folder
from training.report.problems import problems_of


def changed(image: Picture, rng: np.random.Generator) -> Picture:
    """The same face, turned, nearer or farther, and in another light: no near copy."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(
        (width / 2, height / 2), float(rng.uniform(-14, 14)), float(rng.uniform(0.85, 1.1))
    )
    moved = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.convertScaleAbs(moved, alpha=float(rng.uniform(0.6, 1.3))), np.uint8)


def write_faces(folder: Path, portrait: Picture, count: int, seed: int) -> None:
    """Cut-out faces of a portrait, each another."""
    rng = np.random.default_rng(seed)
    cutter = FaceCutter(EDGE)
    folder.mkdir(parents=True)
    for number in range(count):
        face, _ = cutter.cut(changed(portrait, rng))
        assert face is not None
        noise = rng.normal(0, 12, face.shape)
        cv2.imwrite(str(folder / f"{number:03}.png"), (face + noise).clip(0, 255).astype(np.uint8))


def said_of(folder: Path) -> list[str]:
    return problems_of(read_folder(folder))


def about(sentences: list[str], word: str) -> str:
    """The one sentence with a word."""
    (found,) = [sentence for sentence in sentences if word in sentence]
    return found


def test_pictures_of_noise_are_no_faces_and_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for category in ("anger", "neutral"):
        (tmp_path / category).mkdir()
        for number in range(30):
            noise = rng.integers(0, 255, (48, 48), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / category / f"{number}.png"), noise)

    sentence = about(said_of(tmp_path), "a face is found")

    assert sentence.startswith("a face is found in 0% of 60 pictures")
    assert "crop-faces" in sentence


def test_photographs_that_were_not_cut_are_told_from_faces(tmp_path: Path) -> None:
    wide = cv2.copyMakeBorder(smiling(), 250, 250, 250, 250, cv2.BORDER_REPLICATE)
    rng = np.random.default_rng(2)
    (tmp_path / "happiness").mkdir()
    for number in range(25):
        image = changed(np.asarray(wide, np.uint8), rng)
        cv2.imwrite(str(tmp_path / "happiness" / f"{number}.jpg"), image)

    sentences = said_of(tmp_path)

    assert any("crop-faces" in sentence for sentence in sentences), sentences


def test_near_copies_are_named_and_so_are_those_of_another_category(tmp_path: Path) -> None:
    write_faces(tmp_path / "happiness", smiling(), 22, 3)
    write_faces(tmp_path / "neutral", serious(), 22, 4)
    twice = cv2.imread(str(tmp_path / "happiness" / "005.png"), cv2.IMREAD_GRAYSCALE)
    assert twice is not None
    cv2.imwrite(str(tmp_path / "neutral" / "again.png"), cv2.convertScaleAbs(twice, alpha=0.9))

    sentences = said_of(tmp_path)

    assert "happiness/005.png and neutral/again.png" in about(sentences, "labelled wrongly")
    assert "keep one of each" in about(sentences, "look nearly like")


@pytest.mark.parametrize(("happy", "neutral", "words"), [(6, 25, "happiness (6)")])
def test_few_uneven_empty_and_unreadable_are_each_said(
    tmp_path: Path, happy: int, neutral: int, words: str
) -> None:
    write_faces(tmp_path / "happiness", smiling(), happy, 5)
    write_faces(tmp_path / "neutral", serious(), neutral, 6)
    (tmp_path / "fear").mkdir()
    (tmp_path / "neutral" / "torn.png").write_bytes(b"torn")

    sentences = said_of(tmp_path)

    assert words in about(sentences, "fewer than 20")
    assert about(sentences, "no picture in").startswith("no picture in fear")
    assert "neutral/torn.png" in about(sentences, "cannot be read")


def test_good_faces_are_not_complained_of(tmp_path: Path) -> None:
    write_faces(tmp_path / "happiness", smiling(), 24, 7)
    write_faces(tmp_path / "neutral", serious(), 24, 8)

    assert [one for one in said_of(tmp_path) if "look nearly like" not in one] == []
