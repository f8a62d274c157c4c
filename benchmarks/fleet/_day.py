"""A recording, as the real sender reads and packs it, for any number of devices."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Emotion, Expression, ExpressionRow
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.fleet.chunks import TimelineMessage, encode
from edge_agent.fleet.log import ChangeLog
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.write.inserts import write_expressions, write_vitals

BATCH_MS = 10_000
STEP_MS = 2_000
BATCHES = 60
ROWS = 10
"""Rows of a batch: five of a face and five of a strap."""
START_MS = 1_790_000_400_000
ERASED_BATCHES = 3
ERASES_AT = 6
"""Number of the message with which a device that erases does so."""

Change = list[Any]
Kept = tuple[int, int]
"""How many rows, and the sum of their hashes."""


def record_day(folder: Path) -> list[list[Change]]:
    """Return the changes of each batch, read from a database by the sender's own log."""
    path = folder / "affect-edge.db"
    migrate(path)
    log = ChangeLog(path)
    log.begin()
    after = log.newest()
    chance = random.Random(7)
    batches = []
    with closing(connect(path, readonly=False)) as connection:
        for number in range(BATCHES):
            times = range(number * BATCH_MS, (number + 1) * BATCH_MS, STEP_MS)
            instants = [Instant(1 + at, START_MS + at) for at in times]
            with transaction(connection):
                faces = [(_face(at, chance), None) for at in instants]
                write_expressions(connection, faces, STEP_MS, False)
                rates = [(at, float(chance.randint(58, 96))) for at in instants]
                readings = [
                    VitalReading(at, VitalKind.HEART_RATE, rate, "strap") for at, rate in rates
                ]
                write_vitals(connection, [(reading, None) for reading in readings])
            chunk = log.read(after, 500)
            assert chunk is not None
            assert len(chunk.changes) == ROWS, chunk.changes
            after = chunk.last
            batches.append(list(chunk.changes))
    log.close()
    return batches


def _face(at: Instant, chance: random.Random) -> ExpressionRow:
    shares = [chance.random() ** 3 + 1e-3 for _ in range(8)]
    total = sum(shares)
    shown = Expression(tuple(share / total for share in shares))
    emotion = chance.choice((Emotion.NEUTRAL, Emotion.HAPPINESS, None))
    size, quality = round(chance.uniform(90, 160), 1), round(chance.random(), 3)
    return ExpressionRow(at, 1, 30, shown, shown, emotion, size, quality, True)


@dataclass(slots=True)
class Player:
    """Plays the recording for one device: message 0 begins its stream, each other is a batch.

    Attributes:
        day: what ``record_day`` returned.
        number: of the device; all that is chosen is chosen by it.
    """

    day: list[list[Change]]
    number: int

    @property
    def name(self) -> str:
        """Of the device."""
        return f"sim-{self.number}"

    @property
    def epoch(self) -> str:
        """Of its stream."""
        return f"{self.number:016x}"

    @property
    def clock_error_ms(self) -> int:
        """How far its clock is off: one in ten is hours ahead or behind."""
        if self.number % 10 != 3:
            return 0
        return (self.number % 7 - 3) * 3_600_000

    @property
    def erases(self) -> bool:
        """Whether it erases its first batches later on."""
        return self.number % 50 == 1

    def span(self, message: int) -> tuple[int, int]:
        """Return the first and last position of a message."""
        if message == 0:
            return 1, 1
        first = 2 + (message - 1) * ROWS
        return first, first + ROWS - 1

    def payload(self, message: int, sent_ms: int) -> bytes:
        """Return a message as the sender packs it."""
        first, last = self.span(message)
        changes = tuple(self.changes(message))
        sent = sent_ms + self.clock_error_ms
        return encode(
            TimelineMessage(
                *(self.name, self.epoch, first, last, sent, True, 0, changes),
                boot=f"{self.number:08x}",
                boot_ms=sent_ms - START_MS,
            )
        )

    def changes(self, message: int) -> Iterator[Change]:
        """Yield what a message says."""
        first, _ = self.span(message)
        if message == 0:
            yield [1, "", "begin", {"follows": None}]
            return
        if self.erases and message == ERASES_AT:
            span = [self._base_ms(1), self._base_ms(1 + ERASED_BATCHES)]
            yield [first, "", "erase", {"participant": 1, "epoch": self.epoch, "spans": [span]}]
            return
        recorded = (message + self.number) % BATCHES
        shift = self._base_ms(message) - START_MS - recorded * BATCH_MS
        for place, (_, table, what, values) in enumerate(self.day[recorded]):
            moved = list(values)
            if table == "vital":
                moved[0] += shift
            else:
                moved[0] = first + place
                moved[1] += shift
            yield [first + place, table, what, moved]

    def _base_ms(self, message: int) -> int:
        return START_MS + self.clock_error_ms + message * BATCH_MS

    def expected(self, messages: int) -> Kept:
        """Return what must be in the database once the first ``messages`` are."""
        erased = self.erases and messages > ERASES_AT
        rows = total = 0
        for message in range(1, messages):
            for _, table, what, values in self.changes(message):
                at = values[0 if table == "vital" else 1] if what == "row" else 0
                reach = at if table == "vital" else at - STEP_MS
                gone = erased and message < ERASES_AT and reach < self._base_ms(1 + ERASED_BATCHES)
                if what == "row" and not gone:
                    rows += 1
                    total += hash_of(table, values)
        return rows, total


def hash_of(table: str, values: list[Any]) -> int:
    """Return a number for a row; ``HASHES`` computes the same in PostgreSQL."""
    if table == "vital":
        at, kind, source, value = values[:4]
        numbers = [at, kind, source, int(value)]
    else:
        numbers = [*values[:2], *values[4:15], values[23] or "-"]
    text = "|".join(map(str, numbers))
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:4])


_NAMES = "neutral, happiness, surprise, sadness, anger, disgust, fear, contempt"
_NUMBER = "('x' || left(md5({text}), 8))::bit(32)::int8 & 4294967295"
_FACE = f"concat_ws('|', id, at, interval_ms, track, frames, {_NAMES}, "
HASHES = (
    "SELECT stream.device, count(*), sum(hash) FROM (SELECT stream, "
    + _NUMBER.format(text=_FACE + "coalesce(emotion, '-'))")
    + " AS hash FROM fleet.expression UNION ALL SELECT stream, "
    + _NUMBER.format(text="concat_ws('|', at, kind, source, value::int8)")
    + " FROM fleet.vital) AS row JOIN fleet.stream ON stream.id = row.stream GROUP BY 1"
)
"""Device, how many rows it has there, and the sum of their hashes."""
