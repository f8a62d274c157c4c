"""Consents, models in use and counts of sessions."""

from __future__ import annotations

from pathlib import Path

from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.reader import (
    Consent,
    SessionCounts,
    consents,
    models_in_use,
    session_counts,
)
from edge_agent.store.study.study import Study
from edge_agent.store.write.timeline import ModelUse, write_model
from tests.support.timeline import database, instant, reading, row


def test_the_newest_consent_of_each_participant_counts(tmp_path: Path) -> None:
    study = Study(path := database(tmp_path))
    for code in ("P-1", "P-2", "P-3"):
        study.create_participant(code)
    for code in ("P-1", "P-2"):
        study.give_consent(code, "1")
    study.withdraw_consent("P-2")
    study.give_consent("P-1", "2")
    found = consents(path)
    assert set(found) == {"P-1", "P-2"}
    assert isinstance(found["P-1"], Consent)
    assert (found["P-1"].text_version, found["P-1"].withdrawn_ms) == ("2", None)
    assert (found["P-2"].text_version, found["P-2"].withdrawn_ms is None) == ("1", False)


def test_only_the_last_model_of_each_kind_is_in_use(tmp_path: Path) -> None:
    path = database(tmp_path)
    assert models_in_use(path) == []
    uses = [
        ModelUse("expression", "fast", "1", "aa", 1),
        ModelUse("face-detector", "faces", "1", "bb", 2),
        ModelUse("expression", "fast", "2", "cc", 3),
    ]
    with write_transaction(path) as connection:
        for use in uses:
            write_model(connection, use)
    assert models_in_use(path) == [uses[2], uses[1]]


def test_what_lies_in_a_session_is_counted(tmp_path: Path) -> None:
    path = database(
        tmp_path,
        [row(second) for second in range(10)],
        [reading(second) for second in range(0, 10, 2)],
    )
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    first = study.start_session("P-1", Purpose.RESEARCH, "", instant(2))
    study.add_marker(MarkerKind.NOTE, "hello", instant(3))
    study.end_session(instant(5))
    second = study.start_session("P-1", Purpose.RESEARCH, "", instant(8))
    expected = {first.id: SessionCounts(3, 2, 1), second.id: SessionCounts(2, 1, 0)}
    assert session_counts(path) == expected
