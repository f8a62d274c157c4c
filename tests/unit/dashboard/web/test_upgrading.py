"""The pages of a dashboard whose database is being upgraded."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient

from dashboard.web.guards.connections import ConnectionGuard
from dashboard.web.options import DashboardOptions
from dashboard.web.upgrading import Upgrade, UpgradeServer, upgrade_app
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.lock import lock
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.database.upgrade_progress import reported_upgrade
from edge_agent.timeline.gate.client import use_gate
from tests.support.broker import wait_until
from tests.support.first_release import first_database


@pytest.fixture
def options(tmp_path: Path) -> Iterator[DashboardOptions]:
    """Those of a dashboard that may not write the old database beside it."""
    options = DashboardOptions(data=tmp_path)
    first_database(options.database)
    use_gate(options.database, tmp_path / "nobody.sock")
    yield options
    use_gate(options.database, None)


def browser(options: DashboardOptions, language: str = "en") -> TestClient:
    app = upgrade_app(options, Upgrade(options), ConnectionGuard())
    headers = {"Accept-Language": language}
    return TestClient(app, base_url="http://127.0.0.1", headers=headers)


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "41 % is done"), ("de", "41 % sind geschafft"), ("es", "hecho el 41 %")],
)
def test_page_during_an_upgrade_says_how_far_it_is(
    options: DashboardOptions, language: str, said: str
) -> None:
    client = browser(options, language)
    with reported_upgrade(options.database) as report:
        report.show(0.41)
        pages = [client.get("/live"), client.post("/login", data={"name": "ada"})]
    for page in pages:
        assert page.status_code == 503 and page.headers["Retry-After"] == "5"
        assert said in page.text and '<progress max="100" value="41"' in page.text
        assert f'<html lang="{language}">' in page.text
        assert page.headers["Content-Security-Policy"]


def test_page_before_an_upgrade_says_who_will_make_it(options: DashboardOptions) -> None:
    page = browser(options).get("/")
    assert page.status_code == 503
    assert "The agent upgrades it when it starts" in page.text and "<progress" not in page.text


def test_program_during_an_upgrade_is_told_to_try_again(options: DashboardOptions) -> None:
    client = browser(options)
    assert client.get("/healthz").json() == {"status": "ok"}
    with reported_upgrade(options.database) as report:
        report.show(0.41)
        answer = client.get("/api/v1/sessions")
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "41 % is done. Try again" in answer.json()["detail"]


@contextmanager
def waiting(options: DashboardOptions) -> Iterator[tuple[UpgradeServer, threading.Thread]]:
    """Run the server that waits for an upgrade; it is stopped at the end."""
    upgrade, guard = Upgrade(options), ConnectionGuard()
    config = uvicorn.Config(upgrade_app(options, upgrade, guard), log_config=None)
    server = UpgradeServer(config, upgrade, guard)
    with socket.socket() as listener, ExitStack() as ended:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener.dup()]})
        thread.start()
        ended.callback(thread.join)
        ended.callback(lambda: setattr(server, "should_exit", True))
        wait_until(lambda: server.started, "the server to start", 60.0)
        yield server, thread


def test_server_ends_by_itself_when_the_upgrade_has(options: DashboardOptions) -> None:
    with waiting(options) as (server, thread):
        migrate(options.database)
        thread.join()
        assert not server.was_stopped


def test_server_that_waits_for_an_upgrade_is_stopped_by_a_signal(options: DashboardOptions) -> None:
    with waiting(options) as (server, thread):
        server.handle_exit(signal.SIGTERM, None)
        thread.join()
        assert server.was_stopped


def test_dashboard_with_the_right_to_write_upgrades_the_database_itself(tmp_path: Path) -> None:
    options = DashboardOptions(data=tmp_path)
    upgrade = Upgrade(DashboardOptions(data=first_database(options.database).parent))
    assert upgrade.percent == 0
    wait_until(upgrade.is_over, "the upgrade to end", 60.0)
    upgrade.raise_failure()


def test_dashboard_that_cannot_upgrade_the_database_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise StoreError(f"{path}: was not upgraded, for the disk is full.")

    monkeypatch.setattr("dashboard.web.upgrading.migrate_apart", fail)
    options = DashboardOptions(data=tmp_path)
    with lock(first_database(options.database)):
        upgrade = Upgrade(options)
        wait_until(upgrade.is_over, "the upgrade to end", 60.0)
    with pytest.raises(StoreError, match="the disk is full"):
        upgrade.raise_failure()
