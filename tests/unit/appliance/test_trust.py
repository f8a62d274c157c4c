"""Whose signatures count: keys of the release, keys of the owner, and keys that were revoked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_agent.appliance.trust import NAMESPACE, Trust, read_key, read_key_file
from edge_agent.appliance.update import Place
from edge_agent.cli import models
from edge_agent.core.errors import UpdateError
from tools.build_release import require_key


def make_key(file: Path, *options: str) -> Path:
    words = ["-t", "ed25519", *options]
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(file), *words], check=True)
    return file


def public(key: Path) -> Path:
    return key.with_suffix(".pub")


def sign(archive: Path, key: Path, namespace: str = NAMESPACE) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(archive)],
        check=True,
    )
    return archive.with_name(f"{archive.name}.sig")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


@pytest.fixture
def trust(tmp_path: Path, key: Path) -> Trust:
    """An installed release that trusts the key, and an owner who has said nothing yet."""
    release = tmp_path / "release"
    (release / "config").mkdir(parents=True)
    line = f'release namespaces="{NAMESPACE}" {public(key).read_text()}'
    (release / "config/release-signers").write_text(f"# a comment\n{line}")
    return Trust(release, tmp_path / "etc/release-signers.d")


def release_of(trust: Trust) -> Path:
    """The folder of the installed release, which every trust here has."""
    assert trust.release is not None
    return trust.release


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "affect-edge-1.2.3.tar"
    file.write_bytes(bytes(range(256)) * 8)
    return file


def test_what_a_key_of_the_release_signs_is_taken(trust: Trust, archive: Path, key: Path) -> None:
    signer = trust.check(archive, sign(archive, key))
    assert signer == read_key_file(public(key)).fingerprint


def test_an_archive_with_one_changed_byte_fails_its_signature(
    trust: Trust, archive: Path, key: Path
) -> None:
    signature = sign(archive, key)
    content = bytearray(archive.read_bytes())
    content[600] ^= 1
    archive.write_bytes(content)
    with pytest.raises(UpdateError, match="not trusted, and nothing of it was used"):
        trust.check(archive, signature)


@pytest.mark.parametrize("who", ["a stranger", "another purpose", "nonsense"])
def test_only_the_signature_of_a_trusted_release_key_is_accepted(
    tmp_path: Path, trust: Trust, archive: Path, key: Path, who: str
) -> None:
    if who == "a stranger":
        signature = sign(archive, make_key(tmp_path / "other"))
    else:
        signature = sign(archive, key, "git" if who == "another purpose" else NAMESPACE)
    if who == "nonsense":
        signature.write_text("signed, believe me")
    with pytest.raises(UpdateError, match="not trusted"):
        trust.check(archive, signature)


def test_where_nobody_is_trusted_nothing_is(trust: Trust, archive: Path, key: Path) -> None:
    signature = sign(archive, key)
    (release_of(trust) / "config/release-signers").write_text("# nobody yet\n\n")
    with pytest.raises(UpdateError, match=r"No key is trusted.*update --trust KEYFILE"):
        trust.check(archive, signature)
    (release_of(trust) / "config/release-signers").unlink()
    with pytest.raises(UpdateError, match="cannot be read"):
        trust.check(archive, signature)


def test_a_key_that_the_owner_trusts_counts_as_those_of_the_release(
    tmp_path: Path, trust: Trust, archive: Path
) -> None:
    other = make_key(tmp_path / "other")
    signature = sign(archive, other)
    with pytest.raises(UpdateError, match="not trusted"):
        trust.check(archive, signature)
    given = read_key_file(public(other))
    file = trust.add(given)
    assert file.parent == trust.owner and file.stat().st_mode & 0o777 == 0o644
    assert trust.check(archive, signature) == given.fingerprint
    assert [one.source for one in trust.trusted_keys()] == [
        release_of(trust) / "config/release-signers",
        file,
    ]


@pytest.mark.parametrize("whose", ["the owner", "the next release"])
def test_what_a_revoked_key_signs_is_refused_whoever_trusts_it(
    tmp_path: Path, trust: Trust, archive: Path, key: Path, whose: str
) -> None:
    trust.add(read_key_file(public(make_key(tmp_path / "other"))))
    signature = sign(archive, key)
    trust.check(archive, signature)
    if whose == "the owner":
        trust.revoke(read_key_file(public(key)))
    else:
        revoked = release_of(trust) / "config/release-revoked"
        revoked.write_text(f"# lost in a train\n{public(key).read_text()}")
    with pytest.raises(UpdateError, match="the key that signed it was revoked"):
        trust.check(archive, signature)
    assert [one.revoked for one in trust.trusted_keys()] == [True, False]
    with pytest.raises(UpdateError, match="was revoked .*, so it is not trusted"):
        trust.add(read_key_file(public(key)))


def test_a_key_that_is_revoked_twice_stands_there_once(trust: Trust, key: Path) -> None:
    one = read_key_file(public(key))
    trust.add(one)
    file = trust.revoke(one)
    assert trust.revoke(one) == file
    assert file.read_text() == f"{one.line}\n"
    assert list(trust.owner.glob("*.signers")) == []


def test_a_private_key_is_refused_before_it_lies_anywhere_else(trust: Trust, key: Path) -> None:
    with pytest.raises(UpdateError, match="is a private key, which has no place"):
        read_key_file(key)
    assert not trust.owner.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds 0 keys"),
        ("two", "holds 2 keys"),
        ("ssh-dss AAAAB3NzaC1kc3MAAACB", "is no public key of OpenSSH"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==", "is no whole public key"),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----", "is no public key of OpenSSH"),
        (b"\xff\xfe\x00", "it is no text"),
        (None, "No such file"),
    ],
)
def test_what_is_no_public_key_is_named(
    tmp_path: Path, key: Path, text: str | bytes | None, message: str
) -> None:
    file = tmp_path / "given.pub"
    if text == "two":
        text = public(key).read_text() * 2
    if isinstance(text, str):
        text = text.encode()
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(UpdateError, match=message):
        read_key_file(file)


def test_a_weak_key_is_refused(tmp_path: Path) -> None:
    weak = tmp_path / "weak"
    words = ["-t", "rsa", "-b", "2048", "-N", "", "-f", str(weak)]
    subprocess.run(["ssh-keygen", "-q", *words], check=True)
    with pytest.raises(UpdateError, match="RSA key of 2048 bits is too weak"):
        read_key(public(weak).read_text(), "weak.pub")


def test_a_damaged_file_of_the_owner_is_named_and_nothing_is_taken(
    trust: Trust, archive: Path, key: Path
) -> None:
    trust.owner.mkdir(parents=True)
    (trust.owner / "mine.signers").write_text("release ssh-ed25519 AAAA\n")
    with pytest.raises(UpdateError, match=r"mine\.signers: .* is no whole public key"):
        trust.check(archive, sign(archive, key))


def test_without_ssh_keygen_the_package_is_named(
    tmp_path: Path, trust: Trust, archive: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = sign(archive, key)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UpdateError, match="openssh-client"):
        trust.check(archive, signature)


def test_no_release_is_signed_with_a_key_that_appliances_would_refuse(
    tmp_path: Path, trust: Trust, key: Path
) -> None:
    with pytest.raises(SystemExit, match="No key was given"):
        require_key(release_of(trust), None)
    other = make_key(tmp_path / "other")
    with pytest.raises(SystemExit, match="would be refused"):
        require_key(release_of(trust), other)
    with pytest.raises(SystemExit, match=r"lost.pub: cannot be read"):
        require_key(release_of(trust), tmp_path / "lost")
    require_key(release_of(trust), key)
    (release_of(trust) / "config/release-revoked").write_text(public(key).read_text())
    with pytest.raises(SystemExit, match="release-revoked does"):
        require_key(release_of(trust), key)


def affect_edge(trust: Trust, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    place = Place(release_of(trust).parent, release_of(trust).parent, trust.owner.parent / "a.toml")
    monkeypatch.setattr(Place, "current", lambda _: release_of(trust))
    monkeypatch.setattr(models, "installed_place", lambda: place)
    return CliRunner().invoke(models.update, words)


def test_the_command_shows_the_fingerprint_before_it_trusts(
    tmp_path: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = public(make_key(tmp_path / "other"))
    fingerprint = read_key_file(other).fingerprint
    asked = affect_edge(trust, monkeypatch, "--trust", str(other))
    assert asked.exit_code == 1 and fingerprint in asked.output and "Trust it?" in asked.output
    assert not trust.owner.exists()
    assert affect_edge(trust, monkeypatch, "--trust", str(other), "--yes").exit_code == 0
    again = affect_edge(trust, monkeypatch, "--trust", str(other))
    assert again.output == f"{fingerprint} is trusted already.\n"
    listing = affect_edge(trust, monkeypatch, "--keys").output
    assert listing.count("SHA256:") == 2 and "revoked" not in listing
    revoked = affect_edge(trust, monkeypatch, "--revoke", str(other), "--yes").output
    assert f"Nothing that {fingerprint} signs will be taken any more" in revoked
    assert affect_edge(trust, monkeypatch, "--keys").output.count("SHA256:") == 1


def test_revoking_the_last_key_says_that_nobody_is_trusted(
    trust: Trust, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = affect_edge(trust, monkeypatch, "--revoke", str(public(key)), "--yes")
    assert "Now no key is trusted" in done.output
    listing = affect_edge(trust, monkeypatch, "--keys").output
    assert "revoked: its releases are refused" in listing


@pytest.mark.parametrize("words", [[], ["--keys", "a.tar"], ["--trust", "a", "--revoke", "b"]])
def test_one_thing_at_a_time(
    trust: Trust, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    done = affect_edge(trust, monkeypatch, *words)
    assert done.exit_code == 2 and "Give one of: FILE, URL or CHECKOUT" in done.output
