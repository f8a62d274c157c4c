"""The agent with a real broker: what is said where, and what is listened to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from edge_agent.agent import loop as module
from edge_agent.core.clock import now
from edge_agent.core.own_neutral import OwnNeutralState
from edge_agent.core.study import NewSession, Purpose, SessionSetting
from edge_agent.mqtt.payloads import MovementsPayload, SessionPayload
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.erasure import erase_participant
from tests.support.agent import Tables, running_agent
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto, Subscriber, subscribed, wait_until
from tests.support.timeline import database, query
from tests.support.vision.portraits import smiling
from tests.support.vision.still_camera import StillCamera

pytestmark = pytest.mark.broker

USERS = {"affect-edge": "a", "watch": "w", "stranger": "s"}
RULES = """
user affect-edge
topic readwrite affect-edge/#

user watch
topic write affect-edge/lab/pi/ingest/vitals
topic read affect-edge/lab/pi/ingest/rejected
topic read affect-edge/lab/pi/vitals

user stranger
topic read affect-edge/#
"""
AT_ONCE = {"interval": 0.0, "batch_rows": 1}
HOME = "affect-edge/home"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", users=USERS, acl=RULES) as running:
        yield running


@pytest.fixture
def reader(mosquitto: Mosquitto) -> Iterator[Subscriber]:
    with subscribed(mosquitto.port, "affect-edge", "a") as reading:
        yield reading


@pytest.fixture
def tables(mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Tables]:
    """Returns a configuration with the broker, and these tables and settings of it."""
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    account = {"port": mosquitto.port, "username": "affect-edge", "password": "a"}
    common: Tables = {"device": {"name": "pi"}, "record": AT_ONCE, "summary": {"window": 1.0}}

    def made(mqtt: dict[str, Any], **more: dict[str, Any]) -> Tables:
        return {**common, "mqtt": account | {"root": "affect-edge/lab"} | mqtt, **more}

    return made


@pytest.fixture
def send(mosquitto: Mosquitto) -> Callable[..., None]:
    def sent(
        topic: str, message: object, user: str = "affect-edge", *, retain: bool = False
    ) -> None:
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        auth = {"username": user, "password": USERS[user]}
        topic = f"affect-edge/lab/pi/{topic}"
        publish.single(topic, payload, 1, retain, port=mosquitto.port, auth=auth)  # type: ignore[arg-type]

    return sent


SIMULATED = {"simulated": {"enabled": True, "heart_rate_seconds": 0.1}}


def test_events_are_published_on_the_topics_of_the_appliance(
    tmp_path: Path, reader: Subscriber, tables: Callable[..., Tables]
) -> None:
    with running_agent(tmp_path / "data", tables({}, vitals=SIMULATED)) as run:
        assert reader.wait_for("status").topic == "affect-edge/lab/pi/status"
        assert reader.wait_for("emotion").payload["simulated"] is True
        assert reader.wait_for("vitals").payload["source"] == "simulated"
        second = reader.wait_for("summary", lambda said: said["seq"] == 2).payload
        assert (second["device"], second["replayed"], second["simulated"]) == ("pi", False, True)
        first = reader.on("summary")[0].payload
        assert first["window"]["end"] == second["window"]["start"]
        run.hear(lambda said: said["type"] == "health" and said["mqtt"]["state"] == "connected")
        run.finish()
    last = reader.wait_for("status", lambda said: said["state"] == "offline")
    assert reader.messages.index(last) > reader.messages.index(reader.on("summary")[-1])
    emotions = [message.payload["emotion"] for message in reader.on("emotion")]
    assert all(one != other for one, other in pairwise(emotions)), emotions
    seqs = [message.payload["seq"] for message in reader.on("summary")]
    assert seqs == list(range(1, len(seqs) + 1))
    assert not reader.on("movements")  # off by default


def test_movements_are_reported_once_a_second_where_asked_for(
    tmp_path: Path, reader: Subscriber, tables: Callable[..., Tables], send: Callable[..., None]
) -> None:
    home = {"home_assistant": True, "home_assistant_prefix": HOME}
    settings = tables({"movements": True, "commands": True, **home})
    with running_agent(tmp_path / "data", settings):
        wait_until(lambda: len(reader.on("movements")) >= 3, "three messages")
        assert "turned_away" in reader.wait_for("config").payload["components"]
        reader.wait_for("state", lambda said: said["turned_away"] is not None)
        send("command/capture", {"action": "off"})
        closed = reader.wait_for("state", lambda said: not (said["capture"] or said["camera"]))
        assert closed.payload["turned_away"] is None
        # each is of another second
        wait_until(lambda: len(reader.on("state")) > reader.on("state").index(closed) + 3, "pause")
        off_ms, on_ms = at_ms(closed.payload), now().wall_ms
        send("command/capture", {"action": "on"})
        wait_until(lambda: at_ms(reader.on("movements")[-1].payload) > on_ms, "more of them")
    messages = reader.on("movements")
    assert MovementsPayload.model_validate(messages[0].payload).simulated
    assert {(message.qos, message.retained) for message in messages} == {(0, False)}
    times = [at_ms(message.payload) for message in messages]
    assert not [at for at in times if off_ms < at < on_ms]
    assert min(later - one for one, later in pairwise(times)) >= 990  # in rounded ms


def at_ms(message: dict[str, Any]) -> int:
    """Return the time of a message, ms since 1970."""
    return round(1000 * datetime.fromisoformat(message["at"]).timestamp())


def test_a_camera_that_is_not_there_is_reported_once_and_leaves_a_gap(
    tmp_path: Path, reader: Subscriber, tables: Callable[..., Tables]
) -> None:
    camera = {"source": "opencv", "device": str(tmp_path / "absent.mp4")}
    with running_agent(tmp_path / "data", tables({}, camera=camera)) as run:
        said = reader.wait_for("health", lambda said: bool(said["alarms"]))
        assert "absent.mp4" in str(said.payload["alarms"])
        told = len(reader.on("health"))
        run.hear(lambda said: said["type"] == "health" and said["mqtt"]["state"] == "connected")
        for _ in range(5):
            run.hear(lambda said: said["type"] == "health")
        run.finish()
    assert told <= len(reader.on("health")) <= told + 1
    gaps = Reader(run.database).gaps(0, 2**53)
    assert [(gap.source, gap.reason) for gap in gaps] == [("camera", "not_found")]


def test_a_session_is_run_over_the_broker_and_every_refusal_is_answered(
    tmp_path: Path, reader: Subscriber, tables: Callable[..., Tables], send: Callable[..., None]
) -> None:
    path = database(tmp_path / "data")
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    start = {"action": "start", "participant": "P-1", "name": "films", "setting": "home"}
    send("command/session", start | {"purpose": "research"}, retain=True)
    purposes = {"purposes": ["research"]}
    with running_agent(path.parent, tables({"commands": True}, dashboard=purposes)) as run:
        run.wait_for_rows("expression")
        reader.wait_for("command/rejected", lambda said: "without retain" in said["reason"])
        send("command/session", start | {"purpose": "research"}, "stranger")
        send("command/marker", {"kind": "note", "label": "too early"})
        reader.wait_for("command/rejected", lambda said: "No session is open" in said["reason"])
        send("command/session", start | {"purpose": "health"})
        reader.wait_for("command/rejected", lambda said: "purpose" in said["reason"])
        send("command/session", start | {"purpose": "research", "own_neutral": True})
        send("command/marker", {"kind": "note", "label": "sits still"})
        send("command/session", {"action": "end"})
        reader.wait_for("session", lambda said: said.get("event") == "ended")
    said = [one.payload for one in reader.on("session") if "command" not in one.topic]
    told = [SessionPayload.model_validate(one) for one in said]
    assert [(one.seq, one.event) for one in told] == [(1, "started"), (2, "marker"), (3, "ended")]
    assert told[1].marker is not None and told[1].marker.label == "sits still"
    (session,) = study.sessions()
    assert (session.name, session.setting) == ("films", SessionSetting.HOME)
    own = study.own_neutral(session.id)
    assert own is not None and own.state is OwnNeutralState.ASKED


def test_readings_are_taken_from_those_who_may_write_once(
    tmp_path: Path, mosquitto: Mosquitto, tables: Callable[..., Tables], send: Callable[..., None]
) -> None:
    at = now().wall_ms - 120_000
    kept = {"kind": "heart_rate", "value": 55, "at": at}
    send("ingest/vitals", [kept, {"kind": "heart_rate", "value": 56}], "watch", retain=True)
    vitals = {"mqtt": {"enabled": True}}
    with (
        subscribed(mosquitto.port, "watch", "w") as reader,
        running_agent(tmp_path / "data", tables({"protocol": "5"}, vitals=vitals)) as run,
    ):
        retained = reader.wait_for("ingest/rejected", lambda said: said["taken"] == 1)
        assert [(r["index"], r["field"]) for r in retained.payload["readings"]] == [(1, "at")]
        send("ingest/vitals", kept, "watch")  # once more, as a sender does that got no answer
        send("ingest/vitals", {"kind": "heart_rate", "value": 99}, "stranger")
        send("ingest/vitals", b"", "watch", retain=True)  # deletes the one that is kept
        send("ingest/vitals", b"\xff" * 300_000, "watch")
        send("ingest/vitals", b"[" + b" " * 2_000_000, "watch")  # would fill the memory
        cuff = {"kind": "systolic", "value": 16, "unit": "kPa", "at": at + 1, "source": "cuff"}
        send("ingest/vitals", [cuff, {"id": 7}], "watch")
        send("ingest/vitals", {"kind": "heart_rate", "value": 72}, "watch")
        refused = reader.wait_for("ingest/rejected", lambda said: said["readings"][0]["id"] == 7)
        assert (refused.payload["taken"], refused.payload["readings"][0]["index"]) == (1, 1)
        # what comes now is said to all, what comes late is not
        assert reader.wait_for("vitals").payload["source"] == "mqtt"
        run.wait_for_rows("vital", "true HAVING count(*) = 3")
        run.hear(
            lambda said: (
                said["type"] == "health"
                and said["mqtt"]["readings_taken"] >= 3
                and said["mqtt"]["readings_refused"] >= 2
            )
        )
        run.finish()
    assert query(
        run.database, "SELECT kind, value, source, flags, boot_ms IS NULL FROM vital ORDER BY at"
    ) == [
        ("heart_rate", 55.0, "mqtt", "", 1),
        ("systolic", pytest.approx(120.01, abs=0.01), "mqtt:cuff", "", 1),
        ("heart_rate", 72.0, "mqtt", "", 0),
    ]
    said = [message.payload for message in reader.on("ingest/rejected")]
    assert "payload: is empty. Send a reading" in said[1]["readings"][0]["reason"]
    assert "is too large" in said[2]["readings"][0]["reason"]
    assert (len(said), len(reader.on("vitals"))) == (4, 1)


def test_home_assistant_is_told_what_is_known(
    tmp_path: Path, reader: Subscriber, tables: Callable[..., Tables]
) -> None:
    home = {"home_assistant_prefix": HOME}
    with running_agent(
        tmp_path / "data", tables(home | {"home_assistant": True}, vitals=SIMULATED)
    ):
        device = reader.wait_for("config").payload
        assert device["device"]["name"] == "pi"
        assert "mark_note" not in device["components"]  # without mqtt.commands
        known = reader.wait_for(
            "state", lambda said: said["emotion"] is not None and said["shares"] is not None
        ).payload
        assert (known["camera"], known["recording"], known["session"]) == (True, True, False)
        assert known["simulated"] is True
        rate = reader.wait_for("state", lambda said: said["vitals"]["heart_rate"] is not None)
        assert rate.payload["vitals"]["heart_rate"]["source"] == "simulated"
        assert rate.payload["vitals"]["skin_temperature"] is None
    told = len(reader.on("state"))
    with running_agent(tmp_path / "data", tables(home)) as run:
        reader.wait_for("config", lambda said: said == {})
        run.wait_for_rows("expression")
    assert len(reader.on("state")) == told
    kept = (tmp_path / "data" / "home-assistant-topics").read_text(encoding="utf-8")
    assert kept == "affect-edge/lab/pi/status\n"


def test_the_camera_obeys_a_command_says_so_at_once(
    tmp_path: Path, reader: Subscriber, tables: Callable[..., Tables], send: Callable[..., None]
) -> None:
    # with so long a window, what is said before is said because it changed
    settings = tables({"home_assistant": True, "commands": True}, summary={"window": 60.0})
    with running_agent(tmp_path / "data", settings):
        reader.wait_for("state", lambda said: said["capture"] and said["emotion"] is not None)
        send("command/capture", {"action": "off"})
        closed = reader.wait_for("state", lambda said: not said["capture"] and not said["camera"])
        assert (closed.payload["emotion"], closed.payload["recording"]) == (None, False)
        send("command/capture", {"action": "perhaps"})
        refused = reader.wait_for("rejected").payload
        assert (refused["topic"], refused["reason"][:7]) == ("command/capture", "action:")
    reader.messages.clear()
    with running_agent(tmp_path / "data", settings):
        # what was known before is said before the agent listens to commands
        reader.wait_for("state", lambda said: said["session"] is not None)
        assert not any(message.payload["capture"] for message in reader.on("state"))
        send("command/capture", {"action": "on"})
        reader.wait_for("state", lambda said: said["capture"] and said["emotion"] is not None)


RULE = """[[alerts.rule]]
name = "eyes"
when = "camera"
seconds = 1
clear_seconds = 1
"""


def test_a_camera_that_stops_is_told_once_across_kill_and_its_end_as_well(
    tmp_path: Path, mosquitto: Mosquitto, tables: Callable[..., Tables]
) -> None:
    def retained() -> list[str]:
        """Return the alerts that somebody hears of who subscribes only now."""
        with subscribed(mosquitto.port, "affect-edge", "a") as reader:
            return [alert["rule"] for alert in reader.wait_for("alerts").payload["open"]]

    lines = "SELECT rule, ended IS NULL FROM alert ORDER BY id"
    with StillCamera(smiling()) as camera:
        shown = {"source": "snapshot", "device": camera.address, "snapshot_seconds": 0.25}
        agent = Appliance(tmp_path / "agent", tables({}, camera={**shown, "stall_seconds": 1.0}))
        with agent.config.open("a", encoding="utf-8") as config:
            config.write(RULE)
        with agent:
            agent.wait_for("the agent runs")
            wait_until(lambda: retained() == [], "the topic")
            camera.freeze()
            wait_until(lambda: retained() == ["eyes"], "the alert")
        with agent:  # it was killed, and starts anew
            agent.wait_for("the agent runs")
            assert query(agent.database, lines) == [("eyes", 1)]
            camera.thaw()
            wait_until(lambda: retained() == [], "its end")
            assert query(agent.database, lines) == [("eyes", 0)]
            assert "alert eyes has begun" not in agent.said
            camera.hold()
            wait_until(lambda: retained() == ["eyes"], "the alert of a picture that stands still")
            camera.release()
            wait_until(lambda: retained() == [], "its end")
    assert query(agent.database, "SELECT reason FROM gap ORDER BY id DESC LIMIT 1") == [
        ("stands_still",)
    ]


CODE = "Zq-Wombat7"
NOTE = "said Xylophone-Quartz-91"
TABLES = "participant session marker consent expression unfit vital expression_minute vital_hour"


def test_who_withdraws_and_is_erased_does_not_come_back_from_running_agent(
    tmp_path: Path,
    mosquitto: Mosquitto,
    tables: Callable[..., Tables],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    path = database(tmp_path / "data")
    settings = tables(
        {}, capture={"mode": "sessions"}, vitals=SIMULATED, record={"batch_seconds": 0.5}
    )
    with running_agent(path.parent, settings) as run:
        run.wait_for_rows("boot")
        study = Study(path)
        study.create_participant(CODE)
        study.give_consent(CODE, "1")
        study.start_session(NewSession(CODE, Purpose.RESEARCH, NOTE))
        run.wait_for_rows("expression", "id >= 3")
        study.withdraw_consent(CODE)
        done = erase_participant(path, CODE, actor="test")
        assert done.rows["expression"] >= 3
        wait_until(lambda: "closed" in caplog.text, "the camera to be closed")
        wait_until(
            lambda: not query(path, "SELECT 1 FROM outbox WHERE payload = 'null'"), "clearing"
        )
        with subscribed(mosquitto.port, "affect-edge", "a") as later:
            later.wait_for("status")
            assert not later.on("session")
        run.finish()
    for table in TABLES.split():
        assert query(path, f"SELECT count(*) FROM {table}") == [(0,)], table
    found = b"".join(file.read_bytes() for file in path.parent.glob("affect-edge.db*")).lower()
    assert CODE.lower().encode() not in found
    assert NOTE.lower().encode() not in found
    assert CODE not in caplog.text
