"""Findings of the doctor: a verdict, and the cure where there is a fault."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.core.addresses import masked
from edge_agent.core.errors import AffectEdgeError, CameraError, VitalsError
from edge_agent.timeline.database.files import said_by


class Verdict(StrEnum):
    """The verdict of a check."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; ``cure`` says what to do and is empty when all is well."""

    check: str
    verdict: Verdict
    found: str
    cure: str = ""


def fine(check: str, found: str) -> Finding:
    """Return a finding without a fault."""
    return Finding(check, Verdict.OK, masked(found))


def warning(check: str, found: str, cure: str) -> Finding:
    """Return a finding about which something should be done."""
    return Finding(check, Verdict.WARNING, masked(found), masked(cure))


def problem(check: str, found: str, cure: str) -> Finding:
    """Return a finding that keeps the appliance from working."""
    return Finding(check, Verdict.PROBLEM, masked(found), masked(cure))


def run_check(check: str, look: Callable[[], Finding]) -> Finding:
    """Return the finding of a check, or its error as a problem."""
    try:
        return look()
    except (CameraError, VitalsError) as error:
        return problem(check, error.problem, error.cure)
    except (AffectEdgeError, OSError, sqlite3.Error, UnicodeDecodeError) as error:
        return problem(check, said_by(error), "See the sentence before.")
