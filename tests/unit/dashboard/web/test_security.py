"""Attempt limit, safe redirects, what the dashboard refuses to listen on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.accounts.attempts import AttemptLimiter, GuessLimiter
from dashboard.web.guards.security import safe_next
from dashboard.web.options import DashboardOptions, check_exposure, options_from
from edge_agent.config.dashboard import is_loopback
from edge_agent.config.loading import load_settings
from edge_agent.core.errors import ConfigError
from edge_agent.core.study import Purpose
from tests.support.clocks.simulated_time import Seconds


def test_a_sixth_attempt_must_wait_until_the_first_has_grown_old() -> None:
    clock = Seconds()
    limiter = AttemptLimiter(limit=5, window_s=300, clock=clock)
    assert [limiter.attempt("10.0.0.7") for _ in range(5)] == [0] * 5
    clock.now += 100
    assert limiter.attempt("10.0.0.7") == 200
    clock.now += 200
    assert limiter.attempt("10.0.0.7") == 0


def test_all_ipv6_addresses_of_one_machine_count_together() -> None:
    limiter = AttemptLimiter(limit=1)
    assert limiter.attempt("fe80::1%eth0") == 0
    assert limiter.attempt("fe80::2") > 0
    assert limiter.attempt("fe80:0:0:1::2") == 0


def test_each_ipv4_address_has_its_own_limit_when_it_comes_as_ipv6() -> None:
    limiter = AttemptLimiter(limit=1)
    assert limiter.attempt("::ffff:10.0.0.7") == 0
    assert limiter.attempt("::ffff:10.0.0.8") == 0
    assert limiter.attempt("::ffff:10.0.0.7%eth0") > 0


def test_the_memory_of_the_limiter_is_bounded() -> None:
    limiter = AttemptLimiter(limit=2, addresses=2)
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        limiter.attempt(address)
    assert [limiter.attempts_of(f"10.0.0.{n}") for n in (1, 2, 3)] == [0, 1, 1]


@pytest.mark.parametrize("limiter", [GuessLimiter(lambda: 0.0), AttemptLimiter(clock=lambda: 0.0)])
def test_a_flood_of_others_frees_nobody_who_has_to_wait(limiter: AttemptLimiter) -> None:
    for _ in range(11):
        limiter.attempt("admin")
    wait = limiter.wait_of("admin")
    for number in range(1100):
        limiter.attempt(f"name {number}")
    assert limiter.wait_of("admin") == wait > 0
    assert limiter.attempts_of("name 0") == 0, "who has attempts left is forgotten"


def test_address_of_the_latest_attempt_is_forgotten_last() -> None:
    limiter = AttemptLimiter(limit=2, addresses=2)
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"):
        limiter.attempt(address)
    assert limiter.attempt("10.0.0.1") > 0


@pytest.mark.parametrize("target", ["/trends", "/trends?range=7d", "/study/sessions/3"])
def test_a_path_of_the_dashboard_is_a_safe_place_to_go_next(target: str) -> None:
    assert safe_next(target, "/live") == target


@pytest.mark.parametrize(
    "target",
    [
        None,
        "trends",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/a\r\nX: x",
        "/\t/evil",
    ],
)
def test_no_link_can_lead_elsewhere_after_the_login(target: str | None) -> None:
    assert safe_next(target, "/live") == "/live"


@pytest.mark.parametrize(
    ("host", "answer"), [("127.9.9.9", True), ("::1", True), ("localhost", True), ("pi", False)]
)
def test_loopback_addresses_differ_from_others(host: str, answer: bool) -> None:
    assert is_loopback(host) is answer


def test_listening_in_a_network_without_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"dashboard.host = '0.0.0.0'.*dashboard.certificate.*ssh -L 8080"
    ):
        check_exposure(DashboardOptions(tmp_path, host="0.0.0.0"))


def test_listening_beyond_this_machine_with_a_certificate_is_allowed(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("")
    options = DashboardOptions(
        tmp_path, host="0.0.0.0", certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem"
    )
    check_exposure(options)
    assert options.is_secure
    assert options.address == "https://127.0.0.1:8080"


def test_a_missing_certificate_file_is_named(tmp_path: Path) -> None:
    options = DashboardOptions(tmp_path, certificate=tmp_path / "no.pem", key=tmp_path / "no.key")
    with pytest.raises(ConfigError, match=r"dashboard.certificate = '.*no.pem': no such file"):
        check_exposure(options)


def test_the_dashboard_takes_its_values_from_the_configuration(tmp_path: Path) -> None:
    settings = load_settings(
        None,
        {
            "dashboard": {"port": 9000, "purposes": ["research"], "host": "::1"},
            "device": {"name": "pi-4"},
        },
    )
    options = options_from(settings, tmp_path)
    assert (options.port, options.purposes, options.device) == (9000, (Purpose.RESEARCH,), "pi-4")
    assert options.database == tmp_path / "affect-edge.db"
    assert options.live_socket.parent == tmp_path
    assert options.address == "http://[::1]:9000"
    assert replace(options, host="127.0.0.1").address == "http://127.0.0.1:9000"
    assert "~" not in str(options_from(settings).data)
