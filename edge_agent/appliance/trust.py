"""The trusted signing keys: those that came with the installed release, and the owner's.

All of them are OpenSSH keys. A release signed by a revoked key is refused, even if the key is also
listed as trusted.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.errors import UpdateError
from edge_agent.core.files import replace_file
from edge_agent.core.process import finished

SIGNER = "release"
NAMESPACE = "affect-edge-release"
TAG_NAMESPACE = "git"
REVOKED_NAME = "revoked"
PURPOSE = f'{SIGNER} namespaces="{NAMESPACE},{TAG_NAMESPACE}"'
"""Start of a line of an allowed-signers file (ssh-keygen(1)): for archives and tags."""
_KINDS = ("ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-", "sk-ecdsa-sha2-", "ssh-rsa")
# 128 bits of security, as NIST SP 800-57 part 1 counts it; an ed25519 key has as many.
_LEAST_RSA_BITS = 3072


@dataclass(frozen=True, slots=True)
class Key:
    """The public part of a key that signs releases.

    Attributes:
        line: as in a ``.pub`` file: kind, key and comment.
        fingerprint: ``SHA256:`` and 43 characters, as ssh-keygen prints it.
    """

    line: str
    fingerprint: str

    @property
    def file_name(self) -> str:
        """Name of the file of this key in the owner's folder."""
        # A slash of base64 would begin a folder.
        return f"{self.fingerprint.replace(':', '-').replace('/', '_')}.signers"


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key that is or was trusted.

    Attributes:
        key: the key.
        source: the file that trusts it.
        revoked: whether a list of revoked keys names it.
    """

    key: Key
    source: Path
    revoked: bool


@dataclass(frozen=True, slots=True)
class Trust:
    """The folders with the keys that may sign releases.

    Attributes:
        release: folder of a release, with ``config/release-signers``, and the revoked keys in
            ``config/release-revoked``.
        owner: the owner's folder, with a file for each key and ``revoked``.

    Example:
        >>> trust = Trust(Path("/opt/affect-edge/current"), Path("/etc/affect-edge/signers.d"))
        >>> [file.name for file in trust.signer_files()]
        ['release-signers']
    """

    release: Path
    owner: Path

    def signer_files(self) -> list[Path]:
        """Return the files that name trusted keys."""
        return [self.release / "config/release-signers", *sorted(self.owner.glob("*.signers"))]

    def revoked_files(self) -> list[Path]:
        """Return the files that name revoked keys and exist."""
        files = [self.release / "config/release-revoked", self.owner / REVOKED_NAME]
        return [file for file in files if file.exists()]

    def trusted_keys(self) -> list[TrustedKey]:
        """Return all keys that some file trusts.

        Raises:
            UpdateError: a file cannot be read, or contains something that is no key.
        """
        revoked = self._revoked()
        trusted = []
        for file in self.signer_files():
            for line in _lines(file):
                key = read_key(_without_options(line), str(file))
                trusted.append(TrustedKey(key, file, key.fingerprint in revoked))
        return trusted

    def trusts(self, key: Key) -> bool:
        """Return whether releases signed by a key are accepted.

        Raises:
            UpdateError: a file cannot be read, or contains something that is no key.
        """
        return any(
            one.key.fingerprint == key.fingerprint and not one.revoked
            for one in self.trusted_keys()
        )

    def add(self, key: Key) -> Path:
        """Trust a key from now on; return the file that stores this.

        Raises:
            UpdateError: the key is revoked, or the file cannot be written.
        """
        # A revoked key stays so, whatever file names it again.
        if key.fingerprint in (revoked := self._revoked()):
            raise UpdateError(
                f"{key.fingerprint} was revoked ({revoked[key.fingerprint]}), so it is not "
                "trusted. Trust the key that its owner uses now."
            )
        file = self.owner / key.file_name
        _write(file, f"{PURPOSE} {key.line}\n")
        return file

    def revoke(self, key: Key) -> Path:
        """Never trust a key again; return the file that stores this.

        Raises:
            UpdateError: the file cannot be read or written.
        """
        file = self.owner / REVOKED_NAME
        lines = _lines(file) if file.exists() else []
        if key.line not in lines:
            # First the list, then the file: cut short between them, the key is revoked.
            _write(file, "\n".join([*lines, key.line, ""]))
        (self.owner / key.file_name).unlink(missing_ok=True)
        return file

    def check(self, archive: Path, signature: Path, what: str = "archive") -> str:
        """Check that a trusted key has signed the archive; return its fingerprint.

        Args:
            archive: the file.
            signature: of ``ssh-keygen -Y sign``.
            what: name of the file in messages.

        Raises:
            UpdateError: no key is trusted, the signature is by another key or of another file, or
                its key was revoked.
        """
        self.require_keys()
        with tempfile.TemporaryDirectory() as folder:
            # The namespace belongs to the signed data: a signature made for e-mail or for a commit
            # is refused.
            words = ["-I", SIGNER, "-n", NAMESPACE, "-s", str(signature)]
            files = self.merged(Path(folder))
            done = _verify(archive, [*files, *words])
            if done.returncode:
                # without the list of revoked keys: to tell them from a file that was changed
                known = _verify(archive, [*files[:2], *words])
                reason = _reason(done) + ". Download it again from where releases are published"
                if not known.returncode:
                    reason = f"the key that signed it was revoked: {_fingerprint(known)}"
                raise UpdateError(
                    f"The {what} is not trusted, and nothing of it was used: {reason}."
                )
        return _fingerprint(done)

    def require_keys(self) -> None:
        """Check that at least one key is trusted.

        Raises:
            UpdateError: none is, or a file with keys cannot be read.
        """
        # True for no key at all, as for revoked ones only.
        if all(one.revoked for one in self.trusted_keys()):
            raise UpdateError(
                f"No key is trusted to sign releases ({self.release / 'release-signers'} and "
                f"{self.owner} contain no key, or revoked ones only). Get the publisher's public "
                "key from a place that you trust, then: sudo affect-edge update --trust KEYFILE"
            )

    def _revoked(self) -> dict[str, Path]:
        """Return the fingerprints of revoked keys, each with the file that lists it."""
        return {
            read_key(line, str(file)).fingerprint: file
            for file in self.revoked_files()
            for line in _lines(file)
        }

    def merged(self, folder: Path) -> list[str]:
        """Write all trusted and all revoked keys into a folder; return ssh-keygen's options."""
        signers = folder / "signers"
        signers.write_text(_joined(self.signer_files()), encoding="utf-8")
        revoked = folder / REVOKED_NAME
        revoked.write_text(_joined(self.revoked_files()), encoding="utf-8")
        return ["-f", str(signers), "-r", str(revoked)]


def read_key_file(file: Path) -> Key:
    """Return the one public key of a ``.pub`` file.

    Raises:
        UpdateError: it cannot be read, holds a private key, no key, several, or a weak one.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UpdateError(f"{file}: cannot be read as a public key ({reason}).") from error
    if "PRIVATE KEY" in text:
        raise UpdateError(
            f"{file}: is a private key, which has no place on an appliance. Remove it here, and "
            "give the file of its public part, which ends with .pub."
        )
    lines = [line.strip() for line in text.splitlines() if _tells(line)]
    if len(lines) != 1:
        raise UpdateError(f"{file}: holds {len(lines)} keys. Give a file of one public key (.pub).")
    return read_key(lines[0], str(file))


def read_key(line: str, source: str) -> Key:
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
    return Key(" ".join(line.split()), words[1])


def _without_options(line: str) -> str:
    """Return the key of a line of ALLOWED SIGNERS, without name and options."""
    # The options of a line may contain blanks within quotes: the kind of the key is looked for.
    begins = [at for kind in _KINDS if (at := line.find(f" {kind}")) >= 0]
    return line[min(begins) + 1 :] if begins else line


def _joined(files: Sequence[Path]) -> str:
    return "".join(f"{line}\n" for file in files for line in _lines(file))


def _lines(file: Path) -> list[str]:
    """Return the lines of a file without blank lines and comments."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UpdateError(f"{file}: cannot be read ({reason}).") from error
    return [line.strip() for line in text.splitlines() if _tells(line)]


def _tells(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _write(file: Path, text: str) -> None:
    """Write a file that only root can change, whole or not at all."""
    try:
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        replace_file(file, text.encode(), 0o644)
    except OSError as error:
        raise UpdateError(f"{file}: cannot be written ({error.strerror}).") from error


def _verify(archive: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    with archive.open("rb") as content:
        return _ssh_keygen(["-Y", "verify", *words], content.fileno())


def _ssh_keygen(
    words: list[str], stdin: int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    try:
        return finished("ssh-keygen", *words, stdin=stdin)
    except FileNotFoundError as error:
        raise UpdateError(
            "ssh-keygen is missing. On Debian: sudo apt install openssh-client"
        ) from error


def _fingerprint(done: subprocess.CompletedProcess[str]) -> str:
    return next((word for word in done.stdout.split() if word.startswith("SHA256:")), "unknown")


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[0] if lines else "ssh-keygen said nothing"
