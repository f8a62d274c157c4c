"""The protocols of an appliance: those that were made or brought in the browser, those of the
configured folder, and the shipped examples.

What the browser makes lies in a folder of its own, a folder for each protocol with its file and
media. Nothing is written anywhere else. A protocol of an earlier shelf hides one of the same name.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import BinaryIO, cast

from dashboard.protocols.experiments import (
    FILE_NAME,
    UNREADABLE,
    ExperimentError,
    check_contents,
    check_files,
    check_names,
    name_twice,
    notices_of,
)
from dashboard.protocols.file import (
    ENDING,
    EXAMPLES,
    FILE_BYTES,
    ProtocolError,
    StudyProtocol,
    load_protocol,
)
from dashboard.protocols.media import MediaKind, check_media, endings, kind_of
from dashboard.protocols.steps import Stimulus
from edge_agent.core import clock
from edge_agent.core.brought_files import opened_archive
from edge_agent.core.errors import DataFileError
from edge_agent.core.files import room_in, write_piece
from edge_agent.core.texts import N_, Message, text_of
from edge_agent.timeline.database.dashboard_file import LEFT_S, written_s

_ARCHIVE_BYTES = 1024**3
"""Of all files in an archive."""
_MOST_FILES = 500
_MOST_LISTED = 20_000
_MOST_OWN = 500
_NAME_LENGTH = 48
_CHUNK = 1024 * 1024
_ZIP = b"PK\x03\x04"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WRITES = Lock()
_PASSING = _INCOMING, _MADE, _REMOVED = ".incoming-", ".made-", ".removed-"
_PROGRAM = N_("{name}: an experiment is a program. Ask an administrator to bring it.")


class ProtocolOrigin(StrEnum):
    """Place of a protocol."""

    OWN = "own"
    """Made or brought in the browser: it can be changed there."""
    CONFIGURED = "configured"
    SHIPPED = "shipped"


@dataclass(frozen=True, slots=True)
class ListedProtocol:
    """A protocol file: what it is, or why it cannot be used."""

    name: str
    title: str
    problem: str | None
    origin: ProtocolOrigin


@dataclass(frozen=True, slots=True)
class Library:
    """All protocols of an appliance.

    Attributes:
        own: folder of what is made or brought in the browser; it need not be there.
        configured: folder that the configuration names; ``EXAMPLES``: none.
    """

    own: Path
    configured: Path = EXAMPLES

    def list_all(self) -> list[ListedProtocol]:
        """Return all protocols by name, those that cannot be used with the reason."""
        listed: dict[str, ListedProtocol] = {}
        for origin, path in self._files():
            if path.stem not in listed:
                listed[path.stem] = _entry(origin, path)
        return [listed[name] for name in sorted(listed)] + self._unreadable()

    def find(self, name: str) -> StudyProtocol:
        """Read the protocol of a name.

        Raises:
            ProtocolError: there is none of that name, or it cannot be used.
        """
        return load_protocol(self.place_of(name)[1])

    def place_of(self, name: str) -> tuple[ProtocolOrigin, Path]:
        """Return where the file of a protocol lies.

        Raises:
            ProtocolError: there is none of that name.
        """
        # The pattern first: a name with a slash or two dots must never become a path.
        if _NAME.fullmatch(name):
            own = self.own / name / (name + ENDING)
            places = {
                own: ProtocolOrigin.OWN,
                self.configured / (name + ENDING): ProtocolOrigin.CONFIGURED,
            }
            # Where no folder is configured, this takes the place of it.
            places[EXAMPLES / (name + ENDING)] = ProtocolOrigin.SHIPPED
            for path, origin in places.items():
                if path.is_file():
                    return origin, path
        raise ProtocolError(
            N_("There is no protocol {name!r}. Choose another."), name=name[:64], field="protocol"
        )

    def own_file(self, name: str) -> Path:
        """Return the file of a protocol that the browser may change.

        Raises:
            ProtocolError: there is none of that name, or it lies elsewhere.
        """
        origin, path = self.place_of(name)
        if origin is not ProtocolOrigin.OWN:
            raise ProtocolError(
                N_("{name}: is no protocol of this page. Copy it, and change the copy."), name=name
            )
        return path

    def media_of(self, name: str, kind: MediaKind | None = None) -> list[str]:
        """Return the names of the media in a protocol's folder, of one kind or all."""
        folder = self.place_of(name)[1].parent
        files = (path for path in folder.rglob("*") if path.is_file())
        names = (path.relative_to(folder).as_posix() for path in files)
        return sorted(one for one in names if (its := kind_of(one)) and kind in {None, its})

    def names_twice(self, name: str) -> dict[str, str]:
        """Return the experiments of a protocol in which a name is twice, each with that name."""
        folder = self.place_of(name)[1].parent
        experiments = self.media_of(name, MediaKind.EXPERIMENT)
        return {one: twice for one in experiments if (twice := name_twice(folder / one))}

    def notices(self, name: str) -> dict[str, list[Message]]:
        """Return the experiments of a protocol, each with what its page names and cannot load."""
        folder = self.place_of(name)[1].parent
        notices: dict[str, list[Message]] = {}
        for one in self.media_of(name, MediaKind.EXPERIMENT):
            try:
                notices[one] = notices_of(folder / one)
            except ExperimentError:  # it cannot be shown, as its protocol says
                continue
        return notices

    def incoming(self) -> Path:
        """Return a new place for a file that is being sent; the caller deletes it."""
        self.own.mkdir(mode=0o700, exist_ok=True)
        self.sweep()
        return self.own / f"{_INCOMING}{secrets.token_hex(8)}"

    def sweep(self) -> None:
        """Delete what an interruption has left of files that were sent, made or removed.

        That is what begins as they do, and into which nothing was written for an hour.
        """
        now_s = clock.now().wall_ms / 1000
        with suppress(OSError):
            for one in self.own.iterdir():
                with suppress(OSError):
                    if one.name.startswith(_PASSING) and now_s - written_s(one) > LEFT_S:
                        if one.is_dir() and not one.is_symlink():
                            shutil.rmtree(one)
                        else:
                            one.unlink()

    def write(self, target: BinaryIO, content: bytes) -> None:
        """Write a piece of a file, and leave as much space on the disk as is reserved.

        Raises:
            ProtocolError: it would not be left.
        """
        if not write_piece(target, content, self._place):
            raise _full_error(len(content))

    def check_space(self, size: int) -> None:
        """Refuse a file that would fill the disk.

        Raises:
            ProtocolError: it would.
        """
        if room_in(self._place) < size:
            raise _full_error(size)

    @property
    def _place(self) -> Path:
        return self.own if self.own.is_dir() else self.own.parent

    def add_upload(self, file_name: str, sent: Path, *, programs: bool = False) -> str:
        """Add a protocol that was sent: a TOML file, or a ZIP file with its media.

        Args:
            file_name: as its sender calls it.
            sent: where it lies; an ``incoming`` place.
            programs: whether its sender may bring experiments, which are programs.

        Returns:
            The name of the new protocol, which may differ where there is one of its name.

        Raises:
            ProtocolError: it cannot be used; nothing was kept.
        """
        with sent.open("rb") as file:
            is_zip = file.read(len(_ZIP)) == _ZIP
        with self._made_aside() as folder:
            if is_zip:
                toml = _unpack(self, sent, file_name, folder, programs=programs)
            else:
                toml = folder / (_plain(PurePosixPath(file_name).stem) + ENDING)
                self._copy(sent, toml)
            return self._take_in(folder, toml)

    def add_media(
        self,
        name: str,
        file_name: str,
        sent: Path,
        *,
        programs: bool = False,
        replaces: bool = False,
    ) -> str:
        """Add a picture, sound, video or experiment to a protocol, and return its name there.

        Args:
            name: of the protocol.
            file_name: as its sender calls it.
            sent: where it lies; an ``incoming`` place.
            programs: as for ``add_upload``.
            replaces: whether a file of this name is replaced; else the new one gets a number.

        Raises:
            ProtocolError: it is none, or the protocol cannot be changed.
        """
        folder = self.own_file(name).parent
        kind = kind_of(file_name)
        if kind is None or not FILE_NAME.fullmatch(file_name) or file_name.startswith("."):
            raise ProtocolError(
                N_("{name}: is no picture, sound, video or experiment. Send one of: {endings}."),
                name=file_name[:80],
                endings=", ".join(endings(one) for one in MediaKind),
            )
        if kind is MediaKind.EXPERIMENT and not programs:
            raise ProtocolError(_PROGRAM, name=file_name[:80])
        # Checked where it lies, under a name with its ending.
        checked = sent.with_name(sent.name + PurePosixPath(file_name).suffix.lower())
        sent.replace(checked)
        try:
            check_media(checked.parent, checked.name, kind)
            if kind is MediaKind.EXPERIMENT:
                check_contents(checked)
            with _WRITES:
                place = folder / file_name if replaces else _free(folder / file_name)
                checked.replace(place)
        except ValueError as error:
            raise _refusal(file_name, error) from error
        finally:
            checked.unlink(missing_ok=True)
        return place.name

    def drop_media(self, name: str, file_name: str) -> None:
        """Delete a picture, sound, video or experiment that no step names.

        Raises:
            ProtocolError: a step names it, or there is none of that name.
        """
        path = self.own_file(name)
        with _WRITES:
            if file_name not in self.media_of(name):
                raise ProtocolError(N_("{name}: is not here any more."), name=file_name[:80])
            if file_name in _named_by(path):
                raise ProtocolError(
                    N_("{name}: the protocol names this file. Change the step first."),
                    name=file_name[:80],
                )
            (path.parent / file_name).unlink()

    def add(self, name: str, text: str) -> str:
        """Add a protocol of this text, without media, and return its name.

        Raises:
            ProtocolError: it cannot be used; nothing was kept.
        """
        with self._made_aside() as folder:
            toml = folder / (_plain(name) + ENDING)
            toml.write_text(text, encoding="utf-8")
            return self._take_in(folder, toml)

    def copy(self, name: str) -> str:
        """Copy a protocol with the media that it names, and return the name of the copy.

        Raises:
            ProtocolError: it cannot be used, or the disk is full.
        """
        _, path = self.place_of(name)
        protocol = load_protocol(path)
        media = media_named(protocol)
        self.check_space(sum((path.parent / one).stat().st_size for one in media))
        with self._made_aside() as folder:
            toml = folder / path.name
            self._copy(path, toml)
            for one in media:
                (folder / one).parent.mkdir(parents=True, exist_ok=True)
                self._copy(path.parent / one, folder / one)
            return self._take_in(folder, toml)

    def save(self, name: str, text: str, was: str) -> None:
        """Replace the file of a protocol.

        Args:
            name: of the protocol.
            text: its new text.
            was: SHA-256 of the file that the change was made of.

        Raises:
            ProtocolError: the text cannot be used, or the file has changed since; nothing was
                changed.
        """
        path = self.own_file(name)
        with _WRITES:
            if sha256_of(path) != was:
                raise ProtocolError(
                    N_("Somebody has changed this protocol meanwhile. Open it again.")
                )
            fresh = path.with_name(f".{path.name}.new")
            try:
                fresh.write_text(text, encoding="utf-8")
                with _by_its_name(fresh, path.name):
                    load_protocol(fresh)
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Delete a protocol that was made or brought in the browser, with its media.

        Raises:
            ProtocolError: there is none of that name.
        """
        folder = self.own_file(name).parent
        with _WRITES:
            aside = self.own / f"{_REMOVED}{secrets.token_hex(8)}"
            folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)  # what stays is swept

    def pack(self, name: str, target: Path) -> None:
        """Write a protocol with the media that it names into a ZIP file.

        Raises:
            ProtocolError: it cannot be used.
        """
        _, path = self.place_of(name)
        media = media_named(load_protocol(path))
        # Media are packed already.
        with target.open("xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for one in (path.name, *media):
                entry = zipfile.ZipInfo.from_file(path.parent / one, one)
                with (path.parent / one).open("rb") as source, archive.open(entry, "w") as member:
                    while chunk := source.read(_CHUNK):
                        self.write(cast("BinaryIO", member), chunk)

    def _copy(self, source: Path, target: Path) -> None:
        """Copy a file piece by piece, as ``write`` does."""
        with source.open("rb") as read, target.open("xb") as written:
            while chunk := read.read(_CHUNK):
                self.write(written, chunk)

    def _files(self) -> Iterator[tuple[ProtocolOrigin, Path]]:
        """Yield the files of all shelves, the first shelf first."""
        yield from (
            (ProtocolOrigin.OWN, folder / (folder.name + ENDING))
            for folder in _inside(self.own)
            if _NAME.fullmatch(folder.name) and (folder / (folder.name + ENDING)).is_file()
        )
        shelves = {self.configured: ProtocolOrigin.CONFIGURED, EXAMPLES: ProtocolOrigin.SHIPPED}
        for shelf, origin in shelves.items():
            for path in _inside(shelf):
                if path.suffix == ENDING and _NAME.fullmatch(path.stem):
                    yield origin, path

    def _unreadable(self) -> list[ListedProtocol]:
        try:
            next(self.configured.iterdir(), None)
        except OSError as error:
            problem = f"{self.configured}: the folder of protocols cannot be read"
            problem += f" ({error.strerror})."
            return [ListedProtocol("", "", problem, ProtocolOrigin.CONFIGURED)]
        return []

    @contextmanager
    def _made_aside(self) -> Iterator[Path]:
        """Give a folder in which a protocol is made; it goes where it was not taken in."""
        self.own.mkdir(mode=0o700, exist_ok=True)
        folder = self.own / f"{_MADE}{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _take_in(self, folder: Path, toml: Path) -> str:
        """Check a protocol in a folder, and give both their name."""
        with _by_its_name(toml, toml.name):
            load_protocol(toml)
        with _WRITES:
            if sum(1 for _ in _inside(self.own)) > _MOST_OWN:
                raise ProtocolError(
                    N_("There are {most} protocols. Remove some that nobody needs."), most=_MOST_OWN
                )
            name = self._free_name(toml.stem)
            toml.rename(folder / (name + ENDING))
            folder.rename(self.own / name)
        return name

    def _free_name(self, name: str) -> str:
        taken = {path.stem for _, path in self._files()} | {one.name for one in _inside(self.own)}
        names = (name, *(f"{name[:_NAME_LENGTH]}-{number}" for number in range(2, 10_000)))
        return next(one for one in names if one not in taken)


def media_named(protocol: StudyProtocol) -> list[str]:
    """Return the media files that a protocol names, each once."""
    stimuli = (step for step in protocol.steps if isinstance(step, Stimulus))
    names = {step.media[1] for step in stimuli if step.media is not None}
    return sorted({str(PurePosixPath(name)) for name in names})  # "./a.png" is "a.png"


def _named_by(path: Path) -> Collection[str]:
    """Return the media that a file names; where it is no protocol, its text: any could be meant."""
    try:
        return media_named(load_protocol(path))
    except ProtocolError:
        return path.read_text(encoding="utf-8-sig", errors="replace")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _entry(origin: ProtocolOrigin, path: Path) -> ListedProtocol:
    try:
        return ListedProtocol(path.stem, load_protocol(path).title, None, origin)
    except ProtocolError as error:
        return ListedProtocol(path.stem, path.stem, text_of(error), origin)


def _inside(folder: Path) -> list[Path]:
    """Return what lies in a folder, but what is hidden; nothing where there is none."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _plain(name: str) -> str:
    """Return a name for a protocol, of letters, digits and few others."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:_NAME_LENGTH]
    return plain or "protocol"


def _free(place: Path) -> Path:
    """Return a place of which there is no file yet."""
    others = (place.with_stem(f"{place.stem}-{number}") for number in range(2, 10_000))
    return next(one for one in (place, *others) if not one.exists())


@contextmanager
def _by_its_name(path: Path, name: str) -> Iterator[None]:
    """Tell of a file by its name alone: nobody who sent it knows the folder."""
    try:
        yield
    except ProtocolError as error:
        told = text_of(error).replace(str(path), name).replace(f" in {path.parent}", "")
        raise ProtocolError(told) from error


def _refusal(file_name: str, error: ValueError) -> ProtocolError:
    """Return why a file of this name is refused."""
    return ProtocolError(N_("{name}: {reason}"), name=file_name[:80], reason=text_of(error))


def _unpack(library: Library, sent: Path, file_name: str, folder: Path, *, programs: bool) -> Path:
    """Unpack the protocol and the media of a ZIP file, and return the protocol's file."""
    left: list[str] = []
    experiments: list[Path] = []
    try:
        with opened_archive(sent, _MOST_LISTED) as archive:
            entries = [one for one in archive.infolist() if _is_wanted(one)]
            files = [one for one in entries if one.filename.endswith(ENDING)]
            _check_archive(file_name, entries, files)
            root = PurePosixPath(files[0].filename).parent
            for entry in entries:
                path = PurePosixPath(entry.filename)
                if kind_of(path.name) is MediaKind.EXPERIMENT and not programs:
                    left.append(path.name)
                elif path.is_relative_to(root):
                    place = folder.joinpath(*path.relative_to(root).parts)
                    _extract(library, archive, entry, place)
                    if kind_of(path.name) is MediaKind.EXPERIMENT:
                        experiments.append(place)
            name = PurePosixPath(files[0].filename).name
    except DataFileError as error:
        raise ProtocolError(
            N_("{name}: holds far too many files. Pack it again with those of the protocol."),
            name=file_name[:80],
        ) from error
    except UNREADABLE as error:
        raise ProtocolError(
            N_("{name}: cannot be unpacked ({reason}). Pack it again as a ZIP file."),
            name=file_name[:80],
            reason=str(error)[:80],
        ) from error
    toml = folder / (_plain(PurePosixPath(name).stem) + ENDING)
    (folder / name).rename(toml)
    with toml.open("rb") as file:  # a larger one is refused where it is loaded
        text = file.read(FILE_BYTES).decode("utf-8", "replace")
    # A ZIP file that the protocol does not name is passed over, as any other file.
    for one in left:
        if one in text:
            raise ProtocolError(_PROGRAM, name=one[:80])
    for place in experiments:
        try:
            check_contents(place)
        except ExperimentError as error:
            if place.name in text:
                raise _refusal(place.name, error) from error
            place.unlink()
    return toml


def _is_wanted(entry: zipfile.ZipInfo) -> bool:
    """Tell whether an entry of an archive is a protocol or a medium; the rest is passed over."""
    path = PurePosixPath(entry.filename)
    is_hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    if entry.is_dir() or (is_hidden and ".." not in path.parts):
        return False
    return path.suffix == ENDING or kind_of(path.name) is not None


def _check_archive(
    file_name: str, entries: list[zipfile.ZipInfo], files: list[zipfile.ZipInfo]
) -> None:
    """Refuse an archive that is too large, leads elsewhere, or has not one protocol."""
    try:
        check_files(entries, _MOST_FILES, _ARCHIVE_BYTES)
        check_names(entries)
    except ExperimentError as error:
        raise _refusal(file_name, error) from error
    if len(files) != 1:
        raise ProtocolError(
            N_("{name}: holds {count} files that end in .toml; it needs one, the protocol."),
            name=file_name[:80],
            count=len(files),
        )


def _full_error(size: int) -> ProtocolError:
    return ProtocolError(
        N_("The disk has too little space for a file of {size:,.0f} MiB. Delete files."),
        size=size / 1024**2,
    )


def _extract(
    library: Library, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path
) -> None:
    """Write an entry; never more than it says, which was checked."""
    place.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with archive.open(entry) as source, place.open("xb") as target:
        while chunk := source.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise zipfile.BadZipFile("an entry is larger than it says")
            library.write(target, chunk)
