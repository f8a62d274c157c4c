"""Sessions as a BIDS data set: what its files hold, and what the official validator says."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.core.electrocardiogram import pack
from edge_agent.core.errors import StoreError
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.export.bids import held_seconds, seconds, subject_labels
from edge_agent.timeline.export.format_register import format_named
from edge_agent.timeline.export.rows import ExportChoice
from tests.support.datasets.bids import downloaded_validator, judged_by_schema, validated
from tests.support.own_neutral import calibrate_session
from tests.support.timeline import instant, reading, session_row, timeline

BEH = "sub-P01/ses-1/beh/sub-P01_ses-1_task-affect"
HEART = pack([7 * (place % 130) for place in range(1300)])
"""Ten seconds of a kept electrocardiogram."""
TWICE = BEH.replace("P01", "P01x2")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, one with two sessions; readings of three sensors, one of them in doubt, and an
    electrocardiogram.
    """
    readings = [
        *(reading(second + 0.25, 60.0 + second) for second in range(8)),
        reading(8.25, 0.0, flags=(VitalFlag.CONTACT_LOST,)),
        reading(3.5, 70.5, source="=cmd|tab"),
        reading(5.0, 120.0, VitalKind.SYSTOLIC, "cuff"),
        reading(1.1, 0.832, VitalKind.RR_INTERVAL),
        *(reading(second, 80.0) for second in (31, 61, 95)),
        *(reading(62 + quarter / 4, 2.5, VitalKind.SKIN_CONDUCTANCE, "eda") for quarter in (0, 1)),
    ]
    starts = {0: "P01", 30: "P-01", 60: "P01"}
    path = timeline(
        tmp_path_factory.mktemp("bids"),
        expression=[*range(10), *range(31, 40)],
        vital=readings,
        participant=[{"code": "Nobody"}],
        session=[
            session_row(s, s + 20, (s + 2, s + 8.5, "anger"), (s + 10, None, "neutral"))
            | {"participant": code, "name": f"films {s // 30}"}
            for s, code in starts.items()
        ],
        marker=[
            {"session": 1 + start // 30, "at": start + 9, "kind": "note", "label": "+1 a note"}
            for start in starts
        ],
        exclusion=[
            {"session": 1, "from_ms": 3000, "to_ms": 9500, "reason": "=coughed"},
            {"session": 2, "reason": "No consent of a guest"},
        ],
        gap=[{"started": -5, "ended": 1}],
        ecg=[
            {"at": 12, "interval_ms": 10_000, "source": "strap", "samples": 1300, "packed": HEART}
        ],
    )
    calibrate_session(path, 3, 0.5, 12.5)
    return path


@pytest.fixture(scope="module")
def dataset(recorded: Path) -> Path:
    out = recorded.parent / "dataset"
    files = format_named("bids").export(recorded, out)
    assert files == sorted(file for file in out.rglob("*") if file.is_file())
    return out


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def told(path: Path) -> Any:
    return json.loads(path.read_text())


@contextmanager
def left_there(file: Path, text: str) -> Iterator[None]:
    """Put a file into the data set that belongs to no part of it, until the block ends."""
    file.write_text(text)
    try:
        yield
    finally:
        file.unlink()


def test_the_official_validator_has_nothing_but_the_missing_authors(
    recorded: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    validator = downloaded_validator(tmp_path_factory.mktemp("validator"))
    cut = tmp_path_factory.mktemp("range") / "dataset"
    within = ExportChoice(
        None, instant(5).wall_ms, instant(35).wall_ms
    )  # stimuli go on at both ends
    format_named("bids").export(recorded, cut, within)
    errors, warned = validated(validator, cut)
    # one of two people has an electrocardiogram
    assert (errors, warned) == (set(), {"NO_AUTHORS", "INCONSISTENT_SUBJECTS"})
    begun = table(next(cut.glob("sub-P01x2/*/beh/*_events.tsv")))
    assert begun[0]["onset"] == "2.000", "it began before the range"
    errors, warned = validated(validator, dataset)
    # people have different numbers of sessions, and who wrote the study nobody told
    assert errors == set() and warned <= {"NO_AUTHORS", "MISSING_SESSION", "INCONSISTENT_SUBJECTS"}
    with left_there((dataset / BEH).with_name("wrong_name.tsv"), "onset\n"):
        assert validated(validator, dataset)[0], "a wrong name is noticed, so the validator looks"


OF_PEOPLE = {"JSON_KEY_RECOMMENDED", "NO_AUTHORS", "SIDECAR_KEY_RECOMMENDED", "TOO_FEW_AUTHORS"}
"""Warnings of what only the people who ran the study can add: authors, licence, institution …"""
A_GAP_IS_NO_EVENT = "BEH_ONSET_DURATION"
"""The validator takes the table of gaps, which have an onset and last, for one of events."""


@pytest.mark.timeout(400)
def test_the_validator_by_the_schema_of_the_specification_finds_no_error(
    recorded: Path, dataset: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"  # nothing but readings: no table of faces, gaps or self-reports
    format_named("bids").export(recorded, alone, ExportChoice(None, instant(60).wall_ms, None))
    assert list(dataset.rglob("*_recording-ecg_physio.tsv.gz"))
    for made in (dataset, alone):
        found = judged_by_schema(made)
        assert found["error"] == set()
        left = {code.partition(": ")[0] for code in found["warning"]} - OF_PEOPLE
        assert left <= {A_GAP_IS_NO_EVENT}
    with left_there(dataset / "task-affect_acq-nothing_beh.json", "{}"):
        assert judged_by_schema(dataset)["error"] == {"SIDECAR_WITHOUT_DATAFILE"}


def test_bids_participants_are_those_with_sessions(dataset: Path) -> None:
    people = table(dataset / "participants.tsv")
    named = {one["participant_id"]: one["participant"] for one in people}
    assert named == {"sub-P01": "P-01", "sub-P01x2": "P01"}
    assert {one["consent_version"] for one in people} == {"1"}
    sessions = table(dataset / "sub-P01x2" / "sub-P01x2_sessions.tsv")
    expected = [("ses-1", "1", "films 0"), ("ses-2", "3", "films 2")]
    assert [(one["session_id"], one["session"], one["name"]) for one in sessions] == expected
    assert sessions[0]["acq_time"] == "2026-09-21T14:20:00.000Z"
    left_out = [*sessions, *table(dataset / "sub-P01" / "sub-P01_sessions.tsv")]
    assert [one["left_out"] for one in left_out] == ["n/a", "n/a", "No consent of a guest"]


def test_a_stimulus_lasts_a_note_is_an_instant_and_a_gap_is_cut(dataset: Path) -> None:
    events = table(dataset / f"{TWICE}_events.tsv")
    assert [tuple(one.values()) for one in events] == [
        ("2.000", "6.500", "anger", "stimulus_start", "anger"),
        ("3.000", "6.500", "n/a", "left_out", "=coughed"),
        ("9.000", "0.000", "n/a", "note", "+1 a note"),
        ("10.000", "n/a", "neutral", "stimulus_start", "neutral"),
    ]
    gaps = table(dataset / f"{TWICE}_acq-gap_beh.tsv")
    assert [tuple(one.values()) for one in gaps] == [("0.000", "1.000", "camera", "stalled")]
    assert not (dataset / f"{BEH}_acq-gap_beh.tsv").exists()


def test_bids_note_of_a_protocol_is_no_note(tmp_path: Path) -> None:
    said = ("protocol: begins", "experiment: cue")
    notes = [{"at": n + 1, "kind": "note", "label": label} for n, label in enumerate(said)]
    beat = reading(1.5, 0.8, VitalKind.RR_INTERVAL)
    timeline(tmp_path, session=[session_row(0, 9)], marker=notes, vital=[beat])
    format_named("bids").export(tmp_path / "affect-edge.db", tmp_path / "out")
    stem = tmp_path / "out" / BEH
    events = table(stem.with_name(f"{stem.name}_events.tsv"))
    assert [(one["trial_type"], one["marker"], one["label"]) for one in events] == [
        ("n/a", "protocol", "protocol: begins"),
        ("n/a", "note", "experiment: cue"),
    ]
    beats = packed(stem.with_name(f"{stem.name}_recording-resampled_physioevents.tsv.gz"))
    assert [line[2] for line in beats] == ["protocol", "beat", "note"]


def test_bids_calibrated_session_says_from_when_labels_are_shifted(dataset: Path) -> None:
    later = TWICE.replace("ses-1", "ses-2")
    events = table(dataset / f"{later}_events.tsv")
    shifted = ("13.200", "6.800", "n/a", "own_neutral", "neutral shifted by -1.500 in labels")
    assert [tuple(one.values()) for one in events if one["marker"] == "own_neutral"] == [shifted]
    (own,) = table(dataset / f"{later}_acq-ownneutral_beh.tsv")
    times = ("baseline_start", "baseline_end", "applied", "until")
    assert tuple(own[name] for name in times) == ("0.500", "12.500", "13.200", "n/a")
    assert (own["state"], own["shift"], own["logit_happiness"]) == ("calibrated", "-1.5", "-4.5")
    assert not (dataset / f"{TWICE}_acq-ownneutral_beh.tsv").exists()
    about = told(dataset / "task-affect_acq-expression_beh.json")
    assert "own neutral" in about["smoothed_neutral"]["Description"]


def test_readings_stand_as_they_were_measured_and_resampled_beside_it(dataset: Path) -> None:
    readings = table(dataset / f"{TWICE}_acq-vital_beh.tsv")
    assert len(readings) == 12
    doubtful = [one for one in readings if one["flags"] != "n/a"]
    assert [(one["onset"], one["value"]) for one in doubtful] == [("8.250", "0.0")]
    assert {one["source"] for one in readings} == {"strap", "cuff", "=cmd|tab"}
    physio = dataset / f"{TWICE}_recording-resampled_physio"
    about = told(physio.with_suffix(".json"))
    assert about["Columns"] == ["heart_rate", "heart_rate__2", "timestamp"], "no cuff, no intervals"
    assert (about["SamplingFrequency"], about["StartTime"]) == (1, 0)
    assert "Resampled: the newest reading" in about["heart_rate"]["Description"]
    assert about["heart_rate"]["Units"] == "/min"
    with gzip.open(physio.with_suffix(".tsv.gz"), "rt") as file:
        samples = [line.rstrip("\n").split("\t") for line in file]
    strap = [line[about["heart_rate"]["Source"] != "strap"] for line in samples]
    assert strap == ["n/a", *(repr(60.0 + second) for second in range(8))]
    assert [line[2] for line in samples[:3]] == ["0.000", "1.000", "2.000"]
    other = [line[about["heart_rate"]["Source"] == "strap"] for line in samples]
    assert other == ["n/a"] * 4 + ["70.5"] * 5, "held for five seconds, not for ever"


def test_bids_count_of_ten_seconds_stands_until_the_next(tmp_path: Path) -> None:
    counts = [
        reading(10.05 * n - 0.07, 6.0 * n, VitalKind.BLINK_RATE, "camera_blinks") for n in (1, 2, 3)
    ]
    rates = [reading(at, 60.0) for at in (10.5, 20.5, 30.5, 50.0)]
    timeline(tmp_path, session=[session_row(0, 60)], vital=[*counts, *rates])
    format_named("bids").export(tmp_path / "affect-edge.db", tmp_path / "out")
    physio = tmp_path / "out" / "sub-P01/ses-1/beh/sub-P01_ses-1_task-affect"
    physio = physio.with_name(f"{physio.name}_recording-resampled_physio.tsv.gz")
    blinks, heart, _ = zip(*packed(physio), strict=True)
    # 10 to 20, 21 to 30, and from 31 on for ten seconds and one sample
    held = ["n/a"] * 10 + ["6.0"] * 11 + ["12.0"] * 10 + ["18.0"] * 11 + ["n/a"] * 9
    assert list(blinks) == held
    assert heart.count("60.0") == 16, "an instant is held for five seconds"
    about = told(physio.with_name(physio.name.replace(".tsv.gz", ".json")))
    assert "for at most 11 s" in about["blink_rate"]["Description"]
    assert "for at most 5 s" in about["heart_rate"]["Description"]


def test_bids_value_of_a_minute_stands_for_its_minute(tmp_path: Path) -> None:
    minutes = [reading(60.0 * n, 50.0 + n, source="watch") for n in (0, 1, 2, 3, 4, 6, 7, 8)]
    timeline(tmp_path, session=[session_row(0, 600)], vital=minutes)
    format_named("bids").export(tmp_path / "affect-edge.db", tmp_path / "out")
    physio = tmp_path / "out" / "sub-P01/ses-1/beh/sub-P01_ses-1_task-affect"
    physio = physio.with_name(f"{physio.name}_recording-resampled_physio.tsv.gz")
    heart, _ = zip(*packed(physio), strict=True)
    assert [heart.count(repr(50.0 + n)) for n in (0, 1, 4, 6)] == [60, 60, 61, 60]
    assert heart.count("n/a") == 59, "the minute in which the watch was off"
    about = told(physio.with_name(physio.name.replace(".tsv.gz", ".json")))
    assert "for at most 61 s" in about["heart_rate"]["Description"]


@pytest.mark.parametrize(
    ("steps", "held_s"),
    [
        ({60.0: 10}, 61.0),
        ({15.0: 8, 900.0: 1}, 16.0),
        ({60.0: 3}, 5.0),
        ({1.0: 500, 3.0: 2}, 5.0),
        ({20.0: 3, 40.0: 4, 70.0: 3}, 5.0),
        ({3600.0: 10}, 5.0),
        ({}, 5.0),
    ],
)
def test_reading_is_held_for_the_even_step_of_its_source(
    steps: dict[float, int], held_s: float
) -> None:
    assert held_seconds(VitalKind.HEART_RATE, steps) == held_s


def packed(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def test_bids_beats_and_markers_are_events_of_the_recording(dataset: Path) -> None:
    events = packed(dataset / f"{TWICE}_recording-resampled_physioevents.tsv.gz")
    assert events == [
        ["1.1", "0.0", "beat", "n/a", "0.832", "strap", "n/a"],
        ["2.0", "6.5", "stimulus_start", "anger", "n/a", "n/a", "n/a"],
        ["9.0", "0.0", "note", "+1 a note", "n/a", "n/a", "n/a"],
        ["10.0", "n/a", "stimulus_start", "neutral", "n/a", "n/a", "n/a"],
    ]
    about = told(dataset / "task-affect_recording-resampled_physioevents.json")
    assert about["Columns"][:4] == ["onset", "duration", "trial_type", "message"]
    physio = told(dataset / f"{TWICE}_recording-resampled_physio.json")
    assert about["OnsetSource"] == physio["Columns"][-1] == "timestamp"
    assert "SkinResponseThreshold" not in about, "nobody looked for responses"


def test_bids_skin_responses_are_those_that_the_analysis_finds(tmp_path: Path) -> None:
    # Three rises of 0.5 µS, 20, 50 and 80 s after the start, each within a second.
    steps = (20.0, 50.0, 80.0)
    level = [
        2 - at / 200 + sum(0.5 * min(1, max(0, at - one)) for one in steps) for at in quarters(110)
    ]
    timeline(
        tmp_path,
        vital=[
            reading(at, value, VitalKind.SKIN_CONDUCTANCE, "eda")
            for at, value in zip(quarters(110), level, strict=True)
        ],
        session=[session_row(0, 110)],
    )
    words = ["export", "--data", str(tmp_path), "--format", "bids", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    (path,) = tmp_path.rglob("*_physioevents.tsv.gz")
    found = [line for line in packed(path) if line[2] == "skin_response"]
    assert [round(float(line[0])) for line in found] == [20, 50, 80]
    assert all(1 <= float(line[1]) <= 2 for line in found), "from beginning to peak"
    assert [round(float(line[4]), 2) for line in found] == [0.5, 0.5, 0.5], (
        "the level falls meanwhile"
    )
    assert {line[5] for line in found} == {"eda"}
    about = told(tmp_path / "out" / "task-affect_recording-resampled_physioevents.json")
    assert about["SkinResponseThreshold"] == 0.05


def quarters(seconds: int) -> list[float]:
    return [place / 4 for place in range(4 * seconds)]


def test_bids_skin_conductance_is_a_column_of_its_own_with_its_unit(dataset: Path) -> None:
    later = TWICE.replace("ses-1", "ses-2")
    about = told(dataset / f"{later}_recording-resampled_physio.json")
    # The specification recommends names for cardiac, respiratory and trigger alone; 1e-6 is u.
    assert about["Columns"] == ["heart_rate", "skin_conductance", "timestamp"]
    assert about["skin_conductance"]["Units"] == "uS"
    measured = table(dataset / f"{later}_acq-vital_beh.tsv")
    found = [(one["onset"], one["value"]) for one in measured if one["source"] == "eda"]
    assert found == [("2.000", "2.5"), ("2.250", "2.5")], "each reading is here"


def test_every_column_is_described_and_every_file_is_named_in_the_readme(dataset: Path) -> None:
    readme = (dataset / "README.md").read_text()
    for file in dataset.glob("sub-*/ses-*/beh/*"):
        stem, _, suffix = file.name.partition(".")[0].rpartition("_")
        if file.name.endswith(".tsv"):
            entities = [part for part in stem.split("_") if part[:3] not in {"sub", "ses"}]
            described = told(dataset / ("_".join([*entities, suffix]) + ".json"))
            heads = file.read_text().partition("\n")[0].split("\t")
            assert set(heads) <= set(described), file.name
        ending = file.name.rpartition("task-affect")[2].replace(".json", ".tsv.gz")
        assert f"…{ending}`" in readme, file.name


def test_single_sessions_go_into_a_new_folder_only(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "one"
    format_named("bids").export(recorded, out, ExportChoice((2,)))
    assert [one["participant"] for one in table(out / "participants.tsv")] == ["P-01"]
    assert [one.name for one in out.glob("sub-*")] == ["sub-P01"]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match="is not empty. Name a new folder"):
        format_named("bids").export(recorded, out)
    assert sorted(tmp_path.rglob("*")) == before


def test_labels_are_letters_and_digits_and_never_the_same() -> None:
    codes = ["P-1", "P.1", "p1", "P1x2", "A_b"]
    labels = subject_labels(codes)
    assert list(labels) == codes
    assert all(label.isalnum() for label in labels.values())
    assert len({label.casefold() for label in labels.values()}) == len(codes)


@pytest.mark.parametrize(
    ("ms", "text"), [(1, "0.001"), (-1500, "-1.500"), (2**52 + 1, "4503599627370.497")]
)
def test_seconds_have_all_their_digits(ms: int, text: str) -> None:
    assert seconds(ms) == text
