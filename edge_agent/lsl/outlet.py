"""The library of the Lab Streaming Layer, its clock beside ours, and one stream."""

from __future__ import annotations

import logging
import os
import platform
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.clock import Every, Instant, iso_utc
from edge_agent.core.errors import ServerError
from edge_agent.core.lab_streams import MAKER, PREFIX

log = logging.getLogger(__name__)

_LOOK_S = 10.0
_TRIES = 5
_MOVED_S = 0.000_5
_JUMPED_S = 0.005
_ROUNDED_MS = 2
"""Wall and boot clock are each cut to milliseconds: their difference may be one more, or less."""
HOLD_S = 20.0
"""Seconds for which the samples of a new stream wait for its first reader.

A recorder needs a few seconds to find a stream again after a restart of the agent.
"""
_HELD_SAMPLES = 5_000


def load_pylsl() -> Any:
    """Return the library, with its native part.

    Raises:
        ServerError: pylsl or its native library is missing.
    """
    _name_library_of_mne_lsl()
    try:
        import pylsl
    except ImportError as error:
        raise ServerError(
            "Lab Streaming Layer: the library pylsl is not installed. On an appliance: "
            "sudo ./install.sh --with lsl. In a checkout: .venv/bin/pip install -e '.[lsl]'. "
            "With pipx: pipx inject affect-edge pylsl."
        ) from error
    except (RuntimeError, OSError) as error:
        # pylsl is there, but finds no liblsl for this processor
        raise ServerError(
            "Lab Streaming Layer: pylsl finds no native library (liblsl) for this machine "
            f"({platform.machine()}). On an appliance: sudo ./install.sh --with lsl. In a "
            "checkout: .venv/bin/pip install --no-deps mne-lsl. With pipx: pipx runpip "
            "affect-edge install --no-deps mne-lsl. Or name the file of a liblsl that you have in "
            "the environment variable PYLSL_LIB."
        ) from error
    return pylsl


def require_library(settings: Settings) -> str:
    """Load the library where the configuration asks for it; return for what, empty: for nothing.

    Raises:
        ServerError: pylsl or its native library is missing; the text names the lines of the
            configuration to write.
    """
    uses = {
        "[lsl]": (settings.lsl.enabled, "enabled = false under [lsl]"),
        "[vitals.lsl]": (settings.vitals.lsl.streams, "streams = [] under [vitals.lsl]"),
        "[control]": (settings.control.lsl_stream, "# before lsl_stream under [control]"),
    }
    line_without = {section: line for section, (is_set, line) in uses.items() if is_set}
    if line_without:
        try:
            load_pylsl()
        except ServerError as error:
            lines = " and ".join(line_without.values())
            raise ServerError(f"{error} To run without it, write {lines}.") from error
    return ", ".join(line_without)


def _name_library_of_mne_lsl() -> None:
    """Name pylsl the native library in the wheel of mne-lsl, unless another one is named.

    The wheels of pylsl have none for 64-bit Arm. Of mne-lsl nothing is imported.
    """
    spec = find_spec("mne_lsl")
    if spec is None or "PYLSL_LIB" in os.environ:
        return
    for folder in spec.submodule_search_locations or ():
        for file in Path(folder, "lsl/lib").glob("liblsl.*"):
            os.environ["PYLSL_LIB"] = str(file)


class StreamClock:
    """Converts between our boot clock and the clock of the Lab Streaming Layer on this machine.

    Both run evenly and differ by a constant, until the machine is suspended: ours counts that time,
    theirs does not. So the difference is measured at the start and checked every ten seconds. The
    wall clock is not used, so setting it does not change the times of a stream.

    Args:
        local_clock: ``pylsl.local_clock``, seconds.

    Example:
        Send a reading at its own time::

            stamps = StreamClock(pylsl.local_clock)
            outlet.push_sample([72.0], stamps.stamp_of(reading.at))
    """

    def __init__(self, local_clock: Callable[[], float]) -> None:
        self._local_clock = local_clock
        self._difference_s = self._measure()
        self._wall_ms = 0
        self._timer = Every(_LOOK_S)

    def stamp_of(self, at: Instant) -> float:
        """Return an instant on the clock of the Lab Streaming Layer, seconds."""
        self._follow_clock()
        return at.boot_ms / 1000 + self._difference_s

    def present_times(self) -> dict[str, str]:
        """Return one time on both clocks, by which readers of a recording know its time of day."""
        present = clock.now()
        return {
            "utc": iso_utc(present.wall_ms),
            "local_clock": f"{self.stamp_of(present):.6f}",
            "synchronised": str(int(clock.is_synchronised())),
        }

    def present_s(self) -> float:
        """Return the present time of the clock of the Lab Streaming Layer, seconds."""
        return self._local_clock()

    def instant_of(self, stamp_s: float) -> Instant:
        """Return a time of the Lab Streaming Layer's clock on this machine as an instant.

        Of two times the later one is never the earlier instant, unless the wall clock was set.
        """
        self._follow_clock()
        present = clock.now()
        at = present.shift(stamp_s - self._difference_s - present.boot_ms / 1000)
        if abs(at.wall_ms - at.boot_ms - self._wall_ms) > _ROUNDED_MS:
            self._wall_ms = at.wall_ms - at.boot_ms
        return replace(at, wall_ms=at.boot_ms + self._wall_ms)

    def _follow_clock(self) -> None:
        if not self._timer.due():
            return
        difference_s = self._measure()
        moved_s = abs(difference_s - self._difference_s)
        if moved_s > _JUMPED_S:
            log.warning("lsl: the clocks moved by %.3f s, as after a suspend", moved_s)
        if moved_s > _MOVED_S:
            self._difference_s = difference_s

    def _measure(self) -> float:
        """Return their clock minus ours, from the fastest of a few measurements."""
        looks = []
        for _ in range(_TRIES):
            before = clock.boot_ns()
            theirs = self._local_clock()
            after = clock.boot_ns()
            looks.append((after - before, theirs - (before + after) / 2e9))
        return min(looks)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """The description of a stream.

    Attributes:
        name: after the prefix; people choose the stream by it.
        content: the content type of XDF, such as ``Markers``.
        device: name of the appliance.
        key: identifies the stream within the appliance, for recorders that find it again.
        channels: label, unit and type of each.
        source: origin of the values.
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
        spec: the description of the stream.
        clock_now: one time on both clocks, as ``StreamClock.present_times``.
    """

    def __init__(self, pylsl: Any, spec: StreamSpec, clock_now: Mapping[str, str]) -> None:
        self._outlet = pylsl.StreamOutlet(_info(pylsl, spec, clock_now))
        self._held: deque[tuple[list[Any], float]] | None = deque(maxlen=_HELD_SAMPLES)
        self._held_until_s = clock.boot_seconds() + HOLD_S

    def push(self, sample: list[Any], stamp_s: float) -> None:
        """Send a sample; ``stamp_s`` is on the clock of the Lab Streaming Layer."""
        self.send_held()
        if self._held is not None:
            self._held.append((sample, stamp_s))
        else:
            self._outlet.push_sample(sample, stamp_s)

    def send_held(self) -> None:
        """Send the waiting samples once there is a reader; drop them if none comes."""
        if self._held is None:
            return
        if self._outlet.have_consumers():
            for sample, stamp_s in self._held:
                self._outlet.push_sample(sample, stamp_s)
        elif clock.boot_seconds() < self._held_until_s:
            return
        self._held = None


def _info(pylsl: Any, spec: StreamSpec, clock_now: Mapping[str, str]) -> Any:
    """Return the description, with the names that XDF uses."""
    info = pylsl.StreamInfo(
        f"{PREFIX} {spec.name}",
        spec.content,
        len(spec.channels),
        # Samples come when there is a frame or a reading: a nominal rate would make recorders
        # re-time them.
        pylsl.IRREGULAR_RATE,
        pylsl.cf_string if spec.text else pylsl.cf_double64,
        f"affect-edge/{spec.device}/{spec.key}",
    )
    description = info.desc()
    _describe(description, "acquisition", manufacturer=MAKER, serial_number=spec.device)
    _describe(description, "source", name=spec.source, nature=spec.nature)
    _describe(description, "clock", **clock_now)
    channels = description.append_child("channels")
    for label, unit, content in spec.channels:
        _describe(channels, "channel", label=label, unit=unit, type=content)
    if spec.flags:
        flags = description.append_child("flags")
        for bit, name in enumerate(spec.flags):
            _describe(flags, "flag", value=str(1 << bit), label=name)
    return info


def _describe(parent: Any, kind: str, /, **values: str) -> None:
    """Add a child with these values."""
    child = parent.append_child(kind)
    for key, value in values.items():
        child.append_child_value(key, value)
