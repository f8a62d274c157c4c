"""Tokens of programs: made, used, ended, revoked, and who did it; never more than their maker."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.accounts import tokens
from dashboard.accounts.members import Members
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import LEAST_ROLE, MAY, TOKEN_ROLES, Account, Permission, Role, Scope
from dashboard.accounts.tokens import NewToken, Tokens
from edge_agent.core.clock import Instant
from tests.support.security.tokens import EVERYTHING, READINGS, maker
from tests.support.timeline import query, query_dashboard

DAY_MS = 86_400_000


@pytest.fixture
def ada(path: Path) -> Account:
    return maker(path, Role.ADMINISTRATOR, "ada")


def at(monkeypatch: pytest.MonkeyPatch, wall_ms: int) -> None:
    """Make it be this time."""
    monkeypatch.setattr(tokens, "now", lambda: Instant(0, wall_ms))


def new(name: str = "bridge", **values: object) -> NewToken:
    return NewToken(name, **({"scopes": READINGS} | values))  # type: ignore[arg-type]


def test_a_token_is_known_by_its_secret_and_says_what_it_may(
    path: Path, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 5_000)
    kept = Tokens(path)
    scopes = frozenset({Scope.MARKERS, Scope.READ})
    secret = kept.make(NewToken(" watch bridge ", scopes, Role.OPERATOR, days=2), ada)
    assert secret.startswith("affect-edge-")
    assert len(secret) == len("affect-edge-") + 43, "32 random bytes"
    found = kept.find(secret)
    assert found is not None
    assert (found.name, found.scopes, found.created_by) == ("watch bridge", scopes, "ada")
    assert (found.created_ms, found.used_ms, found.revoked_ms) == (5_000, None, None)
    assert (found.role, found.expires_ms, found.state) == (
        Role.OPERATOR,
        5_000 + 2 * DAY_MS,
        "active",
    )
    assert found.permissions == MAY[Role.OPERATOR]
    assert kept.find(secret + "x") is None and kept.find("\udcff") is None
    assert secret not in str(query_dashboard(path, "SELECT * FROM token"))
    assert query(path, "SELECT actor, action, detail FROM audit") == [
        ("ada", "token_make", "watch bridge (read markers; operator; 2 days)")
    ]


def test_a_token_ends_on_its_day_and_its_name_is_free_again(
    path: Path, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 0)
    kept = Tokens(path)
    secret = kept.make(new(days=1), ada)
    at(monkeypatch, DAY_MS - 1)
    assert kept.find(secret) is not None
    at(monkeypatch, DAY_MS)
    assert kept.find(secret) is None and kept.all()[0].state == "expired"
    assert kept.make(new(), ada) != secret
    assert [one.state for one in kept.all()] == ["active", "expired"]


def test_a_revoked_token_opens_nothing_and_its_name_is_free_again(
    path: Path, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Tokens(path)
    secret = kept.make(new(), ada)
    number = kept.all()[0].id
    at(monkeypatch, 7_000)
    assert kept.revoke(number, "eve") == "bridge"
    at(monkeypatch, 9_000)
    assert kept.revoke(number, "eve") is None
    assert kept.revoke(4711, "eve") is None
    assert kept.find(secret) is None
    assert (kept.all()[0].revoked_ms, kept.all()[0].state) == (7_000, "revoked")
    assert query(path, "SELECT actor, detail FROM audit WHERE action = 'token_revoke'") == [
        ("eve", "bridge")
    ]
    assert kept.make(new(), ada) != secret


@pytest.mark.parametrize("role", TOKEN_ROLES)
def test_token_never_has_more_rights_than_its_maker(path: Path, role: Role) -> None:
    somebody = maker(path, role, "somebody")
    with pytest.raises(AccountError, match="cannot have the role carer"):
        Tokens(path).make(NewToken("c", frozenset({Scope.READ}), Role.CARER), somebody)
    for wanted in TOKEN_ROLES:
        scopes = frozenset(one for one in Scope if MAY[LEAST_ROLE[one]] <= MAY[wanted])
        if MAY[wanted] <= MAY[role]:
            Tokens(path).make(NewToken(wanted, scopes, wanted), somebody)
        else:
            with pytest.raises(AccountError, match=f"somebody is {role}"):
                Tokens(path).make(NewToken(wanted, scopes, wanted), somebody)
    made = {one.role for one in Tokens(path).all()}
    assert made == {one for one in TOKEN_ROLES if MAY[one] <= MAY[role]}


def test_token_loses_the_rights_that_its_maker_loses(path: Path, ada: Account) -> None:
    eve = maker(path, Role.ADMINISTRATOR, "eve")
    Members(path).reset(ada.id, "ada")  # somebody who can log in stays
    kept, members = Tokens(path), Members(path)
    secret = kept.make(NewToken("robot", EVERYTHING, Role.ADMINISTRATOR), eve)

    def permissions() -> frozenset[Permission] | None:
        found = kept.find(secret)
        return None if found is None else found.permissions

    assert permissions() == MAY[Role.ADMINISTRATOR]
    members.set_role(eve.id, Role.OPERATOR, "ada")
    assert permissions() == MAY[Role.OPERATOR]
    members.disable(eve.id, "ada")
    assert permissions() is None and kept.all()[0].state == "idle"
    assert kept.all()[0].permissions == frozenset()
    members.enable(eve.id, "ada")
    assert permissions() == MAY[Role.OPERATOR]
    members.remove(eve.id, "ada")
    assert permissions() is None and kept.all()[0].state == "revoked"
    assert query(path, "SELECT actor, detail FROM audit WHERE action = 'token_revoke'") == [
        ("ada", "robot")
    ]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (new(""), "1 to 40 printable characters"),
        (new("  "), "1 to 40 printable characters"),
        (new("n" * 41), "1 to 40 printable characters"),
        (new("two\nlines"), "1 to 40 printable characters"),
        (new(scopes=frozenset()), "at least one thing"),
        (new(role=Role.VIEWER), "readings needs a token with the role operator"),
        (new(days=0), "after 1 to 3650 days, or never; given: 0"),
        (new(days=3651), "given: 3651"),
    ],
)
def test_a_token_that_cannot_be_is_refused_with_the_value(
    path: Path, ada: Account, wanted: NewToken, problem: str
) -> None:
    with pytest.raises(AccountError, match=problem):
        Tokens(path).make(wanted, ada)
    assert Tokens(path).all() == []


def test_a_name_is_used_once_and_there_are_fifty_at_the_most(path: Path, ada: Account) -> None:
    kept = Tokens(path)
    kept.make(new("n" * 40), ada)
    with pytest.raises(AccountError, match="A token named 'nnn.* already exists"):
        kept.make(new("n" * 40), ada)
    for number in range(49):
        kept.make(new(f"bridge {number}"), ada)
    with pytest.raises(AccountError, match="There are already 50 tokens"):
        kept.make(new("one more"), ada)
    assert len(kept.all()) == 50


def test_use_of_a_token_is_stored_once_a_minute(
    path: Path, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Tokens(path)
    secret = kept.make(new(), ada)
    kept.make(new("another"), ada)
    noted: list[int | None] = []
    for wall_ms in (100_000, 159_999, 160_000):
        at(monkeypatch, wall_ms)
        token = kept.find(secret)
        assert token is not None
        kept.note_use(token)
        used = {one.name: one.used_ms for one in kept.all()}
        noted.append(used["bridge"])
        assert used["another"] is None
    assert noted == [100_000, 100_000, 160_000]
