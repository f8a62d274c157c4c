"""Certificates that an owner brings: what is taken, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge_agent.appliance.certificates import read_given
from edge_agent.core.errors import CertificateError
from tests.support.security.authority import Authority, new_key, pem_of


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def test_a_certificate_with_its_chain_is_taken_and_nothing_else_of_the_file(
    authority: Authority, tmp_path: Path
) -> None:
    file, key = authority.pair(tmp_path / "a")
    file.write_bytes(b"Bag Attributes\n" + file.read_bytes() + key.read_bytes())
    given = read_given(file, key)
    assert given.names == ("pi.lan", "127.0.0.1")
    assert given.authority == "'CN=Root of the house'" and not given.has_root
    assert 89 < given.days < 91
    assert given.content.count(b"BEGIN CERTIFICATE") == 2
    assert b"Bag Attributes" not in given.content and b"PRIVATE" not in given.content


def test_a_file_that_ends_with_its_root_is_taken(authority: Authority, tmp_path: Path) -> None:
    key = new_key()
    chain = [authority.intermediate.certificate, authority.root.certificate]
    given = read_given(*authority.write(tmp_path / "a", authority.issue(key), key, chain))
    assert given.has_root


def test_keys_of_rsa_are_taken(authority: Authority, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    assert read_given(*authority.write(tmp_path / "a", authority.issue(key), key)).names


Spoil = Callable[[Authority, Path], tuple[Path, Path]]


def of_another_key(authority: Authority, folder: Path) -> tuple[Path, Path]:
    return authority.pair(folder)[0], authority.pair(folder.with_name("b"))[1]


def chain_first(authority: Authority, folder: Path) -> tuple[Path, Path]:
    key = new_key()
    own = authority.issue(key)
    return authority.write(folder, authority.intermediate.certificate, key, [own])


def foreign_chain(authority: Authority, folder: Path) -> tuple[Path, Path]:
    key = new_key()
    other = Authority().intermediate.certificate
    return authority.write(folder, authority.issue(key), key, [other])


def with_key(make: Callable[[], object]) -> Spoil:
    def spoil(authority: Authority, folder: Path) -> tuple[Path, Path]:
        file, key = authority.pair(folder)
        key.write_bytes(pem_of(make()))
        return file, key

    return spoil


def with_text(which: int, content: bytes) -> Spoil:
    def spoil(authority: Authority, folder: Path) -> tuple[Path, Path]:
        files = authority.pair(folder)
        files[which].write_bytes(content)
        return files

    return spoil


def locked(authority: Authority, folder: Path) -> tuple[Path, Path]:
    file, key = authority.pair(folder)
    key.write_bytes(pem_of(new_key(), b"secret words"))
    return file, key


def in_der(authority: Authority, folder: Path) -> tuple[Path, Path]:
    file, key = authority.pair(folder)
    file.write_bytes(
        x509.load_pem_x509_certificates(file.read_bytes())[0].public_bytes(Encoding.DER)
    )
    return file, key


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (of_another_key, "do not belong together"),
        (chain_first, "do not belong together: the first certificate"),
        (foreign_chain, "'CN=pi.lan' is not signed by the certificate that follows"),
        (lambda a, f: a.pair(f, days=(-9, -1)), r"'CN=pi.lan' ended on 20\d\d-\d\d-\d\d"),
        (lambda a, f: a.pair(f, days=(1, 9)), r"begins on 20\d\d-.* only, and here it is 20"),
        (lambda a, f: a.pair(f, names=()), "names no host"),
        (lambda a, f: a.pair(f, use=ExtendedKeyUsageOID.CLIENT_AUTH), "is not for servers"),
        (locked, "locked by a passphrase.*openssl pkey -in"),
        (in_der, "no certificate in PEM form.*openssl x509 -inform der"),
        (with_key(ed25519.Ed25519PrivateKey.generate), "Ed25519PrivateKey, which browsers do not"),
        (
            with_key(lambda: rsa.generate_private_key(65537, 1024)),
            "RSAPrivateKey of 1024 bits, which browsers do not",
        ),
        (with_text(0, b""), "no certificate in PEM form"),
        (with_text(0, b"x" * 1_000_001), "larger than 1000000 bytes"),
        (
            with_text(1, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            "damaged",
        ),
        (lambda _, f: (f / "none.pem", f / "key.pem"), r"none.pem: cannot be read \(No such file"),
    ],
)
def test_what_a_browser_would_refuse_is_refused_with_its_reason(
    authority: Authority, tmp_path: Path, spoil: Spoil, told: str
) -> None:
    with pytest.raises(CertificateError, match=f"(?s){told}"):
        read_given(*spoil(authority, tmp_path / "a"))
