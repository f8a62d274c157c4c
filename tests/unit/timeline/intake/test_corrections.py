"""Readings by hand that are corrected or removed: rows, rollups, what is kept, and its erasure."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core.errors import StudyError
from edge_agent.core.given_readings import flag_near_pressures
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.intake.corrections import (
    ReadingKey,
    correct_reading,
    entered_readings,
    remove_reading,
    removed_readings,
)
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.write.inserts import import_each
from tests.support.clocks.dated import assert_rollups_are_those_of_the_rows
from tests.support.timeline import instant, query, session_row, timeline

SOURCE = "manual:ada"


def entered(path: Path, second: int, systolic: float, diastolic: float) -> None:
    """Enter both pressures as the page does."""
    flags = frozenset({VitalFlag.MANUAL})
    pair = [
        VitalReading(instant(second), VitalKind.SYSTOLIC, systolic, SOURCE, flags),
        VitalReading(instant(second), VitalKind.DIASTOLIC, diastolic, SOURCE, flags),
    ]
    import_each(path, flag_near_pressures(pair))


def key(second: int, kind: VitalKind = VitalKind.SYSTOLIC, source: str = SOURCE) -> ReadingKey:
    return ReadingKey(instant(second).wall_ms, kind, source)


def test_a_correction_takes_place_of_value_and_judges_both_pressures_anew(path: Path) -> None:
    entered(path, 1, 80, 120)
    entered(path, 2, 118, 79)
    assert "out_of_range" in query(path, "SELECT flags FROM vital WHERE value = 120")[0][0]
    correct_reading(path, key(1), 180, actor="ada")
    shown = entered_readings(path, 9)
    assert [(one.key.kind.value, one.value, one.was) for one in shown] == [
        ("systolic", 118, None),
        ("diastolic", 79, None),
        ("systolic", 180, 80),
        ("diastolic", 120, 120),
    ]
    assert {one.flags for one in shown} == {frozenset({"manual"})}
    assert_rollups_are_those_of_the_rows(path)
    kept = query(path, "SELECT value, new_value, actor FROM vital_change ORDER BY value")
    assert kept == [(80.0, 180.0, "ada"), (120.0, 120.0, "ada")]
    assert query(path, "SELECT action, detail FROM audit") == [("reading_correct", "systolic")]


def test_removed_reading_leaves_rows_and_sums_and_is_listed_as_removed(path: Path) -> None:
    entered(path, 1, 1280, 81)
    entered(path, 2, 128, 82)
    remove_reading(path, key(1), actor="bob")
    remove_reading(path, key(2), actor="bob")
    assert_rollups_are_those_of_the_rows(path)
    expected = [("diastolic", 81.0), ("diastolic", 82.0)]
    assert query(path, "SELECT kind, value FROM vital ORDER BY at") == expected
    wanted = [(128, "bob"), (1280, "bob")]
    assert [(one.value, one.actor) for one in removed_readings(path, 9)] == wanted


def test_only_what_a_person_entered_and_what_is_still_there_can_be_changed(path: Path) -> None:
    strap = VitalReading(instant(1), VitalKind.HEART_RATE, 70, "ble:AA")
    import_each(path, [strap])
    with pytest.raises(StudyError, match="no heart rate of that time that was entered by hand"):
        correct_reading(path, key(1, VitalKind.HEART_RATE, "ble:AA"), 71, actor="ada")
    entered(path, 2, 120, 80)
    remove_reading(path, key(2), actor="ada")
    with pytest.raises(StudyError, match="was removed or erased meanwhile"):
        remove_reading(path, key(2), actor="ada")
    assert query(path, "SELECT count(*) FROM vital_change") == [(1,)]


def test_entered_readings_name_their_participant_and_are_erased_with_them(path: Path) -> None:
    first = session_row(0, 100, name="films P01")
    second = session_row(200, 300, name="films P02", participant="P02")
    timeline(path, session=[first, second])
    for at in (50, 150, 250):
        entered(path, at, 120 + at / 50, 80)
        correct_reading(path, key(at), 130 + at / 50, actor="ada")
    remove_reading(path, key(50), actor="ada")
    whose = {(one.key.at_ms, one.participant, one.name) for one in entered_readings(path, 9)}
    assert whose == {
        (instant(50).wall_ms, "P01", "films P01"),
        (instant(150).wall_ms, None, ""),
        (instant(250).wall_ms, "P02", "films P02"),
    }
    assert removed_readings(path, 9)[0].participant == "P01"
    erase_participant(path, "P01", actor="ada")
    expected = [(instant(150).wall_ms,), (instant(250).wall_ms,)]
    assert query(path, "SELECT DISTINCT at FROM vital_change ORDER BY at") == expected
