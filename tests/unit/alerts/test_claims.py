"""In which order messages are claimed, sent and written down, and what a failing disk changes."""

from __future__ import annotations

import logging
from threading import Event

import pytest

from edge_agent.alerts.claims import Claims, MessageOutcome, Parcel
from edge_agent.core.errors import StoreError

SENT, REFUSED = MessageOutcome(), MessageOutcome("refused")
PERHAPS = MessageOutcome("no answer in time", may_have_arrived=True)


class House:
    """What leaves it, and a disk that may be full.

    Attributes:
        claims: what is tested.
        done: what was done, in order.
        full: whether the disk takes nothing.
        refuses: beginning of what it does not take.
        fills: whether it fills up while a message is sent.
        outcome: of the next message.
        is_free: whether a message may be claimed.
    """

    def __init__(self) -> None:
        self.claims = Claims("letters")
        self.done: list[str] = []
        self.full = self.fills = False
        self.refuses = "nothing"
        self.outcome = SENT
        self.is_free = True

    def look(self, *keys: str, stopping: bool = False) -> list[MessageOutcome]:
        """Send what is due."""
        stop = Event()
        if stopping:
            stop.set()
        return [outcome for _, outcome in self.claims.send(map(self._parcel, keys), stop)]

    def _parcel(self, key: str) -> Parcel:
        def claim() -> bool:
            self._write(f"claim {key}")
            return self.is_free

        def send() -> MessageOutcome:
            self.done.append(f"send {key}")
            self.full = self.full or self.fills
            return self.outcome

        def write(outcome: MessageOutcome) -> None:
            self._write(f"{key}: {outcome.error or 'sent'}")

        return Parcel(key, claim, send, write)

    def _write(self, what: str) -> None:
        if self.full or what.startswith(self.refuses):
            raise StoreError("database or disk is full")
        self.done.append(what)


@pytest.fixture
def house() -> House:
    return House()


def test_claim_comes_before_the_message_and_its_outcome_behind(house: House) -> None:
    assert house.look("a", "b") == [SENT, SENT]
    assert house.done == ["claim a", "send a", "a: sent", "claim b", "send b", "b: sent"]


@pytest.mark.parametrize(("outcome", "times"), [(SENT, 1), (PERHAPS, 1), (REFUSED, 3)])
def test_only_what_was_surely_refused_is_sent_again(
    house: House, outcome: MessageOutcome, times: int
) -> None:
    house.outcome = outcome
    for _ in range(3):
        house.look("a")
    assert house.done.count("send a") == times
    house.look("a", "b")
    assert "send b" in house.done, "it does not hold up others"
    assert (outcome.is_sent, outcome.is_refused) == (outcome is SENT, outcome is REFUSED)


def test_message_that_another_claimed_is_not_sent(house: House) -> None:
    house.is_free = False
    assert house.look("a", "b") == []
    assert house.done == ["claim a", "claim b"]


def test_full_disk_sends_nothing_says_so_once_and_recovers(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house.full = True
    for _ in range(3):
        assert house.look("a", "b") == []
    assert (house.done, house.claims.waits) == ([], "database or disk is full")
    assert house.claims.waits_since_ms > 0
    house.full = False
    assert house.look("a", "b") == [SENT, SENT]
    assert house.claims.waits == ""
    trouble, over = (record.getMessage() for record in caplog.records)
    assert trouble.startswith("letters: nothing is sent until it can be written down that it was:")
    assert trouble.endswith("database or disk is full") and over == "letters: sending goes on"


@pytest.mark.parametrize("outcome", [SENT, REFUSED])
def test_outcome_that_finds_no_room_is_written_later_and_holds_up_others(
    house: House, outcome: MessageOutcome
) -> None:
    house.fills, house.outcome = True, outcome
    assert house.look("a", "b") == [outcome]
    assert "a" in house.claims and house.claims.waits
    assert house.look("a", "b") == []
    assert house.done == ["claim a", "send a"]
    house.fills = house.full = False
    house.look()
    assert house.done[2:] == [f"a: {outcome.error or 'sent'}"]
    assert "a" not in house.claims and house.claims.waits == ""


def test_nothing_is_sent_while_an_outcome_alone_cannot_be_written(house: House) -> None:
    house.refuses = "a:"
    house.look("a")
    assert house.claims.waits
    assert house.look("b") == []
    assert house.done == ["claim a", "send a"]


def test_trouble_is_over_when_nothing_is_due_any_more(house: House) -> None:
    house.full = True
    house.look("a")
    house.full = False
    house.look()
    assert house.claims.waits == ""


def test_stopping_sends_nothing_more(house: House) -> None:
    assert house.look("a", stopping=True) == []
    assert house.done == []


def test_message_that_was_forgotten_is_another_one_then(house: House) -> None:
    house.look("a", "b")
    house.claims.forget(lambda key: key == "a")
    house.look("a", "b")
    assert house.done[6:] == ["claim a", "send a", "a: sent"]
