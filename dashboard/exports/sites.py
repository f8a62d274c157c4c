"""The study of several devices as one zip: of each site what its own dashboard would export.

Each site keeps a folder of its own, for the timeline knows whose a reading is by its time, and two
devices have two clocks. Beside these folders stands what is about all sites: who they are, and the
analysis of all of them together.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, TypeVar

from dashboard.analysis.request import Sample
from dashboard.analysis.sites.pooled_reader import pooled_number, sessions_by_site
from dashboard.computing.answers import analysis_tables, tables_over_sites
from dashboard.fleet.sites import Sites
from edge_agent import __version__
from edge_agent.core import clock
from edge_agent.store.database.schema import read_transaction
from edge_agent.store.export.appliance import Appliance
from edge_agent.store.export.files import new_file
from edge_agent.store.export.format import ExportFormat
from edge_agent.store.export.progress import OnProgress
from edge_agent.store.export.rows.cells import guarded
from edge_agent.store.export.rows.selection import Choice, choose
from edge_agent.vision.models.known_cards import known_cards

SUFFIX = ".zip"
_LEVEL = 2  # as in a bundle
_LONGEST = 60
_Result = TypeVar("_Result")


class Compute(Protocol):
    """Calls a function that loads SciPy, where that may be loaded."""

    def __call__(self, function: Callable[..., _Result], *values: Any) -> _Result:
        """Return what the function returns."""


@dataclass(frozen=True, slots=True)
class StudyExport:
    """What is to be exported of several sites.

    Attributes:
        format: of the folder of each site.
        choice: which part; sessions by their numbers in ``PooledReader``. A range of time is by
            each device's own clock.
        question: of the analysis, for the bundle; empty where nobody knows it.
        models: names or paths of the configured models.
    """

    format: ExportFormat
    choice: Choice
    question: Mapping[str, Any]
    models: tuple[str, ...]

    @property
    def is_bundle(self) -> bool:
        """Whether it tells of the analysis."""
        return self.format.name == "bundle"


@dataclass(frozen=True, slots=True)
class _Site:
    """A site in an export.

    Attributes:
        name: of the device.
        database: its timeline.
        folder: in the zip.
        choice: what is taken of it, with its own numbers of sessions.
        question: of the analysis, with its own numbers of sessions; empty where the question is
            about sessions of other sites alone.
        sessions: number and participant of each session that is taken.
    """

    name: str
    database: Path
    folder: str
    choice: Choice
    question: Mapping[str, Any]
    sessions: Sequence[tuple[int, str]]


def export_sites(
    sites: Sites, wanted: StudyExport, out: Path, compute: Compute, on_progress: OnProgress
) -> None:
    """Write the zip.

    Where sessions are chosen, a site without any of them is left out. Beside ``out`` lies the
    export of one site at a time meanwhile, in a folder that only this user can read.

    Args:
        sites: name and database of each.
        wanted: what is asked for.
        out: a file that is not there yet; it gets its name when it is complete.
        compute: asks the analysis.
        on_progress: is told the share that is done; what it raises ends the export.

    Raises:
        StoreError: a database cannot be read, or the export cannot be written.
        StudyError: there is no such session, or sessions must be named.
    """
    taken = _taken(sites, wanted)
    with (
        new_file(out) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
        tempfile.TemporaryDirectory(prefix=".sites-", dir=out.parent) as scratch,
    ):
        for place, site in enumerate(taken):

            def on_site(share: float, place: int = place) -> None:
                on_progress((place + min(share, 0.999)) / len(taken))

            _add_site(archive, site, wanted, Path(scratch) / "site", compute, on_site)
        for path, text in _about_all(sites, taken, wanted, compute).items():
            archive.writestr(path, text)
    on_progress(1.0)


def _taken(sites: Sites, wanted: StudyExport) -> list[_Site]:
    """Return the sites that are taken along, in order of their names, and what of each."""
    choice = wanted.choice
    names = sorted(name for name, _ in sites)
    databases = dict(sites)
    own = sessions_by_site(names, choice.sessions or ())
    about = sessions_by_site(names, wanted.question.get("session") or ())
    chosen = names if choice.sessions is None else [name for name in names if own[name]]
    taken = []
    for name, folder in zip(chosen, _folders(chosen), strict=True):
        part = choice if choice.sessions is None else replace(choice, sessions=own[name])
        with read_transaction(databases[name]) as connection:
            rows = [
                connection.execute(
                    "SELECT session.id, participant.code FROM session JOIN participant ON "
                    "participant.id = session.participant WHERE session.id = ?",
                    (number,),
                ).fetchone()
                for number in choose(connection, part).sessions
            ]
        sessions = [(row["id"], row["code"]) for row in rows if row is not None]
        question = _question_of(wanted.question, part.sessions or about[name])
        taken.append(_Site(name, databases[name], folder, part, question, sessions))
    return taken


def _question_of(question: Mapping[str, Any], own: Sequence[int]) -> Mapping[str, Any]:
    """Return the question with a site's own numbers of the sessions that it names, if it does."""
    if question.get("sample") != Sample.SELECTED:
        return question
    return {**question, "session": list(own)} if own else {}


def _folders(names: Sequence[str]) -> list[str]:
    """Return a folder's name for each device: its own, where that is one everywhere."""
    folders: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:_LONGEST] or "-"
        folder, number = plain, 1
        while folder.lower() in {one.lower() for one in folders}:
            number += 1
            folder = f"{plain}-{number}"
        folders.append(folder)
    return folders


def _add_site(
    archive: zipfile.ZipFile,
    site: _Site,
    wanted: StudyExport,
    scratch: Path,
    compute: Compute,
    on_progress: OnProgress,
) -> None:
    """Add what the site's own dashboard would export, as a folder."""
    form = wanted.format
    about = Appliance(site.name, {}, known_cards(wanted.models), site.question)
    if wanted.is_bundle:
        one: Sites = ((site.name, site.database),)
        tables = compute(analysis_tables, one, site.question, site.choice, wanted.models)
        about = replace(about, tables=tables)
    scratch.mkdir()
    folder = f"sites/{site.folder}"
    target = scratch / (form.name if form.is_folder else f"{site.folder}{form.suffix}")
    files = form.export(site.database, target, site.choice, about, on_progress)
    if wanted.is_bundle:
        _add_members(archive, target, folder)
    else:
        base = target if form.is_folder else scratch
        for file in files:
            archive.write(file, f"{folder}/{file.relative_to(base).as_posix()}")
    shutil.rmtree(scratch)


def _add_members(archive: zipfile.ZipFile, bundle: Path, folder: str) -> None:
    with zipfile.ZipFile(bundle) as inner:
        for member in inner.namelist():
            with (
                inner.open(member) as source,
                archive.open(f"{folder}/{member}", "w", force_zip64=True) as there,
            ):
                shutil.copyfileobj(source, there)


def _about_all(
    sites: Sites, taken: Sequence[_Site], wanted: StudyExport, compute: Compute
) -> dict[str, str]:
    """Return what stands beside the folders: the text of each file by its name."""
    names = sorted(name for name, _ in sites)
    files = {
        "README.md": _readme(taken, wanted.choice),
        "sites.csv": _csv(
            ("site", "folder", "participants", "sessions"),
            (
                (
                    guarded(site.name),
                    f"sites/{site.folder}",
                    len({code for _, code in site.sessions}),
                    len(site.sessions),
                )
                for site in taken
            ),
        ),
        "session_number.csv": _csv(
            ("session", "site", "session_of_site", "participant"),
            (
                (
                    pooled_number(names, site.name, number),
                    guarded(site.name),
                    number,
                    guarded(f"{site.name}/{code}"),
                )
                for site in taken
                for number, code in site.sessions
            ),
        ),
    }
    if wanted.is_bundle:
        files |= compute(tables_over_sites, sites, wanted.question, wanted.choice, wanted.models)
    return files


def _readme(taken: Sequence[_Site], choice: Choice) -> str:
    text = (resources.files("dashboard.exports") / "SITES.md").read_text(encoding="utf-8")
    ends = [
        f"{word} {clock.iso_utc(at)}"
        for word, at in (("from", choice.start_ms), ("up to", choice.end_ms))
        if at is not None
    ]
    return text.format(
        created=clock.iso_utc(clock.now().wall_ms),
        version=__version__,
        number=len(taken),
        range=" ".join(ends) or "all times",
    )


def _csv(heads: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return out.getvalue()
