"""Which of rows, minutes, hours and days still hold all that was recorded in a range.

Rows are deleted after ``record.keep_days`` or for the disk budget, minutes and hours when they have
been folded (``store.upkeep.fold``). An hour is the sum of its minutes as long as these are kept; a
day holds the hours that were moved into it, and these only.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.tables import DAY_MS, HOUR_MS, MINUTE_MS


@dataclass(frozen=True, slots=True)
class Recorded:
    """Something that is recorded in rows and rolled up in minutes, hours and days.

    Attributes:
        name: of the table of rows; those of the rollups begin with it.
        number: SQL for how many rows a row of a rollup counts.
        which_rows: SQL condition, ending in ``AND``, for the rows that are rolled up.
        which: the same for the rows of a rollup.
    """

    name: str
    number: str
    which_rows: str
    which: str

    def rollup(self, resolution: str) -> str:
        """Return what to read a rollup from, as SQL that ends in ``WHERE …``.

        Hours are read together with the days, in which there are other hours.
        """
        if resolution == "hour":
            hours = f"SELECT * FROM {self.name}_hour UNION ALL SELECT * FROM {self.name}_day"
            return f"({hours}) WHERE {self.which}"
        return f"{self.name}_{resolution} WHERE {self.which}"

    def is_whole(
        self, connection: sqlite3.Connection, resolution: str, span: Mapping[str, int]
    ) -> bool:
        """Tell whether no coarser table counts more of a range than the one of ``resolution``.

        Args:
            connection: to read from.
            resolution: ``row``, ``minute`` or ``hour``.
            span: ``start`` and ``end`` of the range, UTC milliseconds.
        """
        fewer = {
            "row": (self._minutes_above_rows, self._hours_above_rows, self._days_above_rows),
            "minute": (self._hours_above_minutes, self._days),
            "hour": (self._days,),
        }
        return not any(_exists(connection, missing(), span) for missing in fewer[resolution])

    def resolution_read(
        self, connection: sqlite3.Connection, resolution: str, span: Mapping[str, int]
    ) -> str:
        """Return ``day`` where hours were asked for and some of them are kept as days only."""
        if resolution == "hour" and not self.is_whole(connection, resolution, span):
            return "day"
        return resolution

    def _days(self) -> str:
        return self._coarser("day", DAY_MS)

    def _hours_above_minutes(self) -> str:
        minutes = self._sum("minute", HOUR_MS)
        return f"{self._coarser('hour', HOUR_MS)} AND {self.number} > {minutes}"

    def _minutes_above_rows(self) -> str:
        return f"{self._coarser('minute', MINUTE_MS)} AND {self.number} > {self._count(MINUTE_MS)}"

    def _hours_above_rows(self) -> str:
        return f"{self._hours_above_minutes()} AND {self.number} > {self._count(HOUR_MS)}"

    def _days_above_rows(self) -> str:
        hours = self._sum("hour", DAY_MS)
        return f"{self._days()} AND {self.number} + {hours} > {self._count(DAY_MS)}"

    def _coarser(self, resolution: str, length: int) -> str:
        """Select the rows of a rollup that touch the range."""
        return (
            f"SELECT 1 FROM {self.name}_{resolution} AS coarse WHERE {self.which} "
            f"at > :start - {length} AND at < :end"
        )

    def _sum(self, resolution: str, length: int) -> str:
        return (
            f"(SELECT coalesce(sum({self.number}), 0) FROM {self.name}_{resolution} AS fine "
            f"WHERE {self.which} fine.at >= coarse.at AND fine.at < coarse.at + {length})"
        )

    def _count(self, length: int) -> str:
        return (
            f"(SELECT count(*) FROM {self.name} AS fine WHERE {self.which_rows} "
            f"fine.at >= coarse.at AND fine.at < coarse.at + {length})"
        )


EXPRESSIONS = Recorded("expression", "rows", "is_primary = 1 AND", "")
VITALS = {
    kind: Recorded("vital", "n + flagged", f"kind = '{kind}' AND", f"kind = '{kind}' AND")
    for kind in VitalKind
}


def _exists(connection: sqlite3.Connection, query: str, span: Mapping[str, int]) -> bool:
    return bool(connection.execute(f"SELECT EXISTS ({query})", span).fetchone()[0])
