"""An agent that starts in a session whose own neutral is kept."""

from __future__ import annotations

from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.own_neutral import Calibration
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.study.own_neutral import UsedClassifier, keep
from edge_agent.timeline.study.sessions import Study
from edge_agent.vision.models.card import find_model, read_card
from tests.support.agent import running_agent
from tests.support.timeline import database, query


def test_restart_in_a_session_records_plain_means_and_shifted_labels(tmp_path: Path) -> None:
    path = database(tmp_path)
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "2026-10 v2")
    study.start_session(NewSession("P01", Purpose.RESEARCH, own_neutral=True))
    card = read_card(find_model("expression-accurate"))
    assert card.fitted_prior is not None
    used = UsedClassifier(card.sha256, "fitted", card.fitted_prior.temperature, 0.69)
    now_ms = clock.now().wall_ms
    found = Calibration(20, (0.0,) * 8, -20.0)
    keep(path, 1, (now_ms, now_ms + 1), found, used, now_ms + 1)
    with running_agent(tmp_path, {"record": {"batch_seconds": 0.5}}) as run:
        run.wait_for_rows("expression", "is_primary = 1 AND neutral > 0")
    (counted,) = query(
        path,
        "SELECT sum(smoothed_neutral), count(emotion = 'neutral' OR NULL), sum(neutral) > 0, "
        "sum(frames) > 0 FROM expression WHERE is_primary = 1",
    )
    # By twenty logits less neutral never shows, and is recorded all the same.
    assert counted == (0, 0, 1, 1)
