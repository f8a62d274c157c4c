"""Exports: which files, which columns, which rows, and folders that cannot be written."""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.study import Purpose
from edge_agent.store.export import columns
from edge_agent.store.export.bundle import BUNDLE
from edge_agent.store.export.rows import Choice
from edge_agent.store.export.text_formats import CSV
from edge_agent.store.study.past import give_past_consent
from edge_agent.store.study.study import Study
from edge_agent.vitals.csv import read_readings
from tests.support.exports.full_study import full_study
from tests.support.timeline import START_MS, database, instant


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return full_study(tmp_path / "data")


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_export_has_the_documented_files_and_columns(path: Path, tmp_path: Path) -> None:
    files = CSV.export(path, tmp_path / "out")
    assert [file.name for file in files] == [f"{name}.csv" for name in columns.FILES] + [
        "datapackage.json"
    ]
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    for name, described in columns.FILES.items():
        header = (tmp_path / "out" / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0]
        assert header == ",".join(column.name for column in described)
    assert list(tmp_path.glob(".out*")) == [], "nothing half-done is left behind"


def test_expressions_say_emotion_probabilities_and_condition(path: Path, tmp_path: Path) -> None:
    CSV.export(path, tmp_path / "out")
    found = {int(r["at_ms"]) - START_MS: r for r in rows_of(tmp_path / "out", "expression")}
    assert len(found) == 50
    angry = found[130_000]
    unsure = found[260_000]
    assert (angry["emotion"], angry["anger"], angry["smoothed_anger"]) == ("anger", "860", "860")
    assert sum(int(angry[e]) for e in EMOTIONS) == 1000
    assert (angry["session"], angry["participant"], angry["condition"]) == ("1", "P01", "anger")
    assert (unsure["emotion"], unsure["session"], unsure["condition"]) == ("uncertain", "", "")
    assert angry["at"] == "2026-09-21T14:22:10.000Z"


def test_an_export_of_sessions_holds_only_what_lies_in_them(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    CSV.export(path, out, Choice((2,)))
    for name in ("expression", "vital", "episode"):
        assert {
            START_MS + 300_000 <= int(r.get("at_ms") or r["end_ms"]) < START_MS + 400_000
            for r in rows_of(out, name)
        } == {True}
    assert {r["participant"] for r in rows_of(out, "vital")} == {"P02"}
    assert [r["session"] for r in rows_of(out, "session")] == ["2"]
    assert [r["session"] for r in rows_of(out, "marker")] == ["2", "2"]
    assert [r["participant"] for r in rows_of(out, "participant")] == ["P02"]
    assert rows_of(out, "gap") == []


def test_an_export_of_a_range_holds_only_what_lies_in_it(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    CSV.export(path, out, Choice(None, START_MS + 125_000, START_MS + 310_000))
    seconds = [(int(r["at_ms"]) - START_MS) // 1000 for r in rows_of(out, "expression")]
    assert seconds == list(range(130, 310, 10))
    assert [r["session"] for r in rows_of(out, "session")] == ["1", "2"]
    assert [r["participant"] for r in rows_of(out, "participant")] == ["P01", "P02"]
    # and the start of the stimulus that goes on, without which nobody knows when it began
    markers = [(row["kind"], int(row["at_ms"]) - START_MS) for row in rows_of(out, "marker")]
    assert markers == [("stimulus_start", 120_000), ("note", 130_000)]
    assert [r["reason"] for r in rows_of(out, "gap")] == ["stalled"]
    (row,) = rows_of(out, "unfit")
    assert (row["reason"], row["frames"], row["participant"]) == ("too_dark", "9", "P01")
    both = tmp_path / "both"
    CSV.export(path, both, Choice((1,), START_MS + 185_000))
    assert [int(r["at_ms"]) - START_MS for r in rows_of(both, "expression")] == [190_000]


def test_an_export_of_everything_names_participants_without_sessions_too(
    path: Path, tmp_path: Path
) -> None:
    CSV.export(path, tmp_path / "out")
    people = [
        (row["participant"], row["consent_version"], bool(row["consent_withdrawn_at"]))
        for row in rows_of(tmp_path / "out", "participant")
    ]
    assert people == [("P01", "v1", False), ("P02", "v1", True), ("P03", "", False)]


def test_the_consent_that_stands_is_told_and_not_the_one_that_was_written_last(
    path: Path, tmp_path: Path
) -> None:
    Study(path).give_consent("P03", "new")
    give_past_consent(path, "P03", "old", clock.now().wall_ms - 86_400_000, actor="ada")
    CSV.export(path, tmp_path / "out")
    told = rows_of(tmp_path / "out", "participant")[-1]
    assert (told["consent_version"], told["consent_withdrawn_at"]) == ("new", "")
    Study(path).withdraw_consent("P03")
    CSV.export(path, tmp_path / "out")
    told = rows_of(tmp_path / "out", "participant")[-1]
    assert (told["consent_version"], told["consent_withdrawn_at"] != "") == ("new", True)


def test_an_open_session_is_exported_up_to_now(path: Path, tmp_path: Path) -> None:
    Study(path).start_session("P01", Purpose.RESEARCH, "", at=instant(450))
    CSV.export(path, tmp_path / "out", Choice((3,)))
    assert [int(r["at_ms"]) - START_MS for r in rows_of(tmp_path / "out", "expression")] == [
        450_000, 460_000, 470_000, 480_000, 490_000,
    ]  # fmt: skip
    assert rows_of(tmp_path / "out", "session")[0]["end_at"] == ""


def test_exported_vitals_can_be_imported_again(path: Path, tmp_path: Path) -> None:
    CSV.export(path, tmp_path / "out")
    readings = read_readings(tmp_path / "out" / "vital.csv")
    assert len(readings) == 51
    sources = {one.source.removeprefix("'") for one in readings}
    assert sources == {"strap", '=HYPERLINK("http://x.example","cuff")'}


def test_an_earlier_export_is_replaced(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    CSV.export(path, out)
    CSV.export(path, out, Choice((2,)))
    assert {r["participant"] for r in rows_of(out, "vital")} == {"P02"}


def _unpacked_bundle(path: Path, out: Path) -> None:
    BUNDLE.export(path, out.with_suffix(".zip"))
    with zipfile.ZipFile(out.with_suffix(".zip")) as archive:
        archive.extractall(out)


def _csv_with(name: str, text: str) -> Callable[[Path, Path], None]:
    """Return what makes an export as CSV and then adds or changes one file."""

    def make(path: Path, out: Path) -> None:
        CSV.export(path, out)
        with (out / name).open("a", encoding="utf-8") as file:
            file.write(text)

    return make


def _csv_with_a_folder(path: Path, out: Path) -> None:
    CSV.export(path, out)
    (out / "figures").mkdir()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (_unpacked_bundle, "README.md, analysis.R, analysis.py and "),
        (_csv_with("notes.txt", "mine"), "notes.txt would be lost"),
        (_csv_with("session.csv", "9,,,\n"), "session.csv would be lost"),
        (_csv_with("datapackage.json", "\n"), "would be lost"),
        (_csv_with_a_folder, "figures would be lost"),
    ],
)
def test_an_export_deletes_nothing_that_somebody_else_put_there(
    path: Path, tmp_path: Path, make: Callable[[Path, Path], None], named: str
) -> None:
    out = tmp_path / "out"
    make(path, out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    with pytest.raises(StoreError, match=named):
        CSV.export(path, out)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_an_empty_database_gives_files_with_only_their_headers(tmp_path: Path) -> None:
    CSV.export(database(tmp_path / "data"), tmp_path / "out")
    for name in columns.FILES:
        assert rows_of(tmp_path / "out", name) == []


def test_a_folder_that_holds_other_things_is_left_alone(path: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "datapackage.json").write_text("[]", encoding="ascii")
    with pytest.raises(
        StoreError, match="photos: is not empty, and datapackage.json would be lost .* Name a new"
    ):
        CSV.export(path, tmp_path / "photos")
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["datapackage.json"]


def test_a_file_in_place_of_the_folder_is_left_alone(path: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x", encoding="ascii")
    with pytest.raises(StoreError, match="out: is a file. Name a folder"):
        CSV.export(path, tmp_path / "out")
    with pytest.raises(StoreError, match="Nothing was exported|cannot be read"):
        CSV.export(path, tmp_path / "out" / "deeper")


def test_a_session_that_is_not_there_is_named_and_nothing_is_written(
    path: Path, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="There is no session 9. Sessions: 1, 2"):
        CSV.export(path, tmp_path / "out", Choice((1, 9)))
    assert not (tmp_path / "out").exists()


def test_a_missing_database_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        CSV.export(tmp_path / "affect-edge.db", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="needs a file system that nobody can write to"
)
def test_a_folder_that_cannot_be_written_is_said(path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"cannot be written.*Name another folder.*Nothing was exported"
    ):
        CSV.export(path, Path("/proc/self/fd") / "out" if os.getuid() == 0 else Path("/out"))
