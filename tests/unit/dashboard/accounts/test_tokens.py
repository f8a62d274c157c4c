"""Tokens of programs: made, used, revoked, and who did it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.accounts import tokens
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.tokens import Tokens
from edge_agent.core.clock import Instant
from tests.support.timeline import database, query


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


def at(monkeypatch: pytest.MonkeyPatch, wall_ms: int) -> None:
    """Make it be this time."""
    monkeypatch.setattr(tokens, "now", lambda: Instant(0, wall_ms))


def test_a_token_is_known_by_its_secret_for_what_it_may_do(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 5_000)
    kept = Tokens(path)
    secret = kept.make(" watch bridge ", "ada")
    assert secret.startswith("affect-edge-")
    assert len(secret) == len("affect-edge-") + 43, "32 random bytes"
    found = kept.of(secret, "vitals")
    assert found is not None
    assert (found.name, found.scope, found.created_by) == ("watch bridge", "vitals", "ada")
    assert (found.created_ms, found.used_ms, found.revoked_ms) == (5_000, None, None)
    assert kept.of(secret, "study") is None
    assert kept.of(secret + "x", "vitals") is None
    assert kept.of("\udcff", "vitals") is None
    assert secret not in str(query(path, "SELECT * FROM token"))
    assert query(path, "SELECT at, actor, action, detail FROM audit") == [
        (5_000, "ada", "token_make", "watch bridge (vitals)")
    ]


def test_a_revoked_token_opens_nothing_and_its_name_is_free_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Tokens(path)
    secret = kept.make("bridge", "ada")
    number = kept.all()[0].id
    at(monkeypatch, 7_000)
    kept.revoke(number, "eve")
    at(monkeypatch, 9_000)
    kept.revoke(number, "eve")
    kept.revoke(4711, "eve")
    assert kept.of(secret, "vitals") is None
    assert kept.all()[0].revoked_ms == 7_000
    assert query(path, "SELECT at, actor, detail FROM audit WHERE action = 'token_revoke'") == [
        (7_000, "eve", "bridge")
    ]
    assert kept.make("bridge", "ada") != secret


def test_those_in_force_come_first_and_the_newest_of_them(path: Path) -> None:
    kept = Tokens(path)
    for name in ("first", "second", "third"):
        kept.make(name, "ada")
    kept.revoke(kept.all()[0].id, "ada")
    assert [token.name for token in kept.all()] == ["second", "first", "third"]


@pytest.mark.parametrize("name", ["", "  ", "n" * 41, "two\nlines"])
def test_a_name_that_cannot_be_shown_is_refused(path: Path, name: str) -> None:
    with pytest.raises(AccountError, match="1 to 40 printable characters"):
        Tokens(path).make(name, "ada")
    assert Tokens(path).all() == []


def test_a_name_is_used_once_and_there_are_fifty_at_the_most(path: Path) -> None:
    kept = Tokens(path)
    kept.make("n" * 40, "ada")
    with pytest.raises(AccountError, match="There is a token 'nnn.* already"):
        kept.make("n" * 40, "ada")
    for number in range(49):
        kept.make(f"bridge {number}", "ada")
    with pytest.raises(AccountError, match="There are 50 tokens already"):
        kept.make("one more", "ada")
    assert len(kept.all()) == 50


def test_its_use_is_written_down_once_a_minute(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Tokens(path)
    secret = kept.make("bridge", "ada")
    kept.make("another", "ada")
    noted: list[int | None] = []
    for wall_ms in (100_000, 159_999, 160_000):
        at(monkeypatch, wall_ms)
        token = kept.of(secret, "vitals")
        assert token is not None
        kept.note_use(token)
        used = {one.name: one.used_ms for one in kept.all()}
        noted.append(used["bridge"])
        assert used["another"] is None
    assert noted == [100_000, 100_000, 160_000]
