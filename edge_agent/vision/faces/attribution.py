"""Evidence that the followed face is the participant's: a press, the seat, being alone.

Nobody is recognised. Nothing is known of a face but where it is, how large, and for how long it was
followed without a break; so a person alone in the seat is the participant by every evidence but a
press.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Attribution, Box, Face, Observation, Whose
from edge_agent.core.movements import POSE
from edge_agent.vision.faces.tracking import FaceMemory, PrimaryFaceSelector, prominence

Tracked = Sequence[tuple[int, Face]]
"""Track and face, as ``Tracker.update`` returns them."""
Zone = tuple[float, float, float, float]
"""Left, top, width and height in shares of the picture, 0…1."""

ALONE_S = 10.0
"""Seconds without another living face after which one is alone."""
STILL_S = 120.0
"""Seconds without a sign of life after which a face is a picture: a poster, a frozen television."""
LIFE_S = 3_600.0
"""Seconds for which a sign of life holds: a sleeper moves more often, and a poster that somebody
pushed is a picture again."""
CHANGED = 0.35
TURNED_DEGREES = 10.0
"""Change of a probability or of closed eyes, and of the pose of a head, within some seconds that is
a sign of life.

Two portraits of 31 to 182 pixels in noise of 4 and 10 grey levels, with a lamp that is switched
off: at most 0.15 for probabilities, 0.1 for closed eyes and 4.4°, in one minute of each."""
_USUAL_S = 10.0  # the usual expression of a face is the mean over so many seconds
STILL_SIDES = 0.08
"""Distance in sides of the face that is no movement, and the same share of its size.

Measured with 20 portraits of 60 to 200 pixels in noise of 4 and 10 grey levels: in 99 of 100 frames
the box lies within 0.04 of its usual place and has its size within 0.05. A person who watches a
screen moves farther; how far within two minutes was not measured."""
JUMP_SIDES = 0.12
JUMP_STEPS = 4.0
"""Step from one sighting to the next, in sides and in usual steps of this face, above which
somebody or something else may be seen from now on: a portrait behind somebody who left."""
BACK_S = STILL_S
"""Seconds within which what a face shows must swing back to be a sign of life: where another face
takes its place, it changes once and stays."""
SEEN_S = 3.0
"""Seconds for which a face was there that is seen again at its place: a detector that finds a
picture in every third frame has seen it all the time."""
_SETTLED = 5  # sightings whose mean is the place of a face
_MOST_SHARE = 0.3  # of a new sighting in the place: noise is averaged at any frame rate
_STEP_SHARE = 1 / 32
_NOISE_STEPS = 1.5  # in noise of the box, half a side wide in a small face, nothing moves by less
UNBROKEN_S = 0.9
HIDDEN_S = 0.6
"""Seconds unseen after which a track is broken for a press, and after which a face must come back
where and as it was: less than the shortest absence in which somebody else can take the place, more
than the detector usually misses a face. At low frame rates two frames.
"""
TOUCHING_SIDES = 1.3
TOUCHING_S = 0.25
"""Distance between two faces, in sides of the larger, within which one that was hidden for so many
seconds may have changed places with the other."""
PASSING_S = 10.0
BEFORE_SIDES = 0.6
"""Seconds unseen within which a declared face goes on being the declared one where somebody passed
in front of it: the distance across in sides of the larger, at any height, for a body hides, too."""
SAME_PLACE_SIDES = 0.3
SAME_SIZE = 1.25
"""Distance in sides, and ratio of sides, within which it is the same one that comes back."""
LEADS_S = 1.0
"""Seconds before a press in which the face that it is for has led the most: in one frame the
detector may have missed it."""
PRESS_S = 2.0
"""Seconds after a press within which a face may come into view that it is meant for."""
KEPT_S = 30.0
"""Seconds that are kept of who led: a press may come late over a network."""
_LOST_STILL = 30.0  # a poster that people stand before is the same one an hour later
_LOST_MOVING_S = 3.0
_LEAVE = 0.05  # share of the picture by which somebody who sits may lean out of the zone
_SMOOTH_S = 1.0


_Where = tuple[float, float, float]
"""Middle and side of a face, in pixels."""


@dataclass(slots=True, eq=False)
class _Place:
    """Place of a face, and for how long one was seen there without a sign of life."""

    where: _Where
    seen: Instant
    step: float = 0.0
    still_s: float = 0.0
    sightings: int = 0
    alive: Instant | None = None

    def see(self, now: _Where, at: Instant, most_s: float = math.inf) -> None:
        """Count a sighting and the time before it; the first few settle where the place is."""
        self.still_s += min(max(at.seconds_since(self.seen), 0.0), most_s)
        self.seen = at
        if self.sightings < _SETTLED:
            self.sightings += 1
            self.where = _between(self.where, now, 1 / self.sightings)

    def holds(self, where: _Where) -> bool:
        """Return whether a face has not moved away from here."""
        return _apart(self.where, where) <= max(STILL_SIDES, _NOISE_STEPS * self.step)

    def is_kept(self, at: Instant) -> bool:
        """Return whether a face that comes back here may be the one that was here."""
        return at.seconds_since(self.seen) <= max(_LOST_MOVING_S, _LOST_STILL * self.still_s)


@dataclass(slots=True, eq=False)
class _Followed:
    """One face as long as it does not jump: its place, its usual step, and its signs of life."""

    place: _Place
    last: _Where
    now: _Where
    steps: int = 0
    alive: Instant | None = None
    usual: dict[str, float] = field(default_factory=dict)
    farthest: dict[str, tuple[float, Instant, float]] = field(default_factory=dict)
    read: Instant | None = None

    def is_picture(self, at: Instant) -> bool:
        is_alive = self.alive is not None and at.seconds_since(self.alive) < LIFE_S
        return self.place.still_s >= STILL_S and not is_alive

    def live(self, at: Instant) -> None:
        self.alive = self.place.alive = at
        self.place.still_s = 0.0

    def jumps(self, where: _Where) -> float | None:
        """Return by how many sides the face jumped; ``None`` where it moved as it usually does."""
        step = _apart(self.last, where)
        usual = self.place.step
        if self.steps >= _SETTLED and step > max(JUMP_SIDES, JUMP_STEPS * usual):
            return step
        self.last = where
        self.steps += 1
        self.place.step += max(_STEP_SHARE, 1 / self.steps) * (step - usual)
        return None

    def see(self, values: dict[str, float], at: Instant) -> None:
        """Compare what the face shows with what it usually shows, and with what it just showed."""
        # Beside a face that has just come back nothing is usual yet.
        is_late = self.read is None or at.seconds_since(self.read) > _USUAL_S
        elapsed_s = 0.0 if self.read is None else max(at.seconds_since(self.read), 0.0)
        self.read = at
        if is_late:
            self.usual, self.farthest = dict(values), {}
            return
        share = -math.expm1(-elapsed_s / _USUAL_S)
        for name, value in values.items():
            usual = self.usual.setdefault(name, value)
            if self._swings_back(name, value, at):
                self.live(at)
            self.usual[name] = usual + share * (value - usual)

    def _swings_back(self, name: str, value: float, at: Instant) -> bool:
        """Return whether a value comes back from where it lately went to."""
        changed = TURNED_DEGREES if name in POSE else CHANGED
        away = value - self.usual[name]
        went, since, way = self.farthest.get(name, (value, at, 0.0))
        if way == 0 or at.seconds_since(since) > BACK_S or (value - went) * way > 0:
            if abs(away) >= changed:
                self.farthest[name] = value, at, math.copysign(1, away)
            return False
        if abs(value - went) < changed:
            return False
        del self.farthest[name]
        return True


class StillFaces:
    """Knows which of the faces in view are pictures: `STILL_S` seconds without a sign of life.

    A face that has moved, blinked, turned or changed its expression since it came is none, however
    still it is now. The seconds need not follow one another: a picture that was hidden for a while,
    or that the detector lost, is known again by its place. A face that jumps, or changes once and
    stays so, may be another one: neither is a sign of life.
    """

    def __init__(self) -> None:
        self._followed: dict[int, _Followed] = {}
        self._left: list[_Place] = []

    def update(self, faces: Tracked, at: Instant) -> frozenset[int]:
        """Return the tracks of the faces of a frame that are pictures."""
        present = {track for track, _ in faces}
        for track, one in list(self._followed.items()):
            if track not in present and at.seconds_since(one.place.seen) > _LOST_MOVING_S:
                self._left.append(self._followed.pop(track).place)
        self._left = [place for place in self._left if place.is_kept(at)]
        for track, face in faces:
            self._move(track, (*face.box.center, math.sqrt(face.box.area)), present, at)
        return frozenset(track for track in present if self._followed[track].is_picture(at))

    def see(self, track: int, values: dict[str, float], at: Instant) -> None:
        """Look for a sign of life in what a face of the last frame shows."""
        if track in self._followed:
            self._followed[track].see(values, at)

    def forget(self) -> None:
        """Forget all places: the camera looks at something else."""
        self._followed.clear()
        self._left.clear()

    def _move(self, track: int, where: _Where, present: set[int], at: Instant) -> None:
        one = self._followed.get(track) or self._back(where, present)
        jump = None if one is None else one.jumps(where)
        if one is None or jump is not None:
            if one is not None:
                self._left.append(one.place)
            one = self._begin(where, jump, at)
            one.place.see(where, at, SEEN_S)
        else:
            self._follow(one, where, at)
        self._followed[track] = one

    def _follow(self, one: _Followed, where: _Where, at: Instant) -> None:
        # The noise of the detector is averaged: a picture must not seem to move.
        elapsed_s = max(at.seconds_since(one.place.seen), 0.0)
        share = min(-math.expm1(-elapsed_s / _SMOOTH_S), _MOST_SHARE)
        one.now = _between(one.now, where, share)
        one.place.see(where, at)
        if one.place.sightings >= _SETTLED and not one.place.holds(one.now):
            one.live(at)
            self._left.append(one.place)
            one.place = _Place(one.now, at, one.place.step, sightings=_SETTLED, alive=at)

    def _back(self, where: _Where, present: set[int]) -> _Followed | None:
        """Return the face that has just lost its track and is back where it was."""
        for track, one in self._followed.items():
            reach = max(STILL_SIDES, _NOISE_STEPS * one.place.step)
            if track not in present and _apart(one.last, where) <= reach:
                return self._followed.pop(track)
        return None

    def _begin(self, where: _Where, jump: float | None, at: Instant) -> _Followed:
        """Begin a face that came or jumped, at its place if it is known from before."""
        place = next((one for one in self._left if one.holds(where)), None)
        if place is not None:
            self._left.remove(place)
        alive = None
        if place is not None and at.seconds_since(place.seen) <= _LOST_MOVING_S:
            alive = place.alive
        place = place or _Place(where, at)
        # Who moves on after a jump lives: its steps are not each a jump.
        place.step = place.step if jump is None else max(place.step, jump)
        return _Followed(place, where, place.where, 0 if jump is None else _SETTLED, alive)


def _apart(one: _Where, other: _Where) -> float:
    """Return how far two sightings of a face are apart, in place or size, in its sides."""
    return max(math.dist(one[:2], other[:2]), abs(one[2] - other[2])) / max(one[2], other[2])


def _between(old: _Where, new: _Where, share: float) -> _Where:
    x, y, side = (one + share * (other - one) for one, other in zip(old, new, strict=True))
    return x, y, side


@dataclass(slots=True, eq=False)
class _Unbroken:
    """A track with the moment since which it was seen without a break."""

    since: Instant
    seen: Instant
    box: Box
    in_doubt: bool = False
    is_passed: bool = False

    def fits(self, box: Box) -> bool:
        """Return whether a face comes back where and as it was."""
        side, other = math.sqrt(self.box.area), math.sqrt(box.area)
        is_near = math.dist(self.box.center, box.center) <= SAME_PLACE_SIDES * side
        return is_near and max(side, other) <= SAME_SIZE * min(side, other)


class Attributor:
    """Selects the face to follow, and says by which evidence it is the participant's.

    Args:
        whose: which evidence is asked for; without it the face is followed, and counts as nobody's.
        seat: where the participant sits; ``None``: nobody drew it, so that no face is in it.
        selector: selects the leading face.
        judges_pictures: whether a face that shows no life for minutes counts as nobody's; the still
            face of a recorded video does count.

    Example:
        >>> attributor = Attributor("seat", (0.3, 0.2, 0.4, 0.6))
        >>> face = Face(Box(0, 200, 80, 80), 0.9, ())
        >>> attributor.attribute([(1, face)], (640, 480), Instant(boot_ms=0, wall_ms=0))
        (1, <Attribution.UNKNOWN: 'unknown'>)
    """

    def __init__(
        self,
        whose: Whose = "leading",
        seat: Zone | None = None,
        selector: PrimaryFaceSelector | None = None,
        *,
        judges_pictures: bool = True,
    ) -> None:
        self._whose = whose
        self._seat = seat
        self._selector = selector or PrimaryFaceSelector()
        self._still = StillFaces() if judges_pictures else None
        self._pictures: frozenset[int] = frozenset()
        self._memory = FaceMemory(UNBROKEN_S)
        self._unbroken: dict[int, _Unbroken] = {}
        self._seated: set[int] = set()
        self._others: dict[int, Instant] = {}
        self._led: deque[tuple[Instant, int]] = deque()
        self._declared: int | None = None
        self._hidden: _Unbroken | None = None
        self._pool = ""
        self.pressed: Instant | None = None
        """When somebody declared that the leading face is the participant's; ``None``: nobody did.

        Any thread may set it.
        """
        self._answered: Instant | None = None

    @property
    def pictures(self) -> frozenset[int]:
        """The tracks of the last frame that are pictures and no living faces."""
        return self._pictures

    @property
    def declared(self) -> int | None:
        """The track that was declared, while it is unbroken."""
        return self._declared

    def attribute(
        self, faces: Tracked, size: tuple[int, int], at: Instant
    ) -> tuple[int | None, Attribution | None]:
        """Return the track of the face to follow and its evidence; ``None`` where there is none.

        Args:
            faces: of a frame.
            size: width and height of the frame, pixels.
            at: when it was taken, later than the last one.
        """
        if self._still is not None:
            self._pictures = self._still.update(faces, at)
        living = [one for one in faces if one[0] not in self._pictures]
        self._see(faces, living, size, at)
        self._answer_press(at)
        pool, chosen = self._candidates(faces, living, at)
        if pool != self._pool:
            # Who is in view but no candidate any more is not waited for.
            self._selector.forget()
            self._pool = pool
        track = self._selector.select(chosen, *size, at)
        if track is None:
            return None, None
        return track, self._evidence(track, {one for one, _ in living})

    def see(self, observations: Iterable[Observation], at: Instant) -> None:
        """Look for signs of life in what the faces of the last frame show."""
        if self._still is None:
            return
        for one in observations:
            if one.reject_reason is None:
                self._still.see(one.track, _values_of(one), at)

    def forget(self) -> None:
        """Forget all faces: the camera looks at something else."""
        self._selector.forget()
        if self._still is not None:
            self._still.forget()
        self._unbroken.clear()
        self._others.clear()
        self._led.clear()
        self._seated.clear()
        self._declared = self._hidden = None

    def _see(self, faces: Tracked, living: Tracked, size: tuple[int, int], at: Instant) -> None:
        self._follow(faces, self._memory.advance(at), at)
        self._seated = set(self._in_seat(faces, size))
        self._others |= {track: at for track, _ in living}
        alive = {track for track, _ in living}
        pictures = {track for track, _ in faces} - alive
        self._others = {
            track: seen
            for track, seen in self._others.items()
            if track not in pictures and at.seconds_since(seen) <= ALONE_S
        }
        if living:
            led, _ = max(living, key=lambda one: prominence(one[1].box, *size))
            self._led.append((at, led))
        while self._led and at.seconds_since(self._led[0][0]) > KEPT_S:
            self._led.popleft()

    def _follow(self, faces: Tracked, memory_s: float, at: Instant) -> None:
        """Note which tracks are unbroken."""
        seen = dict(faces)
        for track, face in faces:
            known = self._unbroken.get(track)
            is_late = known is not None and at.seconds_since(known.seen) > memory_s
            if known is None or is_late or (known.in_doubt and not known.fits(face.box)):
                self._unbroken[track] = _Unbroken(at, at, face.box)
                if track == self._declared:
                    # The track now follows somebody else who passed by.
                    self._hidden, self._declared = known, None
                continue
            known.seen, known.box = at, face.box
            known.in_doubt = known.is_passed = False
        self._find_hidden(faces, memory_s, at)
        hidden = {track: one for track, one in self._unbroken.items() if track not in seen}
        for track, one in hidden.items():
            one.is_passed = one.is_passed or _is_passed(one, seen.values())
            if at.seconds_since(one.seen) > memory_s:
                del self._unbroken[track]
                if track == self._declared:
                    self._hidden, self._declared = one, None
            elif at.seconds_since(one.seen) > HIDDEN_S or self._is_touched(one, seen.values(), at):
                one.in_doubt = True

    def _find_hidden(self, faces: Tracked, memory_s: float, at: Instant) -> None:
        """Let a declared face go on that has lost its track and is back where and as it was."""
        hidden = self._hidden
        if hidden is None:
            return
        candidates = [
            track
            for track, face in faces
            # Not somebody who was in view all the time, and has taken the place.
            if hidden.fits(face.box) and self._unbroken[track].since.boot_ms > hidden.seen.boot_ms
        ]
        hidden_s = at.seconds_since(hidden.seen)
        is_late = hidden_s > (max(memory_s, PASSING_S) if hidden.is_passed else memory_s)
        if len(candidates) == 1 and not is_late:
            self._declared = candidates[0]
        if candidates or is_late:
            self._hidden = None

    def _is_touched(self, hidden: _Unbroken, others: Iterable[Face], at: Instant) -> bool:
        """Return whether a face that is out of view may come back as somebody else."""
        if at.seconds_since(hidden.seen) < TOUCHING_S:
            return False
        side = math.sqrt(hidden.box.area)
        return any(
            math.dist(other.box.center, hidden.box.center)
            <= TOUCHING_SIDES * max(side, math.sqrt(other.box.area))
            for other in others
        )

    def _in_seat(self, faces: Tracked, size: tuple[int, int]) -> Iterable[int]:
        if self._seat is None:
            return
        left, top, width, height = self._seat
        for track, face in faces:
            x, y = face.box.center[0] / size[0], face.box.center[1] / size[1]
            lean = _LEAVE if track in self._seated else 0.0
            across = left - lean <= x <= left + width + lean
            if across and top - lean <= y <= top + height + lean:
                yield track

    def _answer_press(self, at: Instant) -> None:
        """Declare the face that led at the press, if its track is unbroken since."""
        pressed = self.pressed
        if pressed is None:
            self._declared = self._hidden = self._answered = None
            return
        if pressed == self._answered:
            return
        until = pressed.shift(PRESS_S)
        led = [one for one in self._led if 0 <= pressed.seconds_since(one[0]) <= LEADS_S]
        led = led or [one for one in self._led if 0 <= one[0].seconds_since(pressed) <= PRESS_S][:1]
        if led:
            track, _ = Counter(track for _, track in led).most_common(1)[0]
            last = max(when.boot_ms for when, one in led if one == track)
            known = self._unbroken.get(track)
            if known is not None and known.since.boot_ms <= last:
                self._declared, self._hidden = track, None
            self._answered = pressed
        elif at.boot_ms > until.boot_ms:
            self._answered = pressed

    def _candidates(self, faces: Tracked, living: Tracked, at: Instant) -> tuple[str, Tracked]:
        """Return the faces from which the one to follow is selected, and what they are.

        A picture is followed only where nobody living was seen for a while.
        """
        if self._declared is not None and self._declared not in self._pictures:
            return "declared", [one for one in living if one[0] == self._declared]
        seated = [one for one in living if one[0] in self._seated]
        if self._whose == "seat" and seated:
            return "seat", seated
        is_missed = bool(self._led) and at.seconds_since(self._led[-1][0]) <= UNBROKEN_S
        return ("living", living) if living or is_missed else ("pictures", faces)

    def _evidence(self, track: int, living: set[int]) -> Attribution:
        """Return the strongest evidence, or that the one that is asked for is lacking."""
        if track not in living:
            return Attribution.UNKNOWN
        holds = [
            (Attribution.DECLARED, track == self._declared),
            (Attribution.SEAT, track in self._seated),
            (Attribution.ALONE, not self._others.keys() - {track}),
            (Attribution.LEADING, True),
        ]
        evidence = (one for one, does in holds if does)
        if self._whose == "leading":
            return next(evidence)
        wanted = {Attribution.DECLARED, Attribution(self._whose)}
        return next((one for one in evidence if one in wanted), Attribution.UNKNOWN)


def _is_passed(hidden: _Unbroken, others: Iterable[Face]) -> bool:
    """Return whether somebody nearer to the camera stands before a face that is out of view."""
    x, side = hidden.box.center[0], math.sqrt(hidden.box.area)
    return any(
        side <= SAME_SIZE * other_side
        and abs(other.box.center[0] - x) <= BEFORE_SIDES * max(side, other_side)
        for other, other_side in ((one, math.sqrt(one.box.area)) for one in others)
    )


def _values_of(face: Observation) -> dict[str, float]:
    """Return what of a face changes in the living and not in pictures."""
    shown = face.smoothed.as_dict()
    movements = face.movements
    if movements is None:
        return shown
    names = POSE if movements.only_pose else ("eye_blink", *POSE)
    return shown | {name: movements.as_dict()[name] for name in names}
