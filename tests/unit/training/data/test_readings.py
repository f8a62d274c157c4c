"""Photographs that three people read: the truth is what two of them say."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data.datasets import EXPRESSIONS
from training.data.readings import AgreedPhotographs, read_agreement
from training.errors import DataError

ROWS = (
    ("a.jpg", "anger,anger,anger", ""),
    ("b.jpg", "anger,neutral,neutral", ""),
    ("c.jpg", "anger,neutral,sadness", ""),
    ("d.jpg", "disgust,disgust,disgust", ""),
    ("e.jpg", "sadness,unreadable,unreadable", ""),
    ("f.jpg", "happiness,happiness,", "One film"),
    ("g.jpg", "happiness,happiness,happiness", "One film"),
    ("h.jpg", "surprise,surprise,surprise", "Another film"),
)


def tables(folder: Path, readings: str = "", sources: str = "") -> tuple[Path, Path]:
    rows = "".join(f"{file},{said},\n" for file, said, _ in ROWS)
    films = "".join(f"{file},web,{film}\n" for file, _, film in ROWS)
    paths = folder / "readings.csv", folder / "sources.csv"
    paths[0].write_text(
        f"file,published,reading_1,reading_2,reading_2_second\n{rows}{readings}", encoding="utf-8"
    )
    paths[1].write_text(f"file,source,film\n{films}{sources}", encoding="utf-8")
    return paths


def agreement(folder: Path) -> AgreedPhotographs:
    return read_agreement(*tables(folder))


def test_readings_two_of_three_decide_and_disgust_is_not_judged(tmp_path: Path) -> None:
    read = agreement(tmp_path)

    named = {file: EXPRESSIONS[label] for file, label in read.labels.items()}
    assert named == {
        "a.jpg": "anger",
        "b.jpg": "neutral",
        "f.jpg": "happiness",
        "g.jpg": "happiness",
        "h.jpg": "surprise",
    }
    assert read.unanimous == {"a.jpg", "g.jpg", "h.jpg"}


def test_halves_frames_of_one_film_lie_in_one_half(tmp_path: Path) -> None:
    read = agreement(tmp_path)

    # sha256sum of a.jpg: 50…, of b.jpg: 7a…, of "Another film": 1b…, of "One film": cf…
    assert read.half_a == {"a.jpg", "b.jpg", "h.jpg"}
    first, second = read.of_half("A"), read.of_half("B")
    assert set(first.labels) | set(second.labels) == set(read.labels)
    assert not set(first.labels) & set(second.labels)
    assert ("f.jpg" in first.labels) == ("g.jpg" in first.labels)
    assert set(read.of_web().labels) == {"a.jpg", "b.jpg"}
    assert read.of_half("both") == read


@pytest.mark.parametrize(
    ("readings", "said"),
    [
        ("i.jpg,anger,anger,anger,\n", "row 10, column file: 'i.jpg' is not in .*sources.csv"),
        ("a.jpg,anger,cross,anger,\n", "row 10, column reading_1: 'cross' is not one of neutral"),
        ("a.jpg,anger\n", "row 10: holds 2 columns where the header names 5"),
    ],
)
def test_readings_fault_is_reported_with_file_row_and_column(
    tmp_path: Path, readings: str, said: str
) -> None:
    paths = tables(tmp_path, readings)
    with pytest.raises(DataError, match=f"{paths[0]}: {said}"):
        read_agreement(*paths)
