"""The epoch of a database: there from the first message on, and for older databases too."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from edge_agent.store.database.schema import (
    DATABASE_NAME,
    MIGRATIONS,
    connect_any,
    migrate,
    write_transaction,
)
from edge_agent.store.database.stream_epoch import renew_stream_epoch, stream_epoch
from edge_agent.store.write.outbox import Outbox, OutboxMessage, enqueue
from tests.support.timeline import database, query

BEFORE = next(n for n, step in enumerate(MIGRATIONS) if "epoch" in step.name)


def epoch_of(path: Path) -> str:
    with write_transaction(path) as connection:
        return stream_epoch(connection)


def older(folder: Path) -> Path:
    """A database of the schema before, in whose outbox three messages wait, one of them damaged."""
    path = folder / DATABASE_NAME
    migrate(path, MIGRATIONS[:BEFORE])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO outbox_seq VALUES ('summary', 43)")
        for seq, payload in ((41, '{"seq":41,"v":0.10}'), (42, '{"seq":'), (43, '{"seq":43}')):
            connection.execute(
                "INSERT INTO outbox (topic, seq, payload, created) VALUES ('summary', ?, ?, 1)",
                (seq, payload),
            )
        connection.execute(
            "INSERT INTO outbox (topic, seq, payload, created) VALUES ('session', NULL, 'null', 1)"
        )
        connection.commit()
    return path


def test_every_new_database_has_another_epoch(tmp_path: Path) -> None:
    epochs = {epoch_of(database(tmp_path / name)) for name in "abc"}
    assert len(epochs) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", epoch) for epoch in epochs)


def test_an_upgrade_gives_an_epoch_to_what_waits_and_counts_on(tmp_path: Path) -> None:
    path = older(tmp_path)
    migrate(path)
    with write_transaction(path) as connection:
        enqueue(connection, OutboxMessage("summary", {}), 100)
    epoch = epoch_of(path)
    with closing(Outbox(path)) as outbox:
        sent = outbox.pending(10)
        assert [row.seq for row in sent] == [41, 43, None, 44]
        assert [row.payload and row.payload["epoch"] for row in sent] == [epoch, epoch, None, epoch]
        assert sent[0].payload == {"seq": 41, "v": 0.1, "epoch": epoch}
        assert outbox.set_aside_counts == {"damaged": 1}


def test_a_copy_of_the_schema_before_keeps_the_epoch_that_it_is_given_at_once(
    tmp_path: Path,
) -> None:
    path = older(tmp_path)
    with closing(connect_any(path)) as connection:
        given = renew_stream_epoch(connection)
    migrate(path)
    assert epoch_of(path) == given
    first = query(path, "SELECT payload FROM outbox ORDER BY id LIMIT 1")[0][0]
    assert json.loads(first)["epoch"] == given
    # its messages had no epoch: they belong to the new one, which therefore counts on
    assert query(path, "SELECT last FROM outbox_seq") == [(43,)]


def test_a_database_that_lost_its_epoch_gets_one(tmp_path: Path) -> None:
    path = database(tmp_path)
    before = epoch_of(path)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM setting")
    assert epoch_of(path) not in {before, ""}
    assert epoch_of(path) == epoch_of(path)
