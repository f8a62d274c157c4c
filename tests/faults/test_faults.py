"""A few faults of each kind; ``make faults`` runs many, and prints what they cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.agents.clock import CASES, ClockTrial, When, why_no_clock
from tests.faults.agents.damage import Trial
from tests.faults.agents.kinds import BROKER, CAMERA, run_session
from tests.faults.checks import longest_untold
from tests.faults.disk import build_library, why_no_library
from tests.faults.kinds import FAULTS, run_trial
from tests.faults.outcome import Outcome
from tests.faults.sound import make_sound
from tests.faults.table import print_table

TRIALS = (
    ("power", "kill"),
    ("disk", "clock"),
    ("flipped", ""),
    ("moved", ""),
    pytest.param("kill", "", marks=pytest.mark.deep),
    pytest.param("clock", "kill", marks=pytest.mark.deep),
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sound(tmp_path_factory.mktemp("sound") / "data")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    return None if why_no_library() else build_library(tmp_path_factory.mktemp("library"))


def kept_its_promise(outcome: Outcome) -> bool:
    """Whether nothing is lost; how long it took is judged on a machine that does nothing else."""
    outcome.seconds = 0.0
    outcome.held_up = 0.0
    return outcome.is_good


@pytest.mark.parametrize(("name", "other"), TRIALS)
def test_a_fault_costs_nothing_that_was_safe(
    tmp_path: Path, sound: Path, library: Path | None, name: str, other: str
) -> None:
    if library is None and any(FAULTS[one].needs_disk for one in (name, other) if one):
        pytest.skip(why_no_library())
    outcome = run_trial(name, other, 2, tmp_path / "trial", sound, library)
    assert kept_its_promise(outcome), str(outcome)
    assert outcome.expected > 50


@pytest.mark.broker
def test_a_whole_agent_keeps_its_rows_and_messages(tmp_path: Path) -> None:
    plans = [(CAMERA, "", 2), (BROKER, "kill", 3)]
    outcomes = run_session(tmp_path, plans)
    assert [str(one) for one in outcomes if not kept_its_promise(one)] == []
    assert len(outcomes) == len(plans)


def test_a_lost_row_makes_a_trial_bad_and_stands_in_the_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcomes = [Outcome("kill", expected=1_500), Outcome("kill", "clock", expected=10, lost=1)]
    assert [one.is_good for one in outcomes] == [True, False]
    print_table(outcomes, 2.0, "here")
    said = capsys.readouterr().out
    assert "| kill | 2 | 1 | 1,510 | 1 |" in said
    assert "2 trials with 3 faults of the 1,000 of the bar" in said


@pytest.mark.parametrize(
    ("gaps", "untold"),
    [
        ([], 100),
        ([(10, 90)], 10),
        ([(50, 120), (-20, 10)], 40),
        ([(0, 100)], 0),
        ([(0, 100), (20, 30)], 0),
        ([(200, 300)], 100),
    ],
)
def test_missing_rows_without_a_gap_are_found(gaps: list[tuple[int, int]], untold: int) -> None:
    assert longest_untold(gaps, 0, 100) == untold


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.deep)])
def test_a_whole_agent_whose_database_is_damaged_goes_on(
    tmp_path: Path, sound: Path, seed: int
) -> None:
    outcome = Trial(tmp_path / "trial", sound, seed).run()
    assert kept_its_promise(outcome), str(outcome)
    assert outcome.expected > 50


@pytest.mark.deep
@pytest.mark.skipif(bool(why_no_clock()), reason=why_no_clock())
def test_clock_that_is_year_ahead_deletes_nothing_and_leaves_no_wrong_time(tmp_path: Path) -> None:
    seed = CASES.index((365 * 86_400, When.START))
    outcome = ClockTrial(tmp_path / "trial", seed).run()
    assert kept_its_promise(outcome), str(outcome)
    assert outcome.expected > 50
