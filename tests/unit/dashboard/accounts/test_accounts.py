"""Accounts: the setup code, passwords, logins and the one-time link."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import argon2
import pytest
from argon2 import PasswordHasher

from dashboard.accounts import accounts as accounts_module
from dashboard.accounts import passwords
from dashboard.accounts.accounts import LOGINS_MOST, Accounts, create_login_link, ensure_setup_code
from dashboard.accounts.passwords import AccountError, check_new_password
from edge_agent.timeline.database.dashboard_file import dashboard_file
from tests.support.clocks.simulated_time import WallClock
from tests.support.timeline import query, query_dashboard

PASSWORD = "correct horse battery"
NEW = "staple and another horse"


def make(path: Path, name: str = "ada") -> Accounts:
    """Accounts with one in it."""
    accounts = Accounts(path)
    accounts.set_up(ensure_setup_code(path) or "", name, PASSWORD)
    return accounts


def link_token(path: Path, minutes: int = 60) -> str:
    return create_login_link(path, minutes).removeprefix("/login?link=")


def test_the_setup_code_makes_the_first_account_once(path: Path) -> None:
    code = ensure_setup_code(path)
    assert code is not None
    assert re.fullmatch(r"[A-HJ-NP-Z2-9]{4}(-[A-HJ-NP-Z2-9]{4}){2}", code)
    accounts = Accounts(path)
    assert accounts.needs_setup()
    assert accounts.set_up(f" {code.lower()} ", " ada ", PASSWORD).name == "ada"
    assert not accounts.needs_setup()
    assert ensure_setup_code(path) is None
    with pytest.raises(AccountError, match="already complete"):
        accounts.set_up(code, "eve", PASSWORD)


def test_each_start_makes_a_new_setup_code_and_forgets_the_last(path: Path) -> None:
    first = ensure_setup_code(path)
    second = ensure_setup_code(path)
    assert first and second and first != second
    with pytest.raises(AccountError, match="not the setup code"):
        Accounts(path).set_up(first, "ada", PASSWORD)
    assert Accounts(path).set_up(second, "ada", PASSWORD)


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [
        ("", PASSWORD, "1 to 40 printable"),
        ("a" * 41, PASSWORD, "1 to 40 printable"),
        ("a\nb", PASSWORD, "1 to 40 printable"),
        ("Demo", PASSWORD, "is reserved for the demonstration"),
        ("Appliance", PASSWORD, "'Appliance'"),
        ("command  line", PASSWORD, "for something else"),
        ("Token x", PASSWORD, "for something else"),
        ("ada", "ninechars", "10 to 200 characters; this one has 9"),
        ("ada", "x" * 201, "10 to 200 characters"),
        ("ada-lovelace", "ada-lovelace1", "too similar to the name"),
        ("ada", "abababababab", "too few different characters"),
    ],
)
def test_a_name_or_password_that_is_not_allowed_changes_nothing(
    path: Path, name: str, password: str, why: str
) -> None:
    code = ensure_setup_code(path)
    assert code is not None
    accounts = Accounts(path)
    with pytest.raises(AccountError, match=why):
        accounts.set_up(code, name, password)
    assert accounts.set_up(code, "ada", PASSWORD), "the code is not spent by a refused attempt"


def test_the_right_password_opens_a_login_and_logging_out_ends_it(path: Path) -> None:
    accounts = make(path)
    token = accounts.log_in(accounts.check_password("ADA", PASSWORD))
    account = accounts.of_token(token)
    assert account is not None and account.name == "ada"
    accounts.log_out(token)
    assert accounts.of_token(token) is None


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(path: Path) -> None:
    accounts = make(path)
    for name, password in (
        ("ada", "wrong password"),
        ("eve", PASSWORD),
        ("", ""),
        ("ada", "x" * 999),
    ):
        with pytest.raises(AccountError, match=r"^Name or password is wrong.$"):
            accounts.check_password(name, password)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("", NEW, "current password is wrong"),
        (PASSWORD, "ninechars", "10 to 200 characters; this one has 9"),
        (PASSWORD, "ada ada ada", "too few different characters"),
        (PASSWORD, PASSWORD, "is the same as the current one"),
    ],
)
def test_a_change_that_is_refused_leaves_password_and_logins_as_they_are(
    path: Path, old: str, new: str, why: str
) -> None:
    accounts = make(path)
    here, elsewhere = (accounts.log_in(accounts.check_password("ada", PASSWORD)) for _ in range(2))
    ada = accounts.of_token(here)
    assert ada is not None
    with pytest.raises(AccountError, match=why):
        accounts.change_password(ada, old, new, here)
    assert accounts.check_password("ada", PASSWORD) == accounts.of_token(elsewhere) == ada


def test_nothing_secret_is_kept_readable(path: Path) -> None:
    code = ensure_setup_code(path)
    assert code is not None
    link = link_token(path)
    accounts = Accounts(path)
    kept = str(query_dashboard(path, "SELECT * FROM setting"))
    assert code not in kept and code.replace("-", "") not in kept and link not in kept
    account = accounts.set_up(code, "ada", PASSWORD)
    token = accounts.log_in(account)
    (kept,) = query_dashboard(path, "SELECT password_hash FROM account")[0]
    assert kept.startswith("$argon2id$")
    assert b"$argon2" not in path.read_bytes()
    assert stat.S_IMODE(dashboard_file(path).stat().st_mode) == 0o600
    assert token not in str(query_dashboard(path, "SELECT * FROM login"))


def test_a_password_is_costly_to_guess(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PasswordHasher", PasswordHasher)
    make(path)
    (password_hash,) = query_dashboard(path, "SELECT password_hash FROM account")[0]
    # 64 MiB, three times, in four lanes: the second choice of RFC 9106, for small machines.
    assert password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_login_link_lets_in_the_first_visitor_only(path: Path) -> None:
    accounts = Accounts(path)
    token = link_token(path)
    with pytest.raises(AccountError, match="has expired or was already used"):
        accounts.follow_link(token + "x")
    assert accounts.follow_link(token).name == "demo"
    audit = query(path, "SELECT actor, action, detail FROM audit")
    assert audit == [("demo", "login_link", "one-time link spent")]
    with pytest.raises(AccountError, match="has expired or was already used"):
        accounts.follow_link(token)
    assert accounts.follow_link(link_token(path)).name == "demo", "the same account"


def test_the_demo_account_has_no_password_and_leaves_setup_open(path: Path) -> None:
    accounts = Accounts(path)
    accounts.follow_link(link_token(path))
    assert accounts.needs_setup()
    for password in ("", "!"):
        with pytest.raises(AccountError):
            accounts.check_password("demo", password)
    with pytest.raises(AccountError, match="no account 'demo' with a password"):
        accounts.reset_password("demo", NEW)


def test_login_while_the_trail_is_away_is_written_when_it_is_back(path: Path) -> None:
    accounts = make(path)
    ada = accounts.check_password("ada", PASSWORD)
    away = path.rename(path.with_suffix(".away"))
    accounts.log_out(accounts.log_in(ada))
    assert query_dashboard(path, "SELECT count(*) FROM login") == [(0,)]
    away.rename(path)
    accounts.log_in(ada)
    lines = query(path, "SELECT action, detail FROM audit ORDER BY id DESC LIMIT 3")
    assert [line[0] for line in lines] == ["logout", "login", "login"]
    assert all(line[1].endswith("Z, written later)") for line in lines[:2])
    assert query_dashboard(path, "SELECT count(*) FROM setting WHERE key = 'notes_owed'") == [(0,)]


def test_account_has_fifty_logins_and_the_one_unused_longest_ends(path: Path) -> None:
    accounts = Accounts(path)
    demo = accounts.follow_link(link_token(path))
    tokens = [accounts.log_in(demo) for _ in range(LOGINS_MOST + 2)]
    open_ones = [accounts.of_token(token) is not None for token in tokens]
    assert open_ones == [False] * 2 + [True] * LOGINS_MOST


def test_a_new_login_ends_the_one_that_the_browser_had(path: Path) -> None:
    accounts = Accounts(path)
    demo = accounts.follow_link(link_token(path))
    old = accounts.log_in(demo)
    elsewhere = accounts.log_in(demo)
    new = accounts.log_in(demo, old)
    assert [accounts.of_token(token) for token in (old, elsewhere, new)] == [None, demo, demo]


def test_a_setup_code_is_checked_before_anything_is_hashed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(argon2.PasswordHasher, "hash", lambda _, text: hashed.append(text))
    ensure_setup_code(path)
    for password in (PASSWORD, "short"):
        with pytest.raises(AccountError, match="not the setup code"):
            Accounts(path).set_up("AAAA-AAAA-AAAA", "ada", password)
    assert not hashed


AT_MS = 1_790_000_000_000
MINUTE_MS = 60_000


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    turned = WallClock()
    monkeypatch.setattr(accounts_module, "now", turned)
    return turned


def test_a_login_lasts_twelve_hours_and_its_token_is_long(path: Path, now: WallClock) -> None:
    accounts = Accounts(path)
    ada = accounts.set_up(ensure_setup_code(path) or "", "ada", PASSWORD)
    token = accounts.log_in(ada)
    assert len(token) == 43, "32 random bytes"
    assert query_dashboard(path, "SELECT created, expires - created FROM login") == [
        (AT_MS, 12 * 60 * MINUTE_MS)
    ]
    for _ in range(11):
        now.ms += 60 * MINUTE_MS
        assert accounts.of_token(token) == ada, "it is in use"
    now.ms += 60 * MINUTE_MS - 1
    assert accounts.of_token(token) == ada
    other = Accounts(path, login_hours=1).log_in(ada)
    assert accounts.other_logins(ada, other) == 1
    now.ms += 1
    assert accounts.of_token(token) is None
    assert accounts.other_logins(ada, other) == 0
    now.ms += 60 * MINUTE_MS - 2
    assert accounts.of_token(other) == ada
    now.ms += 1
    assert accounts.of_token(other) is None


def test_a_login_link_lasts_an_hour_unless_told_otherwise(path: Path, now: WallClock) -> None:
    accounts = Accounts(path)
    for minutes, given in ((60, {}), (5, {"minutes": 5})):
        token = create_login_link(path, **given).removeprefix("/login?link=")
        assert len(token) == 32, "24 random bytes"
        now.ms += minutes * MINUTE_MS
        with pytest.raises(AccountError, match="has expired or was already used"):
            accounts.follow_link(token)
        now.ms -= 1
        assert accounts.follow_link(token).name == "demo"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("a", "kfzwkqmwvb"),
        ("n" * 40, "kfzwkqmwvb" * 20),
        ("abcde", "ABCDEkq7wmv2x"),
        ("Ömer Ü", PASSWORD),
    ],
)
def test_names_and_passwords_at_the_edge_of_what_is_allowed(
    path: Path, name: str, password: str
) -> None:
    accounts = Accounts(path)
    made = accounts.set_up(ensure_setup_code(path) or "", f" {name} ", password)
    assert made.name == name
    assert accounts.check_password(name.upper() if name.isascii() else name, password) == made
    with pytest.raises(AccountError):
        accounts.check_password(name, password + "x")


def test_each_account_has_its_own_logins_and_password(path: Path) -> None:
    accounts = Accounts(path)
    ada = accounts.set_up(ensure_setup_code(path) or "", "ada", PASSWORD)
    demo = accounts.follow_link(link_token(path))
    here = accounts.log_in(ada)
    there = accounts.log_in(demo)
    assert (accounts.has_password(ada), accounts.has_password(demo)) == (True, False)
    assert accounts.other_logins(ada, "") == 1
    accounts.change_password(ada, PASSWORD, "another good one", here)
    assert accounts.of_token(there) == demo, "logins of others stay"
    assert accounts.require(" ADA ") == "ada"


def test_a_login_that_nobody_uses_ends_after_two_hours(path: Path, now: WallClock) -> None:
    accounts = Accounts(path)
    demo = accounts.follow_link(link_token(path))
    used = accounts.log_in(demo)
    idle = accounts.log_in(demo)
    now.ms += 119 * MINUTE_MS
    assert accounts.of_token(used) == demo
    assert accounts.other_logins(demo, used) == 1
    now.ms += MINUTE_MS
    assert accounts.of_token(idle) is None and accounts.of_token(used) == demo
    assert accounts.other_logins(demo, used) == 0
    accounts.log_in(demo)
    assert query_dashboard(path, "SELECT count(*) FROM login") == [(2,)], (
        "what has ended is not kept"
    )


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("1234567890", "top-100 common password"),
        ("password123", "very common password"),
        ("affect-edge", "try such passwords first. Add another word"),
        ("Affect3dge!", "Predictable substitutions"),
        ("qwertzuiop", "common password"),
        ("Summer2026!", "similar to a commonly used password"),
        ("xyzw" * 50, "Repeats like"),
    ],
)
def test_common_words_and_patterns_are_refused_as_passwords_with_advice(
    password: str, why: str
) -> None:
    with pytest.raises(AccountError, match=rf"^This password is easy to guess\. .*{why}"):
        check_new_password(password, "ada")


@pytest.mark.parametrize(
    "password", ["correct horse battery", "tr0ub4dor&3x", "ünïcödé päßwörter", "kFz8-wmQ2-xx71"]
)
def test_a_few_words_or_random_characters_are_good(password: str) -> None:
    check_new_password(password, "ada")


def test_the_name_is_no_help() -> None:
    with pytest.raises(AccountError, match="easy to guess"):
        check_new_password("lovelacelovelace1", "lovelace")
