"""How much of an export is done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from edge_agent.store.export.rows.blocks import Block
from edge_agent.store.export.rows.selection import Chosen

OnProgress = Callable[[float], None]
"""Is told the share that is done, 0…1, some times a second; may raise to end the export."""

# what each takes of the whole time
_WEIGHTS = {"expression": 0.5, "unfit": 0.02, "vital": 0.36, "episode": 0.12}


class Progress:
    """Tells the share that is done by the times of the rows that were written.

    Args:
        connection: to read from.
        chosen: what is taken along.
        on_progress: who wants to know.
    """

    def __init__(
        self, connection: sqlite3.Connection, chosen: Chosen, on_progress: OnProgress
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

    def watch(self, name: str, blocks: Iterator[Block]) -> Iterator[Block]:
        """Pass the blocks of a file on, and tell how far they have come."""
        weight = _WEIGHTS.get(name, 0.0)
        for block in blocks:
            yield block
            if block.until_ms is None:
                share = 0.0
            else:
                share = (block.until_ms - self._first) / self._length
            self._on_progress(min(1.0, self._done + weight * min(1.0, max(0.0, share))))
        self._done += weight
        self._on_progress(min(1.0, self._done))
