"""What is sent, and from where it is sent again."""

from __future__ import annotations

from edge_agent.fleet.sender import MOST_AT_BROKER, MOST_UNCONFIRMED, Flight


def test_what_is_confirmed_is_not_sent_again() -> None:
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


def test_without_a_confirmation_everything_is_sent_again_less_and_less_often() -> None:
    flight = Flight(0, 0.0, resend_s=60)
    flight.note_sent(10, 1, 100.0)
    assert not flight.look(159.0)
    assert flight.look(161.0)
    assert flight.sent == 0
    flight.note_sent(10, 2, 161.0)
    assert not flight.look(161.0 + 119)
    assert flight.look(161.0 + 121)
    flight.note_sent(10, 3, 300.0)
    flight.note_confirmed(10, 301.0)
    flight.note_sent(20, 4, 400.0)
    assert flight.look(461.0)


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


def test_what_the_collector_asks_for_again_is_sent_at_once_and_only_once() -> None:
    flight = Flight(0, 0.0)
    assert not flight.send_again(0, 0.0)
    for mid, last in enumerate((10, 20, 30)):
        flight.note_sent(last, mid, 0.0)
    flight.note_confirmed(10, 1.0)
    assert not flight.send_again(0, 1.0)  # an older confirmation
    assert flight.send_again(10, 1.0)
    assert flight.sent == 10
    assert not flight.send_again(10, 1.0)
    assert not flight.look(60.0)
