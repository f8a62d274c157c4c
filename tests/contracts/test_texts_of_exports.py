"""Texts that begin with a sign, or look like something else, survive every export.

Of one study, each of whose texts a program may take for a formula, a number, a date, a truth value
or nothing: every format holds what was recorded, every reader of ours gives it back, both scripts
and the words of the README find the people and the tests of the page, and no cell that a
spreadsheet opens is a formula.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from affect_edge import cli
from dashboard.analysis.analyse import analyse
from dashboard.analysis.query import AnalysisQuery
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.results import AnalysisModel
from dashboard.commands.analyse_bundle import analyse_bundle_command
from edge_agent.core.csv_cells import SIGNS as SIGNS_OF_CSV
from edge_agent.core.study import AttributeUse
from edge_agent.timeline.export.format_register import format_named
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.people import agree_to_attributes
from tests.support.exports.readme import code_of
from tests.support.script_studies import printed_rows, shown_by
from tests.support.studies import HEART, States, add_session
from tests.support.timeline import Row, query, reading, timeline

SIGNS = ("=1+1", "+1", "-1", "@x", "'quoted", "'", "＝1")
LOOK_ALIKE = ("01", "1", "007", "1e3", "TRUE", "NA", "nan", "null", "2026-01-02", "n/a")
TEXTS = (*SIGNS, *LOOK_ALIKE)
LINES = "two lines,\n\nand a third"
"""An answer that somebody typed in a field of several lines."""
CODES = ("01", "1", "007", "7", "1e3", "1000", "NA", "TRUE", "1.0", "2026-01-02")
"""A code begins with a letter or digit."""
ASKED = (
    ("neutral", "+1", "'quoted", "01", "1", "NA"),
    ("neutral", "=1+1", "-1", "@x", "TRUE", "n/a"),
)
"""The states of each question; the first goes with the bundle."""
IN_R = r"""
options(digits = 12)
run <- function(words) {
  script <- new.env()
  script$commandArgs <- function(...) words
  sys.source("analysis.R", envir = script)
  cat("\n=====\n")
}
"""
"""Runs the script of a bundle several times in one R, which takes seconds to start."""
WIDE = """
both <- means[means$state %in% c("neutral", "+1"), c("participant", "state", "mean")]
both <- reshape(both, idvar = "participant", timevar = "state", direction = "wide")
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten people, each in every state once; the first session has every text in every place."""
    path = timeline(tmp_path_factory.mktemp("texts"))
    states = tuple(dict.fromkeys(state for asked in ASKED for state in asked))
    for number, code in enumerate(CODES):
        values: States = {
            state: {HEART: [60.0 + 3 * number + place * (1 + (number * place) % 5 / 7)]}
            for place, state in enumerate(states)
        }
        add_session(path, code, values)
        said = TEXTS[number]
        agree_to_attributes(path, code, AttributeUse.SHARED, actor=None, values={"hand": said})
    notes: list[Row] = [
        {"session": 1, "at": 3590 + place / 100, "kind": "note", "label": text}
        for place, text in enumerate(TEXTS)
    ]
    answers: list[Row] = [
        {"session": 1, "at": 3591 + place / 100, "turn": 1, "step": 1 + place, "kind": "free_text"}
        | {"stood_ms": 900, "question": f"q{place}", "wording": text, "value": text}
        for place, text in enumerate((*TEXTS, LINES))
    ]
    readings = [reading(3592 + n / 100, 70.0, source=text) for n, text in enumerate(TEXTS)]
    reasons: list[Row] = [
        {"session": 1, "from_ms": 3_580_000 + 10 * n, "to_ms": 3_580_010 + 10 * n, "reason": text}
        for n, text in enumerate(TEXTS)
    ]
    return timeline(path, marker=notes, trial=answers, vital=readings, exclusion=reasons)


@pytest.fixture(scope="module")
def bundle(study: Path) -> Path:
    """The unpacked bundle with the first question, as the command makes it."""
    question = study.parent / "question.json"
    question.write_text(json.dumps({"states": ASKED[0], "vital": ["heart_rate"]}))
    out = study.parent / "bundle.zip"
    words = ("export", "--out", out, "--question", question, "--data", study.parent)
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output or done.exception
    shutil.unpack_archive(out, study.parent / "bundle")
    return study.parent / "bundle"


def on_the_page(database: Path, states: tuple[str, ...]) -> AnalysisModel:
    return response_of(analyse(Reader(database), AnalysisQuery(states=states, vital=(HEART,))))


def words_of(states: tuple[str, ...]) -> list[str]:
    return ["--vital", "heart_rate", *(word for one in states for word in ("--states", one))]


@pytest.mark.parametrize("states", ASKED)
def test_analysis_py_of_such_labels_makes_the_tests_of_the_page(
    states: tuple[str, ...], study: Path, bundle: Path
) -> None:
    done = CliRunner().invoke(analyse_bundle_command, [str(bundle), *words_of(states), "--json"])
    assert done.exit_code == 0, done.output
    page = on_the_page(study, states)
    answer = AnalysisModel.model_validate_json(done.stdout)
    assert answer.comparisons == page.comparisons
    assert {one.n_both for one in page.comparisons} == {len(CODES)}


def test_r_finds_tests_and_people_of_the_page_by_script_and_readme(
    study: Path, bundle: Path
) -> None:
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    codes = code_of((bundle / "README.md").read_text(encoding="utf-8"))
    lines = [one for one in codes if "recorded(" in one and "<-" in one]
    means = [line for line in "\n".join(lines[1:]).splitlines() if line.startswith("means")]
    asked = [f"run({r_texts(words_of(states))})" for states in ASKED]
    told = [
        "cat(sort(unique(sessions$participant)), '=====', sep = '\\n')",
        "cat(levels(means$state), '=====', sep = '\\n')",
        WIDE,
        'print(t.test(both[["mean.+1"]], both$mean.neutral, paired = TRUE)$p.value)',
    ]
    code = "\n".join([IN_R, *asked, lines[0], *means, *told])
    place = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [program, "--vanilla", "-e", code],
        capture_output=True,
        check=False,
        timeout=120,
        cwd=bundle,
        env=place,
    )
    assert done.returncode == 0, done.stderr.decode()
    *printed, people, labels, p = done.stdout.decode().split("=====\n")
    pages = [on_the_page(study, states) for states in ASKED]
    assert [printed_rows(text) for text in printed] == [shown_by(page) for page in pages]
    assert set(people.split()) == set(CODES)
    assert set(labels.split()) == set(ASKED[0])
    (found,) = (
        one.p for one in pages[0].comparisons if (one.first, one.second) == ("+1", "neutral")
    )
    assert float(p.split()[-1]) == pytest.approx(found, rel=1e-9)


def r_texts(words: list[str]) -> str:
    return f"c({', '.join(json.dumps(word) for word in words)})"


def test_pandas_finds_people_and_states_by_the_readme(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = code_of((bundle / "README.md").read_text(encoding="utf-8"))
    (code,) = (one for one in codes if "import pandas" in one)
    monkeypatch.chdir(bundle)
    known: dict[str, Any] = {}
    exec(code, known)
    assert set(known["sessions"]["participant"]) == set(CODES)
    means = known["recorded"]("session_mean.csv", "state")
    assert set(means["state"]) == set(ASKED[0])
    assert set(known["recorded"]("marker.csv", "label")["label"]) >= set(TEXTS)


def test_no_cell_of_a_bundle_is_a_formula(bundle: Path) -> None:
    described = json.loads((bundle / "datapackage.json").read_text(encoding="utf-8"))
    numbers = {
        (one["path"], field["name"])
        for one in described["resources"]
        for field in one.get("schema", {}).get("fields", ())
        if field["type"] != "string"
    }
    tables = sorted(bundle.glob("*.csv"))
    assert {"session_mean.csv", "flow.csv", "marker.csv"} <= {file.name for file in tables}
    for file in tables:
        text = file.read_text(encoding="utf-8")
        for row in csv.DictReader(io.StringIO(text, newline="")):
            for name, value in row.items():
                is_safe = (file.name, name) in numbers or value[:1] not in (*"=+-@＝", "\t", "\r")
                assert is_safe, (file.name, name, value)


UNGUARDED = {
    "affect_edge/export.py": "the answer to a question in SQL, for programs",
    "affect_edge/pictures.py": "frames of a video: numbers, and words of ours",
    "affect_edge/video_pulse.py": "pulses of a video: numbers, and words of ours",
    "dashboard/computing/skin_response_table.py": "goes into another format, and into no file",
    "dashboard/web/brought_studies.py": "guards the texts alone: a number is read as it stands",
    "dashboard/web/routes/audit.py": "guards each line, and sends it at once",
    "edge_agent/core/csv_cells.py": "guards each cell",
}
"""Modules with a writer of CSV of their own, and why."""


def test_tables_are_written_by_the_function_that_guards_texts() -> None:
    texts = {
        file.as_posix(): text
        for room in ("affect_edge", "collector", "dashboard", "edge_agent")
        for file in Path(room).rglob("*.py")
        if "csv." in (text := file.read_text(encoding="utf-8"))
    }
    found = {
        path
        for path, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr in {"writer", "DictWriter"}
        if isinstance(node.value, ast.Name) and node.value.id == "csv"
    }
    assert found == set(UNGUARDED)


@pytest.mark.parametrize(
    ("file", "shape"),
    [
        ("dashboard/web/static/js/csv.js", r'const SIGNS = "(.*)";'),
        ("edge_agent/timeline/export/scripts/analysis.R", r"SIGNS <- c\((.*)\)"),
    ],
)
def test_signs_of_every_language_are_those_of_python(file: str, shape: str) -> None:
    (told,) = re.findall(shape, Path(file).read_text(encoding="utf-8"))
    signs = told if file.endswith(".js") else "".join(re.findall(r'"(.+?)"', told))
    assert set(signs.encode("latin-1", "backslashreplace").decode("unicode_escape")) == SIGNS_OF_CSV


def texts_in(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every text of the study, by where it stands."""
    asked = {
        "codes": "SELECT code FROM participant",
        "labels": "SELECT session, kind, label FROM marker",
        "answers": "SELECT question, wording, value FROM trial",
        "reasons": "SELECT from_ms, reason FROM exclusion",
        "attributes": "SELECT code, name, value FROM participant_attribute JOIN participant ON "
        "participant.id = participant",
        "sources": "SELECT at, source FROM vital",
    }
    return {name: sorted(query(database, sql)) for name, sql in asked.items()}


@pytest.mark.parametrize("name", ["bundle", "csv", "bids", "deposit"])
def test_study_exported_and_imported_again_has_the_same_texts_and_tests(
    name: str, study: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"export{format_named(name).suffix if name == 'bundle' else ''}"
    format_named(name).export(study, out)
    done = CliRunner().invoke(cli, ["import-study", str(out), "--data", str(tmp_path / "here")])
    assert done.exit_code == 0, done.output or done.exception
    assert "the codes 01 and 1 as one number" in done.stdout
    assert "More codes that programs misread: 2." in done.stdout
    here = tmp_path / "here" / "affect-edge.db"
    assert texts_in(here) == texts_in(study)
    for states in ASKED:
        assert shown_by(on_the_page(here, states)) == shown_by(on_the_page(study, states))


def test_tables_of_a_bundle_are_recognised_as_what_is_there(study: Path, bundle: Path) -> None:
    words = ["--data", str(study.parent), "--dry-run"]
    done = CliRunner().invoke(cli, ["import-vitals", str(bundle / "vital.csv"), *words])
    assert done.exit_code == 0, done.output or done.exception
    ((count,),) = query(study, "SELECT count(*) FROM vital")
    assert f"0 readings would be imported, {count} are there already." in done.stdout


Labels = Callable[[Path], set[str]]


def _of_json(folder: Path) -> set[str]:
    (file,) = folder.iterdir()
    return {row["label"] for row in json.loads(file.read_text())["tables"]["marker"]}


def _of_ndjson(folder: Path) -> set[str]:
    (file,) = folder.iterdir()
    rows = map(json.loads, file.read_text().splitlines())
    return {row["label"] for row in rows if row["table"] == "marker"}


def _of_parquet(folder: Path) -> set[str]:
    from pyarrow import parquet

    return set(parquet.read_table(next(folder.rglob("marker.parquet")))["label"].to_pylist())


def _of_sav(folder: Path) -> set[str]:
    import pyreadstat

    return set(pyreadstat.read_sav(str(next(folder.rglob("marker.sav"))))[0]["label"])


def _of_xlsx(folder: Path) -> set[str]:
    import openpyxl

    (file,) = folder.iterdir()
    heads, *rows = openpyxl.load_workbook(file)["marker"].iter_rows(values_only=True)
    return {row[heads.index("label")] for row in rows}


def _of_sqlite(folder: Path) -> set[str]:
    (file,) = folder.iterdir()
    with closing(sqlite3.connect(file)) as connection:
        return {label for (label,) in connection.execute("SELECT label FROM marker")}


READ: Mapping[str, Labels] = {
    "json": _of_json,
    "ndjson": _of_ndjson,
    "parquet": _of_parquet,
    "sav": _of_sav,
    "xlsx": _of_xlsx,
    "sqlite": _of_sqlite,
}


@pytest.mark.parametrize("name", READ)
def test_format_with_types_holds_labels_as_they_were_recorded(
    name: str, study: Path, tmp_path: Path
) -> None:
    form = format_named(name)
    form.export(study, tmp_path / "out" / f"export{'' if form.is_folder else form.suffix}")
    recorded = {label for (label,) in query(study, "SELECT label FROM marker")}
    assert READ[name](tmp_path / "out") == recorded


def test_bids_and_its_beats_hold_labels_without_an_apostrophe(study: Path, tmp_path: Path) -> None:
    format_named("bids").export(study, tmp_path / "bids")
    texts = set()
    for file in (tmp_path / "bids").rglob("sub-*.tsv"):
        lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
        texts |= {cell for line in lines for cell in line}
    assert texts >= (set(TEXTS) - {"n/a"}) | {" n/a"}
    assert not any(f"'{sign}" in texts for sign in SIGNS if sign != "'")


def test_bids_of_an_earlier_release_is_read_without_its_apostrophes(
    study: Path, tmp_path: Path
) -> None:
    format_named("bids").export(study, tmp_path / "bids")
    described = tmp_path / "bids" / "dataset_description.json"
    content = json.loads(described.read_text(encoding="utf-8"))
    assert content.pop("TextsAsRecorded") is True
    described.write_text(json.dumps(content), encoding="utf-8")
    for file in (tmp_path / "bids").rglob("*.tsv"):
        lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
        then = ("\t".join(f"'{one}" if one in SIGNS else one for one in line) for line in lines)
        file.write_text("".join(f"{line}\n" for line in then), encoding="utf-8")
    words = ("import-study", tmp_path / "bids", "--data", tmp_path / "here")
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output or done.exception
    assert texts_in(tmp_path / "here" / "affect-edge.db") == texts_in(study)
