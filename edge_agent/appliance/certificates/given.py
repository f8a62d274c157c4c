"""A certificate that the owner brings: of an authority of their own, or of one by ACME."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

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
from edge_agent.core.errors import CertificateError

LARGEST_BYTES = 1_000_000
RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1", "secp521r1")


@dataclass(frozen=True, slots=True)
class GivenCertificate:
    """A certificate and its key, checked.

    Attributes:
        content: PEM of the certificate and of those that lead to its authority, nothing else.
        secret: PEM of the key.
        names: host names and addresses that it is for.
        authority: who signed the last certificate of the file.
        has_root: whether the file ends with an authority that nobody else signs.
        ends: when it ends.

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
    """Read a certificate and its key, and check that browsers can take them.

    Args:
        certificate: PEM, the server's own first, then those that lead to its authority.
        key: PEM, not locked by a passphrase.

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
        _names(certificate, own),
        _called(last.issuer),
        last.issuer == last.subject,
        own.not_valid_after_utc,
    )


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise CertificateError(f"{file}: cannot be read ({error.strerror}).") from error
    if len(content) > LARGEST_BYTES:
        raise CertificateError(f"{file}: is larger than {LARGEST_BYTES} bytes; it is another file.")
    return content


def _chain(file: Path) -> list[x509.Certificate]:
    content = _read(file)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise CertificateError(
            f"{file}: holds no certificate in PEM form (-----BEGIN CERTIFICATE-----), or one that "
            f"is damaged. One in DER form is changed with: openssl x509 -inform der -in {file}"
        ) from error


def _key(file: Path) -> RSAPrivateKey | EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(_read(file), password=None)
    except TypeError as error:
        raise CertificateError(
            f"{file}: is locked by a passphrase, and the dashboard has to start without anybody. "
            f"Unlock it: openssl pkey -in {file} -out NEW"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"{file}: holds no private key in PEM form, or one that is damaged."
        ) from error
    if isinstance(key, RSAPrivateKey) and key.key_size >= RSA_BITS:
        return key
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return key
    size = f" of {key.key_size} bits" if isinstance(key, RSAPrivateKey) else ""
    raise CertificateError(
        f"{file}: is {type(key).__name__.lstrip('_')}{size}, which browsers do not take. Make a "
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
                f"{file}: the certificate of {_called(one.subject)} ended on "
                f"{one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC. Renew it first."
            )
        if one.not_valid_before_utc > now:
            raise CertificateError(
                f"{file}: the certificate of {_called(one.subject)} begins on "
                f"{one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC only, and here it is "
                f"{now:%Y-%m-%d %H:%M}. Wait, or set the clock."
            )


def _check_use(file: Path, own: x509.Certificate) -> None:
    try:
        allowed = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
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
            one.verify_directly_issued_by(signer)
        except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CertificateError(
                f"{file}: {_called(one.subject)} is not signed by the certificate that follows, "
                f"{_called(signer.subject)}. Put the server's own first, then each one's signer."
            ) from error


def _names(file: Path, own: x509.Certificate) -> tuple[str, ...]:
    try:
        listed = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        listed = x509.SubjectAlternativeName([])
    addresses = map(str, listed.get_values_for_type(x509.IPAddress))
    names = (*listed.get_values_for_type(x509.DNSName), *addresses)
    if not names:
        raise CertificateError(
            f"{file}: names no host (subjectAltName), and browsers look nowhere else. Have one "
            "signed for the name by which the dashboard is opened."
        )
    return names


def _called(name: x509.Name) -> str:
    return repr(name.rfc4514_string()[:100])
