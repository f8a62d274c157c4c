"""Certificates: that of the appliance, those that an owner brings, and how a pair is replaced."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge_agent.appliance import certificates
from edge_agent.appliance.certificates import (
    ends_at,
    fingerprint,
    finish_replacement,
    fits,
    host_name,
    is_given,
    keep_certificate,
    read_given,
    replace_pair,
)
from edge_agent.core import files
from edge_agent.core.errors import CertificateError, StoreError
from tests.support.security.authority import Authority, new_key, pem_of


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def text_of(file: Path) -> str:
    words = ["openssl", "x509", "-in", str(file), "-noout", "-text"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_the_certificate_names_the_device_and_localhost(tmp_path: Path) -> None:
    assert keep_certificate(tmp_path / "tls", "pi-kitchen")
    said = text_of(tmp_path / "tls" / "cert.pem")
    for name in (
        "DNS:pi-kitchen,",
        "DNS:pi-kitchen.local",
        "DNS:localhost",
        "127.0.0.1",
        "Web Server Authentication",
    ):
        assert name in said
    assert stat.S_IMODE((tmp_path / "tls" / "key.pem").stat().st_mode) == 0o600


def test_a_good_one_stays(tmp_path: Path) -> None:
    keep_certificate(tmp_path, "pi")
    before = fingerprint(tmp_path / "cert.pem")
    assert not keep_certificate(tmp_path, "pi")
    assert fingerprint(tmp_path / "cert.pem") == before
    assert len(before.split(":")) == 32


@pytest.mark.parametrize("reason", ["ends soon", "renamed", "key lost", "damaged"])
def test_certificate_is_made_anew_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr(certificates, "VALID_DAYS", 29 if reason == "ends soon" else 800)
    keep_certificate(tmp_path, "pi")
    before = fingerprint(tmp_path / "cert.pem")
    monkeypatch.undo()
    if reason == "key lost":
        (tmp_path / "key.pem").unlink()
    if reason == "damaged":
        (tmp_path / "cert.pem").write_text("nonsense")
    assert keep_certificate(tmp_path, "pi2" if reason == "renamed" else "pi")
    assert fingerprint(tmp_path / "cert.pem") != before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cert.pem", "key.pem"]


def test_a_folder_that_may_not_be_written_and_a_missing_openssl_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CertificateError, match="cannot be written"):
        keep_certificate(tmp_path / "file" / "tls", "pi")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CertificateError, match="sudo apt install openssl"):
        keep_certificate(tmp_path / "tls", "pi")
    assert not (tmp_path / "tls" / "cert.pem").exists()


def test_a_machine_always_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, kept in (("Pi_4.lan", "Pi-4"), ("...", "affect-edge")):
        monkeypatch.setattr("socket.gethostname", lambda given=given: given)
        assert host_name() == kept


def test_beside_files_of_two_users_both_may_read_and_renew_it(tmp_path: Path) -> None:
    (tmp_path / "dashboard").mkdir()
    before = os.umask(0o077)
    try:
        assert keep_certificate(tmp_path / "tls", "pi-kitchen")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o770
    for name in ("cert.pem", "key.pem"):
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o640


def test_a_certificate_with_its_chain_is_taken_and_nothing_else_of_file(
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


def test_an_rsa_key_and_a_chain_that_ends_with_its_root_are_taken(
    authority: Authority, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    chain = [authority.intermediate.certificate, authority.root.certificate]
    assert read_given(*authority.write(tmp_path / "a", authority.issue(key), key, chain)).has_root


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
        (lambda a, f: a.pair(f, names=()), "contains no host name"),
        (lambda a, f: a.pair(f, use=ExtendedKeyUsageOID.CLIENT_AUTH), "is not for servers"),
        (locked, "encrypted with a passphrase.*openssl pkey -in"),
        (in_der, "no certificate in PEM form.*openssl x509 -inform der"),
        (with_key(ed25519.Ed25519PrivateKey.generate), "Ed25519PrivateKey, which browsers refuse"),
        (
            with_key(lambda: rsa.generate_private_key(65537, 1024)),
            "RSAPrivateKey of 1024 bits, which browsers refuse",
        ),
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


@pytest.fixture
def served(tmp_path: Path) -> tuple[Path, Path]:
    keep_certificate(tmp_path / "tls", "pi")
    return tmp_path / "tls" / "cert.pem", tmp_path / "tls" / "key.pem"


def new_pair(authority: Authority, folder: Path) -> tuple[bytes, bytes]:
    file, key = authority.pair(folder)
    return file.read_bytes(), key.read_bytes()


@pytest.mark.parametrize("renamed", [0, 1, 2], ids=["nothing", "the key", "both"])
def test_wherever_it_is_cut_off_the_next_start_finds_a_pair_that_fits(
    authority: Authority,
    served: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    renamed: int,
) -> None:
    before = fingerprint(served[0])
    rename = Path.replace
    done: list[Path] = []

    def cut_off(self: Path, target: Path) -> Path:
        if len(done) == renamed:
            raise KeyboardInterrupt  # nothing after it is done, as at a power cut
        done.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", cut_off)
    if renamed < 2:
        with pytest.raises(KeyboardInterrupt):
            replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    else:
        replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    monkeypatch.undo()
    assert finish_replacement(*served) == (renamed < 2)
    assert fits(*served)
    assert (fingerprint(served[0]) == before) == (renamed == 0)
    assert {file.name for file in served[0].parent.iterdir()} == {"cert.pem", "key.pem"}


def test_one_of_the_owner_stays_when_it_ends_soon_and_names_another_host(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path
) -> None:
    assert not is_given(served[0])
    file, key = authority.pair(tmp_path / "new", days=(-1, 3), names=["other.lan"])
    replace_pair(*served, file.read_bytes(), key.read_bytes())
    before = fingerprint(served[0])
    assert not keep_certificate(served[0].parent, "pi") and fingerprint(served[0]) == before
    assert is_given(served[0])


def test_one_of_owner_whose_key_is_lost_gives_way_so_that_dashboard_starts(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path
) -> None:
    replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    served[1].unlink()
    assert keep_certificate(served[0].parent, "pi")
    assert fits(*served) and not is_given(served[0])


def test_the_group_reads_both_where_it_may_write_the_folder(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path
) -> None:
    served[0].parent.chmod(0o770)
    replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    assert {stat.S_IMODE(file.stat().st_mode) & 0o077 for file in served} <= {0o040, 0o044}
    assert not stat.S_IMODE(served[1].stat().st_mode) & 0o007


def test_a_link_that_somebody_laid_is_not_followed(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path
) -> None:
    victim = tmp_path / "shadow"
    victim.write_text("secret")
    for name in ("cert.pem.new", "key.pem.new"):
        served[0].with_name(name).symlink_to(victim)
    replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    assert victim.read_text() == "secret" and fits(*served) and not served[0].is_symlink()


def test_a_pipe_in_the_place_of_the_certificate_gives_way_to_a_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    for name in ("cert.pem", "key.pem"):
        os.mkfifo(folder / name)
    with pytest.raises(CertificateError, match="is no file"):
        read_given(folder / "cert.pem", folder / "key.pem")
    assert keep_certificate(folder, "pi")
    assert fits(folder / "cert.pem", folder / "key.pem")


def test_two_commands_do_not_mix_their_pairs(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOCK_S", 0.1)
    before = fingerprint(served[0])
    holder = os.open(served[0].parent, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another program has kept it locked"):
            replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    finally:
        os.close(holder)
    assert fingerprint(served[0]) == before and fits(*served)


def test_certificate_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"
    file.touch()
    os.truncate(file, 30_000_000_000)
    for question in (ends_at, fingerprint):
        with pytest.raises(CertificateError, match="is larger than 1000000 bytes"):
            question(file)
