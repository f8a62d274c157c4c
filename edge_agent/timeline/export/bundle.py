"""The timeline as one self-describing zip.

It holds tidy CSV, its description, settings, model cards, and two scripts that compute the
dashboard's tests again.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import IO

from edge_agent import __version__
from edge_agent.core import clock
from edge_agent.core.instruments import method_of
from edge_agent.core.measures import MEASURES, table_of
from edge_agent.core.study import ENTERED, MADE_UP
from edge_agent.core.texts import N_
from edge_agent.timeline.export import table_schemas
from edge_agent.timeline.export.beats import beats_in_words
from edge_agent.timeline.export.files import write_blocks
from edge_agent.timeline.export.format import Audience, Computed, FileFormat
from edge_agent.timeline.export.preregistration_files import preregistration_files
from edge_agent.timeline.export.rows import ALWAYS, SEED, Row
from edge_agent.timeline.export.source import ExportSource
from edge_agent.timeline.export.table_schemas import (
    COMPUTED_TITLES,
    DESCRIPTION,
    FILES,
    TITLES,
    WrittenFile,
    description,
)

_LEVEL = 2  # three times as fast as zlib's own default, for a fifth more bytes
_MEDIA_TYPES = {
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "md": "text/markdown",
    "txt": "text/plain",
    "svg": "image/svg+xml",
    "py": "text/x-python",
    "R": "text/x-r-source",
}
_TITLE = re.compile("<title>(.*?)</title>")
_SIMULATED = "simulated (nobody took part)"
_MADE_UP = "imported from a table without times, which are made up"
_IMPORTED = "imported from files"
_ENTERED = "entered after it took place"
_HERE = "held with Affect Edge"
_WORDS = (_HERE, _ENTERED, _IMPORTED, _MADE_UP, _SIMULATED)
"""Origins of sessions in words."""
METHOD_OF_ANALYSIS = "method.txt"
"""Name among the tables of an appliance: how the analysis computed its numbers, as text."""
_SCRIPTS = {
    "analysis.py": "Analyses these files as the dashboard does; needs the package affect-edge",
    "analysis.R": "Computes the dashboard's tests by itself, in R",
}


def _write(source: ExportSource, out: IO[bytes]) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        _Bundle(source, lambda path: _member(archive, path, source.created_ms)).write()


def write_bundle_folder(source: ExportSource, folder: Path) -> tuple[WrittenFile, ...]:
    """Write the members of a bundle as files into an empty folder; return them."""

    def open_file(path: str) -> IO[bytes]:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("wb")

    bundle = _Bundle(source, open_file)
    bundle.write()
    return bundle.files


def _member(archive: zipfile.ZipFile, path: str, created_ms: int) -> IO[bytes]:
    """Open a new member of a zip."""
    member = zipfile.ZipInfo(path, datetime.fromtimestamp(created_ms / 1000, UTC).timetuple()[:6])
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o600 << 16
    # A member with a date of its own does not inherit the archive's compression level.
    if sys.version_info >= (3, 13):
        member.compress_level = _LEVEL
    else:
        member._compresslevel = _LEVEL  # type: ignore[attr-defined]  # its name before 3.13
    return archive.open(member, "w", force_zip64=True)


class _Bundle:
    """Writes the members of one zip, or the files of a folder.

    Args:
        source: what is exported.
        opened: opens a member by its path, to be written and closed.
    """

    def __init__(self, source: ExportSource, opened: Callable[[str], IO[bytes]]) -> None:
        self._source = source
        self._open = opened
        self._files: list[WrittenFile] = []

    @property
    def files(self) -> tuple[WrittenFile, ...]:
        """The files written, without the description that names them."""
        return tuple(self._files)

    def write(self) -> None:
        """Write all members; the description comes last, as it holds sizes and hashes."""
        for name in FILES:
            with self._open(f"{name}.csv") as member:
                size, sha256, rows = write_blocks(member, self._source.blocks(name))
            table = WrittenFile(name, f"{name}.csv", TITLES[name], "text/csv", size, sha256, rows)
            self._files.append(table)
        self._text("vital_kind.csv", "Measures that can be tested, for analysis.R", kinds_csv())
        for path, title in _SCRIPTS.items():
            self._text(path, title, _resource(path))
        settings = table_schemas.json_file(self._source.appliance.settings)
        self._text("settings.json", "Settings at the time of the export", settings)
        question = table_schemas.json_file(self._source.appliance.question)
        self._text("question.json", "The question asked on the Analysis page", question)
        for name, title in COMPUTED_TITLES.items():
            if text := self._source.appliance.tables.get(f"{name}.csv"):
                lines = sum(1 for _ in csv.reader(io.StringIO(text, newline="")))
                self._text(f"{name}.csv", title, text, rows=lines - 1)
        if text := self._method():
            title = "The instruments, and how the analysis computed its numbers, as text"
            self._text(METHOD_OF_ANALYSIS, title, text)
        for path, title, text in self._figures():
            self._text(path, title, text)
        for path, title, plan in self._plans():
            self._text(path, title, plan)
        # A participant's own copy does not say what the study expects of them.
        if not self._source.chosen.participant:
            for path, title, text in preregistration_files(self._source.connection):
                self._text(path, title, text)
        for sha256, card in self._cards():
            name = json.loads(card)["name"]
            self._text(f"models/{name}-{sha256[:8]}.json", f"Card of the model {name}", card)
        codebook = table_schemas.codebook(self._files, self._source.created)
        self._text(table_schemas.PATH, table_schemas.TITLE, codebook)
        self._text("README.md", "Read this first", self._readme())
        with self._open(DESCRIPTION) as member:
            member.write(description(self._files, self._source.chosen.participant).encode())

    def _method(self) -> str:
        """Return what is known of the instruments, and the method of the analysis."""
        rows = self._source.rows("session")
        stated = Counter(str(row["instruments"]) for row in rows if row["instruments"])
        analysis = self._source.appliance.tables.get(METHOD_OF_ANALYSIS, "").rstrip()
        of_devices = [*instruments_in_words(stated), *beats_in_words(self._source).values()]
        paragraphs = [*of_devices, *([analysis] if analysis else [])]
        return "\n\n".join(paragraphs) + "\n" if paragraphs else ""

    def _text(self, path: str, title: str, text: str, rows: int | None = None) -> None:
        data = text.encode()
        with self._open(path) as member:
            member.write(data)
        name = path.lower().replace("/", "-").replace(".", "-")
        media_type = _MEDIA_TYPES[path.rpartition(".")[2]]
        sha256 = hashlib.sha256(data).hexdigest()
        self._files.append(WrittenFile(name, path, title, media_type, len(data), sha256, rows))

    def _figures(self) -> Iterator[tuple[str, str, str]]:
        """Yield path, title and text of each chart of the question."""
        for path, text in self._source.appliance.tables.items():
            titled = _TITLE.search(text) if path.endswith(".svg") else None
            if titled is not None:
                width = "8.5" if path.endswith("-narrow.svg") else "17"
                yield path, f"Figure, {width} cm: {html.unescape(titled[1])}", text

    def _plans(self) -> Iterator[tuple[str, str, str]]:
        """Yield path, title and text of each order of a protocol that was run."""
        rows = self._source.connection.execute(
            # SEED is a text of our own
            f"SELECT name, sha256, order_row, {SEED} AS seed, max(plan) AS plan FROM protocol_run "  # noqa: S608
            "WHERE session IN (SELECT value FROM json_each(:sessions)) GROUP BY 1, 2, 3, 4 "
            "ORDER BY 1, 2, 3, 4",
            self._source.chosen.parameters,
        )
        for row in rows:
            name = re.sub(r"[^A-Za-z0-9._-]", "-", row["name"])
            order = f"order-{row['order_row']}"
            order += "" if row["seed"] is None else f"-seed-{row['seed']}"
            path = f"protocols/{name}-{row['sha256'][:8]}-{order}.json"
            title = f"Screens of the protocol {name}, {order.replace('-', ' ')}"
            yield path, title, row["plan"] + "\n"

    def _cards(self) -> list[tuple[str, str]]:
        """Return SHA-256 and card of the models that were used, as far as their cards are known.

        A file that was used with a card of another version alone has none.
        """
        used = self._source.connection.execute(
            "SELECT DISTINCT sha256, version FROM model ORDER BY sha256"
        )
        cards = self._source.appliance.cards
        return [
            (sha256, cards[sha256])
            for sha256, version in used
            if sha256 in cards and json.loads(cards[sha256])["version"] == version
        ]

    def _readme(self) -> str:
        rows = {file.name: file.rows for file in self._files}
        participants = count_text(rows["participant"] or 0, "participant")
        if self._source.chosen.participant:
            participants = f"the participant {self._source.chosen.participant} alone"
        return _resource("README.md").format(
            created=self._source.created,
            version=__version__,
            device=self._source.appliance.device,
            sessions=count_text(rows["session"] or 0, "session"),
            origins=origins_in_words(self._source.rows("session")) or "none",
            participants=participants,
            range=_range(self._source.chosen.span),
            files="\n".join(_files(self._files)),
        )


def kinds_csv() -> str:
    """Return the properties of the measures that the scripts need, as CSV.

    A kind without a bound is not tested; ``option`` ends the options that set bound and settling
    time; ``table`` is the file that its values stand in; ``lag_s`` is how much later than the face
    it is.
    """
    lines = ["kind,label,unit_shown,bound,option,default,settling_s,table,lag_s"]
    for kind in MEASURES:
        spec = kind.spec
        cells = (
            kind.value,
            spec.label,
            spec.unit_shown,
            "" if spec.bound is None else f"{spec.bound:g}",
            spec.option or "",
            str(int(spec.tested_by_default)),
            f"{spec.settling_s:g}",
            table_of(kind).value,
            f"{spec.lag_s:g}",
        )
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def _files(files: Sequence[WrittenFile]) -> Iterator[str]:
    for file in files:
        yield f"| `{file.path}` | {file.title} | {'' if file.rows is None else f'{file.rows:,}'} |"


def instruments_in_words(stated: Mapping[str, int]) -> Iterator[str]:
    """Yield a paragraph for each text about instruments; ``stated``: of how many sessions it is."""
    for text, sessions in stated.items():
        whose = f"Stated of {count_text(sessions, 'session')}:"
        yield " ".join([whose, *method_of(text)])


def has_made_up_times(session: Row) -> bool:
    """Return whether the table of a session told no times."""
    return str(session["origin"] or "").endswith(f"({MADE_UP})")


def origins_in_words(sessions: Iterable[Row]) -> str:
    """Return how many sessions come from where; without any session an empty text."""
    counts = Counter(map(_origin, sessions))
    return ", ".join(f"{counts[word]:,} {word}" for word in _WORDS if counts[word])


def _origin(session: Row) -> str:
    if session["simulated"]:
        return _SIMULATED
    if has_made_up_times(session):
        return _MADE_UP
    return {"": _HERE, ENTERED: _ENTERED}.get(str(session["origin"] or ""), _IMPORTED)


def count_text(count: int, what: str) -> str:
    """Return a number of things in words.

    >>> count_text(1, "session"), count_text(1200, "reading")
    ('1 session', '1,200 readings')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _range(span: tuple[int, int]) -> str:
    """Return a sentence on the exported range."""
    start, end = (
        clock.iso_utc(at) if at != always else "" for at, always in zip(span, ALWAYS, strict=True)
    )
    if not (start or end):
        return "all times"
    return f"{f'from {start} ' if start else ''}{f'up to {end}' if end else 'on'}".strip()


def _resource(name: str) -> str:
    return (resources.files("edge_agent.timeline.export") / "scripts" / name).read_text(
        encoding="utf-8"
    )


BUNDLE = FileFormat(
    name="bundle",
    label=N_("Bundle (zip)"),
    summary="a zip that explains and recomputes itself",
    description=N_(
        "CSV tables with their description, settings, model cards and two scripts that compute the "
        "tests again."
    ),
    audience=Audience.R_AND_PYTHON,
    suffix=".zip",
    media_type="application/zip",
    position=10,
    computed=frozenset({Computed.ANALYSIS}),
    write=_write,
)
