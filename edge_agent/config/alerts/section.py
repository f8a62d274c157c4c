"""The section ``[alerts]``: what is watched, when it is quiet, who is told. No medical alarm."""

from __future__ import annotations

from collections import Counter
from datetime import time
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edge_agent.config.alerts.rule import AlertKind, RuleSettings
from edge_agent.config.section import EDITABLE, Section


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
    """What is watched, when it is quiet, and who is told; this is not a medical alarm."""

    enabled: bool = Field(
        True, description="Whether anything is watched", json_schema_extra=EDITABLE
    )
    sound: bool = Field(
        False,
        description="Whether open pages of the dashboard sound, too",
        json_schema_extra=EDITABLE,
    )
    quiet_from: ClockTime | None = Field(
        None,
        description="When quiet hours begin, such as 22:00; goes with quiet_until",
        json_schema_extra=EDITABLE,
    )
    quiet_until: ClockTime | None = Field(
        None, description="When they end, such as 07:00", json_schema_extra=EDITABLE
    )
    time_zone: ZoneName | None = Field(
        None,
        description="Zone of the quiet hours, such as Europe/Berlin; left out: the machine's",
        json_schema_extra=EDITABLE,
    )
    notify: tuple[SecretStr, ...] = Field(
        (), max_length=20, description="Addresses that alerts are sent to, as Apprise writes them"
    )
    notify_file: Path | None = Field(
        None, description="File with such addresses, one a line; safer than notify"
    )
    notify_after: float = Field(
        20.0,
        ge=0,
        le=86_400,
        description="Seconds that an alert must stand before it is sent, so that a restart is not",
        json_schema_extra=EDITABLE,
    )
    keep_days: int = Field(
        365, ge=1, le=36_500, description="Days that alerts stay in the log after they ended"
    )
    rule: tuple[RuleSettings, ...] = Field(
        _DEFAULT_RULES,
        max_length=50,
        description="What is watched; tables of your own replace all of the default ones",
        json_schema_extra=EDITABLE,
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
