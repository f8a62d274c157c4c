"""Messages of the live feed as samples, for a program beside the agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.runtime.lsl.streams import ExpressionSample, Streams


class FeedReader:
    """Sends the messages of the live feed on streams.

    Args:
        streams: to send on.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._takers: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "expression": self._take_expression,
            "vital": self._take_vital,
        }

    def take(self, message: Mapping[str, Any]) -> None:
        """Pass on a message of the live feed.

        Messages of other types are ignored.
        """
        self._streams.look()
        taker = self._takers.get(str(message.get("type")))
        if taker is not None:
            taker(message)

    def _take_expression(self, message: Mapping[str, Any]) -> None:
        face = next((face for face in message["faces"] if face["primary"]), None)
        sample = None
        if face is not None:
            sample = ExpressionSample(
                face["smoothed"], face["valence"], face["quality"], face["flaw"] is not None
            )
        self._streams.expression(_instant(message["at"]), sample, message["simulated"])

    def _take_vital(self, message: Mapping[str, Any]) -> None:
        self._streams.vital(
            _instant(message["at"]),
            VitalKind(message["kind"]),
            message["source"],
            message["value"],
            {VitalFlag(flag) for flag in message["flags"]},
        )


def _instant(wall_ms: int) -> Instant:
    """Return an instant of the wall clock on both clocks."""
    present = clock.now()
    return present.shifted((wall_ms - present.wall_ms) / 1000)
