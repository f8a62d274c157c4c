"""By which names the dashboard answers, and what its certificate says."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from dashboard.web.guards import hosts
from dashboard.web.guards.hosts import HostCheck, host_of, is_trusted, names_in
from dashboard.web.options import DashboardOptions
from edge_agent.appliance.certificates import keep_certificate
from tests.support.clocks.simulated_time import Seconds
from tests.support.dashboard import client_of


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine named pi in a home network."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Pi")
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("# by the router\nsearch fritz.box lan.\nnameserver 192.168.1.1\n")
    monkeypatch.setattr(hosts, "_RESOLV", resolv)


def check(tmp_path: Path, *names: str, clock: Seconds | None = None) -> HostCheck:
    async def app(*_: object) -> None:
        raise AssertionError("nothing is asked here")

    return HostCheck(app, DashboardOptions(tmp_path, names=names), clock or Seconds())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "192.168.1.7",
        "fe80::1%eth0",
        "localhost",
        "pi",
        "pi.lan",
        "pi.fritz.box",
        "pi.local.",
    ],
)
@pytest.mark.usefixtures("pi")
def test_addresses_and_names_of_the_machine_are_right(tmp_path: Path, host: str) -> None:
    assert check(tmp_path).is_right(host)


@pytest.mark.parametrize(
    "host", ["evil.example", "pi.evil.example", "127.0.0.1.evil.example", "x.pi.local", "pi.loc"]
)
@pytest.mark.usefixtures("pi")
def test_other_names_are_not(tmp_path: Path, host: str) -> None:
    assert not check(tmp_path, "study.example.org", "*.lab.example").is_right(host)


@pytest.mark.usefixtures("pi")
def test_names_of_the_configuration_and_a_new_name_of_machine_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Seconds()
    checked = check(tmp_path, "Study.example.org", "*.lab.example", clock=clock)
    assert checked.is_right("study.example.org") and checked.is_right("room-2.lab.example")
    monkeypatch.setattr(socket, "gethostname", lambda: "ward-3")
    assert not checked.is_right("ward-3.local")
    clock.now += 61
    assert checked.is_right("ward-3.local")


@pytest.mark.parametrize(
    ("header", "host"),
    [("Pi:8080", "pi"), ("[::1]:8080", "::1"), ("10.0.0.7", "10.0.0.7"), ("", ""), ("a:b:c", "a")],
)
def test_a_port_is_no_part_of_the_name(header: str, host: str) -> None:
    assert host_of(header) == host


def test_a_page_that_leads_its_own_name_here_spends_no_attempt(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    for path in ("/login", "/healthz", "/static/app.css"):
        answer = client.get(path, headers={"Host": "rebound.evil.example:8080"})
        assert answer.status_code == 421
        assert "not the machine 'rebound.evil.example'" in answer.text
        assert "dashboard.names" in answer.text
    form = {"name": "ada", "password": "wrong"}
    for _ in range(6):
        assert client.post("/login", data=form, headers={"Host": "evil.example"}).status_code == 421
    assert client.post("/login", data=form).status_code == 401


def test_names_of_a_certificate_are_read_and_one_of_our_own_is_not_trusted(tmp_path: Path) -> None:
    keep_certificate(tmp_path, "pi")
    pair = (tmp_path / "cert.pem", tmp_path / "key.pem")
    assert names_in(*pair) == {"pi", "pi.local", "localhost"}
    assert not is_trusted(*pair)
    pair[1].write_text("nonsense")
    assert names_in(*pair) == frozenset() and not is_trusted(*pair)
    assert names_in(tmp_path / "none.pem", pair[1]) == frozenset()


def test_a_certificate_of_an_authority_that_the_system_trusts_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=study.example.org", "-addext", "subjectAltName=DNS:study.example.org"]
    pair = (tmp_path / "cert.pem", tmp_path / "key.pem")
    done = [*words, "-keyout", str(pair[1]), "-out", str(pair[0])]
    subprocess.run(done, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
    assert is_trusted(*pair)
    client = client_of(tmp_path / "data", certificate=pair[0], key=pair[1])
    answer = client.get("/healthz")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert client.get("/healthz", headers={"Host": "study.example.org"}).status_code == 200
    monkeypatch.delenv("SSL_CERT_FILE")
    plain = client_of(tmp_path / "data", certificate=pair[0], key=pair[1]).get("/healthz")
    assert "strict-transport-security" not in plain.headers
