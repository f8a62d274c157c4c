"""The simulated study of the benchmark, once: recorder, join and tests fit together, and a seed is
a study.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.simulated.study import PEOPLE, TIMES, SimulatedOutcome, figures, repeat, write_plan
from edge_agent.timeline.database.schema import DATABASE_NAME


def test_a_simulated_study_gives_what_the_page_computes(tmp_path: Path) -> None:
    write_plan(tmp_path / DATABASE_NAME)
    found = repeat(tmp_path / DATABASE_NAME, 0)
    assert PEOPLE * len(TIMES) * 0.75 < found.readings < PEOPLE * len(TIMES)
    assert 0 <= found.positives <= found.naive_positives <= 3
    assert found == repeat(tmp_path / DATABASE_NAME, 0)


def test_rates_are_shares_of_tests_and_of_studies() -> None:
    found = figures(
        [SimulatedOutcome(0, 0, False, 3, True, 1200), SimulatedOutcome(3, 3, True, 3, True, 1300)]
    )
    assert (found["false_positive_rate"], found["family_false_positive_rate"]) == (0.5, 0.5)
    assert found["false_positive_rate_misread"] == 0.5
    assert (found["naive_false_positive_rate"], found["power"]) == (1.0, 1.0)
    assert (found["study_matched_readings"], found["study_repetitions"]) == (1250.0, 2.0)
