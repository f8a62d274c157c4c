"""Messages that leave the house at most once: claimed on the disk, then sent, then their outcome.

A claim is committed before a message is handed over. So whatever happens then (a full disk, a kill,
a server that takes a message and does not say so), it is not sent a second time: what is not known
to have been refused counts as perhaps sent, and is shown as that. Where no claim can be written,
nothing is sent until the disk is well again.

Alerts and letters are sent so, because a person would be woken twice, or told a week twice. The
outbox and the fleet's stream promise the opposite, at least once, to programs that drop what they
have; they share their connection and its pauses (`edge_agent.mqtt.connection`) and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from threading import Event

from edge_agent.core import clock
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.texts import text_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MessageOutcome:
    """What became of a message.

    Attributes:
        error: why it did not arrive, as far as is known; empty: it did.
        may_have_arrived: whether it was handed over, and nobody said what became of it.
        at_ms: when that was known, UTC milliseconds.
    """

    error: str = ""
    may_have_arrived: bool = False
    at_ms: int = field(default_factory=lambda: clock.now().wall_ms)

    @property
    def is_sent(self) -> bool:
        """Whether it arrived."""
        return not self.error

    @property
    def is_refused(self) -> bool:
        """Whether it surely did not arrive, so that it may be sent again."""
        return bool(self.error) and not self.may_have_arrived


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message that is to be sent at most once.

    Attributes:
        key: tells it from every other message, for as long as the process runs.
        claim: commits that it is about to be sent; returns whether it may be, which is not so where
            it was claimed or taken back meanwhile.
        send: hands it over.
        write: commits its outcome. A claim without one says by itself: perhaps sent.
    """

    key: Hashable
    claim: Callable[[], bool]
    send: Callable[[], MessageOutcome]
    write: Callable[[MessageOutcome], None]


class Claims:
    """Claims, sends and writes down messages; for one thread, ``waits`` for any.

    The disk remembers what was claimed, and so does the memory: a database that was put back from a
    copy, or a card that lost what it had taken, sends nothing twice.

    Args:
        what: the messages, in the log: ``alerts`` or ``letters``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._handed_over: set[Hashable] = set()
        self._unwritten: dict[Hashable, tuple[Parcel, MessageOutcome]] = {}
        self.waits = ""
        """Why nothing is sent now; empty: nothing keeps it from being sent."""
        self.waits_since_ms = 0

    def __contains__(self, key: Hashable) -> bool:
        """Tell whether the outcome of a message is known here and not on the disk yet."""
        return key in self._unwritten

    def send(
        self, parcels: Iterable[Parcel], stopping: Event
    ) -> list[tuple[Parcel, MessageOutcome]]:
        """Send messages that were not sent yet; return those that were tried, with their outcomes.

        It stops at the first message that cannot be claimed, which is logged once.

        Args:
            parcels: the messages.
            stopping: ends it before the next message when it is set.
        """
        tried: list[tuple[Parcel, MessageOutcome]] = []
        if not self.write_outcomes():
            return tried
        for parcel in parcels:
            if stopping.is_set():
                break
            if parcel.key in self._handed_over:
                continue
            try:
                is_claimed = parcel.claim()
            except AffectEdgeError as error:
                self.note_trouble(error)
                break
            if is_claimed:
                tried.append((parcel, self._hand_over(parcel)))
        else:
            if not self._unwritten:
                self.note_well()
        return tried

    def _hand_over(self, parcel: Parcel) -> MessageOutcome:
        self._handed_over.add(parcel.key)
        outcome = parcel.send()
        self._unwritten[parcel.key] = parcel, outcome
        if outcome.is_refused:
            self._handed_over.discard(parcel.key)
        self.write_outcomes()
        return outcome

    def write_outcomes(self) -> bool:
        """Write the outcomes that are not on the disk yet; return whether all are there now."""
        for key, (parcel, outcome) in list(self._unwritten.items()):
            try:
                parcel.write(outcome)
            except AffectEdgeError as error:
                self.note_trouble(error)
                return False
            del self._unwritten[key]
        return True

    def note_trouble(self, error: AffectEdgeError) -> None:
        """Note that nothing can be sent now; log it where that is new."""
        if not self.waits:
            self.waits_since_ms = clock.now().wall_ms
            log.warning(
                "%s: nothing is sent until it can be written down that it was: %s",
                self._what,
                error,
            )
        self.waits = text_of(error)

    def note_well(self) -> None:
        """Note that the disk takes what is written; log it where that is new."""
        if self.waits:
            log.info("%s: sending goes on", self._what)
        self.waits = ""

    def forget(self, is_over: Callable[[Hashable], bool]) -> None:
        """Forget messages that never come again."""
        self._handed_over = {key for key in self._handed_over if not is_over(key)}
