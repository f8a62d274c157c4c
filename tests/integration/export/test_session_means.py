"""The means of a bundle, which other programs start from, and the words of its README for R."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dashboard.analysis.analyse import analyse
from dashboard.analysis.query import AnalysisQuery
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.rendering.tables import bundle_tables
from edge_agent.core.study import AttributeUse
from edge_agent.timeline.export.bundle import BUNDLE
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.people import agree_to_attributes
from tests.support.exports.readme import code_of
from tests.support.studies import HEART, add_session, heart, make_study

QUERY = AnalysisQuery(vital=(HEART,), group="sex", sensitivity=False)


def study(folder: Path) -> Path:
    """Five women and four men, four of whom come twice, in any order of the states."""
    path = make_study(folder, {})
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
        use = AttributeUse.SHARED
        agree_to_attributes(path, f"P-{number}", use, actor=None, values={"sex": sex})
    return path


def words_for_r(readme: Path) -> str:
    """The README's words for the tests of groups, which base R understands."""
    blocks = [one for one in code_of(readme.read_text(encoding="utf-8")) if "recorded" in one]
    reading, tests = (one for one in blocks if "<-" in one)
    code = [line for line in tests.splitlines() if re.match(r"means|groups|own|summary\(aov", line)]
    assert len(code) == 6
    return "\n".join(["options(digits = 12)", reading, *code])


def test_r_finds_the_effects_of_groups_by_the_words_of_the_readme(tmp_path: Path) -> None:
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    database = study(tmp_path)
    analysis = analyse(Reader(database), QUERY)
    file = BUNDLE.export(database, tmp_path / "b.zip", ExportChoice())[0]
    shutil.unpack_archive(file, tmp_path)
    means = bundle_tables(analysis)["session_mean.csv"]
    (tmp_path / "session_mean.csv").write_text(means)
    command = [program, "--vanilla", "-e", words_for_r(tmp_path / "README.md")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path
    )
    found = response_of(analysis).groups[0]
    assert found.groups is not None
    assert found.interaction is not None
    f_of = dict(re.findall(r"^(value(?::state)?) +\d+ +\S+ +\S+ +(\S+)", done.stdout, re.M))
    assert float(f_of["value"]) == pytest.approx(found.groups.f, rel=1e-6)
    assert float(f_of["value:state"]) == pytest.approx(found.interaction.f, rel=1e-6)
