"""The section ``[alerts]``: what is watched, when it is quiet, who is told. No medical alarm.

Each table ``[[alerts.rule]]`` says what is watched, its limits, and how long it must be so.
"""

from __future__ import annotations

from collections import Counter
from datetime import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from edge_agent.config.section import Days, Editable, Section
from edge_agent.core.addresses import MessageAddress
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
    VARIABILITY = "variability"


class RuleSettings(Section):
    """A rule: the value that is watched, and when an alert begins and ends."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="Its name, unique: small letters, digits and -",
    )
    when: AlertKind = Field(
        description="What is watched: vital (a reading beyond its limits), face (none is seen), "
        "sensor (no readings), camera, broker, disk (MB free), backup, agent, variability (RMSSD "
        "of the last five minutes)"
    )
    vital: VitalKind | None = Field(
        None, description="Kind of reading, for vital and sensor, such as heart_rate"
    )
    above: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Upper limit: of a vital in its unit; of backup, hours since the last copy; of "
        "variability in ms",
    )
    below: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Lower limit: of a vital in its unit, of disk in MB, of variability in ms",
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
        if (self.when in {AlertKind.VITAL, AlertKind.SENSOR}) != (self.vital is not None):
            raise ValueError(
                f'rule {self.name!r}: when = "vital" and when = "sensor" need vital, and no other '
                f"does; when is {self.when.value!r}"
            )
        wrong = self._wrong_limits()
        if wrong:
            raise ValueError(f"rule {self.name!r}: {wrong}")
        return self

    def _wrong_limits(self) -> str:
        """Return what is wrong with the limits; empty: nothing."""
        has_limit = self.above is not None or self.below is not None
        match self.when:
            case AlertKind.VITAL | AlertKind.VARIABILITY:
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
            return f"{self.when} needs above or below, or both"
        if self.above is None or self.below is None:
            return ""
        if self.below + self.margin > self.above - self.margin:
            return (
                f"between below + margin ({self.below + self.margin:g}) and above - margin "
                f"({self.above - self.margin:g}) no value is well, so no alert would ever end"
            )
        return ""


def _clock_time(text: str) -> str:
    try:
        time.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f'{text!r} is no time of day; write it like "22:00"') from error
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"there is no time zone {name!r}; write it like Europe/Berlin") from error
    return name


ClockTime = Annotated[str, Field(pattern=r"^\d\d:\d\d$"), AfterValidator(_clock_time)]
ZoneName = Annotated[str, Field(min_length=1), AfterValidator(_zone)]

_DEFAULT_RULES = (
    RuleSettings(name="agent", when=AlertKind.AGENT, seconds=1, clear_seconds=2),
    RuleSettings(name="camera", when=AlertKind.CAMERA, seconds=30),
    RuleSettings(name="disk", when=AlertKind.DISK, below=500, margin=100, seconds=60),
    RuleSettings(name="backup", when=AlertKind.BACKUP, seconds=60),
)


class AlertSettings(Section):
    """The settings of alerts: rules, quiet hours and addresses; this is not a medical alarm."""

    enabled: Editable[bool] = Field(
        True, title="Watch and alert", description="Whether anything is watched"
    )
    sound: Editable[bool] = Field(
        False,
        title="Sound in open pages",
        description="Whether open pages of the dashboard sound, too",
    )
    quiet_from: Editable[ClockTime | None] = Field(
        None,
        title="Quiet from",
        description="When quiet hours begin, such as 22:00; goes with quiet_until",
    )
    quiet_until: Editable[ClockTime | None] = Field(
        None, title="Quiet until", description="When they end, such as 07:00"
    )
    time_zone: Editable[ZoneName | None] = Field(
        None,
        title="Time zone of the quiet hours",
        description="Zone of the quiet hours, such as Europe/Berlin; left out: the machine's",
    )
    notify: tuple[MessageAddress, ...] = Field(
        (), max_length=20, description="Addresses that alerts are sent to, as Apprise writes them"
    )
    notify_file: Path | None = Field(
        None, description="File with such addresses, one a line; safer than notify"
    )
    notify_after: Editable[float] = Field(
        20.0,
        ge=0,
        le=86_400,
        title="Send after, seconds",
        description="Seconds that an alert must stand before it is sent, so that a restart is not",
    )
    keep_days: Days = Field(365, description="Days that alerts stay in the log after they ended")
    rule: Editable[tuple[RuleSettings, ...]] = Field(
        _DEFAULT_RULES,
        max_length=50,
        description="What is watched; tables of your own replace all of the default ones",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> AlertSettings:
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("quiet_from and quiet_until go together: give both or neither")
        counted = Counter(rule.name for rule in self.rule)
        twice = [name for name, number in counted.items() if number > 1]
        if twice:
            raise ValueError(f"two rules are called {twice[0]!r}; give each its own name")
        return self
