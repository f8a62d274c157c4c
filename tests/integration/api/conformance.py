"""Send many requests, right and wrong ones, to every operation, and see whether the answers keep to
the description: schemathesis does, for each role in turn.

Run it by ``make api ARGS='--examples 40'`` (about 2,000 requests a role); ``make test`` sends less.
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

from dashboard.accounts.roles import LEAST_ROLE, TOKEN_ROLES, Role, Scope
from dashboard.web.app import create_app
from dashboard.web.options import DashboardOptions
from tests.support.dashboard import add_session, fill
from tests.support.security.tokens import make_token
from tests.support.timeline import wait_for

LEFT_OUT = ("stream_live", "stream_protocol")
"""Streams never end; other tests call them."""
CONFIG = Path(__file__).with_name("schemathesis.toml")
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


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Serve the dashboard over a small study without a limit of requests.

    Give its address and the description of its API.
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
        yield options.address, app.openapi()
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
        operations: only these, by their ids; empty: all but ``LEFT_OUT``.
    """
    data = folder / "data"
    with served(data) as (address, document):
        description = folder / "openapi.json"
        description.write_text(json.dumps(document))
        scopes = frozenset(one for one in Scope if role in _from(LEAST_ROLE[one]))
        secret = make_token(DashboardOptions(data=data).database, "examiner", scopes, role)
        report = folder / "report.json"
        words = [
            f"--config-file={CONFIG}",
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
            *(f"--exclude-operation-id={one}" for one in LEFT_OUT if not operations),
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


def main() -> int:
    """Examine each role and print what came of it; return 1 where an answer deviates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=40, help="most requests for an operation")
    parser.add_argument("--role", type=Role, choices=TOKEN_ROLES, help="this role alone")
    parser.add_argument("--operation", action="append", default=[], help="this operation alone")
    given = parser.parse_args()
    deviates = False
    for role in [given.role] if given.role else TOKEN_ROLES:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            outcome = examine(role, given.examples, Path(folder), given.operation)
        deviates = deviates or bool(outcome.deviations)
        seconds = time.monotonic() - start
        found = f"{outcome.cases} requests, {len(outcome.deviations)} deviations"
        print(f"{role}: {found}, {seconds:.0f} s", *outcome.deviations, sep="\n  ")
        if outcome.deviations:
            print(outcome.report)
    return int(deviates)


if __name__ == "__main__":
    sys.exit(main())
