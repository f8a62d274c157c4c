"""The dashboard over a made timeline: in this process, or as the process that people run."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar, cast
from unittest.mock import patch

from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from dashboard.accounts import passwords
from dashboard.accounts.accounts import Accounts, ensure_setup_code
from dashboard.accounts.logins import browser_name
from dashboard.accounts.roles import CameFrom, Role
from dashboard.computing.processes import Computing
from dashboard.web import routes
from dashboard.web.app import create_app
from dashboard.web.authentication import DEVICE_COOKIE, LOGIN_COOKIE, cookie_name
from dashboard.web.options import DashboardOptions
from dashboard.web.rendering import find_pages
from dashboard.web.services import Services
from edge_agent.core.clock import boot_seconds, now
from edge_agent.core.expression import Emotion, ExpressionRow
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.inserts import write_expressions, write_vitals
from tests.support.broker import DEADLINE_S, free_port
from tests.support.timeline import mostly

_Values = ParamSpec("_Values")
_Result = TypeVar("_Result")
NAME = "ada"
PASSWORD = "correct horse battery"
DASHBOARD: Sequence[str] = (sys.executable, "-m", "dashboard")


class ComputingHere(Computing):
    """Computes in this process, whose clock, zone and statements a test knows."""

    def call(
        self, function: Callable[_Values, _Result], *values: _Values.args, **named: _Values.kwargs
    ) -> _Result:
        """Return what the function returns."""
        return function(*values, **named)


@cache
def shared_computing() -> Computing:
    """Return what computes for all dashboards of this process, warm after the first task."""
    return Computing()


def client_of(
    folder: Path,
    clock: Callable[[], float] = boot_seconds,
    computing: Computing | None = None,
    **values: Any,
) -> TestClient:
    """Return a browser's stand-in for a dashboard over ``folder``; nobody is logged in."""
    options = DashboardOptions(data=folder, **values)
    app = create_app(options, clock, computing or shared_computing())
    return _browser_of(app)


def another_browser(client: TestClient, address: str = "testclient") -> TestClient:
    """Return another browser of the same dashboard, at an address; nobody is logged in there.

    Inside ``with client``, both ask in the same event loop, instead of a new one for each request.
    """
    other = _browser_of(cast("FastAPI", client.app), address)
    other.portal = client.portal
    return other


def _browser_of(app: FastAPI, address: str = "testclient") -> TestClient:
    return TestClient(
        app,
        base_url="http://127.0.0.1",
        follow_redirects=False,
        raise_server_exceptions=False,
        client=(address, 50000),
    )


def set_up(client: TestClient, folder: Path) -> TestClient:
    """Make the first account and log it in, with what ``POST /setup`` leaves behind.

    Its password costs next to nothing to compare, and nobody asks whether it is easy to guess: who
    asks that makes an own account.
    """
    services = services_of(client)
    database = DashboardOptions(data=folder).database
    code = ensure_setup_code(database)
    assert code is not None, "somebody has an account"
    quick = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    with patch.object(passwords, "PasswordHasher", quick):
        account = Accounts(database, check_new=_let_pass).set_up(code, NAME, PASSWORD)
    services.first_steps.begin()
    token = services.accounts.log_in(
        account, came_from=CameFrom("testclient", browser_name("testclient"))
    )
    device = services.login_throttle.devices.cookie_for(NAME)
    for name, value in ((LOGIN_COOKIE, token), (DEVICE_COOKIE, device)):
        client.cookies.set(cookie_name(name, services.options), value, "127.0.0.1")
    return client


def _let_pass(_password: str, _name: str) -> None:
    """Let any password be one."""


def services_of(client: TestClient) -> Services:
    """Return what the routes of a dashboard share."""
    return cast("Services", cast("FastAPI", client.app).state.services)


def log_in_as(client: TestClient, role: Role, name: str | None = None) -> TestClient:
    """Make an account of a role, if there is none yet, and log it in beside whoever is in."""
    called = name or role.value
    services = services_of(client)
    if called not in {member.name for member in services.members.all()}:
        services.members.add_with_link(called, role, NAME)
    token = services.accounts.log_in(services.accounts.named_by_proxy(called))
    other = another_browser(client)
    other.cookies.set(cookie_name(LOGIN_COOKIE, services.options), token)
    return other


def fill(database: Path, minutes: int = 30, *, simulated: bool = False) -> None:
    """Write a timeline that ends now: an expression a second with a gap, and vital signs."""
    migrate(database)
    moment = now()
    seconds = minutes * 60
    labels = (Emotion.NEUTRAL, Emotion.HAPPINESS, None, Emotion.ANGER)
    rows = []
    readings = []
    flags = frozenset({VitalFlag.SIMULATED} if simulated else ())
    for second in range(seconds):
        at = moment.shift(second - seconds)
        label = labels[second // 60 % len(labels)]
        shown = mostly(label or Emotion.NEUTRAL, 0.8 if label else 0.3)
        if not seconds * 0.4 < second < seconds * 0.6:
            rows.append((ExpressionRow(at, 1, 10, shown, shown, label, 140.0, 0.8, True), None))
            readings.append(
                (VitalReading(at, VitalKind.HEART_RATE, 70 + second % 9, "strap", flags), None)
            )
        if second % 40 == 0:
            readings.append(
                (VitalReading(at, VitalKind.SYSTOLIC, 120 + second % 7, "cuff", flags), None)
            )
            readings.append(
                (VitalReading(at, VitalKind.DIASTOLIC, 78 + second % 5, "cuff", flags), None)
            )
    with write_transaction(database) as connection:
        write_expressions(connection, rows, 1000, simulated)
        write_vitals(connection, readings)


def page_addresses(client: TestClient) -> list[str]:
    """Return all pages without parameters, and those of one session and one participant."""
    plain = {
        route.path
        for page in find_pages(routes)
        for route in page.router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ())
    }
    sessions = client.get("/api/v1/sessions").json()
    one = f"/study/sessions/{sessions[0]['id']}"
    person = "/study/participants/P-01"
    shown = next(s["id"] for s in sessions if s["participant"].startswith("SIM"))
    of_one = [person, f"{one}?with={shown}"]
    for number in (sessions[0]["id"], shown):
        session = f"/study/sessions/{number}"
        of_one += [session, f"{session}/quality", f"{session}/course", f"{session}/markers"]
    of_one += [f"{person}/{what}" for what in ("consent", "attributes", "erase")]
    plain = {path for path in plain if "{" not in path and not path.startswith("/api/")}
    return sorted(plain) + of_one


def consenting(database: Path, code: str = "P-01") -> Study:
    """Return the study, to which a participant has consented."""
    study = Study(database)
    study.create_participant(code)
    study.give_consent(code, "1")
    return study


def add_session(
    database: Path, code: str = "P-01", name: str = "films", minutes_ago: float = 20.0
) -> int:
    """Write a finished session of ten minutes with three conditions."""
    study = consenting(database, code)
    start = now().shift(-60 * minutes_ago)
    session = study.start_session(NewSession(code, Purpose.RESEARCH, name), start)
    for number, label in enumerate(("neutral", "happiness", "anger")):
        study.add_marker(MarkerKind.STIMULUS_START, label, start.shift(30 + 180 * number))
        study.add_marker(MarkerKind.STIMULUS_END, label, start.shift(150 + 180 * number))
    study.end_session(start.shift(600))
    return session.id


class DashboardProcess:
    """``python -m dashboard``; leaving the context ends it.

    Args:
        folder: the data folder.
        words: further options.
        port: to listen on; ``None`` takes a free one.
        trusted: certificate of a dashboard that serves HTTPS; ``None``: it serves HTTP.
        program: what is run, before its options.
    """

    def __init__(
        self,
        folder: Path,
        *words: str,
        port: int | None = None,
        trusted: Path | None = None,
        program: Sequence[str] = DASHBOARD,
    ) -> None:
        self.port = port or free_port()
        self.address = f"{'https' if trusted else 'http'}://127.0.0.1:{self.port}"
        self.context = ssl.create_default_context(cafile=trusted) if trusted else None
        command = [*program, "--data", str(folder), "--port", str(self.port), *words]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.output = ""

    def __enter__(self) -> Self:
        # `with` does not leave what it could not enter: the process would run on.
        with ExitStack() as until_it_answers:
            until_it_answers.callback(self._end)
            assert self._process.stdout is not None
            while "Dashboard: " not in self.output:
                line = self._process.stdout.readline()
                assert line, f"the dashboard did not start: {self.output}"
                self.output += line
            self._wait_until_it_answers()
            until_it_answers.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.output += self._process.communicate()[0] or ""

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def setup_code(self) -> str:
        """The code that it printed."""
        found = re.search(r"Setup code: (\S+)", self.output)
        assert found, self.output
        return found[1]

    @property
    def login_link(self) -> str:
        """The one-time address that it printed."""
        found = re.search(r"Dashboard: (\S+/login\?link=\S+)", self.output)
        assert found, self.output
        return found[1]

    def stop(self, number: signal.Signals, within_s: float) -> int:
        """Send a signal; return the exit code, or fail when the process has not ended in time."""
        self._process.send_signal(number)
        return self._process.wait(within_s)

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                with urllib.request.urlopen(
                    f"{self.address}/healthz", timeout=5, context=self.context
                ) as answer:
                    assert answer.status == 200
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert time.monotonic() < end, self.output
                time.sleep(0.05)
