"""Readings that other devices send as messages: each is taken or refused with its reason, and
all are counted.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ReadingError
from edge_agent.core.given_readings import (
    ArrivalTimes,
    Origin,
    has_time,
    id_of,
    parse_payload,
    read_given,
)
from edge_agent.core.readings import VitalReading
from edge_agent.vitals.base import Sink

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reading that was not taken.

    Attributes:
        index: its place in the list that was sent; ``None`` when the message as a whole was
            refused.
        id: what its sender calls it, if anything.
        error: why.
    """

    index: int | None
    id: str | int | None
    error: ReadingError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one message.

    Attributes:
        taken: readings handed on; those that are there already are known only by the database.
        refusals: the others.
        digest: beginning of the SHA-256 of the payload in hexadecimal, by which its sender can tell
            it.
    """

    taken: int
    refusals: tuple[Refusal, ...]
    digest: str


class VitalIngest:
    """Judges messages and hands their readings on.

    Args:
        sink: called with every reading that is taken.
        origin: who speaks.
        now: the present.

    Example:
        >>> ingest = VitalIngest(recorder.submit, origin)
        >>> ingest.take(b'{"kind": "heart_rate", "value": 72, "source": "watch"}').taken
        1
    """

    def __init__(self, sink: Sink, origin: Origin, now: Callable[[], Instant] = clock.now) -> None:
        self._sink = sink
        self._origin = origin
        self._now = now
        self._arrivals = ArrivalTimes()
        self.taken = 0
        self.refused = 0

    def take(self, payload: bytes, *, retained: bool = False) -> Verdict:
        """Take the readings of a message, one or a list; a bad one does not keep out the others.

        A message that the broker had kept says when it was measured, or it is refused: it comes
        again with every connection, and would be a new reading each time.
        """
        digest = hashlib.sha256(payload).hexdigest()[:16]
        try:
            items = parse_payload(payload)
        except ReadingError as error:
            return self._count(Verdict(0, (Refusal(None, None, error),), digest))
        taken: list[VitalReading] = []
        refusals: list[Refusal] = []
        for index, (item, answer) in enumerate(
            zip(items, read_given(items, self._now(), self._origin, self._arrivals), strict=True)
        ):
            judged = answer
            if retained and not has_time(item) and isinstance(answer, VitalReading):
                judged = _RETAINED
            if isinstance(judged, VitalReading):
                taken.append(judged)
            else:
                refusals.append(Refusal(index, id_of(item), judged))
        for reading in taken:
            self._sink(reading)
        return self._count(Verdict(len(taken), tuple(refusals), digest))

    def _count(self, verdict: Verdict) -> Verdict:
        if verdict.refusals and not self.refused:
            field = verdict.refusals[0].error.field
            log.warning(
                "readings from %s are refused, the first for its %s", self._origin.source, field
            )
        self.taken += verdict.taken
        self.refused += len(verdict.refusals)
        return verdict


_RETAINED = ReadingError(
    "at", "", "is missing in a retained message. Say when it was measured, or do not retain it."
)
