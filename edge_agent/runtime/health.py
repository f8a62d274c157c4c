"""How the appliance is: what the machine says, what the threads say, and what a person should look
at.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import psutil

from edge_agent.core import clock
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.sensors import SensorState

THROTTLING_SECONDS = 30.0
THROTTLING_GIVE_UP_SECONDS = 5.0
_SENSORS = ("cpu_thermal", "coretemp", "k10temp", "zenpower", "soc_thermal", "acpitz")
_WELL = frozenset({"connected", "disabled", "stopped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the agent's threads say.

    Attributes:
        fps: frames read each second; ``None``: the camera is not meant to run.
        frame_age_s: age of the newest frame; ``None``: none is expected, or none came yet.
        frames_dropped: frames passed over because a newer one was there.
        fps_limit: frames read each second at the most, to keep to the budget; ``None``: all are
            read.
        limited_by: ``budget`` or ``heat``, with ``fps_limit``.
        camera_error: why the camera gives nothing, with its cure.
        queue_depth: items that wait to be written.
        waiting_s: how long the oldest of them has waited.
        rows_dropped: rows lost because they could not be written.
        commit_age_s: since the last commit; ``None``: none yet.
        store_error: why the last commit failed.
        budget_cut_ms: rows of before this time went for the disk budget alone; ``None``: none did.
        budget_over_bytes: by how much the database is larger than its share of the budget.
        mqtt_state: how things stand with the broker; ``disabled`` without one.
        mqtt_error: what is wrong with it and the cure.
        mqtt_state_s: how long the state has been so.
        outbox: messages that the broker has not acknowledged.
        duplicates: readings that were there already.
        readings_taken, readings_refused: what became of readings handed in over MQTT.
        sensors: how things stand with the Bluetooth sensors.
    """

    fps: float | None = None
    frame_age_s: float | None = None
    frames_dropped: int = 0
    fps_limit: float | None = None
    limited_by: str | None = None
    camera_error: str | None = None
    queue_depth: int = 0
    waiting_s: float = 0.0
    rows_dropped: int = 0
    commit_age_s: float | None = None
    store_error: str | None = None
    budget_cut_ms: int | None = None
    budget_over_bytes: int = 0
    mqtt_state: str = "disabled"
    mqtt_error: str | None = None
    mqtt_state_s: float = 0.0
    outbox: int = 0
    duplicates: int = 0
    readings_taken: int = 0
    readings_refused: int = 0
    sensors: tuple[SensorState, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on something is an alarm.

    Attributes:
        hot_celsius: a Raspberry Pi slows down at 80.
        disk_free_bytes: less free space than this.
        frame_age_s, waiting_s: a frame older, a row waiting longer than this.
        broker_away_s: the broker away for longer than this.
        start_s: a machine that starts may take this long to set its clock.
        battery_percent: a sensor's battery with no more than this.
    """

    hot_celsius: float = 78.0
    disk_free_bytes: int = 500_000_000
    frame_age_s: float = 15.0
    waiting_s: float = 90.0
    broker_away_s: float = 60.0
    start_s: float = 120.0
    battery_percent: int = 10


@dataclass(frozen=True, slots=True)
class Throttling:
    """What the Raspberry Pi's firmware says, now and since its start (bits of ``vcgencmd
    get_throttled``).
    """

    under_voltage: bool
    frequency_capped: bool
    throttled: bool
    soft_temperature_limit: bool
    under_voltage_since_start: bool
    throttled_since_start: bool


def parse_throttled(text: str) -> Throttling | None:
    """Read a line such as ``throttled=0x50005``; ``None`` when it is something else.

    Bits as documented by Raspberry Pi for ``vcgencmd get_throttled``: 0 under-voltage, 1 frequency
    capped, 2 throttled, 3 soft temperature limit; 16 and 18 say that bits 0 and 2 were set since
    the start.
    """
    name, _, value = text.strip().partition("=")
    try:
        bits = int(value, 16)
    except ValueError:
        return None
    if name != "throttled":
        return None
    return Throttling(*(bool(bits >> bit & 1) for bit in (0, 1, 2, 3, 16, 18)))


class ThrottlingProbe:
    """Asks the firmware now and then, never waiting for it: ``latest`` gives the answer to an
    earlier question.

    Args:
        program: the command to ask with; ``None`` finds ``vcgencmd``, and without it there is no
            answer.
    """

    def __init__(self, program: Path | None = None) -> None:
        found = str(program) if program else shutil.which("vcgencmd")
        self._command = [found, "get_throttled"] if found else None
        self._running: subprocess.Popen[str] | None = None
        self._asked_s: float | None = None
        self._latest: Throttling | None = None

    def latest(self) -> Throttling | None:
        """Return the newest answer, and ask again when it is half a minute old."""
        now_s = clock.boot_seconds()
        if self._running is not None:
            self._collect(now_s)
        elif self._asked_s is None or now_s - self._asked_s >= THROTTLING_SECONDS:
            self._ask(now_s)
        return self._latest

    def close(self) -> None:
        """End a question that was not answered."""
        if self._running is not None:
            self._running.kill()
            self._running.communicate()
            self._running = None

    def _ask(self, now_s: float) -> None:
        if self._command is None:
            return
        self._asked_s = now_s
        try:
            self._running = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            self._command = None  # there, but not for us: not asked again

    def _collect(self, now_s: float) -> None:
        assert self._running is not None
        assert self._asked_s is not None
        if self._running.poll() is not None:
            self._latest = parse_throttled(self._running.communicate()[0])
            self._running = None
        elif now_s - self._asked_s > THROTTLING_GIVE_UP_SECONDS:
            self.close()


class Reading(Protocol):
    """One temperature as psutil gives it."""

    @property
    def current(self) -> float:
        """Degrees Celsius."""


def processor_temperature(sensors: Mapping[str, Sequence[Reading]]) -> float | None:
    """Return the processor's temperature out of what the machine has.

    ``None`` without a sensor that is known.
    """
    for name in _SENSORS:
        if sensors.get(name):
            return max(reading.current for reading in sensors[name])
    return None


class HealthMonitor:
    """Gathers the report.

    Args:
        data: folder of the database; its disk is watched.
        device: name of the appliance.
        version: of the agent.
        throttling: asks the firmware.
    """

    def __init__(
        self,
        data: Path,
        device: str,
        version: str,
        *,
        limits: Limits | None = None,
        throttling: ThrottlingProbe | None = None,
    ) -> None:
        self._data = data
        self._device = device
        self._version = version
        self._limits = limits or Limits()
        self._throttling = throttling or ThrottlingProbe()
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._started_s = clock.boot_seconds()

    def report(self, figures: Figures, at: Instant) -> dict[str, Any]:
        """Return the payload of the topic ``health``; the live feed carries the same."""
        disk = self._disk()
        machine = Machine(
            uptime_s=clock.boot_seconds() - self._started_s,
            temperature=processor_temperature(psutil.sensors_temperatures()),
            throttling=self._throttling.latest(),
            disk_free_bytes=None if disk is None else disk["free_bytes"],
            clock_synchronised=clock.is_synchronised(),
        )
        throttling = machine.throttling
        return {
            "schema": 1,
            "at": iso_utc(at.wall_ms),
            "device": self._device,
            "version": self._version,
            "uptime_seconds": round(machine.uptime_s, 1),
            "temperature_celsius": machine.temperature,
            "throttling": throttling
            and {f.name: getattr(throttling, f.name) for f in fields(Throttling)},
            "cpu_percent": self._process.cpu_percent(),
            "load_1_minute": round(os.getloadavg()[0], 2),
            "disk": disk,
            "memory": {
                "process_bytes": self._process.memory_info().rss,
                "available_bytes": psutil.virtual_memory().available,
            },
            **_thread_tables(figures),
            "clock_synchronised": machine.clock_synchronised,
            "alarms": [
                {"name": name, "text": text}
                for name, text in alarms(figures, machine, self._limits).items()
            ],
        }

    def _disk(self) -> dict[str, Any] | None:
        """Return the space on the data disk; ``None`` when the folder is gone."""
        try:
            usage = psutil.disk_usage(str(self._data))
        except OSError:
            return None
        return {"free_bytes": usage.free, "free_percent": round(100.0 - usage.percent, 1)}


def _thread_tables(figures: Figures) -> dict[str, Any]:
    """Return what the threads say, in the form of the payload."""
    return {
        "camera": {
            "fps": _rounded(figures.fps),
            "frame_age_seconds": _rounded(figures.frame_age_s),
            "frames_dropped": figures.frames_dropped,
            "fps_limit": _rounded(figures.fps_limit),
            "limited_by": figures.limited_by,
        },
        "recorder": {
            "queue_depth": figures.queue_depth,
            "rows_dropped": figures.rows_dropped,
            "last_commit_age_seconds": _rounded(figures.commit_age_s),
            "duplicates": figures.duplicates,
        },
        "mqtt": {
            "state": figures.mqtt_state,
            "outbox": figures.outbox,
            "readings_taken": figures.readings_taken,
            "readings_refused": figures.readings_refused,
        },
        "sensors": [
            {
                "source": sensor.source,
                "kind": sensor.kind.value,
                "connected": sensor.connected,
                "battery_percent": sensor.battery_percent,
                "contact": sensor.contact,
                "reason": sensor.reason,
            }
            for sensor in figures.sensors
        ],
    }


def _rounded(value: float | None) -> float | None:
    if value is None:
        return None
    return round(value, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the machine says."""

    uptime_s: float
    temperature: float | None
    throttling: Throttling | None
    disk_free_bytes: int | None
    clock_synchronised: bool


def alarms(figures: Figures, machine: Machine, limits: Limits) -> dict[str, str]:
    """Return what a person should look at: a name for programs and a sentence with the cure, in a
    fixed order.
    """
    return _machine_alarms(machine, limits) | _thread_alarms(figures, limits)


def _machine_alarms(machine: Machine, limits: Limits) -> dict[str, str]:
    found = {}
    celsius = machine.temperature
    power = machine.throttling
    free = machine.disk_free_bytes
    if celsius is not None and celsius >= limits.hot_celsius:
        found["hot"] = (
            f"The processor has {celsius:.0f} °C and will slow down. Give it air or a heat sink."
        )
    if power is not None and power.under_voltage:
        found["under_voltage"] = (
            "The supply voltage is too low. Use the Raspberry Pi's own power supply."
        )
    elif power is not None and power.under_voltage_since_start:
        found["was_under_voltage"] = (
            "The supply voltage was too low since the start. Check power supply and cable."
        )
    if power is not None and (power.throttled or power.frequency_capped):
        found["throttled"] = (
            "The processor runs slower than it could, for heat or lack of power. Cure that."
        )
    if free is None:
        found["disk_gone"] = (
            "The data folder is gone. Check that its disk is attached, then restart."
        )
    elif free < limits.disk_free_bytes:
        found["disk_low"] = (
            f"Only {free / 1e6:.0f} MB are free on the data disk. Delete files, or lower "
            "record.budget_mb."
        )
    if not machine.clock_synchronised and machine.uptime_s > limits.start_s:
        found["clock_not_synchronised"] = (
            "The clock was not set from the network since the start, so times may be wrong. "
            "Connect to a network or fit a clock module."
        )
    return found


def _thread_alarms(figures: Figures, limits: Limits) -> dict[str, str]:
    found = {}
    age_s = figures.frame_age_s
    if figures.camera_error is not None:
        found["camera"] = figures.camera_error
    elif age_s is not None and age_s > limits.frame_age_s:
        found["frame_stale"] = (
            f"The camera gave no frame for {age_s:.0f} s. Check its cable, then restart."
        )
    if figures.store_error is not None:
        found["store"] = f"The timeline cannot be written: {figures.store_error}"
    elif figures.waiting_s > limits.waiting_s:
        found["commit_stale"] = (
            f"Rows have waited {figures.waiting_s:.0f} s to be written. Check the disk: it is "
            "slow or failing."
        )
    if figures.rows_dropped:
        found["rows_dropped"] = (
            f"{figures.rows_dropped} rows were lost since the start because they could not be "
            "written. Free some space or use a faster disk."
        )
    if figures.mqtt_state not in _WELL and figures.mqtt_state_s > limits.broker_away_s:
        found["broker_away"] = (
            f"{figures.outbox} messages wait for the MQTT broker ({figures.mqtt_state}): "
            f"{figures.mqtt_error or 'it does not answer.'}"
        )
    return found | _budget_alarms(figures) | _sensor_alarms(figures, limits)


def _budget_alarms(figures: Figures) -> dict[str, str]:
    found = {}
    if figures.budget_cut_ms is not None:
        found["disk_budget"] = (
            f"Rows of before {iso_utc(figures.budget_cut_ms)[:10]} were deleted early to keep to "
            "the disk budget, none of a session. Raise record.budget_mb, or lower "
            "record.keep_days to what fits."
        )
    if figures.budget_over_bytes:
        found["disk_budget_exceeded"] = (
            f"The database is {figures.budget_over_bytes / 1e6:.0f} MB larger than the disk budget "
            "allows; sessions and the last day are not deleted for it. Export and erase "
            "participants who are done, or raise record.budget_mb."
        )
    return found


def _sensor_alarms(figures: Figures, limits: Limits) -> dict[str, str]:
    """A sensor that is not in reach is no alarm: straps are taken off, and a cuff sleeps between
    measurements.
    """
    found = {}
    broken = [
        sensor.problem
        for sensor in figures.sensors
        if sensor.problem and sensor.reason != "not_found"
    ]
    if broken:
        found["bluetooth"] = " ".join(dict.fromkeys(broken))
    told = [
        (sensor.source, sensor.battery_percent)
        for sensor in figures.sensors
        if sensor.battery_percent is not None
    ]
    weak = [(source, percent) for source, percent in told if percent <= limits.battery_percent]
    if weak:
        found["sensor_battery"] = " ".join(
            f"The battery of {source} has {percent} % left. Change or charge it."
            for source, percent in weak
        )
    return found


def is_fresh(figures: Figures, limits: Limits | None = None) -> bool:
    """Tell whether newest frame and oldest waiting row are young enough for systemd's watchdog to
    be told.

    A camera that failed with a known reason is reopened by its own thread and is no cause for a
    restart; a disk that refuses rows is not cured by one either.
    """
    limits = limits or Limits()
    hangs = figures.camera_error is None and (figures.frame_age_s or 0.0) > limits.frame_age_s
    stuck = figures.store_error is None and figures.waiting_s > limits.waiting_s
    return not (hangs or stuck)
