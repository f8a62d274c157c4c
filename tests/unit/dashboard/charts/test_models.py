"""What a card says of how often its model is right, as rows and as a chart."""

from __future__ import annotations

import pytest

from dashboard.charts.models import category_rows, reliability_chart, robustness_rows
from edge_agent.core.expression import EMOTIONS
from edge_agent.vision.models.card import find_model, read_card

CARD = read_card(find_model("expression-accurate"))


def test_each_category_has_what_it_is_read_as() -> None:
    rows = category_rows(CARD)
    assert [row.name for row in rows] == [emotion.value for emotion in EMOTIONS]
    contempt = rows[-1]
    assert [cell.n for cell in contempt.cells] == [7, 0, 0, 2, 0, 0, 0, 4]
    assert [cell.shade for cell in contempt.cells] == [5, 0, 0, 2, 0, 0, 0, 3]
    assert contempt.cells[-1].is_right and not contempt.cells[0].is_right
    for place, row in enumerate(rows):
        assert sum(cell.n for cell in row.cells) == row.n
        assert row.cells[place].n / row.n == pytest.approx(row.recall, abs=5e-5)


def test_robustness_is_reported_in_points() -> None:
    rows = {row.name: row for row in robustness_rows(CARD)}
    assert rows["lower half covered"].loss == 39.45
    assert rows["blurred"].accuracy == 0.8562


def test_reliability_is_drawn_from_the_bins_of_the_card() -> None:
    chart = reliability_chart(CARD)
    assert chart is not None
    assert "on 3,199 faces" in chart.sentence
    points = chart.figure["data"][1]
    assert sum(points["customdata"]) == 3199
    assert chart.rows[-1] == ("0.93 to 1.00", "1,815", "98.7 %", "99.1 %")


def test_a_card_without_such_figures_has_neither_rows_nor_chart() -> None:
    card = read_card(find_model("face-detector"))
    assert (category_rows(card), robustness_rows(card), reliability_chart(card)) == ((), (), None)
