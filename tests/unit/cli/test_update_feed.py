"""``affect-edge update`` with a place where releases are published."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_agent.appliance import update as room
from edge_agent.appliance.feed.last_look import PAGE_FOLDER, STATE_NAME, read_look
from edge_agent.appliance.trust import NAMESPACE
from edge_agent.appliance.update import Place
from edge_agent.cli import cli
from edge_agent.cli.updates import commands
from edge_agent.core.errors import AffectEdgeError
from tools.build_release import sign, write_index

NUMBER = 1_795_000_000


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An installed release 1.0.0, and a folder in which 2.0.0 is published."""
    made = Place(tmp_path / "opt", tmp_path / "data", tmp_path / "etc/affect-edge.toml")
    release = made.program / "releases/1.0.0"
    (release / "config").mkdir(parents=True)
    (release / "VERSION").write_text("1.0.0\n")
    (release / "install.sh").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    (release / "install.sh").chmod(0o755)
    (made.program / "current").symlink_to(release)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    line = f'release namespaces="{NAMESPACE}" {key.with_suffix(".pub").read_text()}'
    (release / "config/release-signers").write_text(line)
    made.config.parent.mkdir()
    made.config.write_text('[updates]\n# feed = "https://releases.example.org"   # where\n')
    archive = tmp_path / "published/affect-edge-2.0.0.tar"
    archive.parent.mkdir()
    archive.write_bytes(b"program")
    sign(archive, key)
    sign(write_index(archive, "2.0.0", NUMBER), key)
    made.data.mkdir()
    monkeypatch.setattr(room, "Place", lambda: made)
    monkeypatch.setattr(commands, "installed_place", lambda: made)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return made


def run(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["update", *words], input=typed)


def feed(place: Place) -> str:
    return str(place.config.parent.parent / "published")


def test_a_feed_is_written_into_the_configuration_and_arranged(place: Place) -> None:
    done = run("--feed", feed(place))
    assert done.exit_code == 0, done.output
    assert f'feed = "{feed(place)}"' in place.config.read_text()
    assert "Nothing is installed by itself" in done.output
    assert (place.config.parent.parent / "calls").read_text() == "--arrange-feed\n"
    done = run("--feed", "none")
    assert "Nothing looks for newer releases any more" in done.output
    assert "\nfeed" not in place.config.read_text()


@pytest.mark.parametrize(
    "where", ["http://releases.example.org", "releases", "https://", "ftp://x"]
)
def test_a_feed_that_is_neither_https_nor_a_folder_is_refused(place: Place, where: str) -> None:
    before = place.config.read_text()
    done = run("--feed", where)
    assert isinstance(done.exception, AffectEdgeError)
    assert "neither an https:// address nor a folder" in str(done.exception)
    assert place.config.read_text() == before


def test_an_installer_that_fails_is_quoted(place: Place) -> None:
    (place.current() / "install.sh").write_text("#!/bin/sh\necho no systemd here >&2; exit 1\n")
    done = run("--feed", feed(place))
    assert "no systemd here" in str(done.exception)


def test_without_a_feed_the_ways_are_named(place: Place) -> None:
    for words in ((), ("--check",)):
        assert "affect-edge update --feed ADDRESS" in str(run(*words).exception)
    assert place.current().name == "1.0.0"


def test_a_look_tells_and_installs_nothing(place: Place) -> None:
    run("--feed", feed(place))
    done = run("--check")
    assert "Affect Edge 2.0.0 is there, 1.0.0 is installed" in done.output
    assert "less than a day ago" in run("--check", "--if-due").output
    (place.current() / "VERSION").write_text("2.0.0\n")
    assert "2.0.0 is the newest" in run("--check").output
    assert "2.0.0 is the newest" in run().output


def test_what_a_service_finds_lies_where_the_page_reads_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--feed", feed(place))
    monkeypatch.setattr("os.geteuid", lambda: 990)
    assert run("--check", "--if-due").exit_code == 0
    found = read_look(place.data / PAGE_FOLDER / STATE_NAME)
    assert found is not None and found.version == "2.0.0"


def test_the_newest_is_taken_after_asking(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run("--feed", feed(place))
    taken: list[bytes] = []

    def update(_place: Place, source: str, _say: object) -> str:
        assert Path(f"{source}.sig").exists()
        taken.append(Path(source).read_bytes())
        return "2.0.0"

    monkeypatch.setattr(room, "update", update)
    assert run(typed="n\n").exit_code == 1 and not taken
    done = run("--yes")
    assert done.exit_code == 0, done.output
    assert taken == [b"program"] and "Affect Edge 2.0.0 runs" in done.output


@pytest.mark.parametrize(
    "words", [("release.tar", "--check"), ("--keys", "--check"), ("--if-due",), ("x", "--if-due")]
)
def test_two_things_at_once_are_wrong_use(place: Place, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.exit_code == 2 and "Give one of" in done.output
    assert place.current().name == "1.0.0"
