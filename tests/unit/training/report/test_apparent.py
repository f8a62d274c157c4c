"""People compared by apparent sex and skin: within categories, which count alike."""

from __future__ import annotations

import numpy as np
import pytest

from training.report.apparent import LEAST, compare_groups
from training.report.chain import ChainAnswers


def read(*parts: tuple[int, int, int]) -> ChainAnswers:
    """Return answers: for each part its category, how many are read rightly, how many wrongly."""
    truth = np.concatenate([np.full(right + wrong, kind) for kind, right, wrong in parts])
    said = np.concatenate(
        [[kind] * right + [(kind + 1) % 5] * wrong for kind, right, wrong in parts]
    )
    return ChainAnswers(truth, np.eye(8)[said], np.ones(len(truth), dtype=bool))


def test_groups_are_compared_within_categories_that_count_alike() -> None:
    few = LEAST - 1
    answers = read((0, 5, 5), (3, 9, 1), (4, few, 0), (0, 40, 10), (3, 5, 5), (4, 0, 50))
    first = np.arange(len(answers.truth)) < 20 + few

    found = compare_groups(answers, first, ~first)

    assert (found.first, found.second) == (20 + few, 110)
    assert list(found.recalls) == ["neutral", "sadness"], "anger has too few faces to compare"
    neutral, expressions = found.over["neutral"], found.over["the expressions"]
    assert neutral.difference == pytest.approx(0.5 - 0.8)
    assert expressions.difference == pytest.approx(0.9 - 0.5)
    assert found.over["all compared"].difference == pytest.approx(0.05)
    # Normal approximation: 1.96 √(0.5·0.5/10 + 0.8·0.2/50) = 0.33.
    assert [neutral.low, neutral.high] == pytest.approx([-0.63, 0.03], abs=0.04)
    assert compare_groups(answers, first, ~first) == found, "the same draws each time"
