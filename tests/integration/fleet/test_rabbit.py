"""A cluster of RabbitMQ between devices that speak MQTT and collectors that speak AMQP."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("pika", reason="pip install -e '.[fleet]'")

import psycopg
from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion

from tests.support.broker import wait_until
from tests.support.fleet import rabbit
from tests.support.fleet.devices import (
    Recorders,
    assert_all_arrived,
    collecting,
    has_grown,
    reporting,
    wait_for_all,
)
from tests.support.fleet.health_example import health_example
from tests.support.fleet.postgres import INSTALL, postgres_programs, running_postgres

pytestmark = [
    pytest.mark.deep,
    pytest.mark.broker,
    pytest.mark.skipif(postgres_programs() is None, reason=INSTALL),
    pytest.mark.skipif(not rabbit.is_installed(), reason=rabbit.INSTALL),
]
DEVICES = 6


@pytest.mark.timeout(900)
def test_every_row_arrives_once_though_each_node_of_the_cluster_is_killed(tmp_path: Path) -> None:
    with (
        running_postgres() as postgres,
        rabbit.running_rabbit(tmp_path / "rabbit", 3) as cluster,
        reporting(tmp_path, cluster.mqtt_port, DEVICES) as devices,
        collecting(
            *(tmp_path, postgres.address, cluster.amqp_port, 2),
            more=["--protocol", "amqp", *(f"--host={host}" for host in cluster.hosts)],
        ) as collectors,
    ):
        recorders = Recorders(devices, pause_s=0.05)
        wait_until(lambda: all(each.sender.confirmed > 0 for each in devices), "a start", 120)
        publish.single(
            "affect-edge/room-0/health",
            json.dumps({**health_example(), "device": "room-0"}),
            hostname="127.0.0.1",
            port=cluster.mqtt_port,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        for node in reversed(cluster.nodes):  # the devices are connected to the first
            node.kill()
            before = sum(each.sender.confirmed for each in devices)
            if node is not cluster.nodes[0]:
                wait_until(partial(has_grown, devices, before), "two nodes to go on", 120)
            node.start()
            node.wait()
        collectors[0].kill()
        before = sum(each.sender.confirmed for each in devices)
        wait_until(partial(has_grown, devices, before), "the other collector to go on", 120)
        collectors[0].start()
        recorders.stop()
        wait_for_all(devices, 240)
        with psycopg.connect(postgres.address, autocommit=True) as there:
            assert_all_arrived(there, devices)
            known = there.execute("SELECT name FROM fleet.device").fetchall()
        assert known == [("room-0",)]
        assert collectors[0].stop() == 0
