"""The source of an export: the chosen part of the timeline at one moment, table by table."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from edge_agent.core import clock
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.rows import (
    ChosenRows,
    ExportChoice,
    Row,
    RowBlock,
    blocks_of,
    choose,
    rows_of,
    whole,
)

OnProgress = Callable[[float], None]
"""Is told the share that is done, 0…1, some times a second; may raise to end the export."""

# share of an export's duration that each table takes
_WEIGHTS = {"expression": 0.34, "movement": 0.3, "unfit": 0.02, "vital": 0.26, "episode": 0.08}


class ExportProgress:
    """Reports the progress of an export from the times of the written rows.

    Args:
        connection: to read from.
        chosen: what is taken along.
        on_progress: who wants to know.
    """

    def __init__(
        self, connection: sqlite3.Connection, chosen: ChosenRows, on_progress: OnProgress
    ) -> None:
        self._on_progress = on_progress
        self._done = 0.0
        first, last = connection.execute(
            "SELECT min(first), max(last) FROM (SELECT min(at) AS first, max(at) AS last FROM "
            "expression UNION ALL SELECT min(at), max(at) FROM vital)"
        ).fetchone()
        ranges = chosen.ranges or (chosen.span,)
        self._first = max(first or 0, ranges[0][0])
        self._length = max(1, min(last or 0, ranges[-1][1]) - self._first)

    def watch(self, name: str, blocks: Iterator[RowBlock]) -> Iterator[RowBlock]:
        """Yield the blocks of a file unchanged, and report the progress."""
        weight = _WEIGHTS.get(name, 0.0)
        for block in blocks:
            yield block
            # Tables of the study have no times to tell progress by, and take no time.
            if block.until_ms is None:
                share = 0.0
            else:
                share = (block.until_ms - self._first) / self._length
            self._on_progress(min(1.0, self._done + weight * min(1.0, max(0.0, share))))
        self._done += weight
        self._on_progress(min(1.0, self._done))


class ExportSource:
    """Provides the tables of one export, and the facts about the export.

    Args:
        connection: to read from, within one transaction.
        choice: which part of the timeline.
        appliance: facts about the appliance.
        on_progress: gets the share that is done; ``None`` where nobody wants to know.

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
        choice: ExportChoice,
        appliance: Appliance,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.connection = connection
        self.chosen = choose(connection, choice)
        self.appliance = appliance
        self.created_ms = clock.now().wall_ms
        self._progress = ExportProgress(connection, self.chosen, on_progress or (lambda _: None))

    @property
    def created(self) -> str:
        """The time at which the export was made, as ISO 8601 in UTC."""
        return clock.iso_utc(self.created_ms)

    def blocks(self, name: str) -> Iterator[RowBlock]:
        """Yield one of ``FILES`` as blocks of CSV, the line of column names first."""
        blocks = blocks_of(self.connection, self.chosen, name, self.appliance.matching)
        return self._progress.watch(name, blocks)

    def rows(self, name: str) -> Iterator[Row]:
        """Yield the rows of one of ``FILES`` as values with their types."""
        return rows_of(name, self.blocks(name))

    def of_sessions(self, name: str) -> dict[int, list[Row]]:
        """Return the rows of a small file by the number of their session."""
        rows: dict[int, list[Row]] = {}
        for row in self.rows(name):
            rows.setdefault(whole(row["session"]), []).append(row)
        return rows
