"""A signed release: an archive, or a tag of a git checkout, checked before a byte of it is used.

An archive is a tar file with a signature of ``ssh-keygen -Y sign`` beside it. From a checkout only
the tag that a trusted key has signed is used: none of its working files, and no program that its
configuration names. Its commits are cloned first, and the signature is checked in the clone.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from edge_agent.appliance.fetching import LARGEST_BYTES, Bounds, fetch_file
from edge_agent.appliance.trust import Trust
from edge_agent.core.errors import UpdateError
from edge_agent.core.process import finished

LARGEST_SIGNATURE = 16_000
FETCH_SECONDS = 3600.0
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
        UpdateError: one of them is missing, too large, or the address is not one of https.
    """
    archive = folder / "release.tar"
    signature = folder / "release.tar.sig"
    fetch_file(source, archive, Bounds(LARGEST_BYTES, FETCH_SECONDS))
    try:
        fetch_file(f"{source}.sig", signature, Bounds(LARGEST_SIGNATURE, FETCH_SECONDS))
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
        shutil.copyfileobj(content, file)
    # No other bits of the archive: neither set-user-id nor writable by others.
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


_VERSION_LINE = re.compile(r'^__version__ = "([^"]*)"$', re.MULTILINE)


def is_checkout(source: str) -> bool:
    """Return whether a source of updates is a git checkout."""
    return "://" not in source and (Path(source) / ".git").exists()


def take_tag(source: Path, trust: Trust, folder: Path) -> tuple[Path, str]:
    """Write the files of the signed tag that is checked out.

    Args:
        source: the checkout.
        trust: the trusted keys.
        folder: for clone and files; made if needed.

    Returns:
        The folder of the files, with ``VERSION`` as in a release archive, and the fingerprint of
        the key that signed.

    Raises:
        UpdateError: git is missing or fails, no tag is checked out, no trusted key signed one of
            its tags, or it is no checkout of Affect Edge.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clone = folder / "clone.git"
    address = source.resolve().as_uri()
    # A local clone would link files and follow symbolic links in .git/objects (CVE-2022-39253);
    # --no-local copies by the protocol.
    _must(_git("clone", "--quiet", "--bare", "--no-local", address, str(clone)), source)
    # Of the clone, so that nothing changes between this look and the files that are taken.
    tags = _must(_git("-C", str(clone), "tag", "--points-at", "HEAD"), source).split()
    if not tags:
        raise UpdateError(
            f"{source}: no tag is checked out there, so its content is not signed. Check a release "
            "out (git checkout vVERSION), or install it without a signature: "
            f"cd {source} && sudo ./install.sh"
        )
    trust.require_keys()
    tag, signer = _signed(clone, tags, trust, source)
    files = folder / "files"
    archive = folder / "files.tar"
    # From the tag that was verified, not from the files of the checkout, which may differ.
    _must(_git("-C", str(clone), "archive", "--output", str(archive), f"refs/tags/{tag}"), source)
    files.mkdir()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(files)], check=True)
    (files / "VERSION").write_text(f"{_version(files, source)}\n", encoding="ascii")
    return files, signer


def _signed(clone: Path, tags: list[str], trust: Trust, source: Path) -> tuple[str, str]:
    """Return the first tag that a trusted key signed, and the key's fingerprint."""
    with tempfile.TemporaryDirectory() as folder:
        _signers, allowed, _revoked, revoked = trust.merged(Path(folder))
        settings = ["-c", f"gpg.ssh.allowedSignersFile={allowed}"]
        settings += ["-c", f"gpg.ssh.revocationFile={revoked}"]
        for tag in tags:
            done = _git("-C", str(clone), *settings, "verify-tag", f"refs/tags/{tag}")
            # verify-tag writes what ssh-keygen says to stderr.
            words = f"{done.stdout} {done.stderr}".split()
            signer = next((word for word in words if word.startswith("SHA256:")), None)
            if done.returncode == 0 and signer is not None:
                return tag, signer
    raise UpdateError(
        f"{source}: none of its tags here ({', '.join(tags)}) is signed by a trusted key, and "
        "nothing of it was used. `affect-edge update --keys` shows the trusted keys."
    )


def _version(files: Path, source: Path) -> str:
    try:
        text = (files / "edge_agent/__init__.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UpdateError(f"{source}: is no checkout of Affect Edge.") from error
    version = _VERSION_LINE.search(text)
    if version is None or not (files / "install.sh").is_file():
        raise UpdateError(f"{source}: is no checkout of Affect Edge.")
    return version.group(1)


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    """Run git, but none of the programs that a repository's configuration could name."""
    # The checkout belongs to a user, and root runs git, which refuses that since CVE-2022-24765.
    # What makes it dangerous, programs named in the configuration, is switched off one by one.
    safe = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
    safe += ["-c", "core.hooksPath=/dev/null"]
    programs = ["-c", "gpg.ssh.program=ssh-keygen", "-c", "protocol.file.allow=always"]
    try:
        return finished("git", *safe, *programs, *words)
    except FileNotFoundError as error:
        raise UpdateError("git is missing. On Debian: sudo apt install git") from error


def _must(done: subprocess.CompletedProcess[str], source: Path) -> str:
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["git said nothing"]
        raise UpdateError(f"{source}: git cannot read this checkout ({lines[-1]}).")
    return done.stdout
