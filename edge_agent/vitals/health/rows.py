"""What a row of an export becomes: a reading, or the reason why it is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.given_readings import Origin, reading_of
from edge_agent.core.reading_times import LocalTimes
from edge_agent.core.readings import VitalFlag, VitalReading


class LeftOut(NamedTuple):
    """A row that gives no reading.

    Attributes:
        where: file and row.
        why: what is wrong with it, the value named.
    """

    where: str
    why: str

    @property
    def sentence(self) -> str:
        """Both, for people."""
        return f"{self.where}: {self.why}"


class Remark(NamedTuple):
    """What is worth knowing of a file that was read.

    Attributes:
        where: the file.
        why: what is odd about it.
    """

    where: str
    why: str

    @property
    def sentence(self) -> str:
        """Both, for people."""
        return f"{self.where}: {self.why}"


class NotRead(Remark):
    """Why a file of the export was left out as a whole."""


class DamagedFileError(DataFileError):
    """One file is damaged; others of the same export can be taken without it."""


Row = VitalReading | LeftOut | Remark
Rows = Iterator[Row]


@dataclass(frozen=True, slots=True)
class RowValidator:
    """Turns the fields of a row into a reading.

    Args:
        now: by which times to come are known.
        zone: time zone of times that name none; ``None`` refuses such times.
        source: what all readings name as their source, instead of what the export says.

    Example:
        >>> validator = RowValidator(clock.now())
        >>> item = {"kind": "heart_rate", "value": "61", "at": "2026-01-05T08:00:00Z"}
        >>> validator.row("export.xml, line 9", item, "apple_health:Watch").value
        61.0
    """

    now: Instant
    zone: LocalTimes | None = None
    source: str = ""

    def row(
        self,
        where: str,
        item: Mapping[str, object],
        source: str,
        flags: frozenset[VitalFlag] = frozenset(),
    ) -> Row:
        """Return the reading of a row, flagged ``imported``, or why there is none.

        Args:
            where: file and row.
            item: kind, value, unit and ``at``, as ``given_readings.reading_of`` takes them.
            source: who measured, as far as the export says it.
            flags: what else the row says of the reading.
        """
        origin = Origin("", flags=flags | {VitalFlag.IMPORTED}, zone=self.zone, live=False)
        named = "".join(letter if letter.isprintable() else " " for letter in source)
        try:
            return reading_of({**item, "source": self.source or named[:200]}, self.now, origin)
        except ReadingError as error:
            return LeftOut(where, str(error))

    def need_zone(self, name: str) -> None:
        """Refuse a file whose times name no zone where none is given: it is never guessed.

        Raises:
            DataFileError: none is given.
        """
        if self.zone is None:
            raise DataFileError(
                f"{name}: its times name no time zone. Say which it is with --timezone, such as "
                "Europe/Berlin, or UTC. Nothing was imported."
            )
