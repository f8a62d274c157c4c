"""Reads pictures by a process of its own: starts it, asks it one at a time, and ends it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge_agent.config.vision import VisionSettings
from edge_agent.core.errors import AffectEdgeError, ModelError, PictureError
from edge_agent.core.helper.pool import HelperPool
from edge_agent.core.helper.process import (
    HelperClosedError,
    HelperEndedError,
    HelperLateError,
    HelperProcess,
)
from edge_agent.core.texts import N_, unpack_text

PLACES = 3
"""Pictures that are here at one time: one is read, the others wait."""
IDLE_S = 30.0
"""After so long without a picture the process ends: it holds some 90 MB."""
ANSWER_S = 60.0
"""A photograph takes 0.5 s on a desktop computer, some seconds on a Raspberry Pi."""


class PicturesBusyError(AffectEdgeError):
    """There is no place for another picture now."""


class PictureReader:
    """Reads pictures in a process that starts with the first one and ends when it is not needed.

    All methods may be called from any thread.

    Args:
        options: of the vision chain.
        answer_s: how long it may read one picture before it is ended.
    """

    def __init__(self, options: VisionSettings, *, answer_s: float = ANSWER_S) -> None:
        words = ("dashboard.picture.worker", options.model_dump_json())
        self._helpers = HelperPool(lambda: HelperProcess(*words), 1, IDLE_S)
        self._answer_s = answer_s
        self._taken = 0
        self._counting = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Number of the process; ``None`` while there is none."""
        return next(iter(self._helpers.pids), None)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while a picture is received and read.

        Raises:
            BusyError: all places are taken, or the dashboard stops.
        """
        with self._counting:
            if self._closed or self._taken >= PLACES:
                raise PicturesBusyError(
                    N_(
                        "{places} pictures are being read or are waiting. Send this one again "
                        "in 2 seconds."
                    ),
                    places=PLACES,
                )
            self._taken += 1
        try:
            yield
        finally:
            with self._counting:
                self._taken -= 1

    def read(self, content: bytes) -> dict[str, Any]:
        """Return what is in a picture: its size, the model, and its faces.

        Args:
            content: of the file.

        Raises:
            PictureError: it cannot be read.
            ModelError: the configured models cannot be used.
            BusyError: the dashboard stops.
        """
        answer: dict[str, Any] = json.loads(self._answer(content))
        if "problem" not in answer:
            return answer
        problem = unpack_text(answer["problem"], answer["parts"])
        if answer["kind"] == "model":
            raise ModelError(problem)
        raise PictureError(problem)

    def close(self) -> None:
        """End the process at once; a picture that is being read is given up."""
        # Under the lock of places: no picture can be let in after this.
        with self._counting:
            self._closed = True
        self._helpers.close()

    def _answer(self, content: bytes) -> bytes:
        try:
            return self._helpers.ask(content, timeout_s=self._answer_s)
        except HelperClosedError:
            raise PicturesBusyError(
                N_("The dashboard is stopping. Send the picture again when it is back.")
            ) from None
        except HelperLateError:
            raise PictureError(
                N_("picture: could not be read in {answer_s:.0f} seconds. Scale it down."),
                answer_s=self._answer_s,
            ) from None
        except HelperEndedError:
            raise PictureError(
                N_(
                    "picture: the process that reads pictures ended while reading this one. Save "
                    "it as JPEG with fewer pixels and send that."
                )
            ) from None
