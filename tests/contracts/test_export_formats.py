"""Every export format: where it is listed, what it writes, and what it refuses without leaving
anything behind.
"""

from __future__ import annotations

import importlib.util
import re
import resource
import stat
import tomllib
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from affect_edge import cli
from dashboard.web.routes.export import NewExport
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.export.format import Audience, ExportFormat
from edge_agent.timeline.export.format_register import all_formats, format_named
from edge_agent.timeline.export.rows import ExportChoice
from tests.docs.pages import ROOT, text_of
from tests.support.timeline import reading, session_row, timeline

FORMATS = all_formats()
SESSION = ExportChoice((1,))
each_format = pytest.mark.parametrize("each", FORMATS, ids=lambda each: each.name)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a session of ten seconds."""
    return timeline(
        tmp_path_factory.mktemp("formats"), expression=range(10), session=[session_row(0, 10)]
    )


@pytest.fixture(scope="module")
def long_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a session whose export is larger than a small disk."""
    beats = [reading(s, 0.8 + s / 7, VitalKind.RR_INTERVAL) for s in range(10, 3000)]
    return timeline(
        tmp_path_factory.mktemp("long"),
        expression=range(900),
        vital=beats,
        session=[session_row(5, 3000)],
    )


def test_format_on_the_export_page_has_a_card_and_one_sentence_of_its_own() -> None:
    offered = [each for each in FORMATS if each.downloadable]
    assert {each.audience for each in offered} == set(Audience)
    assert FORMATS[0].audience is Audience.R_AND_PYTHON, "the card that is seen first"
    sentences = [each.description for each in FORMATS]
    assert len(set(sentences)) == len(FORMATS)
    assert all(re.fullmatch(r"[A-Z].*\.", one) and ". " not in one for one in sentences)


def test_format_list_of_documentation_api_and_command_is_the_registry() -> None:
    names = [each.name for each in FORMATS]
    assert names[0] == "bundle", "the format that is chosen first on the page"
    assert [format_named(name) for name in names] == list(FORMATS)
    table = text_of("docs/export.md").partition("| format |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == names
    schema = NewExport.model_json_schema()
    assert schema["$defs"]["Format"]["enum"] == names
    described = schema["properties"]["format"]["description"]
    shown = CliRunner().invoke(cli, ["export", "--help"], terminal_width=500).output
    shown = " ".join(shown.split())
    for each in FORMATS:
        assert (each.name in described) is each.downloadable
        assert f"{each.name}: {each.summary}." in shown


def test_format_that_is_unknown_is_refused_with_the_known_ones(path: Path) -> None:
    words = ["export", "--data", str(path.parent), "--out", "x", "--format", "no-such-format"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert all(each.name in done.output for each in FORMATS)


@each_format
def test_name_of_another_kind_of_file_is_refused(
    each: ExportFormat, path: Path, tmp_path: Path
) -> None:
    endings = sorted({one.ending for one in FORMATS} - {""} | {".zip"})
    assert endings == [
        ".csv",
        ".edf",
        ".json",
        ".ndjson",
        ".parquet",
        ".sav",
        ".sqlite",
        ".xlsx",
        ".zip",
    ]
    for ending in endings:
        if ending == (".zip" if each.is_folder else each.ending):
            continue
        out = tmp_path / f"all{ending.upper()}"
        words = ["--data", str(path.parent), "--out", str(out), "--format", each.name]
        done = CliRunner().invoke(cli, ["export", *words, "--session", "1"])
        assert (done.exit_code, "Name it" in done.output) == (2, True), done.output
        assert list(tmp_path.iterdir()) == []


@each_format
@pytest.mark.parametrize("name", ["all.zip", "study.2026", "v1.5/all"])
def test_name_that_says_no_other_kind_is_kept(
    each: ExportFormat, path: Path, tmp_path: Path, name: str
) -> None:
    if not each.is_folder and name.endswith(".zip"):
        name = f"all{each.ending}"
    out = tmp_path / name
    words = ["--data", str(path.parent), "--out", str(out), "--format", each.name]
    done = CliRunner().invoke(cli, ["export", *words, "--session", "1"])
    assert done.exit_code == 0, done.output
    assert out.is_dir() == (each.is_folder and out.suffix != ".zip")
    if out.suffix == ".zip":
        assert str(out) in done.stdout.splitlines()
        with zipfile.ZipFile(out) as packed:
            assert packed.testzip() is None and packed.namelist()
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [out]


@each_format
def test_format_given_a_session_writes_whole_files_alone(
    each: ExportFormat, path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "export"
    files = each.export(path, out, SESSION)
    assert all(file.stat().st_size > 0 for file in files)
    there = [file for file in out.parent.rglob("*") if file.is_file()]
    assert sorted(files) == sorted(there), "nothing half-done is left behind"
    assert out.is_dir() is each.is_folder


@each_format
def test_format_given_no_or_an_unknown_session_leaves_nothing(
    each: ExportFormat, path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "export"
    with pytest.raises(StudyError, match="99"):
        each.export(path, out, ExportChoice((99,)))
    if each.needs_sessions:
        with pytest.raises(StudyError, match=f"The format {each.name} takes sessions only"):
            each.export(path, out)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@each_format
def test_format_given_a_place_with_other_files_leaves_them(
    each: ExportFormat, path: Path, tmp_path: Path
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("mine", encoding="utf-8")
    with pytest.raises(StoreError, match=re.escape(str(tmp_path))):
        each.export(path, tmp_path, SESSION)
    assert note.read_text(encoding="utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [note]


# XlsxWriter leaves the open files of unfinished sheets to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@each_format
def test_format_on_a_full_disk_says_so_and_leaves_nothing(
    each: ExportFormat, long_path: Path, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))  # SQLite needs 32 KiB
    try:
        with pytest.raises(StoreError, match="Nothing was exported") as refused:
            each.export(long_path, tmp_path / "export", SESSION)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    if not each.library:
        words = "the disk is full. Free space, or name a folder on another disk."
        assert f"{tmp_path / 'export'}: {words}" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "each", [each for each in FORMATS if each.library], ids=lambda each: each.name
)
def test_format_without_its_library_says_how_to_install_it(
    each: ExportFormat, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    installed = each.packages or each.library
    with pytest.raises(StoreError) as refusal:
        each.export(path, tmp_path / "out", SESSION)
    said = str(refusal.value)
    assert f"{each.label} needs the library {each.library}" in said
    assert f"install.sh --with {each.extra}" in said and f"'.[{each.extra}]'" in said
    assert f"pipx inject affect-edge {installed}. Or use --format csv" in said
    assert not (tmp_path / "out").exists()
    # what is to be injected is what the extra installs
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [line.partition(">")[0] for line in project["optional-dependencies"][each.extra]]
    assert installed.split() == wanted
