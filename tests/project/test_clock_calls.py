"""The product reads the time in one module, so that a test can move it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("affect_edge", "edge_agent", "dashboard", "collector", "training")
CLOCK = "edge_agent/core/clock.py"
MOST_EXCEPTIONS = 10
EXCEPTIONS: frozenset[str] = frozenset()
"""Files that may read the clock themselves, at most ``MOST_EXCEPTIONS``."""
READINGS = {
    "time": {
        "clock_gettime",
        "clock_gettime_ns",
        "monotonic",
        "monotonic_ns",
        "perf_counter",
        "perf_counter_ns",
        "process_time",
        "process_time_ns",
        "sleep",
        "thread_time",
        "thread_time_ns",
        "time",
        "time_ns",
    },
    "datetime": {"now", "today", "utcnow"},
    "date": {"today"},
}


def readings_of(source: str) -> Iterator[str]:
    """Yield each reading of the clock, called or handed on, and each import of one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if node.attr in READINGS.get(name, ()):
                yield f"{name}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{one.name}" for one in node.names if one.name in READINGS["time"])
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name == "time" and one.asname)


def test_only_the_clock_module_reads_the_clock() -> None:
    found = {
        str(file.relative_to(ROOT)): names
        for package in PRODUCT
        for file in (ROOT / package).rglob("*.py")
        if (names := list(readings_of(file.read_text(encoding="utf-8"))))
    }
    assert found.pop(CLOCK)
    assert set(found) == EXCEPTIONS, found
    assert len(EXCEPTIONS) <= MOST_EXCEPTIONS


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.monotonic()",
        "import time\ndef f(clock=time.monotonic): ...",
        "from time import sleep",
        "import time as t",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import date\ndate.today()",
    ],
)
def test_each_way_to_read_the_clock_is_noticed(source: str) -> None:
    assert len(list(readings_of(source))) == 1


def test_a_time_of_the_day_is_no_reading_of_the_clock() -> None:
    source = "from datetime import datetime, time\ntime.fromisoformat(x)\ndatetime.fromtimestamp(1)"
    assert list(readings_of(source)) == []
