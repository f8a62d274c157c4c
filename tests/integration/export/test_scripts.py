"""The two scripts of a bundle give the numbers of the Analysis page, from its files alone."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.decision import decide_measures
from dashboard.analysis.inference.checks import ClassifierByCard
from dashboard.analysis.inference.measures import M, MeasuredValue, MeasuredValues, compare_measures
from dashboard.analysis.query import (
    MEASURE_NAMES,
    AnalysisQuery,
    Correction,
    Design,
    HeartMeasure,
    Outcome,
    SkinMeasure,
    StateBy,
)
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.rendering.tables import bundle_tables
from dashboard.analysis.rendering.words import say
from dashboard.analysis.results import (
    AnalysisModel,
    ComparisonModel,
    HeartTestModel,
    MeasureTestModel,
    SkinTestModel,
)
from dashboard.commands import analyse_bundle as bundle_command
from dashboard.commands.analyse import report
from dashboard.commands.analyse_bundle import analyse_bundle_command, imported
from dashboard.commands.analyse_bundle import main as analyse_bundle
from dashboard.questions.comparison.computing import answer as analysis_of
from dashboard.questions.entry import Inquiry
from dashboard.statistics.period import Recall
from edge_agent import __version__
from edge_agent.core.expression import Emotion
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.export.bundle import BUNDLE
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.read.reader import RangeReader, Reader
from tests.support.script_studies import (
    QUESTIONS,
    beats,
    example,
    few,
    left_out,
    printed_rows,
    rested,
    shown_by,
    turns,
    unpacked,
)
from tests.support.studies import HEART, add_stimuli, make_study
from tests.support.timeline import START_MS

DIGITS = 1e-9
MEASURED_HEADS = "measure,title,participant,session,state,value,minutes\n"
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
    return _in_python(folder, tuple(words))


def in_r(folder: Path, words: Sequence[str]) -> str:
    """Return the output of ``analysis.R``."""
    return _in_r(folder, tuple(words))


@contextmanager
def _imported_once(folder: Path, leave_out: Iterable[str] = ()) -> Iterator[Path]:
    """Yield the database of a bundle, which is imported for the first question alone."""
    place = folder.with_name("-".join([folder.name, "imported", *leave_out]))
    if not place.exists():
        with imported(folder, leave_out) as database:
            shutil.copytree(database.parent, place)
    yield place / DATABASE_NAME


# A folder does not change once a script has read it: the same words print the same text again.
@cache
def _in_python(folder: Path, words: tuple[str, ...]) -> str:
    with patch.object(bundle_command, "imported", _imported_once):
        done = CliRunner().invoke(analyse_bundle_command, [str(folder), *words])
    assert done.exit_code == 0, done.output
    computed, _, table = done.stdout.partition("\n")
    if {"--csv", "--json"} & set(words):
        return done.stdout
    assert computed == f"Computed by affect-edge {__version__}."
    return table


@cache
def _in_r(folder: Path, words: tuple[str, ...]) -> str:
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    command = [program, "--vanilla", str(folder / "analysis.R"), *words]
    place = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, env=place)
    said = done.stderr.decode()
    assert done.returncode == 0, said
    # With --csv the output is a table and nothing else, and notes go beside it.
    assert not said or "--csv" in words
    return done.stdout.decode("utf-8")


@cache
def on_the_page(database: Path, query: AnalysisQuery) -> Analysis:
    """Return the page's analysis of a study, which does not change either."""
    return analyse(Reader(database), query)


DEEP = pytest.mark.deep
Run = Callable[[Path, Sequence[str]], str]
BOTH = (pytest.param(in_python, id="python"), pytest.param(in_r, id="r", marks=DEEP))
IN_PYTHON = ("example", "faces", "few", "movements", "one-order")
"""Each question is asked in R. Python has the engine of the page, so some are enough: these have
flags, movements, and an order that decides.
"""


def by_name(names: Iterable[str], python: Iterable[str], r: Iterable[str]) -> list[Any]:
    """Return each script with names.

    Args:
        names: of the questions that R is asked, and Python where it is worth it.
        python: those that Python is asked in a quick run.
        r: those that R is asked in a quick run, for it takes seconds to start.
    """
    runs = ((in_python, "python", IN_PYTHON, python), (in_r, "r", tuple(names), r))
    return [
        pytest.param(run, name, id=f"{called}-{name}", marks=() if name in quick else DEEP)
        for name in names
        for run, called, asked, quick in runs
        if name in asked
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in {"example", "movements"} else DEEP)
        for name in QUESTIONS
    ],
)
def test_r_prints_the_table_of_the_page(name: str, bundles: Bundles) -> None:
    question = QUESTIONS[name]
    database, folder = bundles(question.make)
    found = on_the_page(database, question.query)
    text = in_r(folder, question.words)
    rows = printed_rows(text)
    response = response_of(found)
    assert rows == shown_by(response)
    noted = "People have several sessions or lack a state: " in text
    assert noted or response.main != "mixed_model"
    # Without lmerTest, R cannot tell whether the model leaves a variance between people.
    assert not noted or response.main == "mixed_model" or "lmerTest" in text
    if name == "equal":  # a difference that is the same in everybody shows no rounding noise
        assert [row[4] for row in rows if row[1] != "none"] == ["0.0", "0.3", "0.0"]
    for states in found.answer.all_states:
        figures = [line for line in text.splitlines() if line.startswith(("all ", "both "))]
        if states.f is not None:
            sentence = say("beside", "all_states", states, found.answer.question)
            assert any(line.partition(": ")[2] in sentence for line in figures), (sentence, figures)


def test_a_bundle_prints_what_the_command_prints_in_full(bundles: Bundles) -> None:
    database, folder = bundles(left_out)
    query = AnalysisQuery(sensitivity=False)
    page = analysis_of(Inquiry((("", database),), query, ()))
    assert in_python(folder, ()) == f"{report(page)}\n"


FULL = (
    "faces",
    "movements",
    "one-order",
    "equal",
    "example",
    "example-families",
    "few",
    "sessions",
    "groups",
    "many",
    "tenths",
)


def numbers_of(test: ComparisonModel, correction: Correction) -> dict[str, float | None]:
    """The numbers of one comparison under the names that the scripts give them."""

    def of(name: str, part: Any) -> float | None:
        return None if part is None else getattr(part, name)

    adjustment = "holm" if correction is Correction.HOLM else "bh"
    names = ("t", "df", "p", "holm_p", "bh_p", "g", "difference")
    return {name: getattr(test, name) for name in names} | {
        "low": of("low", test.interval),
        "high": of("high", test.interval),
        "g_low": of("low", test.g_interval),
        "g_high": of("high", test.g_interval),
        "rank": of("p", test.rank),
        "equivalence": of("p", test.equivalence),
        "log_bf": of("log_for_difference", test.bayes_factor),
        "needed": of("n", test.needed),
        "needed_in_family": of("n", test.needed_in_family),
        f"rank_{adjustment}_p": test.rank_adjusted_p,
        f"equivalence_{adjustment}_p": test.equivalence_adjusted_p,
    }


@pytest.mark.parametrize(
    ("run", "name"), by_name(FULL, ("faces", "few", "movements"), ("example",))
)
def test_every_number_of_a_script_agrees_with_the_page_to_nine_digits(
    run: Run, name: str, bundles: Bundles
) -> None:
    question = QUESTIONS[name]
    database, folder = bundles(question.make)
    answer = response_of(on_the_page(database, question.query))
    assert_numbers_agree(run(folder, [*question.words, "--csv"]), answer)


def assert_numbers_agree(text: str, answer: AnalysisModel) -> None:
    """Compare what a script prints with --csv with the comparisons of the page."""
    rows = csv.DictReader(io.StringIO(text))
    found = {(row["vital"], row["comparison"], row["name"]): row["value"] for row in rows}
    for test in answer.comparisons:
        of = (test.vital.value, f"{test.first}-{test.second}")
        for key, expected in numbers_of(test, answer.question.correction).items():
            value = found[*of, key]
            if expected is None:
                assert value == "", (of, key)
                continue
            slack = DIGITS
            if test.interval and key in {"difference", "low", "high"}:
                slack *= abs(test.interval.high - test.interval.low)
            is_close = math.isclose(float(value), expected, rel_tol=DIGITS, abs_tol=slack)
            assert is_close, (of, key, value, expected)


@pytest.mark.parametrize("run", BOTH)
def test_script_asked_as_its_readme_says_gives_the_check_of_the_stimuli(
    run: Run, bundles: Bundles
) -> None:
    database, folder = bundles(left_out)
    check = response_of(on_the_page(database, AnalysisQuery())).stimuli_check
    assert check is not None
    family = "happiness: happiness, neutral; anger: anger, neutral"
    words = ("--vital", "happiness", "--vital", "anger", "--family", family, "--csv")
    rows = csv.DictReader(io.StringIO(run(folder, words)))
    told = {(row["vital"], row["comparison"], row["name"]): row["value"] for row in rows}
    for test in check.comparisons:
        for name in ("difference", "t", "df", "p", "holm_p", "g"):
            value = told[test.vital.value, f"{test.first}-{test.second}", name]
            assert math.isclose(float(value), getattr(test, name), rel_tol=DIGITS), name


@pytest.mark.parametrize("state", StateBy)
def test_bundle_asked_by_each_kind_of_state_gives_every_number_of_the_page(
    state: StateBy, bundles: Bundles
) -> None:
    database, folder = bundles(example)
    query = AnalysisQuery(state=state)
    page = json.loads(analysis_of(Inquiry((("", database),), query, ())).model_dump_json())
    done = CliRunner().invoke(
        analyse_bundle_command, [str(folder), "--state", state.value, "--json"]
    )
    answer = json.loads(done.stdout)
    assert answer["comparisons"] == page["comparisons"]
    assert answer == page
    assert answer["tests_computed"] == 9


RESULTS = (
    *("by", "difference", "low", "high", "t", "df", "p", "adjusted_p", "n_first", "n_second"),
    "conclusion",
)


@pytest.mark.parametrize(
    ("name", "by", "digits"),
    [
        ("one-order", {"equal_times", ""}, 1e-9),
        pytest.param("places", {"equal_times", ""}, 1e-9, marks=DEEP),
        pytest.param("coming-back", {"equal_times", ""}, 1e-9, marks=DEEP),
        ("turns-observed", {"equal_times", "paired_t", ""}, 1e-9),
        pytest.param("example-observed", {"equal_times", "paired_t"}, 1e-9, marks=DEEP),
        pytest.param("example", {"paired_t"}, 1e-9, marks=DEEP),
        pytest.param("groups", {"welch_t"}, 1e-9, marks=DEEP),
        # lmerTest finds degrees of freedom from numerical derivatives
        pytest.param("sessions", {"mixed_model"}, 1e-6, marks=DEEP),
        pytest.param("places-model", {"mixed_model", ""}, 1e-6, marks=DEEP),
    ],
)
def test_r_decides_by_the_same_analysis_and_comes_to_the_same_result(
    name: str, by: set[str], digits: float, bundles: Bundles
) -> None:
    question = QUESTIONS[name]
    words = (*question.words, "--csv")
    if "mixed_model" in by and not has_lmer():
        pytest.skip("R's lmerTest is not installed (apt install r-cran-lmertest)")
    folder = bundles(question.make)[1]
    ours, theirs = (results_of(run(folder, words)) for run in (in_python, in_r))
    assert {value for (*_, column), value in ours.items() if column == "by"} == by
    assert_results_agree(ours, theirs, digits)


Results = dict[tuple[str, str, str], str]


def assert_results_agree(ours: Results, theirs: Results, digits: float) -> None:
    """Compare the results that the two scripts report."""
    assert ours.keys() == theirs.keys()
    for place, value in ours.items():
        if place[-1] in {"by", "conclusion", "n_first", "n_second"} or not value:
            assert theirs[place] == value, place
        else:
            assert math.isclose(float(theirs[place]), float(value), rel_tol=digits), place


def results_of(text: str) -> Results:
    """Return the results that are told, by vital, comparison and column."""
    rows = list(csv.DictReader(io.StringIO(text)))
    found = {
        (row["vital"], row["comparison"], row["name"].removeprefix("result_")): row["value"]
        for row in rows
        if row["name"].startswith("result_")
    }
    assert {column for *_, column in found} == set(RESULTS)
    return found


def has_lmer() -> bool:
    """Tell whether R and its lmerTest are installed."""
    program = shutil.which("Rscript")
    command = [str(program), "-e", "library(lmerTest)"]
    return (
        program is not None
        and not subprocess.run(command, check=False, capture_output=True).returncode
    )


def test_r_without_lmer_test_tells_no_result_where_the_model_may_decide(bundles: Bundles) -> None:
    folder = bundles(few)[1]
    without = folder / "without.R"
    script = (folder / "analysis.R").read_text(encoding="utf-8")
    without.write_text(script.replace('requireNamespace("lmerTest"', 'requireNamespace("absent"'))
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    command = [program, "--vanilla", str(without), str(folder)]
    said = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    without.unlink()
    assert "needs R's package lmerTest (Debian: apt install r-cran-lmertest)" in said
    assert "What is told" not in said


def test_a_bundle_leaves_nothing_behind_and_is_refused_as_an_import_is(
    bundles: Bundles, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(bundles(few)[1], tmp_path / "bundle"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    passing = tmp_path / "passing"
    passing.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(passing))

    def run(*words: str) -> tuple[int, str]:
        code = analyse_bundle([str(folder), *words])
        assert list(passing.iterdir()) == []
        return code, capsys.readouterr().err

    assert run()[0] == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    people = list(csv.DictReader(io.StringIO((folder / "participant.csv").read_text())))
    people[3]["consent_withdrawn_at"] = people[3]["consent_given_at"]
    with (folder / "participant.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, people[0])
        writer.writeheader()
        writer.writerows(people)
    code, said = run()
    assert code == 1 and "has withdrawn the consent. Leave them out: --leave-out P-03." in said
    assert run("--leave-out", "P-03")[0] == 0
    (folder / "exclusion.csv").unlink()
    code, said = run("--leave-out", "P-03")
    assert code == 1 and "holds no exclusion.csv. Unpack the whole zip again" in said
    (folder / "question.json").write_text("[" * 2**21)
    assert "question.json: is larger than 1,048,576 bytes" in run()[1]


def test_the_script_says_its_version_or_how_to_install_the_package(bundles: Bundles) -> None:
    _, folder = bundles(example)

    def run(*words: str) -> tuple[int, str, str]:
        command = [sys.executable, *words, str(folder / "analysis.py")]  # it finds its files itself
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd="/",
            env={"LC_ALL": "C"},
            encoding="utf-8",
        )
        return done.returncode, done.stdout, done.stderr

    printed = f"Computed by affect-edge {__version__}.\n{in_python(folder, ())}"
    assert run("-I") == (0, printed, "")
    code, out, said = run("-I", "-S")  # -S: no installed packages
    assert (code, out, said.count("\n")) == (1, "", 1)
    for words in ("pip install", "Rscript analysis.R", "needs nothing of Affect Edge"):
        assert words in said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--session", "99"), 1, "There is no session 99. Sessions: 1, 2, 3"),
        (("--family", "pulse"), 2, "'pulse' is not tested"),
    ],
)
def test_script_wrong_question_ends_with_its_reason(
    words: tuple[str, ...], code: int, said: str, bundles: Bundles, capsys: Any
) -> None:
    _, folder = bundles(few)
    assert analyse_bundle([str(folder), *words]) == code
    assert said in capsys.readouterr().err


RECALL = {Emotion(name): Recall(0.9 - 0.02 * n, 500) for n, name in enumerate(Emotion)}
OBSERVED = AnalysisQuery(state=StateBy.OBSERVED, sensitivity=False)
TURNS_CHANGE = OBSERVED.model_copy(update={"outcome": Outcome.CHANGE})
CHANGE = AnalysisQuery(outcome=Outcome.CHANGE, sensitivity=False, design=Design.INDEPENDENT)


@pytest.mark.parametrize(
    ("make", "query", "face", "words", "others"),
    [
        # the bounds are those that misreading leaves
        (example, OBSERVED, ClassifierByCard("accurate", RECALL), "--state observed", None),
        (rested, CHANGE, None, "--outcome change --design independent", "--design independent"),
        # means at equal times of changes
        (turns, TURNS_CHANGE, None, "--state observed --outcome change", "--state observed"),
    ],
)
@DEEP
def test_r_gives_the_table_of_the_page_by_what_analysis_adds_to_a_bundle(
    make: Callable[[Path], None],
    query: AnalysisQuery,
    face: ClassifierByCard | None,
    words: str,
    others: str | None,
    bundles: Bundles,
    tmp_path: Path,
) -> None:
    database, bundle = bundles(make)
    folder = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    found = analyse(Reader(database), query, face)
    for name, text in bundle_tables(found).items():
        (folder / name).write_text(text, encoding="utf-8")
    answer = response_of(found)
    assert printed_rows(in_r(folder, words.split())) == shown_by(answer)
    assert answer.tests_computed > 0
    if others:
        assert printed_rows(in_r(folder, others.split())) != shown_by(answer)
    else:
        assert shown_by(answer) != shown_by(response_of(analyse(Reader(database), query)))


def measured(rng: random.Random, measures: Sequence[M]) -> MeasuredValues[M]:
    values = tuple(
        MeasuredValue(
            measure,
            f"P-{number}",
            # of sessions without markers, so that no place in the order is known
            100 + number,
            state,
            3 + rng.gauss(0, 0.3),
            # most people meet them in one order, so that equal times decide
            (5.0 * place if number > 1 else 12.0 - 5 * place) + rng.random(),
        )
        for measure in measures
        for number in range(7)
        for place, state in enumerate(("anger", "happiness", "neutral"))
        if number < 6 or place < 2
    )
    return MeasuredValues(values, {one: {} for one in measures})


def write_measured(file: Path, values: Iterable[MeasuredValue[M]]) -> None:
    lines = [
        f"{one.measure},{MEASURE_NAMES[one.measure]},{one.participant},{one.session},{one.state},"
        f"{one.value!r},{one.minutes!r}\n"
        for one in values
    ]
    file.write_text(MEASURED_HEADS + "".join(lines), encoding="utf-8")


@DEEP
def test_r_tests_measures_of_beats_and_skin_as_the_page_does(
    bundles: Bundles, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundles(few)[1], tmp_path / "bundle"))
    rng = random.Random(6)
    query = AnalysisQuery(
        heart_measure=(HeartMeasure.LN_RMSSD, HeartMeasure.SDNN), skin_measure=tuple(SkinMeasure)
    )
    of_hearts, of_skin = measured(rng, query.heart_measure), measured(rng, query.skin_measure)
    tests: list[MeasureTestModel] = [
        *decide_measures(HeartTestModel, compare_measures(of_hearts, query, {}), query, None),
        *decide_measures(SkinTestModel, compare_measures(of_skin, query, {}), query, None),
    ]
    write_measured(folder / "heart_measure.csv", of_hearts.values)
    write_measured(folder / "skin_measure.csv", of_skin.values)
    printed = csv.DictReader(io.StringIO(in_r(folder, ("--heart", "--skin", "--csv"))))
    found = {(row["vital"], row["comparison"], row["name"]): row["value"] for row in printed}
    assert len(tests) == 12
    for test in tests:
        assert test.p is not None
        of = (test.measure.value, f"{test.first}-{test.second}")
        shown = [float(found[*of, name]) for name in ("p", "holm_p", "difference", "g")]
        expected = [test.p, test.adjusted_p, test.difference, test.g]
        assert shown == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert found[*of, "equivalence"] == ""
        told = test.result
        assert found[*of, "result_by"] == told.by == "equal_times"
        assert found[*of, "result_conclusion"] == told.conclusion
        numbers = [float(found[*of, f"result_{name}"]) for name in ("difference", "adjusted_p")]
        assert numbers == pytest.approx([told.difference, told.adjusted_p], rel=1e-9)
    assert "\nRMSSD\nanger − neutral " in in_r(folder, ("--heart",))


def test_both_scripts_test_the_beats_and_skin_alike(bundles: Bundles, tmp_path: Path) -> None:
    database, bundle = bundles(beats)
    folder = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    query = AnalysisQuery(
        states=("neutral", "anger"),
        heart_measure=(HeartMeasure.SDNN, HeartMeasure.LN_RMSSD),
        skin_measure=tuple(SkinMeasure),
    )
    for name, text in bundle_tables(analyse(Reader(database), query)).items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "question.json").write_text(query.model_dump_json())
    families = ("--family", "heart_rate", "--family", "sdnn")
    text = in_r(folder, families)
    assert "p adjusted within families of 1, 0 tests (holm)" in text
    assert "Intervals between beats; p adjusted within families of 1, 1 test" in text
    assert "Responses of skin conductance; p adjusted within families of 2 tests" in text
    ours, theirs = (results_of(run(folder, (*families, "--csv"))) for run in (in_python, in_r))
    assert {measure for measure, *_ in ours} >= {"sdnn", "ln_rmssd", "scr_count"}
    assert_results_agree(ours, theirs, DIGITS)


def test_r_names_what_somebody_left_out(bundles: Bundles) -> None:
    folder = bundles(left_out)[1]
    lines = [line for line in in_r(folder, ()).splitlines() if line.startswith("left out: ")]
    assert sorted(lines) == [
        "left out: 3 stretches of 3 sessions (phone rang)",
        "left out: session 2 (=the camera, moved)",
    ]
    (one,) = (line for line in in_r(folder, ("--session", "1")).splitlines() if "phone" in line)
    assert re.fullmatch(r"left out: session 1 from 2\S+Z to 2\S+Z \(phone rang\)", one)
    assert "left out" not in in_r(folder, ("--session", "5")).partition("comparison")[0]


SECONDS = 60
SETTLING = round(HEART.spec.settling_s)


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        (0, SECONDS - SETTLING),
        (SETTLING // 2, SECONDS - SETTLING),  # not yet settled at the cut: the rest is left out
        (SETTLING + 10, SECONDS - SETTLING - 10),  # settled long before: nothing more is left out
    ],
)
@pytest.mark.parametrize("run", BOTH)
def test_a_stimulus_that_a_range_cuts_does_not_settle_anew(
    run: Run, cut: int, left: int, tmp_path: Path
) -> None:
    database = make_study(tmp_path, {})
    for person in range(5):  # a heart that calms down all the while
        level = 70 + 2.5 * person
        calm = [level + (7 + person) * 0.95**second for second in range(SECONDS)]
        add_stimuli(database, f"P-{person}", {"rest": calm, "film": [one + 3 for one in calm]})
    start = START_MS + 1000 * cut
    query = AnalysisQuery(vital=(HEART,), states=("rest", "film"), sensitivity=False)
    analysis = analyse(RangeReader(database, start, None), query)
    counts = {(mean.participant, mean.state): mean.readings for mean in analysis.means}
    assert counts["P-0", "rest"] == left
    assert counts["P-0", "film"] == counts["P-1", "rest"] == SECONDS - SETTLING
    assert [one.readings for one in analysis.answer.settling] == [
        10 * SETTLING - min(cut, SETTLING)
    ]
    file = BUNDLE.export(database, tmp_path / "b.zip", ExportChoice(None, start, None))[0]
    shutil.unpack_archive(file, tmp_path / "bundle")
    words = ("--vital", "heart_rate", "--states", "rest", "--states", "film", "--csv")
    assert_numbers_agree(run(tmp_path / "bundle", words), response_of(analysis))
    with (tmp_path / "bundle" / "marker.csv").open(newline="") as lines:
        assert [row["label"] for row in csv.DictReader(lines)][:2] == ["rest", "film"]
