"""The two scripts of a bundle print the numbers of the Analysis page, from the CSV files alone."""

from __future__ import annotations

import csv
import io
import math
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dashboard.analysis.analyse import analyse
from dashboard.analysis.answer import response_of
from dashboard.analysis.checks import FaceReading
from dashboard.analysis.heart import HeartValue, HeartValues, compare_heart
from dashboard.analysis.request import (
    HEART_NAMES,
    AnalysisQuery,
    Design,
    HeartMeasure,
    Outcome,
    StateBy,
)
from dashboard.analysis.results import AnalysisModel, ComparisonModel
from dashboard.analysis.say.method import all_states_sentence
from dashboard.analysis.say.tables import bundle_tables, groups_of
from dashboard.commands.analyse_bundle import analyse_bundle_command
from dashboard.commands.analyse_bundle import main as analyse_bundle
from dashboard.statistics.period import Recall
from edge_agent import __version__
from edge_agent.core.expression import Emotion
from edge_agent.store.read.reader import Reader
from tests.support.script_studies import QUESTIONS, example, few, rested, unpacked

DIGITS = 1e-9
Bundles = Callable[[Callable[[Path], None]], tuple[Path, Path]]
"""Gives database and unpacked bundle of a study, from what makes it."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Makes each study once: its database, and the folder of its unpacked bundle."""
    made: dict[Callable[[Path], None], tuple[Path, Path]] = {}

    def bundle_of(make: Callable[[Path], None]) -> tuple[Path, Path]:
        if make not in made:
            made[make] = unpacked(make, tmp_path_factory.mktemp(make.__name__))
        return made[make]

    return bundle_of


def in_python(folder: Path, words: Sequence[str]) -> str:
    """Return the output of ``analysis.py`` after its first line, run in this process."""
    done = CliRunner().invoke(analyse_bundle_command, [str(folder), *words])
    assert done.exit_code == 0, done.output
    computed, _, table = done.stdout.partition("\n")
    if "--csv" in words:
        return done.stdout
    assert computed == f"Computed by affect-edge {__version__}."
    return table


def in_r(folder: Path, words: Sequence[str]) -> str:
    """What ``analysis.R`` prints."""
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    command = [program, "--vanilla", str(folder / "analysis.R"), *words]
    place = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, env=place)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode("utf-8")


BOTH = (pytest.param(in_python, id="python"), pytest.param(in_r, id="r", marks=pytest.mark.deep))


def by_name(names: Iterable[str]) -> list[Any]:
    """Return each script with each name; R, which takes a second to start, with one of them."""
    found = []
    for name in names:
        found.append(pytest.param(in_python, name, id=f"python-{name}"))
        marks = () if name == "example" else pytest.mark.deep
        found.append(pytest.param(in_r, name, id=f"r-{name}", marks=marks))
    return found


def shown_by(answer: AnalysisModel) -> list[tuple[str, ...]]:
    """The rows of the page's table of tests."""
    rows = [row for group in groups_of(answer) for row in group.rows]
    names = (
        "comparison", "test", "n", "left_out", "difference", "interval", "t", "df", "p",
        "adjusted_p", "g", "g_interval", "shapiro", "rank", "adjusted_rank", "equivalence",
        "adjusted_equivalence", "needed", "bayes_factor",
    )  # fmt: skip
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


@pytest.mark.parametrize(("run", "name"), by_name(QUESTIONS))
def test_a_script_prints_the_table_of_the_page(
    run: Callable[[Path, Sequence[str]], str], name: str, bundles: Bundles
) -> None:
    question = QUESTIONS[name]
    database, folder = bundles(question.make)
    found = analyse(Reader(database), question.query)
    text = run(folder, question.words)
    assert printed_rows(text) == shown_by(response_of(found))
    for states in found.all_states:
        anova = states.comparison.anova
        figures = [line for line in text.splitlines() if line.startswith("all ")]
        if anova is not None:
            sentence = all_states_sentence(states)
            assert any(line.partition(": ")[2] in sentence for line in figures), (sentence, figures)


FULL = ("equal", "example", "example-families", "few", "sessions", "groups", "many", "tenths")


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
    found["log_bf"] = None if test.bayes_factor is None else test.bayes_factor.log_for_difference
    found["needed"] = None if test.needed is None else test.needed.n
    by_family = test.needed_in_family
    found["needed_in_family"] = None if by_family is None else by_family.n
    adjustment = "holm" if test.adjusted_p == test.holm_p else "bh"
    found[f"rank_{adjustment}_p"] = test.rank_adjusted_p
    found[f"equivalence_{adjustment}_p"] = test.equivalence_adjusted_p
    return found


@pytest.mark.parametrize(("run", "name"), by_name(FULL))
def test_every_number_of_a_script_agrees_with_the_page_to_nine_digits(
    run: Callable[[Path, Sequence[str]], str], name: str, bundles: Bundles
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
                is_close = math.isclose(float(value), expected, rel_tol=DIGITS, abs_tol=slack)
                assert is_close, (of, key, value, expected)


def run_script(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``analysis.py`` of a bundle as people do; it must find its files by itself."""
    command = [sys.executable, *words, str(script)]
    return subprocess.run(
        command, capture_output=True, check=False, cwd="/", env={"LC_ALL": "C"}, encoding="utf-8"
    )


def test_the_script_says_which_version_computed_its_numbers(bundles: Bundles) -> None:
    _, folder = bundles(example)
    done = run_script(folder / "analysis.py", "-I")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Computed by affect-edge {__version__}.\n{in_python(folder, ())}"


def test_without_the_package_the_script_says_how_to_install_it(bundles: Bundles) -> None:
    _, folder = bundles(example)
    done = run_script(folder / "analysis.py", "-I", "-S")  # -S: no installed packages
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    for words in ("pip install", "Rscript analysis.R", "needs nothing of Affect Edge"):
        assert words in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--session", "99"), 1, "There is no session 99. Sessions: 1, 2, 3"),
        (("--family", "pulse"), 2, "'pulse' is not tested"),
        (("--family", "heart_rate: anger"), 2, "names fewer than two states"),
        (("--family", "heart_rate: anger, disgust"), 2, "'disgust' is not compared"),
        (("--family", "all", "--family", "heart_rate: anger, neutral"), 2, "is in two families"),
        (("--states", "anger"), 2, "states = anger"),
        (("--heart",), 1, "heart_measure.csv: no such file. Unpack the whole zip"),
    ],
)
def test_what_the_script_cannot_do_is_said(
    words: tuple[str, ...], code: int, said: str, bundles: Bundles, capsys: Any
) -> None:
    _, folder = bundles(few)
    assert analyse_bundle([str(folder), *words]) == code
    assert said in capsys.readouterr().err


def with_tables(
    database: Path, folder: Path, query: AnalysisQuery, face: FaceReading | None
) -> Any:
    """Put what the analysis adds to a bundle beside its rows; return the analysis."""
    found = analyse(Reader(database), query, face)
    for name, text in bundle_tables(found).items():
        (folder / name).write_text(text, encoding="utf-8")
    return found


@pytest.mark.parametrize("run", BOTH)
def test_by_observed_emotion_the_bounds_are_those_that_misreading_leaves(
    run: Callable[[Path, Sequence[str]], str], bundles: Bundles, tmp_path: Path
) -> None:
    database, bundle = bundles(example)
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    recall = {Emotion(name): Recall(0.9 - 0.02 * n, 500) for n, name in enumerate(Emotion)}
    query = AnalysisQuery(state=StateBy.OBSERVED, sensitivity=False)
    found = with_tables(database, folder, query, FaceReading("accurate", recall))
    answer = response_of(found)
    plain = response_of(analyse(Reader(database), query))
    assert printed_rows(run(folder, ("--state", "observed"))) == shown_by(answer)
    assert shown_by(answer) != shown_by(plain)


@pytest.mark.parametrize("run", BOTH)
def test_the_change_from_baseline_is_that_of_the_page(
    run: Callable[[Path, Sequence[str]], str], bundles: Bundles, tmp_path: Path
) -> None:
    database, bundle = bundles(rested)
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    query = AnalysisQuery(outcome=Outcome.CHANGE, sensitivity=False, design=Design.INDEPENDENT)
    answer = response_of(with_tables(database, folder, query, None))
    text = run(folder, ("--outcome", "change", "--design", "independent"))
    assert printed_rows(text) == shown_by(answer)
    assert answer.tests_computed > 0
    assert printed_rows(run(folder, ("--design", "independent"))) != shown_by(answer)


@pytest.mark.parametrize("run", BOTH)
def test_measures_of_the_beats_are_tested_as_on_the_page(
    run: Callable[[Path, Sequence[str]], str], bundles: Bundles, tmp_path: Path
) -> None:
    _, bundle = bundles(few)
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    rng = random.Random(6)
    values = tuple(
        HeartValue(measure, f"P-{number}", number, state, 3 + rng.gauss(0, 0.3))
        for measure in (HeartMeasure.LN_RMSSD, HeartMeasure.SDNN)
        for number in range(7)
        for state in ("anger", "happiness", "neutral")[: 2 if number == 6 else 3]
    )
    query = AnalysisQuery(heart_measure=(HeartMeasure.LN_RMSSD, HeartMeasure.SDNN))
    left_out: dict[HeartMeasure, dict[str, int]] = {measure: {} for measure in query.heart_measure}
    tests = compare_heart(HeartValues(values, left_out), query)
    text = "measure,title,participant,session,state,value\n" + "".join(
        f"{one.measure},{HEART_NAMES[one.measure]},{one.participant},{one.session},{one.state},"
        f"{one.value!r}\n"
        for one in values
    )
    (folder / "heart_measure.csv").write_text(text, encoding="utf-8")
    printed = csv.DictReader(io.StringIO(run(folder, ("--heart", "--csv"))))
    found = {(row["vital"], row["comparison"], row["name"]): row["value"] for row in printed}
    assert len(tests) == 6
    for test in tests:
        assert test.comparison.tests is not None
        of = (test.measure.value, f"{test.first}-{test.second}")
        for name, value in (
            ("p", test.comparison.tests.t.p),
            ("holm_p", test.comparison.tests.holm_p),
            ("difference", test.comparison.difference),
            ("g", test.comparison.tests.effect.g),
        ):
            assert value is not None
            assert math.isclose(float(found[*of, name]), value, rel_tol=1e-9, abs_tol=1e-12)
        assert found[*of, "equivalence"] == ""
    assert "\nRMSSD\nanger − neutral " in run(folder, ("--heart",))


def test_both_scripts_print_the_same_bytes(bundles: Bundles, tmp_path: Path) -> None:
    _, bundle = bundles(example)
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    (folder / "heart_measure.csv").write_text(
        "measure,title,participant,session,state,value\n"
        + "".join(
            f"sdnn,SDNN,P-{n},{n},{state},{40 + (7 * n + 3 * place) % 11}\n"
            for n in range(5)
            for place, state in enumerate(("anger", "neutral"))
        ),
        encoding="utf-8",
    )
    words = ("--heart", "--states", "neutral", "--states", "anger")
    assert in_python(folder, words) == in_r(folder, words)
    families = (*words, "--family", "heart_rate", "--family", "sdnn")
    text = in_python(folder, families)
    assert text == in_r(folder, families)
    assert "p adjusted within families of 1, 2 tests (holm)" in text
    assert "Intervals between beats; p adjusted within families of 1 tests (holm)" in text
