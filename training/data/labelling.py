"""Label the pictures of a folder by hand, and measure how far two people agree.

Labels are kept in tables, one for each person, and agreement is counted beyond what chance gives.

``labels-NAME.csv`` holds what one person said, ``settled.csv`` what was decided where they differ
or doubt, and ``labels.csv`` what follows from both: the pictures on which nobody differs and
nobody doubts, and the settled ones. That one is what ``training train --by-label`` reads.

The page on which pictures are labelled is served on this machine only.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi import Path as Part
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from edge_agent.core.errors import PictureError
from edge_agent.vision.stills import find_pictures, load_picture
from training.data.datasets import EXPRESSIONS, table_rows
from training.data.readings import cohens_kappa
from training.errors import DataError, csv_bytes, write_whole

NO_FACE = "no_face"
"""Said of a picture that shows no face, or none that can be judged; it is never learnt from."""
ANSWERS = (*EXPRESSIONS, NO_FACE)
SETTLED = "settled"
"""Name under which differences are decided; no person may have it."""
MERGED = "labels.csv"
_COLUMNS = ("file", "emotion", "doubtful")
_NAME = re.compile(r"[^\W_][\w-]{0,39}")
_YES_NO = {"yes": True, "no": False}
HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "page"
LONGEST = 960
"""Pixels of the longer side of a picture as it is shown."""
_POLICY = (
    "default-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True)
class PictureLabel:
    """The label that a person gave to a picture.

    Attributes:
        file: relative to the folder, with ``/``.
        emotion: a category, :data:`NO_FACE`, or ``None``: nothing, the label is taken back.
        doubtful: the person is not sure.
    """

    file: str
    emotion: str | None
    doubtful: bool = False


class Labels:
    """Pictures and the labels that people gave them; each change is on the disk at its return.

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
            IndexError: no picture has that number.
        """
        return self._pictures / self.files[number]

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the people who have labelled, sorted."""
        with self._lock:
            return tuple(sorted(name for name in self._marks if name != SETTLED))

    def marks_of(self, name: str) -> dict[str, PictureLabel]:
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

    def set(self, name: str, mark: PictureLabel) -> None:
        """Keep the label that a person gives a picture.

        Raises:
            DataError: the name, file or label is not allowed; or the label cannot be written, and
                the earlier one holds.
        """
        if name != SETTLED:
            check_name(name)
        if mark.file not in self.files:
            raise DataError(f"{mark.file[:200]!r}: is not one of the {len(self.files)} pictures")
        if mark.emotion is not None and mark.emotion not in ANSWERS:
            raise DataError(f"{mark.emotion[:40]!r}: is not one of {', '.join(ANSWERS)}")
        with self._lock:
            changed = dict(self._marks.get(name, {}))
            # A label that is taken back leaves no row.
            changed.pop(mark.file, None)
            if mark.emotion is not None:
                changed[mark.file] = mark
            marks = self._marks | {name: changed}
            # Written before it holds: after an error what is remembered is what lies on the disk.
            write_whole(self.out / _file_of(name), _table(changed))
            self._marks = marks
            merged = _merge(self.files, marks).items()
            write_whole(self.out / MERGED, csv_bytes([("file", "emotion"), *merged]))

    def to_settle(self) -> list[str]:
        """Return the pictures on which people differ or doubt, by name; settled ones, too."""
        with self._lock:
            marks = {
                name: given_marks for name, given_marks in self._marks.items() if name != SETTLED
            }
        return [file for file in self.files if _is_open([m.get(file) for m in marks.values()])]

    def merge(self) -> dict[str, str]:
        """Return file → category of what ``labels.csv`` holds."""
        with self._lock:
            return _merge(self.files, self._marks)


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


def _is_open(given_marks: list[PictureLabel | None]) -> bool:
    given = [mark for mark in given_marks if mark is not None]
    return len({mark.emotion for mark in given}) > 1 or any(mark.doubtful for mark in given)


def _merge(
    files: tuple[str, ...], marks: Mapping[str, Mapping[str, PictureLabel]]
) -> dict[str, str]:
    settled = marks.get(SETTLED, {})
    people = [given_marks for name, given_marks in marks.items() if name != SETTLED]
    merged: dict[str, str] = {}
    for file in files:
        given_marks = [of_one.get(file) for of_one in people]
        decided = settled.get(file)
        # A label counts while nobody contradicts; a decision counts in any case.
        if decided is None and not _is_open(given_marks):
            decided = next((mark for mark in given_marks if mark is not None), None)
        if decided is not None and decided.emotion in EXPRESSIONS and not decided.doubtful:
            merged[file] = str(decided.emotion)
    return merged


def _table(marks: Mapping[str, PictureLabel]) -> bytes:
    rows = [
        (mark.file, mark.emotion or "", "yes" if mark.doubtful else "no")
        for mark in sorted(marks.values(), key=lambda mark: mark.file)
    ]
    return csv_bytes([_COLUMNS, *rows])


def _file_of(name: str) -> str:
    return f"{SETTLED}.csv" if name == SETTLED else f"labels-{name}.csv"


def _tables(out: Path) -> dict[str, Path]:
    """Return the paths of the tables in a folder, which may be missing, by who labelled."""
    tables = {path.stem.removeprefix("labels-"): path for path in sorted(out.glob("labels-*.csv"))}
    for name in tables:
        check_name(name)
    settled = out / _file_of(SETTLED)
    if settled.exists():
        tables[SETTLED] = settled
    return tables


def _read(path: Path) -> dict[str, PictureLabel]:
    marks: dict[str, PictureLabel] = {}
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
        marks[file] = PictureLabel(file, emotion, _YES_NO[doubtful])
    return marks


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two people and the pictures that both have labelled.

    Attributes:
        first, second: names of the two people.
        pictures: how many both have labelled.
        same: how many of these have one label.
        kappa: Cohen's; ``None`` where it is not defined: no picture, or both said the same one
            category of all.
        confused: (what the first said, what the second said, how often), the most frequent first.
    """

    first: str
    second: str
    pictures: int
    same: int
    kappa: float | None
    confused: tuple[tuple[str, str, int], ...]


def pair_agreement(
    names: tuple[str, str], first: Mapping[str, PictureLabel], second: Mapping[str, PictureLabel]
) -> PairAgreement:
    """Compare what two people said of the pictures that both have labelled."""
    counts = np.zeros((len(ANSWERS), len(ANSWERS)), dtype=np.int64)
    # Only pictures that both have labelled.
    for file in first.keys() & second.keys():
        row, column = (ANSWERS.index(str(marks[file].emotion)) for marks in (first, second))
        counts[row, column] += 1
    total = int(counts.sum())
    same = int(np.trace(counts))
    apart = [
        (ANSWERS[row], ANSWERS[column], int(counts[row, column]))
        for row, column in np.argwhere(counts)
        if row != column
    ]
    ordered = tuple(sorted(apart, key=lambda one: -one[2]))
    return PairAgreement(*names, total, same, cohens_kappa(counts), ordered)


class Said(BaseModel):
    """The label of a picture as the page sends it."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field(max_length=4096, description="As the page got it")
    emotion: str | None = Field(max_length=40, description="null takes the label back")
    doubtful: bool = Field(False, description="The person is not sure")


Name = Annotated[str, Part(max_length=60)]


def label_app(labels: Labels) -> FastAPI:
    """Return the page and what it asks for.

    Other pages that are open in the browser can neither read nor change anything here: names of
    other hosts and requests from other sites are refused.
    """
    app = FastAPI(title="Labels", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    app.add_exception_handler(DataError, _answer_refusal)

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        # Browsers say from where a request comes; one without that header is no page's.
        if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return JSONResponse({"detail": "only the page itself may ask"}, status_code=403)
        response: Response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/people")
    def people() -> dict[str, Any]:
        return _people(labels)

    @app.get("/people/{name}")
    def pictures(name: Name) -> dict[str, Any]:
        return _pictures(labels, name)

    @app.put("/people/{name}")
    def say(name: Name, answer: Said) -> dict[str, int]:
        labels.set(name, PictureLabel(answer.file, answer.emotion, answer.doubtful))
        return {"merged": len(labels.merge())}

    @app.get("/agreement")
    def agreement() -> dict[str, Any]:
        return _agreement(labels)

    @app.get("/pictures/{number}")
    def picture(number: int) -> Response:
        return _picture(labels, number)

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def open_socket(port: int) -> socket.socket:
    """Listen on this machine only.

    Args:
        port: 0 takes a free one.

    Raises:
        DataError: the port is taken.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise DataError(
            f"port {port}: cannot be used ({error.strerror}); name another with --port"
        ) from error


def serve(labels: Labels, listening: socket.socket) -> None:
    """Serve the page until Ctrl-C or SIGTERM."""
    config = uvicorn.Config(label_app(labels), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


async def _answer_refusal(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, status_code=422)


def _people(labels: Labels) -> dict[str, Any]:
    return {
        "pictures": len(labels.files),
        "people": [{"name": n, "labelled": len(labels.marks_of(n))} for n in labels.people],
        "to_settle": len(labels.to_settle()),
        "merged": len(labels.merge()),
        "out": str(labels.out),
        "categories": list(EXPRESSIONS),
        "no_face": NO_FACE,
        "settled": SETTLED,
    }


def _pictures(labels: Labels, name: str) -> dict[str, Any]:
    """Return a person's pictures in order; what others said only where it is to be settled."""
    order = labels.order_for(name)
    others: dict[str, dict[str, PictureLabel]] = {}
    if name == SETTLED:
        wanted = set(labels.to_settle())
        # An order of its own, without what needs no decision.
        order = [number for number in order if labels.files[number] in wanted]
        others = {one: labels.marks_of(one) for one in labels.people}
    else:
        check_name(name)
    marks = labels.marks_of(name)
    shown = []
    for number in order:
        file = labels.files[number]
        mark = marks.get(file, PictureLabel(file, None))
        others_marks = {one: asdict(given[file]) for one, given in others.items() if file in given}
        shown.append({"number": number, **asdict(mark), "said": others_marks})
    return {"pictures": shown}


def _agreement(labels: Labels) -> dict[str, Any]:
    marks = {name: labels.marks_of(name) for name in labels.people}
    pairs = combinations(labels.people, 2)
    return {
        "pairs": [asdict(pair_agreement(pair, marks[pair[0]], marks[pair[1]])) for pair in pairs]
    }


def _picture(labels: Labels, number: int) -> Response:
    try:
        # A negative number would count from the end.
        if number < 0:
            raise IndexError
        image = load_picture(labels.path_of(number))
    except IndexError as error:
        raise HTTPException(404, "there is no such picture") from error
    except PictureError as error:
        raise HTTPException(415, str(error)) from error
    scale = LONGEST / max(image.shape[:2])
    if scale < 1:
        smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.asarray(smaller, dtype=np.uint8)
    return Response(cv2.imencode(".png", image)[1].tobytes(), media_type="image/png")
