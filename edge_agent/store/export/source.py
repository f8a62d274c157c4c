"""What an export is made from: the chosen part of the timeline at one moment, table by table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from edge_agent.core import clock
from edge_agent.store.export.appliance import Appliance
from edge_agent.store.export.progress import OnProgress, Progress
from edge_agent.store.export.rows.blocks import Block, blocks_of
from edge_agent.store.export.rows.selection import Choice, choose
from edge_agent.store.export.rows.typed import Row, rows_of


class ExportSource:
    """Gives the tables of one export, and what is told about it.

    Args:
        connection: to read from, within one transaction.
        choice: which part of the timeline.
        appliance: what is told of the appliance.
        on_progress: is told the share that is done; ``None`` where nobody wants to know.

    Attributes:
        chosen: what the choice means in this database.
        created_ms: when the export was made, UTC epoch milliseconds.

    Raises:
        StudyError: there is no such session.

    Example:
        >>> for row in source.rows("vital"):
        ...     print(row["at"], row["kind"], row["value"])
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        choice: Choice,
        appliance: Appliance,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.connection = connection
        self.chosen = choose(connection, choice)
        self.appliance = appliance
        self.created_ms = clock.now().wall_ms
        self._progress = Progress(connection, self.chosen, on_progress or (lambda _: None))

    @property
    def created(self) -> str:
        """When the export was made, as ISO 8601 in UTC."""
        return clock.iso_utc(self.created_ms)

    def blocks(self, name: str) -> Iterator[Block]:
        """Yield one of ``FILES`` as blocks of CSV, the line of column names first."""
        return self._progress.watch(name, blocks_of(self.connection, self.chosen, name))

    def rows(self, name: str) -> Iterator[Row]:
        """Yield the rows of one of ``FILES`` as values with their types."""
        return rows_of(name, self.blocks(name))
