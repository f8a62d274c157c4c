"""A study exported here and imported elsewhere: the same numbers to the last digit."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from affect_edge import cli
from dashboard.__main__ import main as dashboard
from dashboard.analysis.query import StateBy
from edge_agent.core.clock import iso_utc
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.timeline.study.exclusions import leave_out
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.own_neutral import calibrate_session
from tests.support.timeline import query

IN_A_SESSION = "EXISTS (SELECT 1 FROM session WHERE started <= at AND at < ended)"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example study on one appliance, and its bundle beside it."""
    folder = tmp_path_factory.mktemp("there")
    database = folder / "affect-edge.db"
    migrate(database)
    seed_example_study(database, SimulatedPerson)
    leave_out(database, 12, None, reason="camera fell", actor="ada")
    ((start,),) = query(database, "SELECT started FROM session WHERE id = 3")
    leave_out(database, 3, (start + 60_000, start + 90_500), reason="-coughed", actor="ada")
    calibrate_session(database, 4, 20.5, 40.5)
    words = ["export", "--out", str(folder / "study.zip"), "--data", str(folder)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    return folder / "study.zip"


def unpacked(bundle: Path, folder: Path) -> Path:
    """Unpack the bundle without its long tables, for what is judged before they are read."""
    shutil.unpack_archive(bundle, folder)
    (folder / "datapackage.json").unlink()  # it tells the size of each
    for name in ("expression", "movement", "unfit", "vital"):
        file = folder / f"{name}.csv"
        file.write_text(file.read_text().partition("\n")[0] + "\n")
    return folder


def run(*words: object) -> Any:
    return CliRunner().invoke(cli, [str(word) for word in words])


def analysed(folder: Path, capsys: pytest.CaptureFixture[str], state: str) -> Any:
    words = ("--state", str(state), "--sensitivity", "--json", "--data", str(folder))
    assert dashboard(["analyse", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_bundle_imported_elsewhere_gives_the_same_rows_and_numbers(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run("import-study", bundle, "--data", tmp_path)
    assert done.exit_code == 0, done.output or done.exception
    assert "Imported: sessions 1 to 12." in done.stdout
    assert list((tmp_path / "exports").iterdir()) == [], "the staging database is gone"
    here = tmp_path / "affect-edge.db"
    there = bundle.parent / "affect-edge.db"
    for table, left_out in (
        ("participant", ()),
        ("consent", ()),
        ("session", ("origin", "boot", "boot_ms", "ended_boot", "ended_boot_ms")),
        ("marker", ("id", "boot", "boot_ms")),
        ("exclusion", ("id", "made", "actor")),
        ("self_report", ("id", "boot", "boot_ms")),
        ("own_neutral", ("id",)),
        ("expression", ("id", "boot", "boot_ms")),
        ("vital", ("boot", "boot_ms")),
    ):
        names = [row[1] for row in query(there, f"PRAGMA table_info({table})")]
        columns = ", ".join(name for name in names if name not in (*left_out, "import"))
        # a row at the very end of a session is outside of it, and not taken
        inside = f" WHERE {IN_A_SESSION}" if table in {"expression", "vital"} else ""
        sql = f"SELECT {columns} FROM {table}"
        rows = query(here, f"{sql} ORDER BY {columns}")
        assert rows == query(there, f"{sql}{inside} ORDER BY {columns}"), table
        assert rows, table
    for table, sums, rows_of in (
        ("expression", "sum(rows)", "expression WHERE is_primary"),
        ("vital", "sum(n + flagged)", "vital"),
    ):
        for length in ("minute", "hour"):
            told = query(here, f"SELECT {sums} FROM {table}_{length}")
            assert told == query(here, f"SELECT count(*) FROM {rows_of}"), (table, length)
    assert query(here, "SELECT DISTINCT origin FROM session") == [("import: study.zip",)]
    audit = query(here, "SELECT actor, action, detail FROM audit")
    assert audit == [("command line", "study_import", "study.zip: 12 sessions")]
    for state in StateBy:
        answer = analysed(tmp_path, capsys, state)
        assert answer == analysed(bundle.parent, capsys, state), state
        assert answer["comparisons"][0]["p"] is not None


@pytest.mark.parametrize(("column", "prior"), [("", "unknown"), ("balanced", "balanced")])
def test_model_table_of_the_first_release_has_an_unknown_prior(
    bundle: Path, tmp_path: Path, column: str, prior: str
) -> None:
    folder = unpacked(bundle, tmp_path / "unpacked")
    lines = [
        "kind,name,version,sha256,since_at,since_ms",
        "expression,fast,1.0.0,aa,,1764000000000",
    ]
    if column:
        lines = [f"{lines[0]},prior", f"{lines[1]},{column}"]
    (folder / "model.csv").write_text("\n".join(lines) + "\n")
    done = run("import-study", folder, "--data", tmp_path / "here")
    assert done.exit_code == 0, done.output or done.exception
    stored = query(tmp_path / "here/affect-edge.db", "SELECT name, since, prior FROM model")
    assert stored == [("fast", 1764000000000, prior)]


def test_a_dry_run_counts_every_file_and_writes_nothing(bundle: Path, tmp_path: Path) -> None:
    done = run("import-study", bundle, "--data", tmp_path, "--dry-run", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["imported"], report["problem_count"]) == (0, False, 0)
    with zipfile.ZipFile(bundle) as archive:
        for table, count in report["files"].items():
            lines = archive.read(f"{table}.csv").decode().count("\n") - 1
            assert count["rows"] == count["taken"] + count["outside_sessions"] == lines, table
    assert report["files"]["vital"]["taken"] > 6_000
    assert list(tmp_path.iterdir()) == []


def test_codes_that_are_taken_are_refused_until_a_prefix_is_given(
    bundle: Path, tmp_path: Path
) -> None:
    run("participant", "add", "sim-03", "--data", tmp_path)
    folder = unpacked(bundle, tmp_path / "unpacked")
    refused = run("import-study", folder, "--data", tmp_path)
    assert refused.exit_code == 1
    assert "the code SIM-03 is taken here" in refused.stdout
    assert query(tmp_path / "affect-edge.db", "SELECT count(*) FROM session") == [(0,)]
    done = run("import-study", folder, "--data", tmp_path, "--prefix", "LAB2-")
    assert done.exit_code == 0, done.output
    codes = query(tmp_path / "affect-edge.db", "SELECT code FROM participant ORDER BY id")
    assert codes == [("sim-03",), *((f"LAB2-SIM-{n:02d}",) for n in range(1, 13))]
    again = run("import-study", folder, "--data", tmp_path, "--prefix", "LAB3-")
    assert "session 1 meets session 1 of this database" in again.stdout


def test_who_was_erased_does_not_come_back_from_an_older_bundle(
    bundle: Path, tmp_path: Path
) -> None:
    assert run("import-study", bundle, "--data", tmp_path, "--leave-out", "SIM-01").exit_code == 0
    database = tmp_path / "affect-edge.db"
    assert query(database, "SELECT count(*) FROM session") == [(11,)]
    left = query(
        database, "SELECT count(*) FROM expression WHERE at < (SELECT min(started) FROM session)"
    )
    assert left == [(0,)]
    for number in range(2, 13):
        words = ("participant", "erase", f"SIM-{number:02d}", "--confirm", f"SIM-{number:02d}")
        assert run(*words, "--data", tmp_path).exit_code == 0
    again = run("import-study", unpacked(bundle, tmp_path / "unpacked"), "--data", tmp_path)
    assert again.exit_code == 1
    assert "SIM-02 was erased here, and does not come back" in again.stdout
    assert query(database, "SELECT count(*) FROM participant") == [(0,)]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("shift", "", "state: 'calibrated' does not fit"),
        ("temperature", "0", "state: 'calibrated' does not fit"),
        ("end_ms", "1700000000000", "do not follow in the session"),
        ("shift", "nan", "shift: 'nan' is no number"),
        ("state", "good", "is not one of asked, off, calibrated, refused"),
        ("session", "99", "is no session of the study"),
    ],
)
def test_own_neutral_that_contradicts_itself_is_refused(
    bundle: Path, tmp_path: Path, column: str, value: str, said: str
) -> None:
    folder = unpacked(bundle, tmp_path / "unpacked")
    head, line = (folder / "own_neutral.csv").read_text().splitlines()
    row = dict(zip(head.split(","), line.split(","), strict=True)) | {column: value}
    (folder / "own_neutral.csv").write_text(f"{head}\n{','.join(row.values())}\n")
    done = run("import-study", folder, "--data", tmp_path / "here")
    assert done.exit_code == 1
    assert said in done.output


def test_bundle_with_a_gap_that_ends_before_it_begins_is_imported(
    bundle: Path, tmp_path: Path
) -> None:
    folder = unpacked(bundle, tmp_path / "files")
    there = bundle.parent / "affect-edge.db"
    ((started,),) = query(there, "SELECT started + 1000 FROM session WHERE id = 3")
    file = folder / "gap.csv"
    header = file.read_text().splitlines()[0].split(",")
    known = {"source": "recorder", "reason": "not_written"}
    known |= {"start_ms": str(started), "end_ms": str(started - 700_000)}
    known |= {"start_at": iso_utc(started), "end_at": iso_utc(started - 700_000)}
    file.write_text(f"{','.join(header)}\n{','.join(known.get(column, '') for column in header)}\n")
    done = run("import-study", folder, "--data", tmp_path)
    assert done.exit_code == 0, done.output or done.exception
    spans = query(tmp_path / "affect-edge.db", "SELECT source, started, ended FROM gap")
    assert spans == [("recorder", started, started)]
