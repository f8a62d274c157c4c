"""A session whose own neutral is calibrated."""

from __future__ import annotations

from pathlib import Path

from edge_agent.core.own_neutral import Calibration
from edge_agent.timeline.study.own_neutral import UsedClassifier, keep, note_asked
from tests.support.timeline import query

CLASSIFIER = UsedClassifier("ab" * 32, "fitted", 0.7369, 0.66)
LOGITS = (0.0, -4.5, -5.0, -3.5, -4.0, -6.0, -6.5, -7.0)


def calibrate_session(
    path: Path, session: int, first_s: float, last_s: float, shift: float = -1.5
) -> None:
    """Calibrate a session by a baseline from ``first_s`` to ``last_s`` after its start."""
    ((start,),) = query(path, "SELECT started FROM session WHERE id = ?", session)
    note_asked(path, session)
    baseline = (start + round(1000 * first_s), start + round(1000 * last_s))
    keep(path, session, baseline, Calibration(19, LOGITS, shift), CLASSIFIER, baseline[1] + 700)
