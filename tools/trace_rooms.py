"""The way of one analysis through the rooms: how often one module calls into another.

python -m tools.trace_rooms            the answer to a question about the example study
python -m tools.trace_rooms --page     the page of it: the handler and its template
python -m tools.trace_rooms --state observed
python -m tools.trace_rooms --most 30  more of the frequent ways

A room is a module of ``edge_agent`` or ``dashboard``. Only their own functions are counted: neither
libraries, nor what dataclasses generate, nor the first import. A way leads from the function that
is running to a function of another room, whether called at once or through a library; a template
belongs to no room, so what it calls is called by whoever renders it. Counted are

    rooms      the modules in which a function ran
    changes    different ways: the same two functions count once, however often one calls the other
    calls      how often these ways were gone
    returns    how often a function gave back to another room; a generator does so for each value

The analysis is computed once before, so that nothing is loaded while it is watched.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, ParamSpec, TypeVar, cast

from dashboard.analysis.query import AnalysisQuery
from dashboard.computing.processes import Computing
from dashboard.questions.comparison.computing import sheet as sheet_of
from dashboard.questions.entry import Inquiry
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson

PRODUCTS = ("edge_agent.", "dashboard.")
ROOT = Path(__file__).resolve().parents[1]
Way = tuple[CodeType, CodeType]
"""Caller and called function."""
_Values = ParamSpec("_Values")
_Result = TypeVar("_Result")


@dataclass(slots=True)
class Trace:
    """The calls between rooms that were seen.

    Attributes:
        rooms: the module of each function that ran.
        entered: how often each module was entered from another one.
        ways: how often each way between two rooms was gone.
        returns: how often a function gave back to another room.
    """

    rooms: dict[CodeType, str] = field(default_factory=dict)
    entered: Counter[str] = field(default_factory=Counter)
    ways: Counter[Way] = field(default_factory=Counter)
    returns: int = 0

    def see(self, frame: FrameType, event: str, _argument: object) -> None:
        """Count one event of the interpreter, if it leads from one room to another."""
        room = _room_of(frame)
        if event not in {"call", "return"} or not room:
            return
        self.rooms[frame.f_code] = room
        before = _product_frame(frame.f_back)
        if before is None or _room_of(before) == room:
            return
        if event == "return":
            self.returns += 1
        elif not _goes_on(frame):
            self.ways[before.f_code, frame.f_code] += 1
            self.entered[room] += 1

    def between_rooms(self) -> Counter[tuple[str, str]]:
        """Count the different ways from each room to each other one."""
        return Counter((self.rooms[caller], self.rooms[called]) for caller, called in self.ways)


def _room_of(frame: FrameType) -> str:
    """Return the module of a function of the product; empty for all others."""
    name = str(frame.f_globals.get("__name__", ""))
    code = frame.f_code
    # Generated methods have no file, and the code of a module is run once, when it is imported.
    if not name.startswith(PRODUCTS) or code.co_filename.startswith("<"):
        return ""
    return "" if code.co_name == "<module>" else name


def _product_frame(frame: FrameType | None) -> FrameType | None:
    """Return the nearest function of the product that waits for this one."""
    while frame is not None and not _room_of(frame):
        frame = frame.f_back
    return frame


def _goes_on(frame: FrameType) -> bool:
    """Tell whether a generator goes on instead of being called."""
    return bool(frame.f_code.co_flags & inspect.CO_GENERATOR) and frame.f_lasti > 0


@contextmanager
def watched() -> Iterator[Trace]:
    """Watch every call of this thread, and of those that are started meanwhile."""
    trace = Trace()
    threading.setprofile(trace.see)
    sys.setprofile(trace.see)
    try:
        yield trace
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


class _Here(Computing):
    """Computes in this process, where it can be watched."""

    def call(
        self, function: Callable[_Values, _Result], *values: _Values.args, **_no: _Values.kwargs
    ) -> _Result:
        """Call the function at once."""
        return cast("Callable[..., _Result]", function)(*values)


def trace_answer(database: Path, query: AnalysisQuery) -> Trace:
    """Watch ``sheet_of`` over a timeline."""
    inquiry = Inquiry((("", database),), query, ())
    sheet_of(inquiry)
    with watched() as trace:
        sheet_of(inquiry)
    return trace


def trace_page(folder: Path, query: AnalysisQuery) -> Trace:
    """Watch the dashboard while it answers with the page of the same question."""
    from tests.support.dashboard import client_of, set_up  # needs the packages of the tests

    question: dict[str, Any] = {"state": query.state.value, "whole": "yes"}
    # Not as a context: each request has threads of its own then, and new threads are watched.
    client = set_up(client_of(folder, computing=_Here()), folder)
    client.get("/analysis", params=question).raise_for_status()
    with watched() as trace:
        client.get("/analysis", params=question).raise_for_status()
    return trace


def lines_of(title: str, trace: Trace, most: int) -> Iterator[str]:
    """Yield what is printed of a trace."""
    changes = len(trace.ways)
    rooms = set(trace.rooms.values())
    yield f"{title}: {len(rooms)} rooms, {changes} changes of room"
    yield f"  ({trace.ways.total():,} calls and {trace.returns:,} returns between rooms)"
    yield "  changes  from one room to another"
    yield from (
        f"  {count:7}  {caller} → {called}"
        for (caller, called), count in trace.between_rooms().most_common(most)
    )
    yield "    calls  into a room"
    yield from (f"  {count:7}  {room}" for room, count in trace.entered.most_common(most))


def main(words: Sequence[str]) -> int:
    """Make the example study, trace the answer or the page, and print the figures."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m tools.trace_rooms", description=__doc__, formatter_class=raw
    )
    parser.add_argument("--page", action="store_true", help="also trace the page of the answer")
    parser.add_argument("--state", default="condition", help="condition, observed or reported")
    parser.add_argument("--most", type=int, default=10, help="lines of each list (10)")
    chosen = parser.parse_args(words)
    query = AnalysisQuery(state=chosen.state)
    with tempfile.TemporaryDirectory() as name:
        database = Path(name) / DATABASE_NAME
        migrate(database)
        seed_example_study(database, SimulatedPerson)
        print(*lines_of("sheet_of", trace_answer(database, query), chosen.most), sep="\n")
        if chosen.page:
            print(*lines_of("page", trace_page(Path(name), query), chosen.most), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
