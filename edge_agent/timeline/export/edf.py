"""Sessions as a folder of EDF+ files, one for each, where edfio is installed.

The readings of a session stand there at an even rate, and the movements of the participant's face,
with 0 where there is none: annotations say where.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent import __version__
from edge_agent.core.clock import iso_utc
from edge_agent.core.measures import Measure, MovementKind
from edge_agent.core.process import Later
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import MarkerKind
from edge_agent.core.texts import N_
from edge_agent.core.vitals import AnalysisOption, VitalKind
from edge_agent.timeline.export.bids import LEFT_OUT, BidsEvent, events_of, held_seconds, shift_of
from edge_agent.timeline.export.electrocardiograms import (
    HZ,
    LARGEST_UV,
    Electrocardiogram,
    electrocardiograms_of,
)
from edge_agent.timeline.export.format import TreeFormat
from edge_agent.timeline.export.rows import Row, whole
from edge_agent.timeline.export.source import ExportSource
from edge_agent.timeline.export.table_schemas import json_file
from edge_agent.timeline.read.measured import FOREVER_MS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = Later("numpy")

NO_VALUE = 0.0
_SAMPLES_PER_S: dict[Measure, int] = {VitalKind.RR_INTERVAL: 4}
"""A tachogram has four: Task Force 1996, Circulation 93:1043-1065. Other levels have one."""
_EQUIPMENT = "Affect_Edge"
_LONGEST = 400
"""Signs of an annotation: what readers take for sure."""


@dataclass(slots=True)
class EdfSignal:
    """The usable readings of one source and kind, or one movement of the face.

    Attributes:
        kind: what was measured.
        source: who said it.
        times: seconds since the start of the file, in order.
        values: in the unit of the kind; of a movement in percent, because EDF has no signal
            without a unit.
    """

    kind: Measure
    source: str
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    @property
    def rate(self) -> int:
        """Samples in a second."""
        return _SAMPLES_PER_S.get(self.kind, 1)

    @property
    def top(self) -> float:
        """The largest value that the signal can hold."""
        return self.kind.spec.plausible[1]

    @property
    def bottom(self) -> float:
        """The smallest value; 0 for vitals, of which none is negative."""
        return self.kind.spec.plausible[0] if isinstance(self.kind, MovementKind) else 0.0

    @property
    def held_s(self) -> float:
        """Seconds for which a reading is the value of the samples that follow it."""
        return held_seconds(self.kind, Counter(np.diff(self.times).round(3).tolist()))

    def sample(self, seconds: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the newest reading at each sample, as long as its kind is held, or 0, and whether
        there is one.
        """
        grid = np.arange(seconds * self.rate) / self.rate
        times = np.asarray(self.times)
        places = np.searchsorted(times, grid, side="right") - 1
        age_s = grid - times[np.maximum(places, 0)]
        is_known = (places >= 0) & (age_s < self.held_s)
        newest = np.asarray(self.values)[np.maximum(places, 0)]
        return np.where(is_known, newest, NO_VALUE), is_known


def is_level(kind: VitalKind) -> bool:
    """Tell whether a kind has a value at each time: not that of a cuff, which measures once."""
    return kind.spec.option is not AnalysisOption.PRESSURE


def missing(is_known: NDArray[np.bool_], rate: int) -> list[tuple[float, float]]:
    """Return onset and duration in seconds of each interval in which a signal has no value."""
    empty = np.concatenate(([False], ~is_known, [False]))
    edges = np.flatnonzero(empty[1:] != empty[:-1])
    return [
        (float(start) / rate, float(end - start) / rate)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def labels_of(signals: Sequence[EdfSignal]) -> list[str]:
    """Return the label of each signal; further sources of a kind get a number."""
    labels: list[str] = []
    for place, signal in enumerate(signals):
        before = sum(other.kind is signal.kind for other in signals[:place])
        label = signal.kind.spec.edf or signal.kind.value[:14]
        labels.append(f"{label} {before + 1}" if before else label)
    return labels


def edf_signals(signals: Sequence[EdfSignal], seconds: int) -> list[Any]:
    """Return the signals as edfio wants them."""
    import edfio

    return [
        edfio.EdfSignal(
            signal.sample(seconds)[0],
            signal.rate,
            label=label,
            transducer_type=ascii_text(signal.source, 80),
            physical_dimension=ascii_text(signal.kind.unit, 8),
            physical_range=(signal.bottom, signal.top),
            prefiltering=f"newest reading, at most {signal.held_s:g} s old; 0: none",
        )
        for label, signal in zip(labels_of(signals), signals, strict=True)
    ]


def ascii_text(text: str, most: int) -> str:
    """Return a text as a header of EDF can hold it."""
    plain = text.encode("ascii", "replace").decode("ascii")
    return "".join(sign if sign.isprintable() else "?" for sign in plain)[:most]


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
    _signals: dict[tuple[Measure, str], EdfSignal] = field(default_factory=dict)
    _annotations: list[tuple[float, float | None, str]] = field(default_factory=list)
    _ecg: list[Electrocardiogram] = field(default_factory=list)
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
        """Add a reading, a row of ``vital.csv``; readings must come in order of time."""
        kind = VitalKind(str(row["kind"]))
        value = float(row["value"] or 0.0)
        source = str(row["source"] or "")
        flags = str(row["flags"] or "").split()
        at_s = self._seconds(row["at_ms"])
        usable = UNUSABLE.isdisjoint(flags) and 0.0 < value <= kind.plausible[1]
        if usable and is_level(kind):
            self._add(kind, source, at_s, value)
        if not usable or not is_level(kind) or kind is VitalKind.RR_INTERVAL:
            special = f" [{' '.join(flags)}]" if flags else ""
            self._annotate(at_s, None, f"{kind.value}={value!r} {kind.unit} {source}{special}")

    def movement(self, row: Row) -> None:
        """Add movements of the participant's face, a row of ``movement.csv``, in order of time."""
        at_s = self._seconds(row["at_ms"])
        source = f"camera, estimated by {row['source'] or 'a network'}"
        for kind in MovementKind:
            value = row[kind.value]
            if value is not None:
                self._add(kind, source, at_s, float(value) * kind.points)

    def electrocardiograms(self, kept: list[Electrocardiogram]) -> None:
        """Add the electrocardiograms of the session, one of each source."""
        self._ecg = kept
        self._last_ms = max(self._last_ms, *(math.ceil(one.ended_ms) for one in kept))

    def event(self, event: BidsEvent) -> None:
        """Add a marker, or a shift of labels; what lasts has an annotation with a duration."""
        is_stimulus = event.marker is MarkerKind.STIMULUS_START
        word = "stimulus" if is_stimulus else event.marker
        lasted = event.lasted_ms / 1000 if event.lasted_ms else None
        self._annotate(self._seconds(event.at_ms), lasted, f"{word}: {event.label}")

    def self_report(self, row: Row) -> None:
        """Add a self-report, a row of ``self_report.csv``."""
        self._annotate(
            self._seconds(row["at_ms"]), None, f"self_report: {row['scale']}={row['value']}"
        )

    def gap(self, row: Row) -> None:
        """Add a gap, a row of ``gap.csv``, cut to the session."""
        start_ms = max(self.start_ms, whole(row["start_ms"]))
        end_ms = whole(row["end_ms"])
        if self.end_ms is not None:
            end_ms = min(end_ms, self.end_ms)
        if start_ms < end_ms:
            text = f"gap: {row['source']} {row['reason']}"
            self._annotate(self._seconds(start_ms), (end_ms - start_ms) / 1000, text)

    def left_out(self, row: Row) -> None:
        """Add what the analysis leaves out, a row of ``exclusion.csv``: a stretch, or all of it."""
        text = f"{LEFT_OUT}: {row['reason']}"
        if row["start_ms"] is None:
            end_ms = self._last_ms if self.end_ms is None else self.end_ms
            start_ms = self.start_ms
        else:
            start_ms, end_ms = whole(row["start_ms"]), whole(row["end_ms"])
        self._annotate(self._seconds(start_ms), max(0, end_ms - start_ms) / 1000, text)

    def finish(self, folder: Path, left_out: Iterable[Row]) -> None:
        """Write the file into a folder, and forget the electrocardiograms.

        Args:
            folder: for the file.
            left_out: the session's rows of ``exclusion.csv``.

        Raises:
            OSError: it cannot be written, or the disk is full.
        """
        # At the end: the last row says how long a session that is open has lasted.
        for row in left_out:
            self.left_out(row)
        self.write(folder)
        self._ecg = []

    def write(self, folder: Path) -> None:
        """Write the file into a folder.

        Raises:
            OSError: it cannot be written, or the disk is full.
        """
        import edfio

        end_ms = self.end_ms if self.end_ms is not None else self._last_ms
        seconds = max(1, math.ceil((max(end_ms, self._last_ms) - self.base_ms) / 1000))
        order: list[Measure] = [*VitalKind, *MovementKind]
        signals = sorted(
            self._signals.values(), key=lambda one: (order.index(one.kind), one.source)
        )
        self._annotate(self._seconds(self.start_ms), None, f"session_start: {self.number}")
        if self.end_ms is not None:
            self._annotate(self._seconds(self.end_ms), None, f"session_end: {self.number}")
        begin = datetime.fromtimestamp(self.base_ms / 1000, UTC)
        ecg = [one.sample(self.base_ms, HZ * seconds) for one in self._ecg]
        notes = sorted(
            [*self._annotations, *_missing(signals, seconds), *_missing_ecg(ecg)],
            key=lambda note: (note[0], note[2]),
        )
        for one in self._ecg:  # what the signals hold from here on
            one.stretches.clear()
        file = edfio.Edf(
            [*edf_signals(signals, seconds), *_ecg_signals(self._ecg, ecg)],
            patient=edfio.Patient(code=_without_blanks(self.participant)),
            recording=edfio.Recording(
                startdate=begin.date(),
                equipment_code=_EQUIPMENT,
                additional=("times_in_UTC", "simulated") if self.simulated else ("times_in_UTC",),
            ),
            starttime=begin.time(),
            data_record_duration=1 if signals or ecg else None,
            annotations=[edfio.EdfAnnotation(*note) for note in notes],
        )
        file.write(folder / self.name)

    def _seconds(self, at_ms: Any) -> float:
        """Return a time as the file counts it."""
        self._last_ms = max(self._last_ms, whole(at_ms))
        return (whole(at_ms) - self.base_ms) / 1000

    def _add(self, kind: Measure, source: str, at_s: float, value: float) -> None:
        signal = self._signals.setdefault((kind, source), EdfSignal(kind, source))
        signal.times.append(at_s)
        signal.values.append(value)

    def _annotate(self, onset: float, lasted: float | None, text: str) -> None:
        plain = "".join(sign if sign.isprintable() else " " for sign in text)
        self._annotations.append((onset, lasted, plain[:_LONGEST]))


def _missing(
    signals: Sequence[EdfSignal], seconds: int
) -> Iterator[tuple[float, float | None, str]]:
    """Yield an annotation for each time in which a signal has no value.

    Movements are read together, so what all of them lack is said once.
    """
    annotated: set[tuple[float, float]] = set()
    for label, signal in zip(labels_of(signals), signals, strict=True):
        is_movement = isinstance(signal.kind, MovementKind)
        for onset, lasted in missing(signal.sample(seconds)[1], signal.rate):
            if is_movement and (onset, lasted) in annotated:
                continue
            if is_movement:
                annotated.add((onset, lasted))
            yield onset, lasted, f"no value: {'movements' if is_movement else label}"


def _ecg_label(place: int) -> str:
    return f"ECG {place + 1}" if place else "ECG"


def _ecg_signals(kept: Sequence[Electrocardiogram], values: list[NDArray[Any]]) -> Iterator[Any]:
    """Yield electrocardiograms as edfio wants them, in steps of 1 µV; ``values`` are used up, for a
    copy of a day's samples is as large as the rest of the dashboard.
    """
    import edfio

    for place, one in enumerate(kept):
        samples = values.pop(0)
        np.nan_to_num(samples, copy=False, nan=NO_VALUE)
        np.clip(samples, -LARGEST_UV, LARGEST_UV, out=samples)
        yield edfio.EdfSignal.from_digital(
            samples.astype(np.int16),
            HZ,
            label=_ecg_label(place),
            transducer_type=ascii_text(one.source, 80),
            physical_dimension="uV",
            physical_range=(-LARGEST_UV - 1, LARGEST_UV),
            digital_range=(-LARGEST_UV - 1, LARGEST_UV),
            prefiltering="as the sensor sent it; 0 where nothing was kept",
        )


def _missing_ecg(
    values: Sequence[NDArray[np.float32]],
) -> Iterator[tuple[float, float | None, str]]:
    """Yield an annotation for each time in which nothing of an electrocardiogram was kept."""
    for place, samples in enumerate(values):
        for onset, lasted in missing(~np.isnan(samples), HZ):
            yield onset, lasted, f"no value: {_ecg_label(place)}"


def _without_blanks(text: str) -> str:
    """Return a text as a field of the header, which a blank would end."""
    return ascii_text(text, 32).replace(" ", "_") or "X"


def write_folder(source: ExportSource, root: Path) -> None:
    """Write the chosen sessions of a timeline, each as an EDF+ file, into an empty folder.

    Rows that lie in no session have no place in it. ``sessions.json`` says what each file is.

    Raises:
        OSError: a file cannot be written, or the disk is full.
    """
    sessions = {
        whole(row["session"]): SessionFile(
            participant=str(row["participant"]),
            number=whole(row["session"]),
            start_ms=whole(row["start_ms"]),
            end_ms=None if row["end_ms"] is None else whole(row["end_ms"]),
            simulated=bool(row["simulated"]),
        )
        for row in source.rows("session")
    }
    _gather(source, sessions)
    spans = {
        number: (one.start_ms, FOREVER_MS if one.end_ms is None else one.end_ms)
        for number, one in sessions.items()
    }
    left_out = source.of_sessions("exclusion")
    # One after the other, for those of all sessions together need any memory.
    with_ecg: set[int] = set()
    for number, kept in electrocardiograms_of(source, spans):
        with_ecg.add(number)
        sessions[number].electrocardiograms(kept)
        sessions[number].finish(root, left_out.get(number, ()))
    for number, session in sessions.items():
        if number not in with_ecg:
            session.finish(root, left_out.get(number, ()))
    about = {
        "created": source.created,
        "program": f"Affect Edge {__version__}",
        "sessions": [
            {
                "file": session.name,
                "session": number,
                "participant": session.participant,
                "start": iso_utc(session.start_ms),
                "simulated": session.simulated,
            }
            for number, session in sessions.items()
        ],
    }
    (root / "sessions.json").write_text(json_file(about), encoding="utf-8")


def _gather(source: ExportSource, sessions: dict[int, SessionFile]) -> None:
    """Give each session its rows."""
    markers, own_neutral = (source.of_sessions(name) for name in ("marker", "own_neutral"))
    for number, session in sessions.items():
        for event in events_of(markers.get(number, [])):
            session.event(event)
        for row in own_neutral.get(number, ()):
            if (shift := shift_of(row, session.end_ms)) is not None:
                session.event(shift)
    for row in source.rows("vital"):
        if row["session"] in sessions:
            sessions[whole(row["session"])].vital(row)
    for row in source.rows("movement"):
        if row["session"] in sessions and row["is_primary"]:
            sessions[whole(row["session"])].movement(row)
    for row in source.rows("self_report"):
        if row["session"] in sessions:
            sessions[whole(row["session"])].self_report(row)
    for row in source.rows("gap"):
        for session in sessions.values():
            session.gap(row)


EDF = TreeFormat(
    name="edf",
    label="EDF+ (zip)",
    summary="an EDF+ file for each session, for programs of sleep and heart research",
    description=N_(
        "A file for each session with signals and annotations, for programs of sleep and heart "
        "research; times are in UTC."
    ),
    suffix=".edf.zip",
    files=".edf",
    media_type="application/zip",
    position=57,
    library="edfio",
    extra="edf",
    write_tree=write_folder,
)
