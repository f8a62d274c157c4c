"""The own neutral of the open session: gathered from frames, judged after a baseline, applied."""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from statistics import fmean

from edge_agent.core.clock import Instant
from edge_agent.core.expression import EMOTIONS, Prior, Recognition
from edge_agent.core.movements import FaceMovements
from edge_agent.core.own_neutral import (
    NeutralShift,
    OwnNeutralState,
    SeenSecond,
    calibrate,
    logits_of,
)
from edge_agent.timeline.study.exclusions import Span
from edge_agent.timeline.study.own_neutral import (
    OpenSession,
    OwnNeutral,
    UsedClassifier,
    end_shift,
    keep,
    note_asked,
    read_open_session,
)
from edge_agent.vision.models.card import ModelCard, used_prior
from edge_agent.vision.recognizer import Recognizer

log = logging.getLogger(__name__)

_WAITS = (OwnNeutralState.ASKED, OwnNeutralState.REFUSED)
"""States in which the next baseline counts."""
_SECOND_MS = 1000
_KEPT_S = 180
"""Seconds that are kept: a baseline, and a marker that comes late from a page without a network."""
_LAST_FRAMES_MS = 500
"""After the end of a baseline its last frames are still being read."""


class _Second:
    """The frames gathered of a second; see ``SeenSecond``."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms
        self._frames = 0
        self._sums = [0.0] * len(EMOTIONS)
        self._turned_away = 0
        self._smiles: list[float] = []

    def add(self, logits: tuple[float, ...], movements: FaceMovements | None) -> None:
        """Add an accepted frame, with its movements if they were read."""
        self._frames += 1
        self._sums = [total + one for total, one in zip(self._sums, logits, strict=True)]
        if movements is not None and not movements.only_pose:
            self._smiles.append(movements.movements["smile"])

    def add_turned_away(self) -> None:
        """Add a frame in which the head was turned away."""
        self._turned_away += 1

    def seen(self) -> SeenSecond:
        """Return what was gathered so far."""
        means = tuple(total / self._frames for total in self._sums) if self._frames else None
        smile = fmean(self._smiles) if self._smiles else None
        return SeenSecond(self.at_ms, means, self._turned_away, smile)


def files_of(database: Path) -> tuple[tuple[int, ...], ...]:
    """Return what every commit to a database changes: size and times of its files."""
    files = []
    for file in (database, Path(f"{database}-wal")):
        with suppress(OSError):
            status = file.stat()
            files.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(files)


def classifier_of(recognizer: Recognizer, prior: Prior) -> UsedClassifier:
    """Return the classifier of a vision chain, with the prior that is configured."""
    (card,) = (
        one for one in recognizer.models if isinstance(one, ModelCard) and one.kind == "expression"
    )
    return UsedClassifier(
        card.sha256, used_prior(card, prior), recognizer.temperature, recognizer.uncertain_below
    )


class OwnNeutralWatch:
    """Calibrates the own neutral of the open session, and lets the recognizer use it.

    ``see`` is called by the vision thread; the rest belongs to the agent's loop.

    Args:
        database: the timeline, where the calibration is kept.
        recognizer: reads the faces.
        classifier: with which it reads expressions.
        wanted: whether sessions that do not say so are calibrated (``vision.own_neutral``).

    Example:
        >>> watch = OwnNeutralWatch(database, recognizer, classifier, wanted=True)
        >>> watch.see(recognition)
        >>> watch.look(clock.now())
    """

    def __init__(
        self, database: Path, recognizer: Recognizer, classifier: UsedClassifier, *, wanted: bool
    ) -> None:
        self._database = database
        self._recognizer = recognizer
        self._classifier = classifier
        self._wanted = wanted
        self._lock = threading.Lock()
        self._seconds: deque[_Second] = deque(maxlen=_KEPT_S)
        self._gathers = False
        self._seen_files: object = None

    def see(self, recognition: Recognition) -> None:
        """Take in the participant's face of a frame, as it was read."""
        face = recognition.primary
        if face is None or not self._gathers:
            return
        at_ms = recognition.at.wall_ms // _SECOND_MS * _SECOND_MS
        with self._lock:
            if not self._seconds or self._seconds[-1].at_ms != at_ms:
                self._seconds.append(_Second(at_ms))
            second = self._seconds[-1]
            if face.turned_away:
                second.add_turned_away()
            elif face.reject_reason is None:
                second.add(logits_of(face.raw, self._classifier.temperature), face.movements)

    def look(self, at: Instant) -> None:
        """Look at the open session; evaluate a baseline that has ended, and set the shift.

        Raises:
            StoreError: the database cannot be used; the shift stays as it was.
        """
        files = files_of(self._database)
        # Opening it each second would cost as much as reading twenty faces. While a baseline is
        # waited for, time alone ends it.
        if files == self._seen_files and not self._gathers:
            return
        self._seen_files = None
        session = read_open_session(self._database)
        if session is not None and session.known is None and self._wanted:
            note_asked(self._database, session.id)
            session = read_open_session(self._database)
        known = None if session is None else session.known
        if session is not None and known is not None and self._evaluate(session, known, at):
            session = read_open_session(self._database)
            known = None if session is None else session.known
        self._gathers = known is not None and known.state in _WAITS
        if not self._gathers:
            with self._lock:
                self._seconds.clear()
        self._apply(known, at)
        self._seen_files = files

    def _evaluate(self, session: OpenSession, known: OwnNeutral, at: Instant) -> bool:
        """Evaluate the next baseline that has ended; return whether there was one."""
        if known.state not in _WAITS:
            return False
        after_ms = session.start_ms if known.baseline is None else known.baseline[0] + 1
        due = [
            one
            for one in session.baselines
            if one[0] >= after_ms and one[1] + _LAST_FRAMES_MS <= at.wall_ms and one[0] < one[1]
        ]
        if not due:
            return False
        # After a pause of the agent several may have ended: frames are kept of the newest alone.
        baseline = due[-1]
        calibration = calibrate(self._seen_in(baseline), (baseline[1] - baseline[0]) / _SECOND_MS)
        keep(self._database, session.id, baseline, calibration, self._classifier, at.wall_ms)
        if calibration.refusal is not None:
            log.warning(
                "own neutral: the baseline of session %d was refused: %s (the face was read in %d "
                "s). Set another baseline marker.",
                session.id,
                calibration.refusal,
                calibration.seconds,
            )
        else:
            log.info("own neutral: session %d is calibrated", session.id)
        return True

    def _seen_in(self, baseline: Span) -> list[SeenSecond]:
        """Return the whole seconds of a baseline."""
        with self._lock:
            seconds = [one.seen() for one in self._seconds]
        first, last = baseline
        return [one for one in seconds if first <= one.at_ms and one.at_ms + _SECOND_MS <= last]

    def _apply(self, known: OwnNeutral | None, at: Instant) -> None:
        """Let the recognizer shift the participant's neutral, or no longer."""
        shift = None
        if known is not None and known.shift is not None and not known.has_ended:
            if known.classifier is not None and known.classifier.has_logits_of(self._classifier):
                shift = NeutralShift(known.shift, self._classifier.temperature)
            else:
                log.warning(
                    "own neutral: another classifier or prior reads session %d now, so its labels "
                    "are shifted no longer",
                    known.session,
                )
                end_shift(self._database, known.session, at.wall_ms)
        self._recognizer.neutral_shift = shift
