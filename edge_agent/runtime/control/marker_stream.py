"""Listens to a stream of markers of the Lab Streaming Layer, by the sender's own times."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.control.orders import read_order
from edge_agent.core.errors import StudyError
from edge_agent.core.timers import Every
from edge_agent.core.worker import Worker
from edge_agent.runtime.control.orders import ClockNote, OrderWorker, Quiet
from edge_agent.runtime.lsl.library import StreamClock, load_pylsl

log = logging.getLogger(__name__)

_PULL_S = 0.2
_RESOLVE_S = 1.0
_CLOCK_S = 10.0
_CORRECTION_S = 2.0
_LATEST_S = 2.0
"""A stamp that lies farther ahead of now than this is a mistake of the sender."""
_OLDEST_S = 600.0


class MarkerStream(Worker):
    """Turns the samples of a stream into orders, each at the time that its stamp says.

    The stream may come and go: it is looked for by its name again and again, and a sender that
    comes back under the same source id is known again to the library. Markers that were sent before
    anybody listened are not repeated by it.

    Args:
        name: of the stream.
        orders: carries out what is asked for.
        codes: what a number asks for; a text says it itself.

    Raises:
        ServerError: pylsl or its native library is missing.
    """

    def __init__(
        self,
        name: str,
        orders: OrderWorker,
        codes: Mapping[int, str],
        on_death: Callable[[Worker, Exception], None] | None = None,
    ) -> None:
        super().__init__("lsl-markers", on_death)
        self._pylsl = load_pylsl()
        self._name = name
        self._sender = f"lsl:{name}"
        self._orders = orders
        self._codes = codes
        self._clock = StreamClock(self._pylsl.local_clock)
        self._strange = Quiet()

    def work(self) -> None:
        """Listen until stopped."""
        while not self.stopping.is_set():
            streams = self._pylsl.resolve_byprop("name", self._name, timeout=_RESOLVE_S)
            if not streams:
                continue
            if len(streams) > 1:
                log.warning("lsl: %d streams are called %s; one is taken", len(streams), self._name)
            try:
                self._listen(self._pylsl.StreamInlet(streams[0], recover=True))
            except (self._pylsl.LostError, TimeoutError, RuntimeError) as error:
                log.warning("lsl: the stream %s is lost (%s); it is looked for", self._name, error)

    def _listen(self, inlet: Any) -> None:
        inlet.open_stream(timeout=_CORRECTION_S)
        correction_s = self._correction(inlet)
        log.info("lsl: listening to the stream %s", self._name)
        timer = Every(_CLOCK_S)
        while not self.stopping.is_set():
            sample, stamp_s = inlet.pull_sample(timeout=_PULL_S)
            if timer.due():
                correction_s = self._correction(inlet, correction_s)
            if sample is not None:
                self._take(sample[0], stamp_s + correction_s)

    def _correction(self, inlet: Any, known_s: float | None = None) -> float:
        """Return what must be added to the sender's times; while it is away, what was known."""
        try:
            correction_s: float = inlet.time_correction(timeout=_CORRECTION_S)
        except TimeoutError:
            if known_s is None:
                raise
            return known_s
        # the library says of its estimate that it is better than this
        self._orders.note_clock(self._sender, ClockNote(correction_s, 0.001))
        return correction_s

    def _take(self, value: object, stamp_s: float) -> None:
        at = self._clock.instant_of(stamp_s)
        try:
            order = read_order(self._text_of(value))
            _check_time(at)
        except StudyError as error:
            self._strange.warn("control: %s: %s", self._sender, error)
            return
        self._orders.give(order, at, self._sender)

    def _text_of(self, value: object) -> str:
        """Return what a sample says: its text, or what the code means."""
        text = str(value).strip()
        if isinstance(value, float) and value.is_integer():
            text = str(int(value))
        if not text.isascii() or not text.isdigit():
            return text
        if int(text) not in self._codes:
            raise StudyError(f"The code {text} is not in [control.codes]. Add it there.")
        return self._codes[int(text)]


def _check_time(at: Instant) -> None:
    ahead_s = at.seconds_since(clock.now())
    if not -_OLDEST_S <= ahead_s <= _LATEST_S:
        raise StudyError(
            f"A marker {ahead_s:+.0f} s from now is not set. Let the program stamp its samples "
            "with local_clock(), or leave the stamp out."
        )
