"""``import-vitals`` and ``import-study`` of a recording of LabRecorder, and what undoes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyxdf", reason="pyxdf is not installed")

from edge_agent.core.clock import Instant
from edge_agent.lsl.streams import EXPRESSION_CHANNELS
from tests.support.commands import Done, affect_edge
from tests.support.laboratory.xdf import Xdf, laboratory
from tests.support.timeline import query, timeline

NOON = 1_795_176_000_000  # 2026-11-20T12:00:00Z
CONSENT = ("--consent", "1", "--consent-on", "2026-01-05T08:00:00Z", "--purpose", "research")
P01 = ("--participant", "P01", *CONSENT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lab.xdf"
    path.write_bytes(laboratory().content)
    return path


def run(command: str, file: Path, *words: Any) -> Done:
    return affect_edge(command, file, "--data", file.parent, *words)


def rows(file: Path, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in query(file.parent / "affect-edge.db", sql)]


def test_study_of_a_recording_is_what_the_streams_were(file: Path) -> None:
    done = run("import-study", file, *P01)
    assert done.code == 0, done.err
    assert rows(
        file,
        "SELECT code, started, ended FROM session JOIN participant ON participant.id = participant",
    ) == [("P01", NOON, NOON + 10_000)]
    assert rows(file, "SELECT at, kind, label FROM marker ORDER BY at") == [
        (NOON + 2000, "stimulus_start", "anger"),
        (NOON + 8000, "stimulus_end", "anger"),
    ]
    assert rows(
        file, "SELECT kind, source, count(*), avg(value), min(at) FROM vital GROUP BY kind, source"
    ) == [
        ("heart_rate", "ble:A0", 10, 64.5, NOON),
        ("oxygen_saturation", "lsl:Clip", 10, 97.0, NOON),
    ]
    # a row for each second with a face; the emotions in the order of the channels
    first, second = EXPRESSION_CHANNELS[:2]
    found = rows(
        file, f"SELECT at, frames, {first}, {second}, emotion, quality FROM expression ORDER BY at"
    )
    assert [row[0] - NOON for row in found] == [900, 1900, 2900, 3900, 4900, 6500]
    assert [row[1:] for row in (found[0], found[-1])] == [
        (5, 800, 200, first, 0.9),
        (1, 200, 800, second, 0.9),
    ]
    assert rows(file, "SELECT count(*), avg(smile), max(look_x IS NULL) FROM movement") == [
        (2, 500.0, 1)
    ]
    assert "samples in which the face could not be read" in done.out
    assert "EEG (type EEG, 100 Hz, channel Cz (uV)), 1,000 samples: not imported" in done.out


def test_dry_run_of_a_recording_lists_its_streams_and_writes_nothing(file: Path) -> None:
    done = run("import-study", file, *P01, "--dry-run")
    assert done.code == 0, done.err
    clip = "stream Clip (type SpO2, 1 Hz, channel SpO2 (%)), 10 samples"
    assert f"{clip}: oxygen_saturation." in done.out
    assert "6 of 7 streams can be imported. Nothing was imported yet." in done.out
    assert not (file.parent / "affect-edge.db").exists()
    vitals = run("import-vitals", file, "--dry-run")
    assert "20 readings would be imported" in vitals.out
    assert "has expressions, which import-study takes" in vitals.out


def test_study_of_a_recording_again_is_refused_and_undone_wholly(file: Path) -> None:
    run("import-study", file, *P01)
    again = run("import-study", file, "--participant", "P02", *CONSENT)
    assert again.code == 1
    assert "session 1 meets session 1 of this database" in again.out
    undone = affect_edge("imports", "--undo", 1, "--data", file.parent)
    assert undone.code == 0, undone.err
    for table in ("vital", "session", "marker", "expression", "movement", "participant"):
        assert rows(file, f"SELECT count(*) FROM {table}") == [(0,)], table
    assert rows(file, "SELECT action, detail FROM audit WHERE action = 'study_import'") == [
        ("study_import", "lab.xdf: 1 sessions")
    ]


def test_readings_of_a_recording_are_imported_once(file: Path) -> None:
    assert "20 readings imported" in run("import-vitals", file).out
    again = run("import-vitals", file)
    assert "0 readings imported, 20 were there already" in again.out
    told = json.loads(run("import-vitals", file, "--dry-run", "--json").out)
    assert (told["imported"], told["duplicates"]) == (0, 20)
    assert affect_edge("imports", "--undo", 1, "--data", file.parent).code == 0
    assert rows(file, "SELECT count(*) FROM vital") == [(0,)]


def test_our_readings_are_not_added_to_those_that_were_recorded(file: Path) -> None:
    # the clocks in between round to milliseconds, as the recorder's does
    recorded = [
        {
            "at": Instant(0, NOON + 1000 * n + n % 3 - 1),
            "kind": "heart_rate",
            "value": 60.0 + n,
            "source": "ble:A0",
        }
        for n in range(8)
    ]
    timeline(file.parent, vital=recorded)
    done = run("import-vitals", file)
    assert "12 readings imported, 8 were there already" in done.out
    assert rows(file, "SELECT count(*) FROM vital WHERE source = 'ble:A0'") == [(10,)]


def test_channel_and_start_are_chosen_by_options(file: Path) -> None:
    xdf = Xdf("").stream(1, "Box", "misc", [("ch1", ""), ("ch2", "")])
    file.write_bytes(xdf.samples(1, [(5.0, [1.0, 2.5]), (6.0, [1.0, 2.6])]).content)
    refused = run("import-vitals", file)
    assert refused.code == 1
    assert "tells no time of day" in refused.err
    options = ("--start", "2026-11-20T12:00:00Z", "--map", "skin_conductance=Box/ch2")
    assert "2 readings imported" in run("import-vitals", file, *options).out
    assert rows(file, "SELECT at, kind, value FROM vital ORDER BY at") == [
        (NOON, "skin_conductance", 2.5),
        (NOON + 1000, "skin_conductance", 2.6),
    ]


def test_study_of_a_foreign_recording_is_one_session(file: Path) -> None:
    xdf = Xdf("").stream(1, "Triggers", "Stim", form="int32")
    xdf.samples(1, [(100.0, [11]), (130.0, [12]), (140.0, [99])])
    sub = file.with_name("sub-P7_ses-S001_eeg.xdf")
    sub.write_bytes(xdf.content)
    codes = ("--marker", "11=stimulus_start/joy", "--marker", "12=stimulus_end")
    done = run("import-study", sub, *CONSENT, *codes, "--starting", "2026-11-20T12:00:00Z")
    assert done.code == 0, done.err
    assert rows(
        sub,
        "SELECT code, started, ended FROM session JOIN participant ON participant.id = participant",
    ) == [("P7", NOON, NOON + 40_001)]
    assert rows(sub, "SELECT at - 1795176000000, kind, label FROM marker") == [
        (0, "stimulus_start", "joy"),
        (30_000, "stimulus_end", "joy"),
        (40_000, "note", "99"),
    ]


def test_recording_without_its_participant_is_refused(file: Path) -> None:
    refused = run("import-study", file, *CONSENT)
    assert refused.code == 2
    assert "does not say whose recording it is" in refused.err
    no_consent = run("import-study", file, "--participant", "P01", "--purpose", "research")
    assert no_consent.code == 1
    assert "state it with --consent VERSION --consent-on TIME" in no_consent.out
    two = laboratory()
    two.samples(6, [(111.0, ["session_start/13"]), (112.0, ["session_end/13"])])
    file.write_bytes(two.content)
    refused = run("import-study", file, *P01)
    assert refused.code == 2
    assert "--participant CODE, 2 times" in refused.err
    assert run("import-study", file, *P01, "--participant", "P02").code == 0


def test_options_of_recordings_are_refused_for_other_files(file: Path) -> None:
    refused = run("import-study", file.parent, *P01)
    assert refused.code == 2
    assert "--participant is for XDF files. Leave it out." in refused.err


@pytest.mark.parametrize(("code", "is_taken"), [("P02", False), ("p1", True), ("VP17", True)])
def test_name_of_a_recording_that_says_another_code_is_refused(
    file: Path, code: str, is_taken: bool
) -> None:
    named = file.rename(file.with_name("sub-P01_eeg.xdf"))
    done = run("import-study", named, "--participant", code, *CONSENT)
    assert (done.code == 0, "or rename the file" in done.err) == (is_taken, not is_taken), done


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        (["11=stimulus_strat/anger"], "perhaps stimulus_start"),
        (["11=baselin"], "perhaps baseline"),
        (["11=stimulus_start/joy", "11=stimulus_start/fear"], "11=… is given twice"),
        (["11"], "write --marker NAME=VALUE"),
        (["11=baseline", "11=baseline", "t=1=note/a=b", "12=button press"], ""),
    ],
)
def test_order_of_a_marker_that_cannot_be_meant_is_refused(
    file: Path, orders: list[str], words: str
) -> None:
    done = run("import-study", file, *P01, *(one for text in orders for one in ("--marker", text)))
    assert (done.code == 0, words in done.err) == (not words, True), done
    assert words or "t=1, given with --marker, met nothing" in done.err
