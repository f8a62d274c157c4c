"""Taking a release and taking it back: the steps and their order, over small releases that only
move links.

The real thing, with systemd, wheels and services, is in tests/appliance.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.appliance.trust import read_key_file
from edge_agent.appliance.update import Installation, loses_accounts, loses_rows, roll_back, update
from edge_agent.core.errors import UpdateError
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.integration.appliance.conftest import Appliance, make_key
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
    appliance.place.trust(appliance.said.append).add(read_key_file(own.with_suffix(".pub")))
    appliance.update(appliance.release("1.1.0"))
    appliance.key = own
    assert appliance.update(appliance.release("1.2.0")) == "1.2.0"


def test_an_update_signed_with_a_revoked_key_touches_nothing(appliance: Appliance) -> None:
    appliance.place.trust(appliance.said.append).revoke(
        read_key_file(appliance.key.with_suffix(".pub"))
    )
    with pytest.raises(UpdateError, match="No key is trusted"):
        appliance.update(appliance.release("1.1.0"))
    assert appliance.is_untouched()


def lay_old_folder(appliance: Appliance, line: str) -> Path:
    """Make the folder in which 0.1.0 keeps the owner's keys."""
    folder = appliance.place.config.with_name("release-signers.d")
    folder.mkdir()
    (folder / "SHA256-own.signers").write_text(line)
    return folder


def test_update_key_in_the_folder_of_earlier_releases_counts_and_is_told(
    appliance: Appliance,
) -> None:
    appliance.key = make_key(appliance.folder / "own")
    public = appliance.key.with_suffix(".pub").read_text()
    folder = lay_old_folder(appliance, f'release namespaces="affect-edge-release,git" {public}')
    assert appliance.update(appliance.release("1.1.0")) == "1.1.0"
    assert public in (folder.parent / "release-signers").read_text()
    assert any(f"sudo rm -r {folder}" in said for said in appliance.said)
    assert list(folder.iterdir()), "1.0.0 may come back, and reads it"


def test_update_damaged_key_in_folder_of_earlier_releases_touches_nothing(
    appliance: Appliance,
) -> None:
    folder = lay_old_folder(appliance, "release ssh-ed25519 AAAA\n")
    with pytest.raises(UpdateError, match=rf"{folder}/SHA256-own\.signers: .* no whole public key"):
        appliance.update(appliance.release("1.1.0"))
    assert appliance.is_untouched()


def test_update_archive_with_shell_words_in_its_name_runs_none_of_them(
    appliance: Appliance,
) -> None:
    archive = appliance.release("1.1.0")
    odd = archive.with_name("$(touch caught); touch caught.tar")
    archive.rename(odd)
    archive.with_name(f"{archive.name}.sig").rename(f"{odd}.sig")
    assert appliance.update(odd) == "1.1.0"
    assert not list(appliance.folder.rglob("caught*")) and not Path("caught").exists()


def test_update_given_a_checkout_touches_nothing(appliance: Appliance) -> None:
    (appliance.folder / "checkout/.git").mkdir(parents=True)
    with pytest.raises(UpdateError, match="git pull && sudo"):
        appliance.update(appliance.folder / "checkout")
    assert appliance.is_untouched()


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
def test_failure_before_the_switch_leaves_the_services_alone(
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


def test_update_old_release_does_not_start_again_both_are_kept_and_told(
    appliance: Appliance,
) -> None:
    old = appliance.place.current()
    (old / "unstartable").touch()
    told = rf"1\.1\.0 does not start.* 1\.0\.0 does not start.*: sudo {old}/install\.sh --activate"
    with pytest.raises(UpdateError, match=told):
        appliance.update(appliance.release("1.1.0", "unstartable"))
    assert appliance.releases() == ["1.0.0", "1.1.0"]
    assert appliance.place.copy_for("1.0.0").exists()


def test_update_services_that_do_not_stop_old_release_starts_all_the_same(
    appliance: Appliance,
) -> None:
    with pytest.raises(UpdateError, match=r"1\.1\.0 was not well, 1\.0\.0 runs again"):
        appliance.update(appliance.release("1.1.0", "restarts", "unstoppable"))
    assert appliance.runs() == "1.0.0"
    assert "timed out" in " ".join(appliance.said)


def test_rollback_neither_release_starts_says_how_to_start_the_present_one(
    appliance: Appliance,
) -> None:
    appliance.update(appliance.release("1.1.0"))
    new = appliance.place.current()
    for release in (new, appliance.place.previous()):
        (release / "unstartable").touch()
    told = rf"1\.0\.0 does not start.* 1\.1\.0 does not start.*: sudo {new}/install\.sh --activate"
    with pytest.raises(UpdateError, match=told):
        roll_back(appliance.place, appliance.said.append)


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


def test_going_back_over_a_change_of_the_schema_brings_database_of_before(
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


def test_whatever_dashboard_laid_beside_accounts_release_is_started_again(
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


def test_without_an_installation_or_a_release_of_before_that_is_reported(
    appliance: Appliance, tmp_path: Path
) -> None:
    with pytest.raises(UpdateError, match="no earlier release"):
        roll_back(appliance.place, appliance.said.append)
    with pytest.raises(UpdateError, match="no Affect Edge is installed"):
        update(Installation(tmp_path / "nowhere"), "x.tar", appliance.said.append)
