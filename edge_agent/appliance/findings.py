"""What a check of the doctor comes to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.core.errors import AffectEdgeError, CameraError, VitalsError


class Verdict(StrEnum):
    """How a check ended."""

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


def guarded(check: str, look: Callable[[], Finding]) -> Finding:
    """Return what a check found, or the error that it ended with as a problem."""
    try:
        return look()
    except (CameraError, VitalsError) as error:
        return Finding(check, Verdict.PROBLEM, error.problem, error.cure)
    except AffectEdgeError as error:
        return Finding(check, Verdict.PROBLEM, str(error), "See the sentence before.")
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        return Finding(check, Verdict.PROBLEM, str(error), "See the sentence before.")
