"""Signers whose releases are installed: one file of allowed signers, beside one of revoked keys.

Both are the owner's, lie beside the configuration and have the forms of ssh-keygen(1), which alone
decides about a signature. A revoked key counts nowhere, whatever names it.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.errors import UpdateError
from edge_agent.core.files import replace_file
from edge_agent.core.process import run_to_end

SIGNERS_NAME = "release-signers"
REVOKED_NAME = "release-revoked"
"""Names of both files, beside the configuration as in the folder ``config`` of a release."""
OLD_FOLDER = "release-signers.d"
"""Folder in which releases up to 0.1.0 keep the owner's keys: a file for each, and ``revoked``."""
SIGNER = "release"
NAMESPACE = "affect-edge-release"
PURPOSE = f'{SIGNER} namespaces="{NAMESPACE}"'
"""Start of a line of a file of allowed signers."""
_HEADERS = {
    SIGNERS_NAME: (
        "# Who may sign releases that `affect-edge update` installs: lines in the form of "
        "ssh-keygen(1), ALLOWED SIGNERS.\n"
        "# `affect-edge update` adds the keys of the installed release. Those in "
        f"{REVOKED_NAME} do not count.\n"
    ),
    REVOKED_NAME: (
        "# Keys that sign no release any more: lines of .pub files, as in ssh-keygen(1), -r.\n"
    ),
}
_MOST_BYTES = 64_000
"""Of a file of keys: several hundred."""
_KINDS = ("ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-", "sk-ecdsa-sha2-", "ssh-rsa")
# 128 bits of security, as NIST SP 800-57 part 1 counts it; an ed25519 key has as many.
_LEAST_RSA_BITS = 3072


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """The public part of a key that signs releases.

    Attributes:
        line: as in a ``.pub`` file: kind, key and comment.
        fingerprint: ``SHA256:`` and 43 characters, as ssh-keygen prints it.
    """

    line: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key that is or was trusted.

    Attributes:
        key: the key.
        revoked: whether the list of revoked keys names it.
    """

    key: ReleaseKey
    revoked: bool


@dataclass(frozen=True, slots=True)
class Trust:
    """The two files that say who may sign releases.

    Attributes:
        folder: where they lie; a file that is missing names nobody.

    Example:
        >>> Trust(Path("/etc/affect-edge")).signers.name
        'release-signers'
    """

    folder: Path

    @property
    def signers(self) -> Path:
        """The file of allowed signers."""
        return self.folder / SIGNERS_NAME

    @property
    def revoked(self) -> Path:
        """The list of revoked keys."""
        return self.folder / REVOKED_NAME

    @property
    def old_folder(self) -> Path:
        """The folder of keys of earlier releases, which may be there still."""
        return self.folder / OLD_FOLDER

    def trusted_keys(self) -> list[TrustedKey]:
        """Return all keys that the file of allowed signers names.

        Raises:
            UpdateError: a file cannot be read, or contains something that is no key.
        """
        revoked = self._revoked_fingerprints()
        keys = [_key_of_signer(line, self.signers) for line in _lines(self.signers)]
        return [TrustedKey(key, key.fingerprint in revoked) for key in keys]

    def trusts(self, key: ReleaseKey) -> bool:
        """Return whether releases signed by a key are accepted.

        Raises:
            UpdateError: a file cannot be read, or contains something that is no key.
        """
        return any(
            one.key.fingerprint == key.fingerprint and not one.revoked
            for one in self.trusted_keys()
        )

    def add(self, key: ReleaseKey) -> Path:
        """Trust a key from now on; return the file that stores this.

        Raises:
            UpdateError: the key is revoked, or the file cannot be read or written.
        """
        if key.fingerprint in self._revoked_fingerprints():
            raise UpdateError(
                f"{key.fingerprint} was revoked ({self.revoked}), so it is not trusted. Trust the "
                "key that its owner uses now."
            )
        _append(self.signers, [f"{PURPOSE} {key.line}"])
        return self.signers

    def revoke(self, key: ReleaseKey) -> Path:
        """Never trust a key again; return the file that stores this.

        Raises:
            UpdateError: the file cannot be read or written.
        """
        if key.fingerprint not in self._revoked_fingerprints():
            _append(self.revoked, [key.line])
        return self.revoked

    def check(self, archive: Path, signature: Path) -> str:
        """Check that a trusted key has signed the archive; return its fingerprint.

        Args:
            archive: the file.
            signature: of ``ssh-keygen -Y sign``.

        Raises:
            UpdateError: no key is trusted, the signature is by another key or of another file, or
                its key was revoked.
        """
        self._require_keys()
        # The namespace belongs to the signed data: a signature made for e-mail or for a commit is
        # refused.
        words = ["-n", NAMESPACE, "-s", str(signature)]
        trusted = ["-f", str(self.signers), "-I", SIGNER]
        if self.revoked.exists():
            trusted += ["-r", str(self.revoked)]
        done = _ask_about(archive, ["verify", *words, *trusted])
        if done.returncode:
            # whoever signed it: to tell a key that is not trusted from a file that was changed
            whole = _ask_about(archive, ["check-novalidate", *words])
            if whole.returncode:
                reason = f"{_reason(whole)}. Download it again from where releases are published."
            else:
                reason = self._why_not(_fingerprint(whole))
            raise UpdateError(f"The archive is not trusted, and nothing of it was used: {reason}")
        return _fingerprint(done)

    def _why_not(self, fingerprint: str) -> str:
        if fingerprint in self._revoked_fingerprints():
            return f"the key that signed it was revoked: {fingerprint}."
        return (
            f"it was signed by {fingerprint}, which {self.signers} does not allow. Compare with "
            "the fingerprint that the publisher gives; if it is the same: sudo affect-edge update "
            "--trust KEYFILE"
        )

    def _require_keys(self) -> None:
        """Check that at least one key is trusted.

        Raises:
            UpdateError: none is, or a file with keys cannot be read.
        """
        # True for no key at all, as for revoked ones only.
        if all(one.revoked for one in self.trusted_keys()):
            raise UpdateError(
                f"No key is trusted to sign releases ({self.signers} names none, or revoked ones "
                "only). Get the publisher's public key from a place that you trust, then: sudo "
                "affect-edge update --trust KEYFILE"
            )

    def _revoked_fingerprints(self) -> set[str]:
        return {read_key(line, str(self.revoked)).fingerprint for line in _lines(self.revoked)}


def take_over(release: Trust, owner: Trust) -> list[str]:
    """Add the keys that a release names, and those of the folder of earlier ones, to the owner's.

    Lines are taken as they stand, because their options may restrict a key. The folder stays: an
    earlier release that comes back reads it.

    Args:
        release: the folder ``config`` of the release.
        owner: the folder of the configuration.

    Returns:
        A sentence for each key that was added, and one about the folder of earlier releases.

    Raises:
        UpdateError: a file cannot be read or written, or contains something that is no key. No key
            was added to the allowed signers.
    """
    old = owner.old_folder
    # The revoked ones first: cut short between them, no key counts that should not.
    revoked = _take_lines(owner.revoked, [release.revoked, old / "revoked"], _key_of_pub)
    signers = _take_lines(
        owner.signers, [release.signers, *sorted(old.glob("*.signers"))], _key_of_signer
    )
    sentences = [f"{one} is revoked: what it signs is refused" for one in revoked]
    sentences += [f"{one} may sign releases" for one in signers]
    if old.is_dir():
        sentences.append(
            f"the keys of {old} stand in {owner.signers} and {owner.revoked.name} now. Only "
            "releases up to 0.1.0 need the folder; once you go back to none of them: sudo rm -r "
            f"{old}"
        )
    return sentences


def _take_lines(
    target: Path, sources: Sequence[Path], read: Callable[[str, Path], ReleaseKey]
) -> list[str]:
    """Add the lines of other files that a file lacks; return the fingerprints of their keys."""
    there = _lines(target)
    new: dict[str, str] = {}
    for file in sources:
        for line in _lines(file):
            if line not in there:
                new[line] = read(line, file).fingerprint
    if new:
        _append(target, list(new))
    return list(new.values())


def read_key_file(file: Path) -> ReleaseKey:
    """Return the one public key of a ``.pub`` file.

    Raises:
        UpdateError: it cannot be read, holds a private key, no key, several, or a weak one.
    """
    text = _read(file)
    if "PRIVATE KEY" in text:
        raise UpdateError(
            f"{file}: is a private key, which has no place on an appliance. Remove it here, and "
            "give the file of its public part, which ends with .pub."
        )
    lines = [line.strip() for line in text.splitlines() if _tells(line)]
    if len(lines) != 1:
        raise UpdateError(f"{file}: holds {len(lines)} keys. Give a file of one public key (.pub).")
    return read_key(lines[0], str(file))


def read_key(line: str, source: str) -> ReleaseKey:
    """Return the key of a line of a ``.pub`` file.

    Args:
        line: kind, key and comment.
        source: where it stands, for messages.

    Raises:
        UpdateError: it is no key, or a weak one.
    """
    if not line.startswith(_KINDS):
        raise UpdateError(
            f"{source}: {line[:40]!r} is no public key of OpenSSH. It begins with a kind, such as "
            "ssh-ed25519."
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "key.pub"
        file.write_text(f"{line}\n", encoding="utf-8")
        # ssh-keygen checks the key's encoding and computes its fingerprint, so neither is done
        # here.
        done = _ssh_keygen(["-l", "-f", str(file)])
    words = done.stdout.split()
    if done.returncode or len(words) < 2 or not words[1].startswith("SHA256:"):
        raise UpdateError(f"{source}: {line[:40]!r} is no whole public key ({_reason(done)}).")
    # ssh-keygen says the bits first in its line.
    if line.startswith("ssh-rsa") and int(words[0]) < _LEAST_RSA_BITS:
        raise UpdateError(
            f"{source}: an RSA key of {words[0]} bits is too weak; ask for one of "
            f"{_LEAST_RSA_BITS} or more, or an ed25519 key."
        )
    return ReleaseKey(" ".join(line.split()), words[1])


def _key_of_pub(line: str, file: Path) -> ReleaseKey:
    return read_key(line, str(file))


def _key_of_signer(line: str, file: Path) -> ReleaseKey:
    """Return the key of a line of ALLOWED SIGNERS, without name and options."""
    # The options of a line may contain blanks within quotes: the kind of the key is looked for.
    begins = [at for kind in _KINDS if (at := line.find(f" {kind}")) >= 0]
    return read_key(line[min(begins) + 1 :] if begins else line, str(file))


def _lines(file: Path) -> list[str]:
    """Return the lines of a file without blank lines and comments; none where there is no file."""
    if not file.exists():
        return []
    return [line.strip() for line in _read(file).splitlines() if _tells(line)]


def _tells(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _read(file: Path) -> str:
    """Return the text of a file of keys.

    Raises:
        UpdateError: it cannot be read, is no text, or too large.
    """
    try:
        if file.exists() and not file.is_file():
            raise UpdateError(f"{file}: is not a file. Name one with public keys.")
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UpdateError(f"{file}: public keys cannot be read from it ({reason}).") from error
    if len(content) > _MOST_BYTES:
        raise UpdateError(
            f"{file}: is larger than {_MOST_BYTES:,} bytes, which no file of public keys is. Check "
            "the path."
        )
    return text


def _append(file: Path, lines: Sequence[str]) -> None:
    """Add lines to a file that only root can change, all or none of them."""
    text = _read(file) if file.exists() else _HEADERS[file.name]
    if not text.endswith("\n"):
        text += "\n"
    content = (text + "".join(f"{line}\n" for line in lines)).encode()
    if len(content) > _MOST_BYTES:
        raise UpdateError(
            f"{file}: would become larger than {_MOST_BYTES:,} bytes, and was not changed. Delete "
            "lines of keys that nobody uses."
        )
    try:
        replace_file(file, content, 0o644)
    except OSError as error:
        raise UpdateError(f"{file}: cannot be written ({error.strerror}).") from error


def _ask_about(archive: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    with archive.open("rb") as content:
        return _ssh_keygen(["-Y", *words], content.fileno())


def _ssh_keygen(
    words: list[str], stdin: int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    try:
        return run_to_end("ssh-keygen", *words, stdin=stdin)
    except FileNotFoundError as error:
        raise UpdateError(
            "ssh-keygen is missing. On Debian: sudo apt install openssh-client"
        ) from error


def _fingerprint(done: subprocess.CompletedProcess[str]) -> str:
    return next((word for word in done.stdout.split() if word.startswith("SHA256:")), "unknown")


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[0].rstrip(".") if lines else "ssh-keygen said nothing"
