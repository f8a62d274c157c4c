"""The health report of the appliance: the machine, the agent's threads, and the alerts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from edge_agent.alerts.figures import (
    AgentFigures,
    AlertLimits,
    MachineState,
    ThrottlingProbe,
    alerts_of,
)
from edge_agent.core import clock
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.mqtt.health_payload import FleetHealth, SensorHealth
from edge_agent.mqtt.payloads import PayloadPart
from edge_agent.timeline.upkeep.health_history import HealthHistory

_PROCESSOR_SENSORS = ("cpu_thermal", "coretemp", "k10temp", "zenpower", "soc_thermal", "acpitz")
"""Names of the processor's temperature sensor in Linux: Raspberry Pi first, then PCs."""


def processor_temperature(sensors: Mapping[str, Sequence[Any]]) -> float | None:
    """Return the processor's temperature, °C, from psutil's list; ``None`` if it is not known."""
    for name in _PROCESSOR_SENSORS:
        if sensors.get(name):
            return float(max(reading.current for reading in sensors[name]))
    return None


class HealthMonitor:
    """Builds the health report.

    Args:
        data: folder of the database; its disk is watched.
        device: name of the appliance.
        version: of the agent.
        limits: of the alerts; ``None``: the defaults.
        throttling: queries the firmware about power and heat; ``None``: through ``vcgencmd``.
        history: stores a report of each minute; ``None``: none is stored.

    Example:
        >>> from edge_agent.core import clock
        >>> monitor = HealthMonitor(Path("."), "lab", "1.0")
        >>> report = monitor.report(AgentFigures(fps=15.0), clock.now())
        >>> report["camera"]["fps"], report["mqtt"]["state"]
        (15.0, 'disabled')
    """

    def __init__(
        self,
        data: Path,
        device: str,
        version: str,
        *,
        limits: AlertLimits | None = None,
        throttling: ThrottlingProbe | None = None,
        history: HealthHistory | None = None,
    ) -> None:
        self._data = data
        self._device = device
        self._version = version
        self._limits = limits or AlertLimits()
        self._throttling = throttling or ThrottlingProbe()
        self._history = history
        self._process = psutil.Process()
        # psutil measures from one call to the next: the first one returns a meaningless 0.
        self._process.cpu_percent()
        self._started_s = clock.boot_seconds()

    def report(self, figures: AgentFigures, at: Instant) -> dict[str, Any]:
        """Return the payload of the topic ``health``; the live feed carries the same."""
        disk = self._disk()
        machine = MachineState(
            uptime_s=clock.boot_seconds() - self._started_s,
            temperature=processor_temperature(psutil.sensors_temperatures()),
            throttling=self._throttling.latest(),
            disk_free_bytes=None if disk is None else disk["free_bytes"],
            clock_synchronised=clock.is_synchronised(),
        )
        throttling = machine.throttling
        report = {
            "schema": 1,
            "at": iso_utc(at.wall_ms),
            "device": self._device,
            "version": self._version,
            "uptime_seconds": round(machine.uptime_s, 1),
            "temperature_celsius": machine.temperature,
            "throttling": throttling and asdict(throttling),
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
                for name, text in alerts_of(figures, machine, self._limits).items()
            ],
        }
        if self._history is not None:
            self._history.keep(report, at)
        return report

    def _disk(self) -> dict[str, Any] | None:
        """Return the space on the data disk; ``None`` when the folder is gone."""
        try:
            usage = psutil.disk_usage(str(self._data))
        except OSError:
            return None
        return {"free_bytes": usage.free, "free_percent": round(100.0 - usage.percent, 1)}


def _thread_tables(figures: AgentFigures) -> dict[str, Any]:
    """Return the figures of the threads in the form of the payload."""
    return {
        "camera": {
            "fps": _rounded(figures.fps),
            "frame_age_seconds": _rounded(figures.frame_age_s),
            "frames_dropped": figures.frames_dropped,
            "fps_limit": _rounded(figures.fps_limit),
            "limited_by": figures.limited_by,
            "readings_per_second": _rounded(figures.readings_per_second),
            "effort": figures.effort,
        },
        "recorder": {
            "queue_depth": figures.queue_depth,
            "rows_dropped": figures.rows_dropped,
            "last_commit_age_seconds": _rounded(figures.commit_age_s),
            "duplicates": figures.duplicates,
            "unstored_since": figures.unstored_since_ms and iso_utc(figures.unstored_since_ms),
            "error": figures.store_error,
        },
        "copies": {
            "last_good_age_seconds": _rounded(figures.copies.age_s),
            "failed": figures.copies.error is not None,
            "smaller": figures.copies.smaller_than is not None,
            "second_place_failed": figures.copies.second_error is not None,
        },
        "mqtt": {
            "state": figures.mqtt_state,
            "outbox": figures.outbox,
            "readings_taken": figures.readings_taken,
            "readings_refused": figures.readings_refused,
            "set_aside": dict(figures.set_aside),
            "holes": [
                {
                    "epoch": hole.epoch,
                    "topic": hole.topic,
                    "first": hole.first,
                    "last": hole.last,
                    "reason": hole.reason,
                    "at": iso_utc(hole.at_ms),
                }
                for hole in figures.holes
            ],
        },
        "fleet": figures.fleet and _told(FleetHealth, figures.fleet),
        "sensors": [_told(SensorHealth, sensor) for sensor in figures.sensors],
        "restarts": [
            {
                "name": name,
                "times": death.times,
                "at": iso_utc(death.at.wall_ms),
                "running": death.back is not None,
            }
            for name, death in figures.deaths.items()
        ],
        "markers": figures.markers
        and {
            "stream": figures.markers.name,
            "connected": figures.markers.connected,
            "since": iso_utc(figures.markers.since.wall_ms),
        },
    }


def _told(model: type[PayloadPart], figures: object) -> dict[str, Any]:
    """Return the attributes of a part of the payload."""
    return model.model_validate(figures, from_attributes=True).model_dump(mode="json")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
