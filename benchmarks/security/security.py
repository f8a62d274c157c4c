"""The bars of security that need no crowd: units, routes, requests of every shape, damaged inputs.

    python -m benchmarks.security.security [--examples N] [--damaged N] [--json]

What systemd says of each unit; every route without a login, as every role, with methods that it
does not have and numbers that no row can have, from other sites and with every kind of body;
thousands of requests of schemathesis as each role; a million damaged inputs to the parsers. Some
ten minutes.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import cast

from fastapi import FastAPI

from benchmarks._command import benchmark
from dashboard.accounts.roles import Role
from tests.appliance.kept_apart import EXPOSURE, FIRST_BOOT_EXPOSURE
from tests.integration.api.conformance import examine_roles
from tests.integration.fuzz.test_parsers import PARSERS
from tests.support.dashboard import client_of, set_up
from tests.support.security.routes import (
    Tried,
    try_bodies,
    try_methods,
    try_numbers,
    try_other_sites,
    try_roles,
    try_strangers,
)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = 40
DAMAGED = 1_000_000
"""Damaged inputs that all parsers together get at least, however many parsers there are."""
Figures = dict[str, float]


def units() -> Figures:
    """How exposed each unit is, and how many are more so than they may be."""
    bars = {ROOT / "systemd" / unit: bar for unit, bar in EXPOSURE.items()}
    bars[ROOT / "image/affect-edge-first-boot.service"] = FIRST_BOOT_EXPOSURE
    figures: Figures = {}
    over = 0
    for unit, bar in bars.items():
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
            capture_output=True,
            text=True,
            check=False,
        )
        line = re.search(r"Overall exposure level for \S+: (\d+\.\d)", done.stdout)
        if line is None:
            raise SystemExit(f"systemd-analyze, {unit.name}: {done.stderr.strip() or done.stdout}")
        name = unit.stem.removeprefix("affect-edge-").replace("-", "_")
        figures[f"security_exposure_{name}"] = float(line[1])
        over += float(line[1]) > bar
    return figures | {"security_units_over_their_bar": over}


def all_routes(folder: Path) -> Figures:
    """How many requests every route was asked with, and how many answers should be others."""
    client = set_up(client_of(folder), folder)
    cast("FastAPI", client.app).state.services.stopping.set()  # event streams end at once
    tried: list[Tried] = [try_roles(client, role) for role in Role]
    tried += [act(client) for act in (try_methods, try_numbers, try_other_sites, try_bodies)]
    client.cookies.clear()
    tried.append(try_strangers(client))
    wrong = [answer for one in tried for answer in one.wrong]
    for answer in wrong:
        print("wrong:", *answer, file=sys.stderr)
    requests = sum(one.requests for one in tried)
    return {"security_route_requests": requests, "security_route_answers_wrong": len(wrong)}


def shapes(folder: Path, examples: int) -> Figures:
    """How many requests each role made at least, and how many answers were not as described."""
    outcomes = list(examine_roles(folder, examples))
    deviations = [f"{one.role}: {what}" for one in outcomes for what in one.deviations]
    for deviation in deviations:
        print("deviates:", deviation, file=sys.stderr)
    return {
        "security_api_requests_a_role": min(one.cases for one in outcomes),
        "security_api_deviations": len(deviations),
    }


def damaged_inputs(damaged: int) -> Figures:
    """How many damaged inputs the parsers were given, what they made wrong, the slowest one."""
    each = math.ceil(damaged / len(PARSERS))
    done = _pytest(
        "-s", "tests/integration/fuzz/test_parsers.py", environment={"FUZZ_PAYLOADS": str(each)}
    )
    lines = re.findall(r"fuzz .*: (\d+) inputs, the slowest (\d+) ms", done.stdout)
    return {
        "security_damaged_inputs": sum(int(inputs) for inputs, _ in lines),
        "security_damaged_inputs_slowest_ms": max((int(ms) for _, ms in lines), default=0),
        "security_parsers_that_fail": _failures(done),
    }


def _pytest(
    *words: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *words],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def _failures(done: subprocess.CompletedProcess[str]) -> int:
    """Return how many tests failed; a run that broke off counts as one."""
    if done.returncode == 0:
        return 0
    print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
    failed = re.search(r"(\d+) failed", done.stdout)
    return int(failed[1]) if failed else 1


def measure(folder: Path, examples: int, damaged: int) -> Figures:
    """Return all figures."""
    for part in ("routes", "api"):
        (folder / part).mkdir()
    figures = units() | all_routes(folder / "routes") | shapes(folder / "api", examples)
    return figures | damaged_inputs(damaged)


if __name__ == "__main__":
    benchmark(
        __doc__,
        measure,
        examples=(EXAMPLES, "most requests of schemathesis for an operation"),
        damaged=(DAMAGED, "damaged inputs that all parsers together get at least"),
    )
