"""Messages of the stream: packed and unpacked, and refused with a reason."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import cbor2

from edge_agent.core import clock
from edge_agent.fleet.chunks import (
    LARGEST_BYTES,
    Chunk,
    MessageError,
    TimelineMessage,
    decode,
    encode,
    read_confirmation,
)
from edge_agent.fleet.sender import timeline_message

GOOD: dict[str, Any] = {
    "schema": 2,
    "device": "lab",
    "epoch": "5f2c9a0d1e3b4c67",
    "first": 5,
    "last": 7,
    "sent": 1,
    "synchronised": True,
    "absent": 0,
    "changes": [[5, "participant_attribute", "row", [1, 2, "hand", "left"]], [7, "", "begin", {}]],
}


def packed(**changed: Any) -> bytes:
    return zlib.compress(cbor2.dumps({**GOOD, **changed}))


def test_a_message_comes_back_as_it_was() -> None:
    message = TimelineMessage("lab", "5f2c9a0d1e3b4c67", 1, 1, 9, False, 3, ([1, "", "gap", {}],))
    assert decode(encode(message)) == message
    assert decode(packed()).changes[0][3] == [1, 2, "hand", "left"]
    told = replace(message, boot="0f6c1b9e", boot_ms=86_412_000)
    assert decode(encode(told)) == told


def test_message_of_the_first_release_is_read_without_columns_added_since() -> None:
    model = [1, "expression", "accurate", "1.0.0", "aa", 1764000000000, 1]
    told = decode(packed(schema=1, changes=[[5, "model", "row", model]]))
    assert told.changes[0][3] == [*model, "unknown"]
    new = decode(packed(changes=[[5, "model", "row", [*model, "balanced"]]]))
    assert new.changes[0][3] == [*model, "balanced"]
    with pytest.raises(MessageError, match="has 7 values of model, not 8"):
        decode(packed(changes=[[5, "model", "row", model]]))
    with pytest.raises(MessageError, match="has 8 values of model, not 7"):
        decode(packed(schema=1, changes=[[5, "model", "row", [*model, "data"]]]))


@pytest.mark.parametrize(
    "start",
    [
        {},
        {"boot": 5, "boot_ms": 5},
        {"boot": "", "boot_ms": 5},
        {"boot": "a" * 9, "boot_ms": 5},
        {"boot": "a\x00", "boot_ms": 5},
        {"boot": "a", "boot_ms": True},
    ],
)
def test_a_start_of_the_machine_that_is_no_answer_costs_no_row(start: dict[str, Any]) -> None:
    message = decode(packed(**start))
    assert (message.boot, message.boot_ms) == ("", 0)
    assert len(message.changes) == 2


def test_the_sender_says_when_by_both_clocks() -> None:
    before = clock.now()
    message = timeline_message("lab", "5f2c9a0d1e3b4c67", Chunk(1, 1, ([1, "", "begin", {}],), 0))
    after = clock.now()
    assert (message.boot, message.synchronised) == (clock.boot_id()[:8], clock.is_synchronised())
    assert before.boot_ms <= message.boot_ms <= after.boot_ms
    assert before.wall_ms <= message.sent <= after.wall_ms


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "is cut off"),
        (b"hello", "is not compressed"),
        (packed()[:-4], "is cut off"),
        (zlib.compress(bytes(LARGEST_BYTES + 1)), "more than"),
        (zlib.compress(b"\xff"), "is no CBOR"),
        (zlib.compress(cbor2.dumps([1])), "is no map"),
        (packed(schema=4), "has the schema 4, this collector reads 3"),
        (packed(schema=0), "has the schema 0, this collector reads 3"),
        (packed(device=""), "has no device"),
        (packed(epoch="5"), "has no epoch"),
        (packed(first=8), "covers the positions 8 to 7"),
        (packed(first="5"), "has no number in 'first'"),
        (packed(last=2**80), "has no number in 'last'"),
        (packed(changes=None), "has no list of changes"),
        (packed(changes=[[5]]), "has a change that is none"),
        (packed(changes=[[8, "", "begin", {}]]), "out of order"),
        (packed(changes=[[5, "account", "row", []]]), "has a change of 'account'"),
        (packed(changes=[[5, [], "row", []]]), "has a change of"),
        (packed(changes=[[5, "marker", [], []]]), "has a change of"),
        (packed(changes=[[5, "vital", "row", [1]]]), "has 1 values of vital, not 8"),
        (packed(changes=[[5, "vital", "gone", [1]]]), "has 1 values of vital, not 3"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        decode(payload)


def test_message_that_is_no_confirmation_is_refused() -> None:
    with pytest.raises(MessageError, match="is no confirmation"):
        read_confirmation(b'{"epoch": 5}')
    said = b'{"schema": 1, "epoch": "5f2c9a0d1e3b4c67", "position": 4, "later": true}'
    assert read_confirmation(said).position == 4
