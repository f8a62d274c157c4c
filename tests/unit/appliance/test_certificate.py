"""The certificate that the appliance makes for itself."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from edge_agent.appliance import certificates as room
from edge_agent.appliance.certificates import fingerprint, host_name, keep_certificate
from edge_agent.core.errors import CertificateError


def text_of(file: Path) -> str:
    words = [
        "openssl",
        "x509",
        "-in",
        str(file),
        "-noout",
        "-text",
        "-ext",
        "subjectAltName,extendedKeyUsage",
    ]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_it_carries_the_names_that_a_browser_may_ask_for(tmp_path: Path) -> None:
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
def test_it_is_made_anew_when_it_is_not_good_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr(room, "VALID_DAYS", 29 if reason == "ends soon" else 800)
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
