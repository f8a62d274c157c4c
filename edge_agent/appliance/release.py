"""A signed release: an archive that is checked before a byte of it is unpacked.

A release is a tar archive with a signature of ``ssh-keygen -Y sign`` beside it.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path, PurePosixPath

from edge_agent.appliance.fetching import LARGEST_BYTES, Bounds, fetch_file
from edge_agent.core.errors import UpdateError

LARGEST_SIGNATURE = 16_000
FETCH_SECONDS = 3600.0
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
    fetch_file(source, archive, Bounds(LARGEST_BYTES, FETCH_SECONDS))
    try:
        fetch_file(f"{source}.sig", signature, Bounds(LARGEST_SIGNATURE, FETCH_SECONDS))
    except UpdateError as error:
        raise UpdateError(f"{error} The signature lies beside the archive.") from error
    return archive, signature


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
    except (tarfile.TarError, OSError, ValueError) as error:  # ValueError: a name with a NUL
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
