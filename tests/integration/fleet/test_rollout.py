"""``affect-edge fleet-rollout`` over a real PostgreSQL: stages go on, or stop and say why."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")

import psycopg

from collector.database.migrations import migrate
from dashboard.commands.fleet_rollout import main, record_file
from edge_agent.appliance.profiles.index import place_of, profile_of
from edge_agent.appliance.profiles.publishing import make_profile, published_profile
from tests.integration.fleet.test_fleet_page import revoke, tell, vanish
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs

pytestmark = [
    pytest.mark.deep,
    pytest.mark.skipif(postgres_programs() is None, reason=INSTALL),
]
DEVICES = [f"room-{n}" for n in range(40)]
FIRST = sorted(DEVICES, key=lambda name: place_of(name, "summer", "1"))


@dataclass
class Care:
    """Forty devices that take profiles, and who cares for them."""

    there: Any
    address: str
    folder: Path
    key: Path

    def tell(self, name: str, state: str = "waiting", *alarms: str, **more: object) -> None:
        profile = {"name": "summer", "version": "1", "state": state} | {
            "since": "2026-11-20T08:12:10.250Z",
            "problem": more.pop("problem", None),
        }
        listed = [{"name": alarm, "text": alarm} for alarm in alarms]
        tell(self.there, name, ago_s=0.0, profile=profile, alarms=listed, **more)

    def publish(self, version: str = "1", stage: int = 0) -> None:
        profile = profile_of(
            number=1, name="summer", version=version, stage=stage, settings="[camera]\nfps = 8.0"
        )
        make_profile(self.folder, profile, (), self.key)

    def look(self, *more: str, hours: float = 0) -> int:
        words = [str(self.folder), "--source", self.address, "--hours", str(hours)]
        return main([*words, "--key", str(self.key), *more])

    @property
    def stage(self) -> int:
        return published_profile(self.folder).stage

    def turn(self) -> list[str]:
        profile = published_profile(self.folder)
        return [name for name in DEVICES if profile.includes(name)]


@pytest.fixture
def care(postgres: Postgres, tmp_path: Path) -> Iterator[Care]:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS fleet CASCADE")
        migrate(connection)
        made = Care(connection, postgres.address, tmp_path / "published", key)
        for name in DEVICES:
            made.tell(name)
        made.publish()
        yield made


def test_a_good_profile_goes_to_one_then_some_then_all(
    care: Care, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = []
    for _ in range(3):
        assert care.look() == 0
        sizes.append(len(care.turn()))
        assert care.look() == 0, "nobody has it yet"
        assert len(care.turn()) == sizes[-1]
        for name in care.turn():
            care.tell(name, "applied")
    assert 1 <= sizes[0] <= sizes[1] < sizes[2] == len(DEVICES) and sizes[1] >= 2
    assert care.look() == 0
    assert "40 of 40 devices have summer 1, and none is worse. It is given to all" in (
        capsys.readouterr().out
    )


def test_a_stage_lasts_as_long_as_was_asked_for(
    care: Care, capsys: pytest.CaptureFixture[str]
) -> None:
    care.look()
    for name in care.turn():
        care.tell(name, "applied")
    stage = care.stage
    assert care.look(hours=5) == 0
    assert care.stage == stage and "The next stage comes in 5.0 h" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["taken_back", "alarm", "offline", "camera"])
def test_a_device_that_is_worse_stops_it(
    care: Care, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    care.look()
    name = care.turn()[0]
    if what == "taken_back":
        care.tell(name, "taken_back", problem="There are alarms: hot.")
    elif what == "alarm":
        care.tell(name, "applied", "hot")
    elif what == "camera":
        care.tell(name, "applied", camera={"fps": 0.0})
    else:
        vanish(care.there, name)
    assert care.look() == 1
    said = capsys.readouterr()
    assert name in said.out and "for 0 % of the devices" in said.out
    assert care.stage == 0 and "The profile is stopped" in said.err
    for one in DEVICES:
        care.tell(one, "applied")
    assert care.look() == 1, "it stays stopped"
    assert care.stage == 0
    care.publish("2")
    assert care.look() == 0, "another version begins anew"


def test_a_revoked_device_is_not_waited_for_and_stops_nothing(
    care: Care, capsys: pytest.CaptureFixture[str]
) -> None:
    care.look()
    for name in care.turn():
        vanish(care.there, name)
        revoke(care.there, name)
    assert care.look() == 0
    assert care.look() == 0, "another device is the first now"
    others = [name for name in care.turn() if name not in FIRST[:1]]
    assert others
    for name in others:
        care.tell(name, "applied")
    assert care.look() == 0
    assert "is worse" in capsys.readouterr().out


def test_what_was_wrong_before_stops_nothing(care: Care) -> None:
    first = FIRST[0]
    care.tell(first, "waiting", "hot")
    assert care.look() == 0
    care.tell(first, "applied", "hot")
    assert care.look() == 0 and len(care.turn()) >= 2


def test_devices_whose_turn_it_is_not_may_be_off(care: Care) -> None:
    care.look()
    for name in care.turn():
        care.tell(name, "applied")
    vanish(care.there, FIRST[-1])
    assert care.look() == 0 and len(care.turn()) >= 2


def test_without_a_key_the_command_is_said(care: Care, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(care.folder), "--source", care.address, "--hours", "0"]) == 0
    assert f"affect-edge fleet-profile stage {care.folder}" in capsys.readouterr().out
    assert care.stage == 0


def test_what_is_wrong_is_said(care: Care, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(care.folder), "--source", "postgresql://a:secret@127.0.0.1/fleet"]) == 2
    assert "holds a password" in capsys.readouterr().err
    record_file(care.folder).write_text("{")
    assert care.look() == 1 and "Delete it" in capsys.readouterr().err
    record_file(care.folder).unlink()
    care.there.execute("TRUNCATE fleet.device CASCADE")
    assert care.look() == 0 and "No device takes profiles yet" in capsys.readouterr().out
    index = care.folder / "index.json"
    index.write_text(json.dumps({"kind": "affect-edge-releases"}))
    assert care.look() == 1 and "no configuration profile" in capsys.readouterr().err
