"""The whole configuration: every section, and the rules between sections."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

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
from edge_agent.config.laboratory import ControlSettings, LslSettings
from edge_agent.config.mqtt import FleetSettings, MqttSettings
from edge_agent.config.vision import VisionSettings
from edge_agent.config.vitals import VitalsSettings

ENV_PREFIX = "AFFECT_EDGE_"
ENV_DELIMITER = "__"


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        env_parse_none_str="none",
    )
    file: ClassVar[Path | None] = None
    has_environment: ClassVar[bool] = True

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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: values given by a command, environment, file."""
        if not cls.has_environment:
            return (init_settings,)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, cls.file)
