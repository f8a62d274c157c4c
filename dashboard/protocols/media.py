"""Pictures, sounds and videos of a protocol: where they may lie, and what they must be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from edge_agent.core.texts import N_, Message

MEDIA_BYTES = 1024**3
_HEAD = 16


class MediaKind(StrEnum):
    """How a file is shown; also the key of a protocol file that names it."""

    PICTURE = "picture"
    SOUND = "sound"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class _Format:
    """What a file of one ending is: its kind, its type for browsers, and the bytes that it holds at
    an offset.
    """

    kind: MediaKind
    type: str
    magic: tuple[bytes, ...]
    offset: int = 0


# The first bytes: PNG and JPEG as in their specifications; RIFF and ISO media (ftyp) name their
# kind after four or eight bytes; EBML begins WebM; an MP3 file begins with an ID3 tag or with a
# frame's eleven set bits.
_MP3 = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")
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
}


def endings(kind: MediaKind) -> str:
    """Return the endings that files of a kind may have, for people."""
    return ", ".join(ending for ending, form in _FORMATS.items() if form.kind is kind)


def media_type(name: str) -> str:
    """Return the type that a browser is told; ``name`` has been checked."""
    return _FORMATS[PurePosixPath(name).suffix.lower()].type


def find_media(folder: Path, name: str) -> Path:
    """Return where a file of a protocol lies.

    Args:
        folder: of the protocol file.
        name: as the protocol names it.

    Raises:
        ValueError: it lies, or a link leads, outside of the folder; the text says so.
    """
    home = folder.resolve()
    place = (home / name).resolve()
    if Path(name).is_absolute() or "\\" in name or home not in place.parents:
        raise ValueError(
            N_(
                "it must lie in the folder of the protocol, or in a folder below; name it "
                "from there"
            )
        )
    return place


def check_media(folder: Path, name: str, kind: MediaKind) -> None:
    """Make sure that a file is there and is what the protocol says.

    Raises:
        ValueError: it is not; the text says why and what to do.
    """
    form = _FORMATS.get(PurePosixPath(name).suffix.lower())
    if form is None or form.kind is not kind:
        raise ValueError(
            Message(
                N_("a {kind} is a file that ends in one of: {endings}"),
                kind=kind,
                endings=endings(kind),
            )
        )
    place = find_media(folder, name)
    try:
        if not place.is_file():
            raise ValueError(
                Message(
                    N_("there is no such file in {folder}; put it there, or correct the name"),
                    folder=folder,
                )
            )
        size = place.stat().st_size
        with place.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ValueError(
            Message(
                N_("the file cannot be read ({strerror}); let the dashboard's user read it"),
                strerror=error.strerror,
            )
        ) from error
    if size > MEDIA_BYTES:
        raise ValueError(
            Message(
                N_("the file has {size:,.0f} MiB; {media_bytes:,.0f} MiB are allowed"),
                size=size / 1024**2,
                media_bytes=MEDIA_BYTES / 1024**2,
            )
        )
    if not head.startswith(form.magic, form.offset):
        raise ValueError(
            Message(
                N_("the file is no {type}, whatever its name says; save it in that format"),
                type=form.type,
            )
        )
