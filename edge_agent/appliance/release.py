"""A release: a tar file, with a signature of ``ssh-keygen -Y sign`` beside it."""

from __future__ import annotations

import math
import re
import tarfile
from pathlib import Path, PurePosixPath

from edge_agent.appliance.fetching import LARGEST_BYTES, DownloadBounds, fetch_file, no_room_error
from edge_agent.core.errors import UpdateError
from edge_agent.core.files import write_piece

LARGEST_SIGNATURE = 16_000
FETCH_SECONDS = 3600.0
_PIECE = 1 << 20
_DEVELOPED = ".dev"
"""In a version that is not released yet, before a number."""
_VERSION = re.compile(rf"\d+\.\d+\.\d+({re.escape(_DEVELOPED)}\d+)?")


def version_of(release: Path) -> str:
    """Return the version of a release folder.

    Raises:
        UpdateError: its file VERSION is missing or wrong.
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


def order_of(version: str) -> tuple[float, ...]:
    """Return the sort key of a version; one that is not released yet comes before its release."""
    release, _, step = version.partition(_DEVELOPED)
    # Numbers, for 1.10 is newer than 1.9.
    return (*(int(part) for part in release.split(".")), int(step) if step else math.inf)


def fetch(source: str, folder: Path) -> tuple[Path, Path]:
    """Copy or download archive and signature into ``folder``.

    Raises:
        UpdateError: one of them is missing, too large, or the address is not one of https; or the
            source is a folder.
    """
    if "://" not in source and Path(source).is_dir():
        raise UpdateError(
            f"{source}: is a folder, and `affect-edge update` takes the archive of a release. To "
            "update from a git checkout, type in it: git pull && sudo ./install.sh (this checks no "
            "signature)."
        )
    archive = folder / "release.tar"
    signature = folder / "release.tar.sig"
    fetch_file(source, archive, DownloadBounds(LARGEST_BYTES, FETCH_SECONDS))
    try:
        fetch_file(f"{source}.sig", signature, DownloadBounds(LARGEST_SIGNATURE, FETCH_SECONDS))
    except UpdateError as error:
        raise UpdateError(
            f"{error} The signature must be beside the archive, with the same name and .sig."
        ) from error
    return archive, signature


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive of plain files below one folder; return that folder.

    Raises:
        UpdateError: the archive has another content, or cannot be unpacked.
    """
    try:
        # "r:" takes no compression: a signed archive of 2 GB cannot swell. Unpacked by hand, since
        # extractall(filter="data") is missing in Python 3.11.2 of Debian 12.
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                is_below = not path.is_absolute() and ".." not in path.parts
                if not is_below or not (member.isfile() or member.isdir()):
                    raise UpdateError(
                        f"The archive contains {member.name!r}, which is no plain file below its "
                        "folder. Get a release archive."
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
        while piece := content.read(_PIECE):
            if not write_piece(file, piece, target.parent, is_needed=True):
                raise no_room_error(member.name)
    # No other bits of the archive: neither set-user-id nor writable by others.
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
