"""What is wrong with the stream, each trouble until it is mended."""

from __future__ import annotations

import logging
from enum import IntEnum
from threading import Lock

from edge_agent.core import clock
from edge_agent.store.write.replication.standing import ReplicationStanding

log = logging.getLogger(__name__)


class Trouble(IntEnum):
    """Kinds of trouble; the first one that stands is told, for it may be the cause of others."""

    CONNECTION = 1
    DATABASE = 2
    CLOSED = 3
    PUBLISH = 4
    SUBSCRIBE = 5
    SILENCE = 6


class Troubles:
    """The troubles of one stream. One thread notes them, any may ask how it stands."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._texts: dict[Trouble, str] = {}
        self._since_s = 0.0
        self._state = "connecting"
        self._given_up: list[tuple[int, int]] = []
        self._newest = self._confirmed = 0

    def begin(self, kind: Trouble, text: str) -> None:
        """Note what is wrong and what to do; it is logged when it is new."""
        with self._lock:
            if not self._texts:
                self._since_s = clock.boot_seconds()
            before, self._texts[kind] = self._texts.get(kind), text
        if text != before:
            log.warning("fleet: %s", text)

    def end(self, *kinds: Trouble) -> None:
        """Note that troubles are over."""
        with self._lock:
            ended = [kind for kind in kinds if self._texts.pop(kind, None) is not None]
            done = bool(ended) and not self._texts
        if done:
            log.info("fleet: what was wrong is over")

    def set_state(self, state: str) -> None:
        """Note the state of the connection."""
        self._state = state

    def set_given_up(self, gaps: list[tuple[int, int]]) -> None:
        """Note which changes were given up: position of the gap, and how many it stands for."""
        with self._lock:
            self._given_up = gaps

    def set_positions(self, newest: int, confirmed: int) -> None:
        """Note the newest position, and the last one that is confirmed."""
        with self._lock:
            self._newest, self._confirmed = newest, confirmed
            self._given_up = [one for one in self._given_up if one[0] > confirmed]

    @property
    def standing(self) -> ReplicationStanding:
        """How the stream stands."""
        with self._lock:
            first = min(self._texts, default=None)
            return ReplicationStanding(
                self._state,
                max(0, self._newest - self._confirmed),
                self._confirmed,
                None if first is None else self._texts[first],
                0.0 if first is None else clock.boot_seconds() - self._since_s,
                sum(count for _, count in self._given_up),
            )
