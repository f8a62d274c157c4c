"""Wide tables: the tests of the columns, and a word about everything that is not taken."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from scipy import stats

from affect_edge import cli
from dashboard.__main__ import main as dashboard
from edge_agent.core.errors import DataFileError
from edge_agent.core.vitals import MMHG_IN_KPA, VitalKind
from edge_agent.vitals.csv_files import CsvFile
from edge_agent.vitals.wide import CODES, Cell, guessed_cell, told_cell, wide_columns
from tests.unit.timeline.intake.conftest import Here

HEART = VitalKind.HEART_RATE
CONSENT = ("--consent", "paper", "--consent-on", "2026-01-05T08:00:00Z")
WIDE = ("--wide", *CONSENT, "--purpose", "research")
AGES = ("--column", "a=age", "--column", "b=age")
TABLE = """\
Subject ID;Age;HR_neutral;HRAnger;sbp_neutral;SBP anger [kPa];dbp_anger;hr_anger_sd;film 2
P1;33;70,25;80,5;120;16,5;80;3;71
P2;34;68;79;118;16;79;3;66
P3;35;75;n/a;125;abc;80;3;70
P4;36;71;85;121;17,1;81;3;999
P5;36;71,5;83;121;17,2;81;3;72
P6;;;;;;;;
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "paper.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def run(*words: Any) -> Result:
    return CliRunner().invoke(cli, [*map(str, words)])


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("hr_neutral", Cell("neutral", HEART)),
        ("angry.heartRate", Cell("anger", HEART)),
        ("Mean pulse during happiness (bpm)", Cell("happiness", HEART, "bpm")),
        ("SBP happy kPa", Cell("happiness", VitalKind.SYSTOLIC, "kpa")),
        ("DBPRest", Cell("baseline", VitalKind.DIASTOLIC)),
        ("rr_anger (ms)", Cell("anger", VitalKind.RR_INTERVAL, "ms")),
        ("fc_colère", Cell("anger", HEART)),
        ("Puls Ärger (count/min)", Cell("anger", HEART, "count/min")),
        ("PAS repos (mmHg)", Cell("baseline", VitalKind.SYSTOLIC, "mmHg")),
        ("RR sys Freude", Cell("happiness", VitalKind.SYSTOLIC)),
        ("sujet", CODES),
        ("Participant-ID", CODES),
        ("id", CODES),
        # what may change the meaning, or is missing, is never guessed
        ("rr_anger", None),
        ("hr_anger (kPa)", None),
        ("hr_anger_sd", None),
        ("hr_anger_change", None),
        ("hr_anger_minus_neutral", None),
        ("hr_anger_2", None),
        ("pr_anger", None),
        ("anger_mean", None),
        ("hr", None),
        ("age", None),
    ],
)
def test_a_name_tells_a_column_only_with_all_its_words(name: str, cell: Cell | None) -> None:
    assert guessed_cell(name) == cell


def test_meanings_are_explained_or_refused() -> None:
    assert told_cell("x", "Angry:sbp:kPa") == Cell("anger", VitalKind.SYSTOLIC, "kPa")
    assert told_cell("x (ms)", "film 2:rr") == Cell("film 2", VitalKind.RR_INTERVAL, "ms")
    assert told_cell("x", "") is None
    for text, why in (
        ("anger", "'anger' is not STATE:KIND"),
        ("anger:pressure", "Kinds: heart_rate"),
        ("anger:rr", "x=anger:rr_interval:s"),
        ("anger:hr:kPa", "'kPa' is no unit of heart_rate"),
    ):
        with pytest.raises(DataFileError, match=why):
            told_cell("x", text)


def test_the_tests_are_those_of_the_columns(
    here: Here, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = here.take(table, *WIDE)
    assert report["imported"]
    told = "\n".join(report["notes"])
    for words in (
        "Not read: column Age (--column Age=age), column hr_anger_sd, column film 2.",
        "HRAnger: 2 cells empty, and not taken (P3, P6).",
        "SBP anger [kPa]: 1 cell without a possible value, and not taken (P3: 'abc').",
        "1 person has no value, and no session here: P6.",
        "Times are made up",
    ):
        assert words in told
    assert dashboard(["analyse", "--json", "--data", str(here.folder)]) == 0
    answer = json.loads(capsys.readouterr().out)
    by = {(one["vital"], one["first"], one["second"]): one for one in answer["comparisons"]}
    for vital, first, second in (
        ("heart_rate", (80.5, 79, 85, 83), (70.25, 68, 71, 71.5)),
        ("systolic", [MMHG_IN_KPA * one for one in (16.5, 16, 17.1, 17.2)], (120, 118, 121, 121)),
    ):
        ours = by[vital, "anger", "neutral"]
        theirs = stats.ttest_rel(first, second)
        assert (ours["t"], ours["df"]) == pytest.approx((theirs.statistic, theirs.df), rel=1e-9)
        assert ours["p"] == pytest.approx(theirs.pvalue, rel=1e-9)
    # no order and no course is made of made-up times
    assert not answer["orders"]
    assert not any("at equal times" in one["sentence"] for one in answer["comparisons"])
    assert not (answer["periods"] or answer["drifts"] or answer["settling_sensitivity"])
    [warned] = [text for text in answer["warnings"] if "made up" in text]
    assert "times of 5 sessions are made up" in warned
    unknown = "not in the model, because the times of sessions are not known."
    [model, *_] = answer["models"]
    assert unknown in model["sentence"] and "nearly the same times" not in str(answer)


def test_sessions_readings_and_exports_say_that_times_are_made_up(
    here: Here, table: Path, tmp_path: Path
) -> None:
    here.take(table, *WIDE)
    assert here.stored("SELECT DISTINCT origin FROM session") == [
        ("import: paper.csv (times made up)",)
    ]
    assert here.stored("SELECT DISTINCT source FROM vital") == [("times made up: csv:paper.csv",)]
    inside = "SELECT count(*) FROM vital WHERE import = 1 AND EXISTS (SELECT 1 FROM session WHERE "
    assert here.stored(f"{inside} at >= started AND at < ended)") == [(23,)]
    quality = run("session", "quality", 1, "--data", here.folder).stdout
    assert "care  the clock: The times of this session are made up" in quality
    assert "Not judged: the times of this session are made up." in quality
    assert "not fit" not in quality and "electrodes" not in quality
    out = tmp_path / "out.zip"
    assert run("export", "--out", out, "--data", here.folder).exit_code == 0
    with zipfile.ZipFile(out) as bundle:
        for name in ("vital.csv", "session.csv"):
            lines = bundle.read(name).decode().splitlines()[1:]
            assert lines and all("times made up" in line for line in lines)
    # elsewhere, too
    again = Here(tmp_path / "elsewhere")
    again.take(out)
    assert again.stored("SELECT DISTINCT origin FROM session") == [
        ("import: out.zip (times made up)",)
    ]
    assert "23 readings removed" in run("imports", "--undo", 1, "--data", here.folder).stdout
    assert here.stored("SELECT count(*) FROM session") == [(0,)]


def test_options_explain_add_average_and_leave_out(here: Here, table: Path) -> None:
    told = ("film 2=neutral:hr", "HR_neutral=neutral:hr", "sbp_neutral=", "Age=")
    words = [word for one in told for word in ("--column", one)]
    report = here.take(table, *WIDE, *words, "--starting", "2026-03-01T00:00:00Z")
    assert "film 2: 1 cell out of range, and in no mean (P4: '999')." in report["notes"]
    sql = "SELECT value FROM session_vital WHERE participant = 'P1' AND condition = 'neutral'"
    assert here.stored(f"{sql} ORDER BY value") == [(70.25,), (71.0,)]
    assert here.stored("SELECT min(started) FROM session") == [(1772323200000,)]


def test_age_and_sex_are_taken_as_far_as_people_agreed(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "who.csv"
    people = "P1;33;F;70;80\nP2;41,5;male;71;82\nP3;old;9;72;81\n"
    path.write_text(f"id;years;gender;hr_neutral;hr_anger\n{people}", encoding="utf-8")
    told = ("--column", "years=age", "--column", "gender=sex")
    dry = here.take(path, *WIDE, *told, "--dry-run")
    assert any("4 attributes of participants are not taken" in note for note in dry["notes"])

    done = here.take(path, *WIDE, *told, "--consent-attributes", "here")

    assert "years: 1 cell without a known value, and not taken (P3: 'old')." in done["notes"]
    assert "gender: 1 cell without a known value, and not taken (P3: '9')." in done["notes"]
    assert here.stored(
        "SELECT participant, name, value FROM participant_attribute ORDER BY 1, 2"
    ) == [
        (1, "age_band", "30-39"),
        (1, "sex", "female"),
        (2, "age_band", "40-49"),
        (2, "sex", "male"),
    ]


def test_made_up_times_that_are_taken_or_erased_can_be_moved(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("id,hr_neutral,hr_anger\nP1,70,80\nP2,71,82\n", encoding="utf-8")
    here.take(path, *WIDE)
    run("participant", "erase", "P1", "--confirm", "P1", "--data", here.folder)
    path.write_text("id,hr_neutral,hr_anger\nQ1,70,80\nQ2,71,82\n", encoding="utf-8")

    again = here.take(path, *WIDE, "--prefix", "B-")

    erased, met = (problem["message"] for problem in again["problems"][:2])
    assert "B-Q1 was erased here, and does not come back. Leave them out: --leave-out Q1." in erased
    assert "session 2 meets session 2 of this database" in met
    moved = "If only the made-up times coincide, move them: --starting 2026-01-05T08:13:00.000Z."
    assert erased.endswith(moved) and met.endswith(moved)
    starting = moved.removesuffix(".").split()[-1]
    assert here.take(path, *WIDE, "--prefix", "B-", "--starting", starting)["imported"]


def refuse(here: Here, path: Path, *words: str) -> str:
    done = run("import-study", path, *words, "--data", here.folder)
    assert done.exit_code in {1, 2}
    return " ".join(f"{done.output} {done.exception}".split())


def test_tables_that_cannot_be_taken_say_why(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    head = "id,hr_neutral,hr_anger\n"
    for text, words, why in (
        (f"{head}P1,70,80\n", ("--wide", "--purpose", "research"), "tells no consent"),
        (f"{head}P1,70,80\n", (*WIDE, "--join-recorded"), "times of a wide table are made up"),
        (f"{head}P1,70,80\n", ("--column", "x=anger:hr"), "Add --wide"),
        (f"{head}P1,70,80\n", (*WIDE, "--column", "x=anger:hr"), "column 'x' is not there"),
        (f"{head}P1,70,80\n", (*WIDE, "--column", "x"), "write NAME=MEANING"),
        (
            f"{head}P1,70,80\nP2,71,82\n",
            (*WIDE, "--setting", "education"),
            "--purpose research with --setting education: Emotions must not be inferred",
        ),
        (f"{head}P1,70,80\nP1,71,82\n", WIDE, "row 3: participant 'P1' is in row 2 already"),
        (f"{head}P1,70,80\nMean,70,80\n", WIDE, "'Mean' is a summary and no person"),
        (f"{head},70,80\n", WIDE, "has no participant's code"),
        (f"{head}P1,70\n", WIDE, "row 2: has 2 values, but there are 3 columns"),
        (f"{head}P1,,\n", WIDE, "has no session"),
        (f"{head}Jane Doe,70,80\n", WIDE, "is no code"),
        ("id,age\nP1,33\n", WIDE, "no column has values. Explain columns with --column"),
        ("who,hr_neutral\nP1,70\n", WIDE, "no column has the codes"),
        ("id,a,b,hr\nP1,1,1,70\n", (*WIDE, *AGES), "several columns have the age (a, b)"),
        ("id,a,b\nP1,1,1\n", (*WIDE, *AGES[:2]), "no column has values"),
        ("id,subject,hr_neutral\nP1,1,70\n", WIDE, "several columns have the codes (id, subject)"),
        (f"{head}P1,70,80\n", (*WIDE, "--starting", "2099-01-01T00:00:00Z"), "into the future"),
    ):
        path.write_text(text, encoding="utf-8")
        assert why in refuse(here, path, *words)
        assert here.stored("SELECT count(*) FROM session") == [(0,)]


def test_a_dry_run_leaves_no_data_folder_behind(here: Here, table: Path) -> None:
    assert here.take(table, *WIDE, "--dry-run")["notes"]
    assert not here.folder.exists()


def test_a_terminal_asks_about_half_known_columns_only() -> None:
    header = "id,hr_neutral,hr_after,hr_happy,pulse_joy,age,hr_sad"
    file = CsvFile.parse("t.csv", f"{header}\nP1,70,71,72,73,33,74\n".encode())
    answers = {"hr_after": "after:hr", "hr_happy": "happy:hr", "pulse_joy": ""}
    columns = wide_columns(file, {"hr_sad": ""}, answers.__getitem__)
    assert columns == {
        "id": CODES,
        "hr_neutral": Cell("neutral", HEART),
        "hr_after": Cell("after", HEART),
        "hr_happy": Cell("happiness", HEART),
    }


def test_wide_column_written_as_a_known_word_says_which_state_it_becomes(
    here: Here, tmp_path: Path
) -> None:
    path = tmp_path / "rest.csv"
    path.write_text("id,Rest,Mad,calm,hr_neutral\nP1,61,80,66,70\n", encoding="utf-8")
    meanings = ("Rest=resting:hr", "Mad=Angry:hr", "calm=Calm:hr")
    words = [word for meaning in meanings for word in ("--column", meaning)]
    notes = here.take(path, *WIDE, *words)["notes"]
    assert " ".join(notes[:4]) == (
        "Rest is baseline, heart_rate. 'resting' was taken for baseline, the time at rest. For a "
        "condition of its own, write another word, such as resting_1. "
        "Mad is anger, heart_rate. 'Angry' was taken for anger, the emotion. For a condition of "
        "its own, write another word, such as Angry_1. "
        "calm is Calm, heart_rate. hr_neutral is neutral, heart_rate."
    )
    text = run("import-study", "--help").stdout
    assert "an empty value (NAME=) leaves the column out" in " ".join(text.split())


def test_a_column_that_is_not_read_says_how_to_take_it(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    head = "id,age,gender,hr_neutral,hr_amusement,sbp film (kPa),rr_film,x\n"
    path.write_text(f"{head}P1,33,f,70,71,16,800,1\n", encoding="utf-8")
    (note,) = (one for one in here.take(path, *WIDE, "--dry-run")["notes"] if "Not read" in one)
    assert note == (
        "Not read: column age (--column age=age), column gender (--column gender=sex), column "
        "hr_amusement (--column hr_amusement=amusement:hr), column sbp film (kPa) (--column "
        "'sbp film (kPa)=film:sbp'), column rr_film, column x."
    )
    dry = ("import-study", path, *WIDE, "--dry-run", "--data", here.folder)
    assert "1 of 7 columns can be imported; name the others with --column." in run(*dry).stdout
    told = ("age=age", "hr_amusement=amusement:hr", "sbp film (kPa)=film:sbp")
    words = [word for one in told for word in ("--column", one)]
    rest = [word for one in ("gender=", "rr_film=", "x=") for word in ("--column", one)]
    assert "All of it can be imported." in run(*dry, *words, *rest).stdout
    notes = here.take(path, *WIDE, *words)["notes"]
    assert "age is age, which becomes an age band." in notes


def test_two_columns_of_one_meaning_are_not_guessed(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("id,hr_happy,pulse_happiness,hr_anger\nP1,70,71,80\n", encoding="utf-8")
    report = here.take(path, *WIDE)
    assert "Not read: column hr_happy, column pulse_happiness." in report["notes"]


def test_wide_table_without_any_possible_value_names_cells_and_unit(tmp_path: Path) -> None:
    path = tmp_path / "skin.csv"
    rows = "".join(f"P{n};{90 + n / 10};{91 + n / 10}\n" for n in range(6))
    path.write_text(f"id;skin_temp_neutral;skin_temp_anger\n{rows}")
    done = run("import-study", path, *WIDE, "--data", tmp_path / "data", "--dry-run")
    said = str(done.exception)
    assert "has no session: no person has a value. Nothing was imported." in said
    assert "skin_temp_neutral: 6 cells without a possible value, and not taken (P0: '90.0'," in said
    option = "skin_temp_neutral=neutral:skin_temperature:°F"
    assert f"In °F they would be possible: name the unit, --column '{option}'." in said
    units = ("--column", option, "--column", option.replace("neutral", "anger"))
    done = run("import-study", path, *WIDE, *units, "--data", tmp_path / "data", "--dry-run")
    assert done.exception is None, done


@pytest.mark.parametrize("state", ["condition", "phase 1"])
def test_table_of_a_row_for_each_person_and_state_is_refused_as_such(
    tmp_path: Path, state: str
) -> None:
    path = tmp_path / "long.csv"
    rows = "".join(f"P{n},{film},{60 + n}\n" for n in range(3) for film in ("rest", "film a"))
    path.write_text(f"id,{state},heart_rate\n{rows}")
    done = run("import-study", path, *WIDE, "--data", tmp_path / "data")
    said = str(done.exception)
    assert f"a row for each person and state: the state stands in column {state}." in said
    assert "a column for each state, such as id, heart_rate_rest, heart_rate_film a." in said
