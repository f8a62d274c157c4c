"""The bundle: complete, described, valid, private, and written wholly or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.bundle import BUNDLE
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.export.table_schemas import COMPUTED, FILES
from edge_agent.timeline.study.preregistrations import freeze
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.vision.models.card import known_cards
from edge_agent.vitals.ecg import BAND_HZ
from tests.support.exports.full_study import PLAN, full_study
from tests.support.timeline import START_MS, query, session_row, timeline


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return full_study(tmp_path / "data")


def unpacked(path: Path, choice: ExportChoice | None = None, **about: Any) -> Path:
    """Export what is chosen of a database; return the folder of the unpacked bundle."""
    folder = path.parent.parent
    (file,) = BUNDLE.export(path, folder / "all.zip", choice, Appliance(**about))
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_preregistrations_go_along_with_time_and_hash(path: Path) -> None:
    made = [freeze(path, f'{{"people": {n}, "expectation": "grün\\nblau"}}', "me") for n in (8, 9)]
    folder = unpacked(path)
    for one in made:
        found = json.loads((folder / f"preregistrations/{one.id}.json").read_text("utf-8"))
        assert hashlib.sha256(found["frozen"].encode()).hexdigest() == one.sha256 == found["sha256"]
        assert (found["at_ms"], found["intact"]) == (one.at_ms, True)
        assert found["document"] == json.loads(one.document)
        text = (folder / f"preregistrations/{one.id}.txt").read_text("utf-8")
        assert one.sha256 in text and found["at"] in text and "grün\n    blau" in text
        assert found["frozen"] in text


def test_copy_of_one_participant_holds_no_preregistration(path: Path) -> None:
    freeze(path, '{"people": 8, "expectation": "anger"}', "me")
    (code,) = query(path, "SELECT code FROM participant LIMIT 1")[0]
    sessions = query(path, "SELECT id FROM session WHERE participant = ?", code)
    choice = ExportChoice(tuple(row[0] for row in sessions), participant=code)
    (file,) = BUNDLE.export(path, path.parent / "own.zip", choice, Appliance())
    with zipfile.ZipFile(file) as archive:
        assert not [name for name in archive.namelist() if "preregist" in name]


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_is_valid_and_described_with_size_and_hash(path: Path) -> None:
    import frictionless  # slow to load, for every worker at the top

    tables = {
        f"{name}.csv": ",".join(column.name for column in columns) + "\n"
        for name, columns in COMPUTED.items()
    }
    folder = unpacked(path, cards=known_cards(), tables=tables)
    package = folder / "datapackage.json"
    report = frictionless.Package(str(package)).validate()
    assert report.valid, report.flatten(["name", "type", "rowNumber", "fieldName", "note"])
    assert {task.name for task in report.tasks} >= {*FILES, *(f"{name}-csv" for name in COMPUTED)}
    assert all(task.stats["rows"] > 0 for task in report.tasks if task.name in FILES)
    resources = json.loads(package.read_text(encoding="utf-8"))["resources"]
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert there == {one["path"] for one in resources} | {package.name}
    for one in resources:
        data = (folder / one["path"]).read_bytes()
        assert one["bytes"] == len(data)
        assert one["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"`{one['path']}`" in readme for one in resources if one["path"] != "README.md")
    assert "2 sessions of 3 participants, all times" in readme
    assert not re.search(r"\{\w+\}|\{\{", readme), "every place is filled"
    cards = [json.loads(file.read_text(encoding="utf-8")) for file in (folder / "models").iterdir()]
    told = (folder / "model.csv").read_text(encoding="utf-8")
    assert cards and all(card["sha256"] in told and card["limits"] for card in cards)


def test_the_protocol_its_order_and_the_question_are_reported(path: Path) -> None:
    question = {"state": "observed", "window": 20.0}
    flow = "step,people\nconsented,3\n"
    figure = "<svg><title>Heart &amp; face</title></svg>\n"
    added = {"flow.csv": flow, "figures/heart-narrow.svg": figure}
    folder = unpacked(path, question=question, tables=added)
    (run,) = table(folder, "protocol_run")
    assert run == {
        "session": "1",
        "participant": "P01",
        "name": "three films",
        "title": "'=Three",
        "sha256": "ab" * 32,
        "order_row": "2",
        "order": "happiness > anger",
        "state": "finished",
        "reason": "",
        "seed": "",
    }
    (plan,) = (folder / "protocols").iterdir()
    assert (plan.name, plan.read_text()) == ("three-films-abababab-order-2.json", PLAN + "\n")
    assert json.loads((folder / "question.json").read_text()) == question
    assert (folder / "flow.csv").read_text() == flow
    assert (folder / "figures/heart-narrow.svg").read_text() == figure
    told = (folder / "README.md").read_text()
    assert "| `figures/heart-narrow.svg` | Figure, 8.5 cm: Heart & face |" in told
    assert "*uncertain* among the labels is none" in (folder / "README.md").read_text()


def test_method_of_a_bundle_has_the_instruments_and_the_analysis(tmp_path: Path) -> None:
    stated = "skin_sensor: Shimmer3; skin_site: left hand; skin_gel: 0.5 % NaCl"
    made = timeline(
        tmp_path / "affect-edge.db",
        session=[{**session_row(start, start + 9), "instruments": stated} for start in (0, 100)],
        vital=[1.0, 101.0],
    )
    method = unpacked(made, tables={"method.txt": "The unit is one participant.\n"}) / "method.txt"
    assert method.read_text() == (
        "Stated of 2 sessions: Skin conductance by Shimmer3: site of "
        "the electrodes left hand; gel or paste 0.5 % NaCl.\n\nThe unit is one participant.\n"
    )


def test_method_of_a_bundle_names_what_found_the_beats(tmp_path: Path) -> None:
    def interval(at: float, source: str, error: float | None, **more: Any) -> dict[str, Any]:
        kind = VitalKind.RR_INTERVAL
        return {"at": at, "kind": kind, "source": source, "value": 0.8, "error": error, **more}

    strap, armband, plain = (
        "ble:A0:9E:1A:00:00:01",
        "ble:A0:9E:1A:00:00:02",
        "ble:00:22:D0:00:00:03",
    )
    stated = "heart_detector: one of my own"
    made = timeline(
        tmp_path / "data",
        session=[{**session_row(0, 99), "instruments": stated}],
        vital=[
            *(interval(at, strap, 0.0005) for at in range(1, 8)),
            interval(8, strap, None),
            *(interval(at, armband, 0.01) for at in range(11, 14)),
            interval(14, armband, 0.0),
            *(interval(at, plain, None) for at in (21, 22)),
            *(interval(at, "kubios", None) for at in (31, 32)),
            # outside the session that is exported
            *(interval(at, "ble:FF:FF:FF:FF:FF:FF", 0.0005) for at in (120, 121)),
        ],
    )
    method = unpacked(made, ExportChoice((1,)), tables={}) / "method.txt"
    first, *found = method.read_text().rstrip("\n").split("\n\n")
    assert first.startswith("Stated of 1 session") and first.endswith("settings one of my own.")
    low, high = BAND_HZ
    of_ecg = (
        "between R waves that Affect Edge found in the electrocardiogram of a chest strap (Polar's "
        "measurement protocol, 130 Hz); detector: two moving averages of the squared signal after "
        f"a band-pass of {low:g} to {high:g} Hz (Elgendi, Jonkman & De Boer 2010, Frequency bands "
        "effects on QRS detection, BIOSIGNALS, 428-431), each beat at the top of a parabola "
        "through the largest samples"
    )
    unknown = "its detector and sampling rate are not recorded"
    of_service = f"as the sensor sent them over the Heart Rate Service of Bluetooth; {unknown}"
    of_pulse = "between pulses that an optical armband found itself and sent with the error of each"
    of_pulse += f" (PPI of Polar's measurement protocol); {unknown}"
    assert found == [
        f"RR intervals of {plain}. 2 intervals {of_service}.",
        f"RR intervals of {strap}. 7 intervals {of_ecg}. 1 interval {of_service}.",
        f"RR intervals of {armband}. 4 intervals {of_pulse}.",
    ]


def test_a_plan_that_is_damaged_ends_no_export(path: Path) -> None:
    with write_transaction(path) as connection:
        connection.execute("UPDATE protocol_run SET plan = '{\"screens'")
    assert [run["order"] for run in table(unpacked(path), "protocol_run")] == [""]


def test_no_cell_is_a_formula_and_every_text_can_be_had_back(path: Path) -> None:
    folder = unpacked(path)
    for file in folder.glob("*.csv"):
        for line in table(folder, file.stem):
            assert not any(cell.startswith(("=", "@", "+", "\t")) for cell in line.values()), line
    assert table(folder, "session")[0]["name"] == "'=1+1 of P01"
    assert table(folder, "marker")[1]["label"] == "'@SUM(1), said Ägypten"


def test_bundle_names_no_account_and_no_erased_participant(path: Path) -> None:
    with write_transaction(path) as connection:
        connection.execute(
            "INSERT INTO audit (at, actor, action) VALUES (0, 'ada.lovelace', 'login')"
        )
    erase_participant(path, "P01", actor="ada.lovelace")
    folder = unpacked(path)
    for file in folder.rglob("*.*"):
        assert b"P01" not in file.read_bytes() and b"ada.lovelace" not in file.read_bytes(), file
    times = [int(reading["at_ms"]) - START_MS for reading in table(folder, "vital")]
    assert times and not any(100_000 <= at < 200_000 for at in times)


def test_share_that_is_done_rises_and_export_ended_midway_leaves_no_file(
    path: Path, tmp_path: Path
) -> None:
    told: list[float] = []
    BUNDLE.export(path, tmp_path / "all.zip", on_progress=told.append)
    assert told == sorted(told) and told[0] >= 0 and 0.95 < told[-1] <= 1

    def enough(share: float) -> None:
        if share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        BUNDLE.export(path, tmp_path / "out" / "all.zip", on_progress=enough)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_is_there_already_stays(path: Path, tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_text("mine", encoding="ascii")
    with pytest.raises(StoreError, match="all.zip: is there already. Name a new file"):
        BUNDLE.export(path, tmp_path / "all.zip")
    with pytest.raises(StoreError, match="is a folder"):
        BUNDLE.export(path, tmp_path / "data")
    assert (tmp_path / "all.zip").read_text(encoding="ascii") == "mine"
