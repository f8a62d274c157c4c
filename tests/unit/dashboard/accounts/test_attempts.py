"""Attempts that outlive a restart, and browsers that are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.accounts import login as attempts_module
from dashboard.accounts.login import KeptAttempts, KnownDevices
from tests.support.clocks.simulated_time import WallClock
from tests.support.timeline import query_dashboard


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    turned = WallClock()
    monkeypatch.setattr(attempts_module, "now", turned)
    return turned


def test_another_program_reads_how_old_each_attempt_is(path: Path, now: WallClock) -> None:
    kept = KeptAttempts(path)
    who = kept.hash_of("192.0.2.7")
    kept.add(who)
    now.ms += 40_000
    kept.add(who)
    now.ms += 2_000
    assert KeptAttempts(path).ages() == {who: [42.0, 2.0]}
    kept.forget(who)
    assert KeptAttempts(path).ages() == {}


def test_no_address_can_be_read_from_the_table_and_an_hour_is_all_it_keeps(
    path: Path, now: WallClock
) -> None:
    kept = KeptAttempts(path)
    kept.add(kept.hash_of("192.0.2.7"))
    assert "192.0.2.7" not in str(query_dashboard(path, "SELECT * FROM attempt"))
    now.ms += 3_600_000
    assert kept.ages() == {}
    kept.add(kept.hash_of("192.0.2.8"))
    assert query_dashboard(path, "SELECT count(*) FROM attempt") == [(1,)]


def test_a_clock_that_goes_back_forgives_nothing_and_keeps_nothing_for_ever(
    path: Path, now: WallClock
) -> None:
    kept = KeptAttempts(path)
    who = kept.hash_of("192.0.2.7")
    kept.add(who)
    now.ms -= 86_400_000
    assert kept.ages() == {who: [0.0]}
    kept.add(kept.hash_of("192.0.2.8"))
    now.ms += 3_600_000
    assert kept.ages() == {}


def test_a_browser_is_known_by_the_name_that_logged_in_with_it(path: Path) -> None:
    devices = KnownDevices(KeptAttempts(path))
    cookie = devices.cookie_for("ada")
    device = devices.device_of(cookie, " ADA ")
    assert device is not None
    assert KnownDevices(KeptAttempts(path)).device_of(cookie, "ada") == device
    assert devices.device_of(devices.cookie_for("ada"), "ada") != device
    for wrong in ("", ".", cookie[:-1], cookie.partition(".")[2], "ä" + cookie):
        assert devices.device_of(wrong, "ada") is None
    assert devices.device_of(cookie, "eve") is None
