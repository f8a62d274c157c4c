"""Where the database of a fleet is: what the configuration may say, and what is shown of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.fleet.known import FleetAddress
from dashboard.fleet.source import FleetStudy, OwnStudy, open_fleet, study_source
from dashboard.web.options import options_from
from edge_agent.config.loading import load_settings
from edge_agent.core.addresses import Address
from edge_agent.core.errors import ConfigError, StoreError

ADDRESS = "postgresql://reader@db.example:5433/fleet"


def configured(folder: Path, text: str) -> FleetAddress | None:
    file = folder / "affect-edge.toml"
    file.write_text(f"[dashboard]\n{text}\n")
    return options_from(load_settings(file)).source


def test_an_address_and_the_file_of_its_password_come_from_configuration(tmp_path: Path) -> None:
    assert configured(tmp_path, "") is None
    assert configured(tmp_path, f'source = "{ADDRESS}"') == FleetAddress(Address(ADDRESS))
    secret = tmp_path / "secret"
    secret.write_text("swordfish\nmore\n")
    found = configured(tmp_path, f'source = "{ADDRESS}"\nsource_password_file = "{secret}"')
    assert found is not None
    assert found.password() == "swordfish"
    assert found.shown == "db.example/fleet"
    assert FleetAddress(Address("postgresql:///fleet")).shown == "localhost/fleet"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('source = "mysql://db/fleet"', "mysql://db/fleet' is no address of PostgreSQL"),
        ('source = "postgresql://[db/fleet"', "is no address"),
        ('source = "postgresql://db:port/fleet"', "is no address"),
        ('source_password_file = "/secret"', "source_password_file needs source"),
    ],
)
def test_invalid_address_is_refused_with_its_cure(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        configured(tmp_path, text)


@pytest.mark.parametrize(
    "address",
    ["postgresql://reader:swordfish@db/fleet", "postgresql://db/fleet?password=swordfish"],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(
    address: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="source holds a password") as refusal:
        configured(tmp_path, f'source = "{address}"')
    assert "swordfish" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read"), (b"", "its first line is empty"), (b"\xff", "not UTF-8 text")],
)
def test_a_file_that_holds_no_password_is_reported_at_the_start(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    source = FleetAddress(Address(ADDRESS), secret)
    with pytest.raises(StoreError, match=reason):
        source.password()


def test_without_a_source_nothing_is_opened_and_psycopg_not_imported() -> None:
    assert open_fleet(None) is None
    code = (
        "import sys\nfrom dashboard.web.app import create_app\n"
        "print(sorted({'psycopg', 'cbor2'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_without_psycopg_a_source_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dashboard.fleet.postgres", None)
    with pytest.raises(StoreError, match=r"install\.sh --with fleet"):
        open_fleet(FleetAddress(Address(ADDRESS)))


OWN = Path("affect-edge.db")


def test_without_an_address_it_is_the_file_of_this_appliance() -> None:
    source = study_source(None, OWN, ())
    assert source == OwnStudy(OWN)
    with source.databases() as sites:
        assert sites == (("", OWN),)


def test_with_an_address_it_lies_at_the_collector() -> None:
    assert study_source("postgres://db/fleet", OWN, ("room", "hall", "room")) == FleetStudy(
        Address("postgres://db/fleet"), ("room", "hall")
    )


def test_what_is_no_address_or_needs_one_is_refused() -> None:
    with pytest.raises(StoreError, match="--source 'mysql://db' is no address of PostgreSQL"):
        study_source("mysql://db", OWN, ())
    with pytest.raises(StoreError, match=r"A device \(room\) can be chosen with --source only"):
        study_source(None, OWN, ("room",))


def test_times_around_sessions_that_touch_are_read_once() -> None:
    pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
    from dashboard.fleet.study_files import AROUND_MS, joined_spans

    hour = 3_600_000
    assert joined_spans([(0, hour), (2 * hour, 3 * hour), (9 * hour, 10 * hour)]) == [
        (-AROUND_MS, 3 * hour + AROUND_MS),
        (9 * hour - AROUND_MS, 10 * hour + AROUND_MS),
    ]
    [(start, end)] = joined_spans([(0, None)])
    assert start == -AROUND_MS
    assert end > 2**60
