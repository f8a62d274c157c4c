"""What the log of alerts holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one message about an alert.

    Attributes:
        event: ``raised`` or ``ended``.
        target: name of the address, which holds no secret.
        tries: how often it was tried.
        sent_ms: when it arrived; ``None``: it did not.
        error: why the last attempt failed; empty: it did not.
    """

    event: str
    target: str
    tries: int
    sent_ms: int | None
    error: str


@dataclass(frozen=True, slots=True)
class AlertEntry:
    """An alert.

    Attributes:
        id: its number.
        rule: name of the rule.
        kind: what the rule watches.
        text: what is so, without any measured value; a ``Message``, unless it is an old row.
        value: what was measured when it began; ``None``: nothing is.
        session: number of the session that was open then; ``None``: none was.
        raised_ms: when it began, UTC.
        ended_ms: when it ended; ``None``: it stands.
        ending: ``over``, ``not_known`` or ``rule_removed``; ``None``: it stands.
        quiet: whether it began in quiet hours.
        acknowledged_ms: when somebody acknowledged it; ``None``: nobody has.
        acknowledged_by: who.
        deliveries: what was sent about it.
    """

    id: int
    rule: str
    kind: str
    text: str
    value: float | None
    session: int | None
    raised_ms: int
    ended_ms: int | None = None
    ending: str | None = None
    quiet: bool = False
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    deliveries: tuple[Delivery, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it stands."""
        return self.ended_ms is None


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts are wanted; what is left out does not matter.

    Attributes:
        start_ms: begun from here on, UTC.
        end_ms: begun before.
        kind: what is watched; empty: anything.
        state: ``open``, ``ended`` or ``unacknowledged``; empty: any.
    """

    start_ms: int | None = None
    end_ms: int | None = None
    kind: str = ""
    state: str = ""
