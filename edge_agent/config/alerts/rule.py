"""A table ``[[alerts.rule]]``: what is watched, its limits, and how long it must be so."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from edge_agent.config.section import Section
from edge_agent.core.vitals import VitalKind


class AlertKind(StrEnum):
    """Kinds of things that a rule watches."""

    VITAL = "vital"
    FACE = "face"
    SENSOR = "sensor"
    CAMERA = "camera"
    BROKER = "broker"
    DISK = "disk"
    BACKUP = "backup"
    AGENT = "agent"


_OF_READINGS = (AlertKind.VITAL, AlertKind.SENSOR)


class RuleSettings(Section):
    """What is watched, and when an alert begins and ends."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="Its name, unique: small letters, digits and -",
    )
    when: AlertKind = Field(
        description="What is watched: vital (a reading beyond its limits), face (none is seen), "
        "sensor (no readings), camera, broker, disk (MB free), backup, agent"
    )
    vital: VitalKind | None = Field(
        None, description="Kind of reading, for vital and sensor, such as heart_rate"
    )
    above: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Upper limit: of a vital in its unit, of backup in hours",
    )
    below: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Lower limit: of a vital in its unit, of disk in MB",
    )
    margin: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="How far within its limit a value must be before the alert may end",
    )
    seconds: float = Field(
        10.0, ge=0, le=86_400, description="How long it must be so before an alert begins"
    )
    clear_seconds: float = Field(
        10.0, ge=0, le=86_400, description="How long it must be well before the alert ends"
    )
    in_sessions: bool = Field(False, description="Whether it holds only while a session is open")
    notify: bool = Field(True, description="Whether its alerts are sent to alerts.notify")

    @model_validator(mode="after")
    def _limits_that_fit(self) -> RuleSettings:
        if (self.when in _OF_READINGS) != (self.vital is not None):
            raise ValueError(
                f'rule {self.name!r}: vital goes with when = "vital" or "sensor", and only '
                f"there; when is {self.when.value!r}"
            )
        wrong = self._wrong_limits()
        if wrong:
            raise ValueError(f"rule {self.name!r}: {wrong}")
        return self

    def _wrong_limits(self) -> str:
        """Return what is wrong with the limits; empty: nothing."""
        has_limit = self.above is not None or self.below is not None
        match self.when:
            case AlertKind.VITAL:
                return self._wrong_range(has_limit)
            case AlertKind.DISK:
                if self.below is None or self.below <= 0 or self.above is not None:
                    return "disk needs below, in MB and more than 0, and no above"
            case AlertKind.BACKUP:
                too_small = self.above is not None and self.above <= 0
                if self.below is not None or too_small:
                    return "backup takes above, in hours and more than 0, and no below"
            case _:
                if has_limit or self.margin:
                    return f"{self.when} takes no above, below and margin"
        return ""

    def _wrong_range(self, has_limit: bool) -> str:
        if not has_limit:
            return "vital needs above or below, or both"
        if self.above is None or self.below is None:
            return ""
        if self.below + self.margin > self.above - self.margin:
            return (
                f"between below + margin ({self.below + self.margin:g}) and above - margin "
                f"({self.above - self.margin:g}) no value is well, so no alert would ever end"
            )
        return ""
