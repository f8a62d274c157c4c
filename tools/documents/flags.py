"""The flags of readings in docs/sensors.md, from the registry ``edge_agent/core/readings.py``."""

from __future__ import annotations

from edge_agent.core.readings import Bearing, VitalFlag

_COUNTS = {
    Bearing.DOUBT: "no",
    Bearing.ESTIMATE: "no",
    Bearing.UNRELIABLE: "yes; [results say how many](statistics.md#readings-in-doubt), and a "
    "[week](dashboard.md#a-persons-week) is judged without them",
    Bearing.IRREGULAR: "yes; results say how many",
    Bearing.ORIGIN: "yes: it is where the reading came from",
    Bearing.BESIDE: "yes: it is about the pressure beside it",
}


def table() -> str:
    """Return the table in Markdown, one row a flag, those that count in no mean first."""
    flags = sorted(VitalFlag, key=lambda flag: [*Bearing].index(flag.bearing))
    rows = [f"| `{one}` | {one.says} | {_COUNTS[one.bearing]} |" for one in flags]
    return "\n".join(["| flag | meaning | counts in means |", "|---|---|---|", *rows])
