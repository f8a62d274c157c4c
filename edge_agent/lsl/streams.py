"""All streams of an appliance: expression, one for each sensor and kind, markers, sessions.

``FeedReader`` sends messages of the live feed on them, for a program beside the agent.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal

from edge_agent.config.laboratory import LslSettings
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.lab_streams import EXPRESSION, MOVEMENTS
from edge_agent.core.movements import NAMES, POSE
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.lsl.outlet import Outlet, StreamClock, StreamSpec, load_pylsl

log = logging.getLogger(__name__)

MOST_STREAMS = 32
"""Each takes a port and two threads, and senders of readings choose the names of sources."""
EXPRESSION_CHANNELS = (*(emotion.value for emotion in EMOTIONS), "valence", "quality", "rejected")
FLAGS = tuple(flag.value for flag in VitalFlag)
_NATURES = (
    (VitalFlag.REPLAYED, "replayed"),
    (VitalFlag.SIMULATED, "simulated"),
    (VitalFlag.ESTIMATED, "estimated"),
)


EventStream = Literal["markers", "sessions"]


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """The options that decide which streams are offered.

    Attributes:
        device: name of the appliance, part of each stream's source id.
        table: the table ``[lsl]``.
    """

    device: str
    table: LslSettings

    def offers(self, nature: str) -> bool:
        """Return whether streams of such values are offered."""
        if nature == "estimated":
            return self.table.estimated
        return self.table.simulated or nature not in {"simulated", "replayed"}


@dataclass(frozen=True, slots=True)
class ExpressionSample:
    """The expression of the participant's face at one instant.

    Attributes:
        smoothed: share of each emotion.
        valence: −1…1.
        quality: 0…1.
        rejected: whether the face could not be read then, so that ``smoothed`` is older.
    """

    smoothed: Mapping[str, float]
    valence: float
    quality: float
    rejected: bool


class Streams:
    """Offers streams and sends samples on them. Belongs to one thread.

    The stream of a sensor is made when its first reading comes, or by ``offer``.

    Args:
        options: what is offered.

    Raises:
        ServerError: pylsl or its native library is missing.

    Example:
        Send a reading::

            streams = Streams(StreamOptions("lab-1", LslSettings()))
            streams.vital(at, VitalKind.HEART_RATE, "ble:…", 72.0, frozenset())
    """

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self._pylsl = load_pylsl()
        self.clock = StreamClock(self._pylsl.local_clock)
        self._outlets: dict[str, Outlet | None] = {}

    def expression(self, at: Instant, face: ExpressionSample | None, simulated: bool) -> None:
        """Send an expression; without a face a gap, not the last expression."""
        nature = "simulated" if simulated else "measured"
        outlet = self._expression_outlet(nature)
        if outlet is None:
            return
        # NaN, XDF's usual mark of a missing value: a stream has no other way to show a gap.
        sample = [math.nan] * len(EXPRESSION_CHANNELS)
        if face is not None:
            sample = [face.smoothed[emotion.value] for emotion in EMOTIONS]
            sample += [face.valence, face.quality, float(face.rejected)]
        outlet.push(sample, self.clock.stamp_of(at))

    def movements(self, at: Instant, face: Mapping[str, float] | None, simulated: bool) -> None:
        """Send movements, pose and look by name; ``None``, a gap: not read.

        What ``face`` lacks is sent as NaN.
        """
        outlet = self._movements_outlet("simulated" if simulated else "measured")
        if outlet is not None:
            values = [(face or {}).get(name, math.nan) for name in NAMES]
            outlet.push(values, self.clock.stamp_of(at))

    def vital(
        self, at: Instant, kind: VitalKind, source: str, value: float, flags: Set[VitalFlag]
    ) -> None:
        """Send a reading, with its flags."""
        outlet = self._vital_outlet(kind, source, _nature(flags))
        if outlet is not None:
            bits = sum(1 << bit for bit, flag in enumerate(VitalFlag) if flag in flags)
            outlet.push([value, float(bits)], self.clock.stamp_of(at))

    def event(self, stream: EventStream, at: Instant, text: str) -> None:
        """Send a marker, such as ``stimulus_start/anger``, or a session's start or end."""
        self._events(stream).push([text], self.clock.stamp_of(at))

    def offer(self, kind: VitalKind, source: str) -> None:
        """Make the stream of a sensor before its first reading, since recorders list them early."""
        self._vital_outlet(kind, source, "measured")

    def offer_events(self) -> None:
        """Make the streams of markers and sessions."""
        self._events("markers")
        self._events("sessions")

    def offer_expression(self, simulated: bool) -> None:
        """Make the stream of expressions."""
        self._expression_outlet("simulated" if simulated else "measured")

    def offer_movements(self, simulated: bool) -> None:
        """Make the stream of movements."""
        self._movements_outlet("simulated" if simulated else "measured")

    def send_held(self) -> None:
        """Send samples that wait for a stream's first reader; call it a few times a second."""
        for outlet in self._outlets.values():
            if outlet is not None:
                outlet.send_held()

    def _expression_outlet(self, nature: str) -> Outlet | None:
        return self._outlet(
            StreamSpec(
                name=_with_nature("expression", nature),
                content=EXPRESSION,
                device=self._options.device,
                key=_with_nature("expression", nature),
                channels=[(label, "1", EXPRESSION) for label in EXPRESSION_CHANNELS],
                source="camera",
                nature=nature,
            )
        )

    def _movements_outlet(self, nature: str) -> Outlet | None:
        return self._outlet(
            StreamSpec(
                name=_with_nature("movements", nature),
                content=MOVEMENTS,
                device=self._options.device,
                key=_with_nature("movements", nature),
                channels=[(name, "deg" if name in POSE else "1", MOVEMENTS) for name in NAMES],
                source="camera",
                nature=nature,
            )
        )

    def _vital_outlet(self, kind: VitalKind, source: str, nature: str) -> Outlet | None:
        return self._outlet(
            StreamSpec(
                name=_with_nature(f"{kind.value} {source}", nature),
                content=kind.spec.lsl_type,
                device=self._options.device,
                key=_with_nature(f"{kind.value}/{source}", nature),
                channels=[(kind.value, kind.unit, kind.spec.lsl_type), ("flags", "1", "Flags")],
                source=source,
                nature=nature,
                flags=FLAGS,
            )
        )

    def _events(self, name: EventStream) -> Outlet:
        outlet = self._outlet(
            StreamSpec(
                name=name,
                content="Markers",
                device=self._options.device,
                key=name,
                channels=[(name, "", "Markers")],
                source="Affect Edge",
                nature="recorded",
                text=True,
            )
        )
        assert outlet is not None, "events are always offered, before streams of sensors"
        return outlet

    def _outlet(self, spec: StreamSpec) -> Outlet | None:
        """Return the stream, made when it is new; ``None``: it is not offered."""
        if spec.key not in self._outlets:
            if len(self._outlets) >= MOST_STREAMS:
                return None
            self._outlets[spec.key] = self._new_outlet(spec)
            if len(self._outlets) == MOST_STREAMS:
                log.warning("lsl: %d streams; sources that come now get none", MOST_STREAMS)
        return self._outlets[spec.key]

    def _new_outlet(self, spec: StreamSpec) -> Outlet | None:
        if self._options.offers(spec.nature):
            return Outlet(self._pylsl, spec, self.clock.present_times())
        key = "estimated" if spec.nature == "estimated" else "simulated"
        log.warning(
            "lsl: no stream of %s, for its values are %s. With %s = true in [lsl] it is offered.",
            spec.name,
            spec.nature,
            key,
        )
        return None


def _nature(flags: Set[VitalFlag]) -> str:
    return next((nature for flag, nature in _NATURES if flag in flags), "measured")


def _with_nature(name: str, nature: str) -> str:
    """Return a name with the nature of values that are not measured."""
    return name if nature == "measured" else f"{name} ({nature})"


class FeedReader:
    """Sends the messages of the live feed on streams.

    Args:
        streams: to send on.
        movements: whether movements are sent, too.
    """

    def __init__(self, streams: Streams, *, movements: bool) -> None:
        self._streams = streams
        self._movements = movements

    def pass_on(self, message: Mapping[str, Any]) -> None:
        """Pass on a message of the live feed.

        Messages of other types are ignored.
        """
        self._streams.send_held()
        if message.get("type") == "expression":
            self._take_expression(message)
        elif message.get("type") == "vital":
            self._take_vital(message)

    def _take_expression(self, message: Mapping[str, Any]) -> None:
        face = next((face for face in message["faces"] if face["primary"]), None)
        sample = None
        if face is not None:
            sample = ExpressionSample(
                face["smoothed"], face["valence"], face["quality"], face["flaw"] is not None
            )
        at = _instant(message["at"])
        self._streams.expression(at, sample, message["simulated"])
        if self._movements:
            moved = None
            if face is not None and face["pose"] is not None:
                moved = (face["movements"] or {}) | face["pose"] | face["look"]
            self._streams.movements(at, moved, message["simulated"])

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
    return present.shift((wall_ms - present.wall_ms) / 1000)
