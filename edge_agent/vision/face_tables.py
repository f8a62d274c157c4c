"""Tables of other face programs: their faces as rows of our timeline. Reads one file, no more.

The names of the columns, their units and their signs are those that each program publishes:

- OpenFace 2: github.com/TadasBaltrusaitis/OpenFace/wiki/Output-Format. Intensities of action units
  are 0…5. Angles are radians about axes that point to the right, down and away from the camera, so
  ``pose_Rx`` is positive down as here, ``pose_Ry`` and ``pose_Rz`` the other way round.
- py-feat: ``feat/utils/__init__.py`` of github.com/cosanlab/py-feat. Its angles are degrees in some
  releases and radians in others, with other signs, and no table tells its release: they are left.
- FaceReader: the detailed log, as in ``inst`` of github.com/d-bohn/facereadeR. The signs of its
  angles are not published: they are left.
- EmotiEffLib: ``idx_to_emotion_class`` in ``emotiefflib/facial_analysis.py`` of
  github.com/sb-ai-lab/EmotiEffLib, which writes no table itself: a column for each class.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median

from edge_agent.core.brought_tables import BroughtTable, Repeated, TableForm, opens_path, refusal_of
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, shown_value
from edge_agent.core.expression import EMOTIONS, NO_TRACK, Emotion, Expression, ExpressionRow
from edge_agent.core.movements import LOOK, NAMES, POSE, MovementRow

CONFIDENCE = 0.8
"""Least confidence of a face, unless it is chosen."""
ROWS_MOST = 1_000_000
"""Nine hours at 30 frames/s."""
_LONGEST_S = 7 * 86_400
_RAREST_S = 4.0
"""Steps from here on are milliseconds, of up to 250 frames per second."""
_FACEREADER_MARKS = ("FIT_FAILED", "FIND_FAILED")
_LETTERS = frozenset({"NotActive", "A", "B", "C", "D", "E"})
_NOTHING = frozenset({"", "nan", "na", "none", "null"})
_UNIT_ALONE = re.compile(r"AU\d\d?", re.IGNORECASE)
"""An action unit without the ending for its intensity (``_r``) or its presence (``_c``)."""
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", re.ASCII)

Values = tuple[float | None, ...]
_UNITS = {
    1: "brow_inner_up",
    2: "brow_outer_up",
    4: "brow_down",
    5: "eye_wide",
    6: "cheek_squint",
    7: "eye_squint",
    9: "nose_sneer",
    10: "upper_lip_up",
    12: "smile",
    15: "frown",
    16: "lower_lip_down",
    18: "pucker",
    20: "lip_stretch",
    24: "lip_press",
    26: "jaw_open",
    43: "eye_blink",
    45: "eye_blink",
}
"""Action unit → the movement of ours that is named after the same part of the face."""
_ABSENT = (
    "The label of a row is its highest mean emotion: such tables have no threshold of their own, "
    "and none is uncertain. They tell no size and quality of the face: these are kept as 0 and 1."
)
_WORDS = {emotion.value: emotion for emotion in EMOTIONS}
_DEGREES = math.degrees(1.0)


@dataclass(frozen=True, slots=True)
class _Program:
    """A program, by the columns of its table; their names are compared in lower case.

    Attributes:
        name: of the program.
        signs: columns that only its tables have together.
        times: columns with the time, the first that is there counts.
        emotions: column → category.
        movements: column → movement or angle, and the factor to our unit.
        confidence: column with the confidence, 0…1.
        success: column with 0 where no face was found.
        face: column with the number of the face.
        marks: texts of a cell where there was no face.
        unread: columns that say nothing about the face.
    """

    name: str
    signs: frozenset[str]
    times: tuple[str, ...]
    emotions: Mapping[str, Emotion] = field(default_factory=dict)
    movements: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    confidence: str = ""
    success: str = ""
    face: str = ""
    marks: Sequence[str] = ()
    unread: tuple[str, ...] = ()


_OPENFACE = _Program(
    "OpenFace",
    frozenset({"timestamp", "confidence", "success"}),
    ("timestamp",),
    movements={f"au{unit:02}_r": (name, 0.2) for unit, name in _UNITS.items()}
    | {
        "pose_rx": ("pitch", _DEGREES),
        "pose_ry": ("yaw", -_DEGREES),
        "pose_rz": ("roll", -_DEGREES),
    },
    confidence="confidence",
    success="success",
    face="face_id",
    unread=("frame",),
)
_PYFEAT = _Program(
    "py-feat",
    frozenset({"facescore", "frame"}),
    ("frame",),
    emotions=_WORDS | {"happy": Emotion.HAPPINESS, "sad": Emotion.SADNESS},
    movements={f"au{unit:02}": (name, 1.0) for unit, name in _UNITS.items()},
    confidence="facescore",
    face="identity",
    unread=("input", "approx_time", "frameheight", "framewidth"),
)
_FACEREADER = _Program(
    "FaceReader",
    frozenset({"video time", "neutral", "happy"}),
    ("video time",),
    emotions={
        "neutral": Emotion.NEUTRAL,
        "happy": Emotion.HAPPINESS,
        "sad": Emotion.SADNESS,
        "angry": Emotion.ANGER,
        "surprised": Emotion.SURPRISE,
        "scared": Emotion.FEAR,
        "disgusted": Emotion.DISGUST,
        "contempt": Emotion.CONTEMPT,
    },
    movements={
        f"action unit {unit:02} - {name}": (_UNITS[unit], 1.0)
        for unit, name in (
            (1, "inner brow raiser"),
            (2, "outer brow raiser"),
            (4, "brow lowerer"),
            (5, "upper lid raiser"),
            (6, "cheek raiser"),
            (7, "lid tightener"),
            (9, "nose wrinkler"),
            (10, "upper lip raiser"),
            (12, "lip corner puller"),
            (15, "lip corner depressor"),
            (18, "lip pucker"),
            (18, "lip puckerer"),
            (20, "lip stretcher"),
            (24, "lip pressor"),
            (26, "jaw drop"),
            (43, "eyes closed"),
        )
    },
    marks=_FACEREADER_MARKS,
)
_EMOTIEFFLIB = _Program(
    "EmotiEffLib",
    frozenset(_WORDS) - {Emotion.CONTEMPT.value},
    ("timestamp", "time", "seconds", "frame"),
    emotions=_WORDS,
    face="face_id",
)
# py-feat's tables have the columns that an EmotiEffLib table is known by, too
_PROGRAMS = (_OPENFACE, _FACEREADER, _PYFEAT, _EMOTIEFFLIB)


@dataclass(frozen=True, slots=True)
class FaceChoice:
    """The choice of faces and rows of a table.

    Attributes:
        faces: numbers of the participant's face; empty: the table has only one face.
        fps: frames per second of the video, for tables that count frames.
        confidence: least confidence of a face.
    """

    faces: tuple[str, ...] = ()
    fps: float | None = None
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True)
class _Reading:
    """A face in a frame.

    Attributes:
        seconds: since the start of the video.
        emotions: as in the table, in the order of ``EMOTIONS``; ``None``: none.
        movements: in the order of ``NAMES``, in our units.
    """

    seconds: float
    emotions: tuple[float, ...] | None
    movements: Values


@dataclass(slots=True)
class FaceTable:
    """The readings of the participant's face in a table.

    Attributes:
        program: which wrote it.
        readings: the faces that are taken, in order of time.
        rows: number of rows in the table.
        seconds: length of the video, as far as the table goes.
        left_out: reason → rows that were left out.
        not_taken: columns that have no place here; numbered ones as ``x_…``.
        notes: sentences about how it was read.
    """

    program: str
    readings: list[_Reading] = field(default_factory=list)
    rows: int = 0
    seconds: float = 0.0
    left_out: Counter[str] = field(default_factory=Counter)
    not_taken: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def timeline(self, start_ms: int, interval_s: float) -> list[ExpressionRow | MovementRow]:
        """Return the means over recording intervals, as rows of the timeline.

        Args:
            start_ms: when the video began, UTC milliseconds.
            interval_s: length of a row.
        """
        length_ms = round(interval_s * 1000)
        # A session holds what is before its end, which is that of the table.
        last_ms = max(1, round(self.seconds * 1000)) - 1
        rows: list[ExpressionRow | MovementRow] = []
        of_interval = groupby(self.readings, lambda one: round(one.seconds * 1000) // length_ms)
        for number, group in of_interval:
            at_ms = start_ms + min((number + 1) * length_ms, last_ms)
            rows += _means(self.program, Instant(at_ms, at_ms), list(group))
        return rows


def read_face_table(
    path: Path, choice: FaceChoice, on_row: Callable[[], None] | None = None
) -> FaceTable:
    """Read the table of a face program.

    Args:
        path: the file.
        choice: which faces and rows are taken.
        on_row: called for each row that is read.

    Raises:
        DataFileError: it cannot be read, is of no known program, has several faces of which none is
            chosen, or has bad cells: the first ten are named by row, column and value.
    """
    return _Reader(face_file(path), choice).read(on_row)


def face_file(path: Path) -> BroughtTable:
    """Return the table of a face program as it is written.

    Raises:
        DataFileError: it cannot be read, or is no such table.
    """
    return _FaceFile(path.name, opens_path(path), _FORM)


def _program_of(cells: Sequence[str]) -> _Program | None:
    """Return the program that writes these names of columns; ``None``: none that is known."""
    names = {cell.lower() for cell in cells}
    return next((one for one in _PROGRAMS if one.signs <= names), None)


def _is_header(cells: Sequence[str]) -> bool:
    return _program_of(cells) is not None or {cell.lower() for cell in cells}.issuperset(LOOK)


_FORM = TableForm(_is_header, may_lack_names=False)


class _FaceFile(BroughtTable):
    """A table of faces."""

    def without_names(self) -> str:
        """Return why a table of another program is refused."""
        return (
            f"{self.name}: is no table of OpenFace 2 (timestamp, confidence, success …), py-feat "
            "(frame, FaceScore …), FaceReader (detailed log: Video Time, Neutral, Happy …) or "
            "EmotiEffLib (frame or timestamp, Anger … Surprise)."
        )


class _Reader:
    """Reads one table row by row, and keeps what is needed of it.

    Args:
        file: the table.
        choice: what is taken.
    """

    def __init__(self, file: BroughtTable, choice: FaceChoice) -> None:
        self._file = file
        self._name = file.name
        self._choice = choice
        self._header = file.header
        self._places = {name.lower(): at for at, name in enumerate(file.header)}
        self._decimal_comma = file.separator != ","
        self._faces: Counter[str] = Counter()
        self._lettered = False
        self._times: set[float] = set()

    def read(self, on_row: Callable[[], None] | None) -> FaceTable:
        program = _program_of(self._header)
        if program is None:
            raise DataFileError(
                f"{self._name}: is a table of analyse-video. Read its video with analyse-video "
                "--into-session."
            )
        time = next((one for one in program.times if one in self._places), "")
        self._check_columns(program, time)
        table = FaceTable(program.name)
        problems, torn = Repeated(), Repeated()
        for row in self._file.rows():
            table.rows += 1
            if on_row is not None:
                on_row()
            if table.rows > ROWS_MOST:
                raise DataFileError(f"{self._name}: has over {ROWS_MOST:,} rows. Split it.")
            if row.fault:
                torn.add(self._name, f"row {row.number}", f": {row.fault}")
                table.left_out["of another length"] += 1
                continue
            try:
                self._add_row(program, time, row.cells, table)
            except _CellError as error:
                problems.add(self._name, f"row {row.number}", str(error))
        if problems.count:
            raise refusal_of(problems.lines)
        if time not in {"frame", "video time"}:
            self._refuse_milliseconds(time)
        table.notes += [*torn.lines, *self._file.remarks]
        self._finish(program, table)
        return table

    def _check_columns(self, program: _Program, time: str) -> None:
        names = [name.lower() for name in self._header]
        if not time:
            raise DataFileError(
                f"{self._name}: has no time. Add a column timestamp (seconds) or frame."
            )
        read = {time, program.confidence, program.success, program.face}
        for name in read.union(program.emotions, program.movements):
            if names.count(name) > 1:
                raise DataFileError(f"{self._name}: column {self._heading(name)} is there twice.")
        if time == "frame" and self._choice.fps is None:
            raise DataFileError(
                f"{self._name}: counts frames. Give the frames per second of the video with --fps."
            )
        if time != "frame" and self._choice.fps is not None:
            raise DataFileError(
                f"{self._name}: has times of its own ({self._heading(time)}). Leave out --fps."
            )
        self._check_program(program)
        there = {emotion for name, emotion in program.emotions.items() if name in self._places}
        missing = set(EMOTIONS) - {Emotion.CONTEMPT} - there
        if there and missing:
            raise DataFileError(
                f"{self._name}: has no column of {', '.join(sorted(missing))}. Export all emotions."
            )

    def _check_program(self, program: _Program) -> None:
        """Refuse a table that has the times of a program, and nothing of a face that is read."""
        if any(name in self._places for name in (*program.emotions, *program.movements)):
            return
        others = [name for name in self._header if _UNIT_ALONE.fullmatch(name)]
        if program is _OPENFACE and others:
            raise DataFileError(
                f"{self._name}: is a table of OpenFace 3, by its columns ({', '.join(others[:3])} …"
                "), which are not read here. Read the video with "
                "OpenFace 2 (AU01_r …), or with analyse-video. Nothing was imported."
            )
        wanted = ", ".join([*program.emotions, *program.movements][:3])
        raise DataFileError(
            f"{self._name}: has times as tables of {program.name} have, and none of its columns of "
            f"a face ({wanted} …). Let {program.name} write them. Columns: "
            f"{', '.join(filter(None, self._header[:20]))}. Nothing was imported."
        )

    def _heading(self, column: str) -> str:
        """Return the name of a column as it stands in the file."""
        return self._header[self._places[column]]

    def _add_row(self, program: _Program, time: str, cells: list[str], table: FaceTable) -> None:
        """Add a row to the table, or the reason why it is left out.

        Raises:
            _CellError: a cell is no value of its column.
        """
        seconds = self._seconds(time, cells)
        self._times.add(seconds)
        face = self._text(program.face, cells)
        if self._choice.faces and face not in self._choice.faces:
            self._faces[face] += 1
            table.left_out["of another face"] += 1
            return
        reason = self._flaw(program, cells)
        reading = None if reason else self._reading(program, seconds, cells)
        if reading is None:
            table.left_out[reason or "without a value"] += 1
        else:
            self._faces[face] += 1
            self._check_order(program, time, cells, table, seconds)
            table.readings.append(reading)

    def _check_order(
        self, program: _Program, time: str, cells: list[str], table: FaceTable, seconds: float
    ) -> None:
        """Refuse a row that does not follow the one before it."""
        before = table.readings[-1].seconds if table.readings else -1.0
        where = f", column {self._heading(time)}: {shown_value(self._text(time, cells))}"
        if seconds < before:
            raise _CellError(where, "is before the row above it. Sort the table by time.")
        # A spreadsheet rounds FaceReader's times to tenths of a second. Several faces of a frame
        # are told at the end, with all their numbers.
        may_be_equal = program is _FACEREADER or (
            program.face in self._places and not self._choice.faces
        )
        if seconds == before and not may_be_equal:
            raise _CellError(where, "is there twice. Keep one face of each frame.")

    def _seconds(self, time: str, cells: list[str]) -> float:
        """Return the time of a row since the start of the video."""
        text = self._text(time, cells)
        seconds: float | None
        if time == "video time":
            told = _CLOCK.fullmatch(text.replace(",", "."))
            parts = () if told is None else zip((3600, 60, 1), told.groups(), strict=True)
            seconds = sum(factor * float(part or 0) for factor, part in parts) if told else None
        else:
            seconds = self._number(time, cells)
            if seconds is not None and time == "frame":
                seconds /= self._choice.fps or 1.0
        if seconds is None or not 0 <= seconds < _LONGEST_S:
            raise _CellError(
                f", column {self._heading(time)}: {shown_value(text)}",
                "is no time since the start of the video, in seconds or as 00:00:01.5.",
            )
        return seconds

    def _flaw(self, program: _Program, cells: list[str]) -> str:
        """Return why a row is left out; empty: it has a face."""
        for mark in program.marks:
            if any(self._text(name, cells) == mark for name in program.emotions):
                return f"with {mark}"
        if program.success and self._number(program.success, cells) == 0:
            return "with success 0"
        if program.confidence:
            confidence = self._number(program.confidence, cells)
            if confidence is None:
                return "without a face"
            if confidence < self._choice.confidence:
                return f"with {self._heading(program.confidence)} below {self._choice.confidence:g}"
        return ""

    def _reading(self, program: _Program, seconds: float, cells: list[str]) -> _Reading | None:
        """Return the face of a row; ``None``: no cell has a value."""
        told: dict[Emotion, float | None] = {}
        for column, emotion in program.emotions.items():
            if column in self._places:
                told[emotion] = self._number(column, cells)
                if program is not _EMOTIEFFLIB:
                    self._check_range(column, cells, told[emotion], 0.0, 1.0)
        values: dict[str, float | None] = {}
        for column, (name, factor) in program.movements.items():
            if column in self._places:
                values[name] = self._movement(column, name, factor, cells)
        emotions = None
        if any(value is not None for value in told.values()):
            for column, emotion in program.emotions.items():
                if column in self._places and told[emotion] is None:
                    raise _CellError(f", column {self._heading(column)}", "has no value.")
            emotions = tuple(told.get(emotion) or 0.0 for emotion in EMOTIONS)
        movements = tuple(values.get(name) for name in NAMES)
        if emotions is None and not any(value is not None for value in movements):
            return None
        return _Reading(seconds, emotions, movements)

    def _movement(self, column: str, name: str, factor: float, cells: list[str]) -> float | None:
        if self._text(column, cells) in _LETTERS:
            self._lettered = True
            return None
        value = self._number(column, cells)
        most = 180.0 if name in POSE else 1.0
        least = -most if name in (*POSE, *LOOK) else 0.0
        converted = None if value is None else factor * value
        bounds = sorted((least / factor, most / factor))
        self._check_range(column, cells, value, *bounds)
        return converted

    def _check_range(
        self, column: str, cells: list[str], value: float | None, least: float, most: float
    ) -> None:
        if value is not None and not least - 1e-6 <= value <= most + 1e-6:
            raise _CellError(
                f", column {self._heading(column)}: {shown_value(self._text(column, cells))}",
                f"is not between {least:.4g} and {most:.4g}.",
            )

    def _text(self, column: str, cells: list[str]) -> str:
        place = self._places.get(column)
        return "" if place is None else cells[place]

    def _number(self, column: str, cells: list[str]) -> float | None:
        """Return the value of a cell; ``None``: it is empty."""
        text = self._text(column, cells)
        if text.lower() in _NOTHING:
            return None
        try:
            value = float(text.replace(",", ".") if self._decimal_comma else text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise _CellError(
                f", column {self._heading(column)}: {shown_value(text)}", "is no number."
            )
        return value

    def _refuse_milliseconds(self, time: str) -> None:
        """Refuse times that, as seconds, would be of a video with hardly a picture."""
        times = sorted(self._times)
        steps = [later - earlier for earlier, later in pairwise(times)]
        usual = median(steps) if steps else 0.0
        if usual >= _RAREST_S:
            raise DataFileError(
                f"{self._name}: its times ({self._heading(time)}) are {usual:g} apart, which as "
                f"seconds would be a picture every {usual:g} s, and {times[-1]:,.0f} s in all. "
                "Write seconds: divide milliseconds by 1000. Pictures that were taken so rarely "
                "are counted in a column frame, with --fps. Nothing was imported."
            )

    def _finish(self, program: _Program, table: FaceTable) -> None:
        """Check that there is one face, and set what only the whole table tells."""
        faces = ", ".join(f"{face} ({rows:,} rows)" for face, rows in self._faces.most_common(10))
        if self._choice.faces:
            unknown = [face for face in self._choice.faces if face not in self._faces]
            if unknown:
                raise DataFileError(
                    f"{self._name}: has no face {', '.join(unknown)}. There are: {faces or 'none'}."
                )
        elif len(self._faces) > 1:
            raise DataFileError(
                f"{self._name}: has several faces: {faces}. Name the participant's with --face; it "
                "may be repeated, where one person has several numbers."
            )
        has_contempt = any(
            emotion is Emotion.CONTEMPT and name in self._places
            for name, emotion in program.emotions.items()
        )
        has_emotions = any(one.emotions is not None for one in table.readings)
        _to_probabilities(table, len(EMOTIONS) - (not has_contempt), logits=program is _EMOTIEFFLIB)
        if not table.readings:
            left = ", ".join(f"{count:,} {why}" for why, count in table.left_out.items())
            raise DataFileError(f"{self._name}: no row has a face{f' ({left})' if left else ''}.")
        first, last = min(self._times), max(self._times)
        table.seconds = last + (last - first) / max(1, len(self._times) - 1)
        table.not_taken = self._not_taken(program, table)
        if self._lettered:
            table.notes.append(
                "Action units are letters here. To have movements, let FaceReader export them as "
                "numerical values."
            )
        if has_emotions and not has_contempt:
            table.notes.append("The table has no contempt: it is recorded as 0.")
        if has_emotions:
            table.notes.append(_ABSENT)

    def _not_taken(self, program: _Program, table: FaceTable) -> tuple[str, ...]:
        filled = {
            name
            for place, name in enumerate(NAMES)
            if any(one.movements[place] is not None for one in table.readings)
        }
        read = {
            *program.times,
            *(program.confidence, program.success, program.face, *program.unread),
            *program.emotions,
            *(column for column, (name, _) in program.movements.items() if name in filled),
        }
        names = (name for name in self._header if name and name.lower() not in read)
        # landmarks and identities fill hundreds of columns: x_0, x_1 … are one name
        return tuple(dict.fromkeys(re.sub(r"_\d+$", "_…", name) for name in names))


class _CellError(Exception):
    """A cell that cannot be read.

    Args:
        where: column and value, as they continue a sentence.
        reason: the rest of the sentence.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where} {reason}")


def _to_probabilities(table: FaceTable, categories: int, *, logits: bool) -> None:
    """Make the emotions of each reading eight probabilities that sum to 1.

    Args:
        table: its readings are replaced.
        categories: how many of the eight the table has, the first ones.
        logits: whether values beyond 0…1 are logits, which is then said in the notes.
    """
    told = (one.emotions for one in table.readings if one.emotions is not None)
    is_logits = logits and any(not 0.0 <= value <= 1.0 for one in told for value in one)
    if is_logits:
        table.notes.append("Scores beyond 0 to 1 are logits: probabilities are their softmax.")
    kept: list[_Reading] = []
    for one in table.readings:
        values = one.emotions
        if values is not None:
            if is_logits:
                most = max(values[:categories])
                powers = [math.exp(value - most) for value in values[:categories]]
                values = (*powers, *values[categories:])
            total = math.fsum(values)
            if not total:
                table.left_out["with all emotions 0"] += 1
                continue
            values = tuple(value / total for value in values)
        kept.append(_Reading(one.seconds, values, one.movements))
    table.readings = kept


def _means(
    program: str, at: Instant, readings: Collection[_Reading]
) -> Iterator[ExpressionRow | MovementRow]:
    """Yield the rows of one interval."""
    told = [one.emotions for one in readings if one.emotions is not None]
    if told:
        mean = Expression(
            tuple(math.fsum(column) / len(told) for column in zip(*told, strict=True))
        )
        yield ExpressionRow(
            at=at,
            track=NO_TRACK,
            frames=len(told),
            mean=mean,
            smoothed=mean,
            emotion=mean.dominant,
            face_size=0.0,
            quality=1.0,
            primary=True,
        )
    moved = [one.movements for one in readings if any(v is not None for v in one.movements)]
    if moved:
        values = tuple(_mean(column) for column in zip(*moved, strict=True))
        yield MovementRow(at, NO_TRACK, len(moved), values, True, program)


def _mean(column: Iterable[float | None]) -> float | None:
    values = [value for value in column if value is not None]
    return math.fsum(values) / len(values) if values else None
