"""``affect-edge fleet-profile``: made and signed in one place, followed and applied in another."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_agent.appliance.profiles import place as room
from edge_agent.appliance.profiles import watching
from edge_agent.appliance.profiles.applying import Watch
from edge_agent.appliance.profiles.place import INCOMING, SIGNERS_FOLDER
from edge_agent.appliance.update import Place
from edge_agent.cli import cli
from edge_agent.cli.updates import commands
from edge_agent.core.errors import AffectEdgeError
from edge_agent.store.database.schema import migrate


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An installed release, with a healthy agent."""
    made = Place(tmp_path / "opt", tmp_path / "data", tmp_path / "etc/affect-edge.toml")
    release = made.program / "releases/1.0.0"
    release.mkdir(parents=True)
    (release / "VERSION").write_text("1.0.0\n")
    (release / "install.sh").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    (release / "install.sh").chmod(0o755)
    (made.program / "current").symlink_to(release)
    made.config.parent.mkdir()
    made.config.write_text("[camera]\nfps = 12.0\n")
    made.data.mkdir()
    migrate(made.database)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (tmp_path / "summer.toml").write_text("[camera]\nfps = 8.0\n")
    watch = Watch(frozenset, lambda _: None, lambda _: None)
    monkeypatch.setattr(watching, "service_watch", lambda _: watch)
    monkeypatch.setattr(commands, "installed_place", lambda: made)
    # what the units say, where everything lies in its usual place
    monkeypatch.setattr(
        room.ProfilePlace, "__init__", lambda self, appliance=made: _fill(self, appliance)
    )
    return made


def _fill(profile: object, appliance: Place) -> None:
    object.__setattr__(profile, "appliance", appliance)


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["fleet-profile", *map(str, words)])


def make(folder: Path, *more: object) -> Result:
    words = ("--name", "summer", "--version", 1, "--key", folder / "key")
    return run("make", folder / "published", *words, *more)


def test_from_the_key_to_a_device_that_applies_and_leaves(place: Place, tmp_path: Path) -> None:
    done = make(tmp_path, "--settings", tmp_path / "summer.toml", "--percent", 0)
    assert done.exit_code == 0 and "summer 1 for 0 % of the devices" in done.output
    done = run("follow", tmp_path / "published")
    assert "No key is trusted yet" in done.output
    assert f'profiles = "{tmp_path / "published"}"' in place.config.read_text()
    assert (tmp_path / "calls").read_text() == "--arrange-feed\n"
    done = run("trust", tmp_path / "key.pub", "--yes")
    assert "not its program" in done.output and "Trusted from now on" in done.output
    assert "0 % of the devices" in run("fetch").output
    assert "not this one" in run("apply").output
    assert "summer 1: waiting since" in run("show").output
    done = run("stage", tmp_path / "published", 100, "--key", tmp_path / "key")
    assert "for 100 % of the devices" in done.output
    run("fetch")
    assert "summer 1 is applied." in run("apply").output
    shown = run("show").output
    assert "summer 1: applied since" in shown and "camera.fps = 8.0 (before: 12.0)" in shown
    done = run("follow", "none")
    assert "the settings of before are back" in done.output
    assert "fps = 12.0" in place.config.read_text() and "profiles" not in place.config.read_text()
    assert "No profile was applied" in run("show").output


def test_fetching_and_showing_work_with_another_configuration_and_folder(
    place: Place, tmp_path: Path
) -> None:
    other = tmp_path / "other/edge.toml"
    other.parent.mkdir()
    other.write_text(
        f'[data]\nfolder = "{tmp_path / "kept"}"\n[fleet]\nprofiles = "{tmp_path / "published"}"\n'
    )
    (tmp_path / "kept").mkdir()
    (tmp_path / "named").mkdir()
    make(tmp_path, "--settings", tmp_path / "summer.toml")
    run("trust", tmp_path / "key.pub", "--yes")
    # the keys that count lie beside the configuration that is named
    assert "No key is trusted" in str(run("fetch", "--config", other).exception)
    signers = place.config.parent / SIGNERS_FOLDER
    signers.rename(other.parent / SIGNERS_FOLDER)
    for folder, words in (
        (tmp_path / "kept", ("--config", other)),
        (tmp_path / "named", ("--config", other, "--data", tmp_path / "named")),
    ):
        done = run("fetch", *words)
        assert "summer 1 is published for 1 % of the devices." in done.output, done.exception
        assert (folder / INCOMING).is_dir()
        assert f"looked at {tmp_path / 'published'}" in run("show", "--data", folder).output
        assert f"looked at {tmp_path / 'published'}" in run("show", *words).output
    assert not (place.data / INCOMING).exists()
    assert "looked at" not in run("show").output
    assert "no such file" in str(run("show", "--config", tmp_path / "none.toml").exception)


def test_a_revoked_key_is_not_taken(place: Place, tmp_path: Path) -> None:
    make(tmp_path, "--settings", tmp_path / "summer.toml")
    run("follow", tmp_path / "published")
    run("trust", tmp_path / "key.pub", "--yes")
    assert "Revoked" in run("revoke", tmp_path / "key.pub").output
    assert "No key is trusted" in str(run("fetch").exception)
    assert place.config.exists()


def test_nobody_follows_unless_it_is_written(place: Place) -> None:
    done = run("fetch")
    assert isinstance(done.exception, AffectEdgeError)
    assert "Nobody has said where profiles are taken from" in str(done.exception)
    for where in ("http://fleet.example.org", "fleet"):
        done = run("follow", where)
        assert "neither an https:// address nor a folder" in str(done.exception)
    assert place.config.read_text() == "[camera]\nfps = 12.0\n"


def test_an_installer_that_fails_is_quoted(place: Place, tmp_path: Path) -> None:
    (place.current() / "install.sh").write_text("#!/bin/sh\necho no systemd here >&2; exit 1\n")
    assert "no systemd here" in str(run("follow", tmp_path).exception)


def test_settings_that_are_not_there_are_said(place: Place, tmp_path: Path) -> None:
    assert place.program.exists()
    done = make(tmp_path, "--settings", tmp_path / "none.toml")
    assert "none.toml: cannot be read" in str(done.exception)
