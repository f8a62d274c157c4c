"""The agent's watches: one that fails goes out alone, unless it judges rows."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from edge_agent.agent.watches import Surroundings, Watch, Watches, WatchKind
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Frame
from edge_agent.core.readings import Gap

NOW = Instant(1_000_000, 1_790_000_000_000)


class Parts:
    """What a watch is given here."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self.on_gap = self.gaps.append


@pytest.fixture
def time_of(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    at = {"s": 0.0}
    monkeypatch.setattr(clock, "boot_seconds", lambda: 1000 + at["s"])
    monkeypatch.setattr(clock, "now", lambda: NOW.shift(at["s"]))
    return at


def frame(number: int) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), NOW.shift(number / 15), number)


def counting(seen: list[int], *faults: int) -> WatchKind:
    """A watch that only makes readings, and throws at some frames."""

    def add(given: Frame, _seen: object) -> None:
        seen.append(given.number)
        if given.number in faults:
            raise ValueError(f"frame {given.number}")

    return WatchKind(lambda _: Watch(add), "camera_counts")


def watches(parts: Parts, *kinds: WatchKind) -> Watches:
    return Watches(cast("Surroundings", parts), kinds)


def test_watch_that_throws_goes_out_alone_and_begins_anew(time_of: dict[str, float]) -> None:
    parts = Parts()
    failing: list[int] = []
    other: list[int] = []
    made = watches(parts, counting(failing, 30), counting(other))
    for number in range(30 + 1):
        made.add(frame(number), None)
    time_of["s"] = 0.5
    made.add(frame(31), None)
    assert (len(failing), len(other)) == (31, 32)
    assert (made.deaths["camera_counts"].times, made.deaths["camera_counts"].back) == (1, None)
    time_of["s"] = 1.5
    made.add(frame(32), None)
    assert failing[-1] == 32
    assert made.deaths["camera_counts"].back == NOW.shift(1.5)
    assert parts.gaps == [Gap("camera_counts", NOW, NOW.shift(1.5), "failed")]


def test_watch_that_throws_again_and_again_pauses_longer(time_of: dict[str, float]) -> None:
    parts = Parts()
    seen: list[int] = []
    made = watches(parts, counting(seen, *range(1000)))
    for number in range(600):
        time_of["s"] = number / 10
        made.add(frame(number), None)
    assert len(seen) == 4, "after 1, 5 and 15 s"
    made.close()
    assert parts.gaps[-1] == Gap("camera_counts", NOW.shift(21), clock.now(), "failed")
    assert made.deaths["camera_counts"].times == 4


def test_watch_that_cannot_begin_anew_has_one_gap(time_of: dict[str, float]) -> None:
    parts = Parts()
    tries: list[int] = []

    def make(_: Surroundings) -> Watch:
        tries.append(1)
        if len(tries) == 2:
            raise OSError("no model")
        return counting([], 0).make(cast("Surroundings", parts)) or Watch()

    made = watches(parts, WatchKind(make, "camera_counts"))
    for number, at_s in enumerate((0, 2, 3, 30)):
        time_of["s"] = at_s
        made.add(frame(number), None)
    assert len(tries) == 3
    assert parts.gaps == [Gap("camera_counts", NOW, NOW.shift(30), "failed")]


def test_watch_that_judges_rows_ends_the_thread_and_the_loop() -> None:
    def fail(*_: Any) -> None:
        raise ValueError("judged wrongly")

    made = watches(Parts(), WatchKind(lambda _: Watch(fail, fail)))
    with pytest.raises(ValueError, match="judged wrongly"):
        made.add(frame(0), None)
    with pytest.raises(ValueError, match="judged wrongly"):
        made.look(NOW)


def test_watches_of_readings_name_their_source_and_others_do_not() -> None:
    assert [kind.source for kind in Watches.KINDS] == ["", "", "", "camera_pulse", "camera_blinks"]
