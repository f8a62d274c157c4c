"""The epoch of a database: there from the first message on."""

from __future__ import annotations

import re
from pathlib import Path

from edge_agent.store.database.schema import stream_epoch, write_transaction
from tests.support.timeline import database


def epoch_of(path: Path) -> str:
    with write_transaction(path) as connection:
        return stream_epoch(connection)


def test_every_new_database_has_another_epoch(tmp_path: Path) -> None:
    epochs = {epoch_of(database(tmp_path / name)) for name in "abc"}
    assert len(epochs) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", epoch) for epoch in epochs)


def test_a_database_that_lost_its_epoch_gets_one(tmp_path: Path) -> None:
    path = database(tmp_path)
    before = epoch_of(path)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM setting")
    assert epoch_of(path) not in {before, ""}
    assert epoch_of(path) == epoch_of(path)
