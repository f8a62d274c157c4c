"""A table of two people, arms or devices is asked about, whatever its columns are called.

Unit tests of ``interleaving`` have the shapes in time; here every kind of vital, form of a table
and way to bring it meets some of them.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from edge_agent.core import interleaving
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import DataFileError
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.intake.cells import StudyImportOptions
from edge_agent.timeline.intake.study_import import import_study, opened_study
from edge_agent.vitals.column_map import ColumnMap
from edge_agent.vitals.csv_files import CsvFile
from edge_agent.vitals.csv_readings import all_readings
from tests.support.commands import affect_edge
from tests.support.dashboard import client_of, set_up
from tests.support.timeline import START_MS, query, timeline

COLUMNS = (
    *("Subject Id", "subject", "Vp", "user_id", "Proband", "ID", "participant", "Name"),
    *("hand", "wrist", "Device Serial", "MAC", "column", "Kürzel", "x", ""),
)
"""Names of a column that tells people, arms or devices apart; any other one does, too."""
Rows = Sequence[tuple[float, float, str]]
"""Seconds since the start, place of a value within the plausible ones, and the text beside it."""


def both(rows: Rows) -> Rows:
    return sorted(rows)


SEVERAL: Mapping[str, Rows] = {
    "at the same times": both(
        [(60 * n, 0.3 + 0.3 * (one == "b") + n / 200, one) for n in range(6) for one in "ab"]
    ),
    "one after the other in the file": [
        (60 * n + 17 * (one == "b"), 0.3 + n / 200, one) for one in "ab" for n in range(9)
    ],
    "between each other": both(
        [(2 * n + 0.7 * (one == "b"), 0.3 + n / 200, one) for n in range(9) for one in "ab"]
    ),
    "a day each, at levels apart": [
        (60 * n + 86_400 * (one == "P02"), 0.3 + 0.4 * (one == "P02") + n / 400, one)
        for one in ("P01", "P02")
        for n in range(9)
    ],
    "put together against time": [
        (60 * n + 86_400 * (one == "P01"), 0.3 + n / 400, one)
        for one in ("P01", "P02")
        for n in range(9)
    ],
    "in turn": both(
        [(30 * n, 0.3 + n / 400 + n % 2 / 50, ("P01", "P02")[n % 2]) for n in range(16)]
    ),
}
REMARKS: Mapping[str, Callable[[int], str]] = {
    "posture": lambda n: ("sitting", "standing")[n % 2],
    "tag": lambda n: "run" if n % 7 in {2, 3} else "",
    "AM/PM": lambda n: "AM" if n < 10 else "PM",
    "quality": lambda n: str(n * n % 3),
    "trial": lambda n: f"T{n // 4:02}",
    "phase": lambda n: f"B{n // 10:02}",
    "weekday": lambda n: ("Mon", "Tue")[n // 10],
    "stimulus": lambda n: ("s01", "s02", "s03")[n % 3],
}


def value_of(kind: VitalKind, place: float) -> float:
    low, high = kind.spec.plausible
    return round(low + place * (high - low), 4)


def table(kind: VitalKind, rows: Rows, column: str, *, long: bool = False) -> bytes:
    """Return a table of readings: a column for the kind, or one for kinds and one for values."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["at", *(("kind", "value") if long else ("measured",)), column])
    for seconds, place, text in rows:
        at = iso_utc(START_MS + round(1000 * seconds))
        value = str(value_of(kind, place))
        writer.writerow([at, *((kind.value, value) if long else (value,)), text])
    return file.getvalue().encode()


def taken(content: bytes, kind: VitalKind, source: str = "") -> list[tuple[str, float]]:
    """Return source and value of each reading of a table."""
    file = CsvFile.parse("t.csv", content)
    of_values = {kind.value: "measured"} if "measured" in file.header else {}
    of_values = of_values or {"kind": "kind", "value": "value"}
    columns = {"at": "at", **of_values} | ({"source": source} if source else {})
    units = {kind.value: kind.unit} if kind.unit else {}
    return [(one.source, one.value) for one in all_readings(file, ColumnMap(columns, units), None)]


@pytest.mark.parametrize("shape", SEVERAL)
@pytest.mark.parametrize("kind", VitalKind)
def test_table_of_two_is_asked_about_and_read_apart(kind: VitalKind, shape: str) -> None:
    rows = SEVERAL[shape]
    for long in (False, True):
        content = table(kind, rows, "Vp", long=long)
        with pytest.raises(DataFileError, match="Column Vp names 2 .* Choose it as the source"):
            taken(content, kind)
        apart = taken(content, kind, "Vp")
        assert len(apart) == len(rows)
        assert {source for source, _ in apart} == {text for *_, text in rows}


@pytest.mark.parametrize("name", COLUMNS)
def test_table_of_two_is_asked_about_whatever_names_them(name: str) -> None:
    with pytest.raises(DataFileError, match=f"Column {name or 'column 3'} names 2 "):
        taken(table(VitalKind.HEART_RATE, SEVERAL["at the same times"], name), VitalKind.HEART_RATE)


@pytest.mark.parametrize("remark", REMARKS)
@pytest.mark.parametrize("kind", VitalKind)
def test_table_of_one_with_remarks_is_taken_without_asking(kind: VitalKind, remark: str) -> None:
    for step in (1, 60):
        rows = [(step * n, 0.3 + n % 4 / 50, REMARKS[remark](n)) for n in range(20)]
        assert len(taken(table(kind, rows, remark), kind)) == len(rows)


def test_table_of_two_people_with_two_arms_each_is_asked_about() -> None:
    kind = VitalKind.SKIN_CONDUCTANCE
    content = ["at,who,hand,measured"]
    content += [
        f"{iso_utc(START_MS + 1000 * n)},{who},{arm},{level + n / 10}"
        for n in range(9)
        for level, who, arm in ((2, "Ada", "l"), (5, "Ada", "r"), (8, "Bo", "l"), (11, "Bo", "r"))
    ]
    raw = "\n".join(content).encode()
    with pytest.raises(DataFileError, match="Column who names 2 "):
        taken(raw, kind)
    with pytest.raises(DataFileError, match=r"Column hand names 2 .*would be one source \(Ada\)"):
        taken(raw, kind, "who")


def test_table_that_repeats_its_readings_is_taken_without_asking() -> None:
    rows = [(60 * n, 0.3 + n / 99, name) for name in ("a.csv", "b.csv") for n in range(9)]
    assert len(taken(table(VitalKind.HEART_RATE, rows, "file"), VitalKind.HEART_RATE)) == 18


@pytest.mark.parametrize("names", [("a", "b"), ("", "b")])
def test_long_table_of_two_is_asked_about_in_any_order(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interleaving, "_READINGS_KEPT", 60)
    rows = [(7 * n + 3 * m, 0.3 + m / 9, names[m]) for m in (0, 1) for n in range(3000)]
    with pytest.raises(DataFileError, match="Column who names 2 "):
        taken(table(VitalKind.HEART_RATE, rows, "who"), VitalKind.HEART_RATE)
    followed = [
        (7 * n, 0.3 + m / 9, names[m]) for m in (0, 1) for n in range(m * 999, m * 999 + 999)
    ]
    assert len(taken(table(VitalKind.HEART_RATE, followed, "who"), VitalKind.HEART_RATE)) == 1998


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return timeline(tmp_path / "here").parent


OWN_FORM = "at,kind,value,unit,participant\n" + "".join(
    f"{iso_utc(START_MS + 60_000 * n)},heart_rate,{level + n},/min,{who}\n"
    for n in range(2)
    for level, who in ((60, "P01"), (95, "P02"))
)


@pytest.mark.parametrize(
    ("content", "way", "words"),
    [
        (None, ("--map", "guess"), "Column Subject Id names 2 "),
        (None, ("--map", "at=at", "--map", "heart_rate=measured"), "Column Subject Id names 2 "),
        (OWN_FORM.encode(), (), "column participant names 2 people (P01, P02)"),
        (OWN_FORM.encode(), ("--map", "guess"), "column participant names 2 people (P01, P02)"),
    ],
)
@pytest.mark.parametrize("pack", [False, True])
def test_command_stores_nothing_of_a_table_of_two(
    here: Path, content: bytes | None, way: Sequence[str], words: str, pack: bool, tmp_path: Path
) -> None:
    shown = table(VitalKind.HEART_RATE, SEVERAL["at the same times"], "Subject Id")
    path = tmp_path / "t.csv"
    path.write_bytes(content or shown.replace(b"measured", b"HR"))
    if pack:
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
            archive.write(path, "t.csv")
        path = tmp_path / "t.zip"
    way = [word.replace("measured", "HR") for word in way]
    done = affect_edge("import-vitals", path, *way, "--data", here)
    assert done.code and words in done.err, done
    assert query(here / "affect-edge.db", "SELECT count(*) FROM vital") == [(0,)]


def test_page_stores_nothing_of_a_table_of_two(here: Path) -> None:
    client = set_up(client_of(here), here)
    content = table(VitalKind.HEART_RATE, SEVERAL["at the same times"], "Vp")
    files = {"file": ("t.csv", content.replace(b"measured", b"HR"), "text/csv")}
    address = client.post("/readings/import", files=files).headers["location"].partition("?")[0]
    assert "Column Vp names 2 devices, arms or people (a, b)" in client.get(address).text
    assert client.post(address).status_code == 422
    assert query(here / "affect-edge.db", "SELECT count(*) FROM vital") == [(0,)]


@pytest.mark.parametrize("texts", [("left", "right"), ("sitting", "standing")])
@pytest.mark.parametrize("column", ["Vp", "Subject Id", "x"])
def test_study_with_readings_of_two_under_one_source_is_refused(
    tmp_path: Path, column: str, texts: tuple[str, str]
) -> None:
    empty, study = tmp_path / "affect-edge.db", tmp_path / "study"
    migrate(empty)
    study.mkdir()
    is_two = texts[0] == "left"
    apart = 0 if is_two else 30
    rows = [
        f"{iso_utc(START_MS + 1000 * (60 * n + apart * m))},heart_rate,{70 + 9 * m * is_two},{text}"
        for n in range(8)
        for m, text in enumerate(texts)
    ]
    times = f"{iso_utc(START_MS)},{iso_utc(START_MS + 600_000)}"
    tables = {
        "session": ["session,participant,purpose,start_at,end_at", f"1,P01,research,{times}"],
        "participant": ["participant,consent_version,consent_given_at", "P01,3,2026-01-01T00:00Z"],
        "vital": [f"at,kind,value,{column}", *rows],
    }
    for name, lines in tables.items():
        (study / f"{name}.csv").write_text("\n".join(lines))
    options = StudyImportOptions()
    report = import_study(empty, opened_study(study), options, actor="ada", dry_run=True)
    said = [one.sentence for one in report.problems]
    assert [f"column {column.lower()} names 2 devices, arms or people" in one for one in said] == (
        [True] if is_two else []
    ), said
