"""Feeds the streams from the agent, in a thread of its own."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterable
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import Recognition
from edge_agent.core.readings import VitalReading
from edge_agent.core.timers import Every
from edge_agent.core.vitals import VitalKind
from edge_agent.core.worker import Worker
from edge_agent.runtime.lsl.streams import ExpressionSample, StreamOptions, Streams
from edge_agent.runtime.lsl.study_watch import StudyWatch

log = logging.getLogger(__name__)

WAITING = 10_000
"""Samples that wait for the thread at the most: ten minutes of them."""
LOOK_S = 0.25
"""Period of the look at the database; events carry their own times."""
_LAST_S = 0.2
"""How long the library gets to send the last samples."""


class StreamWorker(Worker):
    """Sends every frame and reading of the agent, and each marker and session, on streams.

    ``take`` returns at once: whoever reads slowly, or not at all, holds nobody up.

    Args:
        options: what is offered.
        database: holds markers and sessions.
        simulated: whether the camera is a demonstration.
        sensors: kinds and sources whose streams are offered from the start.

    Raises:
        ServerError: pylsl or its native library is missing.
    """

    def __init__(
        self,
        options: StreamOptions,
        database: Path,
        *,
        simulated: bool = False,
        sensors: Iterable[tuple[VitalKind, str]] = (),
        on_death: Callable[[Worker, Exception], None] | None = None,
    ) -> None:
        super().__init__("lsl", on_death)
        self._streams = Streams(options)
        self._watch = StudyWatch(database)
        self._simulated = simulated
        self._waiting: queue.Queue[Recognition | VitalReading] = queue.Queue(WAITING)
        self._could_read = True
        self._dropped = 0
        self._streams.offer_events()
        self._streams.offer_expression(simulated)
        for kind, source in sensors:
            self._streams.offer(kind, source)

    @property
    def dropped(self) -> int:
        """Samples that found the queue full."""
        return self._dropped

    def take(self, item: Recognition | VitalReading) -> None:
        """Send a frame or a reading; callable from any thread, returns at once."""
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            if not self._dropped:
                log.error("lsl: the thread stands still, and samples are lost")
            self._dropped += 1

    def work(self) -> None:
        """Send until stopped, then what is left."""
        timer = Every(LOOK_S, at_once=True)
        while not self.stopping.is_set():
            self._send(timeout_s=LOOK_S / 2)
            if timer.due():
                self._send_events()
                self._streams.look()
        while not self._waiting.empty():
            self._send(timeout_s=0)
        self._send_events()
        self._streams.look()
        clock.sleep(_LAST_S)

    def _send(self, timeout_s: float) -> None:
        try:
            item = self._waiting.get(timeout=timeout_s) if timeout_s else self._waiting.get_nowait()
        except queue.Empty:
            return
        if isinstance(item, VitalReading):
            self._streams.vital(item.at, item.kind, item.source, item.value, item.flags)
        else:
            self._streams.expression(item.at, _sample(item), self._simulated)

    def _send_events(self) -> None:
        try:
            events = self._watch.new_events()
        except StoreError as error:
            if self._could_read:
                log.warning("lsl: markers and sessions wait: %s", error)
            self._could_read = False
            return
        self._could_read = True
        for event in events:
            send = self._streams.marker if event.is_marker else self._streams.session
            send(event.at, event.text)


def _sample(seen: Recognition) -> ExpressionSample | None:
    face = seen.primary
    if face is None:
        return None
    smoothed = face.smoothed
    rejected = face.reject_reason is not None
    return ExpressionSample(smoothed.as_dict(), smoothed.valence, face.quality, rejected)
