"""What keeps a study out: by file, line, column and value, and nothing is written."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import DataFileError, StoreError
from tests.support.timeline import START_MS, let_it_be_full, reading, timeline
from tests.unit.timeline.intake.conftest import Here


def at(seconds: float) -> str:
    return iso_utc(START_MS + round(1000 * seconds))


def tables(**changed: str) -> dict[str, str]:
    """The tables of a study of one person; those that are given take their place."""
    people = f"participant,consent_version,consent_given_at\nP01,3,{at(-9)}\n"
    return {
        "participant": people,
        "session": "session,participant,purpose,start_at,end_at\n"
        f"4,P01,research,{at(0)},{at(100)}\n",
        "marker": f"at,session,kind,label\n{at(0)},4,stimulus_start,anger\n"
        f"{at(100)},4,stimulus_end,anger\n",
        "vital": f"at,kind,value\n{at(5)},heart_rate,72\n{at(5)},systolic,90\n"
        f"{at(5)},diastolic,85\n{at(500)},heart_rate,72\n",
    } | changed


def study(folder: Path, **changed: str) -> Path:
    made = folder / "study"
    made.mkdir(exist_ok=True)
    for name, text in tables(**changed).items():
        (made / f"{name}.csv").write_text(text)
    return made


def test_tables_of_ones_own_are_taken_with_few_columns(here: Here, tmp_path: Path) -> None:
    done = here.take(study(tmp_path))
    assert (done["imported"], done["sessions"], done["problems"]) == (True, {"4": 4}, [])
    expected = {"file": "vital.csv", "rows": 4, "taken": 3, "outside_sessions": 1, "left_out": 0}
    assert done["files"]["vital"] == expected
    assert any("1 of 4 rows of vital.csv lie in no session" in note for note in done["notes"])
    assert here.stored("SELECT kind, source, flags FROM vital ORDER BY kind") == [
        ("diastolic", "csv:vital.csv", "imported out_of_range"),
        ("heart_rate", "csv:vital.csv", "imported"),
        ("systolic", "csv:vital.csv", "imported out_of_range"),
    ], "pressures that are too near are flagged, as in import-vitals"


def test_study_of_which_everybody_is_left_out_is_refused(here: Here, tmp_path: Path) -> None:
    words = [f"{study(tmp_path)}", "--leave-out", "p01", "--data", f"{here.folder}"]
    for more in (["--dry-run"], []):
        done = CliRunner().invoke(cli, ["import-study", *words, *more])
        assert done.exit_code == 1
        assert "each of its sessions is of somebody who is left out" in str(done.exception)
    assert here.stored("SELECT (SELECT count(*) FROM session) + (SELECT count(*) FROM audit)") == [
        (0,)
    ]


LOCAL = {
    "participant": "participant,consent_version,consent_given_at\nP01,3,2026-01-04 10:00\n",
    "session": "session,participant,purpose,start_at,end_at\n"
    "4,P01,research,2026-01-05 10:00:00,2026-01-05T09:20:00Z\n",
    "marker": "at,kind,label\n2026-01-05 10:01,stimulus_start,anger\n",
    "vital": "at,kind,value\n2026-01-05T10:02:00.500,heart_rate,72\n",
}
"""A study in Berlin, whose times name no zone but for one."""


def test_times_without_a_zone_are_read_in_the_one_that_is_named(here: Here, tmp_path: Path) -> None:
    made = study(tmp_path, **LOCAL)
    assert here.take(made)["problem_count"] == 2, "those of participants and sessions"
    done = here.take(made, "--timezone", "Europe/Berlin")
    assert (done["imported"], done["notes"][0].startswith("vital.csv lacks")) == (True, True)
    stored = here.stored("SELECT started, ended FROM session UNION SELECT at, 0 FROM vital")
    first_ms = 1_767_603_600_000  # 2026-01-05T09:00:00Z
    assert stored == [(first_ms, first_ms + 1_200_000), (first_ms + 120_500, 0)]


@pytest.mark.parametrize(
    ("vital", "note"), [("02:30", "1 local time comes twice in Europe/Berlin"), ("02:30+02:00", "")]
)
def test_local_time_that_comes_twice_is_told(
    here: Here, tmp_path: Path, vital: str, note: str
) -> None:
    autumn = {
        "session": f"{SESSION}4,P01,research,home,2025-10-26 01:00,2025-10-26 04:00\n",
        "participant": f"{CONSENT}\nP01,3,2025-10-01 10:00\n",
        "marker": "at,kind,label\n",
        "vital": f"{VITAL}2025-10-26 {vital},heart_rate,72\n",
    }
    done = here.take(study(tmp_path, **autumn), "--timezone", "Europe/Berlin")
    assert done["imported"], done["problems"]
    assert (f"vital.csv, column at: {note}" in " ".join(done["notes"])) == bool(note)


def test_local_time_that_never_was_is_refused_with_its_row(here: Here, tmp_path: Path) -> None:
    spring = LOCAL | {"vital": "at,kind,value\n2026-03-29 02:30,heart_rate,72\n"}
    with pytest.raises(DataFileError, match=r"vital\.csv, row 2, at: .* never was in Europe"):
        here.take(study(tmp_path, **spring), "--timezone", "Europe/Berlin")


def test_problems_that_differ_in_row_and_value_alone_are_one_sentence(tmp_path: Path) -> None:
    made = study(tmp_path, vital=f"{VITAL}{at(1)},pulse,1\n{at(2)},beat,1\n{at(3)},pulse,x\n")
    words = ("import-study", str(made), "--data", str(tmp_path / "here"))
    said = CliRunner().invoke(cli, words).stdout
    assert "vital.csv, line 2 and 2 more like it, column kind: 'pulse' is not" in said
    assert "line 3" not in said


def test_a_start_for_sessions_that_tell_theirs_is_refused(here: Here, tmp_path: Path) -> None:
    tables = study(tmp_path)
    words = "--starting: every session of these files has its own time"
    for more in ((), ("--dry-run",)):
        with pytest.raises(DataFileError, match=words):
            here.take(tables, "--starting", "2026-01-05T09:00:00Z", *more)
    assert here.stored("SELECT count(*) FROM session") == [(0,)]


SESSION = "session,participant,purpose,setting,start_at,end_at\n"
VITAL = "at,kind,value\n"
EXCLUSION = "session,start_at,end_at,reason\n"
CONSENT = "participant,consent_version,consent_given_at"
RESAMPLED = "".join(f"{at(place / 4)},rr_interval,0.8\n" for place in range(200))
FIRST = f"1,P01,research,home,{at(0)},{at(9)}\n"


@pytest.mark.parametrize(
    ("table", "text", "problem"),
    [
        ("vital", f"{VITAL}{at(5)},pulse,72\n", "vital.csv, line 2, column kind: 'pulse' is not"),
        ("vital", f"{VITAL}2026-09-21T14:20:05,heart_rate,70\n", "14:20:05' has no time zone"),
        ("vital", VITAL + 2 * f"{at(5)},heart_rate,70\n", "line 3, column at"),
        (
            "vital",
            f"at,session,kind,value\n{at(500)},4,heart_rate,70\n",
            "column session: '4' is not the session in whose time the row lies",
        ),
        (
            "vital",
            VITAL + RESAMPLED,
            "the RR intervals of csv:vital.csv last 159 s together, but 50 s pass",
        ),
        ("session", SESSION + FIRST.replace("home", "workplace"), "must not be inferred at work"),
        ("session", f"{SESSION}1,P01,research,home,{at(9)},{at(0)}\n", "not follow the start"),
        ("session", SESSION + FIRST.replace(at(9), "2099-01-01T00:00:00Z"), "lies in the future"),
        ("session", SESSION + FIRST.replace("P01", "P02"), "'P02' is not in the table of partici"),
        (
            "session",
            f"{SESSION}{FIRST}2,P01,research,home,{at(8)},{at(19)}\n",
            "lies before the end of session 1",
        ),
        ("exclusion", f"{EXCLUSION}7,,,x\n", "column session: '7' is no session of the study"),
        ("exclusion", f"{EXCLUSION}4,,,\n", "column reason: '' is missing"),
        ("exclusion", f"{EXCLUSION}4,,,{'x' * 201}\n", "is too long. Give a reason of at most"),
        ("exclusion", f"{EXCLUSION}4,{at(5)},,x\n", "end_at: '' is missing"),
        ("exclusion", f"{EXCLUSION}4,{at(9)},{at(5)},x\n", "are no stretch of the session"),
        (
            "exclusion",
            f"{EXCLUSION}4,,,x\n4,{at(5)},{at(9)},y\n",
            "line 3, column session: '4' is left out twice at one time",
        ),
        ("participant", "participant\nP01\n", "has no consent. Fill in consent_version"),
        (
            "participant",
            f"{CONSENT},consent_withdrawn_at\nP01,3,{at(-9)},{at(900)}\n",
            "has withdrawn the consent. Leave them out: --leave-out P01",
        ),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(
    here: Here, tmp_path: Path, table: str, text: str, problem: str
) -> None:
    done = here.take(study(tmp_path, **{table: text}))
    assert not done["imported"]
    assert any(problem in one["message"] for one in done["problems"]), done["problems"]
    for name in ("participant", "session", "vital", "marker", "audit"):
        assert here.stored(f"SELECT count(*) FROM {name}") == [(0,)], name


@pytest.mark.parametrize(
    ("file", "is_begun", "said"),
    [
        ("study.db", False, r"study, kept in \S+ while it is read"),
        ("study.db", True, r"study, kept in \S+ while it is read"),
        ("affect-edge.db", True, r"study was not imported\. \S+affect-edge\.db"),
    ],
)
def test_study_import_on_a_full_disk_is_refused_with_the_remedy(
    here: Here,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    is_begun: bool,
    said: str,
) -> None:
    timeline(here.folder)
    let_it_be_full(
        monkeypatch, lambda path: path.name == file and bool(path.stat().st_size) is is_begun
    )
    beats = "".join(f"{at(number / 10)},heart_rate,{60 + number / 10}\n" for number in range(900))
    with pytest.raises(StoreError, match=f"^{said}: the disk, .* is full"):
        here.take(study(tmp_path, vital=f"{VITAL}{beats}"))
    assert here.stored("SELECT count(*) FROM session") == [(0,)]


def test_beats_of_one_packet_and_both_measurements_are_taken(here: Here, tmp_path: Path) -> None:
    rows = [(5, "rr_interval", 0.905), (5, "rr_interval", 0.863), (5, "rr_interval", 0.863)]
    rows += [(9, "systolic", 128), (9, "diastolic", 82), (9, "systolic", 90), (9, "diastolic", 85)]
    lines = [f"{at(second)},{kind},{value}\n" for second, kind, value in rows]
    done = here.take(study(tmp_path, vital="at,kind,value\n" + "".join(lines)))
    assert (done["imported"], done["problems"]) == (True, [])
    sql = f"SELECT at - {START_MS}, value, flags FROM vital ORDER BY at, kind"
    assert here.stored(sql) == [
        (3274, 0.905, "imported"),
        (4137, 0.863, "imported"),
        (5000, 0.863, "imported"),
        (9000, 82, "imported"),
        (9000, 128, "imported"),
        (9001, 85, "imported out_of_range"),
        (9001, 90, "imported out_of_range"),
    ]


def test_many_problems_are_counted_the_first_named_by_a_dry_run_too(
    here: Here, tmp_path: Path
) -> None:
    rows = "".join(f"{at(n / 100)},pulse,72\n" for n in range(5_000))
    source = study(tmp_path, vital=f"at,kind,value\n{rows}")
    done = here.take(source)
    assert (done["problem_count"], len(done["problems"])) == (5_000, 20)
    assert here.take(source, "--dry-run")["problems"] == done["problems"]


def test_consent_can_be_stated_with_a_time_before_the_sessions(here: Here, tmp_path: Path) -> None:
    source = study(tmp_path, participant="participant\nP01\n")
    late = here.take(source, "--consent", "ethics 7", "--consent-on", at(50))
    assert "lies before the consent that was stated" in late["problems"][0]["message"]
    assert here.take(source, "--consent", "ethics 7", "--consent-on", at(-50))["imported"]
    sql = "SELECT text_version, given, withdrawn FROM consent"
    assert here.stored(sql) == [("ethics 7", START_MS - 50_000, None)]


def test_study_import_over_own_recordings_is_refused(here: Here, tmp_path: Path) -> None:
    theirs = reading(5, 61, source="csv:vital.csv")
    timeline(here.folder, expression=range(50, 150), vital=[reading(99.9), theirs])
    words = " ".join(one["message"] for one in here.take(study(tmp_path))["problems"])
    assert "50 rows of expression were recorded here in the time of session 4" in words
    assert "2 rows of vital were recorded here" in words
    done = here.take(study(tmp_path), "--join-recorded")
    assert not done["imported"]
    said = f"1 reading is here already, by kind, source and time; the first is of {at(5)}."
    assert any(said in one["message"] for one in done["problems"])
    other = study(tmp_path, vital=f"{VITAL}{at(6)},heart_rate,72\n")
    assert here.take(other, "--join-recorded")["imported"]


def test_session_that_meets_one_of_the_demonstration_is_told_once(
    here: Here, tmp_path: Path
) -> None:
    theirs = {"participant": "SIM-01", "started": 0, "ended": 100, "simulated": 1}
    timeline(here.folder, expression=range(50, 150), session=[theirs])
    (problem,) = here.take(study(tmp_path))["problems"]
    assert "session 4 meets session 1 of this database" in problem["message"]
    assert "simulated). Sessions must not overlap" in problem["message"]
    assert "affect-edge dashboard --data FOLDER --login-link shows" in problem["message"]


@pytest.mark.parametrize(
    ("vital", "problem"),
    [
        (f"{VITAL}{at(5)},heart_rate,72\n{at(6)},hea", "row 3: has 2 values, but there"),
        ("c0000000," * 400_000 + "\n", "line 1: is longer than 1048576 char"),
        ("," * 400_000 + "\n", "names 400001 columns in 0 characters; at most 1000 columns"),
    ],
    ids=["cut off", "long", "wide"],
)
def test_a_table_that_cannot_be_read_is_refused(
    here: Here, tmp_path: Path, vital: str, problem: str
) -> None:
    with pytest.raises(DataFileError, match=rf"vital\.csv.*{problem}") as refused:
        here.take(study(tmp_path, vital=vital))
    assert len(str(refused.value)) < 300
    assert here.stored("SELECT count(*) FROM session") == [(0,)]


@pytest.mark.parametrize(
    "named",
    [
        lambda name: f"My study\\{name}.csv",
        lambda name: f"{name.title()}.CSV",
        lambda name: f"2026/spring/{name}.csv",
    ],
    ids=["backslashes", "capitals", "folders"],
)
def test_zip_of_another_program_is_read_as_any_other(
    here: Here, tmp_path: Path, named: Callable[[str], str]
) -> None:
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in tables().items():
            archive.writestr(named(name), text)
    assert here.take(packed)["imported"]


def test_study_without_sessions_names_what_is_not_read(here: Here, tmp_path: Path) -> None:
    empty = study(tmp_path, session="session,participant,purpose,start_at,end_at\n")
    (empty / "sessions of May.csv").write_text("x")
    with pytest.raises(DataFileError, match=r"has no session\..*\nNot read: sessions of May\.csv"):
        here.take(empty)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (["xl/workbook.xml", "xl/styles.xml"], "is an Excel file. Save it as CSV UTF-8."),
        (["mimetype", "content.xml"], "is an OpenDocument file. Save it as CSV UTF-8."),
        (["a/session.csv", "b/session.csv"], "There is one in a, b: name that folder."),
        (["notes.csv"], "holds no session.csv. Name a bundle"),
    ],
)
def test_zip_that_is_no_study_is_refused_with_what_it_is(
    here: Here, tmp_path: Path, members: list[str], words: str
) -> None:
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in members:
            archive.writestr(name, "x")
    with pytest.raises(DataFileError, match=words):
        here.take(packed)


def test_a_zip_may_hold_the_tables_in_a_folder_and_nothing_outside_of_it(
    here: Here, tmp_path: Path
) -> None:
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in tables().items():
            archive.writestr(f"study/{name}.csv", text)
        archive.writestr("__MACOSX/study/._session.csv", "x")
    done = here.take(packed)
    assert done["imported"]
    assert "Not read: __MACOSX/study/._session.csv." in done["notes"]
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("../vital.csv", "x")
    with pytest.raises(DataFileError, match="'../vital.csv' would lie outside of its folder"):
        here.take(packed)
