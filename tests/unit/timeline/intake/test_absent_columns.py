"""A column that a table lacks is no value: it is computed, named in the report, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.expression import EMOTIONS
from edge_agent.timeline.intake.staged_rows import ABSENT
from tests.unit.timeline.intake.conftest import Here
from tests.unit.timeline.intake.test_refused import at, study

NAMES = [emotion.value for emotion in EMOTIONS]
FACES = f"at,{','.join(NAMES)}"


def face(seconds: float, emotion: str, share: int, more: str = "") -> str:
    """A row in which one emotion has a share in per mille, and neutral or anger the rest."""
    other = "neutral" if emotion != "neutral" else "anger"
    values = [share if n == emotion else 1000 - share if n == other else 0 for n in NAMES]
    return f"{at(seconds)},{','.join(map(str, values))}{more}\n"


def labels(here: Here) -> list[str | None]:
    return [label for (label,) in here.stored("SELECT emotion FROM expression ORDER BY at, track")]


def test_faces_without_a_label_get_that_of_the_agent(here: Here, tmp_path: Path) -> None:
    rows = [face(s, "anger", 960 - 100 * (s == 1)) for s in range(4)] + [
        face(s, "happiness", 980) for s in (10, 11)
    ]
    doubtful = [face(s, "fear", 520) for s in (20, 21)]
    source = study(tmp_path, expression=f"{FACES}\n" + "".join(rows + doubtful))
    planned = here.take(source, "--dry-run")
    done = here.take(source)
    assert labels(here) == ["anger"] * 4 + ["happiness"] * 2 + [None, None]
    for report in (planned, done):
        (note,) = [one for one in report["notes"] if "have no label" in one]
        assert note.startswith("8 rows of expressions have no label (emotion): it was computed as")
        assert "smoothed over 0.6 s. The prior is that of the program" in note
    # smoothed as the agent does after a second: by 1 - exp(-1 / 0.6) = 0.811 of the step
    shares = here.stored("SELECT anger, smoothed_anger FROM expression ORDER BY at")[:2]
    assert shares == [(960, 960), (860, 879)]


def test_faces_with_labels_keep_them_and_empty_ones_are_computed(
    here: Here, tmp_path: Path
) -> None:
    rows = face(1, "anger", 960, ",uncertain") + face(12, "anger", 960, ",")
    here.take(study(tmp_path, expression=f"{FACES},emotion\n{rows}"))
    assert labels(here) == [None, "anger"]


def test_faces_smoothed_already_are_not_smoothed_again(here: Here, tmp_path: Path) -> None:
    head = f"{FACES},{','.join(f'smoothed_{name}' for name in NAMES)}"
    calm = face(1, "neutral", 1000).strip().partition(",")[2]
    angry = face(1, "anger", 1000).strip().partition(",")[2]
    rows = "".join(f"{at(s)},{calm},{angry}\n" for s in (1, 2, 3))
    here.take(study(tmp_path, expression=f"{head}\n{rows}"))
    assert labels(here) == ["anger"] * 3
    assert here.stored("SELECT DISTINCT smoothed_anger FROM expression") == [(1000,)]


TABLES = {
    "expression": (FACES, face(1, "anger", 960)),
    "movement": ("at,smile", f"{at(1)},0.5\n"),
    "unfit": ("at,reason,frames", f"{at(1)},too_dark,3\n"),
    "vital": ("at,kind,value", f"{at(1)},heart_rate,70\n"),
    "model": ("kind,name,version,sha256,since_at", f"expression,x,1,{'0' * 64},{at(0)}\n"),
}


def notes_of(report: dict[str, Any], table: str) -> str:
    return " ".join(one for one in report["notes"] if one.startswith(f"{table}.csv lacks the"))


@pytest.mark.parametrize("table", ABSENT)
def test_absent_columns_are_named_with_what_they_are_taken_for(
    table: str, here: Here, tmp_path: Path
) -> None:
    head, rows = TABLES[table]
    report = here.take(study(tmp_path, **{table: f"{head}\n{rows}"}), "--dry-run")
    assert report["problems"] == []
    for column, taken_for in ABSENT[table].items():
        assert f"{column} ({taken_for})" in notes_of(report, table)


@pytest.mark.parametrize(
    ("head", "rows", "column"),
    [
        (FACES, face(1, "anger", 960) + face(1.1, "anger", 960), "interval_ms"),
        (f"{FACES},track", face(1, "anger", 960, ",1") + face(1, "fear", 960, ",2"), "is_primary"),
        (
            f"{FACES},track",
            "".join(face(s, "anger", 960, f",{1 + s % 2}") for s in range(4)),
            "is_primary",
        ),
    ],
)
def test_absent_column_that_the_rows_contradict_is_refused(
    head: str, rows: str, column: str, here: Here, tmp_path: Path
) -> None:
    report = here.take(study(tmp_path, expression=f"{head}\n{rows}"))
    assert not report["imported"]
    assert {one["column"] for one in report["problems"]} == {column}
    assert "is missing, and" in report["problems"][0]["message"]


def test_absent_source_beside_a_column_of_devices_is_refused(here: Here, tmp_path: Path) -> None:
    text = f"at,kind,value,Side\n{at(5)},heart_rate,70,left\n{at(5.5)},heart_rate,90,right\n"
    report = here.take(study(tmp_path, vital=text))
    assert not report["imported"]
    assert "its column side tells devices apart" in report["problems"][0]["message"]


def test_columns_that_no_export_has_are_named(here: Here, tmp_path: Path) -> None:
    source = study(tmp_path, expression=f"{FACES},dominant\n{face(1, 'anger', 960, ',anger')}")
    report = here.take(source, "--dry-run")
    assert "Not read: column dominant of expression.csv." in report["notes"]


def test_unknown_face_is_nobodys_where_no_column_says_whose(here: Here, tmp_path: Path) -> None:
    rows = face(1, "anger", 960, ",unknown") + face(12, "anger", 960, ",seat")
    here.take(study(tmp_path, expression=f"{FACES},attribution\n{rows}"))
    stored = here.stored("SELECT is_primary, attribution FROM expression ORDER BY at")
    assert stored == [(0, "unknown"), (1, "seat")]


def test_unknown_face_of_the_participant_is_refused(here: Here, tmp_path: Path) -> None:
    rows = face(1, "anger", 960, ",unknown,1")
    report = here.take(
        study(tmp_path, expression=f"{FACES},attribution,is_primary\n{rows}"), "--dry-run"
    )
    (problem,) = report["problems"]
    assert "stands only where is_primary is 0" in str(problem)


@pytest.mark.parametrize(
    ("markers", "wrong"),
    [
        ([("start", "anger"), ("end", "anger"), ("start", "neutral")], 0),
        ([("start", "anger"), ("end", "of the film"), ("start", "neutral")], 0),
        ([("end", "anger"), ("start", "anger"), ("start", "anger"), ("end", "anger")], 1),
        ([("start", "anger"), ("start", "neutral"), ("end", "anger"), ("end", "neutral")], 2),
    ],
)
def test_ends_of_another_stimulus_or_of_none_are_reported(
    here: Here, tmp_path: Path, markers: list[tuple[str, str]], wrong: int
) -> None:
    rows = "".join(f"{at(n)},stimulus_{kind},{label}\n" for n, (kind, label) in enumerate(markers))
    done = here.take(study(tmp_path, marker=f"at,kind,label\n{rows}"))
    told = [one for one in done["notes"] if "ends of stimuli come" in one]
    assert [one.split()[0] for one in told] == [str(wrong)] * bool(wrong)
    assert here.stored("SELECT count(*) FROM marker") == [(len(markers),)]
