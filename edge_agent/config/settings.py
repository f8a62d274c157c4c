"""The whole configuration: every section, and the rules between sections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, model_validator

from edge_agent.config.alerts import AlertSettings
from edge_agent.config.camera import CameraSettings, CaptureSettings
from edge_agent.config.dashboard import DashboardSettings
from edge_agent.config.data import (
    BackupSettings,
    DataSettings,
    DeviceSettings,
    RecordSettings,
    SummarySettings,
)
from edge_agent.config.deposit import DepositSettings
from edge_agent.config.laboratory import ControlSettings, LslSettings
from edge_agent.config.mqtt import FleetSettings, MqttSettings
from edge_agent.config.section import STARTING, Section
from edge_agent.config.vision import VisionSettings
from edge_agent.config.vitals import VitalsSettings


class Settings(Section):
    """The whole configuration."""

    _file: Path | None = PrivateAttr(default=None)
    _doubt: str = PrivateAttr(default="")

    device: DeviceSettings = DeviceSettings()
    data: DataSettings = DataSettings()
    camera: CameraSettings = CameraSettings()
    capture: CaptureSettings = CaptureSettings()
    vision: VisionSettings = VisionSettings()
    record: RecordSettings = RecordSettings()
    backup: BackupSettings = BackupSettings()
    vitals: VitalsSettings = VitalsSettings()
    summary: SummarySettings = SummarySettings()
    mqtt: MqttSettings = MqttSettings()
    lsl: LslSettings = LslSettings()
    control: ControlSettings = ControlSettings()
    dashboard: DashboardSettings = DashboardSettings()
    alerts: AlertSettings = AlertSettings()
    fleet: FleetSettings = FleetSettings()
    deposit: DepositSettings = DepositSettings()

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if self.vitals.mqtt.enabled and not (self.mqtt.enabled and self.mqtt.username):
            raise ValueError(
                "vitals.mqtt.enabled takes readings from the broker, which must know who sends "
                "them: set mqtt.username and its password, and let the broker refuse visitors "
                "without a name"
            )
        if self.mqtt.commands and not (self.mqtt.enabled and self.mqtt.username):
            raise ValueError(
                "mqtt.commands lets the broker's users run sessions, and it must know who they "
                "are: set mqtt.username and its password, and let the broker refuse visitors "
                "without a name"
            )
        if self.mqtt.movements and not self.vision.movements:
            raise ValueError(
                "mqtt.movements publishes movements that vision.movements turns off: set "
                "vision.movements = true, or mqtt.movements = false"
            )
        if self.fleet.enabled and not self.mqtt.enabled:
            raise ValueError(
                "fleet.enabled sends the timeline through the broker of [mqtt]: set "
                "mqtt.enabled = true, or fleet.enabled = false"
            )
        return self

    @property
    def file(self) -> Path | None:
        """The file that they were read from, if there was one."""
        return self._file

    @property
    def doubt(self) -> str:
        """Faults that ``config check`` refuses although services start with them; empty: none."""
        return self._doubt

    @classmethod
    def of_file(cls, file: Path | None, values: Mapping[str, Any], *, doubt: str = "") -> Settings:
        """Return the settings of section → key → value, most of which a file gave.

        Args:
            file: where they are from.
            values: of the file and what overrides it.
            doubt: why they were refused; now with values that cannot do what is asked of them, but
                keep no service from starting. Without a seat, whoever leads is followed.

        Raises:
            ValidationError: a key is unknown or a value is not allowed.
        """
        settings = cls.model_validate(values, context={STARTING} if doubt else None)
        settings._file = file
        settings._doubt = doubt
        return settings
