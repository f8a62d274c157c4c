"""The study of the appliance's forerunner, replayed with made-up people: nine paired t-tests."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_rel

from affect_edge.demo import SEED
from dashboard.__main__ import main as dashboard
from dashboard.protocols.file import EXAMPLES, Order, load_protocol
from dashboard.protocols.steps import Report, Stimulus
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson

SETTLING_MS = {"heart_rate": 10_000, "systolic": 30_000, "diastolic": 30_000}
MEANS = """
    SELECT session.participant, AVG(vital.value)
    FROM session
    JOIN marker AS began ON began.session = session.id AND began.kind = 'stimulus_start'
    JOIN marker AS ended ON ended.session = session.id AND ended.kind = 'stimulus_end'
        AND ended.label = began.label
    JOIN vital ON vital.kind = :kind AND vital.at >= began.at + :settling AND vital.at < ended.at
    WHERE began.label = :state GROUP BY session.participant ORDER BY session.participant
"""
DOCUMENTED = Path(__file__).resolve().parents[3] / "docs" / "literature.md"


def test_the_protocol_shows_the_three_states_and_asks_for_cuff_after_each() -> None:
    protocol = load_protocol(EXAMPLES / "anger-happiness-neutral.toml")
    stimuli = [step.label for step in protocol.steps if isinstance(step, Stimulus)]

    assert stimuli == ["anger", "happiness", "neutral"]
    assert protocol.order is Order.COUNTERBALANCED
    assert [step.kind for step in protocol.steps].count("pressure") == 4
    assert not any(isinstance(step, Report) for step in protocol.steps)


def test_its_t_tests_are_those_of_the_participants_means_and_as_documented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / DATABASE_NAME
    migrate(database)
    seed_example_study(database, SimulatedPerson, seed=SEED)

    assert dashboard(["analyse", "--data", str(tmp_path), "--sample", "example", "--json"]) == 0

    comparisons = json.loads(capsys.readouterr().out)["comparisons"]
    assert len(comparisons) == 9
    text = DOCUMENTED.read_text(encoding="utf-8")
    with closing(sqlite3.connect(database)) as connection:
        for one in comparisons:
            kind = one["vital"]
            asked = {"kind": kind, "settling": SETTLING_MS[kind]}
            first, second = (
                np.array([mean for _, mean in connection.execute(MEANS, asked | {"state": state})])
                for state in (one["first"], one["second"])
            )
            test = ttest_rel(first, second)
            assert len(first) == 12
            assert one["t"] == pytest.approx(test.statistic, rel=1e-6)
            assert one["p"] == pytest.approx(test.pvalue, rel=1e-6)
            assert one["difference"] == pytest.approx(float((first - second).mean()))
            row = f"| {one['first']} − {one['second']} | {one['difference']:.1f} | {one['t']:.2f} |"
            assert row in text, f"{kind}: docs/literature.md has no longer {row}"
            assert f"| {one['g']:.2f} |" in text
