"""Every action that the dashboard notes: whatever the trail holds, and while it cannot be written,
what protects is done.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest

import dashboard
from dashboard.accounts.accounts import Accounts, create_login_link, ensure_setup_code
from dashboard.accounts.carers import Carers
from dashboard.accounts.logins import Logins
from dashboard.accounts.members import Members
from dashboard.accounts.notes import Notes
from dashboard.accounts.roles import Account, CameFrom, Role, Scope
from dashboard.accounts.second_factors import SecondFactors, new_secret
from dashboard.accounts.tokens import NewToken, Tokens
from edge_agent.core.errors import StoreError
from edge_agent.core.noted import ACTIONS, DONE, NAMING_PERSONS, REFUSED, TOLD
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.dashboard_file import dashboard_file, read_dashboard
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.write import merged_notes
from tests.support.dashboard import PASSWORD, add_session
from tests.support.timeline import query, query_dashboard, timeline

ROOT = Path(dashboard.__file__).parent
NEW = "staple and another horse"
ATTEMPT = ("login_failed", "second_factor_failed")


@dataclass(frozen=True, slots=True)
class Place:
    """A dashboard with ada, who administers, eve, a carer, and P-01.

    Attributes:
        path: its timeline.
        ada: the administrator.
        token: of her login.
        eve: number of the carer.
    """

    path: Path
    ada: Account
    token: str
    eve: int


@pytest.fixture
def place(tmp_path: Path) -> Place:
    path = timeline(tmp_path)
    add_session(path)
    accounts = Accounts(path)
    ada = accounts.set_up(ensure_setup_code(path) or "", "ada", PASSWORD)
    members = Members(path)
    members.add_with_link("eve", Role.CARER, "ada")
    return Place(path, ada, accounts.log_in(ada), members.find("eve").id)


@contextmanager
def trail_away(path: Path) -> Iterator[None]:
    """Let nobody write the trail, as on a full disk or while the gate is stopped."""
    with closing(connect(path, readonly=False)) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(FAIL, 'full'); END"
        )
        connection.execute(
            "CREATE TRIGGER fuller BEFORE INSERT ON setting BEGIN SELECT raise(FAIL, 'full'); END"
        )
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER full")
            connection.execute("DROP TRIGGER fuller")


def state(path: Path) -> list[list[tuple[object, ...]]]:
    """What the dashboard's database holds, beside lines that are owed."""
    with read_dashboard(path) as connection:
        tables = ("account", "login", "token", "carer_person")
        return [
            [tuple(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in tables
        ]


def owed(path: Path) -> str:
    rows = query_dashboard(path, "SELECT value FROM setting WHERE key = 'notes_owed'")
    return str(rows[0][0]) if rows else ""


def literals(call: ast.Call) -> Iterator[str]:
    for argument in ast.walk(call):
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def calls(folder: Path) -> Iterator[tuple[Path, ast.Call, str]]:
    """Every call of a function whose name ends with ``note`` or ``note_within``."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = node.func.attr
                if name in {"note", "_note", "note_within", "record"}:
                    yield file, node, ast.unparse(node.func.value)


def test_note_of_the_dashboard_goes_through_the_rule_of_its_action() -> None:
    beside = [
        (file.name, of)
        for file, _, of in calls(ROOT)
        if of.endswith("commands") and file.name != "notes.py"
    ]
    assert beside == [("letter_sending.py", "self._commands")]


def test_register_names_what_the_dashboard_notes_and_nothing_else() -> None:
    texts = {
        node.value
        for file in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert ACTIONS - texts == set()
    assert len(ACTIONS) == len(DONE) + len(TOLD) + len(REFUSED), "one stands in two lists"
    noted = [text for _, call, of in calls(ROOT) for text in literals(call) if of != "log"]
    unknown = {
        text for text in noted if text.replace("_", "").isalpha() and text.islower() and "_" in text
    } - ACTIONS
    assert unknown == set()


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_note_passes_however_much_the_trail_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    path = timeline(tmp_path)
    monkeypatch.setattr(merged_notes, "NOTED_IN_AN_HOUR", 0)
    for _ in range(3):
        Commands(path).note("ada", action, "once more")
    assert query(path, "SELECT count(*) FROM audit") == [(0,)]
    with closing(connect(path, readonly=True)) as connection:
        (counted,) = merged_notes.read_counted(connection)
    assert (counted.actor, counted.action, counted.count) == ("ada", action, 3)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_note_without_a_trail_is_owed_or_refused_by_its_rule(place: Place, action: str) -> None:
    notes = Notes(place.path)
    with trail_away(place.path):
        if action in REFUSED:
            with pytest.raises(StoreError):
                notes.note("ada", action, "P-01")
            assert owed(place.path) == ""
            return
        notes.note("ada", action, "P-01")
        notes.note("ada", action, "P-01")
        assert f'"action":"{action}"' in owed(place.path)
        assert ("P-01" in owed(place.path)) is (action not in NAMING_PERSONS)
    notes.note("ada", "logout")
    lines = query(place.path, "SELECT detail FROM audit WHERE action = ? ORDER BY id", action)
    assert "(× 2 from " in lines[-1][0] and lines[-1][0].endswith("Z, written later)")
    assert owed(place.path) == ""


def turn_on(place: Place) -> list[str]:
    secret = new_secret()
    factors = SecondFactors(place.path)
    return factors.turn_on(place.ada, secret, pyotp.TOTP(secret).now(), place.token)


def make_token(place: Place) -> None:
    Tokens(place.path).make(NewToken("robot", frozenset({Scope.READ}), Role.VIEWER), place.ada)


def give_person(place: Place, *codes: str) -> None:
    Carers(place.path).give(place.eve, codes, "ada")


def link_of_eve(place: Place) -> str:
    return Members(place.path).reset(place.eve, "ada").partition("=")[2]


def start_anew(place: Place) -> str:
    dashboard_file(place.path).unlink()
    return ensure_setup_code(place.path) or ""


ACTS: dict[str, tuple[Callable[[Place], object], Callable[[Place, object], object]]] = {
    "account_add": (
        lambda _: None,
        lambda at, _: Members(at.path).add_with_link("new", Role.VIEWER, "ada"),
    ),
    "account_disable": (lambda _: None, lambda at, _: Members(at.path).disable(at.eve, "ada")),
    "account_enable": (
        lambda at: Members(at.path).disable(at.eve, "ada"),
        lambda at, _: Members(at.path).enable(at.eve, "ada"),
    ),
    "account_link": (link_of_eve, lambda at, link: Members(at.path).redeem(str(link), NEW)),
    "account_person_give": (lambda _: None, lambda at, _: give_person(at, "P-01")),
    "account_person_take": (lambda at: give_person(at, "P-01"), lambda at, _: give_person(at)),
    "account_remove": (lambda _: None, lambda at, _: Members(at.path).remove(at.eve, "ada")),
    "account_reset": (lambda _: None, lambda at, _: Members(at.path).reset(at.eve, "ada")),
    "account_role": (
        lambda _: None,
        lambda at, _: Members(at.path).set_role(at.eve, Role.VIEWER, "ada"),
    ),
    "login": (lambda _: None, lambda at, _: Accounts(at.path).log_in(at.ada)),
    "login_end": (
        lambda at: Accounts(at.path).log_in(at.ada),
        lambda at, _: Logins(at.path, 120).end_others(at.ada, at.token),
    ),
    "login_link": (
        lambda at: create_login_link(at.path).partition("=")[2],
        lambda at, link: Accounts(at.path).follow_link(str(link)),
    ),
    "logout": (lambda _: None, lambda at, _: Accounts(at.path).log_out(at.token)),
    "password_change": (
        lambda _: None,
        lambda at, _: Accounts(at.path).change_password(at.ada, PASSWORD, NEW, at.token),
    ),
    "password_reset": (lambda _: None, lambda at, _: Accounts(at.path).reset_password("ada", NEW)),
    "second_factor_codes": (
        turn_on,
        lambda at, _: SecondFactors(at.path).renew_recovery_codes(at.ada),
    ),
    "second_factor_off": (turn_on, lambda at, _: SecondFactors(at.path).turn_off(at.ada, at.token)),
    "second_factor_on": (lambda _: None, lambda at, _: turn_on(at)),
    "setup": (start_anew, lambda at, code: Accounts(at.path).set_up(str(code), "bob", NEW)),
    "token_make": (lambda _: None, lambda at, _: make_token(at)),
    "token_revoke": (make_token, lambda at, _: Tokens(at.path).revoke(1, "ada")),
}
"""Acts on accounts: what must be before, and the act."""


def test_acts_on_accounts_below_are_all_that_are_noted() -> None:
    noted = {
        text
        for _, call, _ in calls(ROOT / "accounts")
        for text in literals(call)
        if text in ACTIONS
    }
    # A pair of the two ways to set a password, and the attempts, which change nothing.
    assert noted - set(ATTEMPT) | {"password_change", "password_reset"} == set(ACTS)


@pytest.mark.parametrize("action", ACTS)
def test_act_on_accounts_without_a_trail_is_done_if_it_protects(place: Place, action: str) -> None:
    prepare, act = ACTS[action]
    known = prepare(place)
    before = state(place.path)
    with trail_away(place.path):
        if action in REFUSED:
            with pytest.raises(StoreError):
                act(place, known)
            assert state(place.path) == before
            return
        act(place, known)
    assert state(place.path) != before
    assert f'"action":"{action}"' in owed(place.path)


def test_failed_login_without_a_trail_is_owed(place: Place) -> None:
    with trail_away(place.path):
        Accounts(place.path).note_failure("nobody", CameFrom("192.0.2.7"))
    assert '"actor":"unknown","action":"login_failed"' in owed(place.path)
