"""The bundle: complete, described, valid, private, and written wholly or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.export.appliance import Appliance
from edge_agent.store.export.bundle import BUNDLE
from edge_agent.store.export.columns import FILES
from edge_agent.store.export.rows import Choice
from edge_agent.store.upkeep.erasure import erase_participant
from edge_agent.vision.models.card import known_cards
from tests.support.exports.full_study import PLAN, full_study
from tests.support.timeline import START_MS, add, reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return full_study(tmp_path / "data")


def unpacked(file: Path) -> Path:
    """The folder of an unpacked bundle."""
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        archive.extractall(file.parent / "unpacked")
    return file.parent / "unpacked"


def package_of(folder: Path) -> dict[str, Any]:
    package: dict[str, Any] = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    return package


def as_frictionless_reads(folder: Path) -> Any:
    """What Frictionless makes of a folder."""
    import frictionless  # slow to load, for every worker at the top

    return frictionless.Package(str(folder / "datapackage.json"))


def test_frictionless_finds_every_file_valid(path: Path, tmp_path: Path) -> None:
    folder = unpacked(
        BUNDLE.export(path, tmp_path / "all.zip", Choice(), Appliance(cards=known_cards()))[0]
    )
    report = as_frictionless_reads(folder).validate()
    assert report.valid, report.flatten(["name", "type", "rowNumber", "fieldName", "note"])
    assert {task.name for task in report.tasks} >= set(FILES)
    assert all(task.stats["rows"] > 0 for task in report.tasks if task.name in FILES)


def test_every_file_is_described_with_size_and_hash_and_no_other(
    path: Path, tmp_path: Path
) -> None:
    folder = unpacked(
        BUNDLE.export(path, tmp_path / "all.zip", Choice(), Appliance(cards=known_cards()))[0]
    )
    resources = package_of(folder)["resources"]
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert there == {one["path"] for one in resources} | {"datapackage.json"}
    for one in resources:
        data = (folder / one["path"]).read_bytes()
        assert (
            one["bytes"] == len(data)
            and one["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        )
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"`{one['path']}`" in readme for one in resources if one["path"] != "README.md")
    assert "2 sessions of 3 participants, all times" in readme and "{" not in readme


def test_the_models_are_told_by_hash_and_card(path: Path, tmp_path: Path) -> None:
    folder = unpacked(
        BUNDLE.export(path, tmp_path / "all.zip", Choice(), Appliance(cards=known_cards()))[0]
    )
    cards = [json.loads(file.read_text(encoding="utf-8")) for file in (folder / "models").iterdir()]
    told = (folder / "model.csv").read_text(encoding="utf-8")
    assert cards and all(card["sha256"] in told and card["limits"] for card in cards)


def test_the_protocol_its_order_and_the_question_are_told(path: Path, tmp_path: Path) -> None:
    question = {"state": "observed", "window": 20.0}
    about = Appliance(question=question, tables={"flow.csv": "step,people\nconsented,3\n"})
    folder = unpacked(BUNDLE.export(path, tmp_path / "all.zip", Choice(), about)[0])
    with (folder / "protocol_run.csv").open(encoding="utf-8") as file:
        (run,) = csv.DictReader(file)
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
    }
    (plan,) = (folder / "protocols").iterdir()
    assert (plan.name, plan.read_text()) == ("three-films-abababab-order-2.json", PLAN + "\n")
    assert json.loads((folder / "question.json").read_text()) == question
    assert (folder / "flow.csv").read_text() == "step,people\nconsented,3\n"
    assert "*uncertain* among the labels is none" in (folder / "README.md").read_text()


def test_a_plan_that_is_damaged_ends_no_export(path: Path, tmp_path: Path) -> None:
    with write_transaction(path) as connection:
        connection.execute("UPDATE protocol_run SET plan = '{\"screens'")
    folder = unpacked(BUNDLE.export(path, tmp_path / "all.zip", Choice())[0])
    with (folder / "protocol_run.csv").open(encoding="utf-8") as file:
        assert [run["order"] for run in csv.DictReader(file)] == [""]


def test_no_cell_is_a_formula_and_every_text_can_be_had_back(path: Path, tmp_path: Path) -> None:
    folder = unpacked(BUNDLE.export(path, tmp_path / "all.zip", Choice())[0])
    for file in folder.glob("*.csv"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert not any(
                cell.lstrip('"').startswith(("=", "@", "+", "\t")) for cell in line.split(",")
            ), line
    assert "'=1+1 of P01" in (folder / "session.csv").read_text(encoding="utf-8")
    assert '"\'@SUM(1), said Ägypten"' in (folder / "marker.csv").read_text(encoding="utf-8")


def test_people_are_codes_and_consent_is_told(path: Path, tmp_path: Path) -> None:
    with write_transaction(path) as connection:
        connection.execute(
            "INSERT INTO audit (at, actor, action) VALUES (0, 'ada.lovelace', 'login')"
        )
    file = BUNDLE.export(path, tmp_path / "all.zip", Choice())[0]
    with zipfile.ZipFile(file) as archive:
        assert all(b"ada.lovelace" not in archive.read(name) for name in archive.namelist())
        people = archive.read("participant.csv").decode().splitlines()
    assert people[1].startswith("P01,") and people[2].split(",")[4].endswith("Z"), "withdrawn when"


def test_an_erased_participant_is_nowhere_in_it(path: Path, tmp_path: Path) -> None:
    erase_participant(path, "P01", actor="test")
    with zipfile.ZipFile(BUNDLE.export(path, tmp_path / "all.zip", Choice())[0]) as archive:
        for name in archive.namelist():
            assert b"P01" not in archive.read(name), name
        times = [
            int(line.split(",")[1]) for line in archive.read("vital.csv").decode().splitlines()[1:]
        ]
    assert not any(START_MS + 100_000 <= at < START_MS + 200_000 for at in times)


def test_the_share_that_is_done_rises_to_all(path: Path, tmp_path: Path) -> None:
    told: list[float] = []
    BUNDLE.export(path, tmp_path / "all.zip", Choice(), on_progress=told.append)
    assert told == sorted(told) and told[-1] > 0.95 and all(0 <= share <= 1 for share in told)


def test_a_file_that_is_there_already_stays(path: Path, tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_text("mine", encoding="ascii")
    with pytest.raises(StoreError, match="all.zip: is there already. Name a new file"):
        BUNDLE.export(path, tmp_path / "all.zip", Choice())
    with pytest.raises(StoreError, match="is a folder"):
        BUNDLE.export(path, tmp_path / "data", Choice())
    assert (tmp_path / "all.zip").read_text(encoding="ascii") == "mine"


def test_an_export_that_is_ended_midway_leaves_no_file(path: Path, tmp_path: Path) -> None:
    def enough(share: float) -> None:
        if share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        BUNDLE.export(path, tmp_path / "out" / "all.zip", Choice(), on_progress=enough)
    assert list((tmp_path / "out").iterdir()) == []


LIMITED = """
import resource, sys
from edge_agent.cli import main
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, most))  # SQLite itself needs 32 KiB
sys.argv = ["affect-edge", "export", "--data", sys.argv[1], "--out", sys.argv[2]]
try:
    main()
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # a measuring tool writes at the end
"""


def test_a_full_disk_is_said_and_leaves_nothing_half_written(path: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    add(path, readings=[reading(600 + second, rng.gauss(70, 9)) for second in range(3000)])
    out = tmp_path / "out"
    for name in ("all.zip", "folder"):
        command = [sys.executable, "-c", LIMITED, str(path.parent), str(out / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert (
            f"{out / name}: the disk is full. Free space, or name a folder on another disk."
        ) in done.stderr
        assert list(out.iterdir()) == []
