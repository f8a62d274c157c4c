"""The quality report of a session: what was recorded, and whether it is fit for analysis.

Each check says what was found, what is wanted, and what to do.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from edge_agent.core.errors import CameraReason
from edge_agent.core.expression import Emotion, RejectReason
from edge_agent.core.movements import TURNED_AWAY_DEGREES
from edge_agent.core.own_neutral import BaselineRefusal, OwnNeutralState
from edge_agent.core.readings import STARTING, STOPPED
from edge_agent.core.study import exact_since_start
from edge_agent.core.texts import N_, Message, as_message, join_list
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read import quality
from edge_agent.timeline.read.faces_in_view import in_words
from edge_agent.timeline.read.matching import Matching
from edge_agent.timeline.read.observed import match, read_face_labels
from edge_agent.timeline.read.quality import (
    CAMERA,
    Check,
    Meant,
    MeasuredSession,
    Measures,
    QualityLevel,
    Thresholds,
    seconds_covered,
)
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sessions import BASELINE_LABEL
from edge_agent.timeline.study.exclusions import Exclusion
from edge_agent.timeline.study.own_neutral import OwnNeutral, own_neutrals

CURES_OF_FACE = {
    RejectReason.TOO_DARK: N_(
        "Most was lost to darkness: put a lamp in front of the participant, not behind them."
    ),
    RejectReason.TOO_BRIGHT: N_(
        "Most was lost to glare: close the blinds, or turn the lamp away from the face."
    ),
    RejectReason.BLURRED: N_(
        "Most was lost to blur: clean and focus the camera, and give it more light."
    ),
    RejectReason.TURNED_AWAY: N_(
        "Most was lost because the head was turned away: put the camera on top of what the "
        "participant looks at."
    ),
    RejectReason.CUT_OFF: N_(
        "Most was lost at the edge of the picture: turn the camera towards the participant."
    ),
    RejectReason.COVERED: N_(
        "Most was lost because something covered the face: ask the participant "
        "to take off mask and dark glasses, and to keep hands and hair away from mouth and eyes."
    ),
    RejectReason.TOO_SMALL: N_("Most was lost to distance: move the camera nearer."),
    "no_face": N_(
        "Most was lost because no face was in the picture: aim the camera, and fix the chair."
    ),
    "stalled": N_(
        "Most was lost because the camera stopped: see the health page, and run `affect-edge "
        "doctor`."
    ),
    CameraReason.STANDS_STILL: N_(
        "Most was lost because the camera sent one picture again and again: restart it, or what "
        "passes its pictures on."
    ),
    CameraReason.LENS_COVERED: N_(
        "Most was lost because the picture had nothing but one colour: uncover the lens, or switch "
        "on a light."
    ),
    "switched_off": N_(
        "Most was lost because the camera was switched off: turn it on before the session."
    ),
    STARTING: N_(
        "Most was lost while the camera was starting: begin when the live page shows the face."
    ),
    STOPPED: N_(
        "Most was lost because agent or machine stood still: keep the machine from sleeping, and "
        "end other programs before the session."
    ),
    "agent_stopped": N_(
        "Most was lost because the agent did not run: look for a loose plug or a weak "
        "power supply, and update or restart between sessions only."
    ),
    "not_written": N_(
        "Most was lost because it could not be written: free some space, or use a faster disk."
    ),
}


REFUSALS = {
    BaselineRefusal.SHORT: N_("the baseline lasted less than 10 s"),
    BaselineRefusal.FEW_FACES: N_("the face was read in too little of it"),
    BaselineRefusal.TURNED_AWAY: N_("the head was turned away"),
    BaselineRefusal.SMILING: N_("the participant smiled"),
    BaselineRefusal.RESTLESS: N_("the expression changed too much"),
    BaselineRefusal.NOT_NEUTRAL: N_("the face showed another expression too clearly"),
}


CURES_OF_LIGHT = {
    RejectReason.TOO_DARK: N_("Put a lamp in front of the participant, not behind them."),
    RejectReason.TOO_BRIGHT: N_("Close the blinds, or turn the lamp away from the face."),
}


_SHORTEST_MS = 1000
"""A shorter condition holds no reading of any sensor."""
_LIGHT = (RejectReason.TOO_DARK, RejectReason.TOO_BRIGHT)


def _sentence(level: QualityLevel, checks: Sequence[Check]) -> str:
    # In the order of the checks, so that the sentence names them as the list does.
    names = [_message(check.name) for check in checks if check.level is level]
    match level:
        case QualityLevel.GOOD:
            return N_("This session is fit for analysis. All checks passed.")
        case QualityLevel.UNMARKED:
            return N_("No conditions: shown by day, not tested.")
        case QualityLevel.CARE:
            return Message(
                N_("This session is fit for analysis, with care: check {checks}, and report it."),
                checks=join_list(names),
            )
        case QualityLevel.BAD:
            return Message(
                N_("This session is not fit for analysis because of {checks}."),
                checks=join_list(names),
            )


def _analysis_sentence(level: QualityLevel, excluded: Sequence[Exclusion]) -> str:
    """Say what the analysis does with a session that is not fit."""
    if level is not QualityLevel.BAD:
        return ""
    if any(one.span is None for one in excluded):
        return N_("The analysis does not use it, because somebody left it out.")
    return N_("The analysis uses its usable readings all the same, unless somebody leaves it out.")


def _declared_states(connection: sqlite3.Connection) -> frozenset[str] | None:
    """Return the labels that the newest preregistration compares by condition, in lower case;
    ``None`` without one.
    """
    row = connection.execute(
        "SELECT document FROM preregistration ORDER BY id DESC LIMIT 1"
    ).fetchone()
    try:
        question = json.loads(row[0])["question"] if row else {}
        if question.get("state", "condition") != "condition":
            return None
        return frozenset(label.strip().casefold() for label in question["states"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _at_most_care(check: Check) -> Check:
    """Return a check of a session in which nothing is tested, such as of a clock that jumped."""
    return replace(check, level=QualityLevel.CARE) if check.level is QualityLevel.BAD else check


def _check_conditions(recorded: MeasuredSession, measures: Measures) -> Check:
    name = N_("conditions")
    conditions = len(measures.conditions)
    if not conditions:
        return Check(
            name,
            QualityLevel.UNMARKED,
            N_("No condition is marked, so nothing is compared."),
            N_(
                "For a test, mark the start and end of each stimulus on the live page, or let a "
                "protocol do it."
            ),
        )
    message = Message(N_("{n} conditions are marked."), n=conditions)
    if conditions == 1:
        message = Message(N_("1 condition is marked."))
    is_open = recorded.session.end_ms is None
    # The condition of an open session may have begun just now.
    short = [one.label for one in measures.conditions if one.end_ms - one.start_ms < _SHORTEST_MS]
    if short and not is_open:
        return Check(
            name,
            QualityLevel.BAD,
            Message(
                N_("{message} Less than a second long: {conditions}."),
                message=message,
                conditions=join_list(dict.fromkeys(short)),
            ),
            N_(
                "Correct the times of the markers. A spreadsheet drops the seconds that it does "
                "not show."
            ),
        )
    if is_open:
        message = Message(N_("{message} The session is still open."), message=message)
    return _check(name, is_open, message, N_("Check again once it has ended."))


def _check_face(recorded: MeasuredSession, measures: Measures, bars: Thresholds) -> Check:
    name = N_("the face")
    if Meant.FACE not in recorded.meant:
        text = N_("No camera spoke during the session: the face was not measured.")
        cure = N_("To measure it, turn the camera on before the session.")
        return Check(name, QualityLevel.UNMARKED, text, cure)
    share = measures.face_share or 0.0
    if not measures.conditions:
        text = N_("The face was read in {share:.0%} of the session.")
        return Check(name, QualityLevel.UNMARKED, Message(text, share=share))
    message = Message(
        N_(
            "The face was read in {share:.0%} of the condition time; at least {wanted:.0%} is "
            "needed."
        ),
        share=share,
        wanted=bars.face_share,
    )
    # The mean may be good while one condition has almost no face.
    shares = [(one.label, one.face_share) for one in measures.conditions]
    poor = [label for label, read in shares if read is not None and read < bars.face_share]
    if poor:
        message = Message(
            N_("{message} Less under {conditions}."),
            message=message,
            conditions=join_list(map(_state, dict.fromkeys(poor))),
        )
    if share < bars.face_share:
        return Check(name, QualityLevel.BAD, message, _cure_of_face(measures))
    return _check(name, bool(poor), message, _cure_of_face(measures))


def _cure_of_face(measures: Measures) -> str:
    """Return advice on the most frequent reason for which the face was not read."""
    # Whole seconds: a reason of less than half a second must not be named.
    lost: Counter[str] = Counter(
        {reason: round(seconds) for reason, seconds in measures.lost_s.items()}
    )
    for gap in measures.gaps:
        if gap.source == CAMERA:
            known = gap.reason in CURES_OF_FACE
            lost[gap.reason if known else "stalled"] += round(gap.seconds)
        elif gap.reason in {"agent_stopped", "not_written"}:
            lost[gap.reason] += round(gap.seconds)
    worst = lost.most_common(1)
    if not worst or not worst[0][1]:
        return N_(
            "Record with the camera running and the participant in front of it during every "
            "condition."
        )
    return CURES_OF_FACE[worst[0][0]]


def _check_readings(recorded: MeasuredSession, measures: Measures, bars: Thresholds) -> Check:
    name = "readings"
    # A strap that sends intervals sends the rate as well, which is asked for.
    kinds = [vital.kind for vital in measures.vitals if vital.kind is not VitalKind.RR_INTERVAL]
    if not kinds:
        is_missing = measures.conditions and Meant.READINGS in recorded.meant
        return Check(
            name,
            QualityLevel.BAD if is_missing else QualityLevel.UNMARKED,
            N_("There is no reading of heart rate or blood pressure."),
            N_(
                "Connect a strap or cuff, or import its readings, and look at the live page before "
                "the first condition."
            ),
        )
    vitals = join_list(_vital(kind) for kind in kinds)
    if not measures.conditions:
        return Check(
            name, QualityLevel.GOOD, Message(N_("There are readings of {vitals}."), vitals=vitals)
        )
    counts: dict[str, Counter[VitalKind]] = {}
    for condition in measures.conditions:
        # A condition may be shown several times: its readings are added up.
        counts.setdefault(condition.label, Counter()).update(condition.readings)
    wanted = _tested_of(recorded, counts)
    # Conditions that lack the same kinds are named together.
    missing: dict[tuple[VitalKind, ...], list[str]] = {}
    for label, of_kind in counts.items():
        if label in wanted and (
            lacking := tuple(kind for kind in kinds if of_kind[kind] < bars.readings)
        ):
            missing.setdefault(lacking, []).append(label)
    if missing:
        text = N_(
            "Missing: {missing}; needed: at least {wanted} usable readings of each kind under each "
            "condition that is compared."
        )
        if bars.readings == 1:
            text = N_(
                "Missing: {missing}; needed: a usable reading of each kind under each condition "
                "that is compared."
            )
        named = [
            Message(
                N_("{vitals} under {conditions}"),
                vitals=join_list(map(_vital, lacking)),
                conditions=join_list(map(_state, labels)),
            )
            for lacking, labels in missing.items()
        ]
        message = Message(text, missing=join_list(named), wanted=bars.readings)
        cure = N_("Wet the strap's electrodes; press the cuff's button while the condition lasts.")
        return Check(name, QualityLevel.BAD, message, cure)
    text = N_(
        "There are readings of {vitals}: at least {wanted} usable readings of each kind under each "
        "condition."
    )
    if bars.readings == 1:
        text = N_(
            "There are readings of {vitals}: a usable reading of each kind under each condition."
        )
    if not wanted:
        text = N_("There are readings of {vitals}.")
    elif len(wanted) < len(counts):
        text = N_(
            "There are readings of {vitals}: at least {wanted} usable readings of each kind under "
            "each condition that is compared ({conditions})."
        )
        if bars.readings == 1:
            text = N_(
                "There are readings of {vitals}: a usable reading of each kind under each "
                "condition that is compared ({conditions})."
            )
    message = Message(
        text, vitals=vitals, wanted=bars.readings, conditions=join_list(map(_state, wanted))
    )
    return Check(name, QualityLevel.GOOD, _with_rest(message, counts, kinds))


def _tested_of(recorded: MeasuredSession, labels: Iterable[str]) -> tuple[str, ...]:
    """Return which labels are compared: those declared, else all but the baseline, which is there
    to be taken away.
    """
    names = {label: label.strip().casefold() for label in labels}
    declared = recorded.tested or frozenset()
    compared = tuple(label for label, name in names.items() if name in declared)
    return compared or tuple(label for label, name in names.items() if name != BASELINE_LABEL)


def _with_rest(
    message: Message, counts: Mapping[str, Counter[VitalKind]], kinds: Sequence[VitalKind]
) -> Message:
    """Add which kinds the baseline has no reading of: only changes from it need one."""
    rests = [own for label, own in counts.items() if label.strip().casefold() == BASELINE_LABEL]
    lacking = [kind for kind in kinds if rests and not any(own[kind] for own in rests)]
    if not lacking:
        return message
    return Message(
        N_(
            "{message} There is none of {vitals} in the baseline: where changes from it are "
            "compared, this session is left out for them."
        ),
        message=message,
        vitals=join_list(map(_vital, lacking)),
    )


def _check_clock(recorded: MeasuredSession, measures: Measures) -> Check:
    name = N_("the clock")
    if recorded.session.has_made_up_times:
        return Check(
            name,
            QualityLevel.CARE,
            N_("The times of this session are made up, because its table told none."),
            N_("Use its means by condition; order, course and dates mean nothing."),
        )
    jumps = [event for event in measures.clock if event.jump_s is not None]
    starts = len(measures.clock) - len(jumps)
    if jumps:
        message = Message(
            N_(
                "The clock jumped during the session: {jumps}. Times before and after do not match."
            ),
            jumps=join_list(f"{event.jump_s:+.0f} s" for event in jumps),
        )
        cure = N_(
            "Let the machine set its clock (network, or a clock module) before the session starts."
        )
        return Check(name, QualityLevel.BAD, message, cure)
    if starts:
        cure = N_(
            "Look for a loose plug or a weak power supply; the health page shows under-voltage."
        )
        message = Message(N_("The machine was restarted during the session ({n}×)."), n=starts)
        return Check(name, QualityLevel.CARE, message, cure)
    if measures.synchronised is False:
        cure = N_(
            "Times agree within the session; combine them with other machines’ times only after "
            "the clock was set."
        )
        return Check(name, QualityLevel.CARE, N_("The network had not set the clock."), cure)
    return Check(name, QualityLevel.GOOD, N_("The clock did not jump."))


def _check_streams(measures: Measures, bars: Thresholds) -> Iterable[Check]:
    for vital in measures.vitals:
        # ``None``: a cuff has no course that could have gaps.
        if vital.share is None or not vital.kind.spec.tested:
            continue
        name = Message(N_("the course of {vital}"), vital=_vital(vital.kind))
        if not measures.conditions:
            text = N_("{vital} was recorded in {share:.0%} of the session.")
            of_all = Message(text, vital=_message(vital.kind.spec.label), share=vital.share)
            yield Check(name, QualityLevel.UNMARKED, of_all)
            continue
        message = Message(
            N_(
                "{vital} was recorded in {share:.0%} of the condition time; at least "
                "{wanted:.0%} is needed."
            ),
            vital=_message(vital.kind.spec.label),
            share=vital.share,
            wanted=bars.stream_share,
        )
        cure = N_(
            "Wet the electrodes, tighten the strap, keep it within 5 m. If it drops out beside "
            "Wi-Fi, which shares its radio: use an Ethernet cable, Wi-Fi at 5 GHz or a Bluetooth "
            "dongle."
        )
        yield _check(name, vital.share < bars.stream_share, message, cure)


def _check_unmatched(measures: Measures, bars: Thresholds) -> Check:
    name = N_("unmatched readings")
    worst, share = _worst(
        measures, lambda v: v.unmatched, lambda v: v.matched + v.unmatched + v.ambiguous
    )
    if worst is None:
        return Check(name, QualityLevel.GOOD, N_("There was nothing to match."))
    message = Message(
        N_(
            "No face was read before {share:.0%} of the readings of {vital}; at most {most:.0%} "
            "is acceptable."
        ),
        share=share,
        vital=_vital(worst),
        most=bars.unmatched_share,
    )
    cure = N_(
        "Compare by condition instead of by observed emotion, or improve the picture of the "
        "face (above)."
    )
    return _check(name, share > bars.unmatched_share, message, cure)


def _check_flagged(measures: Measures, bars: Thresholds) -> Check:
    name = N_("flagged readings")
    worst, share = _worst(measures, lambda v: v.flagged, lambda v: v.usable + v.flagged)
    if worst is None:
        return Check(name, QualityLevel.GOOD, N_("There was nothing to flag."))
    message = Message(
        N_("{share:.0%} of the readings of {vital} are flagged; at most {most:.0%} is acceptable."),
        share=share,
        vital=_vital(worst),
        most=bars.flagged_share,
    )
    cure = N_(
        "Refit the strap or cuff, and ask the participant to sit still; see the flags in the "
        "export."
    )
    return _check(name, share > bars.flagged_share, message, cure)


def _check_light(measures: Measures, bars: Thresholds) -> Check:
    name = N_("light")
    frames = measures.frames
    if not frames.seen:
        return Check(
            name, QualityLevel.GOOD, N_("There is no frame of the face to judge the light.")
        )
    dark, bright = (frames.unfit.get(flaw, 0) / frames.seen for flaw in _LIGHT)
    message = Message(
        N_(
            "{dark:.0%} of the frames were too dark and {bright:.0%} too bright; at most "
            "{most:.0%} is acceptable."
        ),
        dark=dark,
        bright=bright,
        most=bars.light_share,
    )
    cure = CURES_OF_LIGHT[_LIGHT[dark < bright]]
    return _check(name, dark + bright > bars.light_share, message, cure)


def _check_frames(measures: Measures, bars: Thresholds) -> Check:
    name = N_("frames")
    rate = measures.frame_rate
    if rate is None:
        return Check(
            name, QualityLevel.GOOD, N_("There is no recorded interval in which to count frames.")
        )
    message = Message(
        N_(
            "{rate:.1f} frames per second; less than half of that for {share:.0%} of the time, "
            "at most {most:.0%} is acceptable."
        ),
        rate=rate.median_per_s,
        share=rate.slow_share,
        most=bars.slow_share,
    )
    cure = N_("Look for heat, under-voltage or other programs on the health page.")
    return _check(name, rate.slow_share > bars.slow_share, message, cure)


def _check_turned_away(measures: Measures, bars: Thresholds) -> Check:
    name = N_("head turned away")
    share = measures.turned_away_share
    if share is None:
        return Check(name, QualityLevel.GOOD, N_("No pose of the head was recorded."))
    message = Message(
        N_(
            "The head was turned away by more than {degrees}° in {share:.0%} of the intervals with "
            "a pose; at most {most:.0%} is acceptable."
        ),
        degrees=round(TURNED_AWAY_DEGREES),
        share=share,
        most=bars.turned_away_share,
    )
    cure = N_(
        "Expressions of a turned head are read less well: put the camera on top of what the "
        "participant looks at, and their chair in front of it."
    )
    return _check(name, share > bars.turned_away_share, message, cure)


def _check_motion(measures: Measures, bars: Thresholds) -> Iterator[Check]:
    """Yield how much the wearer of a sensor moved, where that was recorded."""
    moved = {one.label: one.motion_mg for one in measures.conditions if one.motion_mg is not None}
    mg = max(moved.values(), default=measures.motion_mg)
    if mg is None:
        return
    if moved:
        text = N_(
            "The wearer moved most in {state}: {mg:.1f} mg on average; at most {most:.0f} mg is "
            "acceptable."
        )
    else:
        text = N_("The wearer moved: {mg:.1f} mg on average; at most {most:.0f} mg is acceptable.")
    state = _state(max(moved, key=lambda label: moved[label], default=""))
    message = Message(text, mg=mg, state=state, most=bars.motion_mg)
    cure = N_(
        "Movement changes the heart rate and disturbs sensors: ask the participant to sit still, "
        "and do not compare conditions in which they moved differently."
    )
    yield _check(N_("motion of the wearer"), mg > bars.motion_mg, message, cure)


def _check_whose_face(
    recorded: MeasuredSession, measures: Measures, bars: Thresholds
) -> Iterator[Check]:
    """Yield whether it may have been another person's face, where one was seen."""
    faces = measures.faces
    sentence = in_words(faces)
    if not sentence:
        return
    name = N_("whose face it is")
    cure = N_(
        "Nobody is recognised. Let nobody else be in view, ask for evidence (vision.whose), press "
        "where it is lacking, and leave out stretches that are not the participant's."
    )
    if faces.unknown is not None:
        yield Check(name, QualityLevel.UNMARKED, sentence, cure)
        return
    hours = (recorded.end_ms - recorded.session.start_ms) / 3_600_000
    with_face_s = seconds_covered(recorded.face)
    is_often = faces.breaks > bars.face_breaks * max(hours, 1.0)
    is_long = (faces.several_s or 0.0) > bars.several_faces_share * with_face_s
    followed_s = with_face_s + faces.not_known_s
    is_unknown = faces.not_known_s > bars.several_faces_share * followed_s
    yield _check(name, is_often or is_long or is_unknown, as_message(sentence), cure)


def _check_own_neutral(own: OwnNeutral | None, start_ms: int) -> Iterator[Check]:
    """Yield the state of the own neutral, where the session asked for it."""
    if own is None or own.state is OwnNeutralState.OFF:
        return
    name = N_("own neutral")
    cure = N_(
        "Set a baseline marker, or let a protocol do it, while the participant looks at the camera "
        "with a resting face for 20 s, and no stimulus begins."
    )
    if own.baseline is None:
        text = N_("Not calibrated: no baseline of the session has ended.")
        yield Check(name, QualityLevel.CARE, text, cure)
        return
    first, last = (exact_since_start(at - start_ms) for at in own.baseline)
    judged = {"first": first, "last": last, "seconds": own.seconds}
    if own.applied is None or own.shift is None:
        why = _message(REFUSALS[own.reason]) if own.reason is not None else ""
        text = N_(
            "Not calibrated by the baseline from {first} to {last} since the start (face read in "
            "{seconds} s): {why}."
        )
        yield Check(name, QualityLevel.CARE, Message(text, why=why, **judged), cure)
        return
    text = N_(
        "Calibrated by the baseline from {first} to {last} since the start (face read in {seconds} "
        "s). From {applied} on, the logit of neutral is shifted by {shift:+.2f}."
    )
    applied = exact_since_start(own.applied[0] - start_ms)
    calibrated = Message(text, applied=applied, shift=own.shift, **judged)
    if not own.has_ended:
        yield Check(name, QualityLevel.GOOD, calibrated)
        return
    ended = N_(
        "{calibrated} At {until} another model or prior began to read the face: no shift since."
    )
    until = exact_since_start(own.applied[1] - start_ms)
    cure = N_("Do not change model or prior in a session.")
    yield Check(name, QualityLevel.CARE, Message(ended, calibrated=calibrated, until=until), cure)


def _check(name: str, needs_care: bool, message: Message, cure: str) -> Check:
    """Return a check with level ``care`` and its cure, or with level ``good``."""
    if needs_care:
        return Check(name, QualityLevel.CARE, message, cure)
    return Check(name, QualityLevel.GOOD, message)


def _message(text: str) -> Message:
    """Return a name as a translatable message."""
    if isinstance(text, Message):
        return text
    return Message(text)


def _state(label: str) -> str:
    """Return a condition; one that is named like an emotion as a translatable message."""
    return Message(label) if label in tuple(Emotion) else label


def _vital(kind: VitalKind) -> Message:
    return Message(kind.spec.name_in_text)


def _worst(
    measures: Measures,
    part: Callable[[quality.VitalQuality], int],
    whole: Callable[[quality.VitalQuality], int],
) -> tuple[VitalKind | None, float]:
    """Return the kind with the largest share, and that share."""
    shares = [(part(v) / whole(v), v.kind) for v in measures.vitals if whole(v)]
    share, kind = max(shares, key=lambda each: each[0], default=(0.0, None))
    return kind, share


def session_quality(
    reader: Reader, session: int, thresholds: Thresholds | None = None
) -> quality.SessionQuality:
    """Return the quality report of a session.

    Args:
        reader: of the timeline.
        session: its number.
        thresholds: what the session must reach; ``None`` takes the defaults.

    Raises:
        StudyError: there is no such session.
    """
    recorded_session, end = reader.session(session)
    start = recorded_session.start_ms
    with reader.connect() as connection:
        face = quality.read_face_spans(connection, start, end)
        counts = quality.read_frame_counts(connection, start, end)
        turned_away = quality.read_turned_away_share(connection, start, end)
        lost = quality.read_lost_seconds(connection, start, end)
        estimates = quality.read_estimates(connection, start, end)
        events, synchronised = quality.read_clock(connection, start, end)
        # Of the whole session: what somebody left out of the analysis was recorded all the same.
        shown = read_face_labels(connection, [recorded_session])
        own = own_neutrals(connection).get(session)
        tested = _declared_states(connection)
        has_answers = quality.read_has_answers(connection, session)
    readings = reader.session_readings([session], tuple(VitalKind))
    recorded = MeasuredSession(
        session=recorded_session,
        end_ms=end,
        conditions=reader.conditions_of(recorded_session),
        face=face,
        frames=reader.face_frames(start, end),
        lost_s=lost,
        counts=counts,
        turned_away_share=turned_away,
        readings=readings,
        matches={
            kind: match([one for one in readings if one.kind is kind], shown, Matching())[1]
            for kind in VitalKind
        },
        gaps=reader.gaps(start, end),
        clock=events,
        synchronised=synchronised,
        estimates=estimates,
        faces=reader.faces_in_view([recorded_session])[session],
        tested=tested,
        has_answers=has_answers,
    )
    bars = thresholds or Thresholds()
    measures = quality.measure(recorded)
    checks = (
        _check_conditions(recorded, measures),
        _check_face(recorded, measures, bars),
        _check_readings(recorded, measures, bars),
        _check_clock(recorded, measures),
        *_check_streams(measures, bars),
        _check_unmatched(measures, bars),
        _check_flagged(measures, bars),
        _check_light(measures, bars),
        _check_frames(measures, bars),
        _check_turned_away(measures, bars),
        *_check_motion(measures, bars),
        *_check_own_neutral(own, start),
        *_check_whose_face(recorded, measures, bars),
    )
    if recorded_session.has_made_up_times:
        checks = (_check_clock(recorded, measures),)
    excluded = tuple(one for one in reader.exclusions() if one.session == session)
    # The worst one decides; what is not known makes nothing unfit.
    judged = [check.level for check in checks if check.level is not QualityLevel.UNMARKED]
    level = max(judged, key=list(QualityLevel).index, default=QualityLevel.UNMARKED)
    if not measures.conditions and not recorded_session.has_made_up_times:
        # Somebody who is recorded day by day has not done anything wrong: nothing there is unfit.
        level = QualityLevel.UNMARKED
        checks = tuple(_at_most_care(check) for check in checks)
    return quality.SessionQuality(
        session=session,
        participant=recorded_session.participant,
        start_ms=start,
        end_ms=recorded_session.end_ms,
        level=level,
        sentence=N_("Not judged: the times of this session are made up.")
        if recorded_session.has_made_up_times
        else _sentence(level, checks),
        faces_sentence=in_words(measures.faces),
        checks=checks,
        measures=measures,
        thresholds=bars,
        excluded=excluded,
        analysis_sentence=_analysis_sentence(level, excluded),
    )
