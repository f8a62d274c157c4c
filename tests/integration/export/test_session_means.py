"""What a bundle holds for other programs: the means that the mixed model and the tests of groups
start from, and the words of its README for R.
"""

from __future__ import annotations

import csv
import io
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.answer import response_of
from dashboard.analysis.request import AnalysisQuery
from dashboard.analysis.say.tables import bundle_tables
from dashboard.statistics.mixed_model import mixed_model
from edge_agent.core.study import AttributeUse
from edge_agent.store.export.bundle import BUNDLE
from edge_agent.store.export.rows import Choice
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.people import agree_to_attributes
from tests.support.studies import HEART, add_session, heart, make_study

QUERY = AnalysisQuery(vital=(HEART,), group="sex", sensitivity=False)
README = Path("edge_agent/store/export/scripts/README.md")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five women and four men, four of whom come twice, in any order of the states."""
    path = make_study(tmp_path_factory.mktemp("means"), {})
    chance = random.Random(6)
    for number in (*range(9), *range(4)):
        level = 65.0 + 2 * number + chance.gauss(0, 2)
        states = ["neutral", "happiness", "anger"]
        chance.shuffle(states)
        add = {"anger": 4.0 if number < 5 else 1.0}
        values = {state: level + add.get(state, 0.0) + chance.gauss(0, 1) for state in states}
        add_session(path, f"P-{number}", heart(**values))
    for number in range(9):
        sex = "female" if number < 5 else "male"
        agree_to_attributes(
            path, f"P-{number}", AttributeUse.SHARED, actor=None, values={"sex": sex}
        )
    return path


@pytest.fixture(scope="module")
def analysis(database: Path) -> Analysis:
    return analyse(Reader(database), QUERY)


def test_the_model_can_be_fitted_from_the_bundle_alone(analysis: Analysis) -> None:
    rows = list(csv.DictReader(io.StringIO(bundle_tables(analysis)["session_mean.csv"])))
    assert len(rows) == 13 * 3
    effects = {
        state: [float(row["state"] == state) for row in rows] for state in ("happiness", "anger")
    }
    people = [row["participant"] for row in rows]
    model = mixed_model(
        [float(row["mean"]) for row in rows],
        effects | {"minutes": [float(row["minutes"]) for row in rows]},
        people,
        [int(row["session"]) for row in rows],
        [f"{row['participant']} {row['state']}" for row in rows],
    )
    shown = response_of(analysis)
    assert shown.main == "mixed_model"
    by_model = shown.comparisons[0].by_model
    assert by_model is not None
    anger = model.effect("anger")
    assert (anger.estimate, anger.p) == pytest.approx((by_model.difference, by_model.p), rel=1e-9)


def words_for_r() -> str:
    """The README's words for the tests of groups, which base R understands."""
    code = [
        line.strip()
        for line in README.read_text(encoding="utf-8").splitlines()
        if re.match(r" {4}(means|groups|own|summary\(aov)", line)
    ]
    assert len(code) == 6
    return "\n".join(["options(digits = 12)", *code])


def test_r_finds_the_effects_of_groups_by_the_words_of_the_readme(
    database: Path, analysis: Analysis, tmp_path: Path
) -> None:
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    file = BUNDLE.export(database, tmp_path / "b.zip", Choice())[0]
    shutil.unpack_archive(file, tmp_path)
    means = bundle_tables(analysis)["session_mean.csv"]
    (tmp_path / "session_mean.csv").write_text(means)
    command = [program, "--vanilla", "-e", words_for_r()]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path
    )
    found = response_of(analysis).groups[0]
    assert found.groups is not None
    assert found.interaction is not None
    f_of = dict(re.findall(r"^(value(?::state)?) +\d+ +\S+ +\S+ +(\S+)", done.stdout, re.M))
    assert float(f_of["value"]) == pytest.approx(found.groups.f, rel=1e-6)
    assert float(f_of["value:state"]) == pytest.approx(found.interaction.f, rel=1e-6)
