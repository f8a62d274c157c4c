"""A signed release: an archive that is checked before a byte of it is unpacked.

A release is a tar archive with a signature of ``ssh-keygen -Y sign`` beside it.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from edge_agent.core.errors import UpdateError

LARGEST_BYTES = 2 * 10**9
_FETCH_TIMEOUT_S = 60.0
_CHUNK = 1 << 20
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def version_of(release: Path) -> str:
    """Return the version of a release folder.

    Raises:
        UpdateError: it names none.
    """
    try:
        text = (release / "VERSION").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UpdateError(
            f"{release.name}: holds no file VERSION, so it is no release of Affect Edge."
        ) from error
    if not _VERSION.fullmatch(text):
        raise UpdateError(f"{release.name}: its VERSION {text[:40]!r} is not of the form 1.2.3.")
    return text


def order_of(version: str) -> tuple[int, ...]:
    """Return what versions are compared by."""
    return tuple(int(part) for part in version.split("."))


def fetch(source: str, folder: Path) -> tuple[Path, Path]:
    """Copy or download archive and signature into ``folder``.

    Raises:
        UpdateError: one of them is missing, too large, or the address is not one of https.
    """
    if "://" in source and not source.startswith("https://"):
        raise UpdateError(f"{source}: only https:// addresses and files are taken.")
    archive = folder / "release.tar"
    signature = folder / "release.tar.sig"
    for place, target in ((source, archive), (f"{source}.sig", signature)):
        try:
            with _opened(place) as stream, target.open("wb") as file:
                _copy_bounded(stream, file, place)
        except (OSError, ValueError) as error:
            if place.endswith(".sig"):
                hint = " The signature lies beside the archive."
            else:
                hint = ""
            raise UpdateError(
                f"{place}: cannot be read ({getattr(error, 'reason', None) or error}).{hint}"
            ) from error
    return archive, signature


@contextmanager
def _opened(place: str) -> Iterator[BinaryIO]:
    if place.startswith("https://"):
        with urllib.request.urlopen(place, timeout=_FETCH_TIMEOUT_S) as answer:  # noqa: S310 - https, checked before
            yield answer
    else:
        with Path(place).open("rb") as file:
            yield file


def _copy_bounded(stream: BinaryIO, file: BinaryIO, place: str) -> None:
    taken = 0
    while chunk := stream.read(_CHUNK):
        taken += len(chunk)
        if taken > LARGEST_BYTES:
            raise UpdateError(
                f"{place}: is larger than {LARGEST_BYTES / 1e9:.0f} GB, so it is no release."
            )
        file.write(chunk)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive of plain files below one folder; return that folder.

    Raises:
        UpdateError: it is no such archive.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if (
                    path.is_absolute()
                    or ".." in path.parts
                    or not (member.isfile() or member.isdir())
                ):
                    raise UpdateError(
                        f"The archive holds {member.name!r}, which is no plain file "
                        "below its folder."
                    )
                _unpack_member(tar, member, folder / path)
    except (tarfile.TarError, OSError) as error:
        raise UpdateError(f"The archive cannot be unpacked: {error}.") from error
    tops = list(folder.iterdir()) if folder.exists() else []
    if len(tops) != 1 or not (tops[0] / "install.sh").is_file():
        raise UpdateError(
            "The archive is no release of Affect Edge: it holds no folder with an install.sh."
        )
    return tops[0]


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
