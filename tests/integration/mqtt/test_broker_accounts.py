"""Accounts at a real broker: made and removed while it runs, and each may what it may."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.appliance.broker_accounts import PUBLISHED, BrokerAccounts, BrokerFiles, Right
from edge_agent.mqtt.discovery import Device
from edge_agent.mqtt.payloads import Topics
from tests.appliance.stranger import ask_broker
from tests.support.broker import DEADLINE_S, Mosquitto, subscribed, wait_until

pytestmark = pytest.mark.broker

DEVICE = Device("affect-edge", "affect-edge", "homeassistant", "1.0.0")
AS_INSTALLED = "user affect-edge\ntopic readwrite affect-edge/#\n"
TAKEN = ("Success, Success", "Success, No matching subscribers")
REFUSED = "Success, Not authorized"
EVERY_TOPIC = (
    *PUBLISHED,
    *(Topics.INGEST, Topics.REJECTED, Topics.COMMAND_SESSION, Topics.COMMAND_MARKER),
    *(Topics.COMMAND_REJECTED, Topics.TIMELINE, Topics.TIMELINE_CONFIRMED),
)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker as ``install.sh`` leaves it."""
    with Mosquitto(tmp_path / "broker", users={"affect-edge": "a"}, acl=AS_INSTALLED) as running:
        yield running


@pytest.fixture
def accounts(mosquitto: Mosquitto) -> BrokerAccounts:
    """Its accounts."""
    folder = mosquitto.folder
    files = BrokerFiles(folder / "mosquitto.conf", folder / "acl", folder / "passwords")
    return BrokerAccounts(DEVICE, "affect-edge", files, mosquitto.reload)


def said(mosquitto: Mosquitto, topic: str, *account: str) -> str:
    """Return what the broker says to who logs in and publishes."""
    return ask_broker("127.0.0.1", mosquitto.port, topic, list(account))


def wait_for_login(mosquitto: Mosquitto, name: str, password: str) -> None:
    # Mosquitto forgets a signal that comes while it still minds the one before.
    def gets_in() -> bool:
        is_in = said(mosquitto, "x", name, password).startswith("Success")
        return is_in or not mosquitto.reload()

    wait_until(gets_in, f"{name} to get in")


def writable(mosquitto: Mosquitto, name: str, password: str) -> set[str]:
    """Return which topics of the appliance an account may write."""
    answers = {t: said(mosquitto, DEVICE.topics.full(t), name, password) for t in EVERY_TOPIC}
    assert set(answers.values()) <= {*TAKEN, REFUSED}
    return {topic for topic, answer in answers.items() if answer in TAKEN}


@pytest.mark.parametrize(
    ("right", "writes"),
    [
        (Right.READ, set()),
        (Right.READINGS, {Topics.INGEST}),
        (Right.COMMANDS, {Topics.COMMAND_SESSION, Topics.COMMAND_MARKER}),
        (Right.HOME_ASSISTANT, set()),
    ],
)
def test_an_account_writes_what_it_may_and_nothing_else(
    mosquitto: Mosquitto, accounts: BrokerAccounts, right: Right, writes: set[str]
) -> None:
    password = accounts.add("watch", [right])
    wait_for_login(mosquitto, "watch", password)
    assert writable(mosquitto, "watch", password) == writes
    assert said(mosquitto, "homeassistant/switch/door/set", "watch", password) == REFUSED
    assert said(mosquitto, "x", "watch", "a guess") == "Not authorized"


def test_who_may_read_gets_what_is_published_and_not_what_others_hand_in(
    mosquitto: Mosquitto, accounts: BrokerAccounts
) -> None:
    password = accounts.add("display", [Right.READ])
    wait_for_login(mosquitto, "display", password)
    with subscribed(mosquitto.port, "display", password) as display:
        for topic in (Topics.INGEST, Topics.TIMELINE, Topics.COMMAND_SESSION, *PUBLISHED):
            assert said(mosquitto, DEVICE.topics.full(topic), "affect-edge", "a") in TAKEN
        display.wait_for(PUBLISHED[-1])
        got = {message.topic for message in display.messages}
    assert got == {DEVICE.topics.full(topic) for topic in PUBLISHED}


def test_home_assistant_finds_the_appliance_and_the_agent_may_tell_it(
    mosquitto: Mosquitto, accounts: BrokerAccounts
) -> None:
    assert said(mosquitto, DEVICE.topic, "affect-edge", "a") == REFUSED
    password = accounts.add("homeassistant", [Right.HOME_ASSISTANT, Right.COMMANDS])
    wait_for_login(mosquitto, "homeassistant", password)
    assert said(mosquitto, DEVICE.topic, "affect-edge", "a") in TAKEN
    assert said(mosquitto, DEVICE.birth_topic, "homeassistant", password) in TAKEN
    assert said(mosquitto, DEVICE.topic, "homeassistant", password) == REFUSED
    assert Topics.COMMAND_MARKER in writable(mosquitto, "homeassistant", password)


def test_other_rights_hold_for_the_password_of_before(
    mosquitto: Mosquitto, accounts: BrokerAccounts
) -> None:
    password = accounts.add("lab", [Right.READINGS])
    wait_for_login(mosquitto, "lab", password)
    accounts.change("lab", [Right.COMMANDS])
    marker = DEVICE.topics.full(Topics.COMMAND_MARKER)
    wait_until(lambda: said(mosquitto, marker, "lab", password) in TAKEN, "the other right")
    assert said(mosquitto, DEVICE.topics.full(Topics.INGEST), "lab", password) == REFUSED


def test_a_removed_account_is_cut_off(mosquitto: Mosquitto, accounts: BrokerAccounts) -> None:
    password = accounts.add("watch", [Right.READINGS])
    wait_for_login(mosquitto, "watch", password)
    inside, outside = threading.Event(), threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.on_connect = lambda *_: inside.set()
    client.on_disconnect = lambda *_: outside.set()
    client.username_pw_set("watch", password)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    try:
        assert inside.wait(DEADLINE_S)
        accounts.remove("watch")
        assert outside.wait(DEADLINE_S), "it is still connected"
    finally:
        client.disconnect()
        client.loop_stop()
    assert said(mosquitto, "x", "watch", password) == "Not authorized"


def test_change_of_an_account_disturbs_no_other_client(
    mosquitto: Mosquitto, accounts: BrokerAccounts
) -> None:
    topic = DEVICE.topics.full(Topics.SUMMARY)
    ended: list[str] = []
    agent = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    agent.username_pw_set("affect-edge", "a")
    agent.on_disconnect = lambda *_: ended.append("the agent")
    agent.connect("127.0.0.1", mosquitto.port)
    agent.loop_start()
    numbers = itertools.count()
    with subscribed(mosquitto.port, "affect-edge", "a") as reader:
        for round_ in range(5):
            sent = [agent.publish(topic, f'{{"seq": {next(numbers)}}}', 1) for _ in range(40)]
            password = accounts.add(f"guest-{round_}", [Right.READ])
            sent += [agent.publish(topic, f'{{"seq": {next(numbers)}}}', 1) for _ in range(40)]
            wait_for_login(mosquitto, f"guest-{round_}", password)
            accounts.remove(f"guest-{round_}")
            for message in sent:
                message.wait_for_publish(DEADLINE_S)
        wait_until(lambda: len(reader.messages) >= 400, "all messages")
        assert [message.payload["seq"] for message in reader.messages] == list(range(400))
    assert not ended
    agent.disconnect()
    agent.loop_stop()
