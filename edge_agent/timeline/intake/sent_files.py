"""Files of a study that the dashboard sends in portions, because its user may not write here.

A file lies among the prepared exports of the user that imports, in a folder that names who sent it.
It is deleted when its sender sends another or gives it up, when somebody sends one an hour later,
and when anybody is erased.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.core import clock
from edge_agent.core.bounds import is_printable, limited_work
from edge_agent.core.errors import DataFileError, FileGoneError, StudyError
from edge_agent.core.files import write_piece
from edge_agent.core.readings import GivenZone
from edge_agent.core.study import AttributeUse, Purpose, SessionSetting
from edge_agent.core.texts import N_, Message
from edge_agent.core.unmet import EVERY_TIME_HAS_A_ZONE, unmet_choice
from edge_agent.timeline.database.dashboard_file import (
    make_prepared_folder,
    prepared_folder,
    sweep_prepared,
)
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.intake.cells import StatedConsent, StudyImportOptions, no_room_error

MOST_BYTES = 200_000_000
"""Largest file; larger ones are for the command ``import-study``."""
PORTION_BYTES = 2_000_000
KEPT_MS = 3_600_000
"""Time for which a file waits to be imported."""
MOST_ROWS = 2_000_000
"""Rows of a study that a page imports: a small archive may hold any number, and reading takes time.
"""
MOST_FILES = 20_000
"""Files in an archive; the list of them is kept while it is read."""
WAITING = "turn"
"""Field of the error of a study that waits for its turn to be read."""
NAME_MOST = 120
_ROWS_BETWEEN = 1_000
"""Rows between two looks whether somebody has given the file up."""
_PORTIONS = threading.Lock()
"""Held from the look at what a file has to the end of writing."""
_PREFIX = "sent-"
_KEY = re.compile(r"sent-[0-9a-f]{16}-[0-9a-f]{32}", re.ASCII)
_GIVEN_UP = N_("{name}: its reading was given up. Nothing was imported.")
_NO_CONSENT = N_("no consent is stated")
_GONE = N_("The file is no longer here: files wait for an hour. Send it again.")


@dataclass(frozen=True, slots=True)
class StudyChoices:
    """Choices of a person about a study that is imported.

    Attributes:
        prefix: goes before every code.
        leave_out: codes of whom nothing is imported.
        text_version: of the consent text to which those agreed of whom the files have no consent;
            empty: none is stated.
        given_ms: when they agreed, UTC milliseconds.
        attributes: what their consent says about attributes.
        purpose, setting: of sessions for which the files say none.
        join_recorded: whether what was recorded here in the time of a session belongs to it.
        first_ms: start of the first session of a data set without times, UTC milliseconds.
        zone: name of the time zone of times without one, such as Europe/Berlin; empty: none is
            given.
    """

    prefix: str = ""
    leave_out: tuple[str, ...] = ()
    text_version: str = ""
    given_ms: int | None = None
    attributes: AttributeUse = AttributeUse.NONE
    purpose: Purpose | None = None
    setting: SessionSetting = SessionSetting.OTHER
    join_recorded: bool = False
    first_ms: int | None = None
    zone: str = ""

    @property
    def local(self) -> GivenZone | None:
        """The time zone of times without one.

        Raises:
            StudyError: there is no zone of this name.
        """
        if not self.zone:
            return None
        try:
            return GivenZone(ZoneInfo(self.zone))
        except (KeyError, OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
            raise StudyError(
                N_("{zone} is no known time zone; write UTC or one such as Europe/Berlin."),
                field="zone",
                zone=self.zone[:60],
            ) from error

    def consent(self) -> StatedConsent | None:
        """Return the consent that is stated.

        Raises:
            StudyError: the text or the time is missing.
        """
        version = self.text_version.strip()
        if not version and self.given_ms is None:
            return None
        if not version or self.given_ms is None:
            raise StudyError(
                N_("Give both: the version of the consent text, and when they agreed."),
                field="text_version" if not version else "given_at",
            )
        return StatedConsent(version, self.given_ms, self.attributes)

    def unmet(self, zone: GivenZone | None) -> Iterator[Message]:
        """Yield a sentence for each choice that decided nothing, whatever the rows say.

        Args:
            zone: the time zone of times without one, after the files were read.
        """
        if self.attributes is not AttributeUse.NONE and not self.text_version.strip():
            yield unmet_choice("--consent-attributes", self.attributes.value, _NO_CONSENT)
        if zone is not None and not zone.is_used:
            yield unmet_choice("--timezone", self.zone, EVERY_TIME_HAS_A_ZONE)

    def over(self, options: StudyImportOptions) -> StudyImportOptions:
        """Return the options of this machine with these choices."""
        return StudyImportOptions(
            purposes=options.purposes,
            prefix=self.prefix,
            leave_out=frozenset(self.leave_out),
            consent=self.consent(),
            purpose=self.purpose,
            setting=self.setting,
            join_recorded=self.join_recorded,
            keep_days=options.keep_days,
            labels=options.labels,
        )


def begin_file(path: Path, name: str, actor: str) -> str:
    """Make room for a file; return the key under which its portions come.

    The file that the same person sent before is deleted, and those that wait for an hour.

    Args:
        path: the database.
        name: of the file, such as ``films.zip``.
        actor: who sends it.

    Raises:
        DataFileError: the name is no plain name of a file.
        StoreError: the disk is full.
    """
    if not 0 < len(name) <= NAME_MOST or not is_printable(name) or set(name) & set("/\\"):
        raise DataFileError(
            N_("{name}: a file has a name of 1 to {most} printable characters. Rename it."),
            name=name[:NAME_MOST],
            most=NAME_MOST,
        )
    if name.startswith("."):
        raise DataFileError(N_("{name}: begins with a dot. Rename it."), name=name)
    own = _owner(actor)
    with translate_errors(path):
        sweep_prepared(path.parent)
        for folder in _waiting(path):
            if folder.name.startswith(own) or _age_ms(folder) > KEPT_MS:
                shutil.rmtree(folder, ignore_errors=True)
        folder = make_prepared_folder(path.parent, f"{own}{secrets.token_hex(16)}")
        (folder / name).touch(mode=0o600)
    return folder.name


def add_portion(path: Path, key: str, at: int, portion: bytes, actor: str) -> None:
    """Write the next portion of a file.

    Args:
        path: the database.
        key: from ``begin_file``.
        at: bytes that came before.
        portion: its bytes.
        actor: who sends it.

    Raises:
        DataFileError: the file is not here, too large, or a portion is missing.
        StoreError: the disk is full.
    """
    file = sent_file(path, key, actor)
    if at + len(portion) > MOST_BYTES:
        forget_file(path, key, actor)
        raise DataFileError(
            N_(
                "{name}: is larger than {most} MB, which is the most that a page sends. Import it "
                "with the command: affect-edge import-study."
            ),
            name=file.name,
            most=MOST_BYTES // 1_000_000,
        )
    with translate_errors(path), _PORTIONS:
        with file.open("r+b") as opened:
            if opened.seek(0, os.SEEK_END) != at:
                raise DataFileError(
                    N_("{name}: was not received completely. Send it again."), name=file.name
                )
            has_room = write_piece(opened, portion, file.parent)
        if not has_room:
            forget_file(path, key, actor)
            raise no_room_error(file.name)


def sent_file(path: Path, key: str, actor: str) -> Path:
    """Return a file that this person has sent.

    Raises:
        FileGoneError: it is not, or no longer, here.
    """
    folder = _folder(path, key, actor)
    files = list(folder.iterdir()) if folder is not None and folder.is_dir() else []
    if len(files) != 1:
        raise FileGoneError(_GONE)
    return files[0]


def forget_file(path: Path, key: str, actor: str) -> None:
    """Delete a file that this person has sent, if it is there."""
    folder = _folder(path, key, actor)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def reading(file: Path) -> Iterator[Callable[[], None]]:
    """Limit the reading of a file in the block.

    Yields:
        What is called for each row that is read. It raises ``DataFileError`` for a row beyond
        ``MOST_ROWS``, and when the file was deleted.

    Raises:
        DataFileError: the reading takes more steps than any study of ``MOST_ROWS`` needs.
        FileGoneError: the file was deleted meanwhile.
    """
    refusal = DataFileError(
        N_(
            "{name}: takes longer to read than a study of a page does. Is it damaged? Import it "
            "with the command: affect-edge import-study."
        ),
        name=file.name,
    )
    with limited_work(refusal):
        try:
            yield _row_watch(file)
        except DataFileError as error:
            if file.exists():
                raise
            raise FileGoneError(_GIVEN_UP, name=file.name) from error


def _row_watch(file: Path) -> Callable[[], None]:
    rows = 0

    def watch() -> None:
        nonlocal rows
        rows += 1
        if rows > MOST_ROWS:
            raise DataFileError(
                N_(
                    "{name}: has more than {most} rows, which is the most that a page imports. "
                    "Import it with the command: affect-edge import-study."
                ),
                name=file.name,
                most=f"{MOST_ROWS:,}",
            )
        if rows % _ROWS_BETWEEN == 0 and not file.exists():
            raise FileGoneError(_GIVEN_UP, name=file.name)

    return watch


def _folder(path: Path, key: str, actor: str) -> Path | None:
    if not _KEY.fullmatch(key) or not key.startswith(_owner(actor)):
        return None
    return prepared_folder(path.parent) / key


def _owner(actor: str) -> str:
    # By a hash, for a name may hold what no name of a folder can.
    return f"{_PREFIX}{hashlib.sha256(actor.encode()).hexdigest()[:16]}-"


def _waiting(path: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from [
            one for one in prepared_folder(path.parent).iterdir() if _KEY.fullmatch(one.name)
        ]


def _age_ms(folder: Path) -> float:
    with suppress(FileNotFoundError):
        return abs(clock.now().wall_ms - folder.stat().st_mtime * 1000)
    return 0.0
