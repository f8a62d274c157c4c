"""A row that says whose it is, in any table and by any way, lands with nobody else."""

from __future__ import annotations

import csv
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import DataFileError
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.intake.cells import StudyImport, StudyImportOptions
from edge_agent.timeline.intake.named_people import other_person_in
from edge_agent.timeline.intake.study_import import import_study, opened_study
from edge_agent.timeline.intake.tidy import TABLES
from tests.support.commands import affect_edge
from tests.support.dashboard import client_of, set_up
from tests.support.exports.full_study import full_study
from tests.support.laboratory.xdf import Xdf
from tests.support.timeline import START_MS, query, session_row, timeline

OWN, OTHER = "P01", "P02"
OF_NOBODY = {
    "model": "is of the appliance",
    "participant": "is the list of the people",
    "participant_attribute": "is joined by its code, not by time",
}
"""Tables whose rows lie in no session, with the reason."""
ROWS_OF_SESSIONS = [table for table in TABLES if table not in OF_NOBODY]
COLUMNS = ("participant", "subject", "participant_id", "vp")
"""Ours, those that others have, and one that its values alone tell."""


def at(seconds: float) -> str:
    return iso_utc(START_MS + round(1000 * seconds))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_study(tmp_path_factory.mktemp("there")).parent


@pytest.fixture(scope="module")
def bundle(there: Path) -> Path:
    done = affect_edge("export", "--out", there / "bundle", "--data", there)
    assert done.code == 0, done.err
    return there / "bundle"


@pytest.fixture(scope="module")
def dataset(there: Path) -> Path:
    done = affect_edge("export", "--format", "bids", "--out", there / "bids", "--data", there)
    assert done.code == 0, done.err
    return there / "bids"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "affect-edge.db"
    migrate(path)
    return path


def looked_at(source: Path, empty: Path) -> StudyImport:
    """Return what an import would do; who has withdrawn is left out."""
    options = StudyImportOptions(leave_out=frozenset({OTHER}))
    return import_study(empty, opened_study(source), options, actor="ada", dry_run=True)


def rewritten(path: Path, change: Mapping[str, str], *, separator: str = ",") -> None:
    """Write ``change`` into each row that names no other person."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter=separator))
    assert rows, path
    with path.open("w", newline="", encoding="utf-8") as file:
        columns = [*dict.fromkeys([*rows[0], *change])]
        writer = csv.DictWriter(file, columns, delimiter=separator)
        writer.writeheader()
        own = [row.get("participant", OWN) == OWN for row in rows]
        writer.writerows(
            {**row, **change} if is_own else row for row, is_own in zip(rows, own, strict=True)
        )


def of_one_person(bundle: Path, folder: Path, table: str) -> Path:
    """Return a copy of a study in which a table has the rows of one person, and does not name them.

    The sessions stay; the stretch that is left out of the other's becomes that of all of this one.
    """
    study = folder / "study"
    shutil.copytree(bundle, study)
    path = study / f"{table}.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if table == "exclusion":
        rows = [{**rows[0], "session": "1"} | dict.fromkeys(("start_at", "end_at"), "")]
        rows = [{**row, "start_ms": "", "end_ms": ""} for row in rows]
    elif table != "session" and "participant" in rows[0]:
        rows = [row for row in rows if row["participant"] == OWN]
    kept = [name for name in rows[0] if name != "participant" or table == "session"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return study


@pytest.mark.parametrize("table", ROWS_OF_SESSIONS)
def test_row_that_names_whose_session_it_lies_in_is_taken(
    bundle: Path, empty: Path, table: str, tmp_path: Path
) -> None:
    study = of_one_person(bundle, tmp_path, table)
    rewritten(study / f"{table}.csv", {"vp": OWN, "subject": OWN, "participant": OWN})
    assert looked_at(study, empty).problems == []


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("table", ROWS_OF_SESSIONS)
def test_row_that_names_another_person_is_refused_with_its_value(
    bundle: Path, empty: Path, table: str, column: str, tmp_path: Path
) -> None:
    if table == "session" and column in {"participant", "vp"}:
        pytest.skip("who stands in it has the session; another column may name a partner")
    study = of_one_person(bundle, tmp_path, table)
    rewritten(study / f"{table}.csv", {column: OTHER})
    problems = looked_at(study, empty).problems
    assert {(one.file, one.column, one.value) for one in problems} == {
        (f"{table}.csv", column, OTHER)
    }
    assert problems[0].line == 2
    assert f"is not {OWN}" in problems[0].sentence
    assert "Correct" in problems[0].sentence


@pytest.mark.parametrize("table", [one for one in ROWS_OF_SESSIONS if one != "session"])
def test_row_that_names_another_session_is_refused(
    bundle: Path, empty: Path, table: str, tmp_path: Path
) -> None:
    study = of_one_person(bundle, tmp_path, table)
    rewritten(study / f"{table}.csv", {"session": "7"})
    problems = looked_at(study, empty).problems
    assert {(one.column, one.value) for one in problems} == {("session", "7")}


@pytest.mark.parametrize(
    ("column", "cells", "is_taken"),
    [
        ("session_id", "12", True),
        ("session_id", "21", False),
        ("ses", "22", False),
        ("Session No.", "13", True),
        ("session_id", "01", True),
        ("session_nr", "11", True),
        ("block", "21", True),
    ],
)
def test_column_of_sessions_is_compared_whatever_its_ending(
    empty: Path, column: str, cells: str, is_taken: bool, tmp_path: Path
) -> None:
    agreed = f"1,{at(0)}"
    kind = "research,laboratory"
    texts = {
        "participant": "participant,consent_version,consent_given_at\n"
        f"{OWN},{agreed}\n{OTHER},{agreed}",
        "session": "session,participant,start_at,end_at,purpose,setting\n"
        f"1,{OWN},{at(100)},{at(200)},{kind}\n2,{OTHER},{at(300)},{at(400)},{kind}",
        "vital": f"at,kind,value,{column}\n{at(110)},heart_rate,61,{cells[0]}\n"
        f"{at(310)},heart_rate,62,{cells[1]}",
    }
    for table, text in texts.items():
        (tmp_path / f"{table}.csv").write_text(text)
    source, options = opened_study(tmp_path), StudyImportOptions()
    problems = import_study(empty, source, options, actor="ada", dry_run=True).problems
    assert (not problems) == is_taken, problems
    assert all("is not the session" in one.sentence for one in problems)


def test_column_that_names_a_partner_beside_the_participant_is_no_contradiction(
    bundle: Path, empty: Path, tmp_path: Path
) -> None:
    study = of_one_person(bundle, tmp_path, "vital")
    rewritten(study / "vital.csv", {"participant": OWN, "partner": OTHER})
    assert looked_at(study, empty).problems == []


def test_column_of_numbers_names_nobody_though_codes_are_numbers(
    bundle: Path, empty: Path, tmp_path: Path
) -> None:
    study = of_one_person(bundle, tmp_path, "vital")
    for table in study.glob("*.csv"):
        table.write_text(table.read_text().replace(OWN, "1").replace(OTHER, "2"))
    rewritten(study / "vital.csv", {"block": "2"})
    options = StudyImportOptions(leave_out=frozenset({"2"}))
    looked = import_study(empty, opened_study(study), options, actor="ada", dry_run=True)
    assert looked.problems == []


def tables_of(dataset: Path, label: str) -> list[Path]:
    return [one for one in sorted(dataset.rglob(f"sub-{label}*.tsv")) if "ses-" in one.name]


@pytest.mark.parametrize("column", ["participant_id", "subject"])
def test_bids_row_that_names_another_participant_is_refused(
    dataset: Path, empty: Path, column: str, tmp_path: Path
) -> None:
    for number, table in enumerate(tables_of(dataset, OWN)):
        if table.name.endswith("_scans.tsv"):
            continue
        study = tmp_path / str(number)
        shutil.copytree(dataset, study)
        changed = study / table.relative_to(dataset)
        rewritten(changed, {column: f"sub-{OTHER}"}, separator="\t")
        problems = looked_at(study, empty).problems
        assert {(one.column, one.value) for one in problems} == {(column, f"sub-{OTHER}")}, table
        rewritten(changed, {column: f"sub-{OWN}"}, separator="\t")
        assert looked_at(study, empty).problems == [], table


def test_bids_session_that_names_another_participant_is_refused(
    dataset: Path, empty: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    shutil.copytree(dataset, study)
    rewritten(study / f"sub-{OWN}/sub-{OWN}_sessions.tsv", {"participant": OTHER}, separator="\t")
    problems = looked_at(study, empty).problems
    assert [(one.value, f"is not {OWN}" in one.sentence) for one in problems] == [(OTHER, True)]


@pytest.mark.parametrize(
    ("place", "other", "words"),
    [
        (f"sub-{OWN}", f"sub-{OTHER}", f"is named for sub-{OWN}"),
        ("ses-1", "ses-9", "is named for ses-1"),
    ],
)
def test_bids_file_in_the_folder_of_another_one_is_refused(
    dataset: Path, empty: Path, place: str, other: str, words: str, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    shutil.copytree(dataset, study)
    first = tables_of(study, OWN)[0]
    moved = Path(*[other if part == place else part for part in first.parent.parts]) / first.name
    assert moved != first
    moved.parent.mkdir(parents=True, exist_ok=True)
    first.rename(moved)
    with pytest.raises(DataFileError, match=words):
        looked_at(study, empty)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A data folder with a session of each of two people."""
    sessions = [
        session_row(start, start + 100, participant=code)
        for code, start in ((OWN, 100), (OTHER, 300))
    ]
    return timeline(tmp_path / "here", session=sessions).parent


def brought(folder: Path, rows: Sequence[tuple[float, str]], column: str = "participant") -> Path:
    """Return a table of readings in our form, of these seconds and people."""
    lines = [f"at,kind,value,{column}"]
    lines += [f"{at(s)},heart_rate,{60 + n},{code}" for n, (s, code) in enumerate(rows)]
    path = folder / "readings.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(110, OWN), (120, OWN)], ""),
        ([(110, OWN), (310, OTHER)], ""),
        ([(110, OWN), (250, OWN), (900, OWN)], ""),
        ([(110, OWN.lower()), (120, "")], ""),
        ([(110, OWN), (120, OTHER)], "row 3, column participant: 'P02' is not P01"),
        ([(110, "P99")], "row 2, column participant: 'P99' is not P01"),
        ([(700, OWN), (701, OTHER)], "names 2 people (P01, P02), whose readings lie in no session"),
    ],
)
@pytest.mark.parametrize("way", [(), ("--map", "guess"), ("--dry-run",)])
def test_readings_of_our_form_land_with_whom_they_name(
    here: Path, rows: Sequence[tuple[float, str]], words: str, way: Sequence[str], tmp_path: Path
) -> None:
    done = affect_edge("import-vitals", brought(tmp_path, rows), "--data", here, *way)
    assert (done.code == 0, words in done.err) == (not words, True), done
    if words:
        assert query(here / "affect-edge.db", "SELECT count(*) FROM vital") == [(0,)]


@pytest.mark.parametrize(
    ("rows", "is_taken"), [([(110, OWN), (310, OTHER)], True), ([(110, OTHER)], False)]
)
def test_readings_on_the_page_land_with_whom_they_name(
    here: Path, rows: Sequence[tuple[float, str]], is_taken: bool, tmp_path: Path
) -> None:
    client = set_up(client_of(here), here)
    content = brought(tmp_path, rows).read_bytes()
    answer = client.post("/readings/import", files={"file": ("strap.csv", content, "text/csv")})
    address = answer.headers["location"].partition("?")[0]
    words = "strap.csv, row 2, column participant: &#39;P02&#39; is not P01"
    assert (words in client.get(address).text) != is_taken
    assert client.post(address).status_code == (303 if is_taken else 422)
    counted = query(here / "affect-edge.db", "SELECT count(*) FROM vital")
    assert counted == [(len(rows) * is_taken,)]


@pytest.mark.parametrize(
    ("rows", "is_taken"), [([(110, "5"), (310, "6")], True), ([(110, "5"), (310, "5")], False)]
)
def test_readings_of_one_session_do_not_land_with_two_people(
    here: Path, rows: Sequence[tuple[float, str]], is_taken: bool, tmp_path: Path
) -> None:
    file = brought(tmp_path, rows, "session")
    done = affect_edge("import-vitals", file, "--data", here)
    assert (done.code == 0) == is_taken, done
    assert (
        "row 3, column session: rows of session 5 lie in sessions of two people" in done.err
    ) != is_taken


@pytest.mark.parametrize("column", ["subject", "vp"])
def test_readings_of_another_table_that_name_another_code_are_refused(
    here: Path, column: str, tmp_path: Path
) -> None:
    path = tmp_path / "strap.csv"
    path.write_text(f"time,hr,{column}\n{at(110)},61,{OTHER}\n{at(111)},62,{OTHER}\n")
    done = affect_edge("import-vitals", path, "--map", "guess", "--data", here)
    assert f"row 2, column {column}: 'P02' is not P01" in done.err, done
    path.write_text(f"time,hr,{column}\n{at(110)},61,left\n{at(111)},62,{OWN}\n")
    assert affect_edge("import-vitals", path, "--map", "guess", "--data", here).code == 0


@pytest.mark.parametrize(
    "above",
    [
        f"Participant,{OTHER}",
        f"# subject: {OTHER}",
        "Subject ID:,2",
        f"Teilnehmer {OTHER}",
        f"Name,{OTHER}",
    ],
)
@pytest.mark.parametrize("way", ["vitals", "page"])
def test_table_whose_head_names_another_person_is_refused(
    here: Path, above: str, way: str, tmp_path: Path
) -> None:
    path = tmp_path / "strap.csv"
    client = set_up(client_of(here), here) if way == "page" else None
    own = above.replace(OTHER, OWN).replace("2", "1")
    honest = (own, f"Device,H10\nBlock,{OTHER}x", f"Participants,{OWN},{OTHER}", "Subjects,2")
    texts = [(above, False), *((text, True) for text in honest)]
    for second, (text, is_taken) in enumerate(texts, start=110):
        path.write_text(f"{text}\n\ntime,hr\n{at(second)},61\n")
        if client is not None:
            file = {"file": ("strap.csv", path.read_bytes(), "text/csv")}
            answer = client.post("/readings/import", files=file)
            shown = client.get(answer.headers["location"].partition("?")[0]).text
        else:
            done = affect_edge("import-vitals", path, "--map", "guess", "--data", here)
            shown = done.err
            assert (done.code == 0) == is_taken, done
        assert ("above the names of its columns stands" in shown) != is_taken, text


@pytest.mark.parametrize(
    "column", ["participant_no", "SubjectNumber", "vp", "VPN-Nr.", "Versuchsperson"]
)
def test_number_in_a_column_named_for_people_is_compared(
    here: Path, column: str, tmp_path: Path
) -> None:
    path = tmp_path / "strap.csv"
    for text, is_taken in (("2", False), ("1", True), ("7", True)):
        path.write_text(f"time,hr,{column}\n{at(110)},61,{text}\n{at(111)},62,{text}\n")
        done = affect_edge("import-vitals", path, "--map", "guess", "--data", here, "--dry-run")
        assert (done.code == 0) == is_taken, done


@pytest.mark.parametrize(
    ("place", "is_taken"),
    [
        (f"{OTHER}/hr.csv", False),
        (f"study/sub-{OTHER}/hr.csv", False),
        (f"{OWN}/hr.csv", True),
        (f"{OWN}/{OTHER}/hr.csv", False),
        (f"{OTHER}/{OWN}_hr.csv", True),
        ("day 2/hr.csv", True),
    ],
)
@pytest.mark.parametrize("is_packed", [True, False])
def test_table_in_the_folder_of_another_person_is_refused(
    here: Path, place: str, is_taken: bool, is_packed: bool, tmp_path: Path
) -> None:
    text = f"at,kind,value\n{at(110)},heart_rate,61\n"
    path = tmp_path / "exports" / place
    if is_packed:
        path = tmp_path / "exports.zip"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(place, text)
    else:
        path.parent.mkdir(parents=True)
        path.write_text(text)
    done = affect_edge("import-vitals", path, "--data", here)
    assert (done.code == 0, "its name says P02" in done.err) == (is_taken, not is_taken), done


def test_reading_with_the_code_before_a_prefix_lands_with_its_person(tmp_path: Path) -> None:
    here = timeline(tmp_path / "here", session=[session_row(100, 200, participant="Lab-P01")])
    file = brought(tmp_path, [(110, OWN)])
    assert affect_edge("import-vitals", file, "--data", here.parent).code == 0


@pytest.mark.parametrize(
    ("code", "seconds", "words"),
    [(OWN, 110, ""), (OWN, 200, ""), (OTHER, 110, "row 2, column participant: 'P02' is not P01")],
)
@pytest.mark.parametrize(
    "way", [(), ("--map", "at=at", "--map", "kind=kind", "--map", "label=label")]
)
def test_markers_land_with_whom_they_name(
    here: Path, code: str, seconds: int, words: str, way: Sequence[str], tmp_path: Path
) -> None:
    path = tmp_path / "markers.csv"
    path.write_text(f"at,kind,label,participant\n{at(seconds)},note,cough,{code}\n")
    done = affect_edge("import-markers", path, "--data", here, *way)
    assert (done.code == 0, words in done.err) == (not words, True), done


@pytest.mark.parametrize(("code", "is_taken"), [(OWN, True), (OTHER, False)])
def test_face_table_lands_with_whom_it_names(
    here: Path, code: str, is_taken: bool, tmp_path: Path
) -> None:
    path = tmp_path / "faces.csv"
    heads = "timestamp,confidence,success,AU12_r,participant"
    path.write_text(f"{heads}\n0.0,0.9,1,2.0,{code}\n0.1,0.9,1,2.5,{code}\n")
    words = ("--start", at(110), "--into-session", "1", "--data", here)
    done = affect_edge("import-faces", path, *words)
    assert (done.code == 0) == is_taken, done
    assert ("row 2, column participant: 'P02' is not P01" in done.err) != is_taken


@pytest.mark.parametrize(
    ("cell", "is_taken"),
    [
        ("sub-P02", False),
        ("P2", False),
        ("p-02", False),
        ("2", False),
        ("P07", False),
        ("P1", True),
        ("sub-p01", True),
        ("1", True),
        ("Ada", True),
        ("HRV 2", True),
    ],
)
@pytest.mark.parametrize("column", ["subject", "participant_id"])
def test_code_in_another_form_is_that_of_its_person(
    here: Path, column: str, cell: str, is_taken: bool, tmp_path: Path
) -> None:
    path = tmp_path / "strap.csv"
    path.write_text(f"time,hr,{column}\n{at(110)},61,{cell}\n{at(111)},62,{cell}\n")
    done = affect_edge("import-vitals", path, "--map", "guess", "--data", here)
    assert (done.code == 0, "is not P01" in done.err) == (is_taken, not is_taken), done


@pytest.mark.parametrize(
    ("cells", "is_taken"),
    [
        (["sub-P02"] * 9, False),
        (["P-02"] * 9, False),
        (["test", *["P02"] * 8], False),
        (["", "warm-up", *["p02"] * 7], False),
        (["sub-P01"] * 9, True),
        (["P1", "P2", "P2"] * 3, True),
        (["P01", "P02", "P03", "P04", "neutral"] * 2, True),
        (["2"] * 9, True),
        (["left", "P02", "right"] * 3, True),
        (["P77"] * 9, False),
        (["P77", "P78"] * 4, True),
        (["P77", "pause"] * 4, True),
        (["T07"] * 9, True),
        (["P7"] * 9, True),
    ],
    ids=[
        *("label", "separator", "a stray", "strays", "own", "periods", "stimuli", "numbers"),
        *("texts", "unknown code", "unknown codes", "unknown beside words", "trial", "electrode"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("column", ["pid", "patient", "who"])
def test_column_of_any_name_names_people_by_its_values(
    tmp_path: Path, column: str, cells: list[str], is_taken: bool
) -> None:
    sessions = [
        session_row(start, start + 100, participant=code)
        for code, start in ((OWN, 100), (OTHER, 300), ("P03", 500))
    ]
    here = timeline(tmp_path / "here", session=sessions).parent
    path = tmp_path / "strap.csv"
    rows = "".join(f"{at(110 + n)},61,{cell}\n" for n, cell in enumerate(cells))
    path.write_text(f"time,hr,{column}\n{rows}")
    done = affect_edge("import-vitals", path, "--map", "guess", "--data", here)
    assert (done.code == 0, f"column {column}" in done.err) == (is_taken, not is_taken), done


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("sub-P02_hr.csv", False),
        ("sub-P07_hr.csv", False),
        ("2026 P02 strap.csv", False),
        ("sub-P01_hr.csv", True),
        ("sub-p1_ses-P02_hr.csv", True),
        ("sub-ada_hr.csv", True),
        ("P01_P02_hr.csv", True),
        ("hr.csv", True),
    ],
)
def test_name_of_a_file_says_whose_it_is(
    here: Path, name: str, is_taken: bool, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(f"time,hr\n{at(110)},61\n{at(111)},62\n")
    done = affect_edge("import-vitals", path, "--map", "guess", "--data", here)
    assert (done.code == 0, "or rename the file" in done.err) == (is_taken, not is_taken), done
    faces = tmp_path / "faces" / name
    faces.parent.mkdir()
    faces.write_text("timestamp,confidence,success,AU12_r\n0.0,0.9,1,2.0\n0.1,0.9,1,2.5\n")
    words = ("--start", at(110), "--into-session", "1", "--data", here)
    assert (affect_edge("import-faces", faces, *words).code == 0) == is_taken


@pytest.mark.parametrize(
    ("column", "cells", "is_taken"),
    [
        ("subject", ("P07", "P08"), False),
        ("Participant ID", ("ada", "bo"), False),
        ("subject", ("P07", "P07"), True),
        ("topic", ("P07", "P08"), True),
    ],
)
def test_rows_in_no_session_of_several_people_are_refused(
    here: Path, column: str, cells: Sequence[str], is_taken: bool, tmp_path: Path
) -> None:
    path = tmp_path / "strap.csv"
    rows = "".join(f"{at(9000 + 60 * n)},61,{cells[n // 3]}\n" for n in range(6))
    path.write_text(f"time,hr,{column}\n{rows}")
    done = affect_edge("import-vitals", path, "--map", "guess", "--data", here)
    assert (done.code == 0, f"column {column} names 2 people" in done.err) == (
        is_taken,
        not is_taken,
    ), done


@pytest.mark.parametrize(
    ("title", "code", "other"),
    [
        ("Strap P02", "P01", "P02"),
        ("strap_p02", "P01", "p02"),
        ("Strap P02", "P02", ""),
        ("P01 beside P02", "P01", ""),
        ("Polar H10 0371", "P01", ""),
        ("EEG P3", "P01", ""),
        ("Film T02", "P01", ""),
        ("Strap 02", "01", ""),
    ],
)
def test_title_of_a_stream_names_another_person_by_the_form_of_the_code(
    title: str, code: str, other: str
) -> None:
    assert other_person_in(title, code) == other


def strap(name: str) -> bytes:
    xdf = Xdf(at(60).replace(".000Z", "+0000"))
    xdf.stream(1, name, "HR", [("heart rate", "bpm")], rate=1.0)
    return xdf.samples(1, [(100.0 + n, [61.0 + n]) for n in range(9)]).footer(1, 9).content


@pytest.mark.parametrize(("name", "is_taken"), [("Strap P01", True), ("Strap P02", False)])
@pytest.mark.parametrize("way", ["import-study", "import-vitals"])
def test_stream_named_by_another_person_is_refused(
    tmp_path: Path, way: str, name: str, is_taken: bool
) -> None:
    pytest.importorskip("pyxdf", reason="needs pyxdf")
    data = timeline(tmp_path / "here", session=[session_row(0, 900)]).parent
    path = tmp_path / "sub-P01_lab.xdf"
    path.write_bytes(strap(name))
    consent = ("--consent", "1", "--consent-on", "2026-01-05T08:00:00Z", "--purpose", "research")
    words = consent if way == "import-study" else ()
    place = tmp_path / "other" if words else data
    done = affect_edge(way, path, *words, "--data", place)
    assert (done.code == 0, "the name of stream Strap P02 says P02" in done.err) == (
        is_taken,
        not is_taken,
    ), done
