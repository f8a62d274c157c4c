"""The labels that people give to the pictures of a folder, kept in a table a person.

``labels-NAME.csv`` holds what one person said, ``settled.csv`` what was decided where they differ
or doubt, and ``labels.csv`` what follows from both: the pictures on which nobody differs and
nobody doubts, and the settled ones. That one is what ``training train --by-label`` reads.
"""

import csv
import hashlib
import io
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent.vision.stills.pictures import find_pictures
from training.data.datasets import EXPRESSIONS
from training.data.tables import table_rows
from training.errors import DataError
from training.files import write_whole

NO_FACE = "no_face"
"""Said of a picture that shows no face, or none that can be judged; it is never learnt from."""
ANSWERS = (*EXPRESSIONS, NO_FACE)
SETTLED = "settled"
"""Name under which differences are decided; no person may have it."""
MERGED = "labels.csv"
_COLUMNS = ("file", "emotion", "doubtful")
_NAME = re.compile(r"[^\W_][\w-]{0,39}")
_YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person said of a picture.

    Attributes:
        file: relative to the folder, with ``/``.
        emotion: a category, :data:`NO_FACE`, or ``None``: nothing, the label is taken back.
        doubtful: the person is not sure.
    """

    file: str
    emotion: str | None
    doubtful: bool = False


class Labels:
    """Pictures and what people said of them; every change is on the disk when it returns.

    May be used from several threads.

    Args:
        pictures: folder of the pictures, also in subfolders.
        out: folder of the tables; made at the first label.

    Raises:
        DataError: there is no picture, or a table cannot be read; the text says which.

    Attributes:
        files: the pictures, relative to the folder, by name.
        out: folder of the tables.
    """

    def __init__(self, pictures: Path, out: Path) -> None:
        if not pictures.is_dir():
            raise DataError(f"{pictures}: is no folder; give the folder of your pictures")
        self._pictures = pictures
        paths = [path for path in find_pictures([pictures]) if path.is_file()]
        self.files = tuple(path.relative_to(pictures).as_posix() for path in paths)
        if not self.files:
            raise DataError(f"{pictures}: holds no picture")
        self.out = out
        self._lock = threading.Lock()
        self._marks = {name: _read(path) for name, path in _tables(out).items()}

    def path_of(self, number: int) -> Path:
        """Return where a picture lies.

        Raises:
            IndexError: there is none of that number.
        """
        return self._pictures / self.files[number]

    @property
    def people(self) -> tuple[str, ...]:
        """Who has labelled, by name."""
        with self._lock:
            return tuple(sorted(name for name in self._marks if name != SETTLED))

    def marks_of(self, name: str) -> dict[str, Mark]:
        """Return what a person said, by file; also of pictures that have gone since."""
        with self._lock:
            return dict(self._marks.get(name, {}))

    def order_for(self, name: str) -> list[int]:
        """Return the numbers of the pictures in the order in which a person sees them.

        It differs from person to person, so that tiredness falls on other pictures, and is the same
        at each start.
        """
        keys = [hashlib.sha256(f"{name}/{file}".encode()).digest() for file in self.files]
        return sorted(range(len(self.files)), key=keys.__getitem__)

    def set(self, name: str, mark: Mark) -> None:
        """Keep what a person says of a picture.

        Raises:
            DataError: a name, file or answer that cannot be; or it cannot be written, and what was
                there before holds.
        """
        if name != SETTLED:
            check_name(name)
        if mark.file not in self.files:
            raise DataError(f"{mark.file[:200]!r}: is not one of the {len(self.files)} pictures")
        if mark.emotion is not None and mark.emotion not in ANSWERS:
            raise DataError(f"{mark.emotion[:40]!r}: is not one of {', '.join(ANSWERS)}")
        with self._lock:
            changed = dict(self._marks.get(name, {}))
            changed.pop(mark.file, None)
            if mark.emotion is not None:
                changed[mark.file] = mark
            marks = self._marks | {name: changed}
            write_whole(self.out / _file_of(name), _table(changed))
            self._marks = marks
            write_whole(self.out / MERGED, _merged_table(self.files, marks))

    def to_settle(self) -> list[str]:
        """Return the pictures on which people differ or doubt, by name; settled ones, too."""
        with self._lock:
            marks = {
                name: given_marks for name, given_marks in self._marks.items() if name != SETTLED
            }
        return [file for file in self.files if _is_open([m.get(file) for m in marks.values()])]

    def merged(self) -> dict[str, str]:
        """Return file → category of what ``labels.csv`` holds."""
        with self._lock:
            return _merged(self.files, self._marks)


def check_name(name: str) -> None:
    """Refuse a name that cannot be a person's here.

    Raises:
        DataError: it is empty, too long, has other marks than letters, digits, ``-`` and ``_``, or
            is taken by the program.
    """
    if not _NAME.fullmatch(name) or name == SETTLED:
        raise DataError(
            f"{name[:60]!r}: cannot be the name of a labeller; use 1 to 40 letters, digits, - and "
            f"_, beginning with a letter or digit, and not {SETTLED!r}"
        )


def _is_open(given_marks: list[Mark | None]) -> bool:
    given = [mark for mark in given_marks if mark is not None]
    return len({mark.emotion for mark in given}) > 1 or any(mark.doubtful for mark in given)


def _merged(files: tuple[str, ...], marks: Mapping[str, Mapping[str, Mark]]) -> dict[str, str]:
    settled = marks.get(SETTLED, {})
    people = [given_marks for name, given_marks in marks.items() if name != SETTLED]
    merged: dict[str, str] = {}
    for file in files:
        given_marks = [of_one.get(file) for of_one in people]
        decided = settled.get(file)
        if decided is None and not _is_open(given_marks):
            decided = next((mark for mark in given_marks if mark is not None), None)
        if decided is not None and decided.emotion in EXPRESSIONS and not decided.doubtful:
            merged[file] = str(decided.emotion)
    return merged


def _merged_table(files: tuple[str, ...], marks: Mapping[str, Mapping[str, Mark]]) -> bytes:
    return _csv([("file", "emotion"), *_merged(files, marks).items()])


def _table(marks: Mapping[str, Mark]) -> bytes:
    rows = [
        (mark.file, mark.emotion or "", "yes" if mark.doubtful else "no")
        for mark in sorted(marks.values(), key=lambda mark: mark.file)
    ]
    return _csv([_COLUMNS, *rows])


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _file_of(name: str) -> str:
    return f"{SETTLED}.csv" if name == SETTLED else f"labels-{name}.csv"


def _tables(out: Path) -> dict[str, Path]:
    """Who has a table in a folder, which may be missing."""
    tables = {path.stem.removeprefix("labels-"): path for path in sorted(out.glob("labels-*.csv"))}
    for name in tables:
        check_name(name)
    settled = out / _file_of(SETTLED)
    if settled.exists():
        tables[SETTLED] = settled
    return tables


def _read(path: Path) -> dict[str, Mark]:
    marks: dict[str, Mark] = {}
    for row, cells in table_rows(path, _COLUMNS):
        file, emotion, doubtful = (cells[name] for name in _COLUMNS)
        if emotion not in ANSWERS:
            raise DataError(
                f"{path}: row {row}, column emotion: {emotion[:40]!r} is not one of "
                f"{', '.join(ANSWERS)}"
            )
        if doubtful not in _YES_NO:
            raise DataError(
                f"{path}: row {row}, column doubtful: {doubtful[:40]!r} is not yes or no"
            )
        if file in marks:
            raise DataError(f"{path}: row {row}, column file: {file!r} has a row further up")
        marks[file] = Mark(file, emotion, _YES_NO[doubtful])
    return marks
