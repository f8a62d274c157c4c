"""The fleet's own authority: it signs the broker's certificate and those of the devices."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_agent.core import clock
from edge_agent.core.errors import EnrolmentError

AUTHORITY_DAYS = 9_131
"""25 years: a fleet does not outlive it, and changing it means that every device joins again."""
LEAF_DAYS = 3_652
"""Ten years, for broker and devices; a device that is to leave earlier is revoked."""
_EARLY = timedelta(days=1)
"""Certificates begin earlier: the clock of a device may be behind."""


def new_key() -> ec.EllipticCurvePrivateKey:
    """Draw a private key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_text(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a private key as PEM, without a passphrase."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def request_text(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a request for a certificate (PEM); the authority decides whose name goes in."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority of a fleet.

    Attributes:
        certificate: what devices and broker trust.
        key: with which it signs.

    Example::

        authority = new_authority("server.example")
        text, serial = authority.sign_device("room-1", request_text(new_key()))
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def text(self) -> str:
        """Its certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def sign_server(self, host: str, public: ec.EllipticCurvePublicKey) -> str:
        """Return a certificate (PEM) for the machine of the broker."""
        builder = self._leaf(host, public, ExtendedKeyUsageOID.SERVER_AUTH)
        names = x509.SubjectAlternativeName([_general_name(host)])
        return self._signed(builder.add_extension(names, critical=False))[0]

    def sign_device(self, name: str, request: str) -> tuple[str, int]:
        """Return a certificate (PEM) for the key of a request, and its serial number.

        Nothing of the request is taken but the key: who it is for is decided here.

        Raises:
            EnrolmentError: it is no request, or of another kind of key.
        """
        try:
            signing_request = x509.load_pem_x509_csr(request.encode())
            public = signing_request.public_key()
            right = signing_request.is_signature_valid
        except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
            raise EnrolmentError("This is no request for a certificate.", "bad_request") from error
        if (
            not isinstance(public, ec.EllipticCurvePublicKey)
            or public.curve.name != "secp256r1"
            or not right
        ):
            raise EnrolmentError(
                "The request for a certificate is not of a key of P-256, or not signed by it.",
                "bad_request",
            )
        return self._signed(self._leaf(name, public, ExtendedKeyUsageOID.CLIENT_AUTH))

    def revocations(self, serials: Iterable[int]) -> str:
        """Return the list (PEM) of the certificates that are not good any more."""
        at = clock.utc_now()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(at)
            # A broker with a list that has ended lets nobody in; here it is written when needed.
            .next_update(self.certificate.not_valid_after_utc)
        )
        for serial in sorted(serials):
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
            builder = builder.add_revoked_certificate(revoked.build())
        signed = builder.sign(self.key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM).decode()

    def _leaf(
        self, name: str, public: ec.EllipticCurvePublicKey, use: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        builder = _builder(name, public, LEAF_DAYS).issuer_name(self.certificate.subject)
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(signer, critical=False)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        )

    def _signed(self, builder: x509.CertificateBuilder) -> tuple[str, int]:
        certificate = builder.sign(self.key, hashes.SHA256())
        return certificate.public_bytes(Encoding.PEM).decode(), certificate.serial_number


def new_authority(host: str) -> Authority:
    """Make the authority of the fleet whose broker is at ``host``."""
    key = new_key()
    builder = _builder(f"Fleet of {host}"[:64], key.public_key(), AUTHORITY_DAYS)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        builder.issuer_name(_name(f"Fleet of {host}"[:64]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def read_authority(certificate: str, key: str) -> Authority:
    """Return an authority from its two PEM texts.

    Raises:
        EnrolmentError: they are none, or do not belong together.
    """
    secret = read_key(key)
    try:
        read = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError as error:
        raise EnrolmentError("The certificate of the fleet's authority is damaged.") from error
    if read.public_key() != secret.public_key():
        raise EnrolmentError("Certificate and key of the fleet's authority do not belong together.")
    return Authority(read, secret)


def read_key(text: str) -> ec.EllipticCurvePrivateKey:
    """Return a private key from PEM.

    Raises:
        EnrolmentError: it is none.
    """
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EnrolmentError("A private key of the fleet is damaged.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise EnrolmentError("A private key of the fleet is of another kind.")
    return key


def _builder(name: str, public: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    at = clock.utc_now()
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _EARLY)
        .not_valid_after(at + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
