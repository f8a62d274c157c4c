"""Publishes expressions and vitals as streams of the Lab Streaming Layer.

One stream for the expression of the participant's face and one for each kind of vital; a sample
carries the time at which it was seen or measured, on the clock of the Lab Streaming Layer.
https://labstreaminglayer.readthedocs.io
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from edge_agent.core import clock
from edge_agent.core.errors import ServerError
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.vitals import VitalKind

EXPRESSION_CHANNELS = (*(emotion.value for emotion in EMOTIONS), "valence")
_PREFIX = "AffectEdge"


class Streams:
    """Outlets for expression and vitals.

    Those of vitals are made when the first reading of their kind comes.

    Args:
        device: name of the appliance, part of each stream's source id, by which recorders find it
            again.

    Raises:
        ServerError: pylsl or its native library is missing.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._pylsl = _load()
        self._expression = self._outlet("expression", EXPRESSION_CHANNELS, "1", "Expression")
        self._vitals: dict[str, Any] = {}
        self._takers: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "expression": self._take_expression,
            "vital": self._take_vital,
        }

    def take(self, message: Mapping[str, Any]) -> None:
        """Pass on a message of the live feed.

        Messages of other types are ignored.
        """
        taker = self._takers.get(str(message.get("type")))
        if taker is not None:
            taker(message)

    def _take_expression(self, message: Mapping[str, Any]) -> None:
        face = next((face for face in message["faces"] if face["primary"]), None)
        if face is None:  # a gap is told, not left to look like the last expression
            sample = [math.nan] * len(EXPRESSION_CHANNELS)
        else:
            sample = [face["smoothed"][emotion.value] for emotion in EMOTIONS] + [face["valence"]]
        self._expression.push_sample(sample, self._time_of(message["at"]))

    def _take_vital(self, message: Mapping[str, Any]) -> None:
        kind = VitalKind(message["kind"])
        if kind.value not in self._vitals:
            self._vitals[kind.value] = self._outlet(
                kind.value, (kind.value,), kind.unit, kind.spec.lsl_type
            )
        self._vitals[kind.value].push_sample([message["value"]], self._time_of(message["at"]))

    def _time_of(self, wall_ms: int) -> float:
        """Return an instant on the clock of the Lab Streaming Layer."""
        local: float = self._pylsl.local_clock()
        return local - (clock.now().wall_ms - wall_ms) / 1000

    def _outlet(self, name: str, channels: tuple[str, ...], unit: str, content: str) -> Any:
        info = self._pylsl.StreamInfo(
            f"{_PREFIX} {name}",
            content,
            len(channels),
            self._pylsl.IRREGULAR_RATE,
            self._pylsl.cf_float32,
            f"affect-edge/{self._device}/{name}",
        )
        described = info.desc().append_child("channels")
        for channel in channels:
            described.append_child("channel").append_child_value(
                "label", channel
            ).append_child_value("unit", unit)
        return self._pylsl.StreamOutlet(info)


def _load() -> Any:
    """Return the library, with its native part."""
    try:
        import pylsl
    except ImportError as error:
        raise ServerError(
            "Lab Streaming Layer: the library pylsl is not installed. On an appliance: "
            "sudo ./install.sh --with lsl. In a checkout: .venv/bin/pip install -e '.[lsl]'."
        ) from error
    except (RuntimeError, OSError) as error:
        # pylsl is there, but finds no liblsl for this processor
        raise ServerError(
            "Lab Streaming Layer: pylsl finds no native library (liblsl) for this machine. Install "
            "liblsl of your system from github.com/sccn/liblsl/releases, or name its file in the "
            "environment variable PYLSL_LIB."
        ) from error
    return pylsl
