"""An appliance is restored onto a machine that has never seen it."""

from __future__ import annotations

import json
import shutil
import signal
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from edge_agent.appliance.certificates import fingerprint, keep_certificate
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.backups.whole_appliance import WholeAppliance, whole_appliance
from tests.support.commands import affect_edge
from tests.support.dashboard import NAME, PASSWORD, DashboardProcess, client_of, set_up
from tests.support.timeline import query

SESSIONS = "/api/v1/sessions"
MEANS = "/api/v1/sessions/1/course"
PROTOCOLS = "/api/v1/protocols"
EXAMPLE = Path("dashboard/protocols/examples/three-conditions.toml")


@pytest.fixture
def appliance(tmp_path: Path) -> WholeAppliance:
    """The old machine: the example study, an account, a real certificate, a protocol."""
    made = whole_appliance(tmp_path / "old", people=0)
    database = made.data / DATABASE_NAME
    with client_of(made.data) as client:
        set_up(client, made.data)
    seed_example_study(database, SimulatedPerson)
    (made.settings / "protocols" / "films.toml").unlink()
    shutil.copy(EXAMPLE, made.settings / "protocols")
    shutil.rmtree(made.data / "tls")
    keep_certificate(made.data / "tls")
    return made


def seen(data: Path, config: Path, archive: Path) -> dict[str, bytes]:
    """Log in to the dashboard of an appliance with the account; return what it answers.

    While it runs, nothing can be restored there.
    """
    certificate = data / "tls" / "cert.pem"
    with DashboardProcess(data, "--config", str(config), trusted=certificate) as dashboard:
        browser = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=dashboard.context),
            urllib.request.HTTPCookieProcessor(CookieJar()),
        )
        form = urllib.parse.urlencode({"name": NAME, "password": PASSWORD}).encode()
        browser.open(f"{dashboard.address}/login", form).close()
        answers = {}
        for path in (SESSIONS, MEANS, PROTOCOLS):
            with browser.open(dashboard.address + path, timeout=60) as answer:
                answers[path] = answer.read()
        words = ("--yes", "--config", str(config), "--data", str(data))
        refused = affect_edge("restore", str(archive), *words)
        assert refused.code == 1 and "a dashboard shows this database" in refused.err
        assert dashboard.stop(signal.SIGTERM, 60) == 0
    return answers


def test_a_fresh_machine_logs_in_the_account_and_shows_the_same_numbers(
    appliance: WholeAppliance, tmp_path: Path
) -> None:
    archive = tmp_path / "stick" / "ward-3.zip"
    archive.parent.mkdir()
    words = ("--config", str(appliance.config), "--data", str(appliance.data))
    done = affect_edge("backup", str(archive), *words)
    assert done.code == 0, done.err
    before = seen(appliance.data, appliance.config, archive)
    printed = fingerprint(appliance.data / "tls" / "cert.pem")
    shutil.rmtree(tmp_path / "old")

    fresh = tmp_path / "fresh"
    done = affect_edge("restore", str(archive), "--yes", "--data", str(fresh))
    assert done.code == 0, done.err
    assert seen(fresh, fresh / "affect-edge.toml", archive) == before
    assert len(json.loads(before[SESSIONS])) == 12
    assert json.loads(before[MEANS])["conditions"]
    assert b"three-conditions" in before[PROTOCOLS]
    assert fingerprint(fresh / "tls" / "cert.pem") == printed
    assert (fresh / "tls" / "key.pem").stat().st_mode & 0o077 == 0
    assert (fresh / "mqtt-password").read_text() == "secret\n"
    assert query(fresh / DATABASE_NAME, "SELECT count(*) FROM session") == [(12,)]
    assert str(tmp_path / "old") not in (fresh / "affect-edge.toml").read_text()
