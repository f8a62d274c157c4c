"""One session as an EDF+ file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.store.export.bids.events import Event
from edge_agent.store.export.edf.signals import (
    Signal,
    ascii_text,
    edf_signals,
    is_level,
    labels_of,
    missing,
)
from edge_agent.store.export.rows.typed import Row

_EQUIPMENT = "Affect_Edge"
_LONGEST = 400
"""Signs of an annotation: what readers take for sure."""


@dataclass(slots=True)
class SessionFile:
    """Gathers the rows of a session, then writes them.

    Times in the file count from a whole second, which is UTC, for the header knows no others.

    Attributes:
        participant: pseudonymous code; a name is nowhere.
        start_ms: start of the session, UTC milliseconds.
        end_ms: its end; ``None`` while it is open.
        number: of the session.
        simulated: whether it is made up.
    """

    participant: str
    number: int
    start_ms: int
    end_ms: int | None
    simulated: bool
    _signals: dict[tuple[VitalKind, str], Signal] = field(default_factory=dict)
    _annotations: list[tuple[float, float | None, str]] = field(default_factory=list)
    _last_ms: int = 0

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"session-{self.number}.edf"

    @property
    def base_ms(self) -> int:
        """The whole second at which the file begins."""
        return self.start_ms // 1000 * 1000

    def vital(self, row: Row) -> None:
        """Take a reading, a row of ``vital.csv``; they come in order of time."""
        kind = VitalKind(str(row["kind"]))
        value = float(row["value"] or 0.0)
        source = str(row["source"] or "")
        flags = str(row["flags"] or "").split()
        at_s = self._seconds(row["at_ms"])
        usable = UNUSABLE.isdisjoint(flags) and 0.0 < value <= kind.plausible[1]
        if usable and is_level(kind):
            signal = self._signals.setdefault((kind, source), Signal(kind, source))
            signal.times.append(at_s)
            signal.values.append(value)
        if not usable or not is_level(kind) or kind is VitalKind.RR_INTERVAL:
            special = f" [{' '.join(flags)}]" if flags else ""
            self._note(at_s, None, f"{kind.value}={value!r} {kind.unit} {source}{special}")

    def event(self, event: Event) -> None:
        """Take a marker; a stimulus lasts."""
        is_stimulus = event.marker is MarkerKind.STIMULUS_START
        word = "stimulus" if is_stimulus else event.marker.value
        lasted = event.lasted_ms / 1000 if event.lasted_ms else None
        self._note(self._seconds(event.at_ms), lasted, f"{word}: {event.label}")

    def self_report(self, row: Row) -> None:
        """Take what the participant said of themselves, a row of ``self_report.csv``."""
        self._note(self._seconds(row["at_ms"]), None, f"self_report: {row['scale']}={row['value']}")

    def gap(self, row: Row) -> None:
        """Take a gap, a row of ``gap.csv``, as far as it lies in the session."""
        start_ms = max(self.start_ms, _whole(row["start_ms"]))
        end_ms = _whole(row["end_ms"])
        if self.end_ms is not None:
            end_ms = min(end_ms, self.end_ms)
        if start_ms < end_ms:
            text = f"gap: {row['source']} {row['reason']}"
            self._note(self._seconds(start_ms), (end_ms - start_ms) / 1000, text)

    def write(self, folder: Path) -> None:
        """Write the file into a folder.

        Raises:
            OSError: it cannot be written, or the disk is full.
        """
        import edfio

        end_ms = self.end_ms if self.end_ms is not None else self._last_ms
        seconds = max(1, math.ceil((max(end_ms, self._last_ms) - self.base_ms) / 1000))
        order = list(VitalKind)
        signals = sorted(
            self._signals.values(), key=lambda one: (order.index(one.kind), one.source)
        )
        self._note(self._seconds(self.start_ms), None, f"session_start: {self.number}")
        if self.end_ms is not None:
            self._note(self._seconds(self.end_ms), None, f"session_end: {self.number}")
        begin = datetime.fromtimestamp(self.base_ms / 1000, UTC)
        notes = sorted(
            [*self._annotations, *_missing(signals, seconds)], key=lambda note: (note[0], note[2])
        )
        file = edfio.Edf(
            edf_signals(signals, seconds),
            patient=edfio.Patient(code=_word(self.participant)),
            recording=edfio.Recording(
                startdate=begin.date(),
                equipment_code=_EQUIPMENT,
                additional=("times_in_UTC", "simulated") if self.simulated else ("times_in_UTC",),
            ),
            starttime=begin.time(),
            data_record_duration=1 if signals else None,
            annotations=[edfio.EdfAnnotation(*note) for note in notes],
        )
        file.write(folder / self.name)

    def _seconds(self, at_ms: Any) -> float:
        """Return a time as the file counts it."""
        self._last_ms = max(self._last_ms, _whole(at_ms))
        return (_whole(at_ms) - self.base_ms) / 1000

    def _note(self, onset: float, lasted: float | None, text: str) -> None:
        plain = "".join(sign if sign.isprintable() else " " for sign in text)
        self._annotations.append((onset, lasted, plain[:_LONGEST]))


def _missing(signals: Sequence[Signal], seconds: int) -> Iterator[tuple[float, float | None, str]]:
    """Yield an annotation for each time in which a signal has no value."""
    for label, signal in zip(labels_of(signals), signals, strict=True):
        for onset, lasted in missing(signal.sampled(seconds), signal.rate):
            yield onset, lasted, f"no value: {label}"


def _word(text: str) -> str:
    """Return a text as a field of the header, which a blank would end."""
    return ascii_text(text, 32).replace(" ", "_") or "X"


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value
