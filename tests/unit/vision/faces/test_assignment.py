"""Our small assignment gives the least sum of costs that there is: SciPy's, to the last digit that
matters.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from edge_agent.vision.faces.tracking import assign

UNASSIGNED = 2.5
some_costs = st.integers(0, 7).flatmap(
    lambda columns: st.lists(
        st.lists(st.floats(0, 4) | st.just(math.inf), min_size=columns, max_size=columns),
        min_size=1,
        max_size=7,
    )
)


def total(costs: list[list[float]], columns: list[int | None]) -> float:
    return sum(
        UNASSIGNED if column is None else row[column]
        for row, column in zip(costs, columns, strict=True)
    )


def total_of_scipy(costs: list[list[float]]) -> float:
    alone = np.where(np.eye(len(costs)) == 1, UNASSIGNED, 1e6)
    wide = np.hstack([np.minimum(np.array(costs, float).reshape(len(costs), -1), 1e6), alone])
    rows, columns = linear_sum_assignment(wide)
    return float(wide[rows, columns].sum())


@given(some_costs)
def test_the_sum_is_the_least_there_is_and_no_column_is_given_twice(
    costs: list[list[float]],
) -> None:
    columns = assign(costs, UNASSIGNED)
    given_columns = [column for column in columns if column is not None]
    assert len(set(given_columns)) == len(given_columns)
    assert total(costs, columns) == pytest.approx(total_of_scipy(costs), abs=1e-9)


def test_the_nearest_pair_is_not_made_when_all_pairs_together_cost_more() -> None:
    assert assign([[0.1, 0.2], [0.2, 1.5]], UNASSIGNED) == [1, 0]


def test_a_pair_that_costs_more_than_being_alone_is_not_made() -> None:
    assert assign([[2.4], [math.inf]], UNASSIGNED) == [0, None]
    assert assign([[2.6]], UNASSIGNED) == [None]


def test_without_columns_everybody_is_alone_and_without_rows_nobody_is_there() -> None:
    assert assign([[], []], UNASSIGNED) == [None, None]
    assert assign([], UNASSIGNED) == []
