"""A protocol while it runs: the screens that are due, and the markers and answers that follow.

Pure: no clock and no database; the caller says what time it is. Times are seconds of a clock that
never jumps. A position is a value: it can be written down at any moment and gone on from later, by
another process too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from dashboard.protocols.media import MediaKind
from dashboard.protocols.questions import on_a_line, whole_number
from dashboard.protocols.steps import Screen, ScreenKind
from dashboard.protocols.texts import FELT, Scale
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.study import LABEL_LENGTH, OF_PROTOCOL, Marker, MarkerKind
from edge_agent.core.texts import N_, Message
from edge_agent.timeline.database.schema import POINTS
from edge_agent.timeline.study.protocol_runs import (
    EXPERIMENT,
    RunProgress,
    RunState,
    SelfReport,
    ShownTime,
    Trial,
)

LATE_S = 5.0
STOOD_STILL = N_("this machine stalled")
PAGE_CLOSED = N_("the participant's page was closed")
BY_HAND = N_("paused by hand")
MOST_FROM_EXPERIMENT = 50_000
"""Markers and answers of experiments that one run stores at the most."""
MOST_REPORTS = 20
"""Reports of what was not stored or was refused, each once; more say nothing new."""
_LONG = 500
"""Characters after each of which a value counts for one more: all fit into memory and on a page."""
DECLARED_S = 1.0
"""Presses of the participant within this time are one."""
_PORTION = 90_000
"""Characters of the records of one save; the gate refuses a command of more than 100,000 values."""
_RECORD = 200
"""Characters that a record counts for, beside its words and its answer."""
_TOLERATED_MS = 60_000
"""Largest distance of a time that the participant's page tells from its screen."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a course.

    Attributes:
        step: number of the step from 0; as many as there are steps once all are over.
        spent: seconds that the step has had before ``since``.
        since: when it began to run; ``None`` while it stands still.
    """

    step: int = 0
    spent: float = 0.0
    since: float | None = None


@dataclass(frozen=True, slots=True)
class StepEntry:
    """A step was entered: number of the step, and when."""

    step: int
    at: float


@dataclass(frozen=True, slots=True)
class StepClock:
    """The lengths of the steps.

    Attributes:
        seconds: of each step; ``None``: it ends when somebody says so (``leave``).
    """

    seconds: tuple[float | None, ...]

    def is_over(self, position: Position) -> bool:
        """Tell whether all steps are done."""
        return position.step >= len(self.seconds)

    def ends(self, position: Position) -> float | None:
        """Return when the present step ends by itself; ``None`` when it does not."""
        if self.is_over(position) or position.since is None:
            return None
        length = self.seconds[position.step]
        if length is None:
            return None
        return position.since + max(0.0, length - position.spent)

    def remaining(self, position: Position, now: float) -> float | None:
        """Return how many seconds of the present step are left, at least 0.

        ``None`` where nobody knows.
        """
        if self.is_over(position):
            return 0.0
        length = self.seconds[position.step]
        if length is None:
            return None
        return max(0.0, length - self.halt(position, now).spent)

    def advance(self, position: Position, now: float) -> tuple[Position, tuple[StepEntry, ...]]:
        """Return where it stands ``now``, and the steps that were entered meanwhile, each when it
        was due.
        """
        entries: list[StepEntry] = []
        # Several steps may be due after a pause of the caller; each gets the moment it was due.
        while (end := self.ends(position)) is not None and end <= now:
            position = self._enter(position.step + 1, end)
            entries.append(StepEntry(position.step, end))
        return position, tuple(entries)

    def run(self, position: Position, now: float) -> Position:
        """Let it go on from where it stands still; nothing changes when it runs or is over."""
        if position.since is not None or self.is_over(position):
            return position
        return Position(position.step, position.spent, now)

    def halt(self, position: Position, now: float) -> Position:
        """Let it stand still; call ``advance`` first, so that no step is passed over."""
        if position.since is None:
            return position
        return Position(position.step, position.spent + max(0.0, now - position.since), None)

    def leave(self, position: Position, now: float) -> Position:
        """Enter the next step now, running or standing as before."""
        if self.is_over(position):
            return position
        moved = self._enter(position.step + 1, now)
        if position.since is not None:
            return moved
        return Position(moved.step)

    def repeat(self, position: Position, now: float) -> Position:
        """Begin the present step again."""
        if self.is_over(position):
            return position
        return Position(position.step, 0.0, None if position.since is None else now)

    def _enter(self, step: int, at: float) -> Position:
        # Without a start at the end, so that nothing counts on there.
        return Position(step, 0.0, at if step < len(self.seconds) else None)


@dataclass(frozen=True, slots=True)
class FrameReport:
    """A report of the participant's page about the first frame of what it shows.

    Attributes:
        turn: of the screen; ``None``: it shows none, as in a break.
        at_ms: when that frame was shown, by the boot clock.
        within_ms: how wrong that may be.
        page_ms: the same by the page's own clock, which is exact between two frames.
        frame_ms: time between two frames; ``None``: not known.
    """

    turn: int | None
    at_ms: float
    within_ms: float
    page_ms: float
    frame_ms: float | None

    def lasted_ms(self, later: FrameReport) -> float:
        """Return the time until a later frame, by the page's clock unless the page is another."""
        told, by_page = later.at_ms - self.at_ms, later.page_ms - self.page_ms
        is_same_page = abs(told - by_page) <= self.within_ms + later.within_ms + 1
        return by_page if is_same_page else told


@dataclass(frozen=True, slots=True)
class FromExperiment:
    """A marker of an experiment, or what one of its trials gave.

    Attributes:
        step: number of the screen.
        at_ms: when, by the boot clock; ``None``: not known, so now.
        marker: label of the marker; empty: none.
        trial: number and kind of the trial, such as ``4 html-keyboard-response``.
        lasted_ms: how long the trial lasted.
        data: its values by name, as texts; ``None``: no answer. Empty: it is a marker alone.
        lost: names of values that are not in ``data``, or not whole.
        trouble: what the frame refused the experiment, or where it failed; empty: nothing.
    """

    step: int
    at_ms: float | None = None
    marker: str = ""
    trial: str = ""
    lasted_ms: int = 0
    data: Mapping[str, str | None] = field(default_factory=dict)
    lost: Sequence[str] = ()
    trouble: str = ""


@dataclass(slots=True)
class Pending:
    """Records that are still to be written down."""

    markers: list[Marker] = field(default_factory=list)
    reports: list[SelfReport] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    times: list[ShownTime] = field(default_factory=list)
    practice: list[tuple[Instant, Instant]] = field(default_factory=list)

    def portion(self) -> Pending:
        """Return the first of them, as many as one save takes: trials before their times."""
        part, left = Pending(), _PORTION
        for name in ("markers", "reports", "practice", "trials", "times"):
            for one in getattr(self, name):
                left -= _RECORD
                if isinstance(one, Trial):
                    left -= len(one.wording) + len(str(one.value))
                if left < 0:
                    return part
                getattr(part, name).append(one)
        return part

    def remove(self, saved: RunProgress) -> None:
        """Forget what was written down: more may have come meanwhile."""
        del self.markers[: len(saved.markers)]
        del self.reports[: len(saved.reports)]
        del self.trials[: len(saved.trials)]
        del self.times[: len(saved.times)]
        del self.practice[: len(saved.practice)]


class ProtocolState:
    """Runs while the operator wants it to (``go``) and the participant is there (``ready``).

    The condition of a screen is open while it runs, and closed while it stands still: what happens
    in a break belongs to no condition. Call ``tick`` often; each step is stamped with the moment it
    was due, not with that of the call. A call that comes more than ``LATE_S`` late means that
    nothing could be shown meanwhile: it then stands still from the last call on.

    Args:
        screens: what is shown, in order.
        at: when this is.
        step: which screen it stands at.
        spent_s: how long that one has run.
        begun: whether a screen was ever shown.
        turns: how many screens its session has shown so far.
    """

    def __init__(
        self,
        screens: tuple[Screen, ...],
        at: Instant,
        step: int = 0,
        spent_s: float = 0.0,
        *,
        begun: bool = False,
        turns: int = 0,
    ) -> None:
        self.screens = screens
        self.step_clock = StepClock(tuple(screen.seconds for screen in screens))
        self.position = Position(step, spent_s)
        self.wanted = False
        self.ready = False
        self.begun = begun or step > 0 or spent_s > 0
        self.problem = ""
        self.reports: list[Message] = []
        self.ended: str | None = None
        self.pending = Pending()
        self.answers = 0
        self.step_seq = turns
        self._shown_since: Instant | None = None
        self._practice_since: Instant | None = None
        self._due: dict[int, int] = {}
        self._on_page: FrameReport | None = None
        self._ticked = _seconds(at)
        self._from_experiment = 0
        self._declared_s = -DECLARED_S

    @property
    def awaits_last_frame(self) -> bool:
        """Tell whether the page has yet to say until when it showed the last screen."""
        return self.is_over and self._on_page is not None and self.step_seq in self._due

    @property
    def is_over(self) -> bool:
        """Tell whether the last screen was left, or it was ended before."""
        return self.ended is not None or self.step_clock.is_over(self.position)

    @property
    def is_running(self) -> bool:
        """Tell whether a screen is being shown."""
        return not self.is_over and self.position.since is not None

    @property
    def state(self) -> RunState:
        """State of the run: ended, finished, running or paused."""
        if self.ended is not None:
            return RunState.ENDED
        if self.is_over:
            return RunState.FINISHED
        if self.is_running:
            return RunState.RUNNING
        return RunState.PAUSED

    @property
    def reason(self) -> str:
        """The reason for standing still or ending, in words; empty while it runs or at its end."""
        if self.ended is not None or self.is_over or self.is_running:
            return self.ended or ""
        if self.problem:
            return self.problem
        if not self.ready:
            return N_("waiting for the participant")
        if self.wanted:
            return ""
        if not self.begun:
            return N_("ready to begin")
        return BY_HAND

    @property
    def screen(self) -> Screen | None:
        """The screen that is shown, or would be if it ran."""
        if self.is_over:
            return None
        return self.screens[self.position.step]

    def spent_s(self, now: Instant) -> float:
        """Return how long the present screen has run, in seconds."""
        since = self.position.since
        return self.position.spent + (0.0 if since is None else max(0.0, _seconds(now) - since))

    def tick(self, now: Instant) -> None:
        """Enter the steps that are due."""
        at_s = _seconds(now)
        if self.is_running and at_s - self._ticked > LATE_S:
            # From the last call on, as far as anybody knows that something was shown.
            self._stop(now.shift(self._ticked - at_s), STOOD_STILL)
        self.position, entries = self.step_clock.advance(self.position, at_s)
        for entry in entries:
            self._enter_step(entry.step, now.shift(entry.at - at_s))
        self._ticked = at_s

    def go(self, now: Instant) -> None:
        """Begin, or go on after a break, as soon as the participant is ready."""
        self.tick(now)
        self.wanted = True
        self.problem = ""
        self._run_if_ready(now)

    def pause(self, now: Instant, reason: str = BY_HAND) -> None:
        """Stand still until the operator says ``go``."""
        self.tick(now)
        self._stop(now, reason)

    def set_ready(self, now: Instant) -> None:
        """Note that the participant is there and ready."""
        self.tick(now)
        self.ready = True
        # Only the problem that being away made; one of the operator's stays.
        if self.problem == PAGE_CLOSED:
            self.problem = ""
        self._run_if_ready(now)

    def declare(self, now: Instant) -> None:
        """Note that the participant pressed: the face that leads now is theirs.

        Presses within ``DECLARED_S`` are one, and so are those between two saves.
        """
        self.tick(now)
        if _seconds(now) - self._declared_s < DECLARED_S:
            return
        if all(one.kind is not MarkerKind.DECLARED for one in self.pending.markers):
            self._declared_s = _seconds(now)
            self._add_marker(now, MarkerKind.DECLARED, "")

    def set_absent(self, now: Instant) -> None:
        """Note that the participant's page was closed, or cannot be reached."""
        self.tick(now)
        self.ready = False
        if self.is_running:
            self._halt(now, PAGE_CLOSED)
            self.problem = PAGE_CLOSED

    def skip(self, now: Instant) -> None:
        """Leave the present screen now."""
        self.tick(now)
        if self.screen is not None:
            self._add_note(now, f"skipped {self.screen.title}")
            self._leave(now)

    def repeat(self, now: Instant) -> None:
        """Begin the present screen again."""
        self.tick(now)
        screen = self.screen
        if screen is None:
            return
        self._add_note(now, f"again {screen.title}")
        if self.is_running:
            self._end_screen(now, screen)
            if screen.opens:
                self._close_condition(now, screen)
        self.position = self.step_clock.repeat(self.position, _seconds(now))
        if self.is_running:
            self._begin_screen(now, screen)
            if screen.opens:
                self._open_condition(now, screen)

    def end(self, now: Instant, reason: str) -> None:
        """End it before its end."""
        self.tick(now)
        if self.is_over:
            return
        # First, so that the open condition ends before the note.
        self._stop(now, "")
        self._add_note(now, f"ended, {reason}")
        self.ended = reason

    def answer(self, step: int, value: int | str | None, now: Instant) -> None:
        """Take the participant's answer to the question of a step.

        ``None``: they would rather not say.

        An answer to another step than the present one comes too late, and is passed over.

        Raises:
            StudyError: the scale has no such value.
        """
        self.tick(now)
        screen = self.screen
        if not self.is_running or step != self.position.step or screen is None:
            return
        kept = _answer_to(screen, value)
        if kept is None and not screen.kind.is_answered:
            return
        if kept is not None:
            self.answers += 1
            if screen.scale is not None and not screen.practice:
                report = SelfReport(now, self._last_stimulus(), screen.scale.value, kept)
                self.pending.reports.append(report)
        self._leave(now, kept if screen.question is not None else None)

    def media_ended(self, step: int, now: Instant) -> None:
        """Note that the sound or video of a step has come to its end.

        Where its length is not given, so has the step.
        """
        self.tick(now)
        if not self.is_running or step != self.position.step:
            return
        screen = self.screens[step]
        if screen.seconds is None and screen.media is not None:
            self._leave(now)

    def note_frame(self, frame: FrameReport) -> None:
        """Note the first frame of what the participant's page shows.

        It is the last one of what the page showed before. What cannot be is passed over.
        """
        before = self._on_page
        if before is not None and before.turn == frame.turn:
            return  # the same screen, told again after the connection was lost
        due = self._due.get(frame.turn or 0)
        if due is not None and not abs(frame.at_ms - due) <= _TOLERATED_MS:
            frame = replace(frame, turn=None)
        self._on_page = frame
        if before is None or before.turn is None or before.turn not in self._due:
            return
        late = before.at_ms - self._due.pop(before.turn)
        lasted = before.lasted_ms(frame)
        if lasted >= 0:
            self.pending.times.append(
                ShownTime(before.turn, late, before.within_ms, lasted, before.frame_ms)
            )

    def note_experiment(self, told: FromExperiment, now: Instant) -> None:
        """Add a marker or a trial of the experiment that is shown, and report what is not stored.

        What comes for another step than the present one comes too late: it is not stored.

        Raises:
            StudyError: the run has stored as many as it may.
        """
        self.tick(now)
        screen, since = self.screen, self._shown_since
        is_shown = self.is_running and told.step == self.position.step
        if screen is None or screen.media is not MediaKind.EXPERIMENT or since is None:
            is_shown = False
        if not is_shown:
            marker = ["marker"] if told.marker else []
            told = FromExperiment(told.step, lost=[*told.lost, *told.data, *marker])
        for name in told.lost:
            self._report(Message(N_("Not stored, or not whole: {name}"), name=name), now)
        if told.trouble:
            self._report(Message(N_("Refused or failed: {what}"), what=told.trouble), now)
        if screen is None or since is None or not (told.data or told.marker):
            return
        lengths = (len(value or "") for value in told.data.values())
        self._from_experiment += 1 + sum(1 + length // _LONG for length in lengths)
        if self._from_experiment > MOST_FROM_EXPERIMENT:
            most = MOST_FROM_EXPERIMENT
            why = N_("The experiment has sent more than {most:,} markers and values. Shorten it.")
            self._report(Message(why, most=most), now)
            raise StudyError(why, most=most)
        # Never outside of the time in which the experiment was shown.
        at_ms = now.boot_ms if told.at_ms is None else told.at_ms
        at = now.shift((min(max(at_ms, since.boot_ms), now.boot_ms) - now.boot_ms) / 1000)
        if label := _as_label(told.marker):
            label = f"{EXPERIMENT}: {label}"
            if len(label) > LABEL_LENGTH:
                self._report(Message(N_("Not stored, or not whole: {name}"), name="marker"), now)
            self._add_marker(at, MarkerKind.NOTE, label[:LABEL_LENGTH])
        if not told.data:
            return
        self.answers += 1
        self.pending.trials += [
            Trial(
                at,
                turn=self.step_seq,
                step=screen.step or self.position.step + 1,
                kind=EXPERIMENT,
                condition=self._last_stimulus(screen),
                practice=screen.practice,
                planned_ms=None,
                stood_ms=told.lasted_ms,
                question=name,
                wording=on_a_line(told.trial),
                value=None if value is None else on_a_line(value),
            )
            for name, value in told.data.items()
        ]

    def _report(self, text: Message, now: Instant) -> None:
        """Tell the operator once what of an experiment was not stored or was refused, and note it
        in the session, unless that is over.
        """
        if self.is_over:
            return
        if text not in self.reports and len(self.reports) < MOST_REPORTS:
            self.reports.append(text)
            self._add_note(now, _as_label(text))

    def media_failed(self, step: int, now: Instant) -> None:
        """Stand still, and say that the participant's page cannot show a step, or its file."""
        self.tick(now)
        if self.is_running and step == self.position.step:
            screen = self.screens[step]
            text = N_("{name}: the participant's page cannot show this kind of step")
            if screen.file:
                text = N_("{name}: the participant's browser cannot show this file")
            why = Message(text, name=screen.file or screen.shown_kind)
            self._stop(now, why[:LABEL_LENGTH])

    def _run_if_ready(self, now: Instant) -> None:
        """Run when operator and participant both want it."""
        if self.is_over or self.is_running or not (self.wanted and self.ready):
            return
        self._add_note(now, "goes on" if self.begun else "begins")
        self.begun = True
        self.position = self.step_clock.run(self.position, _seconds(now))
        screen = self.screens[self.position.step]
        self._begin_screen(now, screen)
        self._open_condition(now, screen)

    def _stop(self, now: Instant, reason: str) -> None:
        """Stand still, and stay so until somebody says ``go``."""
        self.wanted = False
        if self.is_running:
            self._halt(now, reason)
        self.problem = reason if self.begun else ""

    def _halt(self, now: Instant, reason: str) -> None:
        screen = self.screens[self.position.step]
        self._end_screen(now, screen)
        self._end_practice(now)
        self._close_condition(now, screen)
        self.position = self.step_clock.halt(self.position, _seconds(now))
        if reason:
            self._add_note(now, reason)

    def _leave(self, now: Instant, value: int | str | None = None) -> None:
        step = self.position.step
        running = self.is_running
        self.position = self.step_clock.leave(self.position, _seconds(now))
        if running:
            self._enter_step(step + 1, now, value)
        elif self.is_over:
            self._add_note(now, "finished")

    def _enter_step(self, step: int, at: Instant, value: int | str | None = None) -> None:
        """Set the markers between the screen before ``step``, answered by ``value``, and that
        one.
        """
        before = self.screens[step - 1]
        after = self.screens[step] if step < len(self.screens) else None
        self._end_screen(at, before, value)
        if after is None or not after.practice:
            self._end_practice(at)
        # A pressure screen keeps the condition of the screen before it open.
        if after is None or after.opens or after.condition != before.condition:
            self._close_condition(at, before)
            if after is not None:
                self._open_condition(at, after)
        if after is None:
            self._add_note(at, "finished")
        else:
            self._begin_screen(at, after)

    def _begin_screen(self, at: Instant, screen: Screen) -> None:
        self.step_seq += 1
        self._shown_since = at
        self._due[self.step_seq] = at.boot_ms
        if screen.practice and self._practice_since is None:
            self._practice_since = at
            self._add_note(at, "practice")

    def _end_screen(self, at: Instant, screen: Screen, value: int | str | None = None) -> None:
        since, question = self._shown_since, screen.question
        if since is None:
            return
        condition = self._last_stimulus(screen)
        self._shown_since = None
        self.pending.trials.append(
            Trial(
                since,
                turn=self.step_seq,
                step=screen.step or self.screens.index(screen) + 1,
                kind=screen.shown_kind,
                condition=condition,
                practice=screen.practice,
                planned_ms=None if screen.seconds is None else round(screen.seconds * 1000),
                stood_ms=max(0, at.boot_ms - since.boot_ms),
                question="" if question is None else question.name,
                wording="" if question is None else on_a_line(question.ask),
                value=value,
            )
        )

    def _end_practice(self, at: Instant) -> None:
        if self._practice_since is not None:
            self.pending.practice.append((self._practice_since, at))
            self._practice_since = None

    def _open_condition(self, at: Instant, screen: Screen) -> None:
        if screen.condition is None:
            return
        self._add_marker(at, MarkerKind.STIMULUS_START, screen.condition)
        if screen.kind is ScreenKind.BASELINE:
            # A millisecond later: the calibration ends where a stimulus starts, and must not end at
            # its own beginning.
            self._add_marker(at.shift(0.001), MarkerKind.BASELINE, "")

    def _close_condition(self, at: Instant, screen: Screen) -> None:
        if screen.condition is not None:
            self._add_marker(at, MarkerKind.STIMULUS_END, screen.condition)

    def _add_note(self, at: Instant, text: str) -> None:
        self._add_marker(at, MarkerKind.NOTE, f"{OF_PROTOCOL}{text}"[:LABEL_LENGTH])

    def _add_marker(self, at: Instant, kind: MarkerKind, label: str) -> None:
        self.pending.markers.append(Marker(at, kind, label))

    def _last_stimulus(self, until: Screen | None = None) -> str | None:
        """Return the label of the last stimulus before the present screen, or of ``until``."""
        if until is not None and until.kind in {ScreenKind.STIMULUS, ScreenKind.BASELINE}:
            return until.condition or until.label or None
        shown = self.screens[: self.position.step]
        stimuli = (one for one in reversed(shown) if one.kind is ScreenKind.STIMULUS)
        return next((one.condition or one.label or None for one in stimuli), None)


def _seconds(at: Instant) -> float:
    return at.boot_ms / 1000


def _as_label(text: str) -> str:
    """Return a text as a marker may have it: one that is refused would stop all that follows."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _answer_to(screen: Screen, value: int | str | None) -> int | str | None:
    """Return an answer to a screen as it is kept; ``None``: nothing is said.

    Raises:
        StudyError: the screen does not ask for such a value.
    """
    if screen.question is not None:
        return screen.question.check(value)
    if screen.scale is None or value is None:
        return None
    if screen.scale is not Scale.EMOTION:
        return whole_number(value, 1, POINTS)
    if value not in FELT:
        raise StudyError(
            N_("Answer {value!r}: choose one of {names}."),
            value=str(value)[:20],
            names=", ".join(FELT),
        )
    return value
