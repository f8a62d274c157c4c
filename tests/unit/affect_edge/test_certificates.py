"""``affect-edge certificate``: a certificate of the owner's takes the place of the own one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.appliance.certificates import fingerprint
from tests.support.security.authority import Authority


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of an installed appliance."""
    tls = tmp_path / "data" / "tls"
    file = tmp_path / "affect-edge.toml"
    file.write_text(
        f'[data]\nfolder = "{tmp_path / "data"}"\n'
        f'[dashboard]\ncertificate = "{tls}/cert.pem"\nkey = "{tls}/key.pem"\n'
    )
    return file


def run(*words: str | Path, **surroundings: str | Path) -> Result:
    return CliRunner().invoke(
        cli, list(map(str, words)), env={name: str(value) for name, value in surroundings.items()}
    )


def test_own_certificate_is_kept_by_the_nightly_maintenance(
    authority: Authority, config: Path, tmp_path: Path
) -> None:
    assert run("certificate", "--config", config).exit_code == 0
    cert, key = authority.pair(tmp_path / "mine")
    done = run("certificate", "install", "--config", config, "--cert", cert, "--key", key)
    assert done.exit_code == 0, done.output
    assert "Installed for pi.lan, 127.0.0.1" in done.output
    assert "where they trust 'CN=Root of the house'" in done.output
    assert "within a minute, without a restart" in done.output
    mine = fingerprint(cert)
    assert mine in run("certificate", "--config", config, "--if-used").output
    night = run("maintenance", "--config", config)
    assert night.exit_code == 0
    assert "certificate: installed by you, valid for 90 more days" in night.output
    assert fingerprint(tmp_path / "data/tls/cert.pem") == mine


@pytest.mark.parametrize("client", ["certbot", "lego"])
def test_what_certbot_and_lego_name_to_their_hooks_is_taken(
    authority: Authority, config: Path, tmp_path: Path, client: str
) -> None:
    cert, key = authority.pair(tmp_path / "mine")
    named: dict[str, str | Path] = (
        {"RENEWED_LINEAGE": tmp_path / "mine", "RENEWED_DOMAINS": "pi.lan"}
        if client == "certbot"
        else {"LEGO_CERT_PATH": cert, "LEGO_CERT_KEY_PATH": key, "LEGO_CERT_DOMAIN": "pi.lan"}
    )
    run("certificate", "--config", config)
    done = run("certificate", "install", "--config", config, **named)
    assert done.exit_code == 0, done.output
    assert fingerprint(tmp_path / "data/tls/cert.pem") == fingerprint(cert)


def test_refused_certificate_changes_nothing(
    authority: Authority, config: Path, tmp_path: Path
) -> None:
    run("certificate", "--config", config)
    missing = run("certificate", "install", "--config", config)
    assert missing.exit_code == 2 and "--lineage FOLDER" in missing.output
    before = {file: file.read_bytes() for file in (tmp_path / "data/tls").iterdir()}
    cert, key = authority.pair(tmp_path / "mine", days=(-9, -1))
    done = run("certificate", "install", "--config", config, "--cert", cert, "--key", key)
    assert done.exit_code != 0 and "ended on" in str(done.exception)
    assert {file: file.read_bytes() for file in (tmp_path / "data/tls").iterdir()} == before


def test_the_night_fails_when_one_of_the_owner_ends_soon(
    authority: Authority, config: Path, tmp_path: Path
) -> None:
    run("certificate", "--config", config)
    cert, key = authority.pair(tmp_path / "mine", days=(-1, 3))
    run("certificate", "install", "--config", config, "--cert", cert, "--key", key)
    night = run("maintenance", "--config", config)
    assert night.exit_code == 1
    assert "which you have installed, ends in 3 days" in night.output


def test_a_dashboard_without_a_certificate_is_told_what_to_write(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "data" / "tls").mkdir(parents=True)
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    cert, key = authority.pair(tmp_path / "mine")
    words = ("--config", empty, "--data", tmp_path / "data", "--cert", cert, "--key", key)
    done = run("certificate", "install", *words)
    assert done.exit_code == 0, done.output
    assert f'certificate = "{tmp_path}/data/tls/cert.pem"' in done.output


def test_files_that_the_dashboard_uses_as_they_are_stay(
    authority: Authority, tmp_path: Path
) -> None:
    cert, key = authority.pair(tmp_path / "mine")
    config = tmp_path / "affect-edge.toml"
    config.write_text(f'[dashboard]\ncertificate = "{cert}"\nkey = "{key}"\n')
    done = run("certificate", "install", "--config", config, "--lineage", tmp_path / "mine")
    assert done.exit_code == 0 and "takes a change by itself" in done.output


def test_replacement_that_was_cut_off_is_finished_before_dashboard_starts(
    authority: Authority, config: Path, tmp_path: Path
) -> None:
    run("certificate", "--config", config)
    cert, key = authority.pair(tmp_path / "mine")
    tls = tmp_path / "data" / "tls"
    (tls / "cert.pem.new").write_bytes(cert.read_bytes())
    (tls / "key.pem").write_bytes(key.read_bytes())
    assert run("certificate", "--config", config, "--if-used").exit_code == 0
    assert fingerprint(tls / "cert.pem") == fingerprint(cert)


def test_the_folder_of_the_certificate_is_made_where_it_is_missing(
    authority: Authority, config: Path, tmp_path: Path
) -> None:
    assert not (tmp_path / "data").exists()
    cert, key = authority.pair(tmp_path / "mine")
    done = run("certificate", "install", "--config", config, "--cert", cert, "--key", key)
    assert done.exit_code == 0, done.output
