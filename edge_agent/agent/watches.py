"""The agent's watches: what looks at each frame, or once a second, beside the recording.

A watch that only makes readings goes out alone when it fails: its fault is logged, is the alarm
``source_failed``, and leaves a gap; it begins anew after growing pauses. The fault of one that
judges rows ends the agent, for without it rows would be wrong in silence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.agent.declarations import DeclarationWatch
from edge_agent.agent.own_neutral import OwnNeutralWatch, classifier_of
from edge_agent.agent.permission import CapturePermission
from edge_agent.agent.standing import StandingWatch
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.clock import Every, Instant
from edge_agent.core.expression import Frame, Recognition
from edge_agent.core.pauses import Pauses
from edge_agent.core.readings import FAILED, Gap
from edge_agent.core.threads import RESTARTS_S, STEADY_S, Death
from edge_agent.timeline.study.sessions import Study
from edge_agent.vision.eyes import EyeWatch
from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.movements import open_movements
from edge_agent.vision.recognizer import Recognizer
from edge_agent.vision.worker import watch_skin
from edge_agent.vitals import camera_blinks, camera_pulse
from edge_agent.vitals.camera_blinks import CameraBlinks
from edge_agent.vitals.camera_pulse import CameraPulse
from edge_agent.vitals.sources import Sink

log = logging.getLogger(__name__)

STANDING_POLL_S = 5.0
"""Period of the look at the hours of standing sessions: how late one begins at the most."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The parts of the agent that watches use."""

    settings: Settings
    database: Path
    study: Study
    recognizer: Recognizer
    permission: CapturePermission
    sink: Sink
    on_gap: Callable[[Gap], None]

    @property
    def is_simulated(self) -> bool:
        """True where the frames show no person who is present now."""
        return self.settings.camera.source == "demo"


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Watch:
    """A watch that was made.

    Attributes:
        add: receives each frame in the vision thread, with its faces where they were read; it may
            keep neither.
        look: called each second in the agent's loop; raises ``StoreError`` where the database
            cannot be used.
        close: called at the end of the frames.
        card: the model that it uses; ``None``: none of its own.
    """

    add: Callable[[Frame, Recognition | None], None] = _nothing
    look: Callable[[Instant], None] = _nothing
    close: Callable[[], None] = _nothing
    card: ModelCard | None = None


@dataclass(frozen=True, slots=True)
class WatchKind:
    """A kind of watch.

    Attributes:
        make: makes it; ``None`` where the settings do not ask for it.
        source: of the readings that it makes, and does nothing else; empty: it judges rows.
        reads_every: whether the faces of every frame are read for it; otherwise by need.
    """

    make: Callable[[Surroundings], Watch | None]
    source: str = ""
    reads_every: bool = False


class _Running:
    """A watch that runs, or waits to begin anew after a fault."""

    def __init__(self, kind: WatchKind, watch: Watch, parts: Surroundings) -> None:
        self.kind = kind
        self.watch = watch
        self.death: Death | None = None
        self._parts = parts
        self._pauses = Pauses(RESTARTS_S)
        self._again_s = 0.0

    def do(self, what: Callable[[Watch], None]) -> None:
        """Let the watch do something; its fault is its own where it only makes readings."""
        if not self.kind.source:
            what(self.watch)
            return
        try:
            if not self._has_begun():
                return
            what(self.watch)
        except Exception as error:  # a fault of readings ends no recording
            text = "%s failed: %s; it begins again by itself"
            log.error(text, self.kind.source, error, exc_info=self.death is None)
            self._die(error)

    def _has_begun(self) -> bool:
        """Return whether it runs; begin anew once the pause is over."""
        if self.death is None or self.death.back is not None:
            return True
        if clock.boot_seconds() < self._again_s:
            return False
        made = self.kind.make(self._parts)
        assert made is not None, "the settings asked for it"
        self.watch = made
        self.end()
        return True

    def _die(self, error: Exception) -> None:
        at, times, before = clock.now(), 1, self.death
        if before is not None:
            times = before.times + 1
            if before.back is None:  # it could not begin, and has been dead all the while
                at = before.at
            elif at.seconds_since(before.back) >= STEADY_S:
                self._pauses.reset()
        self.death = Death(times, at, None, error)
        self._again_s = clock.boot_seconds() + self._pauses.after_failure()

    def end(self) -> None:
        """Record the time in which it had failed."""
        if self.death is not None and self.death.back is None:
            back = clock.now()
            self._parts.on_gap(Gap(self.kind.source, self.death.at, back, FAILED))
            self.death = replace(self.death, back=back)


def _standing(parts: Surroundings) -> Watch:
    watch, timer = StandingWatch(parts.study), Every(STANDING_POLL_S, at_once=True)

    def look(at: Instant) -> None:
        if timer.due():
            watch.look(at, camera_on=parts.permission.off is None)

    return Watch(look=look)


def _own_neutral(parts: Surroundings) -> Watch:
    vision = parts.settings.vision
    classifier = classifier_of(parts.recognizer, vision.prior)
    watch = OwnNeutralWatch(parts.database, parts.recognizer, classifier, wanted=vision.own_neutral)
    return Watch(lambda _, seen: None if seen is None else watch.see(seen), watch.look)


def _declarations(parts: Surroundings) -> Watch:
    return Watch(look=DeclarationWatch(parts.database, parts.recognizer.declare).look)


def _pulse(parts: Surroundings) -> Watch | None:
    if not parts.settings.vitals.camera_pulse.enabled:
        return None
    pulse = CameraPulse(parts.sink, parts.on_gap, simulated=parts.is_simulated)
    look_at_skin = watch_skin(pulse.add_frame)
    return Watch(
        lambda frame, seen: None if seen is None else look_at_skin(frame, seen), close=pulse.close
    )


def _blinks(parts: Surroundings) -> Watch | None:
    vision = parts.settings.vision
    if not vision.blinks:
        return None
    blinks = CameraBlinks(parts.sink, parts.on_gap, simulated=parts.is_simulated)
    eyes = EyeWatch(open_movements(vision.threads), blinks.add_frame)
    return Watch(eyes.add, close=blinks.close, card=eyes.card)


class Watches:
    """The watches that the settings ask for.

    Args:
        parts: what they use.
        kinds: of watches.
    """

    KINDS = (
        WatchKind(_standing),
        WatchKind(_own_neutral),
        WatchKind(_declarations),
        WatchKind(_pulse, camera_pulse.SOURCE, reads_every=True),
        WatchKind(_blinks, camera_blinks.SOURCE),
    )
    """All kinds, in the order in which they look."""

    def __init__(self, parts: Surroundings, kinds: Sequence[WatchKind] = KINDS) -> None:
        made = [(kind, kind.make(parts)) for kind in kinds]
        self._all = [_Running(kind, watch, parts) for kind, watch in made if watch is not None]

    @property
    def reads_every(self) -> bool:
        """True where one of them needs the faces of every frame."""
        return any(one.kind.reads_every for one in self._all)

    @property
    def cards(self) -> list[ModelCard]:
        """The models that they use."""
        return [one.watch.card for one in self._all if one.watch.card is not None]

    @property
    def deaths(self) -> dict[str, Death]:
        """The last fault of each that failed, by its source."""
        return {one.kind.source: one.death for one in self._all if one.death is not None}

    def add(self, frame: Frame, seen: Recognition | None) -> None:
        """Show a frame to each, in the vision thread."""
        for one in self._all:
            one.do(lambda watch: watch.add(frame, seen))

    def look(self, at: Instant) -> None:
        """Let each look, in the agent's loop.

        Raises:
            StoreError: the database cannot be used.
        """
        for one in self._all:
            if not one.kind.source:  # the others belong to the vision thread
                one.watch.look(at)

    def close(self) -> None:
        """Record what is open, after the last frame."""
        for one in self._all:
            one.do(lambda watch: watch.close())
            one.end()
