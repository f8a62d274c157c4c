"""Evaluates what was recorded of a session. Pure.

Each check says what was found, what is wanted, and what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from edge_agent.core.expression import RejectReason
from edge_agent.core.vitals import VitalKind
from edge_agent.store.quality.report import (
    Check,
    Level,
    Measures,
    Recorded,
    SessionQuality,
    Thresholds,
    VitalQuality,
    measure,
)

_LIGHT = (RejectReason.TOO_DARK, RejectReason.TOO_BRIGHT)
_CURES_OF_FACE = {
    RejectReason.TOO_DARK: "Most was lost to darkness: put a lamp in front of the participant, "
    "not behind them.",
    RejectReason.TOO_BRIGHT: "Most was lost to glare: close the blinds, or turn the lamp away "
    "from the face.",
    RejectReason.BLURRED: "Most was lost to blur: clean and focus the camera, and give it more "
    "light.",
    RejectReason.TURNED_AWAY: "Most was lost to a turned head: put the camera on top of what the "
    "participant looks at.",
    RejectReason.CUT_OFF: "Most was lost at the edge of the picture: turn the camera towards the "
    "participant.",
    RejectReason.COVERED: "Most was lost because something covered the face: ask the participant "
    "to take off mask and dark glasses, and to keep hands and hair away from mouth and eyes.",
    RejectReason.TOO_SMALL: "Most was lost to distance: move the camera nearer.",
    "no_face": "Most was lost because no face was in the picture: aim the camera, and fix the "
    "chair.",
    "stalled": "Most was lost because the camera stopped: see the health page, and `affect-edge "
    "doctor`.",
    "agent_stopped": "Most was lost because the agent did not run: look for a loose plug or a weak "
    "power supply, and update or restart between sessions only.",
    "not_written": "Most was lost because it could not be written: free some space, or use a "
    "faster disk.",
}


def evaluate(recorded: Recorded, thresholds: Thresholds | None = None) -> SessionQuality:
    """Return the quality report of a session.

    Args:
        recorded: what the timeline holds of it.
        thresholds: what is asked for; ``None`` is the usual.
    """
    bars = thresholds or Thresholds()
    measures = measure(recorded)
    checks = (
        _conditions(recorded, measures),
        _face(measures, bars),
        _readings(measures, bars),
        _clock(measures),
        *_streams(measures, bars),
        _unmatched(measures, bars),
        _flagged(measures, bars),
        _light(measures, bars),
        _frames(measures, bars),
    )
    session = recorded.session
    level = max((check.level for check in checks), key=list(Level).index)
    return SessionQuality(
        session=session.id,
        participant=session.participant,
        start_ms=session.start_ms,
        end_ms=session.end_ms,
        level=level,
        sentence=_sentence(level, checks),
        checks=checks,
        measures=measures,
        thresholds=bars,
    )


def _sentence(level: Level, checks: Sequence[Check]) -> str:
    names = [check.name for check in checks if check.level is level]
    match level:
        case Level.GOOD:
            return (
                "This session is fit for analysis: everything that was looked at is as it "
                "should be."
            )
        case Level.CARE:
            return (
                f"This session is fit for analysis, with care: look at {_listed(names)}, and "
                "report it."
            )
        case Level.BAD:
            return f"This session is not fit for analysis because of {_listed(names)}."


def _conditions(recorded: Recorded, measures: Measures) -> Check:
    name = "conditions"
    conditions = len(measures.conditions)
    if not conditions:
        return Check(
            name,
            Level.BAD,
            "No condition is marked, so that nothing can be compared.",
            "Mark the start and end of each stimulus on the live page, or let a protocol do it.",
        )
    message = f"{conditions} {'condition is' if conditions == 1 else 'conditions are'} marked."
    if recorded.session.end_ms is None:
        return Check(
            name,
            Level.CARE,
            f"{message} The session is still open.",
            "Look again once it has ended.",
        )
    return Check(name, Level.GOOD, message)


def _face(measures: Measures, bars: Thresholds) -> Check:
    name = "the face"
    share = measures.face_share or 0.0
    message = (
        f"The face was read in {share:.0%} of the condition time; {bars.face_share:.0%} is wanted."
    )
    poor = [
        c.label
        for c in measures.conditions
        if c.face_share is not None and c.face_share < bars.face_share
    ]
    if poor:
        message += f" Less under {_listed(dict.fromkeys(poor))}."
    if share < bars.face_share:
        return Check(name, Level.BAD, message, _cure_of_face(measures))
    if poor:
        return Check(name, Level.CARE, message, _cure_of_face(measures))
    return Check(name, Level.GOOD, message)


def _cure_of_face(measures: Measures) -> str:
    """Name what took most of the time."""
    lost: Counter[str] = Counter(
        {reason: round(seconds) for reason, seconds in measures.lost_s.items()}
    )
    for gap in measures.gaps:
        if gap.source == "camera":
            lost["no_face" if gap.reason == "no_face" else "stalled"] += round(gap.seconds)
        elif gap.reason in {"agent_stopped", "not_written"}:
            lost[gap.reason] += round(gap.seconds)
    worst = lost.most_common(1)
    if not worst or not worst[0][1]:
        return (
            "Record with the camera running and the participant in front of it during every "
            "condition."
        )
    return _CURES_OF_FACE[worst[0][0]]


def _readings(measures: Measures, bars: Thresholds) -> Check:
    name = "readings"
    kinds = [vital.kind for vital in measures.vitals if vital.kind is not VitalKind.RR_INTERVAL]
    if not kinds:
        return Check(
            name,
            Level.BAD,
            "There is no reading of heart rate or blood pressure.",
            "Connect a strap or cuff, or import its readings, and look at the live page before the "
            "first condition.",
        )
    counts: dict[str, Counter[VitalKind]] = {}
    for condition in measures.conditions:
        counts.setdefault(condition.label, Counter()).update(condition.readings)
    missing = [
        f"{kind.spec.name_in_text} under {label}"
        for label, of_kind in counts.items()
        for kind in kinds
        if of_kind[kind] < bars.readings
    ]
    wanted = f"at least {bars.readings} usable of each kind under each condition"
    if missing:
        cure = "Wet the strap's electrodes; press the cuff's button while the condition lasts."
        return Check(name, Level.BAD, f"Missing: {_listed(missing)}; wanted: {wanted}.", cure)
    return Check(
        name,
        Level.GOOD,
        f"There are readings of {_listed(k.spec.name_in_text for k in kinds)}: {wanted}.",
    )


def _clock(measures: Measures) -> Check:
    name = "the clock"
    jumps = [event for event in measures.clock if event.jump_s is not None]
    starts = len(measures.clock) - len(jumps)
    if jumps:
        by = _listed(f"{event.jump_s:+.0f} s" for event in jumps)
        cure = (
            "Let the machine set its clock (network, or a clock module) before the session starts."
        )
        return Check(
            name,
            Level.BAD,
            f"The clock jumped during the session: {by}. Times do not fit together.",
            cure,
        )
    if starts:
        cure = "Look for a loose plug or a weak power supply; the health page names under-voltage."
        return Check(
            name, Level.CARE, f"The machine was started anew during the session ({starts}×).", cure
        )
    if measures.synchronised is False:
        cure = (
            "Within the session times agree; join them with other machines only after the "
            "clock was set."
        )
        return Check(name, Level.CARE, "The network had not set the clock.", cure)
    return Check(name, Level.GOOD, "The clock did not jump.")


def _streams(measures: Measures, bars: Thresholds) -> Iterable[Check]:
    for vital in measures.vitals:
        if vital.share is None or not vital.kind.spec.tested:
            continue
        name = f"the course of {vital.kind.spec.name_in_text}"
        message = (
            f"{vital.kind.spec.label} is there in {vital.share:.0%} of the condition time; "
            f"{bars.stream_share:.0%} is wanted."
        )
        if vital.share < bars.stream_share:
            yield Check(
                name,
                Level.CARE,
                message,
                "Wet the electrodes, tighten the strap, keep it within 5 m.",
            )
        else:
            yield Check(name, Level.GOOD, message)


def _unmatched(measures: Measures, bars: Thresholds) -> Check:
    name = "unmatched readings"
    worst, share = _worst(
        measures, lambda v: v.unmatched, lambda v: v.matched + v.unmatched + v.ambiguous
    )
    if worst is None:
        return Check(name, Level.GOOD, "There was nothing to match.")
    message = (
        f"Before {share:.0%} of the readings of {worst.spec.name_in_text} no face was read; "
        f"at most {bars.unmatched_share:.0%} is wanted."
    )
    if share > bars.unmatched_share:
        cure = "Compare by condition instead of by observed emotion, or see to the face (above)."
        return Check(name, Level.CARE, message, cure)
    return Check(name, Level.GOOD, message)


def _flagged(measures: Measures, bars: Thresholds) -> Check:
    name = "flagged readings"
    worst, share = _worst(measures, lambda v: v.flagged, lambda v: v.usable + v.flagged)
    if worst is None:
        return Check(name, Level.GOOD, "There was nothing to flag.")
    message = (
        f"{share:.0%} of the readings of {worst.spec.name_in_text} are flagged; at most "
        f"{bars.flagged_share:.0%} is wanted."
    )
    if share > bars.flagged_share:
        cure = (
            "Fit strap or cuff anew, and let the participant sit still; see the flags in the "
            "export."
        )
        return Check(name, Level.CARE, message, cure)
    return Check(name, Level.GOOD, message)


def _light(measures: Measures, bars: Thresholds) -> Check:
    name = "light"
    frames = measures.frames
    if not frames.seen:
        return Check(name, Level.GOOD, "No frame of the face to judge the light by.")
    dark, bright = (frames.unfit.get(flaw, 0) / frames.seen for flaw in _LIGHT)
    message = (
        f"{dark:.0%} of the frames were too dark and {bright:.0%} too bright; at most "
        f"{bars.light_share:.0%} is wanted."
    )
    if dark + bright > bars.light_share:
        return Check(
            name,
            Level.CARE,
            message,
            _CURES_OF_FACE[_LIGHT[dark < bright]].split(": ", 1)[1].capitalize(),
        )
    return Check(name, Level.GOOD, message)


def _frames(measures: Measures, bars: Thresholds) -> Check:
    name = "frames"
    rate = measures.frame_rate
    if rate is None:
        return Check(name, Level.GOOD, "No recorded interval to count frames in.")
    message = (
        f"{rate.median_per_s:.1f} frames per second; {rate.slow_share:.0%} of the time less than "
        f"half of that, at most {bars.slow_share:.0%} is wanted."
    )
    if rate.slow_share > bars.slow_share:
        return Check(
            name,
            Level.CARE,
            message,
            "Look for heat, under-voltage or other programs on the health page.",
        )
    return Check(name, Level.GOOD, message)


def _listed(names: Iterable[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    *first, last = names
    if first:
        return f"{', '.join(first)} and {last}"
    return last


def _worst(
    measures: Measures, part: Callable[[VitalQuality], int], whole: Callable[[VitalQuality], int]
) -> tuple[VitalKind | None, float]:
    """Return the kind with the largest share, and that share."""
    shares = [(part(v) / whole(v), v.kind) for v in measures.vitals if whole(v)]
    share, kind = max(shares, key=lambda each: each[0], default=(0.0, None))
    return kind, share
