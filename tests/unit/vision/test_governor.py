"""The vision chain keeps to its share of the processor, and to less of it when that is warm."""

from __future__ import annotations

import logging

import pytest

from edge_agent.vision.governor import SLOWEST_S, WHOLE_S, Governor, Limit, VisionPlan
from edge_agent.vision.reading_by_need import Effort

PERIOD_S = 1 / 15


def after(
    governor: Governor, cost_s: float, seconds: float = 20.0, start_s: float = 0.0
) -> VisionPlan:
    """Let frames of one cost go by as fast as the plan allows; return the last plan."""
    at = start_s
    while at < start_s + seconds:
        at += max(PERIOD_S, governor.plan.frame_s)
        governor.record_cost(cost_s, at)
    return governor.plan


@pytest.mark.parametrize(("budget", "cost_s"), [(0.4, 0.040), (0.1, 0.010), (1.0, 0.120)])
def test_frames_that_cost_too_much_are_read_as_often_as_the_budget_allows(
    budget: float, cost_s: float
) -> None:
    plan = after(Governor(budget, 15), cost_s)
    assert plan.limit is Limit.BUDGET
    assert cost_s / plan.frame_s == pytest.approx(budget, rel=0.01)
    assert plan.whole_s == pytest.approx(max(WHOLE_S, 8 * plan.frame_s))


def test_budget_that_cannot_be_kept_leaves_two_frames_second_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        assert after(Governor(0.05, 15), 0.2).frame_s == SLOWEST_S
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.startswith("a frame takes 1")  # of the 200 ms, after 5 s
    assert "expression-fast" in record.message
    assert after(Governor(0.05, 1), 2.0).frame_s == 1.0, "of a slower camera its own pace"


def test_first_frame_and_one_slow_frame_do_not_count() -> None:
    governor = Governor(0.4, 15)
    assert governor.record_cost(3.0, 1.0) == VisionPlan()
    assert governor.record_cost(0.005, 1.0 + PERIOD_S) == VisionPlan()
    assert after(governor, 0.005) == VisionPlan(frame_s=0.0, whole_s=WHOLE_S, limit=None)
    assert governor.record_cost(0.100, 20.0 + PERIOD_S).limit is None


def test_more_faces_slow_it_down_within_seconds_and_fewer_let_it_run_again() -> None:
    governor = Governor(0.4, 15)
    after(governor, 0.005)
    assert after(governor, 0.060, seconds=5, start_s=20).limit is Limit.BUDGET
    assert after(governor, 0.005, seconds=10, start_s=30) == VisionPlan()


def test_around_the_limit_it_does_not_flutter() -> None:
    governor = Governor(0.4, 15)
    changes = 0
    before = governor.plan.limit
    for number in range(600):
        limit = governor.record_cost(
            0.4 * PERIOD_S * (1.02 if number // 20 % 2 else 0.97), number * PERIOD_S
        ).limit
        changes = changes + (limit is not before)
        before = limit
    assert changes <= 1


@pytest.mark.parametrize(
    ("celsius", "share"), [(None, 1.0), (69.0, 1.0), (70.0, 0.75), (75.0, 0.5), (85.0, 0.25)]
)
def test_a_warm_processor_leaves_less_of_the_budget(celsius: float | None, share: float) -> None:
    governor = Governor(0.4, 15)
    governor.set_temperature(celsius)
    plan = after(governor, 0.025)
    if share == 1.0:
        assert plan.limit is None
    else:
        assert plan.limit is Limit.HEAT
        assert 0.025 / plan.frame_s == pytest.approx(0.4 * share, rel=0.01)
        assert after(governor, 0.050, start_s=20).limit is Limit.BUDGET, "too much anyway"


def test_a_step_of_heat_is_held_until_processor_is_two_degrees_below_it() -> None:
    governor = Governor(0.4, 15)
    limits = []
    for number, celsius in enumerate((71.0, 69.0, 68.5, 67.9, 69.9)):
        governor.set_temperature(celsius)
        limits.append(after(governor, 0.022, start_s=20.0 * number).limit)
    assert limits == [Limit.HEAT, Limit.HEAT, Limit.HEAT, None, None]


def test_limit_that_changes_for_seconds_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    governor = Governor(0.4, 15)
    with caplog.at_level(logging.INFO):
        after(governor, 0.005)
        after(governor, 0.080, start_s=20)
        governor.set_temperature(80.0)
        after(governor, 0.010, start_s=40)
        governor.set_temperature(40.0)
        after(governor, 0.010, start_s=60)
    said = [record.message for record in caplog.records]
    assert said[0] == (
        "at most 5.3 frames are read each second, to keep to 40 % of one core (vision.cpu_budget)"
    )
    assert said[-2] == "at most 10.0 frames are read each second: the processor has 80 °C"
    assert said[-1] == "faces are read as often as they need it again"
    assert len(said) == 4


@pytest.mark.parametrize(("budget", "fps"), [(0.0, 15.0), (-1.0, 15.0), (0.4, 0.0)])
def test_a_budget_or_rate_of_nothing_is_a_mistake_of_the_caller(budget: float, fps: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        Governor(budget, fps)


def test_beyond_the_budget_faces_are_read_sparingly_until_more_would_fit() -> None:
    governor = Governor(0.4, 15)
    assert after(governor, 0.005).effort is Effort.BY_NEED
    assert after(governor, 0.040, start_s=20).effort is Effort.SPARING
    relieved = after(governor, 0.015, start_s=40)
    assert (relieved.limit, relieved.effort) == (None, Effort.SPARING)
    assert after(governor, 0.008, start_s=60).effort is Effort.BY_NEED
