"""Readings handed in as messages: what is taken, what is refused, and how each is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.readings import MAX_BYTES, MAX_READINGS, Origin, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt.incoming import rejected_payload
from edge_agent.store.write.timeline import import_readings
from edge_agent.vitals.sources import Verdict, VitalIngest
from tests.support.timeline import database, query

NOW = Instant(boot_ms=5_000_000, wall_ms=1_790_000_400_000)


class Sender:
    """A device that sends messages to an appliance in whose clock no time passes."""

    def __init__(self) -> None:
        self.taken: list[VitalReading] = []
        self.ingest = VitalIngest(self.taken.append, Origin("mqtt", prefix="mqtt:"), lambda: NOW)

    def send(self, message: object, *, retained: bool = False) -> Verdict:
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.ingest.take(payload, retained=retained)


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_one_reading_or_a_list_of_them_is_taken(sender: Sender) -> None:
    assert sender.send({"schema": 1, "kind": "heart_rate", "value": 72}).taken == 1
    assert (
        sender.send([{"kind": "systolic", "value": 120}, {"kind": "diastolic", "value": 80}]).taken
        == 2
    )
    assert [(r.kind, r.value, r.source, r.at) for r in sender.taken] == [
        ("heart_rate", 72.0, "mqtt", NOW),
        ("systolic", 120.0, "mqtt", NOW),
        ("diastolic", 80.0, "mqtt", NOW),
    ]


def test_a_bad_reading_is_told_by_its_place_and_name_and_does_not_keep_out_the_others(
    sender: Sender,
) -> None:
    good = {"kind": "heart_rate", "value": 72}
    verdict = sender.send(
        [good, {"kind": "pulse", "value": 1, "id": "a-17"}, {**good, "source": "b"}]
    )
    assert (verdict.taken, sender.ingest.taken, sender.ingest.refused) == (2, 2, 1)
    assert [(r.index, r.id, r.error.field) for r in verdict.refusals] == [(1, "a-17", "kind")]
    answer = rejected_payload(
        NOW.wall_ms, verdict.digest, 2, [(r.index, r.id, r.error) for r in verdict.refusals]
    )
    assert json.loads(answer.encode())["readings"] == [
        {
            "index": 1,
            "id": "a-17",
            "field": "kind",
            "reason": f"kind: 'pulse' is not one of {', '.join(VitalKind)}.",
        }
    ]


def test_beats_of_one_packet_end_one_after_the_other(sender: Sender) -> None:
    beat = {"kind": "rr_interval", "unit": "ms", "source": "strap"}
    values = [892, 905, 863, 863]
    sender.send([{**beat, "value": value, "at": "2026-09-21T14:20:00Z"} for value in values])
    sender.send([{**beat, "value": value} for value in values])
    before_ms = [sender.taken[place].at.wall_ms - sender.taken[3].at.wall_ms for place in range(4)]
    assert before_ms == [-2631, -1726, -863, 0]
    assert [r.at.wall_ms - NOW.wall_ms for r in sender.taken[4:]] == before_ms
    assert [r.at.boot_ms for r in sender.taken[:4]] == [0] * 4


def test_two_measurements_of_a_cuff_in_one_message_are_judged_alone(
    sender: Sender, tmp_path: Path
) -> None:
    given = [("systolic", 128), ("diastolic", 82), ("systolic", 90), ("diastolic", 85)]
    cuff = {"at": "2026-09-21T14:20:00Z", "source": "cuff"}
    sender.send([{**cuff, "kind": kind, "value": value} for kind, value in given])
    assert [bool(r.flags) for r in sender.taken] == [False, False, True, True]
    path = database(tmp_path)
    assert import_readings(path, sender.taken)[:2] == (4, 0)
    assert import_readings(path, sender.taken)[:2] == (0, 4)
    assert query(path, "SELECT value FROM vital ORDER BY at, kind") == [(82,), (128,), (85,), (90,)]


def test_a_message_that_is_no_list_of_readings_is_told_by_its_digest(sender: Sender) -> None:
    verdict = sender.send(b"test")
    assert verdict.digest == "9f86d081884c7d65", (
        "the beginning of the SHA-256 of `test` (FIPS 180-4)"
    )
    assert [(r.index, r.id, r.error.field) for r in verdict.refusals] == [(None, None, "payload")]


def test_a_message_that_is_too_large_or_too_long_is_refused_as_a_whole(sender: Sender) -> None:
    reading = {"kind": "heart_rate", "value": 72}
    for message in (b"[" + b" " * MAX_BYTES + b"]", [reading] * (MAX_READINGS + 1), []):
        assert sender.send(message).refusals[0].index is None
    assert not sender.taken


def test_what_the_broker_had_kept_is_taken_only_when_it_says_when_it_was_measured(
    sender: Sender,
) -> None:
    timed = {"kind": "heart_rate", "value": 72, "at": NOW.wall_ms - 5000}
    verdict = sender.send([timed, {"kind": "heart_rate", "value": 73}], retained=True)
    assert [r.value for r in sender.taken] == [72.0]
    assert "is missing in a retained message" in str(verdict.refusals[0].error)
