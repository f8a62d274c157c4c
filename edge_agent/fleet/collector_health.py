"""The health of a collector, in a small file for monitoring programs.

The collector writes it every two seconds, with the time for which it is valid. Reader and collector
must run on one machine, in the same container or beside it, since they compare boot clocks.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_agent.core.bounds import LATEST_MS
from edge_agent.core.clock import boot_id, boot_ns, iso_utc

HOLDS_S = 10.0
"""Usual validity of a report, seconds: an answer of broker and database takes milliseconds."""
MOST_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class CollectorHealth:
    """A collector's report of its own health.

    Attributes:
        boot: identifier of the start of the machine.
        at_ms: time of the report, milliseconds by the boot clock.
        holds_s: its validity; longer than usual before a large transaction.
        problem: the part that does not answer, with the reason; empty: all answer.
        since_ms: start of this state, UTC, milliseconds since 1970.

    Example:
        Ask what is wrong with a collector; empty while it works::

            problem = read_problem(Path("/run/affect-edge/collector.json"))
    """

    boot: str
    at_ms: int
    holds_s: float
    problem: str
    since_ms: int

    def write(self, file: Path) -> None:
        """Replace the file by this report.

        Raises:
            OSError: the folder is missing, full, or closed to this user.
        """
        part = file.with_name(f"{file.name}.part")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        # A rename is atomic: a reader never sees half of a report.
        part.replace(file)


def read_problem(file: Path) -> str:
    """Return the problem of the collector that writes a file; empty if it works."""
    try:
        with file.open(encoding="utf-8") as text:
            health = CollectorHealth(**json.loads(text.read(MOST_BYTES)))
        silent_s = boot_ns() / 1e9 - health.at_ms / 1e3
        if not 0 <= health.since_ms < LATEST_MS:
            raise ValueError(health.since_ms)
        since = iso_utc(health.since_ms)
        is_late = health.boot != boot_id() or not 0 <= silent_s <= health.holds_s
    except FileNotFoundError:
        return f"there is no {file}: it does not run, or was not told --health-file"
    except OSError as error:
        return f"{file} cannot be read ({error.strerror})"
    except (ValueError, TypeError, OverflowError):
        return f"{file} was not written by a collector"
    if health.boot != boot_id():
        return "it has not run since the machine started"
    if is_late:
        return (
            f"it has said nothing for {silent_s:.0f} s: it was killed, hangs, or waits for an "
            "answer of PostgreSQL or the broker"
        )
    return f"{health.problem} (since {since})" if health.problem else ""
