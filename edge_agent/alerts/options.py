"""What is watched and who is told, as the configuration says it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import time
from zoneinfo import ZoneInfo

from edge_agent.alerts.addresses import Target, read_addresses, targets_of
from edge_agent.alerts.post import ENGLISH
from edge_agent.alerts.quiet import NEVER_QUIET, QuietHours
from edge_agent.config import Settings
from edge_agent.config.alerts import AlertKind, AlertSettings, RuleSettings


@dataclass(frozen=True, slots=True)
class AlertOptions:
    """What is watched and who is told.

    Attributes:
        table: the table ``[alerts]``.
        device: name of the appliance.
        language: code of the language of what is sent.
    """

    table: AlertSettings
    device: str = "affect-edge"
    language: str = ENGLISH

    @property
    def rules(self) -> tuple[RuleSettings, ...]:
        """Return the rules in force; none where alerts are off."""
        return self.table.rule if self.table.enabled else ()

    def rules_of(self, kinds: Collection[AlertKind]) -> tuple[RuleSettings, ...]:
        """Return the rules of some kinds."""
        return tuple(rule for rule in self.rules if rule.when in kinds)

    @property
    def quiet(self) -> QuietHours:
        """The quiet hours."""
        start, end, zone = self.table.quiet_from, self.table.quiet_until, self.table.time_zone
        if start is None or end is None:
            return NEVER_QUIET
        at_home = None if zone is None else ZoneInfo(zone)
        return QuietHours(time.fromisoformat(start), time.fromisoformat(end), at_home)

    @property
    def sends(self) -> bool:
        """Whether there is any address, or a file for them."""
        return bool(self.table.notify) or self.table.notify_file is not None

    def targets(self) -> tuple[Target, ...]:
        """Return where alerts are sent now.

        Raises:
            OSError: the file of addresses cannot be read.
            ValueError: it is no text.
        """
        more: tuple[str, ...] = ()
        if self.table.notify_file is not None:
            more = read_addresses(self.table.notify_file)
        return targets_of((*self._addresses, *more))

    def targets_without_file(self) -> tuple[Target, ...]:
        """Return those that the configuration names itself."""
        return targets_of(self._addresses)

    @property
    def _addresses(self) -> tuple[str, ...]:
        return tuple(address.get_secret_value() for address in self.table.notify)


NO_ALERTS = AlertOptions(AlertSettings(enabled=False))
"""Nothing is watched."""


def alert_options(settings: Settings) -> AlertOptions:
    """Return what the configuration says of alerts.

    Whoever reads a message has no browser that asks for another language than the configured one.
    """
    language = settings.dashboard.language
    return AlertOptions(
        settings.alerts, settings.device.name, ENGLISH if language == "auto" else language
    )
