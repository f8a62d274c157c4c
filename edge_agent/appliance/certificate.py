"""Makes the appliance's own certificate, so that the dashboard serves HTTPS from the first day."""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import ssl
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from edge_agent.appliance.certificates.pair import finish_replacement, fits, replace_pair
from edge_agent.appliance.ownership import make_folder
from edge_agent.core.errors import CertificateError
from edge_agent.store.database.dashboard_file import has_own_folder

log = logging.getLogger(__name__)

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


def keep_certificate(folder: Path, name: str | None = None) -> bool:
    """Make the certificate, if there is none, it ends soon, or the machine was renamed.

    One that the owner has installed stays, for as long as it and its key can be used.

    Args:
        folder: for ``cert.pem`` and ``key.pem``; made if needed. The key can be read by its owner
            only, or by the group too where that may write the folder or the one above a new one:
            the dashboard serves it, and the nightly maintenance, another user, renews it.
        name: of the machine; ``None`` asks the system.

    Returns:
        Whether a new one was made.

    Raises:
        CertificateError: openssl is missing or fails, or the folder cannot be written. Nothing has
            changed then.
    """
    name = host_name() if name is None else name
    certificate = folder / CERTIFICATE
    key = folder / KEY
    if certificate.exists() or key.exists():
        finish_replacement(certificate, key)
    if fits(certificate, key) and (is_given(certificate) or _is_good(certificate, name)):
        return False
    _make(folder, name)
    log.info("made a certificate for %s, valid for %d days: %s", name, VALID_DAYS, certificate)
    return True


def make_place(folder: Path) -> None:
    """Make the folder of certificate and key, if needed, for those whose folder the one above is.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.exists():
        make_folder(folder)
        if has_own_folder(folder.parent):  # two users renew it
            folder.chmod(0o770)


def is_given(certificate: Path) -> bool:
    """Tell whether somebody else has made a certificate; ``False`` where it cannot be read."""
    try:
        lines = _openssl("x509", "-in", str(certificate), "-noout", "-subject", "-issuer")
    except CertificateError:
        return False
    subject, issuer = (line.partition("=")[2].strip() for line in lines.splitlines()[:2])
    return subject != issuer or not re.match(rf"O ?= ?{_MAKER}\b", subject)


def host_name() -> str:
    """Return the machine's name as far as a certificate can carry it."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().split(".")[0]).strip("-")
    return name or "affect-edge"


def fingerprint(certificate: Path) -> str:
    """Return the SHA-256 fingerprint, as browsers show it.

    Raises:
        CertificateError: the file is missing or is no certificate.
    """
    output = _openssl("x509", "-in", str(certificate), "-noout", "-fingerprint", "-sha256")
    return output.strip().partition("=")[2]


def ends_at(certificate: Path) -> float:
    """Return when a certificate ends, seconds since 1970 UTC.

    Raises:
        CertificateError: the file is missing or is no certificate.
    """
    output = _openssl("x509", "-in", str(certificate), "-noout", "-enddate")
    return float(ssl.cert_time_to_seconds(output.strip().partition("=")[2]))


def _is_good(certificate: Path, name: str) -> bool:
    """Tell whether a certificate is valid for some time and carries the name."""
    try:
        _openssl(
            "x509", "-in", str(certificate), "-noout", "-checkend", str(RENEW_DAYS * _DAY_SECONDS)
        )
        names = _openssl("x509", "-in", str(certificate), "-noout", "-ext", "subjectAltName")
    except CertificateError:
        return False
    return f"DNS:{name}," in names.replace(" ", "").replace("\n", ",")


def _make(folder: Path, name: str) -> None:
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", str(VALID_DAYS), "-subj", f"/O={_MAKER}/CN={name}"]
    words += ["-addext", f"subjectAltName={','.join(_names(name))}"]
    words += ["-addext", "extendedKeyUsage=serverAuth"]
    words += ["-addext", "basicConstraints=critical,CA:FALSE"]
    try:
        make_place(folder)
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
    """Return every name that a browser may use: host names, and the addresses of today."""
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
    """Tell whether a person may type this address into a browser."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # with a zone: link-local
        return False
    return not (parsed.is_loopback or parsed.is_link_local)


def _openssl(*words: str) -> str:
    try:
        done = subprocess.run(
            ["openssl", *words], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
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
