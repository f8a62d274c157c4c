"""The formats of an export: their names, what each needs, and the functions that write them.

A format writes one file (``FileFormat``), a folder with a file for each table (``FolderFormat``),
or a folder as it likes (``TreeFormat``). Reading the database, temporary files and progress are
the same for all and are done here; a format says only how rows become bytes.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.texts import N_
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.files import (
    check_target_folder,
    folder_beside,
    move_into_zip,
    new_file,
    new_folder,
)
from edge_agent.timeline.export.rows import ExportChoice, RowBlock
from edge_agent.timeline.export.source import ExportSource, OnProgress
from edge_agent.timeline.export.table_schemas import DESCRIPTION, FILES, WrittenFile, description
from edge_agent.timeline.read.base import count_declared

WriteFile = Callable[[ExportSource, IO[bytes]], None]
"""Writes an export into one open file."""

WriteTree = Callable[[ExportSource, Path], None]
"""Writes an export into an empty folder."""

WriteTable = Callable[[Path, str, Iterator[RowBlock]], WrittenFile]
"""Writes one table into a folder: the folder, the table (of ``FILES``), its blocks of CSV."""

_LAST = 1000
"""The position of formats that give none: after those that do, by name."""


class Audience(StrEnum):
    """Whom a format is for: the card on which the Export page offers it."""

    R_AND_PYTHON = N_("For R and Python")
    SPSS_AND_EXCEL = N_("For SPSS and Excel")
    ARCHIVES = N_("For archives and hospitals")
    OTHERS = N_("Other formats")


class Computed(StrEnum):
    """Tables of an export that only the analysis computes, given with its appliance."""

    ANALYSIS = "analysis"
    SKIN_RESPONSES = "skin_responses"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFormat(ABC):
    """One format of an export.

    Attributes:
        name: in commands and addresses; the name of its module, too.
        label: what people choose on the Export page.
        summary: a few words for the command's help.
        description: one sentence for the Export page.
        suffix: how a downloaded file's name ends; a folder is downloaded as a zip.
        media_type: of a downloaded file.
        audience: whom it is for; others are folded on the Export page.
        position: where it stands among the others; the lowest comes first.
        needs_sessions: whether sessions must be named.
        downloadable: whether the dashboard offers it.
        library: the Python library that it needs beyond those of the agent; empty for none.
        extra: the extra of the distribution that installs this library.
        packages: what that extra installs, where it is more than the library.
        computed: what is to be computed before, and given with the appliance.
    """

    name: str
    label: str
    summary: str
    description: str
    suffix: str
    media_type: str
    audience: Audience = Audience.OTHERS
    position: int = _LAST
    needs_sessions: bool = False
    downloadable: bool = True
    library: str = ""
    extra: str = ""
    packages: str = ""
    computed: frozenset[Computed] = frozenset()

    def export(
        self,
        database: Path,
        out: Path,
        choice: ExportChoice | None = None,
        appliance: Appliance | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Path]:
        """Write the timeline, or a part of it, in this format; return the files written.

        Rows pass through in blocks: memory does not grow with the recording. All tables show the
        same moment of a database that may be written meanwhile. The file or folder appears under
        its name when it is complete.

        Args:
            database: the database.
            out: a new file; or a new or empty folder, or one with nothing but an unchanged earlier
                export of the same format, which is replaced.
            choice: which part; ``None`` is everything.
            appliance: facts about the appliance, in formats that have a place for it.
            on_progress: gets the share that is done; what it raises ends the export.

        Raises:
            StoreError: the database cannot be read, the export cannot be written there, or the
                library is not installed.
            StudyError: there is no such session, or sessions must be named.
        """
        choice = choice or ExportChoice()
        self._check(choice)
        with read_transaction(database) as connection:
            count_declared(connection)
            source = ExportSource(connection, choice, appliance or Appliance(), on_progress)
            return self._write_to(out, source)

    def export_zip(
        self,
        database: Path,
        out: Path,
        choice: ExportChoice | None = None,
        appliance: Appliance | None = None,
        on_progress: OnProgress | None = None,
    ) -> Path:
        """Write a format that is a folder into a new zip, as it is downloaded; return the zip.

        Raises:
            StoreError, StudyError: as ``export``.
        """
        with new_file(out) as file, folder_beside(out) as scratch:
            place = scratch / self.name
            files = self.export(database, place, choice, appliance, on_progress)
            move_into_zip(files, place, file)
        return out

    @property
    def ending(self) -> str:
        """Ending of the files that it writes, such as ``.csv``; empty: of several kinds."""
        return f".{(self.suffix.removesuffix('.zip') or self.suffix).rpartition('.')[2]}"

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, which is downloaded as a zip."""
        return not isinstance(self, FileFormat)

    @property
    def lacks_library(self) -> bool:
        """True where its library is not installed."""
        return bool(self.library) and importlib.util.find_spec(self.library) is None

    def check_library(self) -> None:
        """Refuse a format whose library is not installed.

        Raises:
            StoreError: it is not; the message says how to install it.
        """
        if self.lacks_library:
            raise StoreError(
                f"{self.label} needs the library {self.library}, which is not installed. On "
                f"an appliance: sudo ./install.sh --with {self.extra}. In a checkout: "
                f".venv/bin/pip install -e '.[{self.extra}]'. With pipx: pipx inject "
                f"affect-edge {self.packages or self.library}. Or use --format csv. Nothing "
                "was exported."
            )

    @abstractmethod
    def _write_to(self, out: Path, source: ExportSource) -> list[Path]:
        """Write the file or folder."""

    def _check(self, choice: ExportChoice) -> None:
        """Check the request before anything is read."""
        self.check_library()
        if self.needs_sessions and not choice.sessions:
            raise StudyError(
                f"The format {self.name} takes sessions only: name at least one. Nothing was "
                "exported."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat(ExportFormat):
    """A format that is one file; ``write`` writes it into an open file."""

    write: WriteFile

    def _write_to(self, out: Path, source: ExportSource) -> list[Path]:
        with new_file(out) as file:
            self.write(source, file)
        return [out]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFormat(ExportFormat):
    """A format that is a folder: a file for each table, and ``datapackage.json``."""

    write_table: WriteTable

    def _write_to(self, out: Path, source: ExportSource) -> list[Path]:
        check_target_folder(out, self.ending)
        with new_folder(out) as folder:
            files = [self.write_table(folder, name, source.blocks(name)) for name in FILES]
            (folder / DESCRIPTION).write_text(
                description(files, source.chosen.participant), encoding="utf-8"
            )
        return [out / name for name in (*(file.path for file in files), DESCRIPTION)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFormat(ExportFormat):
    """A format that is a folder with folders in it; ``write_tree`` writes it into an empty one.

    ``files`` is the ending of the files that it is for; empty: they are of several kinds.
    """

    write_tree: WriteTree
    files: str = ""

    @property
    def ending(self) -> str:
        """Ending of the files that it is for."""
        return self.files

    def _write_to(self, out: Path, source: ExportSource) -> list[Path]:
        check_target_folder(out)
        with new_folder(out) as folder:
            self.write_tree(source, folder)
        return sorted(file for file in out.rglob("*") if file.is_file())
