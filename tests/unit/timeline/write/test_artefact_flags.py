"""Heart rates are judged as they are written: the same flags whatever way and order they came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.upkeep.fold import fold_rollups
from edge_agent.timeline.write import reading_imports
from edge_agent.timeline.write.inserts import import_each
from edge_agent.timeline.write.reading_imports import import_readings
from tests.support.clocks.dated import assert_rollups_are_those_of_the_rows
from tests.support.timeline import instant, query, reading, timeline

WRONG = (0, 17, 18, 59, 60, 80, 99)
"""Seconds of doubled readings: at both ends, beside each other, at the turn of a minute."""
SERIES = [reading(second, 140 if second in WRONG else 70 + second % 3) for second in range(100)]
FLAGGED = "SELECT (at - ?) / 1000 FROM vital WHERE flags = 'artefact' ORDER BY at"


def flagged(path: Path) -> list[int]:
    return [row[0] for row in query(path, FLAGGED, instant(0).wall_ms)]


def portioned(count: int) -> list[Sequence[VitalReading]]:
    return [SERIES[start : start + count] for start in range(0, len(SERIES), count)]


@pytest.mark.parametrize(
    "batches",
    [
        [SERIES],
        portioned(1),
        portioned(7),
        portioned(10)[::-1],
        [SERIES[::2], SERIES[1::2]],
        [[one] for one in Random(7).sample(SERIES, len(SERIES))],
    ],
    ids=["at_once", "one_by_one", "in_sevens", "newest_first", "gaps_filled", "any_order"],
)
def test_artefacts_in_any_order_of_writing_are_flagged_alike(
    path: Path, batches: Sequence[Sequence[VitalReading]]
) -> None:
    for batch in batches:
        timeline(path, vital=batch)
    assert flagged(path) == list(WRONG)
    assert query(path, "SELECT n, flagged, least, most FROM vital_hour") == [(93, 7, 70, 72)]
    assert_rollups_are_those_of_the_rows(path)
    timeline(path, vital=SERIES)  # once more: nothing is new
    assert flagged(path) == list(WRONG)


def test_imported_heart_rates_are_flagged_over_the_ends_of_portions(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_imports, "PORTION", 10)
    monkeypatch.setattr(reading_imports, "LET_IN_S", 0.0)
    import_readings(path, SERIES, file="strap.csv", actor="ada")
    assert flagged(path) == list(WRONG)
    assert_rollups_are_those_of_the_rows(path)


def test_heart_rates_sent_by_other_programs_are_flagged(path: Path) -> None:
    import_each(path, SERIES)
    assert flagged(path) == list(WRONG)


def test_artefact_that_becomes_a_level_loses_its_flag(path: Path) -> None:
    timeline(path, vital=[reading(second, 70) for second in range(20)])
    timeline(path, vital=[reading(20, 140)])
    assert flagged(path) == [20]
    for second in range(21, 40):
        timeline(path, vital=[reading(second, 140)])
    assert flagged(path) == []
    assert_rollups_are_those_of_the_rows(path)


def test_artefact_flag_given_by_a_sender_stays(path: Path) -> None:
    own = reading(3, 71).with_flag(VitalFlag.ARTEFACT)
    timeline(path, vital=[reading(1, 70), own])
    timeline(path, vital=[reading(second, 70) for second in (2, 4, 5, 6, 7, 8)])
    assert flagged(path) == [3]


def test_artefacts_of_other_sources_and_kinds_are_judged_apart(path: Path) -> None:
    lost = frozenset({VitalFlag.CONTACT_LOST, VitalFlag.OUT_OF_RANGE})
    for second in range(20):
        kind, at = VitalKind.HEART_RATE, instant(second)
        timeline(
            path,
            vital=[
                VitalReading(at, kind, 70, "ble:strap"),
                VitalReading(at, kind, 140, "watch"),
                VitalReading(
                    at, kind, 0 if second % 2 else 71, "loose", lost if second % 2 else frozenset()
                ),
                VitalReading(at, VitalKind.RR_INTERVAL, 0.4 if second == 9 else 0.9, "ble:strap"),
                VitalReading(at, VitalKind.OXYGEN_SATURATION, 40 if second == 9 else 97, "watch"),
            ],
        )
    assert flagged(path) == []


def test_reading_beside_damaged_flags_is_written(path: Path) -> None:
    timeline(path, vital=SERIES[:10])
    with write_transaction(path) as connection:
        connection.execute("UPDATE vital SET flags = 'garbled' WHERE at = ?", (instant(5).wall_ms,))
    timeline(path, vital=SERIES[10:])
    assert flagged(path) == list(WRONG)


def test_artefact_of_a_folded_day_is_judged_anew_in_its_day(path: Path) -> None:
    timeline(path, vital=[reading(0, 70), reading(1, 70), reading(2, 140)])
    days_later = 3 * 86_400
    timeline(path, vital=[reading(days_later, 60)])
    fold_rollups(path, 1, 1, now_ms=instant(days_later).wall_ms)
    timeline(path, vital=[reading(second, 70) for second in (3, 4, 5, 6)])
    assert flagged(path) == [2]
    day = query(
        path,
        "SELECT n, total, flagged FROM vital_day UNION ALL SELECT n, total, flagged FROM "
        "vital_hour WHERE at < ?",
        instant(86_400).wall_ms,
    )
    assert day == [(2, 140, 1), (4, 280, 0)]
