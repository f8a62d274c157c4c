"""What keeps a study out: by file, line, column and value, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_agent.cli import cli
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import DataFileError
from edge_agent.core.vitals import VitalKind
from tests.support.timeline import START_MS, database, query, reading, row


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


def take(folder: Path, source: Path, *words: str) -> Any:
    here = ["--data", str(folder / "here"), "--json"]
    done = CliRunner().invoke(cli, ["import-study", str(source), *words, *here])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.stdout, done.output
    return json.loads(done.stdout)


def stored(folder: Path, sql: str) -> Any:
    return query(folder / "here" / "affect-edge.db", sql)


def test_tables_of_ones_own_are_taken_with_few_columns(tmp_path: Path) -> None:
    done = take(tmp_path, study(tmp_path))
    assert (done["imported"], done["sessions"], done["problems"]) == (True, {"4": 4}, [])
    expected = {"file": "vital.csv", "rows": 4, "taken": 3, "outside_sessions": 1, "left_out": 0}
    assert done["files"]["vital"] == expected
    assert "1 of 4 rows of vital.csv lie in no session" in done["notes"][0]
    assert stored(tmp_path, "SELECT kind, source, flags FROM vital ORDER BY kind") == [
        ("diastolic", "csv:vital.csv", "imported out_of_range"),
        ("heart_rate", "csv:vital.csv", "imported"),
        ("systolic", "csv:vital.csv", "imported out_of_range"),
    ], "pressures that are too near are flagged, as in import-vitals"


SESSION = "session,participant,purpose,setting,start_at,end_at\n"
VITAL = "at,kind,value\n"
MARKER = "at,session,kind,label\n"
CONSENT = "participant,consent_version,consent_given_at"
FIRST = f"1,P01,research,home,{at(0)},{at(9)}\n"


@pytest.mark.parametrize(
    ("table", "text", "problem"),
    [
        ("vital", f"{VITAL}{at(5)},pulse,72\n", "vital.csv, line 2, column kind: 'pulse' is not"),
        ("vital", f"{VITAL}{at(5)},heart_rate,7o\n", "line 2, column value: '7o' is not a number."),
        ("vital", f"{VITAL}2026-09-21T14:20:05,heart_rate,70\n", "14:20:05' has no time zone"),
        ("vital", VITAL + 2 * f"{at(5)},heart_rate,70\n", "line 3, column at"),
        (
            "vital",
            f"at,session,kind,value\n{at(500)},4,heart_rate,70\n",
            "column session: '4' is not the session in whose time the row lies",
        ),
        ("marker", f"{MARKER}{at(5)},4,start,anger\n", "column kind: 'start' is not one of stim"),
        ("marker", f"{MARKER}{at(101)},4,note,late\n", "column session: '4' is not the session"),
        (
            "self_report",
            f"at,session,scale,value\n{at(5)},4,valence,10\n",
            "self_report.csv, line 2, column value: '10' is not between 1 and 9",
        ),
        ("session", SESSION + FIRST.replace("research", "fun"), "column purpose: 'fun' is not one"),
        ("session", SESSION + FIRST.replace("home", "workplace"), "must not be inferred at work"),
        ("session", f"{SESSION}1,P01,research,home,{at(9)},{at(0)}\n", "not follow the start"),
        ("session", f"{SESSION}1,P01,research,home,{at(0)},\n", "column end_at: '' is missing"),
        ("session", SESSION + FIRST.replace(at(9), "2099-01-01T00:00:00Z"), "lies in the future"),
        ("session", SESSION + FIRST.replace("P01", "P02"), "'P02' is not in the table of partici"),
        (
            "session",
            f"{SESSION}{FIRST}1,P01,research,home,{at(10)},{at(19)}\n",
            "line 3, column session: '1' is there twice",
        ),
        (
            "session",
            f"{SESSION}{FIRST}2,P01,research,home,{at(8)},{at(19)}\n",
            "lies before the end of session 1",
        ),
        ("participant", "participant\nP01\n", "has no consent. Fill in consent_version"),
        (
            "participant",
            f"{CONSENT},consent_withdrawn_at\nP01,3,{at(-9)},{at(900)}\n",
            "has withdrawn the consent. Leave them out: --leave-out P01",
        ),
        ("participant", f"{CONSENT}\nP 1,3,{at(-9)}\n", "is no code"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(
    tmp_path: Path, table: str, text: str, problem: str
) -> None:
    done = take(tmp_path, study(tmp_path, **{table: text}))
    assert not done["imported"]
    assert any(problem in one["message"] for one in done["problems"]), done["problems"]
    for name in ("participant", "session", "vital", "marker", "audit"):
        assert stored(tmp_path, f"SELECT count(*) FROM {name}") == [(0,)], name


def test_beats_of_one_packet_and_a_second_measurement_are_all_taken(tmp_path: Path) -> None:
    rows = [(5, "rr_interval", 0.905), (5, "rr_interval", 0.863), (5, "rr_interval", 0.863)]
    rows += [(9, "systolic", 128), (9, "diastolic", 82), (9, "systolic", 90), (9, "diastolic", 85)]
    lines = [f"{at(second)},{kind},{value}\n" for second, kind, value in rows]
    done = take(tmp_path, study(tmp_path, vital="at,kind,value\n" + "".join(lines)))
    assert (done["imported"], done["problems"]) == (True, [])
    sql = f"SELECT at - {START_MS}, value, flags FROM vital ORDER BY at, kind"
    assert stored(tmp_path, sql) == [
        (3274, 0.905, "imported"),
        (4137, 0.863, "imported"),
        (5000, 0.863, "imported"),
        (9000, 82, "imported"),
        (9000, 128, "imported"),
        (9001, 85, "imported out_of_range"),
        (9001, 90, "imported out_of_range"),
    ]


def test_a_dry_run_finds_the_same_problems(tmp_path: Path) -> None:
    source = study(tmp_path, vital=f"at,kind,value\n{at(5)},pulse,72\n")
    assert take(tmp_path, source, "--dry-run")["problems"] == take(tmp_path, source)["problems"]


def test_many_problems_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    rows = "".join(f"{at(n / 100)},pulse,72\n" for n in range(5_000))
    done = take(tmp_path, study(tmp_path, vital=f"at,kind,value\n{rows}"))
    assert (done["problem_count"], len(done["problems"])) == (5_000, 20)


def test_consent_can_be_stated_with_a_time_before_the_sessions(tmp_path: Path) -> None:
    source = study(tmp_path, participant="participant\nP01\n")
    late = take(tmp_path, source, "--consent", "ethics 7", "--consent-on", at(50))
    assert "lies before the consent that was stated" in late["problems"][0]["message"]
    assert take(tmp_path, source, "--consent", "ethics 7", "--consent-on", at(-50))["imported"]
    sql = "SELECT text_version, given, withdrawn FROM consent"
    assert stored(tmp_path, sql) == [("ethics 7", START_MS - 50_000, None)]


def test_what_was_recorded_here_in_that_time_is_not_taken_for_theirs(tmp_path: Path) -> None:
    database(tmp_path / "here", [row(s) for s in range(50, 150)], [reading(99.9)])
    refused = take(tmp_path, study(tmp_path))
    messages = [one["message"] for one in refused["problems"]]
    assert any(
        "50 rows of expression were recorded here in the time of session 4" in one
        for one in messages
    )
    assert any("1 rows of vital were recorded here" in one for one in messages)
    assert take(tmp_path, study(tmp_path), "--join-recorded")["imported"]


def test_readings_that_are_here_already_are_refused_in_words(tmp_path: Path) -> None:
    there = reading(5, 61, VitalKind.HEART_RATE, "csv:vital.csv")
    database(tmp_path / "here", (), [there])
    done = take(tmp_path, study(tmp_path), "--join-recorded")
    assert not done["imported"]
    said = f"1 readings are here already, by kind, source and time; the first is of {at(5)}."
    assert any(said in one["message"] for one in done["problems"])


def test_what_is_no_study_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("nowhere", "no such file or folder"),
        ("empty", "holds no session.csv"),
        ("text.zip", "is no folder and no zip"),
    ):
        if name == "text.zip":
            (tmp_path / name).write_text("text")
        with pytest.raises(DataFileError, match=words):
            take(tmp_path, tmp_path / name)


def test_a_table_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    source = study(tmp_path, vital=f"at,kind,value\n{at(5)},heart_rate,72\n{at(6)},hea")
    with pytest.raises(DataFileError, match=r"vital\.csv, line 3: has 2 cells"):
        take(tmp_path, source)
    assert stored(tmp_path, "SELECT count(*) FROM session") == [(0,)]


@pytest.mark.parametrize("table", ["session", "vital"])
@pytest.mark.parametrize(
    ("first", "problem"),
    [
        (",".join(f"c{n:07d}" for n in range(400_000)), "line 1: is longer than 1048576 char"),
        ("," * 400_000, "names 400001 columns in 0 characters; at most 1000 columns"),
    ],
)
def test_a_table_of_400_000_columns_is_refused(
    tmp_path: Path, table: str, first: str, problem: str
) -> None:
    source = study(tmp_path, **{table: f"{first}\n{',' * 400_000}\n"})
    with pytest.raises(DataFileError, match=rf"{table}\.csv.*{problem}") as refused:
        take(tmp_path, source)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("between", [";", "\t"])
def test_a_spreadsheet_that_writes_no_commas_is_told_what_to_save(
    tmp_path: Path, between: str
) -> None:
    folder = study(tmp_path, vital=f"at,kind,value\n{at(5)},heart_rate,72\n".replace(",", between))
    with pytest.raises(DataFileError, match=r"vital\.csv, line 1: columns are separated by commas"):
        take(tmp_path, folder)
