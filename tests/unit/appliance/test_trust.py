"""Whose signatures count: allowed signers, revoked keys, and what is taken over from a release."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from affect_edge import models
from edge_agent.appliance.trust import NAMESPACE, PURPOSE, Trust, read_key, read_key_file, take_over
from edge_agent.appliance.update import Installation
from edge_agent.core.errors import UpdateError
from tools.build_release import require_key


def make_key(file: Path, *options: str) -> Path:
    words = ["-t", "ed25519", *options]
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(file), *words], check=True)
    return file


def public(key: Path) -> Path:
    return key.with_suffix(".pub")


def sign(archive: Path, key: Path, namespace: str = NAMESPACE) -> Path:
    archive.with_name(f"{archive.name}.sig").unlink(missing_ok=True)
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
    """An owner who trusts the key."""
    (tmp_path / "etc").mkdir()
    trust = Trust(tmp_path / "etc")
    trust.signers.write_text(f"# a comment\n{PURPOSE} {public(key).read_text()}")
    return trust


@pytest.fixture
def release(tmp_path: Path) -> Trust:
    """A release that names no key."""
    folder = tmp_path / "opt/current"
    (folder / "config").mkdir(parents=True)
    (folder / "VERSION").write_text("1.0.0\n")
    return Trust(folder / "config")


def old_line(key: Path) -> str:
    """The line of a key as releases up to 0.1.0 write it."""
    return f'release namespaces="affect-edge-release,git" {public(key).read_text()}'


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "affect-edge-1.2.3.tar"
    file.write_bytes(bytes(range(256)) * 8)
    return file


def test_release_signed_by_an_allowed_key_is_taken(trust: Trust, archive: Path, key: Path) -> None:
    signer = trust.check(archive, sign(archive, key))
    assert signer == read_key_file(public(key)).fingerprint


def test_an_archive_with_one_changed_byte_fails_its_signature(
    trust: Trust, archive: Path, key: Path
) -> None:
    signature = sign(archive, key)
    content = bytearray(archive.read_bytes())
    content[600] ^= 1
    archive.write_bytes(content)
    with pytest.raises(UpdateError, match="not trusted, and nothing of it was used.*again"):
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
    trust.signers.write_text("# nobody yet\n\n")
    with pytest.raises(UpdateError, match=r"No key is trusted.*update --trust KEYFILE"):
        trust.check(archive, signature)
    trust.signers.unlink()
    with pytest.raises(UpdateError, match="No key is trusted"):
        trust.check(archive, signature)


def test_signers_owner_adds_a_key_it_counts_beside_the_others(
    tmp_path: Path, trust: Trust, archive: Path
) -> None:
    other = make_key(tmp_path / "other")
    signature = sign(archive, other)
    given = read_key_file(public(other))
    named = rf"signed by {re.escape(given.fingerprint)}, which .*/release-signers does not allow"
    with pytest.raises(UpdateError, match=named):
        trust.check(archive, signature)
    assert trust.add(given) == trust.signers
    assert trust.check(archive, signature) == given.fingerprint
    assert trust.signers.read_text().startswith("# a comment\n")
    assert len(trust.trusted_keys()) == 2


def test_signers_first_key_makes_a_file_that_only_root_changes(tmp_path: Path, key: Path) -> None:
    file = Trust(tmp_path).add(read_key_file(public(key)))
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.read_text().startswith("# Who may sign releases")


@pytest.mark.parametrize("whose", ["the owner", "the next release"])
def test_what_a_revoked_key_signs_is_refused_whoever_trusts_it(
    tmp_path: Path, trust: Trust, release: Trust, archive: Path, key: Path, whose: str
) -> None:
    trust.add(read_key_file(public(make_key(tmp_path / "other"))))
    signature = sign(archive, key)
    trust.check(archive, signature)
    if whose == "the owner":
        trust.revoke(read_key_file(public(key)))
    else:
        release.revoked.write_text(f"# lost in a train\n{public(key).read_text()}")
        take_over(release, trust)
    with pytest.raises(UpdateError, match="the key that signed it was revoked"):
        trust.check(archive, signature)
    assert [one.revoked for one in trust.trusted_keys()] == [True, False]
    with pytest.raises(UpdateError, match="was revoked .*, so it is not trusted"):
        trust.add(read_key_file(public(key)))


def test_a_key_that_is_revoked_twice_stands_there_once(trust: Trust, key: Path) -> None:
    one = read_key_file(public(key))
    file = trust.revoke(one)
    assert trust.revoke(one) == file
    assert [line for line in file.read_text().splitlines() if line[0] != "#"] == [one.line]


def test_take_over_release_names_keys_the_owner_trusts_and_refuses_them(
    tmp_path: Path, trust: Trust, release: Trust, archive: Path, key: Path
) -> None:
    other = make_key(tmp_path / "other")
    release.signers.write_text(f"# of the next release\n{PURPOSE} {public(other).read_text()}")
    release.revoked.write_text(public(key).read_text())
    given, lost = (read_key_file(public(one)).fingerprint for one in (other, key))
    assert take_over(release, trust) == [
        f"{lost} is revoked: what it signs is refused",
        f"{given} may sign releases",
    ]
    assert trust.check(archive, sign(archive, other)) == given
    before = trust.signers.read_text(), trust.revoked.read_text()
    assert take_over(release, trust) == []
    assert (trust.signers.read_text(), trust.revoked.read_text()) == before


def test_take_over_folder_of_earlier_releases_its_keys_count_and_it_stays(
    tmp_path: Path, release: Trust, archive: Path
) -> None:
    trust = Trust(tmp_path / "etc")
    trust.old_folder.mkdir(parents=True)
    own, lost = make_key(tmp_path / "own"), make_key(tmp_path / "lost")
    for one in (own, lost):
        (trust.old_folder / f"{one.name}.signers").write_text(old_line(one))
    (trust.old_folder / "revoked").write_text(public(lost).read_text())
    told = take_over(release, trust)
    assert f"once you go back to none of them: sudo rm -r {trust.old_folder}" in told[-1]
    assert trust.check(archive, sign(archive, own)) == read_key_file(public(own)).fingerprint
    with pytest.raises(UpdateError, match="the key that signed it was revoked"):
        trust.check(archive, sign(archive, lost))
    assert (trust.old_folder / "own.signers").read_text() == old_line(own)


def test_take_over_line_with_a_restriction_keeps_it(
    tmp_path: Path, release: Trust, archive: Path, key: Path
) -> None:
    trust = Trust(tmp_path / "etc")
    trust.old_folder.mkdir(parents=True)
    line = f'release namespaces="git",valid-before="20200101" {public(key).read_text()}'
    (trust.old_folder / "mine.signers").write_text(line)
    take_over(release, trust)
    assert line in trust.signers.read_text()
    with pytest.raises(UpdateError, match="not trusted"):
        trust.check(archive, sign(archive, key))


def test_take_over_damaged_line_is_named_and_adds_no_signer(
    tmp_path: Path, trust: Trust, release: Trust
) -> None:
    trust.old_folder.mkdir()
    (trust.old_folder / "a.signers").write_text(old_line(make_key(tmp_path / "own")))
    (trust.old_folder / "b.signers").write_text("release ssh-ed25519 AAAA\n")
    before = trust.signers.read_text()
    with pytest.raises(UpdateError, match=r"b\.signers: .* is no whole public key"):
        take_over(release, trust)
    assert trust.signers.read_text() == before


def test_a_private_key_is_refused_before_it_lies_anywhere_else(trust: Trust, key: Path) -> None:
    with pytest.raises(UpdateError, match="is a private key, which has no place"):
        read_key_file(key)
    assert len(trust.trusted_keys()) == 1


def test_key_file_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match="/dev/zero: is not a file"):
        read_key_file(Path("/dev/zero"))
    (tmp_path / "large.pub").write_text("ssh-ed25519 A\n" * 5_000)
    with pytest.raises(UpdateError, match="larger than 64,000 bytes"):
        read_key_file(tmp_path / "large.pub")


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
def test_file_that_is_no_public_key_is_named(
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
    with trust.signers.open("a") as file:
        file.write("release ssh-ed25519 AAAA\n")
    with pytest.raises(UpdateError, match=r"release-signers: .* is no whole public key"):
        trust.check(archive, sign(archive, key))


def test_without_ssh_keygen_the_package_is_named(
    tmp_path: Path, trust: Trust, archive: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = sign(archive, key)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UpdateError, match="openssh-client"):
        trust.check(archive, signature)


def test_no_release_is_signed_with_a_key_that_appliances_would_refuse(
    tmp_path: Path, release: Trust, key: Path
) -> None:
    tree = release.folder.parent
    with pytest.raises(SystemExit, match="No key was given"):
        require_key(tree, None)
    with pytest.raises(SystemExit, match="would be refused"):
        require_key(tree, key)
    with pytest.raises(SystemExit, match=r"lost.pub: .*No such file"):
        require_key(tree, tmp_path / "lost")
    release.signers.write_text(f"{PURPOSE} {public(key).read_text()}")
    require_key(tree, key)
    release.revoked.write_text(public(key).read_text())
    with pytest.raises(SystemExit, match="release-revoked does"):
        require_key(tree, key)


def affect_edge(trust: Trust, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    program = trust.folder.parent / "opt"
    place = Installation(program, trust.folder, trust.folder / "affect-edge.toml")
    monkeypatch.setattr(models, "installed_place", lambda: place)
    return CliRunner().invoke(models.update, words)


@pytest.mark.usefixtures("release")
def test_the_command_shows_the_fingerprint_before_it_trusts(
    tmp_path: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = public(make_key(tmp_path / "other"))
    fingerprint = read_key_file(other).fingerprint
    asked = affect_edge(trust, monkeypatch, "--trust", str(other))
    assert asked.exit_code == 1 and fingerprint in asked.output and "Trust it?" in asked.output
    assert len(trust.trusted_keys()) == 1
    assert affect_edge(trust, monkeypatch, "--trust", str(other), "--yes").exit_code == 0
    again = affect_edge(trust, monkeypatch, "--trust", str(other))
    assert again.output == f"{fingerprint} is trusted already.\n"
    listing = affect_edge(trust, monkeypatch, "--keys").output
    assert listing.count("SHA256:") == 2 and "revoked" not in listing
    revoked = affect_edge(trust, monkeypatch, "--revoke", str(other), "--yes").output
    assert f"Nothing that {fingerprint} signs will be taken any more" in revoked
    listing = affect_edge(trust, monkeypatch, "--keys").output
    assert f"{fingerprint} ({trust.signers}, revoked: its releases are refused)" in listing


@pytest.mark.usefixtures("release")
def test_keys_folder_of_earlier_releases_is_named(
    trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "release-signers.d" not in affect_edge(trust, monkeypatch, "--keys").output
    trust.old_folder.mkdir()
    assert f"sudo rm -r {trust.old_folder}" in affect_edge(trust, monkeypatch, "--keys").output


@pytest.mark.usefixtures("release")
def test_revoking_the_last_key_says_that_nobody_is_trusted(
    trust: Trust, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = affect_edge(trust, monkeypatch, "--revoke", str(public(key)), "--yes")
    assert "Now no key is trusted" in done.output
    listing = affect_edge(trust, monkeypatch, "--keys").output
    assert "revoked: its releases are refused" in listing


@pytest.mark.parametrize("words", [[], ["--keys", "a.tar"], ["--trust", "a", "--revoke", "b"]])
@pytest.mark.usefixtures("release")
def test_one_thing_at_a_time(
    trust: Trust, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    done = affect_edge(trust, monkeypatch, *words)
    assert done.exit_code == 2 and "Give one of: FILE or URL" in done.output
