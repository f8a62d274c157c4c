"""All formats: listed everywhere, complete or not there, and none from a full disk."""

from __future__ import annotations

import json
import re
import resource
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dashboard.web.routes.export import NewExport
from edge_agent.cli import cli
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.vitals import VitalKind
from edge_agent.store.export.format import ExportFormat
from edge_agent.store.export.formats import all_formats, format_named
from edge_agent.store.export.rows import Choice
from tests.support.timeline import reading, session_row, timeline

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "export.md").read_text(encoding="utf-8")


def test_documentation_api_and_command_list_every_format_and_no_other() -> None:
    names = [each.name for each in all_formats()]
    assert names[0] == "bundle", "the format that is chosen first on the page"
    table = PAGE.partition("| format |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == names
    schema = NewExport.model_json_schema()
    assert schema["$defs"]["Format"]["enum"] == names
    described = schema["properties"]["format"]["description"]
    shown = CliRunner().invoke(cli, ["export", "--help"], terminal_width=500).output
    for each in all_formats():
        assert (each.name in described) is each.downloadable
        assert f"{each.name}: {each.summary}." in shown


@pytest.mark.parametrize("each", all_formats(), ids=lambda each: each.name)
def test_format_with_one_session_writes_complete_files(each: ExportFormat, tmp_path: Path) -> None:
    path = timeline(tmp_path / "data", expression=range(10), session=[session_row(0, 10)])
    out = tmp_path / "out" / "export"
    if each.needs_sessions:
        with pytest.raises(StudyError, match=f"The format {each.name} takes sessions only"):
            each.export(path, out)
        assert not out.parent.exists()
    files = each.export(path, out, Choice((1,)))
    assert all(file.stat().st_size > 0 for file in files)
    there = [file for file in out.parent.rglob("*") if file.is_file()]
    assert sorted(files) == sorted(there), "nothing half-done is left behind"
    assert out.is_dir() is each.is_folder


@pytest.mark.parametrize(("out", "there"), [("all.zip", "all.zip"), ("out", "out/vital.csv")])
def test_export_command_takes_the_format_from_the_file_name(
    tmp_path: Path, out: str, there: str
) -> None:
    timeline(tmp_path, session=[session_row(0, 10)])
    words = ["export", "--data", str(tmp_path), "--out", str(tmp_path / out)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert str(tmp_path / there) in done.stdout.splitlines() and (tmp_path / there).exists()
    assert "Exporting" not in done.output, "the bar is for terminals only"


def test_export_command_of_one_participant_names_them_in_the_description(tmp_path: Path) -> None:
    path = timeline(tmp_path / "data", expression=range(40), vital=range(40))
    for number in range(3):
        held = session_row(10 * number, 10 * number + 10, participant=f"P0{number + 1}")
        timeline(path, session=[held])

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, ["export", "--data", str(path.parent), *words])

    out = tmp_path / "out"
    assert run("--out", str(out), "--participant", "p02").exit_code == 0
    assert json.loads((out / "datapackage.json").read_text())["participant"] == "P02"
    for name, column, rows in (("participant", 0, 1), ("session", 1, 1), ("vital", 3, 10)):
        _, *lines = (out / f"{name}.csv").read_text().splitlines()
        assert [line.split(",")[column] for line in lines] == ["P02"] * rows, name
    assert run("--out", str(tmp_path / "p.zip"), "--participant", "P02").exit_code == 0
    with zipfile.ZipFile(tmp_path / "p.zip") as bundle:
        assert "1 session of the participant P02 alone" in bundle.read("README.md").decode()
    document = tmp_path / "p.json"
    run("--out", str(document), "--format", "json", "--participant", "P02")
    assert json.loads(document.read_text())["participant"] == "P02"
    everybody = tmp_path / "all"
    run("--out", str(everybody))
    assert "participant" not in json.loads((everybody / "datapackage.json").read_text())
    for words, problem in (
        (("--participant", "P09"), "participant = P09: has no session"),
        (("--participant", "P02", "--session", "1"), "leave out --session"),
    ):
        done = run("--out", str(tmp_path / "none"), *words)
        assert done.exit_code and problem in f"{done.output}{done.exception}"
    assert not (tmp_path / "none").exists()


# XlsxWriter leaves the open files of unfinished sheets to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["bundle", "csv", "edf", "sav", "xlsx"])
def test_export_on_a_full_disk_is_refused_and_leaves_no_file(tmp_path: Path, name: str) -> None:
    beats = [reading(s, 0.8 + s / 7, VitalKind.RR_INTERVAL) for s in range(10, 3000)]
    path = timeline(
        tmp_path / "data", expression=range(900), vital=beats, session=[session_row(5, 3000)]
    )
    folder = tmp_path / "out"
    folder.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))  # SQLite needs 32 KiB
    try:
        with pytest.raises(StoreError, match="Nothing was exported") as refused:
            format_named(name).export(path, folder / "export")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    if name in {"bundle", "csv"}:
        words = "the disk is full. Free space, or name a folder on another disk."
        assert f"{folder / 'export'}: {words}" in str(refused.value)
    assert list(folder.iterdir()) == []
