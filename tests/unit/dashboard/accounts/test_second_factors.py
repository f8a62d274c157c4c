"""The second factor of an account: codes of an app, codes on paper, and who loses both."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pyotp
import pytest

from dashboard.accounts import second_factors as module
from dashboard.accounts.accounts import Accounts, ensure_setup_code
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Account
from dashboard.accounts.second_factors import SecondFactors, address_for_app, new_secret
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.dashboard_file import dashboard_file, write_dashboard
from tests.support.clocks.simulated_time import WallClock
from tests.support.timeline import query, query_dashboard

TOKEN = "the login that goes on"


def code_of(secret: str, clock: WallClock, steps: int = 0) -> str:
    """Return what an app shows, some half minutes from now."""
    return pyotp.TOTP(secret).at(clock.ms // 1000 + 30 * steps)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    clock = WallClock()
    clock.ms += 10_000
    monkeypatch.setattr(module, "now", clock)
    return clock


@pytest.fixture
def ada(path: Path) -> Account:
    return Accounts(path).set_up(ensure_setup_code(path) or "", "ada", "correct horse battery")


def turned_on(path: Path, ada: Account, clock: WallClock) -> tuple[SecondFactors, str, list[str]]:
    """A second factor that is on; its code of the present half minute is used."""
    factors = SecondFactors(path)
    secret = new_secret()
    codes = factors.turn_on(ada, secret, code_of(secret, clock), TOKEN)
    return factors, secret, codes


def test_a_code_is_good_once(path: Path, ada: Account, clock: WallClock) -> None:
    factors, secret, _ = turned_on(path, ada, clock)
    with pytest.raises(AccountError, match="was already used"):
        factors.check(ada, code_of(secret, clock))
    clock.ms += 30_000
    code = code_of(secret, clock)
    factors.check(ada, f"{code[:3]} {code[3:]}")
    with pytest.raises(AccountError, match="was already used"):
        factors.check(ada, code)


@pytest.mark.parametrize(("steps", "counts"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_clocks_may_differ_by_half_a_minute(
    path: Path, ada: Account, clock: WallClock, steps: int, counts: bool
) -> None:
    factors, secret, _ = turned_on(path, ada, clock)
    clock.ms += 600_000
    refused = pytest.raises(AccountError, match="This code is wrong")
    with nullcontext() if counts else refused:
        factors.check(ada, code_of(secret, clock, steps))


def test_a_clock_that_went_back_locks_nobody_out_and_frees_no_code(
    path: Path, ada: Account, clock: WallClock
) -> None:
    factors, secret, _ = turned_on(path, ada, clock)
    clock.ms += 86_400_000
    used_tomorrow = code_of(secret, clock)
    factors.check(ada, used_tomorrow)
    clock.ms -= 86_400_000 - 600_000
    factors.check(ada, code_of(secret, clock))
    clock.ms += 86_400_000 - 600_000
    with pytest.raises(AccountError, match="was already used"):
        factors.check(ada, used_tomorrow)


def test_the_codes_are_those_of_the_standard(path: Path, ada: Account, clock: WallClock) -> None:
    # RFC 6238, appendix B, SHA-1, at 1111111109 s: 07081804, of which an app shows the last six.
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    clock.ms = 1_111_111_109_000
    SecondFactors(path).turn_on(ada, secret, "081804", TOKEN)
    address = address_for_app(secret, ada, "lab")
    assert address == f"otpauth://totp/Affect%20Edge:ada%40lab?secret={secret}&issuer=Affect%20Edge"


def test_each_recovery_code_opens_once_however_it_is_written(
    path: Path, ada: Account, clock: WallClock
) -> None:
    factors, _, codes = turned_on(path, ada, clock)
    assert (len(set(codes)), factors.recovery_codes_left(ada)) == (10, 10)
    factors.check(ada, f" {codes[3].lower().replace('-', ' ')} ")
    assert factors.recovery_codes_left(ada) == 9
    with pytest.raises(AccountError):
        factors.check(ada, codes[3])
    fresh = factors.renew_recovery_codes(ada)
    with pytest.raises(AccountError):
        factors.check(ada, codes[4])
    factors.check(ada, fresh[4])
    audit = query(path, "SELECT action, detail FROM audit WHERE action LIKE 'second%'")
    assert ("second_factor_codes", "recovery code used, 9 left") in audit


def test_recovery_codes_are_hashed_and_the_timeline_has_no_second_factor(
    path: Path, ada: Account, clock: WallClock
) -> None:
    _, secret, codes = turned_on(path, ada, clock)
    beside = b"".join(one.read_bytes() for one in path.parent.glob("affect-edge.db*"))
    kept = str(query_dashboard(path, "SELECT second_factor FROM account"))
    assert secret.encode() not in beside and secret in kept
    assert not any(code.replace("-", "") in kept.replace("-", "") for code in codes)


def test_turning_it_on_and_off_ends_every_other_login_and_is_audited(
    path: Path, ada: Account, clock: WallClock
) -> None:
    accounts = Accounts(path)
    here, phone = accounts.log_in(ada), accounts.log_in(ada)
    factors = SecondFactors(path)
    secret = new_secret()
    factors.turn_on(ada, secret, code_of(secret, clock), here)
    assert accounts.of_token(phone) is None
    present = accounts.of_token(here)
    assert present and present.has_second_factor
    other = accounts.log_in(present)
    assert factors.turn_off(ada, here)
    assert accounts.of_token(other) is None and accounts.of_token(here)
    assert not factors.turn_off(ada, here), "it is off already"
    actions = [row[0] for row in query(path, "SELECT action FROM audit ORDER BY id")]
    assert [one for one in actions if one.startswith("second")] == [
        "second_factor_on",
        "second_factor_off",
    ]
    assert secret.encode() not in dashboard_file(path).read_bytes()


def test_second_factor_is_not_turned_on_by_a_wrong_code_nor_twice(
    path: Path, ada: Account, clock: WallClock
) -> None:
    factors = SecondFactors(path)
    secret = new_secret()
    with pytest.raises(AccountError, match="This code is wrong"):
        factors.turn_on(ada, secret, "no code", TOKEN)
    factors.turn_on(ada, secret, code_of(secret, clock), TOKEN)
    with pytest.raises(AccountError, match="already on"):
        factors.turn_on(ada, secret, code_of(secret, clock), TOKEN)


def test_a_code_that_cannot_be_noted_as_used_does_not_count(
    path: Path, ada: Account, clock: WallClock
) -> None:
    factors, secret, _ = turned_on(path, ada, clock)
    clock.ms += 60_000
    with write_dashboard(path) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE OF second_factor ON account BEGIN "
            "SELECT raise(ABORT, 'the disk is full'); END"
        )
    with pytest.raises(StoreError, match="the disk is full"):
        factors.check(ada, code_of(secret, clock))
    with write_dashboard(path) as connection:
        connection.execute("DROP TRIGGER full")
    factors.check(ada, code_of(secret, clock))
