"""The same study in the file of a device and in PostgreSQL: the same numbers, to the last digit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg

from dashboard.commands.analyse import main_analyse
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs
from tests.support.fleet.studies_there import collect, other_device, studied_device

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
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studied_device(tmp_path_factory.mktemp("device"))


@pytest.fixture(scope="module")
def there(postgres: Postgres, here: Path) -> Iterator[Any]:
    """PostgreSQL with that study, and with another device that measured at the same time."""
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        collect(connection, {"room": here, "hall": other_device(here.parent / "other")})
        yield connection


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what the command prints."""
    code = main_analyse(list(words))
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return why the command refuses."""
    assert main_analyse(list(words)) == 1
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
