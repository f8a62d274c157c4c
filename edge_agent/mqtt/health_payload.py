"""The payload of the health: camera, recorder, copies, broker, sensors, disk, memory and alarms."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_agent.core.vitals import SensorKind
from edge_agent.mqtt.payloads import Payload, PayloadPart, Time, message_example


class Disk(PayloadPart):
    """The disk that holds the database."""

    free_bytes: int = Field(ge=0)
    free_percent: float = Field(ge=0, le=100)


class Memory(PayloadPart):
    """Memory of the agent and of the machine."""

    process_bytes: int = Field(ge=0, description="Resident memory of the agent")
    available_bytes: int = Field(ge=0, description="Memory that programs can still use")


class Throttling(PayloadPart):
    """What the Raspberry Pi's firmware says about power and heat, now and since its start."""

    under_voltage: bool
    frequency_capped: bool
    throttled: bool
    soft_temperature_limit: bool
    under_voltage_since_start: bool
    throttled_since_start: bool


class CameraHealth(PayloadPart):
    """Frames: how many are read, how old the newest is, how many are dropped."""

    fps: float | None = Field(
        description="Frames per second from the camera; null: it is not meant to run now"
    )
    frame_age_seconds: float | None = Field(
        description="Age of the newest frame; null: none expected or none yet"
    )
    frames_dropped: int = Field(ge=0, description="Frames skipped because a newer one was there")
    fps_limit: float | None = Field(
        ge=0, description="Limit of frames read per second; null: all are read"
    )
    limited_by: Literal["budget", "heat"] | None = Field(
        description="Why: vision.cpu_budget, or the temperature of the processor; null: no limit"
    )
    readings_per_second: float | None = Field(
        default=None,
        ge=0,
        description="Frames per second in which faces were read; null: the camera is not meant to "
        "run now",
    )
    effort: Literal["every_frame", "by_need", "sparing"] = Field(
        default="every_frame",
        description="How carefully faces are read: all in every frame, as often and as carefully "
        "as they need, or with the quick classifier alone to keep to vision.cpu_budget",
    )


class RecorderHealth(PayloadPart):
    """The writing of rows to the database."""

    queue_depth: int = Field(ge=0, description="Items waiting to be written")
    rows_dropped: int = Field(ge=0, description="Rows lost because they could not be written")
    last_commit_age_seconds: float | None = Field(description="null: nothing was written yet")
    duplicates: int = Field(
        ge=0, description="Readings that were stored already and were not written again"
    )
    unstored_since: Time | None = Field(
        default=None,
        description="When the oldest row came that the disk has refused since; null: rows are "
        "stored",
    )
    error: str | None = Field(
        default=None, description="Why nothing is stored, and what to do; null: rows are stored"
    )


class CopiesHealth(PayloadPart):
    """The nightly copies of the database."""

    last_good_age_seconds: float | None = Field(
        ge=0,
        description="Age of the last copy that was verified and is not much smaller than another; "
        "null: there is none",
    )
    failed: bool = Field(description="Whether the last attempt failed")
    smaller: bool = Field(description="Whether the last copy holds much less than another one")
    second_place_failed: bool = Field(
        description="Whether the last copy to backup.also failed; false where none is asked for"
    )


class SeqHoleHealth(PayloadPart):
    """Numbers of a topic under which nothing will come."""

    epoch: str = Field(description="Whose numbers they are")
    topic: str = Field(description="Last part of the topic")
    first: int = Field(ge=1, description="The first number")
    last: int = Field(ge=1, description="The last number")
    reason: str = Field(
        description="outbox_full (mqtt.outbox_rows), not_written (no room for it on disk and in "
        "memory), erased, mqtt_off, damaged, too_large (for the broker), connection_lost (it "
        "ended at this message each time)"
    )
    at: Time = Field(description="When the last of them was noted, UTC")


class MqttHealth(PayloadPart):
    """The connection to the broker and the messages over it."""

    state: str
    outbox: int = Field(ge=0, description="Messages that the broker has not acknowledged")
    readings_taken: int = Field(ge=0, description="Readings received from other devices over MQTT")
    readings_refused: int = Field(ge=0, description="Readings from other devices that were refused")
    set_aside: dict[str, int] = Field(
        default_factory=dict,
        description="Messages that could not be sent and were set aside since the start, by reason",
    )
    holes: list[SeqHoleHealth] = Field(
        default_factory=list,
        description="The newest ten holes in seq: what will never come, and why; newest first",
    )


class FleetHealth(PayloadPart):
    """The stream of the timeline to the collector of a fleet."""

    state: str = Field(description="Of its own connection to the broker")
    waiting: int = Field(ge=0, description="Changes that the collector has not confirmed")
    confirmed: int = Field(ge=0, description="The last position that it has confirmed")
    given_up: int = Field(
        ge=0, description="Changes given up for fleet.backlog_mb, of which it has not heard yet"
    )


class SensorHealth(PayloadPart):
    """State of a Bluetooth sensor."""

    source: str = Field(description="As in its readings")
    kind: SensorKind = Field(description="What it measures")
    connected: bool
    battery_percent: int | None = Field(
        ge=0, le=100, description="null: the sensor has not sent it"
    )
    contact: bool | None = Field(
        description="Whether it touches the skin; null: not connected, or not measured"
    )
    reason: str | None = Field(description="Why it is not connected, one word; null: it is")


class RestartHealth(PayloadPart):
    """A worker that died and begins again by itself."""

    name: str = Field(description="Its thread")
    times: int = Field(ge=1, description="How often it has died since the agent started")
    at: Time = Field(description="When it died last, UTC")
    running: bool = Field(description="false: it waits to begin again")


class MarkerStreamHealth(PayloadPart):
    """The stream by which a program of the laboratory sets markers."""

    stream: str = Field(description="Its name (control.lsl_stream)")
    connected: bool = Field(description="Whether it is listened to")
    since: Time = Field(description="Since when that is so, UTC")


class Alarm(PayloadPart):
    """Something that a person should look at."""

    name: str = Field(description="Short and stable, for programs")
    text: str = Field(description="What is wrong and what to do about it, for people")


class HealthPayload(Payload):
    """Health of the appliance, every minute and when an alarm starts or ends."""

    model_config = message_example(
        at="2026-11-20T08:12:10.250Z",
        device="affect-edge",
        version="0.1.0",
        uptime_seconds=86400.0,
        temperature_celsius=52.1,
        throttling=None,
        cpu_percent=38.5,
        load_1_minute=0.7,
        disk={"free_bytes": 21474836480, "free_percent": 71.5},
        memory={"process_bytes": 121634816, "available_bytes": 3221225472},
        camera={
            "fps": 14.9,
            "frame_age_seconds": 0.06,
            "frames_dropped": 12,
            "fps_limit": None,
            "limited_by": None,
            "readings_per_second": 4.1,
            "effort": "by_need",
        },
        recorder={
            "queue_depth": 4,
            "rows_dropped": 0,
            "last_commit_age_seconds": 3.2,
            "duplicates": 0,
            "unstored_since": None,
            "error": None,
        },
        copies={
            "last_good_age_seconds": 16920.0,
            "failed": False,
            "smaller": False,
            "second_place_failed": False,
        },
        mqtt={
            "state": "connected",
            "outbox": 0,
            "readings_taken": 0,
            "readings_refused": 0,
            "set_aside": {},
            "holes": [
                {
                    "epoch": "3f9c1e60b75a2d84",
                    "topic": "summary",
                    "first": 4102,
                    "last": 4160,
                    "reason": "outbox_full",
                    "at": "2026-11-19T22:41:10.250Z",
                }
            ],
        },
        fleet=None,
        sensors=[
            {
                "source": "ble:A0:9E:1A:00:00:01",
                "kind": "heart_rate",
                "connected": True,
                "battery_percent": 87,
                "contact": True,
                "reason": None,
            }
        ],
        restarts=[],
        markers=None,
        clock_synchronised=True,
        alarms=[
            {
                "name": "hot",
                "text": "The processor has 79 °C and will slow down. Give it air or a heat sink.",
            }
        ],
    )

    at: Time
    device: str
    version: str
    uptime_seconds: float = Field(ge=0, description="Since the agent started")
    temperature_celsius: float | None = Field(description="Of the processor; null: no sensor")
    throttling: Throttling | None = Field(description="null: not a Raspberry Pi")
    cpu_percent: float = Field(ge=0, description="Of the agent, 100 for one core")
    load_1_minute: float = Field(ge=0)
    disk: Disk | None = Field(description="null: the data folder is gone")
    memory: Memory
    camera: CameraHealth
    recorder: RecorderHealth
    copies: CopiesHealth
    mqtt: MqttHealth
    fleet: FleetHealth | None = Field(
        default=None, description="null: nothing is sent to a collector ([fleet] enabled)"
    )
    sensors: list[SensorHealth] = Field(
        description="Bluetooth straps and cuffs that are configured"
    )
    restarts: list[RestartHealth] = Field(
        default_factory=list, description="Sources that died since the agent started"
    )
    markers: MarkerStreamHealth | None = Field(
        default=None, description="null: no stream of markers is configured"
    )
    clock_synchronised: bool
    alarms: list[Alarm]
