"""One stream of the Lab Streaming Layer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.core import clock

PREFIX = "AffectEdge"
HOLD_S = 20.0
"""How long the samples of a new stream wait for its first reader.

A recorder needs a few seconds to find a stream again after the agent was started anew.
"""
_HELD_SAMPLES = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """What a stream says of itself.

    Attributes:
        name: after the prefix; people choose the stream by it.
        content: the content type of XDF, such as ``Markers``.
        device: name of the appliance.
        key: names the stream within the appliance; recorders find it again by it.
        channels: label, unit and type of each.
        source: who gives the values.
        nature: ``measured``, ``estimated``, ``simulated``, ``replayed`` or ``recorded``.
        flags: names of the bits of the channel ``flags``, the lowest first.
        text: whether samples are text.
    """

    name: str
    content: str
    device: str
    key: str
    channels: Sequence[tuple[str, str, str]]
    source: str
    nature: str
    flags: Sequence[str] = ()
    text: bool = False


class Outlet:
    """Offers one stream. Belongs to one thread.

    The samples of its first seconds wait for a reader: they are sent late, with their own times.

    Args:
        pylsl: the library.
        spec: what the stream says of itself.
    """

    def __init__(self, pylsl: Any, spec: StreamSpec) -> None:
        self._outlet = pylsl.StreamOutlet(_info(pylsl, spec))
        self._held: deque[tuple[list[Any], float]] | None = deque(maxlen=_HELD_SAMPLES)
        self._held_until_s = clock.boot_seconds() + HOLD_S

    def push(self, sample: list[Any], stamp_s: float) -> None:
        """Send a sample; ``stamp_s`` is on the clock of the Lab Streaming Layer."""
        self.look()
        if self._held is not None:
            self._held.append((sample, stamp_s))
        else:
            self._outlet.push_sample(sample, stamp_s)

    def look(self) -> None:
        """Send the samples that wait once there is a reader; forget them when none comes."""
        if self._held is None:
            return
        if self._outlet.have_consumers():
            for sample, stamp_s in self._held:
                self._outlet.push_sample(sample, stamp_s)
        elif clock.boot_seconds() < self._held_until_s:
            return
        self._held = None


def _info(pylsl: Any, spec: StreamSpec) -> Any:
    """Return the description, with the names that XDF uses."""
    info = pylsl.StreamInfo(
        f"{PREFIX} {spec.name}",
        spec.content,
        len(spec.channels),
        pylsl.IRREGULAR_RATE,
        pylsl.cf_string if spec.text else pylsl.cf_double64,
        f"affect-edge/{spec.device}/{spec.key}",
    )
    description = info.desc()
    acquisition = description.append_child("acquisition")
    acquisition.append_child_value("manufacturer", "Affect Edge")
    acquisition.append_child_value("serial_number", spec.device)
    source = description.append_child("source")
    source.append_child_value("name", spec.source)
    source.append_child_value("nature", spec.nature)
    channels = description.append_child("channels")
    for label, unit, content in spec.channels:
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", unit)
        channel.append_child_value("type", content)
    if spec.flags:
        flags = description.append_child("flags")
        for bit, name in enumerate(spec.flags):
            flag = flags.append_child("flag")
            flag.append_child_value("value", str(1 << bit))
            flag.append_child_value("label", name)
    return info
