"""Tables of other face programs: their columns, units, signs, and what is refused of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.errors import DataFileError
from edge_agent.core.expression import EMOTIONS, ExpressionRow
from edge_agent.core.movements import NAMES, MovementRow
from edge_agent.vision import face_tables as module
from edge_agent.vision.face_tables import FaceChoice, FaceTable, read_face_table
from tests.support.face_tables import EMOTIEFFLIB, FACEREADER, OPENFACE, PYFEAT

FPS = FaceChoice(fps=25.0)


def moved(table: FaceTable) -> list[tuple[int, int, dict[str, float]]]:
    """Return end, frames and values of the rows of movements."""
    rows = [row for row in table.timeline(0, 1.0) if isinstance(row, MovementRow)]
    return [
        (row.at.wall_ms, row.frames, {n: v for n, v in zip(NAMES, row.mean, strict=True) if v})
        for row in rows
    ]


def expressed(table: FaceTable) -> list[tuple[int, int, dict[str, float]]]:
    """Return end, frames and probabilities of the rows of expressions."""
    rows = [row for row in table.timeline(0, 1.0) if isinstance(row, ExpressionRow)]
    return [
        (row.at.wall_ms, row.frames, {n: p for n, p in row.mean.as_dict().items() if p})
        for row in rows
    ]


def near(**values: float) -> Any:
    return pytest.approx(values, abs=1e-3)


def refused(tmp_path: Path, text: str, choice: FaceChoice | None = None) -> str:
    (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataFileError) as error:
        read_face_table(tmp_path / "bad.csv", choice or FaceChoice())
    return str(error.value)


def test_openface_gives_movements_and_pose_in_our_units() -> None:
    table = read_face_table(OPENFACE, FaceChoice())
    assert table.program == "OpenFace"
    first = near(brow_down=0.3, smile=0.6, eye_blink=0.5, pitch=5.73, yaw=-11.459, roll=2.865)
    assert moved(table) == [(1000, 2, first), (1999, 1, near(brow_inner_up=0.5, smile=0.2))]
    assert expressed(table) == []
    assert table.left_out == {"with confidence below 0.8": 1, "with success 0": 1}
    assert {"gaze_angle_x", "x_…", "AU23_r", "AU12_c", "AU28_c"} <= set(table.not_taken)
    assert not {"frame", "timestamp", "AU12_r", "pose_Rx"} & set(table.not_taken)
    assert table.seconds == pytest.approx(2.0)


UNITS = {
    "brow_inner_up": (1, "Inner Brow Raiser"),
    "brow_outer_up": (2, "Outer Brow Raiser"),
    "brow_down": (4, "Brow Lowerer"),
    "eye_wide": (5, "Upper Lid Raiser"),
    "cheek_squint": (6, "Cheek Raiser"),
    "eye_squint": (7, "Lid Tightener"),
    "nose_sneer": (9, "Nose Wrinkler"),
    "upper_lip_up": (10, "Upper Lip Raiser"),
    "smile": (12, "Lip Corner Puller"),
    "frown": (15, "Lip Corner Depressor"),
    "lower_lip_down": (16, ""),
    "pucker": (18, "Lip Pucker"),
    "lip_stretch": (20, "Lip Stretcher"),
    "lip_press": (24, "Lip Pressor"),
    "jaw_open": (26, "Jaw Drop"),
    "eye_blink": (43, "Eyes Closed"),
}


@pytest.mark.parametrize(
    ("start", "cells", "column", "most"),
    [
        ("frame,face_id,timestamp,confidence,success", "1,0,0,1,1", "AU{0:02}_r", 5),
        (
            "input,frame,approx_time,FrameHeight,FrameWidth,FaceScore,Identity",
            "talk.mp4,0,00:00,480,640,1,Person_0",
            "AU{0:02}",
            1,
        ),
        (
            "Video Time,Neutral,Happy,Sad,Angry,Surprised,Scared,Disgusted",
            "00:00:00,1,0,0,0,0,0,0",
            "Action Unit {0:02} - {1}",
            1,
        ),
    ],
    ids=["OpenFace", "py-feat", "FaceReader"],
)
def test_each_action_unit_has_its_movement(
    tmp_path: Path, start: str, cells: str, column: str, most: int
) -> None:
    units = {name: unit for name, unit in UNITS.items() if unit[1] or "{1}" not in column}
    # OpenFace has the blink, not the closed eyes.
    columns = [column.format(*unit).replace("AU43_r", "AU45_r") for unit in units.values()]
    values = [str(most * unit / 100) for unit, _ in units.values()]
    text = f"{','.join([start, *columns])}\n{','.join([cells, *values])}\n"
    (tmp_path / "units.csv").write_text(text, encoding="utf-8")
    choice = FPS if "FaceScore" in start else FaceChoice()
    table = read_face_table(tmp_path / "units.csv", choice)
    assert moved(table)[0][2] == near(**{name: unit / 100 for name, (unit, _) in units.items()})
    assert table.not_taken == ()


def test_movements_that_a_program_does_not_tell_are_none() -> None:
    row = next(iter(read_face_table(OPENFACE, FaceChoice()).timeline(0, 1.0)))
    assert isinstance(row, MovementRow)
    told = {name for name, value in zip(NAMES, row.mean, strict=True) if value is not None}
    assert told == {"brow_inner_up", "brow_down", "smile", "eye_blink", "yaw", "pitch", "roll"}
    assert row.source == "OpenFace"


def test_pyfeat_gives_emotions_and_movements_by_frame() -> None:
    table = read_face_table(PYFEAT, FPS)
    first = near(neutral=0.15, happiness=0.7, sadness=0.05, anger=0.05, disgust=0.05)
    assert expressed(table) == [(1000, 2, first), (1599, 1, {"neutral": 1.0})]
    assert moved(table)[0][2] == near(brow_inner_up=0.3, brow_down=0.2, smile=0.9, lip_press=0.5)
    assert table.left_out == {"without a face": 1}
    assert {"Pitch", "Roll", "Yaw", "AU11", "x_…"} <= set(table.not_taken)
    assert any("no contempt" in note for note in table.notes)
    assert any("no size and quality of the face" in note for note in table.notes)


def test_facereader_with_preamble_marks_and_decimal_commas() -> None:
    table = read_face_table(FACEREADER, FaceChoice())
    first = near(neutral=0.333, happiness=0.562, anger=0.104)  # (1/6 + 1/2)/2, (3/4 + 3/8)/2 …
    assert expressed(table) == [(1000, 2, first), (1999, 1, near(neutral=0.8, contempt=0.2))]
    assert moved(table)[0][2] == near(brow_inner_up=0.2, smile=0.6, eye_blink=0.1)
    assert moved(table)[1][2] == {"pucker": 1.0}
    assert table.left_out == {"with FIT_FAILED": 1, "with FIND_FAILED": 1}
    assert {"Valence", "Y - Head Orientation", "Stimulus"} <= set(table.not_taken)


def test_letters_of_facereader_are_no_movements(tmp_path: Path) -> None:
    text = FACEREADER.read_text(encoding="utf-8")
    for number in ("0,1\t0,7\t0\t0,05", "0,3\t0,5\t0\t0,15", "0\t0\t1\t0\tfilm"):
        assert number in text
        text = text.replace(number, "NotActive\tB\tA\tE" + "\tfilm" * number.endswith("film"))
    (tmp_path / "letters.txt").write_text(text, encoding="utf-16")
    table = read_face_table(tmp_path / "letters.txt", FaceChoice())
    assert (len(expressed(table)), moved(table)) == (2, [])
    assert "Action Unit 12 - Lip Corner Puller" in table.not_taken
    assert any("letters" in note for note in table.notes)


def test_logits_of_emotiefflib_become_probabilities() -> None:
    table = read_face_table(EMOTIEFFLIB, FPS)
    first, last = expressed(table)
    assert first[2]["happiness"] == pytest.approx(0.5135, abs=1e-3)  # e² / (e² + 7)
    assert last[2]["neutral"] == pytest.approx(0.8864, abs=1e-3)  # e⁴ / (e⁴ + 7)
    assert sum(first[2].values()) == pytest.approx(1.0)
    assert len(first[2]) == len(EMOTIONS)
    assert table.left_out == {"without a value": 1}
    assert table.not_taken == ("emotion", "valence", "arousal")
    assert any("logits" in note for note in table.notes)


def test_logits_without_contempt_are_of_seven_categories(tmp_path: Path) -> None:
    rows = [line.split(",") for line in EMOTIEFFLIB.read_text(encoding="utf-8").splitlines()]
    text = "\n".join(",".join([*row[:3], *row[4:]]) for row in rows)
    (tmp_path / "seven.csv").write_text(text, encoding="utf-8")
    first = expressed(read_face_table(tmp_path / "seven.csv", FPS))[0][2]
    assert first["happiness"] == pytest.approx(0.5519, abs=1e-3)  # e² / (e² + 6)
    assert sum(first.values()) == pytest.approx(1.0)
    assert "contempt" not in first


def test_a_table_may_begin_late_and_have_blank_lines_and_cells(tmp_path: Path) -> None:
    head = "timestamp,confidence,success,AU01_r,AU12_r"
    nothing = ("nan", "NA", "none", "Null", " ")
    rows = [f"{10 + number / 2},1,1,{word},1," for number, word in enumerate(nothing)]
    (tmp_path / "late.csv").write_text("\n".join([head, *rows[:2], "", ",,", *rows[2:]]))
    table = read_face_table(tmp_path / "late.csv", FaceChoice())
    assert (table.rows, len(table.readings), table.seconds) == (5, 5, 12.5)
    assert moved(table)[0] == (11_000, 2, {"smile": 0.2})
    text = FACEREADER.read_text(encoding="utf-8").replace("00:00:01.6", "01:02:03.6")
    (tmp_path / "hour.txt").write_text(text, encoding="utf-8")
    hour = read_face_table(tmp_path / "hour.txt", FaceChoice())
    assert [one.seconds for one in hour.readings] == [0.0, 0.4, 3723.6]


def test_one_of_several_faces_must_be_named(tmp_path: Path) -> None:
    two = tmp_path / "two.csv"
    lines = OPENFACE.read_text(encoding="utf-8").splitlines()
    two.write_text("\n".join([*lines, lines[-1].replace("5, 0,", "5, 1,")]), encoding="utf-8")
    with pytest.raises(DataFileError, match=r"several faces: 0 \(3 rows\), 1 \(1 rows\).*--face"):
        read_face_table(two, FaceChoice())
    table = read_face_table(two, FaceChoice(faces=("0",)))
    assert len(table.readings) == 3
    assert table.left_out["of another face"] == 1
    two.write_text("\n".join([*lines, lines[-1]]), encoding="utf-8")
    with pytest.raises(DataFileError, match="row 7, column timestamp: '1.600' is there twice"):
        read_face_table(two, FaceChoice(faces=("0",)))
    with pytest.raises(DataFileError, match="has no face 7"):
        read_face_table(two, FaceChoice(faces=("7",)))


def test_milliseconds_are_not_taken_for_seconds(tmp_path: Path) -> None:
    emotions = "anger,disgust,fear,happiness,neutral,sadness,surprise"
    rows = "".join(f"{33.3 * n:.1f},0,0,0,1,0,0,0\n" for n in range(120))
    assert (
        "its times (timestamp) are 33.3 apart, which as seconds would be a picture every 33.3 s, "
        "and 3,963 s in all. Write seconds: divide milliseconds by 1000."
    ) in refused(tmp_path, f"timestamp,{emotions}\n{rows}")


def test_bad_tables_are_refused_with_line_column_and_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, *rows = OPENFACE.read_text(encoding="utf-8").splitlines()
    bad = "\n".join([head, rows[0].replace("2.00", "5.5"), rows[1].replace("4.00", "x")])
    message = refused(tmp_path, bad)
    assert "bad.csv, row 2, column AU12_r: '5.5' is not between 0 and 5" in message
    assert "bad.csv, row 3, column AU12_r: 'x' is no number" in message
    assert message.endswith("Nothing was imported.")
    low = refused(tmp_path, "\n".join([head, *[rows[0].replace("2.00", "-0.5")] * 12]))
    assert "rows 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more, column AU12_r: '-0.5' is" in low
    assert "row 3, column timestamp: '0.000' is before" in refused(
        tmp_path, "\n".join([head, rows[1], rows[0]])
    )
    assert "row 2, column timestamp: '604800' is no time since the start" in refused(
        tmp_path, f"{head}\n{rows[0].replace('0.000', '604800')}"
    )
    assert "no row has a face (1 with success 0)" in refused(tmp_path, f"{head}\n{rows[3]}")
    assert "AU12_r is there twice" in refused(tmp_path, f"{head}, AU12_r\n{rows[0]}, 1")
    assert "is no table of OpenFace 2" in refused(tmp_path, "a,b\n1,2")
    assert "is no table of OpenFace 2" in refused(tmp_path, "")
    assert "is a table of analyse-video" in refused(tmp_path, "seconds,look_x,look_y\n0,0,0")
    preamble = "note\n" * 50 + f"{head}\n{rows[3]}"
    assert "no row has a face" in refused(tmp_path, preamble)
    assert "is no table of OpenFace 2" in refused(tmp_path, f"note\n{preamble}")
    pyfeat = PYFEAT.read_text(encoding="utf-8")
    zeros = (
        "FaceScore,frame,anger,disgust,fear,happiness,sadness,surprise,neutral\n1,0,0,0,0,0,0,0,0"
    )
    assert "no row has a face (1 with all emotions 0)" in refused(tmp_path, zeros, FPS)
    monkeypatch.setattr(module, "ROWS_MOST", 4)
    assert "has over 4 rows" in refused(tmp_path, "\n".join([head, *rows]))
    monkeypatch.setattr(module, "ROWS_MOST", 5)
    assert read_face_table(OPENFACE, FaceChoice()).rows == 5
    assert "counts frames" in refused(tmp_path, pyfeat)
    assert "Leave out --fps" in refused(tmp_path, "\n".join([head, *rows]), FPS)
    assert "no column of fear" in refused(tmp_path, pyfeat.replace(",fear,", ",dread,"), FPS)
    blank = refused(tmp_path, pyfeat.replace("0.6,0.1", ",0.1"), FPS)
    assert "row 2, column happiness has no value" in blank
    (tmp_path / "latin.csv").write_bytes(b"Video Time,Neutral,Happy\n\xe4,1,0")
    with pytest.raises(DataFileError, match="is not UTF-8"):
        read_face_table(tmp_path / "latin.csv", FaceChoice())
    with pytest.raises(DataFileError, match="no such file"):
        read_face_table(tmp_path / "none.csv", FaceChoice())
    with pytest.raises(DataFileError, match="is a folder"):
        read_face_table(tmp_path, FaceChoice())


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("emotion,gaze_yaw,AU1,AU12", "is a table of OpenFace 3, by its columns (AU1, AU12 …)"),
        ("gaze_0_x", "has times as tables of OpenFace have, and none of its columns of a face"),
    ],
)
def test_table_without_any_column_of_a_face_is_refused_as_such(
    tmp_path: Path, columns: str, words: str
) -> None:
    cells = ",0.1" * len(columns.split(","))
    text = f"frame,timestamp,face_id,confidence,success,{columns}\n0,0.0,0,0.98,1{cells}\n"
    assert words in refused(tmp_path, text)
