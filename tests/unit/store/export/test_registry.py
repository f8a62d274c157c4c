"""The command, the API and the docs know every format."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from dashboard.web.routes.export import NewExport
from edge_agent.cli import cli
from edge_agent.core.errors import StudyError
from edge_agent.store.export.format import ExportFormat
from edge_agent.store.export.formats import all_formats, format_named
from edge_agent.store.export.rows import Choice
from tests.support.timed_session import study_with_session
from tests.support.timeline import database, row

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "export.md").read_text(encoding="utf-8")


def test_the_bundle_comes_first_and_an_unknown_format_is_no_format() -> None:
    assert all_formats()[0].name == "bundle", "the format that is chosen first on the page"
    with pytest.raises(KeyError):
        format_named("doc")


def test_the_page_of_the_documentation_lists_every_format_and_no_other() -> None:
    table = PAGE.partition("| format |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [e.name for e in all_formats()]


def test_the_api_describes_every_format() -> None:
    schema = NewExport.model_json_schema()
    described = schema["properties"]["format"]
    assert schema["$defs"]["Format"]["enum"] == [each.name for each in all_formats()]
    for each in all_formats():
        assert (each.name in described["description"]) is each.downloadable


def test_the_help_of_the_command_explains_every_format() -> None:
    shown = CliRunner().invoke(cli, ["export", "--help"], terminal_width=500).output
    for each in all_formats():
        assert f"{each.name}: {each.summary}." in shown


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with ten seconds of one face and one session."""
    made = database(tmp_path / "data", [row(second) for second in range(10)])
    study_with_session(made, [], end=10)
    return made


@pytest.mark.parametrize("each", all_formats(), ids=lambda each: each.name)
def test_every_format_writes_a_session(each: ExportFormat, path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "export"
    files = each.export(path, out, Choice((1,)))
    assert all(file.stat().st_size > 0 for file in files)
    if each.is_folder:
        assert sorted(files) == sorted(file for file in out.rglob("*") if file.is_file())
    else:
        assert files == [out]


@pytest.mark.parametrize(
    "each", [each for each in all_formats() if each.needs_sessions], ids=lambda each: each.name
)
def test_a_format_of_sessions_demands_one(each: ExportFormat, path: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=f"The format {each.name} takes sessions only"):
        each.export(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
