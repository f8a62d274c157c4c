"""The sender without a broker: what is sent, what is wrong, and how it is set up."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")


from edge_agent.config.mqtt import MqttSettings
from edge_agent.config.settings import Settings
from edge_agent.core.process import run_to_end
from edge_agent.fleet.sender import (
    MOST_AT_BROKER,
    MOST_UNCONFIRMED,
    Flight,
    SenderTrouble,
    Troubles,
    fleet_sender,
)
from edge_agent.timeline.write.changes import ReplicationStanding
from tests.support.broker import free_port, wait_until
from tests.support.commands import affect_edge
from tests.support.timeline import query, timeline


def test_confirmed_chunk_is_not_sent_again() -> None:
    flight = Flight(10, 0.0)
    flight.note_sent(20, 1, 0.0)
    flight.note_sent(30, 2, 0.0)
    assert flight.note_confirmed(20, 1.0)
    assert not flight.note_confirmed(20, 1.0)
    flight.connection_ended()
    assert (flight.confirmed, flight.sent) == (20, 20)


def test_after_a_broken_connection_only_what_the_broker_has_is_waited_for() -> None:
    flight = Flight(0, 0.0)
    for mid in (1, 2, 3):
        flight.note_sent(mid * 10, mid, 0.0)
    flight.note_taken(1)
    flight.note_taken(3)
    flight.connection_ended()
    assert flight.sent == 10


def test_without_confirmation_everything_is_sent_again_less_and_less_often() -> None:
    flight = Flight(0, 0.0, resend_s=60)
    flight.note_sent(10, 1, 100.0)
    assert not flight.resend_overdue(159.0)
    assert flight.resend_overdue(161.0)
    assert flight.sent == 0
    flight.note_sent(10, 2, 161.0)
    assert not flight.resend_overdue(161.0 + 119)
    assert flight.resend_overdue(161.0 + 121)
    flight.note_sent(10, 3, 300.0)
    flight.note_confirmed(10, 301.0)
    flight.note_sent(20, 4, 400.0)
    assert flight.resend_overdue(461.0)


def test_neither_the_broker_nor_the_collector_is_flooded() -> None:
    flight = Flight(0, 0.0)
    for mid in range(MOST_AT_BROKER):
        assert flight.has_room
        flight.note_sent(mid + 1, mid, 0.0)
    assert not flight.has_room
    for mid in range(MOST_UNCONFIRMED):
        flight.note_taken(mid)
        if flight.has_room:
            flight.note_sent(100 + mid, 1000 + mid, 0.0)
            flight.note_taken(1000 + mid)
    assert not flight.has_room
    flight.note_confirmed(100, 1.0)
    assert flight.has_room


def test_a_confirmation_of_more_than_was_sent_counts() -> None:
    flight = Flight(0, 0.0)
    assert flight.note_confirmed(50, 0.0)
    assert flight.sent == 50


def test_chunk_that_the_collector_asks_for_is_sent_once() -> None:
    flight = Flight(0, 0.0)
    assert not flight.send_again(0, 0.0)
    for mid, last in enumerate((10, 20, 30)):
        flight.note_sent(last, mid, 0.0)
    flight.note_confirmed(10, 1.0)
    assert not flight.send_again(0, 1.0)  # an older confirmation
    assert flight.send_again(10, 1.0)
    assert flight.sent == 10
    assert not flight.send_again(10, 1.0)
    assert not flight.resend_overdue(60.0)


def test_the_first_cause_is_reported_and_the_next_one_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    troubles = Troubles()
    assert troubles.standing == ReplicationStanding()
    troubles.begin(SenderTrouble.SILENCE, "nobody answers")
    troubles.begin(SenderTrouble.CONNECTION, "no broker")
    troubles.begin(SenderTrouble.CONNECTION, "no broker")
    assert troubles.standing.error == "no broker"
    assert troubles.standing.error_s >= 0
    troubles.end(SenderTrouble.CONNECTION)
    assert troubles.standing.error == "nobody answers"
    troubles.end(SenderTrouble.SILENCE, SenderTrouble.PUBLISH)
    assert troubles.standing.error is None
    assert [record.message for record in caplog.records] == [
        "fleet: nobody answers",
        "fleet: no broker",
        "fleet: what was wrong is over",
    ]


def test_what_was_given_up_counts_until_the_collector_has_heard_of_it() -> None:
    troubles = Troubles()
    troubles.set_state("connected")
    troubles.set_given_up([(10, 8), (30, 5)])
    troubles.set_positions(40, 5)
    assert troubles.standing == ReplicationStanding("connected", 35, 5, given_up=13)
    troubles.set_positions(40, 12)
    assert troubles.standing.given_up == 5
    troubles.set_positions(40, 40)
    assert troubles.standing == ReplicationStanding("connected", 0, 40)


def test_changes_are_logged_from_start_of_sender_though_no_broker_is_there(tmp_path: Path) -> None:
    path = timeline(tmp_path, expression=[1], vital=[1])
    sender = fleet_sender(Settings(), path, MqttSettings(port=free_port()))
    assert query(path, "SELECT count(*) FROM fleet_state") == [(0,)]
    sender.start()
    try:
        wait_until(
            lambda: query(path, "SELECT count(*) FROM fleet_state") == [(1,)], "the stream begins"
        )
    finally:
        sender.stop()
        assert sender.join(60)
    assert sender.error is None
    assert sender.confirmed == 0


def test_collect_options_of_words_and_environment_reach_the_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AFFECT_EDGE_COLLECT_DATABASE", "postgresql:///fleet")
    done = affect_edge("collect", "--client-key", "key.pem")
    assert done.code == 2
    assert "--client-certificate and --client-key go together" in done.err


WITHOUT_LIBRARIES = """
import sys
from affect_edge import main
sys.modules |= dict.fromkeys(("cbor2", "pika", "psycopg"))
sys.argv = ["affect-edge", "collect", *sys.argv[1:]]
main()
"""


def test_collect_without_its_libraries_has_help_and_says_what_to_install() -> None:
    command = [sys.executable, "-c", WITHOUT_LIBRARIES]
    done = run_to_end(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    done = run_to_end(*command, "--database", "postgresql:///fleet")
    assert done.returncode == 1
    assert done.stderr.startswith("affect-edge: The collector needs psycopg, cbor2 and, for AMQP,")
    assert "sudo ./install.sh --with fleet" in done.stderr
