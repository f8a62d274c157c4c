"""The protocol that runs, with its row in the database, and how it stands at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.protocols.plan import Screen, from_json
from dashboard.protocols.state import ProtocolState
from dashboard.protocols.texts import Texts
from edge_agent.core.clock import Instant
from edge_agent.core.study import Session
from edge_agent.store.study.protocol_runs import (
    Progress,
    RunState,
    SavedRun,
)


@dataclass(frozen=True, slots=True)
class ProtocolView:
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
        step_seq: counts the screens that were shown; one that is shown again has a new number.
        start_ms: how long the present screen had run before it was shown this time.
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
    step_seq: int
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


class RunningProtocol:
    """A protocol with its row and those who show it."""

    def __init__(self, saved: SavedRun, at: Instant) -> None:
        self.saved = saved
        ran = saved.state is RunState.RUNNING
        screens, self.texts = from_json(saved.plan)
        self.state = ProtocolState(screens, at, saved.step, saved.spent_ms / 1000, begun=ran)
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
            title=self.saved.title,
            screens=state.screens,
            step=state.position.step,
            state=state.state,
            reason=state.reason,
            begun=state.begun,
            spent_ms=round(state.spent_s(at) * 1000),
            remaining_ms=None if remaining is None else round(remaining * 1000),
            present=self.open_pages > 0,
            ready=state.ready,
            answers=state.answers,
            token=self.saved.token,
            problem=self.problem,
            step_seq=state.step_seq,
            start_ms=round(state.position.spent * 1000),
            texts=self.texts,
        )

    def progress(self, at: Instant) -> Progress:
        """Return what has happened and is not written down."""
        state = self.state
        return Progress(
            step=state.position.step,
            spent_ms=round(state.spent_s(at) * 1000),
            state=state.state,
            reason=state.reason,
            at=at,
            markers=tuple(state.pending.markers),
            reports=tuple(state.pending.reports),
        )
