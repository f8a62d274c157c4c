"""Troubles of the stream: the one that may cause others is told, each until it is over."""

from __future__ import annotations

import logging

import pytest

from edge_agent.fleet.sender import Trouble, Troubles
from edge_agent.store.write.changes import ReplicationStanding


def test_the_first_cause_is_told_and_the_next_one_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    troubles = Troubles()
    assert troubles.standing == ReplicationStanding()
    troubles.begin(Trouble.SILENCE, "nobody answers")
    troubles.begin(Trouble.CONNECTION, "no broker")
    troubles.begin(Trouble.CONNECTION, "no broker")
    assert troubles.standing.error == "no broker"
    assert troubles.standing.error_s >= 0
    troubles.end(Trouble.CONNECTION)
    assert troubles.standing.error == "nobody answers"
    troubles.end(Trouble.SILENCE, Trouble.PUBLISH)
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
