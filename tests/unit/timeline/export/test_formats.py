"""`affect-edge export`: the form by the name of the file, and one participant alone."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from tests.support.timeline import session_row, timeline


@pytest.mark.parametrize(("out", "there"), [("all.zip", "all.zip"), ("out", "out/vital.csv")])
def test_export_to_a_name_takes_the_form_from_it(tmp_path: Path, out: str, there: str) -> None:
    timeline(tmp_path, session=[session_row(0, 10)])
    words = ["export", "--data", str(tmp_path), "--out", str(tmp_path / out)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert str(tmp_path / there) in done.stdout.splitlines() and (tmp_path / there).exists()
    assert "Exporting" not in done.output, "the bar is for terminals only"


def test_export_of_one_participant_says_so_in_the_description(tmp_path: Path) -> None:
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
