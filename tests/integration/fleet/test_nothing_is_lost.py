"""Many devices, collectors that are killed, a database and a broker that go away."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg

from tests.support.broker import Mosquitto, wait_until
from tests.support.fleet.devices import (
    Recorders,
    assert_all_arrived,
    collecting,
    has_grown,
    reporting,
    wait_for_all,
)
from tests.support.fleet.postgres import INSTALL, postgres_programs, running_postgres

pytestmark = [pytest.mark.broker, pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)]
DEVICES = 8


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_every_row_of_every_device_arrives_once_whatever_goes_down(tmp_path: Path) -> None:
    with (
        running_postgres() as postgres,
        Mosquitto(tmp_path / "broker", limits={"max_queued_messages": 2000}) as broker,
        reporting(tmp_path, broker.port, DEVICES) as devices,
        collecting(tmp_path, postgres.address, broker.port, 2) as collectors,
    ):
        recorders = Recorders(devices, pause_s=0.02)
        wait_until(lambda: all(each.sender.confirmed > 0 for each in devices), "a start")
        for number in (0, 1):  # the other one goes on meanwhile
            collectors[number].kill()
            before = sum(each.sender.confirmed for each in devices)
            wait_until(partial(has_grown, devices, before), "the other collector to go on")
            collectors[number].start()
        postgres.stop("immediate")
        time.sleep(3)  # how long the database is away is what is tried here
        postgres.start()
        broker.kill()  # what it had not written down is gone
        broker.start()
        for each in collectors:
            each.kill()
            each.start()
        recorders.stop()
        wait_for_all(devices)

        with psycopg.connect(postgres.address, autocommit=True) as there:
            assert_all_arrived(there, devices)
            lost = there.execute("SELECT count(*) FROM fleet.lost").fetchone()
            waiting = there.execute("SELECT count(*) FROM fleet.waiting").fetchone()
            rows = there.execute(
                "SELECT (SELECT count(*) FROM fleet.expression), (SELECT count(*) FROM fleet.vital)"
            ).fetchone()
        assert (lost, waiting) == ((0,), (0,))
        assert rows is not None
        print(f"{rows[0] + rows[1]} rows of {DEVICES} devices, 0 lost, 0 double")
        assert collectors[0].stop() == 0
