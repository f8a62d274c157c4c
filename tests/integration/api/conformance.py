"""Send many requests, right and wrong ones, to every operation, and see whether the answers keep to
the description: schemathesis does, for each role in turn.

Run it by ``make api ARGS='--examples 40'`` (about 2,000 requests a role). Which operations stream,
take bytes or refuse by a rule that no schema expresses is read from the application.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute

from dashboard.accounts.roles import LEAST_ROLE, TOKEN_ROLES, Role, Scope
from dashboard.web import routes as pages
from dashboard.web.app import create_app
from dashboard.web.errors import EVENTS, rule_beyond_schema
from dashboard.web.options import DashboardOptions
from dashboard.web.rendering import find_pages
from tests.support.dashboard import add_session, fill
from tests.support.security.tokens import make_token
from tests.support.timeline import wait_for

HEAD = "[generation]\nwith-security-parameters = false\n"
LONG = 1000
"""So many values of a list may be longer than a request line, which the server answers with 400."""
ASKED_BY_ALL = ("list_alerts", "add_marker")
"""What every role asks for in the small form: one operation that all may, and one that not all."""
_NO_LIMIT = 10**9
_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one role.

    Attributes:
        cases: how many requests were made.
        deviations: operation and kind of each answer that the description does not allow.
        report: what schemathesis wrote.
    """

    role: Role
    cases: int
    deviations: tuple[str, ...]
    report: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the API as a sender of made-up requests has to know it.

    Attributes:
        name: its id.
        description: its entry of OpenAPI.
        rule: by which it refuses what its schema allows; empty where there is none.
    """

    name: str
    description: dict[str, Any]
    rule: str

    @property
    def is_stream(self) -> bool:
        """Whether it answers without an end; other tests call these."""
        answers = self.description["responses"].values()
        return any(EVENTS in answer.get("content", {}) for answer in answers)

    @property
    def takes_bytes(self) -> bool:
        """Whether its body has no schema: whatever is sent may be refused."""
        kinds = self.description.get("requestBody", {}).get("content", {})
        return bool(kinds) and "application/json" not in kinds

    @property
    def has_long_list(self) -> bool:
        """Whether its address may hold more than a request line."""
        schemas = [one["schema"] for one in self.description.get("parameters", [])]
        return any(schema.get("maxItems", 0) >= LONG for schema in schemas)

    def settings(self) -> str:
        """Return what schemathesis is not to judge, as TOML; empty where it judges all."""
        checks = {
            "positive_data_acceptance": self.takes_bytes or self.rule,
            "status_code_conformance": self.has_long_list,
        }
        off = [f"checks.{name}.enabled = false\n" for name, is_off in checks.items() if is_off]
        head = f'\n[[operations]]\ninclude-operation-id = "{self.name}"\n'
        return head + "".join(off) if off else ""


def operations_of(app: FastAPI) -> list[Operation]:
    """Return all operations that the description of an application's API has."""
    document = app.openapi()
    routes = (route for page in find_pages(pages) for route in page.router.routes)
    return [
        Operation(found["operationId"], found, rule_beyond_schema(route))
        for route in routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods or ()
        for found in [document["paths"][route.path][method.lower()]]
    ]


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, FastAPI]]:
    """Serve the dashboard over a small study without a limit of requests.

    Give its address and the application.
    """
    # asyncio sends at once where the protocol is named, and else waits for acknowledgements
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    options = DashboardOptions(data=folder, port=listening.getsockname()[1])
    fill(options.database, minutes=5)
    add_session(options.database)
    app = create_app(options)
    app.state.services.tokens.requests._limit = _NO_LIMIT
    app.state.services.tokens.wrong_tokens._limit = _NO_LIMIT
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield options.address, app
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def examine(role: Role, examples: int, folder: Path, operations: Sequence[str] = ()) -> Outcome:
    """Examine every operation with a token of a role.

    Args:
        role: of the token, which has every scope that the role allows.
        examples: most requests for an operation beyond those that cover its description.
        folder: an empty one, for the data and the report.
        operations: only these, by their ids; empty: all that do not stream.
    """
    data = folder / "data"
    with served(data) as (address, app):
        description = folder / "openapi.json"
        description.write_text(json.dumps(app.openapi()))
        known = operations_of(app)
        config = folder / "schemathesis.toml"
        config.write_text(HEAD + "".join(one.settings() for one in known))
        scopes = frozenset(one for one in Scope if role in _from(LEAST_ROLE[one]))
        secret = make_token(DashboardOptions(data=data).database, "examiner", scopes, role)
        report = folder / "report.json"
        words = [
            f"--config-file={config}",
            "run",
            str(description),
            f"--url={address}",
            f"--request-timeout={_WAIT_SECONDS}",
            f"--header=Authorization: Bearer {secret}",
            "--phases=coverage,fuzzing",
            "--continue-on-failure",
            f"--max-examples={examples}",
            "--seed=1",
            "--generation-database=none",
            "--no-color",
            f"--report-json-path={report}",
            *(f"--exclude-operation-id={one.name}" for one in known if one.is_stream),
            *(f"--include-operation-id={one}" for one in operations),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    return _outcome(role, report, done.stdout + done.stderr)


def _from(least: Role) -> list[Role]:
    roles = list(Role)
    return roles[roles.index(least) :]


def _outcome(role: Role, report: Path, said: str) -> Outcome:
    """Read a report; one that is missing, or of a run that broke off, is a deviation."""
    content: dict[str, Any] = {"complete": False}
    if report.exists():
        content = json.loads(report.read_text())
    deviations = [
        f"{one['code']} {one['title']}: {operation}"
        for one in content.get("failures", [])
        for operation in one["operations"]
    ]
    if not content["complete"] or content["errors"]:
        deviations.append("the run broke off")
    cases = content.get("test_cases", {}).get("generated", 0)
    return Outcome(role, cases, tuple(deviations), said)


def examine_roles(
    folder: Path, examples: int, operations: Sequence[str] = (), *, small: bool = False
) -> Iterator[Outcome]:
    """Examine the operations with a token of each role that a token may have.

    Args:
        folder: an empty one, for the data and the reports.
        examples: most requests for an operation beyond those that cover its description.
        operations: only these, by their ids; empty: all that do not stream.
        small: only the last role, which may do most, asks all; the others ask ``ASKED_BY_ALL``.
    """
    for role in TOKEN_ROLES:
        place = folder / role
        place.mkdir()
        is_short = small and role is not TOKEN_ROLES[-1]
        yield examine(role, examples, place, ASKED_BY_ALL if is_short else operations)


def main() -> int:
    """Examine each role and print what came of it; return 1 where an answer deviates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=40, help="most requests for an operation")
    parser.add_argument("--role", type=Role, choices=TOKEN_ROLES, help="this role alone")
    parser.add_argument("--operation", action="append", default=[], help="this operation alone")
    parser.add_argument("--small", action="store_true", help="one role asks all, others a little")
    given = parser.parse_args()
    deviates = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.role:
            outcomes = iter([examine(given.role, given.examples, folder, given.operation)])
        else:
            outcomes = examine_roles(folder, given.examples, given.operation, small=given.small)
        begun_s = time.monotonic()
        for outcome in outcomes:
            deviates = deviates or bool(outcome.deviations)
            counts = f"{outcome.cases} requests, {len(outcome.deviations)} deviations"
            seconds = time.monotonic() - begun_s
            print(f"{outcome.role}: {counts}, {seconds:.0f} s", *outcome.deviations, sep="\n  ")
            if outcome.deviations:
                print(outcome.report)
            begun_s = time.monotonic()
    return int(deviates)


if __name__ == "__main__":
    sys.exit(main())
