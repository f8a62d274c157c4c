"""Taking a release and taking it back: the steps and their order, over small releases that only
move links.

The real thing, with systemd, wheels and services, is in tests/appliance.
"""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.appliance.trust import PURPOSE, read_key_file
from edge_agent.appliance.update import Place, loses_accounts, loses_rows, roll_back, update
from edge_agent.core.errors import UpdateError
from edge_agent.store.database.schema import DATABASE_NAME
from tests.integration.appliance.conftest import Appliance, fill, make_key
from tests.support.broker import free_port
from tests.support.first_release import first_dashboard


def schema(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_newer_release_runs_after_a_copy_of_the_database(appliance: Appliance) -> None:
    assert appliance.update(appliance.release("1.1.0")) == "1.1.0"
    assert appliance.runs() == "1.1.0"
    assert appliance.place.copy_for("1.0.0").exists()
    assert appliance.place.previous().name == "1.0.0"
    assert not (appliance.place.program / "incoming").exists()
    assert (appliance.folder / "calls").read_text().startswith("stop affect-edge-agent.service")


def test_only_two_releases_and_one_copy_stay(appliance: Appliance) -> None:
    for version in ("1.1.0", "1.2.0", "1.10.0"):
        appliance.update(appliance.release(version))
    assert appliance.releases() == ["1.10.0", "1.2.0"]
    assert [file.name for file in appliance.place.data.glob("*.before-*")] == [
        f"{DATABASE_NAME}.before-update-of-1.2.0"
    ]


def test_a_key_that_the_owner_trusts_survives_releases_that_do_not_know_it(
    appliance: Appliance,
) -> None:
    own = make_key(appliance.folder / "own")
    appliance.place.trust().add(read_key_file(own.with_suffix(".pub")))
    appliance.update(appliance.release("1.1.0"))
    appliance.key = own
    assert appliance.update(appliance.release("1.2.0")) == "1.2.0"


def test_an_update_signed_with_a_revoked_key_touches_nothing(appliance: Appliance) -> None:
    appliance.place.trust().revoke(read_key_file(appliance.key.with_suffix(".pub")))
    with pytest.raises(UpdateError, match="No key is trusted"):
        appliance.update(appliance.release("1.1.0"))
    assert appliance.is_untouched()


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gpg.format=ssh"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(appliance: Appliance) -> Path:
    """A checkout of 1.1.0, committed, without a tag."""
    folder = appliance.folder / "checkout"
    fill(folder, appliance, "1.1.0")
    (folder / "edge_agent").mkdir()
    (folder / "edge_agent/__init__.py").write_text('__version__ = "1.1.0"\n')
    public = appliance.key.with_suffix(".pub").read_text()
    signers = appliance.place.current() / "config/release-signers"
    signers.write_text(f"{PURPOSE} {public}")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "1.1.0")
    return folder


def test_a_checkout_at_a_tag_that_a_trusted_key_signed_is_taken_as_it_was_signed(
    appliance: Appliance, checkout: Path
) -> None:
    git(checkout, "-c", f"user.signingkey={appliance.key}", "tag", "-s", "v1.1.0", "-m", "1.1.0")
    (checkout / "unbuildable").touch()
    (checkout / "install.sh").write_text("#!/bin/sh\nexit 1\n")
    assert appliance.update(checkout) == "1.1.0"
    assert not (appliance.place.current() / "unbuildable").exists()
    assert any("the signature is good (SHA256:" in said for said in appliance.said)


@pytest.mark.parametrize("who", ["nobody", "a stranger", "unsigned tag", "revoked"])
def test_a_checkout_that_no_trusted_key_signed_touches_nothing(
    appliance: Appliance, checkout: Path, who: str
) -> None:
    key = appliance.key
    if who == "a stranger":
        key = make_key(appliance.folder / "stranger")
    if who == "unsigned tag":
        git(checkout, "tag", "v1.1.0")
    elif who != "nobody":
        git(checkout, "-c", f"user.signingkey={key}", "tag", "-s", "v1.1.0", "-m", "1.1.0")
    message = "none of its tags here .v1.1.0. is signed by a trusted key"
    if who == "revoked":
        stays = make_key(appliance.folder / "other")
        appliance.place.trust().add(read_key_file(stays.with_suffix(".pub")))
        appliance.place.trust().revoke(read_key_file(key.with_suffix(".pub")))
    if who == "nobody":
        message = "no tag is checked out there"
    with pytest.raises(UpdateError, match=message):
        appliance.update(checkout)
    assert appliance.is_untouched()


def test_no_program_that_a_checkout_names_is_run(appliance: Appliance, checkout: Path) -> None:
    git(checkout, "-c", f"user.signingkey={appliance.key}", "tag", "-s", "v1.1.0", "-m", "1.1.0")
    trap = appliance.folder / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {appliance.folder}/caught\ncat\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "gpg.ssh.program", "filter.f.smudge", "core.sshCommand"):
        git(checkout, "config", name, str(trap))
    git(checkout, "config", "uploadpack.packObjectsHook", str(trap))
    (checkout / ".git/info/attributes").write_text("* filter=f\n")
    assert appliance.update(checkout) == "1.1.0"
    assert not (appliance.folder / "caught").exists()


def test_a_broken_checkout_is_named(appliance: Appliance) -> None:
    (appliance.folder / "broken/.git").mkdir(parents=True)
    with pytest.raises(UpdateError, match="git cannot read this checkout"):
        appliance.update(appliance.folder / "broken")


@pytest.mark.parametrize("version", ["1.0.0", "0.9.9"])
def test_a_signed_release_that_is_not_newer_is_refused(appliance: Appliance, version: str) -> None:
    with pytest.raises(UpdateError, match=f"holds {version}, and 1.0.0 is installed"):
        appliance.update(appliance.release(version))
    assert not (appliance.folder / "calls").exists(), "no service was touched"


def test_a_tampered_archive_touches_nothing(appliance: Appliance) -> None:
    archive = appliance.release("1.1.0")
    archive.write_bytes(
        archive.read_bytes().replace(b"#!/usr/bin/env bash", b"#!/usr/bin/env dash")
    )
    with pytest.raises(UpdateError, match="not trusted"):
        appliance.update(archive)
    assert appliance.is_untouched()


@pytest.mark.parametrize(
    ("trait", "said"),
    [
        ("unbuildable", "could not be built.*no space left"),
        ("picky", "does not understand the config"),
    ],
)
def test_what_fails_before_the_switch_leaves_the_services_alone(
    appliance: Appliance, trait: str, said: str
) -> None:
    with pytest.raises(UpdateError, match=said):
        appliance.update(appliance.release("1.1.0", trait))
    assert appliance.runs() == "1.0.0" and not (appliance.folder / "calls").exists()


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        (["unstartable"], "does not start.*agent did not start"),
        (["restarts"], "ended within a minute"),
        (["unstartable", "migrates"], "does not"),
    ],
)
def test_a_release_that_is_not_well_is_taken_back(
    appliance: Appliance, traits: list[str], said: str
) -> None:
    before = schema(appliance.place.database)
    with pytest.raises(UpdateError, match=rf"1.1.0 was not well, 1.0.0 runs again\. .*{said}"):
        appliance.update(appliance.release("1.1.0", *traits))
    assert appliance.runs() == "1.0.0" and appliance.releases() == ["1.0.0"]
    assert schema(appliance.place.database) == before
    with pytest.raises(UpdateError, match="no earlier release"):
        appliance.place.previous()


def test_a_dashboard_that_does_not_answer_is_not_well(appliance: Appliance) -> None:
    appliance.place.config.write_text(f"[dashboard]\nport = {free_port()}\n")
    with pytest.raises(UpdateError, match="The dashboard does not answer"):
        appliance.update(appliance.release("1.1.0"))
    assert appliance.runs() == "1.0.0"


def test_going_back_keeps_the_database_where_its_schema_stayed(appliance: Appliance) -> None:
    appliance.update(appliance.release("1.1.0"))
    assert not loses_rows(appliance.place, appliance.place.previous())
    assert roll_back(appliance.place, appliance.said.append) == "1.0.0"
    assert appliance.runs() == "1.0.0" and appliance.place.previous().name == "1.1.0"


def test_going_back_over_a_change_of_the_schema_brings_the_database_of_before(
    appliance: Appliance,
) -> None:
    before = schema(appliance.place.database)
    appliance.update(appliance.release("1.1.0", "migrates"))
    assert schema(appliance.place.database) == 999
    assert loses_rows(appliance.place, appliance.place.previous())
    roll_back(appliance.place, appliance.said.append)
    assert schema(appliance.place.database) == before
    assert "the database from before the update is back" in " ".join(appliance.said)
    aside = appliance.place.data / f"{DATABASE_NAME}.replaced.by-a-copy"
    assert schema(aside) == 999, "what was recorded since is kept"


def test_rollback_after_an_upgrade_brings_back_the_accounts_of_before(appliance: Appliance) -> None:
    accounts = first_dashboard(appliance.place.database)
    appliance.update(appliance.release("1.1.0"))
    with closing(sqlite3.connect(accounts)) as connection:
        connection.executescript("UPDATE account SET name = 'eve'; PRAGMA user_version = 999")
    old = appliance.place.previous()
    assert loses_accounts(appliance.place, old) and not loses_rows(appliance.place, old)
    roll_back(appliance.place, appliance.said.append)
    assert schema(accounts) == 1 and names(accounts) == ["ada"]
    aside = accounts.with_name(f"{accounts.name}.replaced.by-a-copy")
    assert schema(aside) == 999 and names(aside) == ["eve"]
    assert aside.stat().st_mode & 0o777 == 0o600


def test_whatever_the_dashboard_laid_beside_its_accounts_a_release_is_started_again(
    appliance: Appliance,
) -> None:
    accounts = first_dashboard(appliance.place.database)
    copy = accounts.with_name(f"{accounts.name}.before-update-of-1.0.0")
    copy.mkdir()  # the update cannot copy, and what stands there is no database
    with pytest.raises(UpdateError, match=r"1.1.0 was not well, 1.0.0 runs again\. .*a directory"):
        appliance.update(appliance.release("1.1.0"))
    copy.rmdir()
    appliance.update(appliance.release("1.1.0"))
    copy.unlink()
    copy.touch()  # an older schema, and no place for what is set aside
    accounts.with_name(f"{accounts.name}.replaced.by-a-copy.part").mkdir()
    assert roll_back(appliance.place, appliance.said.append) == "1.0.0"
    assert "the accounts from before the update could not be put back" in " ".join(appliance.said)


def names(accounts: Path) -> list[str]:
    with closing(sqlite3.connect(accounts)) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM account")]


def test_going_back_to_what_does_not_start_any_more_keeps_the_present_one(
    appliance: Appliance,
) -> None:
    accounts = first_dashboard(appliance.place.database)
    appliance.update(appliance.release("1.1.0", "migrates"))
    with closing(sqlite3.connect(accounts)) as connection:
        connection.execute("PRAGMA user_version = 999")
    (appliance.place.previous() / "unstartable").touch()
    with pytest.raises(UpdateError, match="1.0.0 does not start"):
        roll_back(appliance.place, appliance.said.append)
    assert appliance.runs() == "1.1.0"
    assert schema(appliance.place.database) == schema(accounts) == 999


def test_without_an_installation_or_a_release_of_before_that_is_said(
    appliance: Appliance, tmp_path: Path
) -> None:
    with pytest.raises(UpdateError, match="no earlier release"):
        roll_back(appliance.place, appliance.said.append)
    with pytest.raises(UpdateError, match="no Affect Edge is installed"):
        update(Place(tmp_path / "nowhere"), "x.tar", appliance.said.append)
