"""Who a trusted proxy says that asks: taken from it alone, and only for accounts that are there."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from starlette.testclient import TestClient

from dashboard.accounts.members import Members
from dashboard.accounts.roles import Role
from dashboard.web.options import check_exposure, options_from
from edge_agent.config.dashboard import TrustedProxy
from edge_agent.config.settings import Settings
from edge_agent.core.errors import ConfigError
from tests.support.dashboard import NAME, PASSWORD, another_browser, client_of, set_up
from tests.support.timeline import query

SECRET = "0123456789abcdef0123456789abcdef"
ADDRESS = "192.0.2.7"
PROXY = {"X-Remote-User": NAME, "Affect-Edge-Proxy": SECRET}


@pytest.fixture
def proxy(tmp_path: Path) -> TrustedProxy:
    file = tmp_path / "proxy-secret"
    file.write_text(f"{SECRET}\n")
    return TrustedProxy("X-Remote-User", (ADDRESS,), file)


@pytest.fixture
def behind(tmp_path: Path, proxy: TrustedProxy) -> Iterator[TestClient]:
    """A browser behind the proxy, with an account NAME in the dashboard; nobody is logged in."""
    with client_of(tmp_path / "data", proxy=proxy) as first:
        set_up(first, tmp_path / "data")
        yield another_browser(first, ADDRESS)


def test_account_named_by_the_proxy_is_logged_in_without_a_password(
    behind: TestClient, tmp_path: Path
) -> None:
    answer = behind.get("/login?next=/study", headers=PROXY)
    assert (answer.status_code, answer.headers["location"]) == (303, "/study")
    assert behind.get("/study", headers=PROXY).status_code == 200
    statement = "SELECT actor, detail FROM audit WHERE action = 'login' ORDER BY id DESC LIMIT 1"
    (line,) = query(tmp_path / "data/affect-edge.db", statement)
    assert line[0] == NAME and line[1].startswith(f"from the proxy at {ADDRESS}")


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Remote-User", NAME)],
        [("X-Remote-User", NAME), ("Affect-Edge-Proxy", SECRET[:-1])],
        [("X-Remote-User", NAME), ("Affect-Edge-Proxy", "é" * 32)],
        [("X-Remote-User", " "), ("Affect-Edge-Proxy", SECRET)],
        [("X_Remote_User", NAME), ("Affect-Edge-Proxy", SECRET)],
        [*PROXY.items(), ("X-Remote-User", "eve")],
        [*PROXY.items(), ("Affect-Edge-Proxy", SECRET)],
    ],
)
def test_without_both_headers_once_and_the_right_secret_nobody_is_named(
    behind: TestClient, headers: list[tuple[str, str]]
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    answer = behind.get("/login", headers=raw)
    assert answer.status_code == 200 and "set-cookie" not in answer.headers
    assert behind.get("/study", headers=raw).status_code == 303


def test_another_address_with_the_secret_is_not_the_proxy(behind: TestClient) -> None:
    for address in ("127.0.0.1", "192.0.2.8", "::1"):
        answer = another_browser(behind, address).get("/login", headers=PROXY)
        assert answer.status_code == 200 and "set-cookie" not in answer.headers
    assert (
        another_browser(behind, f"::ffff:{ADDRESS}").get("/login", headers=PROXY).status_code == 303
    )


def test_an_address_that_is_not_the_proxys_is_logged_once(
    behind: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    other = another_browser(behind, "192.0.2.99")
    other.get("/login")
    assert not caplog.messages
    for _ in range(2):
        other.get("/login", headers=PROXY)
    another_browser(behind, "192.0.2.98").get("/login", headers=PROXY)
    assert caplog.messages == [
        f"a proxy header from {address}, which is not in dashboard.proxy_addresses"
        for address in ("192.0.2.99", "192.0.2.98")
    ]


def test_a_name_without_an_account_gets_none_and_no_role(
    behind: TestClient, tmp_path: Path
) -> None:
    answer = behind.get("/login", headers={**PROXY, "X-Remote-User": "eve"})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers
    assert "no account here has that name" in html.unescape(answer.text)
    assert [one.name for one in Members(tmp_path / "data/affect-edge.db").all()] == [NAME]


def test_a_disabled_account_stays_out_and_one_that_waits_for_link_comes_in(
    behind: TestClient, tmp_path: Path
) -> None:
    members = Members(tmp_path / "data/affect-edge.db")
    members.add_with_link("grace", Role.VIEWER, NAME)
    grace = {**PROXY, "X-Remote-User": "grace"}
    assert behind.get("/login", headers=grace).status_code == 303
    assert behind.get("/study", headers=grace).status_code == 403, "her role holds"
    members.disable(members.find("grace").id, NAME)
    assert behind.get("/live", headers=grace).status_code == 303, "her login has ended"
    assert behind.get("/login", headers=grace).status_code == 403


def test_a_login_of_somebody_else_in_the_same_browser_counts_no_more(
    behind: TestClient, tmp_path: Path
) -> None:
    members = Members(tmp_path / "data/affect-edge.db")
    members.add_with_link("grace", Role.VIEWER, NAME)
    behind.get("/login", headers=PROXY)
    assert behind.get("/study", headers=PROXY).status_code == 200
    grace = {**PROXY, "X-Remote-User": "grace"}
    assert behind.get("/study", headers=grace).headers["location"] == "/login?next=/study"
    assert behind.get("/login?next=/live", headers=grace).headers["location"] == "/live"
    assert behind.get("/study", headers=grace).status_code == 403


def test_a_second_factor_is_asked_for_all_the_same(behind: TestClient, tmp_path: Path) -> None:
    behind.get("/login", headers=PROXY)
    page = behind.post("/account/second-factor", data={"password": PASSWORD}, headers=PROXY).text
    key = page.partition('name="key" value="')[2].partition('"')[0]
    secret = page.partition('id="secret"')[2].partition(">")[2].partition("<")[0].replace(" ", "")
    form = {"key": key, "code": pyotp.TOTP(secret).now()}
    answer = behind.post("/account/second-factor/on", data=form, headers=PROXY)
    assert answer.status_code in {200, 303}, answer.text
    afresh = another_browser(behind, ADDRESS)
    assert afresh.get("/login", headers=PROXY).headers["location"] == "/login/code"
    assert afresh.get("/study", headers=PROXY).status_code == 303


def test_who_logs_out_is_not_logged_in_again_until_they_say_so(behind: TestClient) -> None:
    behind.get("/login", headers=PROXY)
    left = behind.post("/logout", headers=PROXY).headers["location"]
    page = behind.get(left, headers=PROXY)
    assert page.status_code == 200 and f"Continue as {NAME}" in page.text
    assert behind.get("/study", headers=PROXY).status_code == 303


def test_a_changed_secret_holds_from_the_next_request_on(
    behind: TestClient, proxy: TrustedProxy
) -> None:
    proxy.secret_file.write_text(SECRET[::-1])
    assert behind.get("/login", headers=PROXY).status_code == 200
    renewed = {**PROXY, "Affect-Edge-Proxy": SECRET[::-1]}
    proxy.secret_file.unlink()
    assert behind.get("/login", headers=renewed).status_code == 200, "nobody's word without it"
    proxy.secret_file.write_text(SECRET[::-1])
    assert behind.get("/login", headers=renewed).status_code == 303


def test_without_a_proxy_in_the_configuration_its_headers_mean_nothing(ada: TestClient) -> None:
    answer = another_browser(ada, ADDRESS).get("/login", headers=PROXY)
    assert answer.status_code == 200 and "set-cookie" not in answer.headers


def test_wrong_passwords_behind_a_proxy_hold_up_their_visitor_alone(tmp_path: Path) -> None:
    with client_of(tmp_path, proxy_addresses=(ADDRESS, "192.0.2.8")) as first:
        set_up(first, tmp_path)
        proxied = another_browser(first, ADDRESS)
        stranger = {"X-Forwarded-For": "203.0.113.1, 198.51.100.9, 192.0.2.8"}
        for attempt in range(6):
            form = {"name": f"eve{attempt}", "password": "wrong"}
            answer = proxied.post("/login", data=form, headers=stranger)
        assert answer.status_code == 429
        other = {**stranger, "X-Forwarded-For": "198.51.100.9, 198.51.100.10"}
        form = {"name": NAME, "password": PASSWORD}
        assert proxied.post("/login", data=form, headers=other).status_code == 303


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (ADDRESS, "203.0.113.1, 198.51.100.9", "198.51.100.9"),
        (ADDRESS, "203.0.113.1, 198.51.100.9:50123", "198.51.100.9"),
        (ADDRESS, "[2001:db8::1]:50123", "2001:db8::1"),
        (ADDRESS, "[2001:db8::1]", "2001:db8::1"),
        (f"::ffff:{ADDRESS}", "2001:db8::1", "2001:db8::1"),
        (ADDRESS, "198.51.100.9, unknown", ADDRESS),
        (ADDRESS, "", ADDRESS),
        (ADDRESS, ADDRESS, ADDRESS),
        ("192.0.2.99", "198.51.100.9", "192.0.2.99"),
    ],
)
def test_only_proxies_that_are_configured_tell_the_address_of_a_visitor(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, peer: str, forwarded: str, address: str
) -> None:
    with client_of(tmp_path, proxy_addresses=(ADDRESS,)) as first:
        set_up(first, tmp_path)
        visitor = another_browser(first, peer)
        form = {"name": NAME, "password": "wrong"}
        visitor.post("/login", data=form, headers={"X-Forwarded-For": forwarded})
    assert f"login refused from {address}" in caplog.messages
    hint = "name it in dashboard.proxy_addresses"
    assert any(hint in message for message in caplog.messages) == (peer == "192.0.2.99")


@pytest.mark.parametrize(
    "hop",
    ["unknown", "_hidden", "198.51.100.9:http", "[2001:db8::1", "[2001:db8::1]x", "a:b:c", "1"],
)
def test_a_proxy_that_sends_no_address_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, hop: str
) -> None:
    with client_of(tmp_path, proxy_addresses=(ADDRESS,)) as first:
        set_up(first, tmp_path)
        visitor = another_browser(first, ADDRESS)
        for _ in range(2):
            form = {"name": NAME, "password": "wrong"}
            visitor.post("/login", data=form, headers={"X-Forwarded-For": f"198.51.100.9, {hop}"})
    assert caplog.messages.count(f"login refused from {ADDRESS}") == 2
    (said,) = (message for message in caplog.messages if "X-Forwarded-For" in message)
    assert said.startswith(f"the proxy {ADDRESS} sends {hop!r} in X-Forwarded-For, which is no")


def test_the_keys_of_a_login_go_together_and_a_guessable_secret_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    keys = {
        "proxy_header": "X-Remote-User",
        "proxy_addresses": ["127.0.0.1"],
        "proxy_secret_file": str(file),
    }
    plain = Settings(dashboard={"proxy_addresses": ["127.0.0.1"]})
    assert options_from(plain, tmp_path).proxy is None
    for key in keys:
        section = {name: value for name, value in keys.items() if name != key}
        with pytest.raises(ValueError, match="go together"):
            Settings(dashboard=section)
    for key, value, said in (
        ("proxy_header", "Cookie", "no name of a header"),
        ("proxy_header", "X Remote", "no name of a header"),
        ("proxy_addresses", ["proxy.local"], "no network address"),
    ):
        with pytest.raises(ValueError, match=said):
            Settings(dashboard={**keys, key: value})
    options = options_from(Settings(dashboard=keys), tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        check_exposure(options)
    file.write_text("short\n")
    with pytest.raises(ConfigError, match="has 5 characters; a secret needs at least 32"):
        check_exposure(options)
    file.write_text(f"{SECRET}\n")
    check_exposure(options)
