"""A study in the database of a device, and what a collector makes of it in PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from collector.database.schema import migrate
from collector.messages import BrokerDelivery
from collector.writer import MessageWriter
from dashboard.__main__ import main as dashboard
from edge_agent.core.study import AttributeUse
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.timeline.study.exclusions import leave_out, take_back
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.erasure import record
from tests.support.fleet.devices import messages_of, packed
from tests.support.own_neutral import calibrate_session
from tests.support.studies import add_session, heart
from tests.support.timeline import instant, timeline


def studied_device(folder: Path) -> Path:
    """Return a device's database: an example study, six people measured, and a day of nobody."""
    path = timeline(folder)
    seed_example_study(path, SimulatedPerson, now=instant(0))
    for number in range(6):
        rates = heart(
            anger=88.1 + number / 3, happiness=75.7 + number**1.5, neutral=70.3 + number / 7
        )
        session = add_session(path, f"P0{number}", rates)
        start_ms = instant(3600 * (session - 1)).wall_ms
        # named in each result, on the device and at the collector; no reading lies there
        pause = (start_ms + 1_000_000, start_ms + 1_010_000 + number)
        made = leave_out(path, session, pause, reason=f"pause {number}", actor="ada")
        if number == 5:
            take_back(path, session, made.id, actor="ada")
        if number == 4:
            # its baseline is in no test, there as here
            calibrate_session(path, session, 0.0, 20.0)
    with write_transaction(path) as connection:
        connection.execute("UPDATE consent SET attributes = ?", (AttributeUse.HERE,))
        connection.execute(
            "INSERT INTO participant_attribute (participant, name, value) SELECT id, 'sex', "
            "CASE WHEN id % 2 THEN 'female' ELSE 'male' END FROM participant"
        )
    record(path, 0, 300)
    return path


def other_device(folder: Path) -> Path:
    """Return the database of a device that measured somebody else with the same code then."""
    path = timeline(folder)
    add_session(path, "P00", heart(anger=160.0, happiness=150.0, neutral=140.0))
    return path


def collect(connection: Any, devices: Mapping[str, Path]) -> None:
    """Make the tables of a fleet anew, and send each device's database to them, out of order."""
    connection.execute("DROP SCHEMA IF EXISTS fleet CASCADE")
    migrate(connection)
    writer = MessageWriter(connection)
    for name, path in devices.items():
        messages = [packed(message) for message in messages_of(path, name)]
        random.Random(1).shuffle(messages)
        for start in range(0, len(messages), 7):
            writer.write_deliveries(
                [BrokerDelivery(name, one, 0) for one in messages[start : start + 7]]
            )


def analysed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what ``affect-edge analyse`` prints."""
    code = dashboard(["analyse", *words])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out
