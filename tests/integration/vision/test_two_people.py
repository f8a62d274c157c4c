"""Two people before one camera, from pictures to what is said of their session everywhere."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import cv2
import pytest

from dashboard.questions.week.letter import write_letter
from edge_agent.core.clock import utc_at
from edge_agent.core.expression import Frame
from edge_agent.timeline.export.text_formats import CSV
from edge_agent.timeline.read.faces_in_view import FacesInView
from edge_agent.timeline.read.quality_checks import session_quality
from edge_agent.timeline.read.reader import Reader
from edge_agent.vision.align import Picture
from edge_agent.vision.recognizer import open_recognizer
from tests.support.recording import recorded
from tests.support.timeline import START_MS, instant, session_row, timeline
from tests.support.vision.portraits import serious, smiling
from tests.support.vision.walk import head_of, paste, wall

FPS = 8
UNSURE = "It is not known whether it was always the same person."
CAME_BACK = f"The face was out of view once, and a face came back. {UNSURE}"


def held(folder: Path, seconds: int, shown: Callable[[float, Picture], None]) -> Path:
    """Record a session of what is drawn on each frame; return the database."""
    cv2.setNumThreads(1)
    recognizer = open_recognizer()
    seen = []
    for number in range(seconds * FPS):
        image = wall()
        shown(number / FPS, image)
        at = instant(number / FPS)
        seen.append(recognizer.recognize(Frame(image, at, number)))
    database = timeline(folder, session=[session_row(-1, seconds + 1)])
    recorded(database, *seen)
    return database


@pytest.fixture(scope="module")
def one_after_another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One portrait for 8 s, nothing for 3 s, and another portrait for 8 s."""
    first = head_of(smiling(), (223, 120), 113, 130)
    second = head_of(serious(), (268, 227), 212, 140)

    def shown(at: float, image: Picture) -> None:
        if at < 8:
            paste(image, first, 320)
        elif at >= 11:
            paste(image, second, 320)

    return held(tmp_path_factory.mktemp("after"), 19, shown)


def test_another_person_after_a_pause_is_reported_first(one_after_another: Path) -> None:
    report = session_quality(Reader(one_after_another), 1)

    assert report.measures.faces == FacesInView(1, 0.0, 0, None)
    assert report.faces_sentence == CAME_BACK


def test_another_person_is_reported_in_the_letter(one_after_another: Path) -> None:
    last = utc_at(START_MS).astimezone().date() + timedelta(days=1)

    letter = write_letter(one_after_another, "P01", last, 1, "pi")

    sentence, faces = letter.body.split("\n\n")[1:3]
    assert "distress" in sentence
    assert faces == CAME_BACK


def test_another_person_is_reported_in_exported_sessions(
    one_after_another: Path, tmp_path: Path
) -> None:
    CSV.export(one_after_another, tmp_path / "out")

    text = (tmp_path / "out" / "session.csv").read_text()
    (row,) = csv.DictReader(text.splitlines())
    told = [row[name] for name in ("face_left", "several_faces_s", "face_changed")]
    assert told == ["1", "0.0", "0"]


def test_face_that_takes_over_beside_another_is_counted(tmp_path: Path) -> None:
    small = head_of(smiling(), (223, 120), 113, 90)
    large = head_of(serious(), (268, 227), 212, 200)

    def shown(at: float, image: Picture) -> None:
        paste(image, small, 200)
        if at >= 5:
            paste(image, large, 450)

    view = session_quality(Reader(held(tmp_path, 12, shown)), 1).measures.faces

    assert (view.left, view.changed) == (0, 1)
    assert view.several_s == pytest.approx(7, abs=1)
