"""Telling the fleet, through its broker, that a device is revoked, or has joined again."""

from __future__ import annotations

import json
import logging

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.appliance.enrolment import broker
from edge_agent.appliance.enrolment.place import FleetPlace
from edge_agent.appliance.enrolment.register import Device, DeviceState, Register
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.mqtt.topics import Topics, enrolment_topic

log = logging.getLogger(__name__)

_ANSWER_S = 10.0
_RULES_S = 3.0
"""How long a broker may take to read new rules."""
_WILL_S = 0.5


def announce(place: FleetPlace, device: Device) -> bool:
    """Publish, retained, whether a device is revoked or has joined; tell whether it was taken.

    The status of a revoked device is replaced too, twice: the broker sends the last will of a
    device that it cuts off, at a time of its own.
    """
    with Register(place.register).changing() as change:
        port, password = int(change.setting("local_port")), change.setting("announcer")
        revoked_ms = change.revoked_ms(device.name)
    has_joined = device.state is DeviceState.JOINED
    since_ms = device.since_ms if has_joined or revoked_ms is None else revoked_ms
    state = "joined" if has_joined else "revoked"
    messages = {
        enrolment_topic(broker.ROOT, device.name): json.dumps(
            {"schema": 1, "state": state, "since": iso_utc(since_ms)}
        )
    }
    try:
        if not has_joined:
            status = {"schema": 1, "state": "offline", "at": iso_utc(clock.now().wall_ms)}
            topic = Topics(broker.ROOT, device.name).full(Topics.STATUS)
            messages[topic] = json.dumps(status)
            _publish(port, password, messages)
            clock.sleep(_WILL_S)
        _publish(port, password, messages)
    except OSError as error:
        log.warning(
            "%s: the fleet was not told that it %s (%s). It is told by the next command, such as: "
            "sudo affect-edge fleet-enrol list",
            device.name,
            "has joined" if has_joined else "is revoked",
            error,
        )
        return False
    return True


def _publish(port: int, password: str, messages: dict[str, str]) -> None:
    """Publish retained messages, and wait until the broker has taken each.

    Raises:
        OSError: it is away, does not answer, or refuses one; the rules of now may not be read yet,
            so that it is tried again for some seconds.
    """
    until_s = clock.boot_seconds() + _RULES_S
    while True:
        try:
            _publish_once(port, password, messages)
        except PermissionError:
            if clock.boot_seconds() >= until_s:
                raise
            clock.sleep(0.2)
        else:
            return


def _publish_once(port: int, password: str, messages: dict[str, str]) -> None:
    reasons: list[ReasonCode] = []
    # MQTT 5: an older one does not say that a message was refused
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(broker.ANNOUNCER, password)
    client.on_publish = lambda _client, _data, _mid, reason, _properties: reasons.append(reason)
    client.connect("127.0.0.1", port)
    try:
        for topic, payload in messages.items():
            client.publish(topic, payload, qos=1, retain=True)
        until_s = clock.boot_seconds() + _ANSWER_S
        while len(reasons) < len(messages):
            code = client.loop(0.2)
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise ConnectionError(f"the broker ended the connection: {paho.error_string(code)}")
            if clock.boot_seconds() >= until_s:
                raise TimeoutError(f"the broker did not answer within {_ANSWER_S:.0f} s")
    finally:
        client.disconnect()
    if any(reason.is_failure for reason in reasons):
        raise PermissionError(
            f"the broker does not let {broker.ANNOUNCER} write {' and '.join(messages)}; make it "
            "read its rules: sudo systemctl restart mosquitto"
        )
