"""Frames into expression rows: one row for each track and recording interval.

Pure; no clock, no I/O.
"""

from __future__ import annotations

from edge_agent.core.clock import Instant
from edge_agent.core.expression import (
    EMOTIONS,
    Expression,
    ExpressionRow,
    Observation,
    Recognition,
    RejectedFrames,
    RejectReason,
)
from edge_agent.core.gaps import Gap

NO_FACE_SECONDS = 3.0
Row = ExpressionRow | RejectedFrames


class _Track:
    """Sums over the frames of one track in the present interval.

    Frames that could not be read are counted by reason.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.primary = 0
        self.raw = [0.0] * len(EMOTIONS)
        self.face_size = 0.0
        self.quality = 0.0
        self.last: Observation | None = None
        self.rejected: dict[RejectReason, list[bool]] = {}

    def add(self, observation: Observation) -> None:
        if observation.reject_reason is not None:
            self.rejected.setdefault(observation.reject_reason, []).append(observation.primary)
            return
        self.frames += 1
        self.primary += observation.primary
        self.raw = [
            total + p for total, p in zip(self.raw, observation.raw.probabilities, strict=True)
        ]
        self.face_size += observation.face.box.height
        self.quality += observation.quality
        self.last = observation

    def rows(self, track: int, at: Instant) -> list[Row]:
        rejected = (
            RejectedFrames(at, track, reason, len(primary), 2 * sum(primary) > len(primary))
            for reason, primary in self.rejected.items()
        )
        return [*([] if self.last is None else [self._row(track, at, self.last)]), *rejected]

    def _row(self, track: int, at: Instant, last: Observation) -> ExpressionRow:
        return ExpressionRow(
            at=at,
            track=track,
            frames=self.frames,
            mean=Expression(tuple(total / self.frames for total in self.raw)),
            smoothed=last.smoothed,
            emotion=last.emotion,
            face_size=self.face_size / self.frames,
            quality=self.quality / self.frames,
            primary=2 * self.primary > self.frames,
        )


class Intervals:
    """Gathers the frames of one camera by the boot clock.

    Args:
        interval_s: length of a row; 0 gives a row for every frame.
    """

    def __init__(self, interval_s: float) -> None:
        self._length = round(interval_s * 1000)
        self._tracks: dict[int, _Track] = {}
        self._last: Instant | None = None
        self._no_face_since: Instant | None = None

    @property
    def is_open(self) -> bool:
        """Whether frames wait for the end of their interval."""
        return bool(self._tracks)

    def add(self, recognition: Recognition) -> list[Row | Gap]:
        """Add a frame; return the rows that it completes.

        They are those of the interval that it ended, and a gap where a time without faces ended.
        """
        done: list[Row | Gap] = []
        if self._tracks and self._number(recognition.at) != self._number(self._last):
            done += self.close()
        done += self._note_faces(recognition)
        for observation in recognition.observations:
            self._tracks.setdefault(observation.track, _Track()).add(observation)
        self._last = recognition.at
        if self._length == 0:
            done += self.close(partial=True)
        return done

    def close(self, *, partial: bool = False) -> list[Row]:
        """End the present interval and return its rows.

        Args:
            partial: stamp the rows with the last frame instead of the interval's end, for there may
                be none later.
        """
        if not self._tracks or self._last is None:
            return []
        at = self._last if partial else self._end_of_interval(self._last)
        rows = [row for track, gathered in self._tracks.items() for row in gathered.rows(track, at)]
        self._tracks = {}
        return rows

    def finish(self) -> list[Row | Gap]:
        """Return what is still open, at the end of recording."""
        if self._last is not None:
            gap = self._gap_until(self._last)
        else:
            gap = []
        self._no_face_since = None
        return [*self.close(partial=True), *gap]

    def _number(self, at: Instant | None) -> int:
        if at is None or self._length == 0:
            return -1
        return at.boot_ms // self._length

    def _end_of_interval(self, at: Instant) -> Instant:
        if self._length:
            return at.shifted((self._length - at.boot_ms % self._length) / 1000)
        return at

    def _note_faces(self, recognition: Recognition) -> list[Gap]:
        """Follow whether faces are seen; a time without any becomes a gap when it ends."""
        gap: list[Gap] = []
        paused = (
            self._last is not None and recognition.at.seconds_since(self._last) > NO_FACE_SECONDS
        )
        if self._last is not None and (paused or recognition.observations):
            # Nobody looked while the camera paused: that time is no time without faces.
            gap = self._gap_until(self._last if paused else recognition.at)
            self._no_face_since = None
        if not recognition.observations:
            self._no_face_since = self._no_face_since or recognition.at
        return gap

    def _gap_until(self, end: Instant) -> list[Gap]:
        since = self._no_face_since
        if since is None or end.seconds_since(since) < NO_FACE_SECONDS:
            return []
        return [Gap("camera", since, end, "no_face")]
