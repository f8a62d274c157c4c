"""Which tables a trend over many devices is read from, over a database that is played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")

from dashboard.fleet.trends import FleetTrends
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import DAY_MS, HOUR_MS

DAY = 20_000 * DAY_MS


class Played:
    """A database whose streams are given, and that answers anything else with ``rows``."""

    def __init__(self, streams: list[tuple[int, bool]], rows: list[Any]) -> None:
        self._streams = streams
        self._rows = rows
        self.asked: list[tuple[str, Any]] = []
        self.opened = 0
        self.clocks: list[Any] = []
        self.clocks_read = 0
        self._answer: list[Any] = []

    @contextmanager
    def connection(self) -> Iterator[Played]:
        self.opened += 1
        yield self

    def cursor(self, **_options: object) -> Played:
        return self

    def execute(self, statement: str | bytes, values: Any = None) -> Played:
        text = statement.decode() if isinstance(statement, bytes) else statement
        self._answer = self._streams if "AS counts" in text else self._rows
        if "fleet.clock" in text:
            self.clocks_read += 1
            self._answer = self.clocks
        elif self._answer is self._rows:
            self.asked.append((text, values))
        return self

    def fetchall(self) -> list[Any]:
        return self._answer

    def fetchone(self) -> Any:
        return self._answer[0] if self._answer else None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._answer)


def timeline(
    device: str | None, rows: list[Any], *streams: tuple[int, bool]
) -> tuple[FleetTrends, Played]:
    played = Played(list(streams) or [(1, True), (2, False)], rows)
    database: Any = played
    return FleetTrends(database, device), played


@pytest.mark.parametrize(
    ("device", "length_ms", "buckets", "table"),
    [
        ("room", HOUR_MS, 200, "fleet.expression WHERE"),
        ("room", DAY_MS, 200, "fleet.expression_minute WHERE"),
        ("room", 30 * DAY_MS, 200, "fleet.expression_hour WHERE"),
        ("room", 365 * DAY_MS, 200, "fleet.expression_day WHERE"),
        (None, HOUR_MS, 200, "fleet.expression_minute WHERE"),
        (None, DAY_MS, 200, "fleet.expression_hour WHERE"),
        (None, 30 * DAY_MS, 200, "fleet.expression_day WHERE"),
    ],
)
def test_long_ranges_and_many_devices_are_read_from_coarser_rollups(
    device: str | None, length_ms: int, buckets: int, table: str
) -> None:
    reader, played = timeline(device, [])
    trend = reader.trend(DAY, DAY + length_ms, buckets)
    reader.vital_trend(VitalKind.HEART_RATE, DAY, DAY + length_ms, buckets)
    assert not any(trend.rows)
    assert table in played.asked[0][0]
    assert table.replace("expression", "vital") in played.asked[1][0]


def test_of_one_device_its_streams_are_asked() -> None:
    reader, played = timeline("room", [])
    reader.trend(DAY, DAY + DAY_MS, 24)
    assert played.asked[0][1]["streams"] == [1]
    every, played = timeline(None, [])
    every.trend(DAY, DAY + DAY_MS, 24)
    assert "stream <> ALL" in played.asked[0][0] and played.asked[0][1]["streams"] == [2]
    every, played = timeline(None, [], (1, True))
    every.trend(DAY, DAY + DAY_MS, 24)
    assert "WHERE true AND" in played.asked[0][0]


def test_within_one_moment_clocks_are_read_once() -> None:
    every, played = timeline(None, [])
    for _ in range(2):
        with every.at_one_moment():
            every.trend(DAY, DAY + DAY_MS, 24)
            every.vital_trend(VitalKind.HEART_RATE, DAY, DAY + DAY_MS, 24)
            assert every.clocks_off(DAY, DAY + DAY_MS, 24) == ()
    assert played.clocks_read == 2
    every.trend(DAY, DAY + DAY_MS, 24)
    assert played.clocks_read == 3
    one, played = timeline("room", [])
    one.trend(DAY, DAY + DAY_MS, 24)
    assert played.clocks_read == 0


def test_within_one_moment_one_connection_answers() -> None:
    reader, played = timeline("room", [])
    with reader.at_one_moment():
        reader.span()
        assert reader.is_known()
    assert played.opened == 1
    reader.span()
    assert played.opened == 2
    unknown, played = timeline("attic", [])
    played._streams = []
    assert not unknown.is_known()
