"""Runs the protocol of the open session: its clock, its record in the database, and those who watch
it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from dashboard.protocols.file import Protocol
from dashboard.protocols.plan import Screen, from_json, order_rows, screens_of, to_json
from dashboard.protocols.state import BY_HAND, Performance
from dashboard.protocols.texts import Texts
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.study import Marker, MarkerKind, Purpose, Session, SessionSetting
from edge_agent.store.study.protocol_runs import (
    SESSION_ENDED,
    NewRun,
    Progress,
    ProtocolRuns,
    RunState,
    SavedRun,
    insert_run,
)
from edge_agent.store.study.study import Study

log = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
PATIENCE_S = 5.0  # a change is answered after this long, written down or not
RESTARTED = "interrupted, the dashboard was restarted"
STOPPED = "the dashboard was stopped"


@dataclass(frozen=True, slots=True)
class View:
    """A protocol as it stands at one moment.

    Attributes:
        session: that it runs in.
        title: what people call it.
        screens: all of them in order.
        step: number of the present one; as many as there are screens at the end.
        state: how it stands.
        reason: why it stands still or ended.
        begun: whether a screen was ever shown.
        spent_ms: how long the present screen has run.
        remaining_ms: how long it has left; ``None`` where nobody knows.
        present: whether the participant's page is open.
        ready: whether the participant has said so.
        answers: how many were given since the dashboard took it up.
        token: of the participant's page.
        problem: why nothing can be written down at the moment; empty when all is well.
        turn: counts the screens that were shown; a screen that is shown again has another number.
        start_ms: how long the present screen had run before this turn.
        texts: what the participant's page says by itself.
    """

    session: Session
    title: str
    screens: tuple[Screen, ...]
    step: int
    state: RunState
    reason: str
    begun: bool
    spent_ms: int
    remaining_ms: int | None
    present: bool
    ready: bool
    answers: int
    token: str
    problem: str
    turn: int
    start_ms: int
    texts: Texts

    @property
    def screen(self) -> Screen | None:
        """The present screen; ``None`` at the end."""
        if self.step < len(self.screens):
            return self.screens[self.step]
        return None

    @property
    def is_over(self) -> bool:
        """Whether it has come to an end."""
        return self.state in {RunState.FINISHED, RunState.ENDED}


class _Running:
    """A protocol with its row and those who show it."""

    def __init__(self, saved: SavedRun, at: Instant) -> None:
        self.saved = saved
        ran = saved.state is RunState.RUNNING
        screens, self.texts = from_json(saved.plan)
        self.performance = Performance(screens, at, saved.step, saved.spent_ms / 1000, begun=ran)
        self.pages = 0
        self.version = 0  # of what has happened
        self.recorded = 0  # of what was written down
        self.problem = ""


class Conductor:
    """Owner of the one protocol that may run; every method may be called from any thread.

    Args:
        runs: where it is written down.
        study: opens its session.
    """

    def __init__(self, runs: ProtocolRuns, study: Study) -> None:
        self._runs = runs
        self._study = study
        self._changed = threading.Condition(threading.RLock())
        self._running: _Running | None = None
        self._last: View | None = None
        self._watchers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._threads: tuple[threading.Thread, ...] = ()
        self._closed = False

    def take_up(self) -> None:
        """Go on with a protocol that was left when the last dashboard ended.

        It stands still until somebody says so.

        Raises:
            StoreError: the database cannot be used.
        """
        saved = self._runs.open()
        if saved is None:
            return
        screens, _ = from_json(saved.plan)
        if saved.state is RunState.RUNNING:
            markers = [Marker(saved.saved, MarkerKind.NOTE, f"protocol: {RESTARTED}")]
            if saved.step < len(screens) and screens[saved.step].condition is not None:
                markers.insert(
                    0,
                    Marker(
                        saved.saved, MarkerKind.STIMULUS_END, screens[saved.step].condition or ""
                    ),
                )
            paused = Progress(
                saved.step, saved.spent_ms, RunState.PAUSED, RESTARTED, saved.saved, tuple(markers)
            )
            self._runs.save(saved.id, saved.session.id, paused)
        with self._changed:
            self._start(saved)
            if self._running is not None and self._running.performance.begun:
                self._running.performance.problem = RESTARTED
        log.info("the protocol of session %d stands where it was left", saved.session.id)

    def begin(
        self,
        participant: str,
        purpose: Purpose,
        setting: SessionSetting,
        name: str,
        protocol: Protocol,
    ) -> Session:
        """Open a session with a protocol; it stands at its first screen.

        Raises:
            StudyError: as ``Study.start_session``.
            StoreError: the database cannot be used.
        """
        made: list[SavedRun] = []
        new = NewRun(
            name=protocol.name,
            title=protocol.title,
            sha256=protocol.sha256,
            rows=order_rows(protocol),
            plan=lambda row: to_json(screens_of(protocol, row), protocol.texts),
        )
        at = clock.now()
        session = self._study.start_session(
            participant,
            purpose,
            name,
            at,
            setting=setting,
            also=lambda connection, opened: made.append(insert_run(connection, opened, new, at)),
        )
        with self._changed:
            self._start(made[0])
        return session

    def go(self) -> None:
        """Begin, or go on. Raises ``StudyError`` where no protocol runs, as the next four do."""
        self._do(lambda performance, at: performance.go(at))

    def pause(self) -> None:
        """Stand still."""
        self._do(lambda performance, at: performance.pause(at, BY_HAND))

    def skip(self) -> None:
        """Leave the present screen."""
        self._do(lambda performance, at: performance.skip(at))

    def repeat(self) -> None:
        """Begin the present screen again."""
        self._do(lambda performance, at: performance.repeat(at))

    def end(self) -> None:
        """End protocol and session now."""
        self._do(lambda performance, at: performance.end(at, "by hand"))

    def join(self, token: str) -> bool:
        """Count a participant's page that is open; return whether the token is right."""
        with self._changed:
            running = self._of(token)
            if running is None:
                return False
            running.pages += 1
            self._tell()
            return True

    def leave(self, token: str) -> None:
        """Count a participant's page that was closed; without any the protocol stands still."""
        with self._changed:
            running = self._of(token)
            if running is None:
                return
            running.pages -= 1
            if running.pages <= 0:
                running.performance.depart(clock.now())
            # this may be the event loop, which must not wait for the disk
            self._note_change(running)

    def arrive(self, token: str) -> None:
        """The participant is ready; passed over when no page of theirs is open."""
        self._participate(token, lambda performance, at: performance.arrive(at))

    def answer(self, token: str, step: int, value: int | str | None) -> None:
        """Take an answer. Raises ``StudyError`` when the scale has no such value."""
        self._participate(token, lambda performance, at: performance.answer(step, value, at))

    def media_ended(self, token: str, step: int) -> None:
        """A sound or video has come to its end."""
        self._participate(token, lambda performance, at: performance.media_ended(step, at))

    def media_failed(self, token: str, step: int) -> None:
        """A file cannot be shown."""
        self._participate(token, lambda performance, at: performance.media_failed(step, at))

    def view(self) -> View | None:
        """Return how the protocol stands, or how the last one ended.

        ``None`` when there was none.
        """
        with self._changed:
            if self._running is None:
                return self._last
            return self._look(self._running)

    def forget(self, participant: str) -> None:
        """Forget how the last protocol of a participant ended who was erased."""
        with self._changed:
            view = self.view()
            if view is not None and view.session.participant.casefold() == participant.casefold():
                # that its session has ended may not be noticed yet
                self._running = self._last = None

    def view_of(self, token: str) -> View | None:
        """Return the same for the holder of a participant's token; ``None`` when it is wrong."""
        view = self.view()
        if view is not None and secrets.compare_digest(view.token.encode(), token.encode()):
            return view
        return None

    def watch(self) -> asyncio.Event:
        """Return an event of the calling loop that is set whenever something has changed.

        End with ``unwatch``.
        """
        event = asyncio.Event()
        with self._changed:
            self._watchers.add((asyncio.get_running_loop(), event))
        return event

    def unwatch(self, event: asyncio.Event) -> None:
        """Forget an event of ``watch``."""
        with self._changed:
            self._watchers = {(loop, kept) for loop, kept in self._watchers if kept is not event}

    def close(self) -> None:
        """Let it stand still and write that down, at the end of the dashboard."""
        with self._changed:
            if self._running is not None:
                self._do(lambda performance, at: performance.pause(at, STOPPED))
            self._closed = True
            self._changed.notify_all()
            threads = self._threads
        for thread in threads:
            thread.join(HEARTBEAT_S)

    def _start(self, saved: SavedRun) -> None:
        self._running = running = _Running(saved, clock.now())
        self._threads = (
            threading.Thread(
                target=self._keep_time, args=(running,), name="protocol-time", daemon=True
            ),
            threading.Thread(
                target=self._keep_record, args=(running,), name="protocol-record", daemon=True
            ),
        )
        for thread in self._threads:
            thread.start()
        self._tell()

    def _of(self, token: str) -> _Running | None:
        running = self._running
        right = running is not None and secrets.compare_digest(
            running.saved.token.encode(), token.encode()
        )
        if right:
            return running
        return None

    def _participate(self, token: str, act: Callable[[Performance, Instant], None]) -> None:
        with self._changed:
            running = self._of(token)
            if running is not None and running.pages > 0:
                self._do(act)

    def _do(self, act: Callable[[Performance, Instant], None]) -> None:
        """Change the protocol, tell everybody at once, and wait until it is written down (or cannot
        be).
        """
        with self._changed:
            running = self._running
            if running is None:
                raise StudyError("No protocol is running. Start a session with one.")
            act(running.performance, clock.now())
            version = self._note_change(running)
            self._changed.wait_for(
                lambda: (
                    running.recorded >= version
                    or self._running is not running
                    or bool(running.problem)
                ),
                PATIENCE_S,
            )

    def _note_change(self, running: _Running) -> int:
        running.version += 1
        self._tell()
        self._changed.notify_all()
        return running.version

    def _keep_time(self, running: _Running) -> None:
        """The thread that enters each step when it is due; it never waits for the disk."""
        performance = running.performance
        with self._changed:
            while self._running is running and not self._closed:
                before = performance.position.step, performance.is_running
                performance.tick(clock.now())
                if (performance.position.step, performance.is_running) != before:
                    self._note_change(running)
                ends = performance.course.ends(performance.position)
                if ends is None:
                    left = HEARTBEAT_S
                else:
                    left = ends - clock.boot_seconds()
                self._changed.wait(min(HEARTBEAT_S, max(0.001, left)))

    def _keep_record(self, running: _Running) -> None:
        """The thread that writes down what has happened, and once a second where it stands."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: (
                        self._closed or (running.version > running.recorded and not running.problem)
                    ),
                    HEARTBEAT_S,
                )
                at = clock.now()
                version = running.version
                if self._running is not running or (self._closed and version == running.recorded):
                    return
                progress = _progress(running.performance, at)
                idle = version == running.recorded and not running.performance.is_running
            try:
                goes_on = self._is_open(running) if idle else True
                if not idle or not goes_on:
                    goes_on = self._runs.save(running.saved.id, running.saved.session.id, progress)
            except StoreError as error:
                self._recorded(running, version, str(error), progress, goes_on=True)
                if self._closed:
                    return
            else:
                self._recorded(running, version, "", None if idle else progress, goes_on=goes_on)

    def _is_open(self, running: _Running) -> bool:
        found = self._runs.open()
        return found is not None and found.id == running.saved.id

    def _recorded(
        self,
        running: _Running,
        version: int,
        problem: str,
        progress: Progress | None,
        *,
        goes_on: bool,
    ) -> None:
        """Take note of what was written down; what could not be is kept, and tried again."""
        with self._changed:
            if problem and not running.problem:
                log.error("the protocol cannot be written down: %s", problem)
            told = running.problem
            running.problem = problem
            if not problem:
                running.recorded = version
                if progress is not None:
                    del running.performance.pending.markers[: len(progress.markers)]
                    del running.performance.pending.reports[: len(progress.reports)]
            if not goes_on:
                last = self._look(running)
                self._last = (
                    last
                    if last.is_over
                    else replace(last, state=RunState.ENDED, reason=SESSION_ENDED)
                )
                self._running = None
            if not goes_on or told != problem:
                self._tell()
            self._changed.notify_all()

    def _look(self, running: _Running) -> View:
        performance = running.performance
        at = clock.now()
        remaining = performance.course.remaining(performance.position, at.boot_ms / 1000)
        return View(
            session=running.saved.session,
            title=running.saved.title,
            screens=performance.screens,
            step=performance.position.step,
            state=performance.state,
            reason=performance.reason,
            begun=performance.begun,
            spent_ms=round(performance.spent_s(at) * 1000),
            remaining_ms=None if remaining is None else round(remaining * 1000),
            present=running.pages > 0,
            ready=performance.ready,
            answers=performance.answers,
            token=running.saved.token,
            problem=running.problem,
            turn=performance.turns,
            start_ms=round(performance.position.spent * 1000),
            texts=running.texts,
        )

    def _tell(self) -> None:
        """Wake everybody who watches."""
        for loop, event in tuple(self._watchers):
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # its loop has ended
                self._watchers.discard((loop, event))


def _progress(performance: Performance, at: Instant) -> Progress:
    return Progress(
        step=performance.position.step,
        spent_ms=round(performance.spent_s(at) * 1000),
        state=performance.state,
        reason=performance.reason,
        at=at,
        markers=tuple(performance.pending.markers),
        reports=tuple(performance.pending.reports),
    )
