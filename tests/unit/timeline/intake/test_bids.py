"""BIDS data sets as studies: ours to the last digit, others as far as they tell readings."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from affect_edge import cli
from dashboard.__main__ import main as dashboard
from edge_agent.core.errors import DataFileError
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import NAMES
from edge_agent.timeline.intake.study_import import opened_study
from tests.support.datasets.bids import write_dataset
from tests.support.own_neutral import calibrate_session
from tests.support.studies import add_session
from tests.support.timeline import query, reading, session_row, timeline
from tests.unit.timeline.intake.conftest import Here

STATED = ("--consent", "paper", "--consent-on", "2026-01-01T00:00:00Z", "--purpose", "research")
STARTING = ("--starting", "2026-02-01T09:00:00Z")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all that a session can hold, and codes that are no labels."""
    folder = tmp_path_factory.mktemp("there")
    path = timeline(folder)
    kinds = {VitalKind.HEART_RATE: 70.1, VitalKind.SYSTOLIC: 120.0, VitalKind.DIASTOLIC: 113.7}
    for number, code in enumerate(("P-1", "P1", "A_b.c", "P-1")):
        states = {
            state: {kind: [value + 0.1 * number + more] for kind, value in kinds.items()}
            for state, more in (("anger", 3.3 + number), ("neutral", 0.7), ("happiness", 1.1))
        }
        add_session(path, code, states)
    start = 3600 * 4
    conditions = ((start + 1, None, "anger"), (start + 4, start + 4, "neutral"))
    about = {"participant": "P1", "purpose": "personal", "name": "=evening"}
    timeline(
        path,
        session=[session_row(start, start + 20, *conditions, **about)],
        marker=[
            {"at": start + 4, "kind": "note", "label": "-coughed"},
            {"at": start + 4, "kind": "note", "label": "protocol: begins"},
            {"at": start + 5, "kind": "baseline", "label": "neutral"},
        ],
        exclusion=[
            {"from_ms": 6000, "to_ms": 9500, "reason": "=coughed"},
            {"session": 4, "reason": "misunderstood"},
        ],
        expression=range(start + 1, start + 15),
        vital=[reading(start + 2, 1 / 3 + 60)],
        gap=[{"started": start + 16, "ended": start + 18}],
        self_report=[{"at": start + 16, "value": 3}],
        unfit=[start + 16],
        model=[{"name": "fast", "since": -400}],
    )
    calibrate_session(path, 2, 20.5, 40.5, shift=-1.5 / 7)
    with write_transaction(path) as connection:
        connection.execute("INSERT INTO own_neutral (session, state) VALUES (3, 'off')")
    return folder


@pytest.fixture(scope="module")
def dataset(there: Path) -> Path:
    words = ["export", "--out", str(there / "out"), "--data", str(there), "--format", "bids"]
    assert CliRunner().invoke(cli, words).exit_code == 0
    return there / "out"


def analysed(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert dashboard(["analyse", "--json", "--data", str(folder), *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_data_set_of_ours_keeps_every_row_and_every_digit_of_analysis(
    dataset: Path, here: Here, tmp_path: Path, capsys: pytest.CaptureFixture[str], packed: bool
) -> None:
    there = dataset.parent
    source = dataset
    if packed:
        source = Path(shutil.make_archive(str(tmp_path / "study"), "zip", dataset))
    done = here.take(source)
    assert (done["imported"], done["problems"], done["notes"]) == (True, [], [])
    of_person = "JOIN participant AS p ON p.id = participant"
    for table, columns in (
        ("participant AS p", "code, created, simulated"),
        (f"consent {of_person}", "code, text_version, given, withdrawn"),
        (f"session {of_person}", "session.id, code, purpose, name, started, ended, setting"),
        ("marker", "session, at, kind, label"),
        ("exclusion", "session, from_ms, to_ms, reason"),
        ("self_report", "session, at, condition, scale, value"),
        ("vital", "at, kind, source, value, flags, device_time, error"),
        ("gap", "started, ended, source, reason"),
        ("unfit", "at, interval_ms, track, reason, frames, is_primary, simulated"),
        ("own_neutral", f"session, state, from_ms, to_ms, seconds, {', '.join(NAMES)}"),
        ("own_neutral", "session, reason, shift, applied_ms, until_ms, temperature"),
        ("own_neutral", "session, uncertain_below, sha256, prior"),
        ("model", "kind, name, version, sha256, since, prior"),
        ("expression", "at, track, frames, neutral, smoothed_anger, emotion, quality"),
    ):
        order = "session, at, id" if table == "marker" else columns
        sql = f"SELECT {columns} FROM {table} ORDER BY {order}"
        rows = here.stored(sql)
        assert rows == query(there / "affect-edge.db", sql), table
        assert rows, table
    answer = analysed(here.folder, capsys)
    assert answer == analysed(there, capsys)
    assert answer["comparisons"][0]["p"] is not None


def test_a_row_twice_or_a_table_cut_off_is_refused_whole(
    dataset: Path, here: Here, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    [table] = copy.glob("sub-P1/ses-1/beh/*_acq-vital_beh.tsv")
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[-1]]) + "\n")
    done = here.take(copy)
    [problem] = done["problems"]
    assert (done["imported"], problem["file"]) == (False, str(table.relative_to(copy)))
    assert "is there twice for" in problem["message"]
    table.write_text("\n".join(lines)[:-30])
    with pytest.raises(DataFileError, match=r"_beh.tsv, line \d+: has \d values, but there are 9"):
        here.take(copy)
    assert here.stored("SELECT count(*) FROM participant") == [(0,)]


def foreign(**changed: Any) -> dict[str, Any]:
    """A data set of another laboratory: two people, one of them with two sessions."""
    events = "onset\tduration\ttrial_type\n0\t4\tanger\n4\t0\tcue\n5\tn/a\tneutral\n"
    files: dict[str, Any] = {
        "participants.tsv": "participant_id\tsex\nsub-01\tF\nsub-02\tM\nsub-03\tM\n",
        "task-films_events.json": {"trial_type": {"Description": "film"}},
        "task-films_physio.json": {
            "SamplingFrequency": 2,
            "StartTime": -0.5,
            "Columns": ["cardiac", "heart_rate", "systolic"],
            "heart_rate": {"Units": "bpm"},
        },
        "README": "Films",
    }
    for stem in ("sub-01/ses-a", "sub-01/ses-b", "sub-02/ses-a"):
        name = f"{stem}/beh/{stem.replace('/', '_')}_task-films"
        files[f"{name}_events.tsv"] = events
        files[f"{name}_physio.tsv.gz"] = (
            "0.1\t61\tn/a\n" * 2 + "0.1\t61\tNaN\n" + "0.2\t72.5\t120\n" * 9
        )
        files[f"{name}_eeg.edf"] = "signal"
    return files | changed


def test_bids_column_of_an_unknown_unit_is_named_with_its_unit(here: Here, tmp_path: Path) -> None:
    told = {"SamplingFrequency": 2, "StartTime": 0, "Columns": ["eda"], "eda": {"Units": "V"}}
    source = write_dataset(tmp_path / "films", foreign(**{"task-films_physio.json": told}))
    notes = " ".join(here.take(source, *STATED, *STARTING)["notes"])
    assert "column eda (its unit V is none of skin conductance) in 3 of *_physio.tsv.gz" in notes
    told["eda"] = {"Units": "kOhm"}
    source = write_dataset(tmp_path / "ohms", foreign(**{"task-films_physio.json": told}))
    assert "column eda" not in " ".join(
        here.take(source, *STATED, *STARTING, "--prefix", "x")["notes"]
    )


def test_another_laboratorys_data_set_gives_readings_conditions(here: Here, tmp_path: Path) -> None:
    source = write_dataset(tmp_path / "films", foreign())
    done = here.take(source, *STATED, *STARTING)
    assert done["problems"] == []
    assert done["imported"]
    note = "The data set tells no time of 3 sessions: they stand an hour apart from "
    note += "2026-02-01T09:00:00.000Z on. Their dates mean nothing."
    told = "2 attributes of participants are not taken: no consent says that they are kept."
    assert done["notes"][0].startswith(told)
    passed_over = "Not read: 3 of *_eeg.edf, column cardiac in 3 of *_physio.tsv.gz."
    assert done["notes"][1:] == [passed_over, note]
    sql = "SELECT code, name, started / 1000 % 86400 FROM session JOIN participant ON "
    sessions = here.stored(f"{sql} participant.id = participant ORDER BY started")
    expected = [("sub-01", "ses-a"), ("sub-01", "ses-b"), ("sub-02", "ses-a")]
    assert [one[:2] for one in sessions] == expected
    assert sessions[0][2] == 9 * 3600
    sql = "SELECT at - started, kind, value, flags FROM vital JOIN session ON session.id = 1 "
    readings = here.stored(f"{sql} AND at < ended ORDER BY at, kind")
    # the recording began half a second before the events
    assert readings[:4] == [
        (0, "heart_rate", 61.0, "imported"),
        (500, "heart_rate", 61.0, "imported"),
        (1000, "heart_rate", 61.0, "imported"),
        (1500, "heart_rate", 72.5, "imported"),
    ]
    assert readings[4] == (1500, "systolic", 120.0, "imported")
    sql = "SELECT at - started, kind, label FROM marker JOIN session ON session.id = session "
    assert here.stored(f"{sql} WHERE session = 1 ORDER BY at, marker.id") == [
        (500, "stimulus_start", "anger"),
        (4500, "stimulus_end", "anger"),
        (4500, "note", "cue"),
        (5500, "stimulus_start", "neutral"),
    ]


def test_times_are_kept_and_those_that_were_moved_are_not(here: Here, tmp_path: Path) -> None:
    files = foreign()
    files["sub-01/sub-01_sessions.tsv"] = (
        "session_id\tacq_time\nses-a\t2026-03-01T10:00:00\nses-b\t1901-03-01T10:00:00\n"
    )
    files["sub-02/ses-a/sub-02_ses-a_scans.tsv"] = (
        "filename\tacq_time\nbeh/sub-02_ses-a_task-films_eeg.edf\t2026-03-02T11:00:00Z\n"
    )
    source = write_dataset(tmp_path / "films", files)
    with pytest.raises(DataFileError, match=r"sub-01/ses-b: tells no time .* --starting TIME"):
        here.take(source, *STATED)
    assert here.take(source, *STATED, *STARTING)["imported"]
    starts = here.stored("SELECT name, started FROM session ORDER BY id")
    assert starts == [
        ("ses-a", 1772359200000),
        ("ses-b", 1769936400000),
        ("ses-a", 1772449199500),
    ], "a scan's time is that of its second 0, and the recording began half a second before"
    place = "sub-01/sub-01_sessions.tsv"
    files[place] = files[place].replace("1901-03-01", "2026-03-03")
    told = write_dataset(tmp_path / "told", files)
    with pytest.raises(DataFileError, match="--starting: every session of these files has its own"):
        here.take(told, *STATED, *STARTING)


def test_times_without_a_zone_are_read_in_the_one_that_is_named(here: Here, tmp_path: Path) -> None:
    files = foreign()
    table = "session_id\tacq_time\nses-a\t2026-03-01T10:00:00\nses-b\t2026-03-02T10:00:00Z\n"
    files["sub-01/sub-01_sessions.tsv"] = table
    zone = ("--timezone", "Europe/Berlin")
    assert here.take(write_dataset(tmp_path / "films", files), *STATED, *STARTING, *zone)[
        "imported"
    ]
    starts = here.stored("SELECT started FROM session WHERE participant = 1 ORDER BY started")
    assert starts == [(1_772_355_600_000,), (1_772_445_600_000,)]


def test_runs_follow_one_another_and_events_that_overlap_are_reported(
    here: Here, tmp_path: Path
) -> None:
    head = "onset\tduration\ttrial_type\n"
    files = {
        "sub-1/func/sub-1_task-x_run-1_events.tsv": f"{head}1\t2\tfilm 1\n",
        "sub-1/func/sub-1_task-x_run-2_events.tsv": f"{head}1\t2\tfilm 2\n1.5\t1\tanger\n",
    }
    done = here.take(write_dataset(tmp_path / "x", files), *STATED, *STARTING)
    assert any("1 ends of stimuli come while another" in one for one in done["notes"])
    sql = "SELECT at - started, label FROM marker JOIN session ON session.id = session ORDER BY at"
    assert here.stored(sql)[:3] == [(1000, "film 1"), (3000, "film 1"), (5000, "film 2")]
    assert here.stored("SELECT code FROM participant") == [("sub-1",)]


def test_bids_events_of_any_number_are_ordered_in_little_memory(tmp_path: Path) -> None:
    head = "onset\tduration\ttrial_type\n"
    rows = "".join(f"{4_000 - n}\t1.5\tfilm {n}\n" for n in range(4_000))
    root = write_dataset(
        tmp_path / "x",
        {
            "sub-1/func/sub-1_task-x_run-1_events.tsv": f"{head}{rows}",
            "sub-1/func/sub-1_task-x_run-2_events.tsv": f"{head}0\t0\tcue\n0\t0\tlight\n",
        },
    )
    study = opened_study(root, 1_767_258_000_000)
    tracemalloc.start()
    times = [(int(row.cells["at_ms"]), row.line) for row in study.rows("marker")]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [at_ms for at_ms, _ in times] == sorted(at_ms for at_ms, _ in times)
    assert [line for _, line in times[-2:]] == [2, 3], "of one time, in the order of the file"
    assert most < 2_000_000


@pytest.mark.parametrize(
    ("rows", "words", "kept"),
    [
        ("onset\tduration\n10\t30\n60\t30\n", "not read: 2; .*line 2. They have no trial_type", 0),
        (
            "onset\tduration\ttrial_type\nn/a\tn/a\tcue\n10\t30\tanger\n",
            "not read: 1; .*line 2. They have no onset",
            2,
        ),
        ("onset\tduration\ttrial_type\n10\t30\tanger\n", "", 2),
    ],
)
def test_bids_events_that_are_not_read_are_counted_with_the_reason(
    here: Here, tmp_path: Path, rows: str, words: str, kept: int
) -> None:
    files = {
        "sub-1/func/sub-1_task-x_run-1_events.tsv": rows,
        "sub-1/func/sub-1_task-x_run-2_events.tsv": "onset\tduration\ttrial_type\n",
    }
    done = here.take(write_dataset(tmp_path / "x", files), *STATED, *STARTING)
    told = [one for one in done["notes"] if "not read: " in one and "Events" in one]
    assert len(told) == bool(words)
    assert not told or re.search(words, told[0])
    assert here.stored("SELECT count(*) FROM marker") == [(kept,)]


def test_bids_events_alone_that_last_days_are_named(here: Here, tmp_path: Path) -> None:
    head = "onset\tduration\ttrial_type\n"
    files = {"sub-1/func/sub-1_task-x_events.tsv": f"{head}12500\t30000\tanger\n90000\t500\tcalm\n"}
    done = here.take(write_dataset(tmp_path / "x", files), *STATED, *STARTING)
    [note] = [one for one in done["notes"] if "second 90500" in one]
    assert "sub-1_task-x_events.tsv" in note and "Divide milliseconds by 1000" in note
    assert here.stored("SELECT count(*) FROM marker") == [(4,)]


FILMS = "sub-01/ses-a/beh/sub-01_ses-a_task-films"
FILMS_PHYSIO = f"{FILMS}_physio.tsv.gz"
SAMPLED = {"SamplingFrequency": 2, "StartTime": 0, "Columns": ["heart_rate"]}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({f"{FILMS}_events.tsv": "onset\tduration\nsoon\t1\n"}, "line 2, column onset: 'soon'"),
        ({f"{FILMS}_events.tsv": "onset\tduration\n1e300\t1\n"}, "onset: '1e300' lies outside"),
        ({f"{FILMS}_events.tsv": "onset\tduration\n1\t1e10\n"}, "duration: '1e10' lies outside"),
        (
            {f"{FILMS}_events.tsv": "onset\tduration\ttrial_type\n500\t2000\tanger\n"},
            "reach to second 2500, .* end at second 5.5: .* seconds",
        ),
        (
            {f"{FILMS}_events.tsv": "onset\tduration\ttrial_type\tses\n1\t2\tanger\tb\n"},
            "line 2, column ses: 'b' is not the session of its folder .ses-a.",
        ),
        (
            {f"{FILMS}_events.tsv": "onset\tduration\ttrial_type\tvisit\n1\t2\tx\tses-b\n"},
            "line 2, column visit: 'ses-b' is not the session of its folder .ses-a.",
        ),
        ({"task-films_physio.json": {"Columns": ["hr"]}}, "has no SamplingFrequency"),
        ({"task-films_physio.json": SAMPLED | {"StartTime": 1e300}}, "has no SamplingFrequency"),
        ({"task-films_physio.json": SAMPLED | {"SamplingFrequency": 1e-9}}, "its 12 samples last"),
        ({"task-films_physio.json": "{"}, "task-films_physio.json: is not JSON"),
        ({"task-films_physio.json": "[]"}, "is no JSON object"),
        ({FILMS_PHYSIO: "cut off below"}, "_physio.tsv.gz: cannot be read .* Copy it again"),
        ({"participants.tsv": "\t" * 400_000}, "names 400001 columns in 0 characters"),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_written(
    here: Here, tmp_path: Path, changed: dict[str, Any], problem: str
) -> None:
    source = write_dataset(tmp_path / "films", foreign(**changed))
    if FILMS_PHYSIO in changed:
        (source / FILMS_PHYSIO).write_bytes(gzip.compress(b"0.1\t61\tn/a\n" * 3)[:-9])
    with pytest.raises(DataFileError, match=problem):
        here.take(source, *STATED, *STARTING)
    assert here.stored("SELECT count(*) FROM participant") == [(0,)]


def test_a_value_that_is_no_number_is_named_by_file_and_line(here: Here, tmp_path: Path) -> None:
    changed = {FILMS_PHYSIO: "0\t61\tn/a\n0\tsixty\tn/a\n"}
    done = here.take(write_dataset(tmp_path / "f", foreign(**changed)), *STATED, *STARTING)
    [problem] = done["problems"]
    assert not done["imported"]
    assert (problem["file"], problem["line"]) == (FILMS_PHYSIO, 2)
    assert (problem["column"], problem["value"]) == ("value", "sixty")


def test_a_belts_waveform_is_no_rate_of_breath_and_is_named(here: Here, tmp_path: Path) -> None:
    belt = {
        "SamplingFrequency": 2,
        "StartTime": 0,
        "Columns": ["respiratory", "pulse", "resp", "heart_rate", "breathing rate"],
        "respiratory": {"Units": "V"},
        "resp": {"Units": "breaths/min"},
        "heart_rate": {"Units": "mV"},
    }
    files = foreign(**{"task-films_physio.json": belt})
    for name in [one for one in files if one.endswith("_physio.tsv.gz")]:
        files[name] = "0.31\t0.2\t14\t0.5\t16\n" * 3
    done = here.take(write_dataset(tmp_path / "films", files), *STATED, *STARTING)
    assert done["imported"]
    assert done["notes"][1] == (
        "Not read: 3 of *_eeg.edf, column heart_rate (its unit mV is none of heart "
        "rate) in 3 of *_physio.tsv.gz, column pulse in 3 of "
        "*_physio.tsv.gz, column respiratory in 3 of *_physio.tsv.gz."
    )
    breaths = "SELECT DISTINCT value FROM vital WHERE kind LIKE 'respiration%' ORDER BY value"
    assert here.stored(breaths) == [(14.0,), (16.0,)]


def test_a_waveform_that_is_called_heart_rate_is_not_read(here: Here, tmp_path: Path) -> None:
    fast = {"SamplingFrequency": 250, "StartTime": 0, "Columns": ["heart_rate"]}
    source = write_dataset(tmp_path / "films", foreign(**{"task-films_physio.json": fast}))
    done = here.take(source, *STATED, *STARTING)
    assert "vital" not in done["files"]
    told = f"3 of *_physio.tsv.gz (such as {FILMS_PHYSIO}: none of its columns is a reading at "
    assert f"{told}250 Hz: heart_rate)" in " ".join(done["notes"])
    assert "3 of *_physio.tsv.gz" in done["notes"][1]


@pytest.mark.parametrize(("unit", "value", "none"), [("\u00b5S", 2.5, 0), ("kOhm", 400, 1e9)])
def test_skin_conductance_of_any_rate_is_read_as_four_means_a_second(
    here: Here, tmp_path: Path, unit: str, value: float, none: float
) -> None:
    fast = {
        "SamplingFrequency": 64,
        "StartTime": 0,
        "Columns": ["cardiac", "gsr", "eda"],
        "gsr": {"Units": unit},
        "eda": {"Units": "furlong"},
    }
    files = foreign(**{"task-films_physio.json": fast})
    for name in [one for one in files if one.endswith("_physio.tsv.gz")]:
        good, bad = f"0.3\t{value}\t400\n", f"0.3\t{none}\t400\n"
        files[name] = good * 32 + bad + good * 15
    done = here.take(write_dataset(tmp_path / "films", files), *STATED, *STARTING)
    assert (
        "column cardiac in 3 of *_physio.tsv.gz, column eda (its unit furlong is"
        in (done["notes"][1])
    )
    sql = "SELECT at - started, kind, value, flags FROM vital JOIN session ON session.id = 1 "
    found = here.stored(f"{sql} AND at < ended ORDER BY at")
    assert [(at, kind, round(mean, 5), flags) for at, kind, mean, flags in found] == [
        (117, "skin_conductance", 2.5, "imported"),
        (367, "skin_conductance", 2.5, "imported"),
        (617, "skin_conductance", 2.34375, "imported out_of_range"),
    ]
