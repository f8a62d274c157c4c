"""Exports as text: which rows, what a newer one replaces, and what cannot be exported."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
import tracemalloc
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import AffectEdgeError, StoreError
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.export.bundle import BUNDLE
from edge_agent.timeline.export.files import folder_beside
from edge_agent.timeline.export.format import ExportFormat
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.export.table_schemas import FILES
from edge_agent.timeline.export.text_formats import CSV, JSON, NDJSON
from edge_agent.timeline.study.past import give_past_consent
from edge_agent.timeline.study.sessions import Study
from edge_agent.vitals.csv_readings import read_readings
from tests.support.exports.full_study import full_study
from tests.support.timeline import START_MS, instant, reading, row, session_row, timeline

MEMORY_BYTES = 4_000_000
"""For three blocks of rows; a list of 12,000 rows takes more than twice as much."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return full_study(tmp_path / "data")


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def told(folder: Path, name: str, column: str) -> list[str]:
    return [row[column] for row in rows_of(folder, name)]


def seconds(folder: Path, name: str) -> list[int]:
    return [(int(at) - START_MS) // 1000 for at in told(folder, name, "at_ms")]


def test_an_export_of_sessions_replaces_an_earlier_one_and_holds_only_them(
    path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    CSV.export(path, out)
    assert told(out, "participant", "participant") == ["P01", "P02", "P03"]
    CSV.export(path, out, ExportChoice((2,)))
    assert seconds(out, "expression") == seconds(out, "vital") == list(range(300, 400, 10))
    assert set(told(out, "vital", "participant")) == {"P02"}
    assert told(out, "session", "session") == ["2"]
    assert told(out, "marker", "session") == ["2", "2"]
    assert told(out, "participant", "participant") == ["P02"]
    assert rows_of(out, "gap") == []


def test_an_export_of_a_range_holds_only_what_lies_in_it(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    CSV.export(path, out, ExportChoice(None, START_MS + 125_000, START_MS + 310_000))
    # One row between the others is of a face that nobody knows.
    assert seconds(out, "expression") == sorted([*range(130, 310, 10), 137])
    assert told(out, "session", "session") == ["1", "2"]
    assert told(out, "participant", "participant") == ["P01", "P02"]
    # and the start of the stimulus that goes on, without which nobody knows when it began
    assert told(out, "marker", "kind") == ["stimulus_start", "note"]
    assert seconds(out, "marker") == [120, 130]
    assert told(out, "gap", "reason") == ["stalled"]
    (rejected,) = rows_of(out, "unfit")
    said = (rejected["reason"], rejected["frames"], rejected["participant"])
    assert said == ("too_dark", "9", "P01")
    later = tmp_path / "later"  # the stimulus of session 1 is over
    CSV.export(path, later, ExportChoice(None, START_MS + 250_000))
    assert seconds(later, "marker") == [320, 330]
    both = tmp_path / "both"
    CSV.export(path, both, ExportChoice((1,), START_MS + 185_000))
    assert seconds(both, "expression") == [190]


def test_csv_participant_has_the_valid_consent_not_the_last_written(
    path: Path, tmp_path: Path
) -> None:
    Study(path).give_consent("P03", "new")
    give_past_consent(path, "P03", "old", clock.now().wall_ms - 86_400_000, actor="ada")
    CSV.export(path, tmp_path / "out")
    assert told(tmp_path / "out", "participant", "consent_version") == ["1", "1", "new"]
    withdrawn = told(tmp_path / "out", "participant", "consent_withdrawn_at")
    assert [bool(one) for one in withdrawn] == [False, True, False]
    Study(path).withdraw_consent("P03")
    CSV.export(path, tmp_path / "out")
    assert told(tmp_path / "out", "participant", "consent_version")[-1] == "new"
    assert told(tmp_path / "out", "participant", "consent_withdrawn_at")[-1]


def test_an_open_session_is_exported_up_to_now(path: Path, tmp_path: Path) -> None:
    Study(path).start_session(NewSession("P01", Purpose.RESEARCH), at=instant(450))
    CSV.export(path, tmp_path / "out", ExportChoice((3,)))
    assert seconds(tmp_path / "out", "expression") == list(range(450, 500, 10))
    assert told(tmp_path / "out", "session", "end_at") == [""]


def test_exported_vitals_can_be_imported_again(path: Path, tmp_path: Path) -> None:
    CSV.export(path, tmp_path / "out")
    readings = read_readings(tmp_path / "out" / "vital.csv")
    assert len(readings) == 51
    sources = {one.source.removeprefix("'") for one in readings}
    assert sources == {"strap", '=HYPERLINK("http://x.example","cuff")'}
    assert {one.error for one in readings} == {None, 2.5}


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


def contents(folder: Path) -> dict[Path, bytes]:
    files = (*folder.glob("out"), *folder.glob("out/**/*"))
    return {file: file.read_bytes() for file in files if file.is_file()}


def _another_package(_: Path, out: Path) -> None:
    out.mkdir()
    (out / "datapackage.json").write_text("[]")


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (_unpacked_bundle, "README.md, analysis.R, analysis.py and "),
        (_csv_with("notes.txt", "mine"), "notes.txt would be lost"),
        (_csv_with("session.csv", "9,,,\n"), "session.csv would be lost"),
        (_csv_with("datapackage.json", "\n"), "would be lost"),
        (_csv_with_a_folder, "figures would be lost"),
        (_another_package, "out: is not empty, and datapackage.json would be lost .* Name a new"),
        (lambda _, out: out.write_text("x"), "out: is a file. Name a folder"),
    ],
)
def test_an_export_deletes_nothing_that_somebody_else_put_there(
    path: Path, tmp_path: Path, make: Callable[[Path, Path], None], named: str
) -> None:
    out = tmp_path / "out"
    make(path, out)
    before = contents(tmp_path)
    with pytest.raises(StoreError, match=named):
        CSV.export(path, out)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("source", "out", "choice", "said"),
    [
        (
            "data/affect-edge.db",
            "out",
            ExportChoice((1, 9)),
            "There is no session 9. Sessions: 1, 2",
        ),
        ("affect-edge.db", "out", None, "there is no database"),
        ("data/affect-edge.db", "data/affect-edge.db/deeper", None, "Nothing was exported|be read"),
        pytest.param(
            "data/affect-edge.db",
            "/proc/self/fd/out" if os.getuid() == 0 else "/out",
            None,
            "cannot be written.*Name another folder.*Nothing was exported",
            marks=pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux only"),
        ),
    ],
)
def test_what_cannot_be_exported_is_reported_and_nothing_is_written(
    path: Path, tmp_path: Path, source: str, out: str, choice: ExportChoice | None, said: str
) -> None:
    assert path.is_file()
    with pytest.raises(AffectEdgeError, match=said):
        CSV.export(tmp_path / source, tmp_path / out, choice)
    assert [one.name for one in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("export", [NDJSON, CSV, BUNDLE], ids=lambda one: one.name)
def test_export_deletes_what_a_killed_one_left_and_nothing_else(
    path: Path, tmp_path: Path, export: ExportFormat
) -> None:
    out = tmp_path / f"out{export.suffix}"
    code = (
        "import os, sys; from pathlib import Path\n"
        "from edge_agent.timeline.export.files import new_file, new_folder\n"
        f"with {'new_folder' if export.is_folder else 'new_file'}(Path(sys.argv[1])): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    [left] = tmp_path.glob(".out*")
    other, young = tmp_path / ".out2.csv-abc.part", tmp_path / f".{out.name}-abc.part"
    link, theirs = tmp_path / f".{out.name}-link.part", tmp_path / "theirs"
    for folder in (other, young, theirs):
        folder.mkdir()
    link.symlink_to(theirs)
    for folder in (left, other, theirs):
        os.utime(folder, (0, 0))
    with folder_beside(out) as used:
        os.utime(used, (0, 0))
        export.export(path, out, ExportChoice((1,)))
        assert used.exists()
    assert sorted(tmp_path.glob(".*")) == sorted([other, young, link]) and out.exists()


def test_ndjson_lines_hold_the_rows_and_types_of_the_json_document(tmp_path: Path) -> None:
    rows = [row(second) for second in range(10)]
    readings = [reading(second + 0.5, 60 + second / 7) for second in range(10)]
    readings.append(reading(11, math.inf, source="=broken\nstrap"))
    path = timeline(
        tmp_path / "data",
        expression=rows,
        vital=readings,
        session=[session_row(0, 5, name="films, Ägypten")],
    )
    (lines,) = NDJSON.export(path, tmp_path / "all.ndjson")
    (document,) = JSON.export(path, tmp_path / "all.json")
    tables = defaultdict(list)
    for line in lines.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        tables[values.pop("table")].append(values)
    said = json.loads(document.read_bytes())
    assert set(said["tables"]) == set(said["schemas"]) == set(FILES)
    assert tables == {name: rows for name, rows in said["tables"].items() if rows}
    vitals = tables["vital"]
    assert (vitals[0]["value"], vitals[0]["session"], vitals[9]["session"]) == (60.0, 1, None)
    assert vitals[10]["value"] is None, "JSON knows no infinity"
    assert vitals[10]["source"] == "=broken\nstrap", "one line, whatever a name holds"
    assert tables["session"][0]["name"] == "films, Ägypten"


def test_ndjson_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    path = timeline(tmp_path / "data", vital=range(12_000))
    tracemalloc.start()
    try:
        (file,) = NDJSON.export(path, tmp_path / "all.ndjson")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(file.read_text(encoding="utf-8").splitlines()) == 12_000
    assert most < MEMORY_BYTES
