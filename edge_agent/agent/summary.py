"""Condenses windows of the timeline into the payloads of MQTT summaries.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_agent.core.clock import CLOCK_JUMP_MS, Instant, iso_utc
from edge_agent.core.expression import (
    EMOTIONS,
    FACE_STATES,
    NO_FACE,
    Expression,
    Recognition,
    RejectReason,
    face_state,
)
from edge_agent.core.readings import UNUSABLE, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind


@dataclass(slots=True)
class _Gathered:
    """The frames and readings of one window so far."""

    start: Instant
    frames: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    sums: list[float] = field(default_factory=lambda: [0.0] * len(EMOTIONS))
    rejected: Counter[RejectReason] = field(default_factory=Counter)
    readings: dict[VitalKind, list[VitalReading]] = field(default_factory=dict)

    @property
    def frames_with_face(self) -> int:
        return self.frames - self.labels[NO_FACE]

    def mean(self) -> Expression | None:
        """Return the mean smoothed probabilities over the frames with a face that could be read."""
        read = self.frames_with_face - self.rejected.total()
        if read:
            return Expression(tuple(total / read for total in self.sums))
        return None


class SummaryWindow:
    """Gathers frames and readings of one window; ``close`` returns its payload.

    Args:
        device: name of the appliance.
        start: when the window begins.
        simulated: whether the camera is a demonstration.
        last_seq: number of the summary before; each window that closes takes the next one.

    Example:
        >>> from edge_agent.core.clock import Instant
        >>> window = SummaryWindow("lab", Instant(boot_ms=0, wall_ms=0), simulated=False)
        >>> payload = window.close(Instant(boot_ms=10_000, wall_ms=10_000))
        >>> payload["seq"], payload["frames"], payload["dominant"]
        (1, 0, None)
    """

    def __init__(self, device: str, start: Instant, *, simulated: bool, last_seq: int = 0) -> None:
        self._device = device
        self._seq = last_seq
        self._simulated = simulated
        self._now = _Gathered(start)

    def add_recognition(self, recognition: Recognition) -> None:
        """Add one frame; of its faces only the primary one counts."""
        self._now.frames += 1
        face = recognition.primary
        self._now.labels[face_state(face)] += 1
        if face is None:
            return
        if face.reject_reason is not None:
            self._now.rejected[face.reject_reason] += 1
            return
        self._now.sums = [
            total + p for total, p in zip(self._now.sums, face.smoothed.probabilities, strict=True)
        ]

    def add_vital(self, reading: VitalReading) -> None:
        """Add one reading."""
        self._now.readings.setdefault(reading.kind, []).append(reading)

    def close(self, at: Instant) -> dict[str, Any]:
        """Return the payload of the window that ends at ``at``, and begin the next window.

        Its ``seq`` is assigned here, so that a lost summary leaves a hole. ``epoch`` and
        ``replayed`` are added when it is stored and sent.

        Shares are fractions of the window's frames and add up to 1; the dominant label has the
        largest share (in a tie, the label that comes first). Without frames the value is ``None``,
        not 0.
        """
        done = self._now
        self._now = _Gathered(at)
        self._seq += 1
        mean = done.mean()
        emotions = None
        if mean is not None:
            emotions = _shares(mean.as_dict())
        dominant = shares = None
        if done.frames:
            # max returns the first of equal ones: a tie is decided by the order of FACE_STATES, not
            # by chance.
            dominant = max(FACE_STATES, key=done.labels.__getitem__)
            shares = _shares({label: done.labels[label] for label in FACE_STATES})
        vitals = {
            k.value: s
            for k in VitalKind
            if (s := _vital_summary(k, done.readings.get(k, []))) is not None
        }
        return {
            "schema": 1,
            "device": self._device,
            "seq": self._seq,
            "window": {
                "start": iso_utc(_start_wall_ms(done.start, at)),
                "end": iso_utc(at.wall_ms),
                "seconds": round(max(0.0, at.seconds_since(done.start)), 3),
            },
            "frames": done.frames,
            "frames_with_face": done.frames_with_face,
            "unfit": {
                reject_reason.value: frames for reject_reason, frames in done.rejected.most_common()
            },
            "emotions": emotions,
            "dominant": dominant,
            "shares": shares,
            "valence": None if mean is None else round(max(-1.0, min(1.0, mean.valence)), 4),
            "vitals": vitals,
            "simulated": self._simulated
            or any(summary["simulated"] for summary in vitals.values()),
        }


def _start_wall_ms(start: Instant, end: Instant) -> int:
    """Return the wall clock at the start of a window, milliseconds UTC.

    It is the end of the window before to the millisecond, though both clocks are rounded and drift
    apart; unless the wall clock was set meanwhile, then the boot clock counts back from ``end``.
    """
    by_boot = end.wall_ms - (end.boot_ms - start.boot_ms)
    if abs(by_boot - start.wall_ms) <= CLOCK_JUMP_MS:
        return start.wall_ms
    return by_boot


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    """Return the share of each part to four places; they add up to 1."""
    return dict(zip(parts, rounded_shares(list(parts.values())), strict=True))


def _vital_summary(kind: VitalKind, readings: list[VitalReading]) -> dict[str, Any] | None:
    """Condense the readings of one kind; ``None`` when none of them is fit for a mean."""
    fit = [r for r in readings if not r.flags & UNUSABLE]
    if not fit:
        return None
    values = [r.value for r in fit]
    return {
        "mean": round(sum(values) / len(values), 3),
        "min": min(values),
        "max": max(values),
        "n": len(values),
        "flagged": len(readings) - len(fit),
        "unit": kind.unit,
        "simulated": any(VitalFlag.SIMULATED in r.flags for r in fit),
    }


def rounded_shares(parts: Sequence[float], places: int = 4) -> list[float]:
    """Return the shares of all parts, rounded so that they add up to 1.

    Rounding each alone may give a sum of 0.9998. Here each is rounded down, and the remaining units
    go to the parts that lost most (method of the largest remainder).

    Args:
        parts: none below 0, not all of them 0.
        places: decimal places.

    Example:
        >>> rounded_shares([1, 1, 1], places=2)
        [0.34, 0.33, 0.33]
    """
    units = 10**places
    total = sum(parts)
    exact = [part / total * units for part in parts]
    whole = [int(part) for part in exact]
    by_loss = sorted(range(len(parts)), key=lambda index: whole[index] - exact[index])
    for index in by_loss[: units - sum(whole)]:
        whole[index] += 1
    return [part / units for part in whole]
