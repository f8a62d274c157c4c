"""Participants, sessions, markers, purposes and settings, as frozen values. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_agent.core.clock import Instant


class Purpose(StrEnum):
    """Why a session is recorded.

    Inferring emotions at work and in education is refused unless medical or safety.
    """

    RESEARCH = "research"
    MEDICAL = "medical"
    SAFETY = "safety"
    PERSONAL = "personal"
    DEMONSTRATION = "demonstration"


class SessionSetting(StrEnum):
    """Where a session takes place."""

    HOME = "home"
    LABORATORY = "laboratory"
    CLINIC = "clinic"
    WORKPLACE = "workplace"
    EDUCATION = "education"
    OTHER = "other"


def forbidden_because(purpose: Purpose, setting: SessionSetting) -> str | None:
    """Return why emotions must not be inferred for this purpose in this setting.

    ``None`` where nothing forbids it.

    Regulation (EU) 2024/1689 (AI Act), article 5(1)(f).
    """
    if setting not in {SessionSetting.WORKPLACE, SessionSetting.EDUCATION} or purpose in {
        Purpose.MEDICAL,
        Purpose.SAFETY,
    }:
        return None
    where = "at work" if setting is SessionSetting.WORKPLACE else "in education"
    return (
        f"Emotions must not be inferred {where} for the purpose {purpose.value}: in the European "
        "Union that is forbidden at work and in education except for medical or safety reasons "
        "(AI Act, article 5(1)(f)). Who depends on an employer or a school cannot freely say no."
    )


class MarkerKind(StrEnum):
    """What happened at a marker."""

    STIMULUS_START = "stimulus_start"
    STIMULUS_END = "stimulus_end"
    BASELINE = "baseline"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Marker:
    """An instant in a session.

    A stimulus start opens the condition that it names. A baseline says that the participant, asked
    to do so, looks neutral from here for 20 s.
    """

    at: Instant
    kind: MarkerKind
    label: str
    session: int | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Participant:
    """A pseudonymous code, never a name."""

    id: int
    code: str
    created_ms: int
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A named interval of the timeline with one participant, purpose and consent.

    ``end_ms`` is ``None`` while open. ``origin`` says where a session comes from that was not
    recorded here as it happened: ``entered``, or the import; empty for all others.
    """

    id: int
    participant: str
    purpose: Purpose
    name: str
    start_ms: int
    end_ms: int | None
    simulated: bool = False
    setting: SessionSetting = SessionSetting.OTHER
    origin: str = ""
