"""What must hold when a fault is over: nothing safe is lost, and what is lost can be seen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from edge_agent.core.errors import StoreError
from edge_agent.timeline.upkeep.copies import daily_copies, make_daily_copy, verified_copies
from edge_agent.timeline.upkeep.soundness import look_at
from tests.faults.box import Box, numbers_of
from tests.faults.damage import lost_rows, study_rows
from tests.faults.ledger import SOURCE
from tests.faults.outcome import Outcome

BATCH_ROWS = 60
BATCH_MS = 10_000
IN_HAND = 15
"""Rows on their way from the sensor into the batch, or into the note that it is safe."""
GAP_MS = 3_000
_SLACK_MS = 1_500
_DAY_MS = 86_400_000
NIGHTS = 3


def check(box: Box, outcome: Outcome) -> None:
    """Look at the database of a trial whose process has ended in good order."""
    sent = box.ledger.sent()
    committed = box.ledger.committed() - box.destroyed
    there = numbers_of(box.database)
    outcome.expected = len(committed)
    outcome.lost = len(committed - set(there))
    outcome.destroyed = len(box.destroyed)
    missing = sorted(set(sent) - set(there) - box.destroyed)
    outcome.not_saved = len(missing)
    _check_soundness(box.database, outcome)
    with closing(sqlite3.connect(box.database)) as connection:
        outcome.duplicates = _duplicates(connection, outcome)
        gaps = connection.execute("SELECT started, ended FROM gap").fetchall()
        gaps += box.frozen_ms
        outcome.unexplained = _gaps_missing(gaps, missing, sent, there)
        outcome.unexplained += _numbers_missing(connection)
    _check_batches(box, missing, sent, outcome)
    _check_times(box, outcome)
    _check_study(box, outcome)


def _check_soundness(database: Path, outcome: Outcome) -> None:
    found = look_at(database, deep=True, within_s=60)
    if found.faults and not look_at(database, deep=False, within_s=60).faults:
        outcome.wrong.append(f"damage that the doctor does not see: {found.faults[:2]}")
    elif found.faults and "flipped" in (outcome.kind, outcome.other):
        outcome.left_to_doctor = 1
    elif found.faults:
        outcome.wrong.append(f"damaged: {found.faults[:2]}")


def _duplicates(connection: sqlite3.Connection, outcome: Outcome) -> int:
    sql = "SELECT count(*) - count(DISTINCT value) FROM vital WHERE source = ?"
    try:
        return int(connection.execute(sql, (SOURCE,)).fetchone()[0])
    except sqlite3.DatabaseError:
        if outcome.left_to_doctor:
            return 0
        raise


def runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return the first and the last of each unbroken run of rising numbers."""
    first = None
    last = 0
    for number in numbers:
        if first is None:
            first = number
        elif number != last + 1:
            yield first, last
            first = number
        last = number
    if first is not None:
        yield first, last


def _gaps_missing(
    gaps: Sequence[tuple[int, int]],
    missing: Sequence[int],
    sent: Mapping[int, int],
    there: Mapping[int, int],
) -> int:
    """Count the times without rows that are long enough for a gap, and that none tells of."""
    unexplained = 0
    for first, last in runs(missing):
        if first - 1 not in there or last + 1 not in there:
            continue  # at an end, or beside what the fault destroyed
        start = sent[first - 1]
        end = sent[last + 1]
        is_long = end - start >= GAP_MS + _SLACK_MS
        unexplained += is_long and longest_untold(gaps, start, end) >= GAP_MS
    return unexplained


def longest_untold(gaps: Sequence[tuple[int, int]], start: int, end: int) -> int:
    """Return the longest part of a time, in milliseconds, that no gap covers."""
    longest = 0
    for first, last in sorted(gaps):
        longest = max(longest, min(first, end) - start)
        start = max(start, min(last, end))
    return max(longest, end - start)


def _numbers_missing(connection: sqlite3.Connection) -> int:
    """Count the numbers of messages that are neither there nor in a hole."""
    seen = numbers_told(connection)
    return sum(max(numbers) - min(numbers) + 1 - len(numbers) for numbers in seen.values())


def numbers_told(connection: sqlite3.Connection) -> dict[str, set[int]]:
    """Return the numbers of summaries that wait or are in a hole, by epoch."""
    seen: dict[str, set[int]] = {}
    sql = "SELECT json_extract(payload, '$.epoch'), seq FROM outbox WHERE topic = 'summary'"
    for epoch, seq in connection.execute(sql):
        seen.setdefault(epoch, set()).add(seq)
    sql = "SELECT epoch, first_seq, last_seq FROM outbox_hole WHERE topic = 'summary'"
    for epoch, first, last in connection.execute(sql):
        seen.setdefault(epoch, set()).update(range(first, last + 1))
    return seen


def _check_batches(
    box: Box, missing: Sequence[int], sent: Mapping[int, int], outcome: Outcome
) -> None:
    """Find a loss of more than a batch: 60 rows, and what came while a commit took its time.

    A commit waits for a disk that is slow, or refuses; 10 s of rows are the most that may be lost.
    """
    for first, last in runs(missing):
        rows = last - first + 1
        lasted_ms = sent[last] - sent[first]
        allowed = rows <= BATCH_ROWS + IN_HAND or lasted_ms <= BATCH_MS
        if not allowed and outcome.destroyed == 0:
            outcome.wrong.append(f"{rows} rows of {lasted_ms} ms lost at once")


def _check_times(box: Box, outcome: Outcome) -> None:
    off = box.wrong_times()
    if off:
        outcome.wrong.append(f"{len(off)} rows at a wrong time, from number {min(off)} on")


def _check_study(box: Box, outcome: Outcome) -> None:
    for table, rows in lost_rows(box.study, box.database).items():
        outcome.wrong.append(f"{rows} rows of {table} lost")
        outcome.lost += rows


def check_copies(box: Box, outcome: Outcome, now_ms: int) -> None:
    """Let three nights pass, and see that a good copy is still as full as it was."""
    before = verified_copies(daily_copies(box.database))
    fullest = max(len(study_rows(copy.path)["participant"]) for copy, _ in before)
    for night in range(1, NIGHTS + 1):
        with suppress(StoreError):
            make_daily_copy(box.database, now_ms=now_ms + night * _DAY_MS)
    after = verified_copies(daily_copies(box.database))
    counts = [len(study_rows(copy.path)["participant"]) for copy, _ in after]
    outcome.copies_lost = int(not counts or max(counts) < fullest)
