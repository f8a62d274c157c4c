"""The same study in the file of a device and in PostgreSQL: the same numbers, to the last digit."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg

from collector.database.migrations import migrate as migrate_there
from collector.intake import Intake
from collector.transport import Delivery
from dashboard.commands.analyse import main
from edge_agent.core.attributes import AttributeUse
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.erasure import record
from tests.support.fleet.devices import messages_of, packed
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs, running_postgres
from tests.support.studies import add_session, heart
from tests.support.timeline import database, instant

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
QUESTIONS = {
    "conditions": (),
    "example": ("--sample", "example"),
    "observed": ("--sample", "example", "--state", "observed"),
    "reported": ("--sample", "example", "--state", "reported"),
    "group": ("--group", "sex", "--no-sensitivity"),
    "flow": ("--print-flow", "--sample", "example"),
    "tables": ("--print-tables", "--sample", "example"),
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device's database: an example study, six people measured, and a day of nobody."""
    path = database(tmp_path_factory.mktemp("device"))
    seed_example_study(path, SimulatedPerson, now=instant(0))
    for number in range(6):
        rates = heart(
            anger=88.1 + number / 3, happiness=75.7 + number**1.5, neutral=70.3 + number / 7
        )
        add_session(path, f"P0{number}", rates)
    with write_transaction(path) as connection:
        connection.execute("UPDATE consent SET attributes = ?", (AttributeUse.HERE,))
        connection.execute(
            "INSERT INTO participant_attribute (participant, name, value) SELECT id, 'sex', "
            "CASE WHEN id % 2 THEN 'female' ELSE 'male' END FROM participant"
        )
    record(path, 0, 300)
    return path


@pytest.fixture(scope="module")
def there(postgres: Postgres, here: Path) -> Iterator[Any]:
    """PostgreSQL with that study, and with another device that measured at the same time."""
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        migrate_there(connection)
        intake = Intake(connection)
        other = database(here.parent / "other")
        add_session(other, "P00", heart(anger=160.0, happiness=150.0, neutral=140.0))
        for name, path in (("room", here), ("hall", other)):
            messages = [packed(message) for message in messages_of(path, name)]
            random.Random(1).shuffle(messages)
            for start in range(0, len(messages), 7):
                intake.take([Delivery(name, one, 0) for one in messages[start : start + 7]])
        yield connection


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what the command prints."""
    code = main(list(words))
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return why the command refuses."""
    assert main(list(words)) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("name", QUESTIONS)
def test_statistics_are_equal_to_the_last_digit(
    name: str, here: Path, there: Any, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    words = QUESTIONS[name]
    if not any(word.startswith("--print") for word in words):
        words = (*words, "--json")
    folder = ("--data", str(here.parent))
    own = answer(capsys, *folder, *words)
    source = ("--source", postgres.address, "--device", "room")
    assert answer(capsys, *folder, *source, *words) == own
    if "--json" in words:
        assert json.loads(own)["readings"] > 10


def test_of_several_devices_one_must_be_named(
    here: Path, there: Any, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", str(here.parent), "--source", postgres.address)
    assert "Name one with --device. Devices there: hall, room." in refusal(capsys, *words)
    assert "There is no device 'attic'" in refusal(capsys, *words, "--device", "attic")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE fleet.stream SET copied = false", "room has not yet sent all that it holds"),
        (
            "INSERT INTO fleet.lost SELECT id, 1, 2, 'refused' FROM fleet.stream",
            "Changes of room are lost (stretches: 1",
        ),
        (
            "UPDATE fleet.stream SET ahead = '{[1000000,1000001]}'",
            "Of room some messages are missing between others",
        ),
    ],
)
def test_a_study_that_is_not_all_there_gives_no_statistics(
    statement: str,
    reason: str,
    here: Path,
    there: Any,
    postgres: Postgres,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--data", str(here.parent), "--source", postgres.address, "--device", "room")
    before = there.execute("SELECT id, copied, ahead FROM fleet.stream").fetchall()
    there.execute(statement)
    try:
        assert reason in refusal(capsys, *words)
    finally:
        there.execute("DELETE FROM fleet.lost")
        there.cursor().executemany(
            "UPDATE fleet.stream SET copied = %s, ahead = %s WHERE id = %s",
            [(copied, ahead, number) for number, copied, ahead in before],
        )


def test_without_a_server_or_its_tables_it_says_so(
    here: Path, there: Any, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", str(here.parent), "--source")
    empty = postgres.address.replace("/postgres?", "/template1?")
    assert "no collector has written to it" in refusal(capsys, *words, empty)
    nowhere = f"postgresql://fleet@/postgres?host={postgres.folder}&port=1"
    assert "Error: PostgreSQL: connection" in refusal(capsys, *words, nowhere)
