"""Attempts to log in: counted per address and account, and never for nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dashboard.accounts.attempts import AttemptLimiter
from dashboard.accounts.passwords import AccountError
from dashboard.web.guards.login_throttle import Asker, HeldUpError, LoginThrottle
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.dashboard_file import write_dashboard
from edge_agent.timeline.database.upgrade import migrate
from tests.support.clocks.simulated_time import Seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "affect-edge.db"
    migrate(file)
    return file


def wrong() -> None:
    raise AccountError("Name or password is wrong.")


def tries(throttle: LoginThrottle, asker: Asker, *, right: bool = False) -> int:
    """Return how many seconds an attempt has to wait; 0: it was checked."""
    try:
        asyncio.run(throttle.checked(asker, (lambda: None) if right else wrong))
    except AccountError:
        return 0
    except HeldUpError as error:
        if error.status != 429 or "Wait" not in str(error):
            raise
        return error.wait
    return 0


def stranger(number: int, name: str = "ada") -> Asker:
    return Asker(f"192.0.2.{number}", name)


def test_a_sixth_attempt_from_one_address_waits_and_restart_does_not_help(path: Path) -> None:
    clock = Seconds()
    throttle = LoginThrottle(path, clock)
    assert [tries(throttle, stranger(1, "")) for _ in range(6)] == [0, 0, 0, 0, 0, 300]
    later = Seconds()
    later.now = 7.0  # the machine was started anew
    assert tries(LoginThrottle(path, later), stranger(1, "")) in range(290, 301)
    assert tries(LoginThrottle(path, later), stranger(2, "")) == 0


def test_a_right_attempt_is_forgiven_for_good(path: Path) -> None:
    throttle = LoginThrottle(path, Seconds())
    for _ in range(4):
        tries(throttle, stranger(1))
    assert tries(throttle, stranger(1), right=True) == 0
    assert [tries(LoginThrottle(path, Seconds()), stranger(1)) for _ in range(5)] == [0] * 5


def test_an_account_of_ones_own_forgives_no_guesses_at_those_of_others(path: Path) -> None:
    throttle = LoginThrottle(path, Seconds())
    for number in range(4):
        assert tries(throttle, stranger(1, f"victim {number}")) == 0
    assert tries(throttle, stranger(1, "mallory"), right=True) == 0
    assert tries(throttle, stranger(1, "victim 4")) == 0
    assert tries(throttle, stranger(1, "victim 5")) == 300
    assert tries(throttle, stranger(1, "mallory"), right=True) == 300
    assert tries(LoginThrottle(path, Seconds()), stranger(1, "victim 6")) > 290, (
        "nor after a restart"
    )


def test_a_flood_of_other_names_and_addresses_forgives_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AttemptLimiter.__init__, "__defaults__", (5, 300.0, 20, Seconds(), None))
    throttle = LoginThrottle(path, Seconds())
    for number in range(10):
        assert tries(throttle, stranger(number)) == 0
    for number in range(10, 60):
        assert tries(throttle, stranger(number, f"nobody {number}")) == 0
    assert tries(throttle, stranger(200)) > 0, "ten guesses at ada still count"
    for _ in range(5):
        tries(throttle, stranger(70, ""))
    for number in range(80, 110):
        tries(throttle, stranger(number, ""))
    assert tries(throttle, stranger(70, "")) > 290


def test_guesses_from_everywhere_at_one_account_wait_longer_and_longer(path: Path) -> None:
    clock = Seconds()
    throttle = LoginThrottle(path, clock)
    assert [tries(throttle, stranger(n)) for n in range(10)] == [0] * 10
    waits = []
    for n in range(10, 20):
        waits.append(tries(throttle, stranger(n)))
        clock.now += waits[-1]
        assert tries(throttle, stranger(n)) == 0
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert tries(throttle, stranger(99)) == 300
    assert tries(throttle, stranger(98, "eve")) == 0, "another account"
    assert tries(LoginThrottle(path, clock), stranger(97)) > 290, "a restart forgives nothing"


def test_nobody_can_lock_the_owner_out_by_guessing(path: Path) -> None:
    throttle = LoginThrottle(path, Seconds())
    for n in range(10):
        tries(throttle, stranger(n))
    assert tries(throttle, stranger(50)) > 0
    known = Asker("192.0.2.1", "ada", throttle.devices.cookie_for("ada"))
    assert tries(throttle, known) == 0
    assert tries(throttle, Asker("127.0.0.1", "ada")) == 0, "on the machine, or by ssh"
    other = Asker("192.0.2.60", "ada", throttle.devices.cookie_for("eve"))
    assert tries(throttle, other) > 0, "a cookie of another account helps nobody"


def test_a_known_browser_has_five_attempts_of_its_own(path: Path) -> None:
    throttle = LoginThrottle(path, Seconds())
    for _ in range(5):
        tries(throttle, stranger(1))
    known = Asker("192.0.2.1", "ada", throttle.devices.cookie_for("ada"))
    assert [tries(throttle, known) for _ in range(6)] == [0, 0, 0, 0, 0, 300]


def test_an_attempt_that_cannot_be_written_down_is_not_checked(path: Path) -> None:
    throttle = LoginThrottle(path, Seconds())
    with write_dashboard(path) as connection:
        connection.execute("DROP TABLE attempt")
    checked: list[bool] = []
    with pytest.raises(StoreError):
        asyncio.run(throttle.checked(stranger(1), lambda: checked.append(True)))
    assert not checked
