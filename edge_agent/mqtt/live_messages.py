"""Messages of now that no outbox keeps (QoS 0): the latest of each retained topic, and vitals."""

from __future__ import annotations

import threading
from collections import deque

from edge_agent.mqtt.payloads.base import Payload
from edge_agent.mqtt.topics import Topics

VITALS_WAITING = 256
"""Readings that wait for the client's thread, at the most; the oldest are dropped first."""


class LiveMessages:
    """Messages handed over by any thread, and taken by the client's thread.

    While the broker is away, a retained topic keeps only its newest message, and readings are not
    kept at all: a late reading would look like one of now, and the timeline has it.

    Args:
        topics: names, and which are switched off: their messages are passed over, and what the
            broker keeps of them is cleared.

    Example:
        >>> from edge_agent.mqtt.payloads.events import status_payload
        >>> messages = LiveMessages(Topics("affect-edge", "lab"))
        >>> messages.retain("emotion", status_payload("offline", None))
        >>> [topic for topic, _ in messages.take_retained()], messages.take_retained()
        (['emotion'], [])
    """

    def __init__(self, topics: Topics) -> None:
        self._off = topics.off
        self._lock = threading.Lock()
        self._retained = dict.fromkeys(Topics.RETAINED & topics.off, b"")
        self._changed: set[str] = set()
        self._vitals: deque[bytes] = deque(maxlen=VITALS_WAITING)
        self._state: bytes | None = None
        self._newest_state: bytes | None = None

    def retain(self, suffix: str, payload: Payload) -> None:
        """Keep the newest message of a retained topic, to be published next."""
        if suffix in self._off:
            return
        with self._lock:
            self._retained[suffix] = payload.encode()
            self._changed.add(suffix)

    def forget(self, suffix: str) -> None:
        """Drop the message of a retained topic, which was cleared at the broker."""
        with self._lock:
            self._retained.pop(suffix, None)
            self._changed.discard(suffix)

    def add_vital(self, payload: Payload) -> None:
        """Add a reading, to be published next."""
        if Topics.VITALS in self._off:
            return
        with self._lock:
            self._vitals.append(payload.encode())

    def set_state(self, payload: Payload) -> None:
        """Keep what is known now, to be published next in place of what was known before."""
        if Topics.STATE in self._off:
            return
        with self._lock:
            self._state = self._newest_state = payload.encode()

    def begin_connection(self) -> None:
        """Publish every retained topic again; drop readings meant for the connection before."""
        with self._lock:
            self._changed = set(self._retained)
            self._vitals.clear()
            self._state = None

    def take_retained(self) -> list[tuple[str, bytes]]:
        """Return suffix and payload of the retained topics that changed since the last call."""
        with self._lock:
            changed = [(suffix, self._retained[suffix]) for suffix in sorted(self._changed)]
            self._changed.clear()
        return changed

    def take_vitals(self) -> list[bytes]:
        """Return the readings since the last call, in order."""
        with self._lock:
            vitals = list(self._vitals)
            self._vitals.clear()
        return vitals

    @property
    def newest_state(self) -> bytes | None:
        """What is known now, whether it was taken or not."""
        with self._lock:
            return self._newest_state

    def take_state(self) -> bytes | None:
        """Return what is known now, if it was not taken before."""
        with self._lock:
            state = self._state
            self._state = None
        return state
