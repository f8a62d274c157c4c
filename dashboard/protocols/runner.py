"""The runner of the open session's protocol: its clock, its record in the database, those who watch
it, and the language of the participant's page.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from dashboard.languages.current import SOURCE, gettext, language
from dashboard.protocols.file import StudyProtocol
from dashboard.protocols.screens import RunOrder, from_json, order_rows, screens_of, to_json
from dashboard.protocols.state import BY_HAND, FrameReport, FromExperiment, ProtocolState
from dashboard.protocols.steps import CROSS, Screen
from dashboard.protocols.texts import Texts, said_text
from edge_agent.core import clock
from edge_agent.core.bounds import DASHBOARD
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.study import OF_PROTOCOL, Marker, MarkerKind, NewSession, Session
from edge_agent.core.texts import N_
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.study.protocol_runs import (
    SESSION_ENDED,
    NewRun,
    ProtocolRuns,
    RunProgress,
    RunState,
    SavedRun,
)

log = logging.getLogger(__name__)
HEARTBEAT_S = 1.0
LAST_FRAME_S = 3.0
"""Longest wait for the page's report of the last screen; reports lag behind quick answers."""
PATIENCE_S = 5.0  # a change is answered after this long, written down or not
_SEEDS = 2**31
RESTARTED = N_("interrupted, the dashboard was restarted")
STOPPED = N_("the dashboard was stopped")
_OWN_WORDS = Texts()
_OF_SCREENS = frozenset({_OWN_WORDS.baseline, _OWN_WORDS.rest, _OWN_WORDS.pressure, CROSS})


@dataclass(frozen=True, slots=True)
class ProtocolView:
    """A protocol as it stands at one moment.

    Attributes:
        session: that it runs in.
        name: of its file.
        title: what people call it.
        screens: all of them in order.
        step: number of the present one; as many as there are screens at the end.
        state: how it stands.
        reason: why it stands still or ended.
        begun: whether a screen was ever shown.
        remaining_ms: how long it has left; ``None`` where nobody knows.
        present: whether the participant's page is open.
        ready: whether the participant has said so.
        answers: how many were given since the dashboard took it up.
        token: of the participant's page.
        problem: why nothing can be written down at the moment; empty when all is well.
        step_seq: counts the screens that were shown; one that is shown again has a new number.
        start_ms: how long the present screen had run before it was shown this time.
        texts: what the participant's page says by itself.
        reports: what of an experiment was not stored, or was refused, each once.
    """

    session: Session
    name: str
    title: str
    screens: tuple[Screen, ...]
    step: int
    state: RunState
    reason: str
    begun: bool
    remaining_ms: int | None
    present: bool
    ready: bool
    answers: int
    token: str
    problem: str
    step_seq: int
    start_ms: int
    texts: Texts
    reports: tuple[str, ...] = ()

    @property
    def screen(self) -> Screen | None:
        """The present screen; ``None`` at the end."""
        if self.step < len(self.screens):
            return self.screens[self.step]
        return None

    @property
    def is_over(self) -> bool:
        """Tell whether it has come to an end."""
        return self.state in {RunState.FINISHED, RunState.ENDED}


class RunningProtocol:
    """A protocol with its row and those who show it."""

    def __init__(self, saved: SavedRun, at: Instant) -> None:
        self.saved = saved
        ran = saved.state is RunState.RUNNING
        screens, self.texts = from_json(saved.plan)
        self.state = ProtocolState(
            screens, at, saved.step, saved.spent_ms / 1000, begun=ran, turns=saved.turns
        )
        self.open_pages = 0
        self.version = 0  # of what has happened
        self.recorded = 0  # of what was written down
        self.problem = ""

    def snapshot(self, at: Instant) -> ProtocolView:
        """Return how it stands."""
        state = self.state
        remaining = state.step_clock.remaining(state.position, at.boot_ms / 1000)
        return ProtocolView(
            session=self.saved.session,
            name=self.saved.name,
            title=self.saved.title,
            screens=state.screens,
            step=state.position.step,
            state=state.state,
            reason=state.reason,
            begun=state.begun,
            remaining_ms=None if remaining is None else round(remaining * 1000),
            present=self.open_pages > 0,
            ready=state.ready,
            answers=state.answers,
            token=self.saved.token,
            problem=self.problem,
            step_seq=state.step_seq,
            start_ms=round(state.position.spent * 1000),
            texts=self.texts,
            reports=tuple(state.reports),
        )

    def progress(self, at: Instant) -> tuple[RunProgress, bool]:
        """Return what has happened and is not written down, and whether that is all of it.

        The end of the session is in the last portion, because nothing can be added after it.
        """
        state = self.state
        portion = state.pending.portion()
        is_all = portion == state.pending
        progress = RunProgress(
            step=state.position.step,
            spent_ms=round(state.spent_s(at) * 1000),
            state=RunState.RUNNING if state.is_over and not is_all else state.state,
            reason=state.reason,
            at=at,
            markers=tuple(portion.markers),
            reports=tuple(portion.reports),
            trials=tuple(portion.trials),
            times=tuple(portion.times),
            practice=tuple(portion.practice),
        )
        return progress, is_all


class ProtocolRunner:
    """Owner of the one protocol that may run; every method may be called from any thread.

    Args:
        runs: where it is read.
        commands: open its session and write it down.
    """

    def __init__(self, runs: ProtocolRuns, commands: Commands) -> None:
        self._runs = runs
        self._commands = commands
        # Reentrant: ``close`` and ``forget`` call methods that take it again.
        self._changed = threading.Condition(threading.RLock())
        self._running: RunningProtocol | None = None
        self._last: ProtocolView | None = None
        self._watchers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._threads: tuple[threading.Thread, ...] = ()
        self._closed = False

    def resume_saved(self) -> None:
        """Go on with a protocol that was left when the last dashboard ended.

        It stands still until somebody says so.

        Raises:
            StoreError: the database cannot be used.
        """
        saved = self._runs.open()
        if saved is None:
            return
        try:
            screens, _ = from_json(saved.plan)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            # Its session stays open, and can be ended; the dashboard must start.
            log.error("the protocol of session %d cannot be read: %s", saved.session.id, error)
            return
        if saved.state is RunState.RUNNING:
            # At the last moment that was written down: nobody
            # knows when after it the dashboard ended.
            markers = [Marker(saved.saved, MarkerKind.NOTE, f"{OF_PROTOCOL}{RESTARTED}")]
            condition = screens[saved.step].condition if saved.step < len(screens) else None
            if condition is not None:
                # In front: the condition ends before the note that says why.
                markers.insert(0, Marker(saved.saved, MarkerKind.STIMULUS_END, condition))
            paused = RunProgress(
                saved.step, saved.spent_ms, RunState.PAUSED, RESTARTED, saved.saved, tuple(markers)
            )
            self._commands.save_protocol(saved.id, saved.session.id, paused, actor=DASHBOARD)
        with self._changed:
            self._start(saved)
            if self._running is not None and self._running.state.begun:
                self._running.state.problem = RESTARTED
        log.info("the protocol of session %d stands where it was left", saved.session.id)

    def start_session(self, new: NewSession, protocol: StudyProtocol, *, actor: str) -> Session:
        """Open a session with a protocol, which decides what was left open; it stands at its first
        screen.

        Raises:
            StudyError: as ``Study.start_session``.
            StoreError: the database cannot be used.
        """
        row = self._runs.next_order(new.participant, protocol.name, order_rows(protocol))
        order = RunOrder(row, secrets.randbelow(_SEEDS) if protocol.is_random else None)
        run = NewRun(
            name=protocol.name,
            title=protocol.title,
            sha256=protocol.sha256,
            order=row,
            plan=to_json(screens_of(protocol, order), protocol.texts, order.seed),
        )
        if new.own_neutral is None:
            new = replace(new, own_neutral=protocol.own_neutral)
        if not new.instruments:
            new = replace(new, instruments=protocol.instruments)
        made = self._commands.start_protocol(new, run, actor=actor)
        with self._changed:
            self._start(made)
        return made.session

    def go(self) -> None:
        """Begin, or go on. Raises ``StudyError`` where no protocol runs, as the next four do."""
        self._apply(lambda state, at: state.go(at))

    def pause(self) -> None:
        """Stand still."""
        self._apply(lambda state, at: state.pause(at, BY_HAND))

    def skip(self) -> None:
        """Leave the present screen."""
        self._apply(lambda state, at: state.skip(at))

    def repeat(self) -> None:
        """Begin the present screen again."""
        self._apply(lambda state, at: state.repeat(at))

    def end(self) -> None:
        """End protocol and session now."""
        self._apply(lambda state, at: state.end(at, N_("by hand")))

    def join(self, token: str) -> bool:
        """Count a participant's page that is open; return whether the token is right."""
        with self._changed:
            running = self._running_of(token)
            if running is None:
                return False
            running.open_pages += 1
            self._notify_watchers()
            return True

    def leave(self, token: str) -> None:
        """Count a participant's page that was closed; without any the protocol stands still."""
        with self._changed:
            running = self._running_of(token)
            if running is None:
                return
            running.open_pages -= 1
            if running.open_pages <= 0:
                running.state.set_absent(clock.now())
            # this may be the event loop, which must not wait for the disk
            self._note_change(running)

    def set_ready(self, token: str) -> None:
        """Note that the participant is ready; passed over when no page of theirs is open."""
        self._apply_from_page(token, lambda state, at: state.set_ready(at))

    def answer(self, token: str, step: int, value: int | str | None) -> None:
        """Take an answer. Raises ``StudyError`` when the scale has no such value."""
        self._apply_from_page(token, lambda state, at: state.answer(step, value, at))

    def declare(self, token: str) -> None:
        """Note that the face which leads now is the participant's."""
        self._apply_from_page(token, lambda state, at: state.declare(at))

    def media_ended(self, token: str, step: int) -> None:
        """Note that a sound or video has come to its end."""
        self._apply_from_page(token, lambda state, at: state.media_ended(step, at))

    def note_frame(self, token: str, frame: FrameReport) -> None:
        """Note when the participant's page showed the first frame of what it shows."""
        with self._changed:
            running = self._running_of(token)
            if running is not None and running.open_pages > 0:
                running.state.note_frame(frame)
                # written with what comes next: nobody waits for it
                self._note_change(running)

    def note_experiment(self, token: str, told: FromExperiment) -> None:
        """Add a marker or a trial of an experiment. Raises ``StudyError`` when it is too many."""
        self._apply_from_page(token, lambda state, at: state.note_experiment(told, at))

    def media_failed(self, token: str, step: int) -> None:
        """Note that a file cannot be shown."""
        self._apply_from_page(token, lambda state, at: state.media_failed(step, at))

    def view(self) -> ProtocolView | None:
        """Return the state of the running protocol, or how the last protocol ended.

        ``None`` when no protocol was run yet.
        """
        with self._changed:
            if self._running is None:
                return self._last
            return self._running.snapshot(clock.now())

    def forget(self, participant: str) -> None:
        """Forget how the last protocol of a participant ended who was erased."""
        with self._changed:
            view = self.view()
            if view is not None and view.session.participant.casefold() == participant.casefold():
                # that its session has ended may not be noticed yet
                self._running = self._last = None

    def view_of(self, token: str) -> ProtocolView | None:
        """Return the same for the holder of a participant's token; ``None`` when it is wrong."""
        view = self.view()
        # As bytes: ``compare_digest`` refuses text beyond ASCII.
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
                self._apply(lambda state, at: state.pause(at, STOPPED))
            self._closed = True
            self._changed.notify_all()
            # Joined below without the lock, which both threads need to come to their end.
            threads = self._threads
        for thread in threads:
            thread.join(HEARTBEAT_S)

    def _start(self, saved: SavedRun) -> None:
        self._running = running = RunningProtocol(saved, clock.now())
        self._threads = tuple(
            threading.Thread(target=work, args=(running,), name=name, daemon=True)
            for name, work in (
                ("protocol-time", self._run_clock),
                ("protocol-record", self._write_changes),
            )
        )
        for thread in self._threads:
            thread.start()
        self._notify_watchers()

    def _running_of(self, token: str) -> RunningProtocol | None:
        running = self._running
        if running is None:
            return None
        right = secrets.compare_digest(running.saved.token.encode(), token.encode())
        return running if right else None

    def _apply_from_page(self, token: str, act: Callable[[ProtocolState, Instant], None]) -> None:
        with self._changed:
            running = self._running_of(token)
            if running is not None and running.open_pages > 0:
                self._apply(act)

    def _apply(self, act: Callable[[ProtocolState, Instant], None]) -> None:
        """Change the protocol, tell everybody at once, and wait until it is written down (or cannot
        be).
        """
        with self._changed:
            running = self._running
            if running is None:
                raise StudyError(N_("No protocol is running. Start a session with one."))
            try:
                act(running.state, clock.now())
            except StudyError:
                self._note_change(running)  # it may have reported why
                raise
            version = self._note_change(running)
            self._changed.wait_for(
                lambda: (
                    running.recorded >= version
                    or self._running is not running
                    or bool(running.problem)
                ),
                PATIENCE_S,
            )

    def _note_change(self, running: RunningProtocol) -> int:
        running.version += 1
        self._notify_watchers()
        self._changed.notify_all()
        return running.version

    def _run_clock(self, running: RunningProtocol) -> None:
        """Enter each step when it is due, in a thread that never waits for the disk."""
        state = running.state
        with self._changed:
            # A thread whose protocol was replaced ends by this comparison.
            while self._running is running and not self._closed:
                before = state.position.step, state.is_running
                state.tick(clock.now())
                if (state.position.step, state.is_running) != before:
                    self._note_change(running)
                ends = state.step_clock.ends(state.position)
                left = HEARTBEAT_S if ends is None else ends - clock.boot_seconds()
                # Never 0: a step that is due in less than a clock's tick would spin.
                self._changed.wait(min(HEARTBEAT_S, max(0.001, left)))

    def _write_changes(self, running: RunningProtocol) -> None:
        """Write down what has happened, and once a second where it stands, in a thread."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: (
                        self._closed or (running.version > running.recorded and not running.problem)
                    ),
                    HEARTBEAT_S,
                )
                if running.state.awaits_last_frame and running.open_pages > 0:
                    # The end of the session closes the record: the page may still say until when
                    # it showed the last screen.
                    self._changed.wait_for(
                        lambda: (
                            self._closed
                            or running.open_pages <= 0
                            or not running.state.awaits_last_frame
                        ),
                        LAST_FRAME_S,
                    )
                at = clock.now()
                version = running.version
                if self._running is not running or (self._closed and version == running.recorded):
                    return
                progress, is_all = running.progress(at)
                # While it stands still nothing is written; it is
                # only asked whether its session is open.
                idle = version == running.recorded and not running.state.is_running
                if not is_all:
                    version = running.recorded  # the rest follows at once
            try:
                goes_on = self._is_open(running) if idle else True
                if not idle or not goes_on:
                    goes_on = self._commands.save_protocol(
                        running.saved.id, running.saved.session.id, progress, actor=DASHBOARD
                    )
            except (StoreError, StudyError) as error:
                # One that was erased, or is over, is not tried again.
                goes_on = isinstance(error, StoreError) or self._may_be_open(running)
                problem = str(error) if goes_on else ""
                self._set_recorded(running, version, problem, None, goes_on=goes_on)
                if self._closed:
                    return
            else:
                self._set_recorded(
                    running, version, "", None if idle else progress, goes_on=goes_on
                )

    def _is_open(self, running: RunningProtocol) -> bool:
        saved = self._runs.open()
        return saved is not None and saved.id == running.saved.id

    def _may_be_open(self, running: RunningProtocol) -> bool:
        try:
            return self._is_open(running)
        except StoreError:
            return True

    def _set_recorded(
        self,
        running: RunningProtocol,
        version: int,
        problem: str,
        progress: RunProgress | None,
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
                    # Only those that were written: more may have come meanwhile.
                    running.state.pending.remove(progress)
            if not goes_on:
                last = running.snapshot(clock.now())
                if not last.is_over:
                    last = replace(last, state=RunState.ENDED, reason=SESSION_ENDED)
                self._last = last
                self._running = None
            if not goes_on or told != problem:
                self._notify_watchers()
            self._changed.notify_all()

    def _notify_watchers(self) -> None:
        """Wake everybody who watches."""
        for loop, event in tuple(self._watchers):
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # its loop has ended
                self._watchers.discard((loop, event))


def in_participants_language(view: ProtocolView) -> bool:
    """Tell whether the page may speak another language than its protocol.

    A protocol with texts of its own, in its table or on a screen, is in one language throughout.
    """
    if language() == SOURCE or view.texts != _OWN_WORDS:
        return False
    return all(
        screen.question is None and (not screen.text or screen.text in _OF_SCREENS)
        for screen in view.screens
    )


def texts_for(view: ProtocolView) -> Texts:
    """Return what the page says by itself."""
    if not in_participants_language(view) or gettext(_OWN_WORDS.welcome) == _OWN_WORDS.welcome:
        return view.texts
    texts = {name: said_text(value) for name, value in view.texts}
    return view.texts.model_copy(update=texts | {"language": language()})


def text_of_screen(view: ProtocolView, text: str) -> str:
    """Return the text of a screen."""
    if text and in_participants_language(view):
        return gettext(text)
    return text
