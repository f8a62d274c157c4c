"""What week and letter say of a patient whom an angry nurse visits, through the real tracker."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.simulated.nurse_walk import CODE, DAY, record_walk
from dashboard.questions.week.letter import write_letter
from dashboard.questions.week.words import weeks_in_words
from edge_agent.core.expression import Whose

MAYBE_OTHERS = "It is not known whether it was always the same person."
NOT_KNOWN = "For 3 min it is not known whose face was in view"


@pytest.mark.parametrize(
    ("whose", "distress", "not_known"),
    [
        ("leading", "6 min of distress.", False),  # also while she stood beside
        ("seat", "3 min of distress.", False),  # while she sat in the chair
        ("alone", "3 min of distress.", True),  # the same; while both were there nobody counts
        ("declared", "0 min of distress.", True),
    ],
)
def test_week_and_letter_count_a_nurse_only_where_evidence_cannot_tell(
    tmp_path: Path, whose: Whose, distress: str, not_known: bool
) -> None:
    database = record_walk(tmp_path, whose)

    (week,) = weeks_in_words(database, CODE, DAY, None)
    letter = write_letter(database, CODE, DAY, 1, "hall").body

    assert week.model.sentence == distress
    assert letter.split("\n\n")[1] == distress
    for text in (week.model.faces_sentence, letter):
        assert MAYBE_OTHERS in text
        assert (NOT_KNOWN in text) is not_known
