"""A thread that carries out the orders of other programs, each with its own time."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from edge_agent.core.clock import Every, Instant
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.pauses import Pauses
from edge_agent.core.study import EndOrder, NewMarker, NewSession, Order
from edge_agent.core.threads import RestartingWorker
from edge_agent.timeline.study.sessions import AGENT, Study

log = logging.getLogger(__name__)

WAITING = 1_000
"""Most orders that wait while the database cannot be written."""
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_TOLD_S = 60.0
_MOVED_S = 0.005
"""A smaller shift of a clock is not recorded."""


@dataclass(frozen=True, slots=True)
class ClockNote:
    """The offset of a sender's clock from ours.

    Attributes:
        offset_s: seconds to add to its times to get ours.
        doubt_s: uncertainty of the offset, seconds.
    """

    offset_s: float
    doubt_s: float


class OrderWorker(RestartingWorker):
    """Carries out orders, in the order in which they came.

    An order that the study refuses is logged and skipped. While the database cannot be written,
    orders wait, and keep the time at which they were given.

    Args:
        study: carries them out, and records the offsets of the senders' clocks.
    """

    def __init__(self, study: Study) -> None:
        super().__init__("control")
        self._study = study
        self._queue: queue.Queue[Callable[[], None]] = queue.Queue(WAITING)
        self._clocks: dict[str, ClockNote] = {}
        self._full = Quiet()
        self._refused = Quiet()

    def give(self, order: Order, at: Instant, sender: str) -> None:
        """Queue an order with the time ``at``; callable from any thread, returns at once.

        Args:
            order: the order.
            at: when it was given.
            sender: its sender, such as ``serial:/dev/ttyUSB0``.
        """
        try:
            self._queue.put_nowait(partial(self._obey, order, at, sender))
        except queue.Full:
            self._full.warn("control: %s asks for more than can be written; some are lost", sender)

    def note_clock(self, sender: str, note: ClockNote) -> None:
        """Queue the offset of a sender's clock; returns at once.

        The audit trail records it if it has changed.
        """
        with suppress(queue.Full):  # the next one comes soon
            self._queue.put_nowait(partial(self._keep, sender, note))

    def work(self) -> None:
        """Carry out orders until stopped, then the remaining ones, each once."""
        while not self.stopping.is_set():
            with suppress(queue.Empty):
                self._queue.get(timeout=0.2)()
        while not self._queue.empty():
            self._queue.get_nowait()()

    def _keep(self, sender: str, note: ClockNote) -> None:
        """Write the offset of a clock into the audit trail, if it has changed."""
        known = self._clocks.get(sender)
        if known is not None and abs(note.offset_s - known.offset_s) < max(_MOVED_S, note.doubt_s):
            return
        self._clocks[sender] = note
        detail = f"{sender}: {note.offset_s:+.4f} s, ± {note.doubt_s:.4f} s"
        log.info("control: clock of %s", detail)
        try:
            self._study.note(AGENT, "sender_clock", detail)
        except StoreError as error:
            log.warning("control: the clock of %s is not in the audit trail: %s", sender, error)

    def _obey(self, order: Order, at: Instant, sender: str) -> None:
        """Carry out one order; while the database cannot be written, try again."""
        pauses = Pauses(_RETRY_S)
        while True:
            try:
                match order:
                    case NewMarker():
                        self._study.add_marker(order.kind, order.label, at)
                    case NewSession():
                        self._study.start_session(order, at, actor=AGENT)
                    case EndOrder():
                        self._study.end_session(at, actor=AGENT)
            except StudyError as error:
                self._refused.warn("control: %s: refused: %s", sender, error)
                return
            except StoreError as error:
                if not pauses.failures:
                    log.warning("control: an order of %s waits: %s", sender, error)
                if self.stopping.wait(pauses.after_failure()):
                    log.error("control: an order of %s is lost: %s", sender, error)
                    return
            else:
                return


class Quiet:
    """Logs a warning at most once a minute, with the number of suppressed ones."""

    def __init__(self) -> None:
        self._timer = Every(_TOLD_S, at_once=True)
        self._held = 0

    def warn(self, text: str, *values: object) -> None:
        """Log a warning, or count it."""
        if not self._timer.due():
            self._held += 1
            return
        if self._held:
            text = f"{text} ({self._held} more since the last such line)"
            self._held = 0
        log.warning(text, *values)
