"""Which consent of a participant an export tells."""

from __future__ import annotations

import csv
from pathlib import Path

from edge_agent.core import clock
from edge_agent.store.database.schema import migrate
from edge_agent.store.export.rows import Choice
from edge_agent.store.export.text_formats import CSV
from edge_agent.store.study.past import give_past_consent
from edge_agent.store.study.study import Study


def told(path: Path, folder: Path) -> dict[str, str]:
    CSV.export(path, folder, Choice())
    with (folder / "participant.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return row


def test_the_consent_that_stands_is_told_and_not_the_one_that_was_written_last(
    tmp_path: Path,
) -> None:
    path = tmp_path / "affect-edge.db"
    migrate(path)
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "new")
    give_past_consent(path, "P-1", "old", clock.now().wall_ms - 86_400_000, actor="ada")
    row = told(path, tmp_path / "before")
    assert (row["consent_version"], row["consent_withdrawn_at"]) == ("new", "")
    study.withdraw_consent("P-1")
    row = told(path, tmp_path / "after")
    assert row["consent_version"] == "new"
    assert row["consent_withdrawn_at"] != ""
