"""The picture of the effect sizes for paper: where its marks stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.analysis.rendering.light import LEFT, RIGHT, forest_of, means_panels
from tests.support.analyses import analysed
from tests.support.studies import heart, make_study

NEUTRAL = (70.0, 78.0, 66.0, 83.0, 74.0, 69.0)


@pytest.mark.parametrize("more", [0.001, 0.4, 6.0, 400.0])
def test_marks_stand_on_the_scale_at_their_numbers(tmp_path: Path, more: float) -> None:
    people = {
        f"P-{place}": heart(neutral=value, anger=value + more + 0.1 * (place % 3))
        for place, value in enumerate(NEUTRAL)
    }
    analysis = analysed(make_study(tmp_path, people), vital=("heart_rate",))
    (test,) = [one for one in analysis.family if one.g is not None]
    forest = forest_of(analysis)
    assert forest is not None
    assert (forest.title, forest.note) == ("Effect sizes, Hedges’ g (95 % CI)", "")
    (row,) = forest.rows
    assert row.name == "Heart rate: anger − neutral"
    assert LEFT < row.low < row.x < row.high < RIGHT
    assert 2 <= len(forest.ticks) <= 10
    (first, text), (last, end) = forest.ticks[0], forest.ticks[-1]
    low, high = (float(one.replace("−", "-")) for one in (text, end))
    expected = first + ((test.g or 0.0) - low) / (high - low) * (last - first)
    assert row.x == pytest.approx(expected, abs=1)
    assert forest.zero in {place for place, _ in forest.ticks}


def test_without_a_test_there_is_no_picture(tmp_path: Path) -> None:
    people = {"P-1": heart(neutral=70.0, anger=75.0)}
    assert forest_of(analysed(make_study(tmp_path, people))) is None


@pytest.mark.parametrize("more", [0.004, 5.0, 60.0])
def test_means_panel_marks_stand_on_the_scale(tmp_path: Path, more: float) -> None:
    people = {
        f"P-{place}": heart(neutral=value, anger=value + more)
        for place, value in enumerate(NEUTRAL)
    }
    analysis = analysed(make_study(tmp_path, people), vital=("heart_rate",))
    (panel,) = means_panels(analysis)
    assert panel.title == "Heart rate (1/min)"
    assert len(panel.people) == len(NEUTRAL)
    assert [name for _, name in panel.states] == ["neutral", "happiness", "anger"]
    assert 2 <= len(panel.ticks) <= 7
    (foot, low), (top, high) = panel.ticks[0], panel.ticks[-1]
    neutral, anger = panel.marks
    for mark, one in zip(panel.marks, (analysis.summaries[0], analysis.summaries[2]), strict=True):
        assert one.mean is not None and one.interval is not None
        for at, value in (
            (mark.y, one.mean),
            (mark.low, one.interval.low),
            (mark.high, one.interval.high),
        ):
            share = (value - float(low)) / (float(high) - float(low))
            assert at == pytest.approx(foot + share * (top - foot), abs=0.2)
    assert neutral.x < anger.x
    first, last = panel.people[0].split()
    assert float(first.split(",")[0]) == panel.states[0][0]
    assert float(last.split(",")[0]) == panel.states[2][0]
