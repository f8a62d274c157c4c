"""Of several streams of one name that are offered, one sender is recorded."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from edge_agent.lsl.inlet import OneSender


class Offered(NamedTuple):
    source: str
    host: str = "lab"

    def source_id(self) -> str:
        return self.source

    def hostname(self) -> str:
        return self.host


A, B = Offered("A"), Offered("B")


@pytest.mark.parametrize(
    ("rounds", "chosen"),
    [
        ([[A, B], [B, A], [B], [B, A]], [A, A, None, A]),
        ([[A], [], [B]], [A, None, B]),
        ([[Offered("A", "x"), Offered("A", "y")], [Offered("A", "y")]], [Offered("A", "x"), None]),
    ],
    ids=["two at a time", "a program started again", "two hosts"],
)
def test_stream_of_another_sender_never_takes_its_place(
    rounds: list[list[Offered]], chosen: list[Offered | None]
) -> None:
    sender = OneSender()
    assert [sender.choose(one) for one in rounds] == chosen
