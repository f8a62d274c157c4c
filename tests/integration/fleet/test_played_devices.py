"""The benchmark's devices: what they say they sent is what a collector has, erasures included."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from benchmarks.fleet._day import ERASES_AT, ROWS, Player, record_day
from benchmarks.fleet._load import Load
from benchmarks.fleet._place import Lags, running
from benchmarks.fleet.fleet import Wrong
from edge_agent.fleet.chunks import decode
from tests.support.fleet.postgres import INSTALL, postgres_programs


def test_a_recording_is_played_as_messages_that_follow_each_other(tmp_path: Path) -> None:
    player = Player(record_day(tmp_path), 3)
    first, second = (decode(player.payload(number, 0)) for number in (1, 2))
    assert (first.first, first.last, second.first) == (2, 1 + ROWS, 2 + ROWS)
    assert player.clock_error_ms == first.sent == 0
    assert Player(player.day, 13).clock_error_ms == 3 * 3_600_000
    assert len({tuple(change[3][:3]) for change in (*first.changes, *second.changes)}) == 2 * ROWS


@pytest.mark.deep
@pytest.mark.broker
@pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
@pytest.mark.timeout(180)
def test_what_played_devices_sent_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    day = record_day(tmp_path / "day")
    with running(tmp_path, 2) as place:
        load = Load(place.port, day, 4, 0)
        try:
            load.begin()
            assert load.finish(60)
            with Lags(place, load) as lags:
                load.backlog(ERASES_AT + 2)
                load.look()
                assert load.finish(60)
                assert place.has({n: one.last_position for n, one in load.devices.items()})
        finally:
            load.close()
        wrong = Wrong()
        wrong.add(load, place)
        assert (wrong.lost, wrong.double, wrong.devices) == (0, 0, 0)
        assert lags.share(0.99) > 0
        load.devices["sim-0"].made += 1  # as if one message had been lost
        wrong.add(load, place)
        assert (wrong.lost, wrong.devices) == (ROWS, 1)
        collectors, postgres = place.cpu_s()
        assert collectors > 0
        assert postgres > 0
