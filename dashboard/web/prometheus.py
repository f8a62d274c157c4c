"""The answer of ``/metrics``, for Prometheus and its relatives.

Whatever comes from the agent is left out while no agent runs, and whatever lasts carries its age:
an agent that stopped is a gap and a growing age, never a constant line. Names end in their unit, as
https://prometheus.io/docs/practices/naming/ asks. Loaded when somebody asks for it: most appliances
are never collected from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from edge_agent import __version__
from edge_agent.config.alerts import AlertKind
from edge_agent.core.readings import VitalReading
from edge_agent.timeline.write.alert_log import AlertEntry

FRESH_SECONDS = 15.0
"""The agent reports every few seconds; one that did not for so long does not work."""
_PREFIX = "affect_edge_"
Family = CounterMetricFamily | GaugeMetricFamily | InfoMetricFamily


def exposition(state: ApplianceState, accept: str) -> tuple[bytes, str]:
    """Return the state as OpenMetrics, or as Prometheus' older text if the client asks for it, with
    its media type.
    """
    encode, content_type = choose_encoder(accept)
    # Or registering would collect everything once in vain.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(state)
    return encode(registry), content_type


@dataclass(frozen=True, slots=True, eq=False)
class ApplianceState(Collector):
    """All values of the metrics, read at one moment.

    Attributes:
        device: name of the appliance.
        at_ms: the moment, UTC.
        uptime_s: of the dashboard.
        agent: the newest messages of the agent by type; empty: none runs.
        reported_ms: when the agent wrote its last report; ``None``: never.
        recorded_ms: when the last thing on the timeline happened; ``None``: nothing did.
        rows: number of rows by table.
        database_bytes: size of the database.
        vitals: the newest reading of each kind.
        alerts: those that stand.
        session_open: whether a session is.
    """

    device: str
    at_ms: int
    uptime_s: float
    agent: Mapping[str, Mapping[str, Any]]
    reported_ms: int | None
    recorded_ms: int | None
    rows: Mapping[str, int]
    database_bytes: int
    vitals: tuple[VitalReading, ...]
    alerts: tuple[AlertEntry, ...]
    session_open: bool

    def age_s(self, then_ms: int) -> float:
        """Return how long ago a moment was, never less than 0."""
        return max(0.0, (self.at_ms - then_ms) / 1000)

    def collect(self) -> Iterator[Family]:
        """Yield every metric that is known."""
        health = _fresh_health(self)
        yield from _of_dashboard(self)
        yield from _of_agent(self, health)
        if health is not None:
            yield from _of_camera(self, health)
            yield from _of_machine(health)
            yield from _of_outputs(self, health)
            yield from _of_sensors(health)
        yield from _of_vitals(self)
        yield from _of_variability(self)


def _of_dashboard(state: ApplianceState) -> Iterator[Family]:
    yield InfoMetricFamily(
        f"{_PREFIX}build",
        "Version of the dashboard and name of the device",
        {"version": __version__, "device": state.device},
    )
    yield _gauge("dashboard_uptime_seconds", "Since the dashboard was started", state.uptime_s)
    yield _gauge("database_bytes", "Size of the database", state.database_bytes)
    rows = _family("database_rows", "Rows by table", "table")
    for table, number in state.rows.items():
        if table != "outbox":
            rows.add_metric([table], number)
    yield rows
    waiting = "Messages that the broker has not yet acknowledged"
    yield _gauge("outbox_messages", waiting, state.rows.get("outbox", 0))
    yield _gauge("session_open", "Whether a session is open: 1 or 0", state.session_open)
    if state.recorded_ms is not None:
        age = state.age_s(state.recorded_ms)
        yield _gauge("recording_age_seconds", "Since the newest row of the timeline", age)
    alerts = _family("alerts_open", "Alerts that stand", "kind")
    for kind in AlertKind:
        alerts.add_metric([kind.value], sum(alert.kind == kind for alert in state.alerts))
    yield alerts


def _of_agent(state: ApplianceState, health: Mapping[str, Any] | None) -> Iterator[Family]:
    yield _gauge("agent_up", "Whether the agent runs and reports: 1 or 0", health is not None)
    said = state.agent.get("health")
    times = [state.reported_ms, None if said is None else _wall_ms(said["at"])]
    known = [time for time in times if time is not None]
    if known:
        age = state.age_s(max(known))
        yield _gauge("agent_report_age_seconds", "Since the agent's last report", age)
    if health is not None:
        uptime = health["uptime_seconds"]
        yield _gauge("agent_uptime_seconds", "Since the agent was started", uptime)


def _of_camera(state: ApplianceState, health: Mapping[str, Any]) -> Iterator[Family]:
    camera = health["camera"]
    yield from _known("camera_fps", "Frames taken per second", camera["fps"])
    age = camera["frame_age_seconds"]
    yield from _known("camera_frame_age_seconds", "Since the newest frame", age)
    read = camera["readings_per_second"]
    yield from _known("camera_frames_read_per_second", "Frames in which faces were read", read)
    yield _counter(
        "camera_frames_dropped",
        "Frames skipped because a newer one was there, since the agent was started",
        camera["frames_dropped"],
    )
    seen = state.agent.get("expression")
    if seen is not None and state.age_s(int(seen["at"])) <= FRESH_SECONDS:
        yield _gauge("faces", "Faces in the newest frame", len(seen["faces"]))
        primary = next((face for face in seen["faces"] if face["primary"]), None)
        if primary is not None and primary["pose"] is not None:
            angles = _family("head_degrees", "Pose of the primary face's head", "axis")
            for axis, degrees in primary["pose"].items():
                angles.add_metric([axis], degrees)
            yield angles


def _of_machine(health: Mapping[str, Any]) -> Iterator[Family]:
    celsius = health["temperature_celsius"]
    yield from _known("processor_temperature_celsius", "Temperature of the processor", celsius)
    if health["disk"] is not None:
        free = health["disk"]["free_bytes"]
        yield _gauge("disk_free_bytes", "Free space on the data disk", free)
    memory = health["memory"]["process_bytes"]
    yield _gauge("agent_memory_bytes", "Resident memory of the agent", memory)
    in_step = health["clock_synchronised"]
    yield from _known("clock_synchronised", "Whether the clock is in step: 1 or 0", in_step)


def _of_outputs(state: ApplianceState, health: Mapping[str, Any]) -> Iterator[Family]:
    recorder, mqtt = health["recorder"], health["mqtt"]
    age = recorder["last_commit_age_seconds"]
    yield from _known("recorder_commit_age_seconds", "Since rows were last written", age)
    since = recorder["unstored_since"]
    waited_s = 0.0 if since is None else state.age_s(_wall_ms(since))
    told = "For how long nothing could be stored; 0: rows are stored"
    yield _gauge("recorder_unstored_seconds", told, waited_s)
    lost = "Rows that could not be written, since the agent was started"
    yield _counter("recorder_rows_dropped", lost, recorder["rows_dropped"])
    if mqtt["state"] != "disabled":
        there = mqtt["state"] == "connected"
        yield _gauge("mqtt_connected", "Whether the MQTT broker is connected: 1 or 0", there)


def _of_sensors(health: Mapping[str, Any]) -> Iterator[Family]:
    about = "Whether a sensor is connected: 1 or 0"
    connected = _family("sensor_connected", about, "source", "kind")
    battery = _family("sensor_battery_percent", "Charge of a sensor", "source", "kind")
    for sensor in health["sensors"]:
        values = [sensor["source"], sensor["kind"]]
        connected.add_metric(values, float(bool(sensor["connected"])))
        if sensor["battery_percent"] is not None:
            battery.add_metric(values, sensor["battery_percent"])
    yield connected
    yield battery


def _of_vitals(state: ApplianceState) -> Iterator[Family]:
    about = "Newest reading of each kind, however old: look at its age"
    value = _family("vital", about, "kind", "source", "unit")
    about = "Since the newest reading of each kind was measured"
    age = _family("vital_age_seconds", about, "kind", "source", "unit")
    for reading in state.vitals:
        labels = [reading.kind.value, reading.source, reading.kind.unit]
        value.add_metric(labels, reading.value)
        age.add_metric(labels, state.age_s(reading.at.wall_ms))
    yield value
    yield age


def _of_variability(state: ApplianceState) -> Iterator[Family]:
    """Yield RMSSD and its share of good beats while they are of now."""
    of_source = state.agent.get("variability")
    if of_source is None or state.age_s(_wall_ms(of_source["at"])) > FRESH_SECONDS:
        return
    about = "Share of the last five minutes that good beats fill"
    share = _family("good_beats_ratio", about, "source")
    share.add_metric([of_source["source"]], of_source["share"])
    yield share
    if of_source["rmssd_ms"] is not None:
        rmssd = _family("rmssd_seconds", "RMSSD of the last five minutes", "source")
        rmssd.add_metric([of_source["source"]], of_source["rmssd_ms"] / 1000)
        yield rmssd


def _fresh_health(state: ApplianceState) -> Mapping[str, Any] | None:
    """Return the agent's report while it is of now."""
    health = state.agent.get("health")
    if health is None or state.age_s(_wall_ms(health["at"])) > FRESH_SECONDS:
        return None
    return health


def _wall_ms(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


def _known(name: str, about: str, value: float | None) -> Iterator[Family]:
    """Yield a metric where its value is known."""
    if value is not None:
        yield _gauge(name, about, value)


def _family(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    """Return a metric of several values, told apart by labels."""
    return GaugeMetricFamily(f"{_PREFIX}{name}", about, labels=labels)


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}{name}", about, float(value))


def _counter(name: str, about: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"{_PREFIX}{name}", about, float(value))
