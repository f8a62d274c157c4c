"""The agent's side of the live feed, for pages that show it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dashboard.web.options import DashboardOptions
from edge_agent.core import clock
from edge_agent.core.expression import Attribution, Box, Emotion, Face, Observation, Recognition
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.live.feed import LiveServer
from tests.support.timeline import mostly, movements


class LiveAgent:
    """The agent's side of the live feed: shows one face, five times a second, until stopped.

    Args:
        folder: the data folder.
        emotion: of the face; ``None``: no clear one.
        simulated: whether the camera is the demonstration's.

    Attributes:
        attribution: by which evidence the face is the participant's.
    """

    def __init__(self, folder: Path, emotion: Emotion | None, *, simulated: bool = False) -> None:
        socket = DashboardOptions(data=folder).live_socket
        self._server = LiveServer(socket, simulated=simulated)
        self._emotion = emotion
        self.attribution = Attribution.LEADING
        self._stopping = threading.Event()
        self._silent = threading.Event()
        self._thread = threading.Thread(target=self._speak)

    def __enter__(self) -> LiveAgent:
        self._server.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._server.stop()
        assert self._server.join(30)

    def say(self, message: Mapping[str, Any]) -> None:
        """Send a message to every page, and to those that connect later if it is the health."""
        self._server.publish(message)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Say nothing meanwhile, as an agent that hangs."""
        self._silent.set()
        try:
            yield
        finally:
            self._silent.clear()

    def _speak(self) -> None:
        while not self._stopping.wait(0.2):
            if self._silent.is_set():
                continue
            at = clock.now()
            shown = mostly(self._emotion or Emotion.NEUTRAL, 0.86 if self._emotion else 0.3)
            face = Face(Box(160, 120, 160, 200), 0.9, ((0.0, 0.0),) * 5)
            moved = movements(smile=0.82, jaw_open=0.4, lower_lip_down=0.2, yaw=-12.0, pitch=7.4)
            seen = Observation(
                *(1, face, shown, shown, self._emotion),
                primary=self.attribution is not Attribution.UNKNOWN,
                quality=0.8,
                smoothed_movements=moved,
                attribution=self.attribution,
            )
            self._server.publish_recognition(Recognition(at, 1, 640, 480, (seen,)))
            flags = frozenset({VitalFlag.SIMULATED})
            self._server.publish_vital(
                VitalReading(at, VitalKind.HEART_RATE, 71.0, "simulated", flags)
            )
