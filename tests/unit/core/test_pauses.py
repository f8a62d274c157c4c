"""Growing pauses, and that every place takes them from here."""

from __future__ import annotations

import pytest

from dashboard.accounts.attempts import PAUSES_S as GUESSES_S
from dashboard.accounts.letters import RETRIES_MS
from edge_agent.alerts.sending import RETRIES_S
from edge_agent.camera.capture import PAUSES_S as CAMERA_S
from edge_agent.core.pauses import Pauses, doubling, pause_after


@pytest.mark.parametrize(
    ("first", "longest", "pauses"),
    [
        (1.0, 30.0, (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)),
        (2.0, 8.0, (2.0, 4.0, 8.0)),  # the longest, once
        (60.0, 60.0, (60.0,)),
        (900.0, 60.0, (60.0,)),  # never more than the longest
    ],
)
def test_pauses_that_double_end_at_the_longest(
    first: float, longest: float, pauses: tuple[float, ...]
) -> None:
    assert doubling(first, longest) == pauses


def test_pause_after_any_number_of_failures_stays_at_the_longest() -> None:
    assert [pause_after(tries, (1.0, 2.0)) for tries in (1, 2, 3, 10**9)] == [1.0, 2.0, 2.0, 2.0]


def test_pauses_begin_anew_once_it_works() -> None:
    pauses = Pauses((1.0, 2.0))
    assert [pauses.after_failure() for _ in range(3)] == [1.0, 2.0, 2.0]
    pauses.reset()
    assert (pauses.failures, pauses.after_failure()) == (0, 1.0)


def test_pauses_of_letters_alerts_camera_and_guesses_are_as_documented() -> None:
    minutes = [pause / 60_000 for pause in RETRIES_MS]
    assert minutes == [10, 20, 40, 80, 160, 320, 360]
    assert RETRIES_S == (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0)
    assert CAMERA_S == (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
    assert GUESSES_S == (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0)
