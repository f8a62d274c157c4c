"""The media files of a protocol: which formats there are, where a file may lie, and whether it is
what the protocol says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from dashboard.protocols.experiments import check_experiment
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.texts import N_

MEDIA_BYTES = 1024**3
_HEAD = 16
# The first bytes: PNG and JPEG as in their specifications; RIFF and ISO media (ftyp) name their
# kind after four or eight bytes; EBML begins WebM; an MP3 file begins with an ID3 tag or with a
# frame's eleven set bits.
_MP3 = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")


class MediaKind(StrEnum):
    """The kind of a media file; also the key of a protocol file that names it."""

    PICTURE = "picture"
    SOUND = "sound"
    VIDEO = "video"
    EXPERIMENT = "experiment"


@dataclass(frozen=True, slots=True)
class _Format:
    """The format of files of one ending: their kind, their type for browsers, and the bytes that
    they hold at an offset.
    """

    kind: MediaKind
    type: str
    magic: tuple[bytes, ...]
    offset: int = 0


_FORMATS = {
    ".png": _Format(MediaKind.PICTURE, "image/png", (b"\x89PNG\r\n\x1a\n",)),
    ".jpg": _Format(MediaKind.PICTURE, "image/jpeg", (b"\xff\xd8\xff",)),
    ".jpeg": _Format(MediaKind.PICTURE, "image/jpeg", (b"\xff\xd8\xff",)),
    ".webp": _Format(MediaKind.PICTURE, "image/webp", (b"WEBP",), 8),
    ".mp3": _Format(MediaKind.SOUND, "audio/mpeg", _MP3),
    ".ogg": _Format(MediaKind.SOUND, "audio/ogg", (b"OggS",)),
    ".wav": _Format(MediaKind.SOUND, "audio/wav", (b"WAVE",), 8),
    ".flac": _Format(MediaKind.SOUND, "audio/flac", (b"fLaC",)),
    ".m4a": _Format(MediaKind.SOUND, "audio/mp4", (b"ftyp",), 4),
    ".mp4": _Format(MediaKind.VIDEO, "video/mp4", (b"ftyp",), 4),
    ".webm": _Format(MediaKind.VIDEO, "video/webm", (b"\x1a\x45\xdf\xa3",)),
    ".zip": _Format(MediaKind.EXPERIMENT, "application/zip", (b"PK\x03\x04",)),
}


class MediaError(AffectEdgeError, ValueError):
    """A file of a protocol is not there, or is not what the protocol says."""


def endings(kind: MediaKind) -> str:
    """Return the endings that files of a kind may have, for people."""
    return ", ".join(ending for ending, form in _FORMATS.items() if form.kind is kind)


def kind_of(name: str) -> MediaKind | None:
    """Return the kind of a media file by its ending; ``None``: it is none."""
    form = _FORMATS.get(PurePosixPath(name).suffix.lower())
    return None if form is None else form.kind


def media_type(name: str) -> str:
    """Return the type that a browser is told; ``name`` has been checked."""
    return _FORMATS[PurePosixPath(name).suffix.lower()].type


def find_media(folder: Path, name: str) -> Path:
    """Return where a file of a protocol lies.

    Args:
        folder: of the protocol file.
        name: as the protocol names it.

    Raises:
        MediaError: it lies, or a link leads, outside of the folder; the text says so.
    """
    home = folder.resolve()
    # Resolved: a link that leads out of the folder is refused as well.
    place = (home / name).resolve()
    # A backslash parts folders on Windows, where the protocol may have been written.
    if Path(name).is_absolute() or "\\" in name or home not in place.parents:
        raise MediaError(
            N_("it must be in the protocol's folder or a folder below; give its path from there")
        )
    return place


def check_media(folder: Path, name: str, kind: MediaKind) -> None:
    """Make sure that a file is there and is what the protocol says.

    Raises:
        MediaError, ExperimentError: it is not; the text says why and what to do.
    """
    form = _FORMATS.get(PurePosixPath(name).suffix.lower())
    if form is None or form.kind is not kind:
        raise MediaError(
            N_("a {kind} is a file that ends in one of: {endings}"),
            kind=kind,
            endings=endings(kind),
        )
    place = find_media(folder, name)
    try:
        if not place.is_file():
            raise MediaError(
                N_("there is no such file in {folder}; put it there, or correct the name"),
                folder=folder,
            )
        size = place.stat().st_size
        with place.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise MediaError(
            N_(
                "the file cannot be read ({strerror}); give the dashboard's user permission to "
                "read it"
            ),
            strerror=error.strerror,
        ) from error
    if size > MEDIA_BYTES:
        raise MediaError(
            N_("the file has {size:,.0f} MiB; {media_bytes:,.0f} MiB are allowed"),
            size=size / 1024**2,
            media_bytes=MEDIA_BYTES / 1024**2,
        )
    if not head.startswith(form.magic, form.offset):
        raise MediaError(
            N_("the file is not {type}, although its name says so; save it in that format"),
            type=form.type,
        )
    if kind is MediaKind.EXPERIMENT:
        check_experiment(place)
