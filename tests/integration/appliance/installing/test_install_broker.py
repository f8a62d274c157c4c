"""``install.sh`` and the accounts at the broker: an update and an uninstallation keep them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.appliance.installer import run

pytestmark = pytest.mark.broker
STUBS = """
install() { command install -m 600 "${@: -2}"; }
chown() { :; }
systemctl() { echo "systemctl $*"; }
config="$settings/affect-edge.toml"
echo 'username = "affect-edge"' >"$config"
"""


def set_up(settings: Path, etc: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    files = " ".join(f"'{etc / name}'" for name in ("conf", "acl", "passwd"))
    return run(settings, f"broker_files=({files})", STUBS, *lines)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of the settings, and of the broker."""
    settings = tmp_path / "settings"
    etc = tmp_path / "etc"
    for folder in (settings, etc):
        folder.mkdir()
    done = set_up(settings, etc, "set_up_broker")
    assert done.returncode == 0, done.stderr
    with (etc / "passwd").open("a") as passwords:
        passwords.write("watch:$7$101$AAAA$BBBB\n")
    with (etc / "acl").open("a") as rules:
        rules.write("\nuser watch\ntopic write affect-edge/affect-edge/ingest/vitals\n")
    return settings, etc


def names(etc: Path) -> list[str]:
    return [line.partition(":")[0] for line in (etc / "passwd").read_text().splitlines()]


def test_installing_again_changes_nothing(places: tuple[Path, Path]) -> None:
    settings, etc = places
    before = {file.name: file.read_text() for file in etc.iterdir()}
    assert set_up(settings, etc, "set_up_broker").returncode == 0
    assert {file.name: file.read_text() for file in etc.iterdir()} == before


def test_accounts_outlive_an_uninstallation(places: tuple[Path, Path]) -> None:
    settings, etc = places
    (etc / "conf").unlink()
    (settings / "mqtt-password").unlink()
    done = set_up(settings, etc, "set_up_broker")
    assert done.returncode == 0, done.stderr
    assert names(etc) == ["affect-edge", "watch"]
    assert "watch:$7$101$AAAA$BBBB" in (etc / "passwd").read_text(), "its hash is not hashed again"
    assert (etc / "acl").read_text().count("user watch") == 1
    assert (etc / "conf").exists() and (settings / "mqtt-password").exists()


def test_an_installation_that_fails_takes_no_account_with_it(places: tuple[Path, Path]) -> None:
    settings, etc = places
    (etc / "conf").unlink()
    (settings / "mqtt-password").unlink()
    set_up(settings, etc, "set_up_broker", 'eval "${undo[-1]}"')
    assert not (etc / "conf").exists()
    assert names(etc) == ["affect-edge", "watch"]
