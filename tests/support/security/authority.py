"""An authority for certificates with a root and an intermediate one, as a clinic has."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

SERVER = ExtendedKeyUsageOID.SERVER_AUTH


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key: Any, passphrase: bytes | None = None) -> bytes:
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    content: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    return content


@dataclass
class Signer:
    """One that signs: a root, or an intermediate one of it."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


class Authority:
    """A root, an intermediate one, and the certificates that this signs."""

    def __init__(self) -> None:
        root, intermediate = new_key(), new_key()
        self.root = self._signer("Root of the house", root, None)
        self.intermediate = self._signer("Intermediate of the house", intermediate, self.root)

    def write_root(self, file: Path) -> Path:
        """Write what clients have to trust."""
        file.write_bytes(self.root.certificate.public_bytes(Encoding.PEM))
        return file

    def issue(
        self,
        key: Any,
        names: Sequence[str] = ("pi.lan", "127.0.0.1"),
        days: tuple[float, float] = (-1, 90),
        use: x509.ObjectIdentifier = SERVER,
    ) -> x509.Certificate:
        """Sign a certificate, valid from and until so many days from now."""
        return _signed("pi.lan", key.public_key(), self.intermediate, days, names, use)

    def write(
        self,
        folder: Path,
        certificate: x509.Certificate,
        key: Any,
        chain: Sequence[x509.Certificate] | None = None,
    ) -> tuple[Path, Path]:
        """Write a certificate with its chain, and its key; return both files."""
        folder.mkdir(exist_ok=True)
        behind = [self.intermediate.certificate] if chain is None else chain
        file, secret = folder / "fullchain.pem", folder / "privkey.pem"
        file.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in (certificate, *behind)))
        secret.write_bytes(pem_of(key))
        return file, secret

    def pair(self, folder: Path, **how: Any) -> tuple[Path, Path]:
        """Make a key, have a certificate signed, and write both with the chain."""
        key = new_key()
        return self.write(folder, self.issue(key, **how), key)

    def _signer(self, name: str, key: ec.EllipticCurvePrivateKey, by: Signer | None) -> Signer:
        certificate = _signed(name, key.public_key(), by, (-1, 3650), key=key)
        return Signer(certificate.subject, key, certificate)


def _signed(
    name: str,
    public: Any,
    by: Signer | None,
    days: tuple[float, float],
    names: Sequence[str] = (),
    use: x509.ObjectIdentifier | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.name if by else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(use is None, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if by is not None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if use is None:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_name(one) for one in names]), critical=False
        )
    signing = by.key if by else key
    assert signing is not None
    return builder.sign(signing, hashes.SHA256())


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
