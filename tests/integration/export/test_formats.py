"""FHIR, JSON and Parquet hold what the CSV files hold; the command writes each of them."""

from __future__ import annotations

import importlib.util
import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_agent.cli import cli
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.export.appliance import Appliance
from edge_agent.store.export.columns import FILES
from edge_agent.store.export.fhir import FHIR, quantity
from edge_agent.store.export.formats import all_formats
from edge_agent.store.export.rows import Choice
from edge_agent.store.export.table_formats import PARQUET
from edge_agent.store.export.text_formats import CSV
from edge_agent.store.study.protocol_runs import SelfReport, insert_reports
from edge_agent.store.study.study import Study
from tests.support.datasets.fhir_profile import check_bundle
from tests.support.timeline import START_MS, database, instant, reading, row

SYSTOLIC = VitalKind.SYSTOLIC
DIASTOLIC = VitalKind.DIASTOLIC
MEAN = VitalKind.MEAN_ARTERIAL


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """One session of each participant, with odd readings, a second face, and rows outside the
    sessions.
    """
    rows = [row(s, Emotion.ANGER if s < 150 else None) for s in range(90, 220, 10)]
    rows.append(row(155, Emotion.FEAR, primary=False))
    readings = [reading(s + 0.5, 60 + s / 7) for s in range(90, 220, 10)]
    readings += [
        reading(130, 300, SYSTOLIC, "cuff", [VitalFlag.OUT_OF_RANGE, VitalFlag.MANUAL]),
        reading(130, 80, DIASTOLIC, "cuff", [VitalFlag.MANUAL]),
        reading(130, 153, MEAN, "cuff", [VitalFlag.ESTIMATED]),
        reading(140, 121, SYSTOLIC, "cuff"),
        reading(141, 12, source="strap", flags=[VitalFlag.OUT_OF_RANGE, VitalFlag.CONTACT_LOST]),
        reading(142, 0.8, VitalKind.RR_INTERVAL),
        reading(143, math.inf, source="=broken"),
        reading(320, 70),
    ]
    made = database(tmp_path / "data", rows, readings)
    study = Study(made)
    for code, start in (("P01", 100), ("P02", 300)):
        study.create_participant(code)
        study.give_consent(code, "v1")
        study.start_session(code, Purpose.RESEARCH, "films", at=instant(start))
        study.add_marker(MarkerKind.STIMULUS_START, "anger", at=instant(start + 20))
        study.end_session(at=instant(start + 100))
    with write_transaction(made) as connection:
        said = [
            SelfReport(instant(160), "anger", "emotion", "anger"),
            SelfReport(instant(161), "anger", "valence", 2),
        ]
        insert_reports(connection, 1, said)
        connection.execute(
            "INSERT INTO model (kind, name, version, sha256, since) VALUES ('expression', 'tiny', "
            "'1.0.0', ?, ?)",
            ("ab" * 32, START_MS),
        )
    return made


@pytest.fixture
def bundle(path: Path, tmp_path: Path) -> dict[str, Any]:
    """The FHIR bundle of the first session."""
    read: dict[str, Any] = json.loads(
        FHIR.export(path, tmp_path / "s.json", Choice((1,)), Appliance("pi"))[0].read_bytes()
    )
    return read


def observations(bundle: dict[str, Any], code: str) -> list[dict[str, Any]]:
    """The observations with a code, in order of time."""
    found = (entry["resource"] for entry in bundle["entry"])
    seen = (one for one in found if one["resourceType"] == "Observation")
    return [one for one in seen if one["code"]["coding"][0]["code"] == code]


def notes(observation: dict[str, Any]) -> list[str]:
    return [note["text"] for note in observation.get("note", ())]


# FHIR


def test_every_resource_is_valid_and_keeps_its_profile(bundle: dict[str, Any]) -> None:
    from fhir.resources.R4B.bundle import Bundle  # slow to load, for every worker at the top

    assert len(Bundle.model_validate_json(json.dumps(bundle)).entry or ()) == len(bundle["entry"])
    check_bundle(bundle)


def test_a_bundle_holds_only_the_session_the_participant_and_their_face(
    bundle: dict[str, Any],
) -> None:
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert kinds.count("Patient") == 1 and "P02" not in json.dumps(bundle)
    times = [one["effectiveDateTime"] for one in observations(bundle, "8867-4")]
    assert min(times) >= "2026-09-21T14:21:40" and max(times) < "2026-09-21T14:23:20"
    faces = observations(bundle, "facial-expression")
    assert len(faces) == 10 and {f["valueCodeableConcept"]["coding"][0]["code"] for f in faces} == {
        "anger",
        "uncertain",
    }


def test_a_pressure_is_a_panel_and_what_is_missing_has_its_reason(bundle: dict[str, Any]) -> None:
    full, alone = observations(bundle, "85354-9")
    values = [part.get("valueQuantity", {}).get("value") for part in full["component"]]
    assert values == [300.0, 80.0, 153.0]
    expected = ["8480-6", "8462-4"]
    assert [part["code"]["coding"][0]["code"] for part in alone["component"]] == expected
    assert alone["component"][1]["dataAbsentReason"]["coding"][0]["code"] == "unknown"


def test_a_reading_out_of_range_stays_and_says_so(bundle: dict[str, Any]) -> None:
    full = observations(bundle, "85354-9")[0]
    assert full["component"][0]["interpretation"][0]["coding"][0]["code"] == "H"
    assert "interpretation" not in full["component"][1]
    assert notes(full) == [
        "Condition: anger",
        "Systolic 300.0 lies outside the plausible range of 50 to 250 mmHg.",
        "Estimated, not measured.",
        "Flags: manual.",
    ]
    (low,) = [
        one
        for one in observations(bundle, "8867-4")
        if one.get("valueQuantity", {}).get("value") == 12.0
    ]
    assert low["interpretation"][0]["coding"][0]["code"] == "L"
    assert "The sensor had no contact with the skin." in notes(low)


def test_what_is_no_number_has_its_reason(bundle: dict[str, Any]) -> None:
    (endless,) = [one for one in observations(bundle, "8867-4") if "dataAbsentReason" in one]
    assert endless["dataAbsentReason"]["coding"][0]["code"] == "positive-infinity"
    codes = {math.nan: "not-a-number", -math.inf: "negative-infinity", None: "unknown"}
    for value, code in codes.items():
        absent = quantity(value, VitalKind.HEART_RATE)
        assert absent == {"dataAbsentReason": absent["dataAbsentReason"]}
        assert absent["dataAbsentReason"]["coding"][0]["code"] == code


def test_an_expression_names_the_model_and_every_probability(bundle: dict[str, Any]) -> None:
    face = observations(bundle, "facial-expression")[0]
    devices = {
        e["fullUrl"]: e["resource"]
        for e in bundle["entry"]
        if e["resource"]["resourceType"] == "Device"
    }
    model = devices[face["device"]["reference"]]
    assert model["identifier"][0]["value"] == "ab" * 32 and model["version"][0]["value"] == "1.0.0"
    assert devices[model["parent"]["reference"]]["deviceName"][0]["name"] == "pi"
    assert [part["code"]["coding"][0]["code"] for part in face["component"]] == [
        e.value for e in EMOTIONS
    ]
    assert sum(part["valueQuantity"]["value"] for part in face["component"]) == pytest.approx(
        1, abs=0.005
    )


def test_what_a_participant_said_is_there(bundle: dict[str, Any]) -> None:
    (emotion,) = observations(bundle, "reported-emotion")
    (valence,) = observations(bundle, "reported-valence")
    assert (
        emotion["valueCodeableConcept"]["coding"][0]["code"] == "anger"
        and valence["valueInteger"] == 2
    )


def test_simulated_data_are_marked_as_test_data(tmp_path: Path) -> None:
    made = database(
        tmp_path / "data", [row(10)], [reading(10, flags=[VitalFlag.SIMULATED])], simulated=True
    )
    with write_transaction(made) as connection:
        connection.execute(
            "INSERT INTO participant (code, created, simulated) VALUES ('SIM', 0, 1)"
        )
        connection.execute(
            "INSERT INTO session (participant, purpose, name, started, ended, simulated) "
            "VALUES (1, 'demonstration', '', ?, ?, 1)",
            (START_MS, START_MS + 60_000),
        )
    made_bundle = json.loads(FHIR.export(made, tmp_path / "s.json", Choice((1,)))[0].read_bytes())
    check_bundle(made_bundle)
    kinds = ("Patient", "Observation")
    found = [e["resource"] for e in made_bundle["entry"] if e["resource"]["resourceType"] in kinds]
    assert len(found) == 3 and all(r["meta"]["security"][0]["code"] == "HTEST" for r in found)


# JSON and Parquet


def test_parquet_holds_the_rows_with_types_units_and_meaning(path: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq  # slow to load, for every worker at the top

    PARQUET.export(path, tmp_path / "out", Choice())
    csv_files = CSV.export(path, tmp_path / "csv")
    for file in csv_files:
        if file.suffix == ".csv":
            table = pq.read_table(tmp_path / "out" / f"{file.stem}.parquet")
            assert table.num_rows == len(file.read_text(encoding="utf-8").splitlines()) - 1, (
                file.stem
            )
            assert table.column_names == [column.name for column in FILES[file.stem]]
    vital = pq.read_table(tmp_path / "out" / "vital.parquet")
    assert str(vital.schema.field("at").type) == "timestamp[ms, tz=UTC]"
    assert vital.schema.field("at_ms").metadata[b"unit"] == b"ms"
    assert vital["value"][0].as_py() == 60 + 90 / 7 and vital["session"][0].as_py() is None
    assert "=broken" in vital["source"].to_pylist()


def test_without_pyarrow_the_cure_is_said(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        StoreError,
        match=r"install.sh --with parquet.*pip install -e '.\[parquet\]'. With pipx: pipx inject "
        "affect-edge pyarrow. Or use --format csv",
    ):
        PARQUET.export(path, tmp_path / "out", Choice())
    assert not (tmp_path / "out").exists()


def test_what_is_to_be_injected_is_what_the_extra_installs() -> None:
    root = Path(__file__).parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    formats = [one for one in all_formats() if one.extra]
    assert {one.name for one in formats} == {"parquet", "xlsx", "sav", "edf"}
    for one in formats:
        wanted = [line.partition(">")[0] for line in project["optional-dependencies"][one.extra]]
        assert (one.packages or one.library).split() == wanted


# The command


@pytest.mark.parametrize(
    ("words", "there"),
    [
        (["--out", "all.zip"], "all.zip"),
        (["--out", "folder"], "folder/vital.csv"),
        (["--out", "all.json", "--format", "json"], "all.json"),
        (["--out", "one.json", "--format", "fhir", "--session", "1"], "one.json"),
        (["--out", "tables", "--format", "parquet"], "tables/vital.parquet"),
    ],
)
def test_the_command_writes_every_form(
    path: Path, tmp_path: Path, words: list[str], there: str
) -> None:
    words[1] = str(tmp_path / words[1])
    done = CliRunner().invoke(cli, ["export", "--data", str(path.parent), *words])
    assert done.exit_code == 0, done.output
    assert str(tmp_path / there) in done.stdout.splitlines() and (tmp_path / there).exists()
    assert "Exporting" not in done.output, "the bar is for terminals only"


def test_the_command_refuses_fhir_without_a_session(path: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "x.json")
    words = ["export", "--data", str(path.parent), "--out", out, "--format", "fhir"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2 and "name at least one with --session" in done.output
