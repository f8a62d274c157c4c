"""Messages of other devices with readings: accepted, or refused with the reason, and counted."""

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
    ReadingOrigin,
    has_time,
    id_of,
    parse_payload,
    read_given,
)
from edge_agent.core.readings import VitalReading
from edge_agent.vitals.sources import Sink

log = logging.getLogger(__name__)
_RETAINED = ReadingError(
    "at", "", "is missing in a retained message. Add the time of measurement, or do not retain it."
)


@dataclass(frozen=True, slots=True)
class ReadingRefusal:
    """A reading that was not taken.

    Attributes:
        index: its place in the list; ``None`` if the message as a whole was refused.
        id: the sender's name for it, if any.
        error: the reason.
    """

    index: int | None
    id: str | int | None
    error: ReadingError


@dataclass(frozen=True, slots=True)
class IngestVerdict:
    """The outcome of one message: readings taken, and refusals.

    Attributes:
        taken: number of accepted readings; only the database knows which of them are duplicates.
        refusals: the refused ones.
        digest: first 16 digits of the payload's SHA-256, by which the sender can identify it.
    """

    taken: int
    refusals: tuple[ReadingRefusal, ...]
    digest: str


class VitalIngest:
    """Validates messages and sends their readings to the sink.

    Args:
        sink: called with every accepted reading.
        origin: the sender.
        now: returns the time.

    Example:
        >>> ingest = VitalIngest(recorder.submit, origin)
        >>> ingest.take(b'{"kind": "heart_rate", "value": 72, "source": "watch"}').taken
        1
    """

    def __init__(
        self, sink: Sink, origin: ReadingOrigin, now: Callable[[], Instant] = clock.now
    ) -> None:
        self._sink = sink
        self._origin = origin
        self._now = now
        self._arrivals = ArrivalTimes()
        self.taken = 0
        self.refused = 0

    def accept(self, payload: bytes, *, retained: bool = False) -> IngestVerdict:
        """Accept the readings of a message, one or a list; a bad one does not affect the others.

        A retained message must contain the time of its measurement. Otherwise it is refused: the
        broker sends it again with every connection, and it would be a new reading each time.
        """
        digest = hashlib.sha256(payload).hexdigest()[:16]
        try:
            items = parse_payload(payload)
        except ReadingError as error:
            return self._count(IngestVerdict(0, (ReadingRefusal(None, None, error),), digest))
        taken: list[VitalReading] = []
        refusals: list[ReadingRefusal] = []
        answers = read_given(items, self._now(), self._origin, self._arrivals)
        for index, (item, answer) in enumerate(zip(items, answers, strict=True)):
            # Judged after the reading itself, so that a faulty one is refused for its fault.
            judged = answer
            if retained and not has_time(item) and isinstance(answer, VitalReading):
                judged = _RETAINED
            if isinstance(judged, VitalReading):
                taken.append(judged)
            else:
                refusals.append(ReadingRefusal(index, id_of(item), judged))
        # After all of them were judged: the sink may take its time.
        for reading in taken:
            self._sink(reading)
        return self._count(IngestVerdict(len(taken), tuple(refusals), digest))

    def _count(self, verdict: IngestVerdict) -> IngestVerdict:
        # Once: a sender with a fault repeats it with every message.
        if verdict.refusals and not self.refused:
            text = "readings from %s are refused, the first for its %s"
            log.warning(text, self._origin.source, verdict.refusals[0].error.field)
        self.taken += verdict.taken
        self.refused += len(verdict.refusals)
        return verdict
