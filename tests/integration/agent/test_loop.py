"""The agent inside this process: what it records and says, how it ends, what it writes then."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

import edge_agent
from affect_edge import cli
from edge_agent.agent import health as health_module
from edge_agent.agent import loop as module
from edge_agent.agent.loop import Agent
from edge_agent.agent.publishing import configured_broker
from edge_agent.alerts.figures import AlertLimits
from edge_agent.alerts.sending import AlertSender
from edge_agent.alerts.watch import AlertWorker
from edge_agent.config.loading import load_settings
from edge_agent.config.mqtt import MqttSettings
from edge_agent.core import clock
from edge_agent.core.errors import MqttError, StoreError
from edge_agent.core.expression import Emotion
from edge_agent.core.process import StopSignals
from edge_agent.core.threads import Worker
from edge_agent.live.feed import LiveServer
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.lock import lock
from edge_agent.timeline.database.schema import DATABASE_NAME, PAGE_BYTES
from edge_agent.timeline.salvage.rescue import Rescue, noted_damage
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write import recorder
from edge_agent.timeline.write.batch import set_aside
from edge_agent.timeline.write.outbox import OutboxMessage, enqueue
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.agent import WITHOUT_BROKER, Tables, running_agent
from tests.support.broker import free_port, wait_until
from tests.support.first_release import first_database
from tests.support.timeline import START_MS, query, row, timeline
from tests.support.vision.portraits import smiling

AT_ONCE = {"interval": 0.0, "batch_rows": 1}
_OLDEST_LEAF = (
    "SELECT pageno FROM dbstat WHERE name = 'expression' AND pagetype = 'leaf' ORDER BY path"
)


def test_the_end_sends_one_more_summary(tmp_path: Path) -> None:
    away = {"port": free_port()}
    with running_agent(
        tmp_path, {"summary": {"window": 3600.0}, "record": AT_ONCE, "mqtt": away}
    ) as run:
        run.wait_for_rows("expression")
        run.finish()
    waiting = query(run.database, "SELECT payload FROM outbox WHERE topic = 'summary'")
    ((summary,),) = [map(json.loads, found) for found in waiting]
    assert (summary["seq"], summary["device"], summary["simulated"]) == (1, "affect-edge", True)
    assert summary["frames"] >= summary["frames_with_face"] >= 1


def test_loop_records_new_rows_and_deletes_old_ones(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    days = (clock.now().wall_ms - START_MS) / 86_400_000
    ages = {Emotion.HAPPINESS: 11, Emotion.ANGER: 9, Emotion.FEAR: 0.1}
    timeline(
        path, expression=[row(86_400 * (days - age), emotion) for emotion, age in ages.items()]
    )
    with write_transaction(path) as connection:
        enqueue(connection, OutboxMessage("summary", {}), 10)
    tables: Tables = {"summary": {"window": 1.0}, "record": AT_ONCE | {"keep_days": 10}}
    with running_agent(tmp_path, tables) as run:
        run.wait_for_rows("expression", "simulated = 1")
        run.wait_for_rows("movement", "simulated = 1")
        with pytest.raises(StoreError):
            lock(path)
        kept = "SELECT emotion FROM expression WHERE simulated = 0"
        wait_until(lambda: query(path, kept) == [("anger",), ("fear",)], "the old row to go")
        run.finish()
    lock(path).release()
    assert not (tmp_path / "live.sock").exists()
    assert query(path, "SELECT count(*) FROM outbox") == [(0,)], "there is no broker"
    found = query(path, "SELECT kind, name, length(sha256), prior FROM model ORDER BY kind")
    assert found == [
        ("expression", "expression-accurate", 64, "fitted"),
        ("face-cover", "face-cover", 64, "none"),
        ("face-detector", "face-detector", 64, "none"),
        ("face-movements", "face-movements", 64, "none"),
    ]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_agent_start_over_a_database_of_the_first_release_records_on(
    tmp_path: Path, is_damaged: bool
) -> None:
    path = first_database(tmp_path / DATABASE_NAME)
    if is_damaged:  # in an index, which only the upgrade reads before the agent records
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            root = "SELECT rootpage FROM sqlite_schema WHERE name = 'expression_at'"
            (page,) = connection.execute(root).fetchone()
        with path.open("r+b") as file:
            file.seek((page - 1) * PAGE_BYTES)
            file.write(bytes(8))
    with running_agent(tmp_path, {"record": AT_ONCE, "vision": {"prior": "balanced"}}) as run:
        run.wait_for_rows("expression", "simulated = 1")
        run.finish()
    assert query(path, "SELECT code FROM participant") == [("P01",)]
    priors = query(path, "SELECT prior FROM model WHERE kind = 'expression' ORDER BY id")
    assert priors == [("unknown",), ("balanced",)]
    assert bool(list(tmp_path.glob("*.before-schema-*"))) is not is_damaged
    assert bool(list(tmp_path.glob("*.damaged.*"))) is is_damaged


def test_systemd_is_told_begin_life_and_end(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "200000"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(60)
        with running_agent(tmp_path, {"record": AT_ONCE}, environment) as run:
            told = [systemd.recv(100) for _ in range(3)]
            run.finish()
        while told[-1] == b"WATCHDOG=1":
            told.append(systemd.recv(100))
    assert told[0] == b"READY=1"
    assert set(told[1:-1]) == {b"WATCHDOG=1"}
    assert told[-1] == b"STOPPING=1"


@pytest.mark.parametrize(("hung", "name"), [(AlertSender, "look"), (AlertWorker, "step")])
def test_alert_that_hangs_holds_neither_rows_nor_watchdog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hung: type[Worker], name: str
) -> None:
    hangs, goes_on = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        hangs.set()
        goes_on.wait()

    monkeypatch.setattr(hung, name, hang)
    address = tmp_path / "notify"
    environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "200000"}
    alerts = {"notify": ["https://192.0.2.1/alerts"]}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(60)
        with running_agent(tmp_path, {"record": AT_ONCE, "alerts": alerts}, environment) as run:
            assert hangs.wait(60)
            run.wait_for_rows("expression")
            [(last,)] = query(run.database, "SELECT max(at) FROM expression")
            run.wait_for_rows("expression", f"at > {last}")
            for _ in range(5):  # those that were sent before it hung among them
                systemd.recv(100)
            goes_on.set()
            run.finish()


def test_the_live_feed_says_what_is_seen_and_how_the_agent_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    simulated = {"simulated": {"enabled": True, "heart_rate_seconds": 0.05}}
    with running_agent(tmp_path, {"record": AT_ONCE, "vitals": simulated}) as run:
        assert run.hear(lambda said: said["type"] == "expression")["simulated"] is True
        assert run.hear(lambda said: said["type"] == "vital")["source"] == "simulated"
        run.wait_for_rows("vital", "kind = 'heart_rate' AND flags = 'simulated'")
        health = run.hear(
            lambda said: (
                said["type"] == "health"
                and bool(said["camera"]["fps"])
                and said["recorder"]["last_commit_age_seconds"] is not None
            )
        )
    assert (health["device"], health["version"]) == ("affect-edge", edge_agent.__version__)
    assert 0 < health["camera"]["fps"] <= 15
    assert health["camera"]["frame_age_seconds"] >= 0
    assert health["recorder"]["last_commit_age_seconds"] >= 0
    assert health["recorder"]["rows_dropped"] == 0
    assert health["mqtt"] == {
        "state": "disabled", "outbox": 0, "readings_taken": 0, "readings_refused": 0,
        "set_aside": {}, "holes": [],
    }  # fmt: skip
    assert health["sensors"] == []


def test_agent_records_of_a_protocol_that_were_refused_raise_the_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    monkeypatch.setattr(module, "UPKEEP_S", 0.1)
    with running_agent(tmp_path, {"record": AT_ONCE}) as run:
        health = run.hear(lambda said: said["type"] == "health")
        assert "rows_set_aside" not in [one["name"] for one in health["alarms"]]
        with write_transaction(run.database) as connection:
            set_aside(connection, 0, "Marker", {"session": 1}, "no")
        health = run.hear(lambda said: said["type"] == "health" and "rows_set_aside" in str(said))
        (text,) = (one["text"] for one in health["alarms"] if one["name"] == "rows_set_aside")
        assert "has refused 1 rows" in text


def test_the_simulated_person_is_that_of_the_seed(tmp_path: Path) -> None:
    person = {"enabled": True, "seed": 7, "heart_rate_seconds": 600, "pressure_seconds": 0.05}
    with running_agent(tmp_path, {"record": AT_ONCE, "vitals": {"simulated": person}}) as run:
        run.wait_for_rows("vital", "kind = 'systolic' HAVING count(*) > 2")
    same = SimulatedPerson(7).readings(clock.now(), heart_rate=True, pressure=True)
    values = query(run.database, "SELECT kind, value FROM vital ORDER BY at, kind")
    assert set(values[:4]) == {(reading.kind.value, reading.value) for reading in same}
    assert [kind for kind, _ in values].count("heart_rate") == 1


def test_faults_of_broker_and_sensors_are_in_the_health_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    monkeypatch.setattr(health_module, "AlertLimits", partial(AlertLimits, broker_away_s=0.0))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")
    cuff = {"address": "a0:9e:1a:00:00:01", "kind": "blood_pressure"}
    tables: Tables = {"mqtt": {"port": free_port()}, "summary": {"window": 1.0}}
    with running_agent(tmp_path, tables | {"vitals": {"bluetooth": {"devices": [cuff]}}}) as run:
        health = run.hear(
            lambda said: (
                said["type"] == "health"
                and said["mqtt"]["state"] == "unreachable"
                and said["mqtt"]["outbox"] > 0
            )
        )
    (away,) = (one["text"] for one in health["alarms"] if one["name"] == "broker_away")
    port = tables["mqtt"]["port"]
    assert f"messages wait for the MQTT broker (unreachable): 127.0.0.1:{port}" in away
    assert [(one["source"], one["kind"], one["connected"]) for one in health["sensors"]] == [
        ("ble:A0:9E:1A:00:00:01", "blood_pressure", False)
    ]


def test_a_folder_of_pictures_is_read_to_its_end_and_is_no_demonstration(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(4):
        cv2.imwrite(str(pictures / f"{number}.png"), smiling())
    camera = {"source": "pictures", "folder": str(pictures), "fps": 4.0}
    with running_agent(tmp_path, {"camera": camera, "record": {"interval": 0.0}}) as run:
        assert run.end() == 0
    rows = query(run.database, "SELECT simulated, happiness > 500 FROM expression")
    assert set(rows) == {(0, 1)}


def test_a_worker_that_dies_ends_the_agent_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_agent(tmp_path, {"record": AT_ONCE}) as run:
        run.wait_for_rows("expression")
        monkeypatch.setattr(LiveServer, "publish_recognition", None)
        assert run.end() == 1
    lock(run.database).release()


def test_a_table_that_is_gone_ends_no_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    monkeypatch.setattr(recorder, "WATCH_S", 0.1)
    with running_agent(tmp_path, {"record": AT_ONCE}) as run:
        run.wait_for_rows("expression")
        with write_transaction(run.database) as connection:
            connection.execute("DROP TABLE expression_hour")
        heard = run.hear(lambda message: "database_salvaged" in json.dumps(message))
        assert "tables are missing (expression_hour)" in json.dumps(heard)
        run.wait_for_rows("expression_hour")


def test_damage_that_the_nightly_maintenance_meets_is_salvaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = timeline(tmp_path, expression=range(600))
    heard = threading.Event()
    replace = Rescue.replace

    def replace_once_heard(rescue: Rescue, cause: str) -> None:
        assert heard.wait(60)
        replace(rescue, cause)

    monkeypatch.setattr(Rescue, "replace", replace_once_heard)
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    monkeypatch.setattr(recorder, "WATCH_S", 0.1)
    with running_agent(tmp_path, {"record": AT_ONCE}) as run:
        run.wait_for_rows("expression", "simulated = 1")
        (page,) = query(path, _OLDEST_LEAF)[0]
        with path.open("r+b") as file:
            file.seek((page - 1) * PAGE_BYTES)
            file.write(b"\xff" * 100)
        words = ["maintenance", "--data", str(tmp_path), "--config", os.devnull]
        night = CliRunner().invoke(cli, words)
        assert night.exit_code == 1 and "The agent sets it aside" in night.output
        run.hear(lambda message: "database_damaged" in json.dumps(message))
        heard.set()
        told = json.dumps(run.hear(lambda message: "database_salvaged" in json.dumps(message)))
        assert "SQLite says" in told
        assert noted_damage(path) is None
        run.wait_for_rows("expression", "simulated = 1")
        run.finish()


def test_an_agent_that_cannot_be_built_leaves_the_database_free(tmp_path: Path) -> None:
    mqtt = {"username": "ada", "password_file": str(tmp_path / "nowhere")}
    settings = load_settings(None, WITHOUT_BROKER | {"mqtt": mqtt})
    with pytest.raises(MqttError, match="nowhere"):
        Agent(settings, tmp_path, {})
    lock(tmp_path / "affect-edge.db").release()


def test_the_broker_is_the_one_that_is_configured(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret\n", encoding="utf-8")
    told = {"host": "broker", "port": 8883, "username": "ada", "tls": True, "keepalive": 7}
    more = {"ca_file": tmp_path / "ca.pem", "protocol": "3.1.1", "transport": "websockets"}
    more |= {"websocket_path": "/x", "client_certificate": Path("c"), "client_key": Path("k")}
    for given in ({"password": "secret"}, {"password_file": file}):
        broker = configured_broker(MqttSettings(**told, **more, **given))
        assert broker == MqttSettings(**told, **more, password="secret")
    assert configured_broker(MqttSettings()).password is None


@pytest.fixture
def _handlers() -> Iterator[None]:
    """The process gets its own signal handlers back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("early", [True, False])
def test_a_signal_ends_the_agent_also_before_it_is_built(
    tmp_path: Path, number: signal.Signals, early: bool
) -> None:
    signals = StopSignals()
    if early:
        os.kill(os.getpid(), number)
    agent = Agent(load_settings(None, WITHOUT_BROKER), tmp_path, {})
    signals.call(agent.stop)
    if not early:
        assert not agent._stop.is_set()
        os.kill(os.getpid(), number)
    assert agent.run() == 0


def test_a_database_that_cannot_be_read_ends_no_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    busy = StoreError("cannot be read or written (input/output error)")
    with running_agent(tmp_path, {"capture": {"mode": "sessions"}}) as run:
        with monkeypatch.context() as broken:
            broken.setattr(Study, "open_session", lambda self: (_ for _ in ()).throw(busy))
            heard = run.hear(lambda message: "store_read" in json.dumps(message))
            assert "input/output error" in json.dumps(heard)
        heard = run.hear(lambda message: message["type"] == "health" and not message["alarms"])
        assert run.code is None
