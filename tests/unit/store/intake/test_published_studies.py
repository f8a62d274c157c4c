"""Published data sets load through ``import-study`` and give the figures that others found.

One reading for each person and condition, and states by the names that the analysis knows. Values
are moved by a constant where they would be implausible as a heart rate: no difference changes.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from scipy import stats

from dashboard.__main__ import main as dashboard
from edge_agent.cli import cli
from edge_agent.core.clock import iso_utc
from tests.support.datasets.bids import write_dataset
from tests.support.timeline import START_MS, query

STIMULUS_S = 20
APART_S = 3600


class Value(NamedTuple):
    """What was measured of a person under a condition."""

    person: int
    condition: str
    value: float


def study(folder: Path, values: Iterable[Value], groups: Mapping[int, str] | None = None) -> Path:
    """A folder of tables: a session for each person, a stimulus for each value, an attribute."""
    by_person: dict[int, list[Value]] = {}
    for value in values:
        by_person.setdefault(value.person, []).append(value)
    tables = {
        "participant": ["participant,consent_version,consent_given_at"],
        "session": ["session,participant,purpose,start_at,end_at"],
        "marker": ["at,session,kind,label"],
        "vital": ["at,session,kind,value"],
    }
    for number, measured in by_person.items():
        start = START_MS + 1000 * APART_S * number
        end = start + 1000 * STIMULUS_S * len(measured)
        tables["participant"].append(f"P{number},paper,{iso_utc(START_MS - 1000)}")
        tables["session"].append(f"{number},P{number},research,{iso_utc(start)},{iso_utc(end)}")
        for place, value in enumerate(measured):
            at = start + 1000 * STIMULUS_S * place
            label = value.condition
            tables["marker"].append(f"{iso_utc(at)},{number},stimulus_start,{label}")
            over = iso_utc(at + 1000 * STIMULUS_S)
            tables["marker"].append(f"{over},{number},stimulus_end,{label}")
            read = iso_utc(at + 1000 * STIMULUS_S - 1000)
            tables["vital"].append(f"{read},{number},heart_rate,{value.value!r}")
    if groups is not None:
        tables["participant"][0] += ",consent_attributes"
        tables["participant"][1:] = [f"{line},here" for line in tables["participant"][1:]]
        tables["participant_attribute"] = [
            "participant,name,value",
            *(f"P{number},group,{group}" for number, group in groups.items()),
        ]
    made = folder / "published"
    made.mkdir()
    for name, lines in tables.items():
        (made / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return made


def imported(
    folder: Path, values: Iterable[Value], groups: Mapping[int, str] | None = None
) -> Path:
    """The database after the import."""
    words = ["import-study", str(study(folder, values, groups)), "--data", str(folder)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output or done.exception
    return folder / "affect-edge.db"


def answered(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """The answer of ``analyse --json``."""
    words = ["analyse", "--json", "--data", str(folder), "--vital", "heart_rate", *options]
    assert dashboard(words) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def analysed(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], Any]:
    """The comparison of each pair of states, by ``analyse --json``."""
    answer = answered(folder, capsys)
    return {(one["first"], one["second"]): one for one in answer["comparisons"]}


def means(database: Path) -> dict[str, float]:
    """The mean of each condition."""
    sql = "SELECT condition, avg(value) FROM session_vital GROUP BY 1"
    return dict(query(database, sql))


# R 4.3, data set `sleep`: Cushny and Peebles 1905, printed by Student 1908 (Biometrika 6:1-25).
SLEEP = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)


def test_sleep_of_r_gives_the_paired_t_test_that_r_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("anger", "happiness")
    imported(
        tmp_path,
        [
            Value(person, name, 60 + extra)
            for name, drug in zip(names, SLEEP, strict=True)
            for person, extra in enumerate(drug, start=1)
        ],
    )
    test = analysed(tmp_path, capsys)["anger", "happiness"]
    # t.test(extra ~ group, sleep, paired = TRUE)
    assert (test["method"], test["df"], test["n_both"]) == ("paired", 9, 10)
    assert test["t"] == pytest.approx(-4.0621, abs=5e-5)
    assert test["p"] == pytest.approx(0.002833, abs=5e-7)
    assert test["difference"] == pytest.approx(-1.58, abs=1e-9)
    assert test["interval"]["low"] == pytest.approx(-2.4598858, abs=1e-6)
    assert test["interval"]["high"] == pytest.approx(-0.7001142, abs=1e-6)


# nlme, data set `Machines`: Milliken and Johnson 1992, Analysis of Messy Data I, p. 285.
MACHINES = {
    "anger": (  # A, workers 1 to 6, three times each
        (52.0, 52.8, 53.1),
        (51.8, 52.8, 53.1),
        (60.0, 60.2, 58.4),
        (51.1, 52.3, 50.3),
        (50.9, 51.8, 51.4),
        (46.4, 44.8, 49.2),
    ),
    "happiness": (  # B
        (62.1, 62.6, 64.0),
        (59.7, 60.0, 59.0),
        (68.6, 65.8, 69.7),
        (63.2, 62.8, 62.2),
        (64.8, 65.0, 65.4),
        (43.7, 44.2, 43.0),
    ),
    "neutral": (  # C
        (67.5, 67.2, 66.9),
        (61.5, 61.7, 62.3),
        (70.8, 70.6, 71.0),
        (64.1, 66.2, 64.0),
        (72.1, 72.0, 71.1),
        (62.0, 61.4, 60.5),
    ),
}


def test_machines_of_nlme_gives_the_means_and_the_model_of_the_machines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = [
        Value(worker, machine, score)
        for machine, workers in MACHINES.items()
        for worker, scores in enumerate(workers, start=1)
        for score in scores
    ]
    found = means(imported(tmp_path, values))
    # fixef(lme(score ~ Machine, Machines, ~ 1 | Worker)): 52.35556, +7.96667, +13.91667
    assert found == {
        "anger": pytest.approx(52.35556, abs=5e-6),
        "happiness": pytest.approx(52.35556 + 7.96667, abs=1e-5),
        "neutral": pytest.approx(52.35556 + 13.91667, abs=1e-5),
    }
    tests = analysed(tmp_path, capsys)
    assert tests["anger", "happiness"]["difference"] == pytest.approx(-7.96667, abs=5e-6)
    assert tests["anger", "neutral"]["difference"] == pytest.approx(-13.91667, abs=5e-6)
    assert tests["anger", "neutral"]["n_both"] == 6
    # Pinheiro and Bates 2000, p. 23: lme(score ~ Machine, Machines, ~ 1 | Worker/Machine), 10 df;
    # the same of one mean a worker and machine, which is what the model here starts from
    for other, t, p in (("happiness", 3.659511, 0.004393), ("neutral", 6.392661, 0.000079)):
        by_model = tests["anger", other]["by_model"]
        assert by_model["error"] == pytest.approx(2.176975, abs=5e-7)
        assert by_model["df"] == pytest.approx(10, abs=1e-6)
        assert by_model["t"] == pytest.approx(-t, abs=5e-7)
        assert by_model["p"] == pytest.approx(p, abs=5e-7)


# nlme, data set `ergoStool`: Devore 2000, Probability and Statistics, p. 447; subjects 1 to 9.
STOOLS = {
    "anger": (12, 10, 7, 7, 8, 9, 8, 7, 9),
    "happiness": (15, 14, 14, 11, 11, 11, 12, 11, 13),
    "neutral": (12, 13, 13, 10, 8, 11, 12, 8, 10),
    "sadness": (10, 12, 9, 9, 7, 10, 11, 7, 8),
}


def test_ergo_stool_of_nlme_gives_the_means_and_the_model_of_the_stools(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = [
        Value(subject, stool, 60.0 + effort)
        for stool, efforts in STOOLS.items()
        for subject, effort in enumerate(efforts, start=1)
    ]
    found = means(imported(tmp_path, values))
    # fixef(lme(effort ~ Type, ergoStool, ~ 1 | Subject)): 8.555556, +3.888889, +2.222222, +0.666667
    expected = (8.555556, 12.444444, 10.777778, 9.222222)
    for stool, mean in zip(STOOLS, expected, strict=True):
        assert found[stool] - 60 == pytest.approx(mean, abs=1e-6), stool
    asked = [word for stool in STOOLS for word in ("--states", stool)]
    answer = answered(tmp_path, capsys, *asked)
    tests = {(one["first"], one["second"]): one["by_model"] for one in answer["comparisons"]}
    # summary(lme(effort ~ Type, ergoStool, ~ 1 | Subject)) and anova of it: 24 df, F = 22.35564
    for other, t in (("happiness", 7.497610), ("neutral", 4.284348), ("sadness", 1.285304)):
        by_model = tests[other, "anger"]
        assert by_model["error"] == pytest.approx(0.5186838, abs=5e-8)
        assert by_model["df"] == pytest.approx(24, abs=1e-6)
        assert by_model["t"] == pytest.approx(t, abs=5e-7)
    (states,) = answer["all_states"]
    assert states["f"] == pytest.approx(22.35564, abs=5e-6)


R_TABLES = """
numbers <- function(...) cat(format(c(...), digits = 15), "\\n")
numbers(sleep$extra)
numbers(t.test(sleep$extra[1:10], sleep$extra[11:20], paired = TRUE)[c("statistic", "p.value")])
if (requireNamespace("nlme", quietly = TRUE)) {
  m <- as.data.frame(nlme::Machines)
  m <- m[order(m$Machine, as.integer(as.character(m$Worker))), ]
  numbers(m$score)
  numbers(nlme::fixef(nlme::lme(score ~ Machine, m, ~ 1 | Worker)))
  s <- as.data.frame(nlme::ergoStool)
  s <- s[order(s$Type, as.integer(as.character(s$Subject))), ]
  numbers(s$effort)
}
"""


def test_values_and_figures_are_those_of_the_r_that_is_installed() -> None:
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    words = [program, "--vanilla", "-e", R_TABLES]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    lines = [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
    assert lines[0] == [extra for drug in SLEEP for extra in drug]
    assert lines[1] == pytest.approx([-4.0621, 0.002833], abs=5e-5)
    if len(lines) == 2:
        pytest.skip("nlme is not installed with R (apt install r-cran-nlme): its data sets")
    scores = [score for one in MACHINES.values() for worker in one for score in worker]
    assert lines[2] == scores
    assert lines[3] == pytest.approx([52.35556, 7.96667, 13.91667], abs=5e-6)
    assert lines[4] == [effort for efforts in STOOLS.values() for effort in efforts]


def test_sleep_of_r_as_a_bids_data_set_gives_the_same_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about = {"SamplingFrequency": 0.1, "StartTime": 10, "Columns": ["heart_rate"]}
    files: dict[str, Any] = {"task-sleep_physio.json": about}
    for person, pair in enumerate(zip(*SLEEP, strict=True), start=1):
        stem = f"sub-{person:02d}/beh/sub-{person:02d}_task-sleep"
        files[f"{stem}_events.tsv"] = (
            "onset\tduration\ttrial_type\n0\t20\tanger\n20\t20\thappiness\n"
        )
        first, second = (repr(60 + extra) for extra in pair)
        files[f"{stem}_physio.tsv.gz"] = f"{first}\nn/a\n{second}\n"
    source = write_dataset(tmp_path / "sleep", files)
    stated = ("--consent", "paper", "--consent-on", "2026-01-01T00:00:00Z")
    words = ("import-study", str(source), *stated, "--purpose", "research", "--data", str(tmp_path))
    done = CliRunner().invoke(cli, [*words, "--starting", "2026-02-01T09:00:00Z"])
    assert done.exit_code == 0, done.output or done.exception
    test = analysed(tmp_path, capsys)["anger", "happiness"]
    assert (test["method"], test["df"]) == ("paired", 9)
    assert test["t"] == pytest.approx(-4.0621, abs=5e-5)
    assert test["p"] == pytest.approx(0.002833, abs=5e-7)


@pytest.fixture(scope="module")
def pingouin(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The package pingouin, downloaded and never installed."""
    folder = tmp_path_factory.mktemp("pingouin")
    words = ["pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words, "pingouin"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the package pingouin did not arrive within 30 s")
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        why = (done.stderr.strip().splitlines() or ["no wheel"])[-1]
        pytest.skip(f"the package pingouin cannot be downloaded: {why}")
    return zipfile.ZipFile(wheels[0])


def table(archive: zipfile.ZipFile, name: str) -> Sequence[dict[str, str]]:
    """A data set of the package."""
    text = archive.read(f"pingouin/datasets/{name}.csv").decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_mixed_anova_of_pingouin_gives_its_pairwise_tests(
    pingouin: zipfile.ZipFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states = {"August": "anger", "January": "happiness", "June": "neutral"}
    rows = table(pingouin, "mixed_anova")
    imported(
        tmp_path,
        [
            Value(int(row["Subject"]) + 1, states[row["Time"]], 60 + float(row["Scores"]))
            for row in rows
        ],
    )
    tests = analysed(tmp_path, capsys)
    # pingouin's manual, pairwise_tests(dv='Scores', within='Time', subject='Subject', data=df)
    for pair, t, p in (
        (("anger", "happiness"), -1.740370, 0.087008),
        (("anger", "neutral"), -2.743238, 0.008045),
        (("happiness", "neutral"), -1.023620, 0.310194),
    ):
        assert tests[pair]["df"] == 59
        assert tests[pair]["t"] == pytest.approx(t, abs=1e-6), pair
        assert tests[pair]["p"] == pytest.approx(p, abs=1e-6), pair


def test_mixed_anova_of_pingouin_gives_its_group_and_interaction(
    pingouin: zipfile.ZipFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states = {"August": "anger", "January": "happiness", "June": "neutral"}
    rows = table(pingouin, "mixed_anova")
    imported(
        tmp_path,
        [
            Value(int(row["Subject"]) + 1, states[row["Time"]], 60 + float(row["Scores"]))
            for row in rows
        ],
        {int(row["Subject"]) + 1: row["Group"] for row in rows},
    )
    (found,) = answered(tmp_path, capsys, "--group", "group")["groups"]
    assert found["sizes"] == {"Control": 30, "Meditation": 30}
    assert (found["too_small"], found["no_attribute"], found["incomplete"]) == ([], 0, {})
    # pingouin 0.7.0, mixed_anova(dv='Scores', within='Time', subject='Subject', between='Group')
    groups = found["groups"]
    assert groups["df"] == [1, 58]
    assert groups["f"] == pytest.approx(5.051708786092, rel=1e-10)
    assert groups["p"] == pytest.approx(0.028419776007486, rel=1e-10)
    assert groups["partial_eta_squared"] == pytest.approx(0.080120093227454, rel=1e-10)
    interaction = found["interaction"]
    assert interaction["f"] == pytest.approx(2.727995586847, rel=1e-10)
    assert interaction["partial_eta_squared"] == pytest.approx(0.044921548298845, rel=1e-10)
    assert stats.f.sf(interaction["f"], 2, 116) == pytest.approx(0.069544807435995, rel=1e-10)
    # ours is corrected always; R 4.2.2: anova(lm(cbind(August, January, June) ~ Group), X = ~1,
    # test = "Spherical")
    assert found["epsilon"] == pytest.approx(0.9981, abs=5e-5)
    assert interaction["df"] == pytest.approx([2 * found["epsilon"], 116 * found["epsilon"]])
    assert interaction["p"] == pytest.approx(0.0696550310191, abs=1e-12)
    # pingouin's pairwise_tests(between='Group'): t of equal groups, whose df is Welch's here, by R
    overall = found["contrasts"][0]
    assert (overall["first"], overall["second"]) == ("Meditation", "Control")
    assert overall["first_state"] is None
    assert overall["t"] == pytest.approx(2.247600673183, rel=1e-10)
    assert overall["df"] == pytest.approx(55.78000844, abs=5e-9)
    assert overall["p"] == pytest.approx(0.0285747391, abs=5e-11)


def test_rm_anova_of_pingouin_gives_the_main_effect_of_its_two_levels(
    pingouin: zipfile.ZipFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states = {"High": "anger", "Low": "happiness"}
    rows = [row for row in table(pingouin, "rm_anova") if row["DesireToKill"]]
    imported(
        tmp_path,
        [
            Value(
                int(row["Subject"]), states[row["Disgustingness"]], 60 + float(row["DesireToKill"])
            )
            for row in rows
        ],
    )
    test = analysed(tmp_path, capsys)["anger", "happiness"]
    # rm_anova(dv='DesireToKill', within=['Disgustingness', 'Frighteningness'], …) of the manual:
    # F(1, 92) of two levels is the square of the paired t
    assert (test["df"], test["n_both"]) == (92, 93)
    assert test["t"] ** 2 == pytest.approx(12.043878, abs=1e-6)
    assert test["p"] == pytest.approx(0.000793, abs=5e-7)
