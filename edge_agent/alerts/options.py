"""What is watched and who is told, as the configuration says it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.alerts.addresses import Target, read_addresses, targets_of
from edge_agent.alerts.post import ENGLISH
from edge_agent.alerts.quiet import NEVER_QUIET, QuietHours
from edge_agent.alerts.rules import AlertKind, Rule
from edge_agent.config import Settings
from edge_agent.config.alerts import AlertSettings


@dataclass(frozen=True, slots=True)
class AlertOptions:
    """What is watched and who is told.

    Attributes:
        rules: what is watched; empty: nothing.
        device: name of the appliance.
        quiet: the quiet hours.
        sound: whether open pages sound.
        notify_after_s: seconds that an alert must stand before it is sent.
        addresses: where alerts are sent.
        notify_file: file with more of them; ``None``: none.
        language: code of the language of what is sent.
    """

    rules: tuple[Rule, ...] = ()
    device: str = "affect-edge"
    quiet: QuietHours = NEVER_QUIET
    sound: bool = False
    notify_after_s: float = 20.0
    addresses: tuple[str, ...] = field(default=(), repr=False)
    notify_file: Path | None = None
    language: str = ENGLISH

    def rules_of(self, kinds: Collection[AlertKind]) -> tuple[Rule, ...]:
        """Return the rules of some kinds."""
        return tuple(rule for rule in self.rules if rule.kind in kinds)

    @property
    def sends(self) -> bool:
        """Whether there is any address, or a file for them."""
        return bool(self.addresses) or self.notify_file is not None

    def targets(self) -> tuple[Target, ...]:
        """Return where alerts are sent now.

        Raises:
            OSError: the file of addresses cannot be read.
            ValueError: it is no text.
        """
        more: tuple[str, ...] = ()
        if self.notify_file is not None:
            more = read_addresses(self.notify_file)
        return targets_of((*self.addresses, *more))

    def targets_without_file(self) -> tuple[Target, ...]:
        """Return those that the configuration names itself."""
        return targets_of(self.addresses)


NO_ALERTS = AlertOptions()
"""Nothing is watched."""


def alert_options(settings: Settings) -> AlertOptions:
    """Return what the configuration says of alerts; without rules where they are off."""
    section = settings.alerts
    rules: tuple[Rule, ...] = ()
    if section.enabled:
        rules = tuple(
            Rule(kind=AlertKind(rule.when), **rule.model_dump(exclude={"when"}))
            for rule in section.rule
        )
    return AlertOptions(
        rules=rules,
        device=settings.device.name,
        quiet=_quiet(section),
        sound=section.sound,
        notify_after_s=section.notify_after,
        addresses=tuple(address.get_secret_value() for address in section.notify),
        notify_file=section.notify_file,
        language=_language(settings),
    )


def _language(settings: Settings) -> str:
    """Return the language of messages: whoever reads one has no browser that asks for another."""
    configured = settings.dashboard.language
    if configured == "auto":
        return ENGLISH
    return configured


def _quiet(section: AlertSettings) -> QuietHours:
    if section.quiet_from is None or section.quiet_until is None:
        return NEVER_QUIET
    zone = None
    if section.time_zone is not None:
        zone = ZoneInfo(section.time_zone)
    start = time.fromisoformat(section.quiet_from)
    return QuietHours(start, time.fromisoformat(section.quiet_until), zone)
