"""The certificate of the dashboard: the appliance's own, or one that its owner installs.

The appliance makes its own on the first day, so that the dashboard serves HTTPS from then on. The
owner's comes from an authority of their own, or by ACME. Certificate and key are two files, which
are replaced together.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge_agent.core import clock
from edge_agent.core.advice import shell_word
from edge_agent.core.errors import CertificateError
from edge_agent.core.files import make_folder, take_lock
from edge_agent.core.process import run_to_end
from edge_agent.timeline.database.dashboard_file import has_own_folder
from edge_agent.timeline.database.files import sync_folder

log = logging.getLogger(__name__)

_NEW = ".new"
CERTIFICATE = "cert.pem"
KEY = "key.pem"
VALID_DAYS = 800
"""Apple's systems refuse certificates that are valid for longer than 825 days
(support.apple.com/103769).
"""
RENEW_DAYS = 30
_DAY_SECONDS = 86_400
_TIMEOUT_S = 60.0
_MAKER = "Affect Edge"
"""Organization in the certificates that the appliance makes."""
LARGEST_BYTES = 1_000_000
RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1", "secp521r1")


def fits(certificate: Path, key: Path) -> bool:
    """Return whether a server can use the two files together without asking for a passphrase."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # OpenSSL waits without end at a pipe, and the folder may be another user's.
        content, secret = _read(certificate), _read(key)
        with TemporaryDirectory() as place:
            first, second = Path(place) / CERTIFICATE, Path(place) / KEY
            first.write_bytes(content)
            second.write_bytes(secret)
            # An empty password makes OpenSSL fail; without one it would ask at the terminal and
            # wait.
            context.load_cert_chain(first, second, password=lambda: "")
    except (CertificateError, ssl.SSLError, OSError):
        return False
    return True


def replace_pair(certificate: Path, key: Path, content: bytes, secret: bytes) -> None:
    """Replace a certificate and its key.

    A reader finds the old pair or the new one, except in the moment between the two renamings. If
    the machine stops in that moment, ``finish_replacement`` does the second one.

    Args:
        certificate: file of the certificate.
        key: file of its key.
        content: PEM of the new certificate, with those of its chain.
        secret: PEM of its key.

    Raises:
        CertificateError: the folder cannot be written.
        StoreError: another program has locked the folder.
    """
    try:
        with _alone(certificate.parent):
            _prepare(key, secret)
            _prepare(certificate, content)
            # Write the key first: the dashboard reloads both when the certificate's time changes.
            _new(key).replace(key)
            _new(certificate).replace(certificate)
            sync_folder(certificate.parent)
    except OSError as error:
        raise CertificateError(
            f"{certificate.parent}: the certificate cannot be written ({error.strerror}). Run as "
            "root or as the user that owns the folder."
        ) from error


def finish_replacement(certificate: Path, key: Path) -> bool:
    """Finish a replacement that was interrupted; return whether there was one.

    Raises:
        CertificateError: the folder cannot be written.
        StoreError: another program has locked the folder.
    """
    if not _new(certificate).exists() and not _new(key).exists():
        return False
    try:
        with _alone(certificate.parent):
            # The key may have been renamed before the machine stopped: then only the certificate is
            # left to do.
            if _new(certificate).exists() and fits(_new(certificate), key):
                _new(certificate).replace(certificate)
            for file in (certificate, key):
                _new(file).unlink(missing_ok=True)
            sync_folder(certificate.parent)
    except OSError as error:
        raise CertificateError(
            f"{certificate.parent}: a replaced certificate cannot be finished ({error.strerror}). "
            "Run `affect-edge certificate` as the user that owns the folder."
        ) from error
    return True


def _new(file: Path) -> Path:
    return file.with_name(file.name + _NEW)


def _prepare(file: Path, content: bytes) -> None:
    """Write the replacement of a file, with the same owner and mode.

    Other users may write to the folder while root writes here. Therefore no link is followed, and
    only the file that was just made changes its owner.
    """
    # Of the file itself: behind a link may be one whose owner and mode open the key to others.
    is_there = file.is_file() and not file.is_symlink()
    model = file.stat(follow_symlinks=False) if is_there else file.parent.stat()
    mode = model.st_mode & 0o777 if is_there else 0o600
    if file.parent.stat().st_mode & stat.S_IWGRP:  # root and the service both renew it
        mode |= 0o040
    new = _new(file)
    # A leftover, or a link of another user, goes first; `O_EXCL` refuses what comes after.
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as written:
        written.write(content)
        if os.geteuid() == 0:
            os.fchown(handle, model.st_uid, model.st_gid)
        os.fchmod(handle, mode)
        written.flush()
        os.fsync(handle)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other commands from replacing the pair of a folder."""
    # Locks on the folder end with the process; a lock file would stay behind after a power cut.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        take_lock(folder, handle)
        yield
    finally:
        os.close(handle)


def keep_certificate(folder: Path, name: str | None = None) -> bool:
    """Make the certificate if there is none, if it ends soon, or if the machine was renamed.

    A certificate that the owner has installed stays, as long as it and its key can be used.

    Args:
        folder: for ``cert.pem`` and ``key.pem``; made if needed. The key is readable by its owner,
            and by the group if that may write to the folder (or, for a new one, to its parent):
            the dashboard serves it, and the nightly maintenance, another user, renews it.
        name: of the machine; ``None`` asks the system.

    Returns:
        Whether a new certificate was made.

    Raises:
        CertificateError: openssl is missing or fails, or the folder cannot be written. Nothing was
            changed.
    """
    name = host_name() if name is None else name
    certificate = folder / CERTIFICATE
    key = folder / KEY
    if certificate.exists() or key.exists():
        finish_replacement(certificate, key)
    # The owner's own stays even if it ends soon: only they can have a new one signed.
    if fits(certificate, key) and (is_given(certificate) or _is_good(certificate, name)):
        return False
    _make(folder, name)
    log.info("made a certificate for %s, valid for %d days: %s", name, VALID_DAYS, certificate)
    return True


def make_place(folder: Path) -> None:
    """Make the folder of certificate and key if needed, with access as for its parent.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.exists():
        make_folder(folder)
        if has_own_folder(folder.parent):  # root and the service both renew it
            folder.chmod(0o770)


def is_given(certificate: Path) -> bool:
    """Return whether a certificate is not the appliance's own; ``False`` if it cannot be read."""
    try:
        lines = _about(certificate, "-noout", "-subject", "-issuer")
    except CertificateError:
        return False
    subject, issuer = (line.partition("=")[2].strip() for line in lines.splitlines()[:2])
    # Signed by another, or by itself for another organization: not ours in both cases.
    return subject != issuer or not re.match(rf"O ?= ?{_MAKER}\b", subject)


def host_name() -> str:
    """Return the machine's name with the characters that a certificate allows."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().split(".")[0]).strip("-")
    return name or "affect-edge"


def fingerprint(certificate: Path) -> str:
    """Return the SHA-256 fingerprint, as browsers show it.

    Raises:
        CertificateError: the file is missing or is no certificate.
    """
    output = _about(certificate, "-noout", "-fingerprint", "-sha256")
    return output.strip().partition("=")[2]


def ends_at(certificate: Path) -> float:
    """Return when a certificate ends, seconds since 1970 UTC.

    Raises:
        CertificateError: the file is missing or is no certificate.
    """
    output = _about(certificate, "-noout", "-enddate")
    return float(ssl.cert_time_to_seconds(output.strip().partition("=")[2]))


def _is_good(certificate: Path, name: str) -> bool:
    """Return whether a certificate is valid for long enough and contains the name."""
    try:
        _about(certificate, "-noout", "-checkend", str(RENEW_DAYS * _DAY_SECONDS))
        names = _about(certificate, "-noout", "-ext", "subjectAltName")
    except CertificateError:
        return False
    # With commas around, so that a name does not match a part of a longer one.
    return f"DNS:{name}," in names.replace(" ", "").replace("\n", ",")


def _make(folder: Path, name: str) -> None:
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", str(VALID_DAYS), "-subj", f"/O={_MAKER}/CN={name}"]
    words += ["-addext", f"subjectAltName={','.join(_names(name))}"]
    words += ["-addext", "extendedKeyUsage=serverAuth"]
    # A visitor who trusts this certificate trusts it alone, and nothing that its key might sign.
    words += ["-addext", "basicConstraints=critical,CA:FALSE"]
    try:
        make_place(folder)
        # Made elsewhere, so that nobody finds half a pair in the folder.
        with TemporaryDirectory() as place:
            key, certificate = Path(place) / KEY, Path(place) / CERTIFICATE
            _openssl(*words, "-keyout", str(key), "-out", str(certificate))
            content, secret = certificate.read_bytes(), key.read_bytes()
    except OSError as error:
        raise CertificateError(
            f"{folder}: the certificate cannot be written ({error.strerror}). Run as the user that "
            "owns the folder."
        ) from error
    replace_pair(folder / CERTIFICATE, folder / KEY, content, secret)


def _names(name: str) -> list[str]:
    """Return every name that a browser may use: host names, and the present addresses."""
    addresses = {"127.0.0.1"}
    for interface in psutil.net_if_addrs().values():
        for entry in interface:
            if entry.family in {socket.AF_INET, socket.AF_INET6} and _is_typed(entry.address):
                addresses.add(entry.address)
    return [
        f"DNS:{name}",
        f"DNS:{name}.local",
        "DNS:localhost",
        *(f"IP:{address}" for address in sorted(addresses)),
    ]


def _is_typed(address: str) -> bool:
    """Return whether people type this address into a browser: neither loopback nor link-local."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # with a zone: link-local
        return False
    return not (parsed.is_loopback or parsed.is_link_local)


def _about(certificate: Path, *words: str) -> str:
    """Return what openssl says about a certificate."""
    if certificate.exists():  # openssl would wait at a pipe, and read a file of any size
        _read(certificate)
    return _openssl("x509", "-in", str(certificate), *words)


def _openssl(*words: str) -> str:
    try:
        done = run_to_end("openssl", *words, timeout_s=_TIMEOUT_S)
    except FileNotFoundError as error:
        raise CertificateError(
            "openssl is not installed. On Debian: sudo apt install openssl"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise CertificateError(
            f"openssl did not end within {_TIMEOUT_S:g} s. Try again."
        ) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CertificateError(f"openssl {words[0]}: {last}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class GivenCertificate:
    """A certificate of the owner and its key, checked.

    Attributes:
        content: PEM of the certificate and of those that lead to its authority, nothing else.
        secret: PEM of the key.
        names: host names and addresses of the certificate.
        authority: issuer of the last certificate of the file.
        has_root: whether the last certificate is a self-signed root.
        ends: end of its validity.

    Example::

        given = read_given(Path("fullchain.pem"), Path("privkey.pem"))
        replace_pair(certificate, key, given.content, given.secret)
    """

    content: bytes
    secret: bytes
    names: tuple[str, ...]
    authority: str
    has_root: bool
    ends: datetime

    @property
    def days(self) -> float:
        """Days until it ends."""
        return (self.ends - clock.utc_now()).total_seconds() / 86_400


def read_given(certificate: Path, key: Path) -> GivenCertificate:
    """Read a certificate and its key, and check that browsers will accept them.

    Args:
        certificate: PEM, the server's own first, then those that lead to its authority.
        key: PEM, without a passphrase.

    Raises:
        CertificateError: a file cannot be read, the two do not belong together, or a browser would
            refuse them; the text says why and what to do.
    """
    chain = _chain(certificate)
    own = chain[0]
    secret = _key(key)
    if _public(secret.public_key()) != _public(own.public_key()):
        raise CertificateError(
            f"{certificate} and {key} do not belong together: the first certificate of the file "
            "is of another key. Give the server's own certificate first, and its key."
        )
    _check_time(certificate, chain)
    _check_use(certificate, own)
    _check_chain(certificate, chain)
    last = chain[-1]
    return GivenCertificate(
        b"".join(one.public_bytes(Encoding.PEM) for one in chain),
        secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        _given_names(certificate, own),
        _name_text(last.issuer),
        last.issuer == last.subject,
        own.not_valid_after_utc,
    )


def _read(file: Path) -> bytes:
    try:
        # O_NONBLOCK: else opening a pipe waits for somebody who writes.
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            is_file = stat.S_ISREG(os.fstat(handle).st_mode)
            # One byte more than allowed tells that there is more.
            content = stream.read(LARGEST_BYTES + 1) if is_file else b""
    except OSError as error:
        raise CertificateError(f"{file}: cannot be read ({error.strerror}).") from error
    if not is_file:
        raise CertificateError(f"{file}: is no file. Name another one.")
    if len(content) > LARGEST_BYTES:
        raise CertificateError(
            f"{file}: is larger than {LARGEST_BYTES} bytes, so it is no certificate or key. Name "
            "another file."
        )
    return content


def _chain(file: Path) -> list[x509.Certificate]:
    content = _read(file)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise CertificateError(
            f"{file}: holds no certificate in PEM form (-----BEGIN CERTIFICATE-----), or one that "
            "is damaged. One in DER form is changed with: openssl x509 -inform der -in "
            f"{shell_word(file)}"
        ) from error


def _key(file: Path) -> RSAPrivateKey | EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(_read(file), password=None)
    except TypeError as error:
        raise CertificateError(
            f"{file}: is encrypted with a passphrase, but the dashboard must start unattended. "
            f"Unlock it: openssl pkey -in {shell_word(file)} -out NEW"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"{file}: holds no private key in PEM form, or one that is damaged."
        ) from error
    if isinstance(key, RSAPrivateKey) and key.key_size >= RSA_BITS:
        return key
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return key
    # Some kinds of keys have no size.
    size = f" of {key.key_size} bits" if isinstance(key, RSAPrivateKey) else ""
    raise CertificateError(
        f"{file}: is {type(key).__name__.lstrip('_')}{size}, which browsers refuse. Make a "
        f"key of P-256, P-384 or RSA with {RSA_BITS} bits or more, and a certificate for it."
    )


def _public(key: object) -> bytes:
    try:
        return key.public_bytes(  # type: ignore[attr-defined, no-any-return]
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    except (AttributeError, UnsupportedAlgorithm):
        return b""


def _check_time(file: Path, chain: Sequence[x509.Certificate]) -> None:
    now = clock.utc_now()
    for one in chain:
        if one.not_valid_after_utc <= now:
            raise CertificateError(
                f"{file}: the certificate of {_name_text(one.subject)} ended on "
                f"{one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC. Renew it first."
            )
        if one.not_valid_before_utc > now:
            raise CertificateError(
                f"{file}: the certificate of {_name_text(one.subject)} begins on "
                f"{one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC only, and here it is "
                f"{now:%Y-%m-%d %H:%M}. Wait, or set the clock."
            )


def _check_use(file: Path, own: x509.Certificate) -> None:
    try:
        allowed = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        # Without this extension a certificate may be used for everything.
        return
    except ValueError as error:
        raise CertificateError(f"{file}: has a damaged extension ({error}).") from error
    if ExtendedKeyUsageOID.SERVER_AUTH not in allowed:
        raise CertificateError(
            f"{file}: is not for servers (extended key usage without serverAuth). Have another "
            "one signed."
        )


def _check_chain(file: Path, chain: Sequence[x509.Certificate]) -> None:
    for one, signer in pairwise(chain):
        try:
            # Compares name and signature of one step only; the browser still checks the chain as a
            # whole.
            one.verify_directly_issued_by(signer)
        except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CertificateError(
                f"{file}: {_name_text(one.subject)} is not signed by the certificate that follows, "
                f"{_name_text(signer.subject)}. Put the server's own first, then each one's signer."
            ) from error


def _given_names(file: Path, own: x509.Certificate) -> tuple[str, ...]:
    try:
        listed = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        listed = x509.SubjectAlternativeName([])
    addresses = map(str, listed.get_values_for_type(x509.IPAddress))
    names = (*listed.get_values_for_type(x509.DNSName), *addresses)
    if not names:
        raise CertificateError(
            f"{file}: contains no host name (subjectAltName), which browsers require. Have one "
            "signed for the name by which the dashboard is opened."
        )
    return names


def _name_text(name: x509.Name) -> str:
    return repr(name.rfc4514_string()[:100])
