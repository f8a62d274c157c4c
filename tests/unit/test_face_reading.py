"""The interface for programs: `read` from a path or pixels, and what it refuses."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edge_agent
from edge_agent import FaceRow, read
from edge_agent.core.errors import PictureError
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.movements import LOOK, MOVEMENTS, POSE
from tests.support.vision.portraits import smiling


def test_a_file_and_its_pixels_give_the_same_rows(tmp_path: Path) -> None:
    file = tmp_path / "smiling.png"
    assert cv2.imwrite(str(file), smiling())
    (face,) = read(smiling())
    assert read(file) == read(str(file)) == [face]
    assert (face.emotion, face.flaw) == ("happiness", None)
    probabilities = [getattr(face, emotion.value) for emotion in EMOTIONS]
    assert sum(probabilities) == pytest.approx(1)
    assert max(probabilities) == face.happiness


def test_the_columns_stay_as_they_are() -> None:
    assert [field.name for field in dataclasses.fields(FaceRow)] == [
        *("x", "y", "width", "height", "score", "quality", "flaw", "emotion"),
        *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
        *(*POSE, *LOOK, *MOVEMENTS),
    ]


def test_a_face_that_the_edge_cuts_off_has_a_flaw_and_no_label() -> None:
    (whole,) = read(smiling())
    (cut,) = read(smiling()[: round(whole.y + whole.height / 2)])
    assert (cut.flaw, cut.emotion) == ("cut_off", None)
    assert read(np.zeros((200, 200), np.uint8)) == []


def test_a_tight_picture_of_a_whole_face_has_no_flaw() -> None:
    (whole,) = read(smiling())
    inner = slice(round(whole.x + 0.1 * whole.width), round(whole.x + 0.9 * whole.width))
    below_hair = slice(round(whole.y + 0.15 * whole.height), round(whole.y + whole.height))
    (tight,) = read(smiling()[below_hair, inner])
    assert (tight.flaw, tight.emotion) == (None, "happiness")


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (None, "give the path itself"),
        (np.zeros((4, 4, 4), np.uint8), r"shape \(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        ("/nowhere/a.jpg", "no such file"),
    ],
)
def test_what_is_no_picture_is_named(picture: Any, words: str) -> None:
    with pytest.raises(PictureError, match=words):
        read(picture)


def test_the_package_loads_nothing_heavy_and_knows_no_other_name() -> None:
    code = "import sys, edge_agent; print({'cv2', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    with pytest.raises(AttributeError, match="'nothing'"):
        edge_agent.nothing  # noqa: B018 - the look itself is what fails


def test_the_package_is_typed_for_those_who_use_it() -> None:
    assert Path(edge_agent.__file__).with_name("py.typed").exists()
    assert importlib.metadata.version("affect-edge")
