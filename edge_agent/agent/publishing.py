"""Builds the MQTT client, the alerts that it publishes, and the sender of the timeline."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from pydantic import SecretStr

import edge_agent
from edge_agent.agent.permission import CapturePermission
from edge_agent.alerts.sending import alert_options
from edge_agent.alerts.watch import agent_workers
from edge_agent.config.mqtt import MqttSettings
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.clock import ClockOffset, iso_utc
from edge_agent.core.errors import ServerError, StoreError
from edge_agent.core.threads import Worker
from edge_agent.live.feed import LiveServer
from edge_agent.mqtt.broker import read_password
from edge_agent.mqtt.client import MqttClient, MqttOptions, Subscription
from edge_agent.mqtt.discovery import Device
from edge_agent.mqtt.incoming import IncomingCommands, RejectedPayload, rejected_payload
from edge_agent.mqtt.payloads import AlertsPayload, Topics
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.salvage.rescue import Rescue
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.alert_log import AlertEntry
from edge_agent.timeline.write.changes import has_stream
from edge_agent.timeline.write.outbox import Outbox
from edge_agent.vitals.ingest import VitalIngest

log = logging.getLogger(__name__)

_MQTT = "mqtt"
"""Name in the audit trail of whoever sends commands over MQTT."""
ANNOUNCED_NAME = "home-assistant-topics"
"""File in the data folder with the topics of discovery messages, so that they can be removed."""


def configured_client(
    settings: Settings,
    database: Path,
    study: Study,
    permission: CapturePermission,
    ingest: VitalIngest,
    rescue: Rescue,
) -> MqttClient | None:
    """Return the client of the configured broker; ``None`` if MQTT is off.

    Without MQTT the outbox is emptied, since its messages would never be sent.

    Args:
        settings: the configuration.
        database: with the outbox.
        study: carries out commands.
        permission: turns the camera on and off.
        ingest: accepts readings.
        rescue: notified when the outbox finds the database damaged.

    Raises:
        MqttError: the settings cannot work.
    """
    outbox = Outbox(database, on_error=rescue.report)
    if not settings.mqtt.enabled:
        try:
            outbox.clear()
        except StoreError as error:  # they go at the next start
            log.warning("the messages that wait for a broker were not deleted: %s", error)
        outbox.close()
        return None
    options = MqttOptions(
        configured_broker(settings.mqtt),
        device=settings.device.name,
        window_s=settings.summary.window,
        subscriptions=tuple(_subscriptions(settings, study, permission, ingest)),
        home_assistant=_home_assistant(settings),
        announced=database.parent / ANNOUNCED_NAME,
    )
    return MqttClient(options, outbox)


def configured_publishers(
    settings: Settings, database: Path, live: LiveServer, client: MqttClient | None
) -> list[Worker]:
    """Return the workers that evaluate and send alerts and send the timeline, not yet started.

    Args:
        settings: the configuration.
        database: with the log of alerts.
        live: the live feed, whose messages are evaluated.
        client: publishes the open alerts; ``None`` if MQTT is off.

    Raises:
        MqttError: the broker's settings cannot work.
        ServerError: the timeline is to be sent, and a library is missing.
    """
    publish = None if client is None else partial(_publish_alerts, client)
    worker, workers = agent_workers(alert_options(settings), database, publish)
    live.on_message = worker.store
    return [*workers, *_configured_fleet(settings, database)]


def _configured_fleet(settings: Settings, database: Path) -> list[Worker]:
    """Return the sender of the timeline; if it is off, import nothing of it.

    Remains of earlier use are then removed from the database.
    """
    if not settings.fleet.enabled:
        with read_transaction(database) as connection:
            left = has_stream(connection)
        if left:
            from edge_agent.fleet.log import end_stream

            end_stream(database)
        return []
    try:
        from edge_agent.fleet.sender import fleet_sender
    except ImportError as error:
        raise ServerError(
            "[fleet] enabled: the library cbor2 is not installed. From the folder that the "
            "appliance was installed from: sudo ./install.sh --with fleet. In a checkout: "
            ".venv/bin/pip install -e '.[fleet]'. Or set enabled = false."
        ) from error
    return [fleet_sender(settings, database, configured_broker(settings.mqtt))]


def _publish_alerts(client: MqttClient, alerts: Iterable[AlertEntry]) -> None:
    stand = [
        {
            "rule": alert.rule,
            "kind": alert.kind,
            "text": alert.text,
            "since": iso_utc(alert.raised_ms),
            "acknowledged": alert.acknowledged_ms is not None,
        }
        for alert in alerts
    ]
    payload = {"at": iso_utc(clock.now().wall_ms), "open": stand}
    client.publish_alerts(AlertsPayload.model_validate(payload))


def configured_broker(mqtt: MqttSettings) -> MqttSettings:
    """Return the table with the password of its file.

    Raises:
        MqttError: the file cannot be read.
    """
    if mqtt.password_file is None:
        return mqtt
    return mqtt.model_copy(
        update={"password": SecretStr(read_password(mqtt.password_file)), "password_file": None}
    )


def _home_assistant(settings: Settings) -> Device | None:
    """Return the device for Home Assistant's discovery, if it is configured."""
    mqtt = settings.mqtt
    if not mqtt.home_assistant:
        return None
    return Device(
        settings.device.name,
        root=mqtt.root,
        prefix=mqtt.home_assistant_prefix,
        version=edge_agent.__version__,
        window_s=settings.summary.window,
        commands=mqtt.commands,
        movements=mqtt.movements,
    )


def _take_readings(ingest: VitalIngest, payload: bytes, retained: bool) -> RejectedPayload | None:
    """Accept the readings of a message; return the report of those that were refused."""
    verdict = ingest.accept(payload, retained=retained)
    if not verdict.refusals:
        return None
    refused = [(refusal.index, refusal.id, refusal.error) for refusal in verdict.refusals]
    return rejected_payload(clock.now().wall_ms, verdict.digest, verdict.taken, refused)


def _note_clock(study: Study, sender: str, offset: ClockOffset) -> None:
    """Record the offset of a sender's clock in the audit trail."""
    log.info("control: clock of %s: %s", sender, offset)
    try:
        study.note("agent", "sender_clock", f"{sender}: {offset}")
    except StoreError as error:
        log.warning("control: the clock of %s is not in the audit trail: %s", sender, error)


def study_commands(study: Study, permission: CapturePermission) -> IncomingCommands:
    """Return what carries out commands that come over MQTT."""
    return IncomingCommands(
        partial(study.start_session, actor=_MQTT),
        partial(study.end_session, actor=_MQTT),
        study.add_marker,
        lambda on: permission.turn(on=on, by=_MQTT),
        partial(_note_clock, study),
    )


def _subscriptions(
    settings: Settings, study: Study, permission: CapturePermission, ingest: VitalIngest
) -> Iterator[Subscription]:
    """Yield the subscriptions to readings and to commands, where the configuration allows them."""
    if settings.vitals.mqtt.enabled:
        yield Subscription(Topics.INGEST, partial(_take_readings, ingest), Topics.REJECTED)
    if not settings.mqtt.commands:
        return
    commands = study_commands(study, permission)
    for topic, obey in (
        (Topics.COMMAND_SESSION, commands.session),
        (Topics.COMMAND_MARKER, commands.marker),
        (Topics.COMMAND_CAPTURE, commands.capture),
    ):
        yield Subscription(topic, obey, Topics.COMMAND_REJECTED)
