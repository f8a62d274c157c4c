"""The two scripts of a bundle print the numbers of the Analysis page, from the CSV files alone."""

from __future__ import annotations

import csv
import io
import math
import random
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from dashboard.analysis.analyse import analyse
from dashboard.analysis.present.response import response_of
from dashboard.analysis.present.schemas import AnalysisModel, ComparisonModel
from dashboard.analysis.present.supplement_text import all_states_sentence
from dashboard.analysis.present.table import groups_of
from dashboard.analysis.request import AnalysisQuery
from dashboard.statistics import benjamini_hochberg, holm
from edge_agent.core.readings import VitalFlag
from edge_agent.store.database.schema import migrate, write_transaction
from edge_agent.store.export.formats.bundle import FORMAT as BUNDLE
from edge_agent.store.export.rows.selection import Choice
from edge_agent.store.export.scripts import analysis as script
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.example_study import seed_example_study
from edge_agent.store.study.protocol_runs import SelfReport, insert_reports
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.studies import DIASTOLIC, HEART, SYSTOLIC, States, add_session
from tests.support.timeline import instant

DIGITS = 1e-9
Bundles = Callable[[Callable[[Path], None]], tuple[Path, Path]]
"""Gives database and unpacked bundle of a study, from what makes it."""
STATES = ("anger", "happiness", "neutral")


def example(path: Path) -> None:
    """The example study."""
    migrate(path)
    seed_example_study(path, SimulatedPerson)


def few(path: Path) -> None:
    """Ties, a constant difference, missing states, other labels, flags, several sessions, groups
    without pairs.
    """
    rng = random.Random(3)
    for number in range(9):
        code = f"P-{number:02d}"
        states = (
            ("Anger", "HAPPINESS ", "neutral")
            if number < 5
            else (("anger",) if number < 7 else ("neutral",))
        )
        values: States = {
            state: {
                HEART: [float(60 + (number * 3 + len(state)) % 7)],  # ties
                # the same difference in everybody
                SYSTOLIC: [110.0 + number + (5.0 if state == "Anger" else 0.0)],
                DIASTOLIC: [70 + rng.gauss(0, 8) for _ in range(3)],
            }
            for state in states
        }
        add_session(path, code, {**values, "disgust": {HEART: [99.0]}})
    add_session(path, "P-00", {"anger": {HEART: [90.5, 91.25]}})
    add_session(path, "P-01", {"anger": {HEART: [260.0]}}, flags=[VitalFlag.OUT_OF_RANGE])
    add_session(path, "P-02", {"neutral": {HEART: [55.0]}}, flags=[VitalFlag.ESTIMATED])
    with write_transaction(path) as connection:
        for session in range(1, 6):
            start = 3600.0 * (session - 1)
            said = [
                SelfReport(instant(start + 10 + 300 * n + 250), state, "emotion", state)
                for n, state in enumerate(STATES)
            ]
            insert_reports(
                connection,
                session,
                [*said, SelfReport(instant(start + 270), "anger", "valence", 3)],
            )


def groups(path: Path) -> None:
    """Nobody has two states: Welch's test of groups of unequal size and spread."""
    rng = random.Random(5)
    for place, (state, people, spread) in enumerate(
        (("anger", 4, 9.0), ("happiness", 7, 2.0), ("neutral", 5, 4.0))
    ):
        for number in range(people):
            readings = {
                kind: [rng.gauss(80 + 4 * place, spread)] for kind in (HEART, SYSTOLIC, DIASTOLIC)
            }
            add_session(path, f"{state[0].upper()}-{number}", {state: readings})


def many(path: Path) -> None:
    """So many people that ranks are no longer counted one by one.

    Values far from and near each other.
    """
    rng = random.Random(8)
    for number in range(55):
        states: States = {
            state: {
                HEART: [rng.gauss(70, 9)],
                SYSTOLIC: [1e12 * rng.lognormvariate(0, 1)],
                DIASTOLIC: [1e-9 * rng.random()],
            }
            for state in STATES
        }
        add_session(path, f"P-{number:02d}", states)


def nobody(path: Path) -> None:
    """No session."""
    migrate(path)


@dataclass(frozen=True)
class Question:
    """What is asked of page and scripts alike."""

    make: Callable[[Path], None]
    words: tuple[str, ...] = ()

    @property
    def query(self) -> AnalysisQuery:
        given: dict[str, object] = {}
        words = list(self.words)
        while words:
            name = words.pop(0).removeprefix("--").replace("-", "_")
            given[name] = True if name in {"leave_out_flagged", "estimated"} else words.pop(0)
        if "session" in given:
            given |= {"sample": "selected", "session": (given["session"],)}
        return AnalysisQuery.model_validate(given)


QUESTIONS = {
    "example": Question(example),
    "example-observed": Question(example, ("--state", "observed")),
    "example-reported": Question(
        example, ("--state", "reported", "--correction", "benjamini_hochberg")
    ),
    "few": Question(few, ("--bound-heart-rate", "2.5", "--bound-pressure", "1")),
    "few-without-flagged": Question(few, ("--leave-out-flagged", "--estimated")),
    "few-reported": Question(few, ("--state", "reported", "--design", "paired")),
    "groups": Question(groups, ("--design", "independent")),
    "many": Question(many),
    "nobody": Question(nobody),
    "one-session": Question(few, ("--session", "1")),
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Makes each study once: its database, and the folder of its unpacked bundle."""
    made: dict[Callable[[Path], None], tuple[Path, Path]] = {}

    def bundle_of(make: Callable[[Path], None]) -> tuple[Path, Path]:
        if make not in made:
            folder = tmp_path_factory.mktemp(make.__name__)
            make(folder / "affect-edge.db")
            file = BUNDLE.export(folder / "affect-edge.db", folder / "bundle.zip", Choice())[0]
            with zipfile.ZipFile(file) as archive:
                archive.extractall(folder / "bundle")
            made[make] = folder / "affect-edge.db", folder / "bundle"
        return made[make]

    return bundle_of


def in_python(folder: Path, words: Sequence[str]) -> str:
    """What ``analysis.py`` prints, run in this process."""
    said: list[str] = []
    script.main([str(folder), *words], said.append)
    return "".join(said)


def in_r(folder: Path, words: Sequence[str]) -> str:
    """What ``analysis.R`` prints."""
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    command = [program, "--vanilla", str(folder / "analysis.R"), *words]
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        timeout=120,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode("utf-8")


def shown_by(answer: AnalysisModel) -> list[tuple[str, ...]]:
    """The rows of the page's table of tests."""
    rows = [row for group in groups_of(answer) for row in group.rows]
    names = (
        *(
            "comparison",
            "test",
            "n",
            "left_out",
            "difference",
            "interval",
            "t",
            "df",
            "p",
            "adjusted_p",
            "g",
        ),
        *("g_interval", "shapiro", "rank", "adjusted_rank", "equivalence"),
        *("adjusted_equivalence", "needed"),
    )
    return [tuple(getattr(row, name) for name in names) for row in rows]


def printed_rows(text: str) -> list[tuple[str, ...]]:
    """The same rows as a script printed them."""
    lines = [
        tuple(cell.strip() for cell in line.split("|"))
        for line in text.splitlines()
        if " | " in line
    ]
    width = len(lines[0])
    return [line + ("",) * (width - len(line)) for line in lines[1:]]


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("run", [in_python, in_r], ids=["python", "r"])
def test_a_script_prints_the_table_of_the_page(
    run: Callable[[Path, Sequence[str]], str],
    name: str,
    bundles: Bundles,
) -> None:
    question = QUESTIONS[name]
    database, folder = bundles(question.make)
    found = analyse(Reader(database), question.query)
    text = run(folder, question.words)
    assert printed_rows(text) == shown_by(response_of(found))
    for states in found.all_states:
        anova = states.comparison.anova
        figures = [line for line in text.splitlines() if line.startswith("all three states: ")]
        if anova is not None:
            sentence = all_states_sentence(states)
            assert any(line.removeprefix("all three states: ") in sentence for line in figures), (
                sentence,
                figures,
            )


def test_the_script_adjusts_each_p_to_the_very_number_of_the_page() -> None:
    rng = random.Random(5)
    families = [[0.0, 0.0, 0.99], *([rng.random() for _ in range(9)] for _ in range(200))]
    for family in families:
        tests = [script.Test("heart_rate", "anger", "neutral", 12, p=p) for p in family]
        script.adjust(tests)
        assert [test.bh_p for test in tests] == list(benjamini_hochberg(family))
        assert [test.holm_p for test in tests] == list(holm(family))


FULL = ("example", "few", "groups", "many")


def numbers_of(test: ComparisonModel) -> dict[str, float | None]:
    """The numbers of one comparison under the names that the scripts give them."""
    found: dict[str, float | None] = {
        name: getattr(test, name) for name in ("t", "df", "p", "holm_p", "bh_p", "g")
    }
    found["difference"] = test.difference
    for name, interval in (("", test.interval), ("g_", test.g_interval)):
        found[f"{name}low"] = None if interval is None else interval.low
        found[f"{name}high"] = None if interval is None else interval.high
    found["rank"] = None if test.rank is None else test.rank.p
    found["equivalence"] = None if test.equivalence is None else test.equivalence.p
    found["needed"] = None if test.needed is None else test.needed.n
    by_family = test.needed_in_family
    found["needed_in_family"] = None if by_family is None else by_family.n
    adjustment = "holm" if test.adjusted_p == test.holm_p else "bh"
    found[f"rank_{adjustment}_p"] = test.rank_adjusted_p
    found[f"equivalence_{adjustment}_p"] = test.equivalence_adjusted_p
    return found


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("run", [in_python, in_r], ids=["python", "r"])
def test_every_number_of_a_script_agrees_with_the_page_to_nine_digits(
    run: Callable[[Path, Sequence[str]], str],
    name: str,
    bundles: Bundles,
) -> None:
    question = QUESTIONS[name]
    database, folder = bundles(question.make)
    answer = response_of(analyse(Reader(database), question.query))
    rows = csv.DictReader(io.StringIO(run(folder, [*question.words, "--csv"])))
    found = {(row["vital"], row["comparison"], row["name"]): row["value"] for row in rows}
    for test in answer.comparisons:
        of = (test.vital.value, f"{test.first}-{test.second}")
        for key, expected in numbers_of(test).items():
            value = found[*of, key]
            scale = abs(test.interval.high - test.interval.low) if test.interval else 1.0
            if expected is None:
                assert value == "", (of, key)
            else:
                slack = DIGITS * (scale if key in {"difference", "low", "high"} else 1.0)
                assert math.isclose(float(value), expected, rel_tol=DIGITS, abs_tol=slack), (
                    of,
                    key,
                    value,
                    expected,
                )


def test_the_script_runs_where_the_bundle_was_unpacked(
    bundles: Bundles,
) -> None:
    _, folder = bundles(example)
    command = [sys.executable, "-I", str(folder / "analysis.py")]
    done = subprocess.run(
        command, capture_output=True, check=True, timeout=60, cwd="/", env={"LC_ALL": "C"}
    )
    assert done.stdout.decode("utf-8") == in_python(folder, ())


def test_what_a_script_cannot_do_is_said(tmp_path: Path, bundles: Bundles) -> None:
    _, folder = bundles(few)
    with pytest.raises(SystemExit, match="There is no session 99. Sessions: 1, 2, 3"):
        in_python(folder, ["--session", "99"])
    with pytest.raises(SystemExit, match=r"vital_kind.csv: no such file. Unpack the whole zip"):
        in_python(tmp_path, [])


DAMAGES: dict[str, tuple[Callable[[str], str], str]] = {
    "a word for a number": (
        lambda text: re.sub(r",(\d+\.\d+),", ",abc,", text, count=1),
        "value is 'abc'",
    ),
    "infinity": (lambda text: re.sub(r",(\d+\.\d+),", ",inf,", text, count=1), "value is 'inf'"),
    "semicolons": (lambda text: text.replace(",", ";"), "there is no column session, at_ms, value"),
    "cut off in a row": (lambda text: text[: text.rindex(",")].rpartition(",")[0], "vital.csv"),
    "no heads": (lambda text: text.split("\n", 1)[1], "there is no column session"),
    "an open quote": (lambda text: text.replace("\n", '\n"', 1), "vital.csv"),
    "nothing": (lambda _: "", "there is no column session"),
}
"""Damaged forms of ``vital.csv``, and what is said of each."""


@pytest.mark.parametrize("fault", DAMAGES)
def test_a_damaged_file_gives_no_numbers(fault: str, tmp_path: Path, bundles: Bundles) -> None:
    _, whole = bundles(few)
    folder = Path(shutil.copytree(whole, tmp_path / "bundle"))
    damage, said = DAMAGES[fault]
    text = (whole / "vital.csv").read_text("utf-8")
    assert damage(text) != text
    (folder / "vital.csv").write_text(damage(text), encoding="utf-8")
    for command in ([sys.executable, "analysis.py"], ["Rscript", "analysis.R"]):
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=60, cwd=folder, text=True
        )
        assert done.returncode != 0 and done.stdout == "", command
        assert (
            said in done.stderr
            and "vital.csv" in done.stderr
            and "Unpack the whole zip again" in done.stderr
        )
        assert "Traceback" not in done.stderr and "Execution halted" not in done.stderr
