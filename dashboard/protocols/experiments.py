"""Experiments of a laboratory, such as those of jsPsych: a ZIP file with a page and its scripts.

The page runs in a frame of the participant's page, which shares nothing with the dashboard: no
cookie, no storage, no address of another page. It is a program all the same, so only an
administrator brings it. It is served from the ZIP file; nothing is unpacked.
"""

from __future__ import annotations

import hashlib
import html
import lzma
import posixpath
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from edge_agent.core.brought_files import UNBOUNDED, opened_archive
from edge_agent.core.errors import AffectEdgeError, DataFileError
from edge_agent.core.texts import N_, Message

PAGE = "index.html"
CONNECTOR = "affect-edge.js"
"""The script of ours that an experiment may load: it sends markers and answers."""
MOST_BYTES = 200 * 1024**2
"""Of all files together, unpacked."""
MOST_FILES = 500
FORBIDDEN = {
    "dashboard": N_("the dashboard's pages, files and API, and the page around the frame"),
    "storage": N_("cookies, localStorage, sessionStorage, IndexedDB and caches"),
    "network": N_("files and services of other addresses, WebSockets and beacons"),
    "workers": N_("workers and service workers"),
    "frames": N_("frames of its own, and other pages in its place"),
    "windows": N_("new windows, alert, confirm and prompt, downloads, full screen, pointer lock"),
    "forms": N_("sending a form (the script beside it gets what was typed)"),
    "code": N_("code made of text: eval, new Function, WebAssembly"),
    "devices": N_("camera, microphone, location and other devices"),
}
"""What the frame of an experiment forbids it, by a name for each."""
_CHUNK = 256 * 1024
_LOOKED_AT = 256 * 1024
"""Bytes of a page in which addresses are looked for."""
_MOST_NOTICES = 5
_COMMENT = re.compile(r"(?s)<!--.*?(?:-->|\Z)")
_SCRIPT = re.compile(r"(?is)(<script\b[^<>]{0,1000}>).*?(?:</script|\Z)")
_LOADED = re.compile(
    r"""(?i)<(?:(?:script|img|audio|video|source|iframe)\b[^<>]{0,1000}?\ssrc"""
    r"""|link\b(?=[^<>]{0,1000}?\bstylesheet\b)[^<>]{0,1000}?\shref)\s?=\s?"""
    r"""("[^"<>]{0,500}"|'[^'<>]{0,500}'|[^\s"'<>]{1,500})"""
)
"""What a page loads beside itself: an address, perhaps in quotes."""
_ELSEWHERE = re.compile(r"(?i)(?:https?:)?/")
_OF_ITS_OWN = re.compile(r"(?i)(?:data|blob|about|javascript):|#|\Z")
FILE_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,120}")
"""A name of a file or folder that no system takes for a path."""
_ENCRYPTED = 0x1
UNREADABLE = (
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    OSError,
    UnicodeDecodeError,
    zlib.error,
    lzma.LZMAError,
)
"""Errors that ``zipfile`` raises of a damaged file, or of one that it cannot read."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}


class ExperimentError(AffectEdgeError, ValueError):
    """A ZIP file is no experiment; the text says why and what to do."""


def check_experiment(place: Path) -> None:
    """Make sure that a ZIP file can be shown as an experiment.

    Raises:
        ExperimentError: it cannot.
    """
    with _open_archive(place) as archive:
        _root(archive)


def check_contents(place: Path) -> None:
    """Make sure that every file of an experiment can be unpacked, and is as long as it says.

    It reads all of them, so it is for one that is brought, not for one that is served.

    Raises:
        ExperimentError: one cannot; the text names it.
    """
    with _open_archive(place) as archive:
        check_names(archive.infolist())
        for entry in archive.infolist():
            try:
                with archive.open(entry) as file:
                    size = sum(map(len, iter(partial(file.read, _CHUNK), b"")))
            except UNREADABLE as error:
                raise ExperimentError(
                    N_(
                        "{entry!r} in it cannot be unpacked ({reason}); pack it again as a ZIP file"
                    ),
                    entry=entry.filename[:80],
                    reason=str(error)[:80],
                ) from error
            if size != entry.file_size:
                raise ExperimentError(
                    N_("{entry!r} in it has {size:,} bytes and says {said:,}; pack it again"),
                    entry=entry.filename[:80],
                    size=size,
                    said=entry.file_size,
                )


def notices_of(place: Path) -> list[Message]:
    """Return a sentence for each file that the page of an experiment names and that does not load.

    Only what stands in its HTML counts: what its programs load shows in the preview.

    Raises:
        ExperimentError: the ZIP file cannot be used.
    """
    with _open_archive(place) as archive:
        root, names = _root(archive), set(archive.namelist())
        with archive.open(root + PAGE) as file:
            page = file.read(_LOOKED_AT).decode("utf-8", "replace")
    plain = _SCRIPT.sub(r"\1", _COMMENT.sub("", page))
    notices = []
    for mention in dict.fromkeys(_LOADED.findall(plain)):
        address = html.unescape(mention.strip("\"'")).strip()
        name = posixpath.normpath(unquote(re.split(r"[?#]", address)[0]))
        if _ELSEWHERE.match(address):
            text = N_(
                "{page} loads {address}: nothing is loaded from other addresses. Put the file into "
                "the ZIP file, and name it from there."
            )
        elif _OF_ITS_OWN.match(address) or name == CONNECTOR or root + name in names:
            continue
        else:
            text = N_("{page} loads {address}, which is not in the ZIP file. Put it there.")
        notices.append(Message(text, page=PAGE, address=address[:80]))
    return notices[:_MOST_NOTICES]


def key_of(token: str) -> str:
    """Return the key in the address of an experiment's files.

    It follows from the token of the participant's page, which the experiment does not learn.
    """
    return hashlib.sha256(b"affect-edge experiment\0" + token.encode()).hexdigest()[:40]


def file_type(name: str) -> str:
    """Return the type that a browser is told of a file."""
    return _TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")


def read_file(place: Path, name: str) -> tuple[int, Iterator[bytes]]:
    """Return the size of a file of an experiment, and its bytes in pieces.

    Args:
        place: the ZIP file.
        name: of the file, from the folder of its page.

    Raises:
        ExperimentError: there is no such file, or the ZIP file cannot be used.
    """
    with _open_archive(place) as archive:
        inside = _root(archive) + name
        if inside not in archive.namelist() or inside.endswith("/"):
            raise ExperimentError(N_("there is no file {name} in it"), name=name[:80])
        size = archive.getinfo(inside).file_size
    return size, _pieces(place, inside, size)


def _pieces(place: Path, inside: str, size: int) -> Iterator[bytes]:
    """Yield a file, never more bytes than it says."""
    with _open_archive(place) as archive, archive.open(inside) as file:
        while size and (chunk := file.read(min(_CHUNK, size))):
            size -= len(chunk)
            yield chunk


@contextmanager
def _open_archive(place: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP file whose list of files was checked."""
    try:
        with opened_archive(place, MOST_FILES) as archive:
            check_files(archive.infolist(), MOST_FILES, MOST_BYTES)
            yield archive
    except DataFileError as error:
        raise ExperimentError(
            N_("its list of files is far too long; pack it again with fewer files")
        ) from error
    except UNREADABLE as error:
        raise ExperimentError(
            N_("it cannot be unpacked ({reason}); pack it again as a ZIP file"),
            reason=str(error)[:80],
        ) from error


def check_files(entries: Sequence[zipfile.ZipInfo], most_files: int, most_bytes: int) -> None:
    """Make sure that an archive is not too large, leads nowhere else, and is not locked.

    Raises:
        ExperimentError: it is not so.
    """
    for entry in entries:
        path = PurePosixPath(entry.filename)
        is_link = stat.S_ISLNK(entry.external_attr >> 16)
        parts = [part for part in path.parts if not FILE_NAME.fullmatch(part) or part == ".."]
        if path.is_absolute() or parts or is_link:
            reason = N_("{entry!r} in it leads out of its folder; pack it without")
        elif entry.flag_bits & _ENCRYPTED:
            reason = N_("{entry!r} in it has a password; pack it without")
        elif entry.compress_type in UNBOUNDED:
            reason = N_("{entry!r} in it is packed in a rare way; pack it again as a ZIP file")
        else:
            continue
        raise ExperimentError(reason, entry=entry.filename[:80])
    size = sum(entry.file_size for entry in entries)
    if size > most_bytes or len(entries) > most_files:
        raise ExperimentError(
            N_(
                "it unpacks to {count} files of {size:,.0f} MiB; {most_files} files of "
                "{most:,.0f} MiB are allowed"
            ),
            count=len(entries),
            size=size / 1024**2,
            most_files=most_files,
            most=most_bytes / 1024**2,
        )


def check_names(entries: Iterable[zipfile.ZipInfo]) -> None:
    """Make sure that an archive that is brought has each name once.

    Raises:
        ExperimentError: it does not.
    """
    if name := _first_twice(entries):
        raise ExperimentError(N_("{entry!r} is in it twice; pack it again"), entry=name[:80])


def name_twice(place: Path) -> str:
    """Return a name that is in an experiment twice, as in one of an earlier release; empty: none.

    Of two files with one name the last is shown.
    """
    try:
        with _open_archive(place) as archive:
            return _first_twice(archive.infolist())
    except ExperimentError:  # it cannot be shown, as its protocol says
        return ""


def _first_twice(entries: Iterable[zipfile.ZipInfo]) -> str:
    counts = Counter(entry.filename for entry in entries)
    return next((name for name, count in counts.items() if count > 1), "")


def _root(archive: zipfile.ZipFile) -> str:
    """Return the folder of the page within an archive, empty or with a slash behind it.

    Raises:
        ExperimentError: there is none, or there are several.
    """
    pages = [PurePosixPath(name) for name in set(archive.namelist()) if _is_page(name)]
    least = min((len(page.parts) for page in pages), default=0)
    pages = [page for page in pages if len(page.parts) == least]
    if len(pages) != 1:
        raise ExperimentError(
            N_("it needs one file {page}, the page of the experiment, and has {count}"),
            page=PAGE,
            count=len(pages),
        )
    folder = pages[0].parent.as_posix()
    return "" if folder == "." else f"{folder}/"


def _is_page(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name == PAGE and not any(part.startswith((".", "__MACOSX")) for part in path.parts)
