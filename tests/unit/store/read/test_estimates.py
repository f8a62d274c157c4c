"""An estimated reading is kept and shown, and in no mean: it is no measurement."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.agent.summary import SummaryWindow
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.quality import Level
from edge_agent.store.read.quality_checks import session_quality
from edge_agent.store.read.reader import Reader
from edge_agent.store.upkeep.fold import make_anew
from tests.support.studies import add_session, heart
from tests.support.timeline import START_MS, database, instant, query, reading

MINUTE_MS = 60_000
MEASURED = [reading(second, 70.0) for second in range(10)]
ESTIMATED = [
    reading(5.0 * n, 110.0, source="camera_pulse", flags=[VitalFlag.ESTIMATED]) for n in range(3)
]


def test_a_trend_from_rows_or_rollups_holds_what_was_measured_alone(tmp_path: Path) -> None:
    path = database(tmp_path, readings=[*MEASURED, *ESTIMATED])
    for length_ms, buckets in ((MINUTE_MS, 60), (60 * MINUTE_MS, 60)):
        trend = Reader(path).vital_trend(
            VitalKind.HEART_RATE, START_MS, START_MS + length_ms, buckets
        )
        assert {mean for mean in trend.mean if mean is not None} == {70.0}
        assert (sum(trend.n), sum(trend.flagged)) == (10, 3)
    assert query(path, "SELECT count(*) FROM vital") == [(13,)], "every reading is kept"


def test_rollups_that_are_made_anew_are_the_same(tmp_path: Path) -> None:
    path = database(tmp_path, readings=[*MEASURED, *ESTIMATED])
    before = query(path, "SELECT * FROM vital_minute ORDER BY at")
    with write_transaction(path) as connection:
        make_anew(connection, (START_MS, START_MS + MINUTE_MS), ())
    assert query(path, "SELECT * FROM vital_minute ORDER BY at") == before


def test_a_summary_counts_estimates_and_averages_measurements() -> None:
    window = SummaryWindow("pi", instant(0), simulated=False)
    for one in [*MEASURED, *ESTIMATED]:
        window.add_vital(one)
    heart_rate = window.close(instant(10))["vitals"]["heart_rate"]
    assert (heart_rate["mean"], heart_rate["max"], heart_rate["n"], heart_rate["flagged"]) == (
        70.0,
        70.0,
        10,
        3,
    )
    for one in ESTIMATED:
        window.add_vital(one)
    assert window.close(instant(20))["vitals"] == {}


def test_a_session_with_nothing_but_estimates_has_no_readings_and_is_not_fit(
    tmp_path: Path,
) -> None:
    path = database(tmp_path)
    add_session(path, "P-1", heart(anger=80.0, neutral=70.0), flags=[VitalFlag.ESTIMATED])
    report = session_quality(Reader(path), 1)
    readings = next(check for check in report.checks if check.name == "readings")
    assert (readings.level, report.level) == (Level.BAD, Level.BAD)
    assert readings.found == "There is no reading of heart rate or blood pressure."


@pytest.mark.parametrize("estimated", [False, True])
def test_estimates_beside_measurements_change_no_verdict(tmp_path: Path, estimated: bool) -> None:
    path = database(tmp_path)
    add_session(path, "P-1", heart(anger=80.0, neutral=70.0))
    if estimated:
        with write_transaction(path) as connection:
            connection.execute(
                "INSERT INTO vital (at, kind, source, value, flags) "
                "SELECT at + 1, kind, 'camera_pulse', 99, 'estimated' FROM vital"
            )
    [heart_rate] = session_quality(Reader(path), 1).measures.vitals
    assert (heart_rate.usable, heart_rate.flagged) == (2, 0)
